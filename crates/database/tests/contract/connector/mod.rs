//! `Db`, `Tx` and `transact!`.

mod group_commit;
mod mariadb;
mod sqlite;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use carebot_database::connector::error::{Attempts, Retryable};
use carebot_database::{Db, Options, Tx, accounts, families, status};
use carebot_model::status::Home;
use carebot_model::text::Name;
use carebot_testkit::Engine;

use crate::catalogue::count;
use crate::prelude::*;

/// One connection, one reader, little patience: what is taken is missed soon.
pub fn small() -> Options {
    Options {
        pool_size: 1,
        pool_overflow: 0,
        sqlite_readers: 1,
        acquire_timeout: Duration::from_secs(2),
        ..Options::default()
    }
}

pub fn is_unavailable<T>(result: &Result<T, DbError>) -> bool {
    matches!(result, Err(DbError::Unavailable(_)))
}

pub async fn add_account(t: &TestDb, tx: &mut Tx) -> Result<AccountId, DbError> {
    accounts::create(tx, &new_account(t, Role::Sub, "윤서준"), "", t.now(), &*t.rng).await
}

async fn accounts(db: &Db) -> usize {
    accounts::emails(&mut db.read()).await.unwrap().len()
}

/// An error of a layer above, as `transact!` meets it.
#[derive(Debug)]
enum Refusal {
    NotAllowed,
    Database(DbError),
}

impl From<DbError> for Refusal {
    fn from(error: DbError) -> Self {
        Self::Database(error)
    }
}

impl Retryable for Refusal {
    fn retryable(&self) -> bool {
        matches!(self, Self::Database(error) if error.retryable())
    }
}

both_engines! {
    async fn a_database_answers_and_says_what_it_is(t: TestDb) {
        t.db.ping().await.unwrap();
        let version = t.db.version().await.unwrap();
        let name = if t.engine == Engine::Sqlite { "SQLite" } else { "MariaDB" };
        assert!(version.contains(name), "{version}");
    }

    async fn what_was_written_is_seen_inside_at_once_and_outside_after_the_commit(t: TestDb) {
        let mut tx = t.db.begin().await.unwrap();
        let id = add_account(&t, &mut tx).await.unwrap();
        assert!(accounts::get(&mut tx, id).await.unwrap().is_some());
        assert!(accounts::get(&mut t.db.read(), id).await.unwrap().is_none());
        tx.commit().await.unwrap();
        assert!(accounts::get(&mut t.db.read(), id).await.unwrap().is_some());
        assert!(accounts::get(&mut t.open_again().await.read(), id).await.unwrap().is_some(), "by another server too");
    }

    async fn a_transaction_that_is_dropped_or_rolled_back_leaves_nothing(t: TestDb) {
        let mut tx = t.db.begin().await.unwrap();
        let dropped = add_account(&t, &mut tx).await.unwrap();
        drop(tx);
        let mut tx = t.db.begin().await.unwrap();
        assert!(accounts::get(&mut tx, dropped).await.unwrap().is_none());
        let rolled_back = add_account(&t, &mut tx).await.unwrap();
        tx.rollback().await;
        assert!(accounts::get(&mut t.db.read(), rolled_back).await.unwrap().is_none());
        assert_eq!(accounts(&t.db).await, 0);
    }

    async fn a_body_that_fails_leaves_nothing_and_its_error_comes_out(t: TestDb) {
        let result = transact!(t.db, tx => {
            add_account(&t, &mut tx).await?;
            Err::<(), _>(Refusal::NotAllowed)
        });
        assert!(matches!(result, Err(Refusal::NotAllowed)));
        let result = transact!(t.db, tx => {
            add_account(&t, &mut tx).await?;
            let nobody = AccountId::parse("U234567890123456").unwrap();
            families::create(&mut tx, &permit(nobody), None, t.now(), &*t.rng).await?;
            Ok::<_, Refusal>(())
        });
        assert!(matches!(result, Err(Refusal::Database(DbError::MissingParent))), "{result:?}");
        assert_eq!(accounts(&t.db).await, 0);
    }

    async fn a_statement_that_fails_leaves_the_rest_of_the_transaction(t: TestDb) {
        let elder = t.elder().await;
        let id = transact!(t.db, tx => {
            let first = add_account(&t, &mut tx).await?;
            let family = families::create(&mut tx, &permit(elder), None, t.now(), &*t.rng).await?;
            let again = families::create(&mut tx, &permit(elder), None, t.now(), &*t.rng).await;
            assert!(again.unwrap_err().is_duplicate("main_user"));
            families::update(&mut tx, &permit(family), Some(&Name::new("새 이름".to_owned()))).await?;
            Ok::<_, DbError>(first)
        }).unwrap();
        assert!(accounts::get(&mut t.db.read(), id).await.unwrap().is_some());
        let family = families::id_by_main_user(&mut t.db.read(), elder).await.unwrap().unwrap();
        let name = families::get(&mut t.db.read(), family).await.unwrap().unwrap().family_name;
        assert_eq!(name.as_deref(), Some("새 이름"));
    }

    async fn a_conflict_is_tried_again_from_the_start(t: TestDb) {
        let attempts = AtomicU32::new(0);
        let result = transact!(t.db, tx => {
            add_account(&t, &mut tx).await?;
            if attempts.fetch_add(1, Ordering::Relaxed) < 2 {
                return Err(Refusal::Database(DbError::Conflict("lost".into())));
            }
            Ok(())
        });
        assert!(result.is_ok());
        assert_eq!(attempts.into_inner(), 3);
        assert_eq!(accounts(&t.db).await, 1, "what was lost left nothing");
    }

    async fn a_conflict_is_not_tried_for_ever_and_other_errors_not_at_all(t: TestDb) {
        for (error, most) in [
            (DbError::Conflict("lost".into()), Attempts::MOST),
            (DbError::Unavailable("off".into()), 1),
            (DbError::OutcomeUnknown("?".into()), 1),
            (DbError::MissingParent, 1),
        ] {
            let (attempts, mut error) = (AtomicU32::new(0), Some(error));
            let result = transact!(t.db, _tx => {
                attempts.fetch_add(1, Ordering::Relaxed);
                Err::<(), _>(match &mut error {
                    Some(DbError::Conflict(text)) => DbError::Conflict(text.clone()),
                    other => other.take().unwrap(),
                })
            });
            assert!(result.is_err());
            assert_eq!(attempts.into_inner(), most, "{result:?}");
        }
    }

    async fn outside_of_a_transaction_nothing_is_written(t: TestDb) {
        let result = t.db.read().execute("DELETE FROM accounts", vec![]).await;
        assert!(matches!(result, Err(DbError::Statement(_))), "{result:?}");
        assert_eq!(t.db.execute("DELETE FROM accounts", vec![]).await.unwrap(), 0, "a statement alone is one");
    }

    async fn a_refused_statement_says_why_and_the_connection_goes_on(t: TestDb) {
        for sql in ["SELECT nothing FROM accounts", "SELECT id FROM nowhere", "SELEC 1"] {
            let result = t.db.read().fetch_optional(sql, vec![], |_| Ok(())).await;
            assert!(matches!(result, Err(DbError::Statement(_))), "{sql}: {result:?}");
            let result = t.db.execute(sql, vec![]).await;
            assert!(matches!(result, Err(DbError::Statement(_))), "{sql}: {result:?}");
            t.db.ping().await.unwrap();
        }
    }

    async fn a_stored_value_that_must_not_be_is_named_by_column_and_not_shown(t: TestDb) {
        let id = t.elder().await;
        t.db.execute("UPDATE accounts SET role = 'emperor' WHERE id = ?", params![id]).await.unwrap();
        let error = accounts::get(&mut t.db.read(), id).await.unwrap_err();
        assert!(matches!(&error, DbError::BadValue { column, row: 0, .. } if column == "role"), "{error:?}");
        assert!(!error.to_string().contains("emperor"), "{error}");
        let other = t.guardian().await;
        assert!(accounts::get(&mut t.db.read(), other).await.unwrap().is_some(), "the connection goes on");
        let list = accounts::list(&mut t.db.read(), None, 10).await;
        assert!(matches!(list, Err(DbError::BadValue { .. })), "never a list with a hole");
    }

    async fn a_row_that_is_missing_where_one_must_be_is_an_error(t: TestDb) {
        let result = t.db.read().fetch_one("SELECT 1 FROM accounts", vec![], |row| row.get::<i64>(0)).await;
        assert!(matches!(result, Err(DbError::Statement(_))), "{result:?}");
    }

    async fn read_modify_write_under_a_lock_loses_nothing(t: TestDb) {
        let family = t.family().await;
        let before: i64 = created_at(&mut t.db.read(), family).await;
        let writers: Vec<_> = (0..20).map(|_| {
            let db = t.db.clone();
            tokio::spawn(async move {
                transact!(db, tx => {
                    assert!(tx.lock_one("SELECT id FROM families WHERE id = ?", params![family]).await?);
                    let value = created_at(&mut tx, family).await;
                    tx.execute("UPDATE families SET created_at = ? WHERE id = ?", params![value + 1, family]).await
                })
            })
        }).collect();
        for writer in writers {
            assert_eq!(writer.await.unwrap().unwrap(), 1);
        }
        assert_eq!(created_at(&mut t.db.read(), family).await, before + 20);
        let mut tx = t.db.begin().await.unwrap();
        let none = FamilyId::parse("F234567890123456").unwrap();
        assert!(!tx.lock_one("SELECT id FROM families WHERE id = ?", params![none]).await.unwrap());
    }

    async fn a_taken_connection_or_writer_is_missed_in_time(t: TestDb, small()) {
        let tx = t.db.begin().await.unwrap();
        assert!(is_unavailable(&t.db.begin().await.map(drop)));
        assert!(is_unavailable(&t.db.execute("DELETE FROM accounts", vec![]).await));
        let family = FamilyId::parse("F234567890123456").unwrap();
        let append = status::append(&t.db, &permit(family), &t.new_report(blank::<Home>())).await;
        assert!(is_unavailable(&append), "{append:?}");
        if t.engine == Engine::MariaDb {
            assert!(is_unavailable(&t.db.ping().await));
        } else {
            t.db.ping().await.expect("readers do not wait for the writer");
        }
        drop(tx);
        t.db.ping().await.unwrap();
        t.db.begin().await.expect("what was given back can be had again").rollback().await;
        assert_eq!(count(&t, "home_status", "family_id", family).await, 0);
    }

    async fn a_closed_database_says_so(t: TestDb) {
        let family = t.family().await;
        t.db.close().await;
        assert!(is_unavailable(&t.db.ping().await));
        assert!(is_unavailable(&t.db.begin().await.map(drop)));
        assert!(is_unavailable(&status::append(&t.db, &permit(family), &t.new_report(blank::<Home>())).await));
        t.db.close().await;
    }

    async fn closing_finishes_what_is_queued(t: TestDb) {
        let family = t.family().await;
        let reports: Vec<_> = (0..100).map(|number| t.new_report(sample::<Home>(number))).collect();
        let appends: Vec<_> = reports.into_iter().map(|report| {
            let db = t.db.clone();
            tokio::spawn(async move { status::append(&db, &permit(family), &report).await })
        }).collect();
        t.db.close().await;
        let mut stored = 0;
        for append in appends {
            match append.await.unwrap() {
                Ok(_) => stored += 1,
                Err(DbError::Unavailable(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        let again = t.open_again().await;
        let there: i64 = again.read()
            .fetch_one("SELECT COUNT(*) FROM home_status", vec![], |row| row.get(0)).await.unwrap();
        assert_eq!(there, stored);
    }

    async fn a_thousand_rows_and_a_long_statement_pass(t: TestDb) {
        let family = t.family().await;
        let text = Some("한".repeat(5_000));
        for number in 0..300 {
            t.report(family, Home { others: text.clone(), ..sample::<Home>(number) }).await;
        }
        let all = status::list::<Home>(&mut t.db.read(), &permit(family), Range::ALL, Order::Ascending, 1_000).await.unwrap();
        assert_eq!(all.len(), 300);
        assert!(all.iter().all(|report| report.fields.others == text));
    }
}

async fn created_at(tx: &mut Tx, family: FamilyId) -> i64 {
    tx.fetch_one("SELECT created_at FROM families WHERE id = ?", params![family], |row| row.get(0)).await.unwrap()
}
