//! Rows that are appended at the same time are committed together, and a bad one fails alone.

use carebot_database::status::{self, NewReport};
use carebot_database::{accounts, families};
use carebot_model::status::{Active, Health, Home};

use super::add_account;
use crate::catalogue::count;
use crate::prelude::*;

both_engines! {
    async fn of_many_at_once_only_the_bad_ones_fail(t: TestDb) {
        let family = t.family().await;
        let nothing = FamilyId::parse("F234567890123456").unwrap();
        let taken = t.report(family, sample::<Home>(0)).await;
        let keyed = NewReport { source_key: Some("taken".to_owned()), ..t.new_report(sample::<Home>(0)) };
        status::append(&t.db, &permit(family), &keyed).await.unwrap();
        let mut appends = Vec::new();
        for number in 0..200 {
            let mut report = NewReport { source_key: Some(format!("key-{number}")), ..t.new_report(sample::<Home>(number)) };
            let mut to = family;
            match number % 10 {
                3 => to = nothing,
                6 => report.source_key = Some("taken".to_owned()),
                9 => report.id = taken.id,
                _ => {}
            }
            let db = t.db.clone();
            appends.push((number, report.id, tokio::spawn(async move { status::append(&db, &permit(to), &report).await })));
        }
        let mut stored = vec![taken.id, keyed.id];
        for (number, id, append) in appends {
            let result = append.await.unwrap();
            match number % 10 {
                3 => assert!(matches!(result, Err(DbError::MissingParent)), "{number}: {result:?}"),
                6 => assert!(result.unwrap_err().is_duplicate("source"), "{number}"),
                9 => assert!(matches!(result, Err(DbError::Duplicate { .. })), "{number}: {result:?}"),
                _ => {
                    assert_eq!(result.unwrap(), id, "{number}");
                    stored.push(id);
                }
            }
        }
        let list = status::list::<Home>(&mut t.db.read(), &permit(family), Range::ALL, Order::Ascending, 1_000).await.unwrap();
        let mut there: Vec<RowId> = list.into_iter().map(|report| report.index).collect();
        there.sort_unstable();
        stored.sort_unstable();
        assert_eq!(there, stored, "every good one, once");
        assert_eq!(stored.len(), 142);
    }

    async fn a_report_can_be_read_when_its_append_has_come_back(t: TestDb) {
        let family = t.family().await;
        let other_server = t.open_again().await;
        let tasks: Vec<_> = (0..8).map(|_| {
            let (t, other_server) = (t.clone(), other_server.clone());
            tokio::spawn(async move {
                for number in 0..10 {
                    let report = t.report(family, sample::<Health>(number)).await;
                    for db in [&t.db, &other_server] {
                        let there: i64 = db.read()
                            .fetch_one("SELECT COUNT(*) FROM health_status WHERE id = ?", params![report.id], |row| row.get(0))
                            .await.unwrap();
                        assert_eq!(there, 1);
                    }
                }
            })
        }).collect();
        for task in tasks {
            task.await.unwrap();
        }
    }

    async fn appends_of_several_kinds_and_transactions_go_side_by_side(t: TestDb) {
        let family = t.family().await;
        let tasks: Vec<_> = (0..60).map(|number| {
            let t = t.clone();
            tokio::spawn(async move {
                match number % 4 {
                    0 => drop(t.report(family, sample::<Home>(number)).await),
                    1 => drop(t.report(family, sample::<Active>(number)).await),
                    2 => drop(t.guardian().await),
                    _ => {
                        let failed = transact!(t.db, tx => {
                            add_account(&t, &mut tx).await?;
                            Err::<(), _>(DbError::MissingParent)
                        });
                        assert!(failed.is_err());
                    }
                }
            })
        }).collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(count(&t, "home_status", "family_id", family).await, 15);
        assert_eq!(count(&t, "active_status", "family_id", family).await, 15);
        assert_eq!(accounts::count_by_role(&mut t.db.read(), Role::Sub).await.unwrap(), 15);
    }

    async fn a_caller_who_goes_away_harms_nobody(t: TestDb) {
        let family = t.family().await;
        for number in 0..20 {
            let (db, report) = (t.db.clone(), t.new_report(sample::<Home>(number)));
            let task = tokio::spawn(async move { status::append(&db, &permit(family), &report).await });
            if number % 2 == 0 {
                task.abort();
                // Stored or not: nobody was told.
                drop(task.await);
            } else {
                task.await.unwrap().unwrap();
            }
        }
        let stored = count(&t, "home_status", "family_id", family).await;
        assert!((10..=20).contains(&stored), "{stored}");
        let transaction = t.db.begin();
        drop(transaction);
        t.report(family, sample::<Home>(1)).await;
    }

    async fn a_family_deleted_meanwhile_takes_only_its_own_reports(t: TestDb) {
        let (doomed, other) = (t.family().await, t.family().await);
        let tasks: Vec<_> = (0..40).map(|number| {
            let (db, report) = (t.db.clone(), t.new_report(sample::<Home>(number)));
            let family = if number % 2 == 0 { doomed } else { other };
            tokio::spawn(async move { (family, status::append(&db, &permit(family), &report).await) })
        }).collect();
        t.db.execute("DELETE FROM families WHERE id = ?", params![doomed]).await.unwrap();
        for task in tasks {
            match task.await.unwrap() {
                (_, Ok(_)) => {}
                (family, Err(DbError::MissingParent)) => assert_eq!(family, doomed),
                (_, Err(error)) => panic!("{error}"),
            }
        }
        assert!(families::get(&mut t.db.read(), doomed).await.unwrap().is_none());
        assert_eq!(count(&t, "home_status", "family_id", doomed).await, 0);
        assert_eq!(count(&t, "home_status", "family_id", other).await, 20);
    }
}
