//! What only the embedded engine does.

use carebot_database::{Db, DbUrl, Options, accounts, status};
use carebot_model::status::Home;

use super::{add_account, is_unavailable, small};
use crate::catalogue::count;
use crate::prelude::*;

fn path(url: &DbUrl) -> &std::path::Path {
    match url {
        DbUrl::Sqlite { path } => path,
        DbUrl::MariaDb(_) => panic!("a file"),
    }
}

only_sqlite! {
    async fn a_missing_file_is_made_only_when_that_is_asked_for(t: TestDb) {
        let url = t.another();
        let error = Db::open(&url, &Options::default()).await.unwrap_err();
        assert!(matches!(error, DbError::Configuration(_)), "{error:?}");
        assert!(error.to_string().contains(&path(&url).display().to_string()), "it says which file: {error}");
        assert!(!path(&url).exists());
        Db::open(&url, &Options { create: true, ..Options::default() }).await.unwrap();
        assert!(path(&url).exists());
        Db::open(&url, &Options::default()).await.unwrap();
    }

    async fn a_folder_or_another_file_is_not_a_database(t: TestDb) {
        let folder = DbUrl::Sqlite { path: path(&t.url).parent().unwrap().to_owned() };
        assert!(Db::open(&folder, &Options::default()).await.is_err());
        let url = t.another();
        std::fs::write(path(&url), "this is no database, but long enough to be looked at as one ".repeat(100)).unwrap();
        assert!(is_unavailable(&Db::open(&url, &Options::default()).await));
    }

    async fn of_transactions_in_one_commit_the_one_that_fails_rolls_back_alone(t: TestDb) {
        // While the first is open the others wait; all of them go into one commit.
        let mut first = t.db.begin().await.unwrap();
        let others: Vec<_> = (0..10).map(|number| {
            let t = t.clone();
            tokio::spawn(async move {
                transact!(t.db, tx => {
                    let id = add_account(&t, &mut tx).await?;
                    if number % 2 == 0 { Ok(id) } else { Err(DbError::MissingParent) }
                })
            })
        }).collect();
        let kept = add_account(&t, &mut first).await.unwrap();
        first.commit().await.unwrap();
        let mut expected = vec![kept];
        for other in others {
            expected.extend(other.await.unwrap().ok());
        }
        assert_eq!(expected.len(), 6);
        expected.sort_unstable();
        let there: Vec<AccountId> =
            accounts::list(&mut t.db.read(), None, 100).await.unwrap().into_iter().map(|account| account.id).collect();
        assert_eq!(there, expected);
    }

    async fn a_rolled_back_first_takes_no_append_with_it(t: TestDb) {
        let family = t.family().await;
        let mut first = t.db.begin().await.unwrap();
        let appends: Vec<_> = (0..10).map(|number| {
            let (db, report) = (t.db.clone(), t.new_report(sample::<Home>(number)));
            tokio::spawn(async move { status::append(&db, &permit(family), &report).await })
        }).collect();
        let lost = add_account(&t, &mut first).await.unwrap();
        first.rollback().await;
        for append in appends {
            append.await.unwrap().unwrap();
        }
        assert_eq!(count(&t, "home_status", "family_id", family).await, 10);
        assert!(accounts::get(&mut t.db.read(), lost).await.unwrap().is_none());
    }

    async fn readers_see_the_last_commit_while_a_transaction_writes(t: TestDb) {
        let family = t.family().await;
        let mut tx = t.db.begin().await.unwrap();
        status::create(&mut tx, &permit(family), &t.new_report(sample::<Home>(1))).await.unwrap();
        assert_eq!(count(&t, "home_status", "family_id", family).await, 0);
        tx.commit().await.unwrap();
        assert_eq!(count(&t, "home_status", "family_id", family).await, 1);
    }

    async fn an_append_that_was_given_up_before_it_began_is_not_stored(t: TestDb, small()) {
        let family = t.family().await;
        let tx = t.db.begin().await.unwrap();
        let given_up = status::append(&t.db, &permit(family), &t.new_report(sample::<Home>(1))).await;
        assert!(is_unavailable(&given_up), "{given_up:?}");
        drop(tx);
        t.report(family, sample::<Home>(2)).await;
        assert_eq!(count(&t, "home_status", "family_id", family).await, 1, "only the second");
    }

    async fn two_programs_on_one_file_wait_for_each_other(t: TestDb) {
        let other = t.open_again().await;
        let family = t.family().await;
        let tasks: Vec<_> = (0..40).map(|number| {
            let db = if number % 2 == 0 { t.db.clone() } else { other.clone() };
            let report = t.new_report(sample::<Home>(number));
            tokio::spawn(async move { status::append(&db, &permit(family), &report).await })
        }).collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert_eq!(count(&t, "home_status", "family_id", family).await, 40);
    }

    async fn the_file_is_kept_as_designed(t: TestDb) {
        let mut tx = t.db.begin().await.unwrap();
        for (pragma, expected) in [("synchronous", 2), ("foreign_keys", 1)] {
            let value: i64 = tx.fetch_one(format!("PRAGMA {pragma}"), vec![], |row| row.get(0)).await.unwrap();
            assert_eq!(value, expected, "{pragma}");
        }
        let mode: String = tx.fetch_one("PRAGMA journal_mode", vec![], |row| row.get(0)).await.unwrap();
        assert_eq!(mode, "wal");
        let faults: Vec<String> = tx.fetch("PRAGMA integrity_check", vec![], |row| row.get(0)).await.unwrap();
        assert_eq!(faults, ["ok"]);
    }
}
