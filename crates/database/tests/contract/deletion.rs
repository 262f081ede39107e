use std::collections::BTreeSet;

use carebot_database::deletion::{self, Child, OF_ACCOUNT, OF_FAMILY, OF_IMAGE, STEP};
use carebot_database::{Db, Value, accounts, families, status};
use carebot_model::status::{Home, StatusKind as _};

use crate::catalogue::{count, foreign_keys, insert, new_id};
use crate::prelude::*;

/// One row in every table that refers to a parent, for every column that does; whatever else such a row refers to is
/// somebody else's.
async fn fill(t: &TestDb, parent: &str, id: &str) {
    let (account, family) = (new_id(t), new_id(t));
    insert(t, "accounts", &[("id", account.as_str().into())]).await;
    insert(t, "families", &[("id", family.as_str().into())]).await;
    let image = t.id();
    insert(t, "images", &[("id", image.into()), ("owner_id", account.as_str().into())]).await;
    let keys = foreign_keys(t).await;
    for key in keys.iter().filter(|key| key.parent == parent) {
        let given: Vec<(&str, Value)> = keys
            .iter()
            .filter(|other| other.table == key.table)
            .map(|other| {
                let value = match other.parent.as_str() {
                    _ if other.column == key.column => Value::from(id),
                    "accounts" => account.as_str().into(),
                    "families" => family.as_str().into(),
                    "images" => image.into(),
                    parent => panic!("a row that refers to {parent}"),
                };
                (other.column.as_str(), value)
            })
            .collect();
        insert(t, &key.table, &given).await;
    }
}

/// How many rows still refer to a parent, by table and column.
async fn left(t: &TestDb, parent: &str, id: &str) -> Vec<(String, String, i64)> {
    let mut left = Vec::new();
    for key in foreign_keys(t).await.into_iter().filter(|key| key.parent == parent) {
        let rows = count(t, &key.table, &key.column, id).await;
        if rows > 0 {
            left.push((key.table, key.column, rows));
        }
    }
    left
}

async fn empty(db: &Db) -> u32 {
    let mut steps = 0;
    while deletion::step(db).await.unwrap() {
        steps += 1;
        assert!(steps < 1_000, "it never ends");
    }
    steps
}

fn assert_covered(parent: &str, listed: &[Child], keys: &[crate::catalogue::ForeignKey]) {
    let listed: BTreeSet<(&str, &str)> = listed.iter().map(|child| (child.table, child.column)).collect();
    let there: BTreeSet<(&str, &str)> = keys
        .iter()
        // The family an account owns is marked with it and goes its own way.
        .filter(|key| key.parent == parent && (key.table.as_str(), key.column.as_str()) != ("families", "main_user"))
        .map(|key| (key.table.as_str(), key.column.as_str()))
        .collect();
    assert_eq!(listed, there, "what hangs from {parent}: on the left as listed, on the right as the engine says");
}

async fn delete_account(t: &TestDb, id: AccountId) -> bool {
    transact!(t.db, tx => { accounts::delete(&mut tx, &permit(id), t.now()).await }).unwrap()
}

async fn delete_family(t: &TestDb, id: FamilyId) -> bool {
    transact!(t.db, tx => { families::delete(&mut tx, &permit(id), t.now()).await }).unwrap()
}

/// Many reports in one transaction.
async fn many_reports(t: &TestDb, family: FamilyId, number: i32) {
    transact!(t.db, tx => {
        for index in 0..number {
            // Three of the same time, so that a step can end in the middle of one.
            let at = t.now().plus_millis(i64::from(index / 3));
            let report = status::NewReport { reported_at: at, ..t.new_report(sample::<Home>(index)) };
            status::create(&mut tx, &permit(family), &report).await?;
        }
        Ok::<_, DbError>(())
    })
    .unwrap();
}

both_engines! {
    async fn the_lists_are_the_foreign_keys_and_all_of_them_cascade(t: TestDb) {
        let keys = foreign_keys(&t).await;
        assert!(keys.iter().all(|key| key.on_delete == "CASCADE"), "{keys:#?}");
        assert_covered("families", OF_FAMILY, &keys);
        assert_covered("accounts", OF_ACCOUNT, &keys);
        assert_covered("images", OF_IMAGE, &keys);
        let parents: BTreeSet<&str> = keys.iter().map(|key| key.parent.as_str()).collect();
        assert_eq!(parents, BTreeSet::from(["accounts", "families", "images"]), "another parent needs a list of its own");
    }

    async fn the_cascades_leave_nothing_of_a_family(t: TestDb) {
        let (doomed, other) = (new_id(&t), new_id(&t));
        for id in [&doomed, &other] {
            insert(&t, "families", &[("id", id.as_str().into())]).await;
            fill(&t, "families", id).await;
        }
        let before = left(&t, "families", &doomed).await;
        assert_eq!(before.len(), OF_FAMILY.len(), "every table has a row");
        t.db.execute("DELETE FROM families WHERE id = ?", params![doomed.as_str()]).await.unwrap();
        assert_eq!(left(&t, "families", &doomed).await, []);
        assert_eq!(left(&t, "families", &other).await, before, "another family keeps all of its own");
    }

    async fn the_cascades_leave_nothing_of_an_account(t: TestDb) {
        let (doomed, other) = (new_id(&t), new_id(&t));
        for id in [&doomed, &other] {
            insert(&t, "accounts", &[("id", id.as_str().into())]).await;
            fill(&t, "accounts", id).await;
        }
        let before = left(&t, "accounts", &doomed).await;
        assert_eq!(before.len(), OF_ACCOUNT.len() + 1, "every table has a row, and the account owns a family");
        let family: String = t.db.read()
            .fetch_one("SELECT id FROM families WHERE main_user = ?", params![doomed.as_str()], |row| row.get(0))
            .await.unwrap();
        fill(&t, "families", &family).await;
        t.db.execute("DELETE FROM accounts WHERE id = ?", params![doomed.as_str()]).await.unwrap();
        assert_eq!(left(&t, "accounts", &doomed).await, []);
        assert_eq!(left(&t, "families", &family).await, [], "what hangs from its family goes with it");
        assert_eq!(left(&t, "accounts", &other).await, before, "another account keeps all of its own");
    }

    async fn the_steps_leave_nothing_of_a_family(t: TestDb) {
        let (doomed, other) = (new_id(&t), new_id(&t));
        for id in [&doomed, &other] {
            insert(&t, "families", &[("id", id.as_str().into())]).await;
            fill(&t, "families", id).await;
        }
        let others = left(&t, "families", &other).await;
        assert!(delete_family(&t, FamilyId::parse(&doomed).unwrap()).await);
        assert_eq!(deletion::backlog(&mut t.db.read()).await.unwrap(), 1);
        assert_eq!(deletion::deleted_at(&mut t.db.read(), FamilyId::parse(&doomed).unwrap()).await.unwrap(), Some(t.now()));
        assert!(empty(&t.db).await as usize > OF_FAMILY.len(), "a step for each table, and one for the family");
        assert_eq!(left(&t, "families", &doomed).await, []);
        assert_eq!(count(&t, "families", "id", doomed.as_str()).await, 0);
        assert_eq!(left(&t, "families", &other).await, others);
        assert_eq!(deletion::backlog(&mut t.db.read()).await.unwrap(), 0);
        for id in [&doomed, &other] {
            let family = FamilyId::parse(id).unwrap();
            assert_eq!(deletion::deleted_at(&mut t.db.read(), family).await.unwrap(), None);
        }
    }

    async fn the_steps_leave_nothing_of_an_account_and_its_family(t: TestDb) {
        let (doomed, other) = (new_id(&t), new_id(&t));
        for id in [&doomed, &other] {
            insert(&t, "accounts", &[("id", id.as_str().into())]).await;
            fill(&t, "accounts", id).await;
        }
        let others = left(&t, "accounts", &other).await;
        let account = AccountId::parse(&doomed).unwrap();
        let family = families::id_by_main_user(&mut t.db.read(), account).await.unwrap().unwrap();
        fill(&t, "families", family.as_str()).await;
        assert!(delete_account(&t, account).await);
        assert_eq!(deletion::backlog(&mut t.db.read()).await.unwrap(), 2, "the account and its family");
        empty(&t.db).await;
        assert_eq!(left(&t, "accounts", &doomed).await, []);
        assert_eq!(left(&t, "families", family.as_str()).await, []);
        assert_eq!(count(&t, "accounts", "id", doomed.as_str()).await, 0);
        assert_eq!(count(&t, "families", "id", family).await, 0);
        assert_eq!(left(&t, "accounts", &other).await, others);
        assert!(!deletion::step(&t.db).await.unwrap());
    }

    async fn much_is_deleted_in_bounded_steps_that_go_on_after_a_crash(t: TestDb) {
        let (doomed, other) = (t.family().await, t.family().await);
        many_reports(&t, doomed, 2_500).await;
        t.report(other, sample::<Home>(1)).await;
        assert!(delete_family(&t, doomed).await);
        assert_eq!(families::get(&mut t.db.read(), doomed).await.unwrap(), None, "gone at once");

        let rows = async || count(&t, Home::TABLE, "family_id", doomed).await;
        let mut before = rows().await;
        assert_eq!(before, 2_500, "deleting it has only marked it");
        let mut removed = Vec::new();
        // Each step by a server of its own, as if the one before had crashed.
        let mut server = t.open_again().await;
        while deletion::step(&server).await.unwrap() {
            server = t.open_again().await;
            t.advance(1_000).await;
            t.report(other, sample::<Home>(2)).await;
            let after = rows().await;
            if after < before {
                removed.push(before - after);
            }
            before = after;
        }
        assert_eq!(removed, [i64::from(STEP), i64::from(STEP), 500]);
        assert_eq!(count(&t, "families", "id", doomed).await, 0);
        assert!(status::latest::<Home>(&mut t.db.read(), &permit(other)).await.unwrap().is_some());
    }

    async fn others_write_while_much_is_deleted(t: TestDb) {
        let (doomed, other) = (t.family().await, t.family().await);
        many_reports(&t, doomed, 3_000).await;
        assert!(delete_family(&t, doomed).await);
        let deleting = tokio::spawn({
            let db = t.db.clone();
            async move { empty(&db).await }
        });
        let (mut written, mut meanwhile) = (0, 0);
        while !deleting.is_finished() {
            t.report(other, sample::<Home>(written)).await;
            written += 1;
            meanwhile += i32::from(!deleting.is_finished());
        }
        assert!(deleting.await.unwrap() > 3);
        assert!(meanwhile > 0, "others need not wait for its end");
        assert_eq!(count(&t, Home::TABLE, "family_id", other).await, i64::from(written));
    }

    async fn messages_of_a_busy_account_are_deleted_in_bounded_steps(t: TestDb) {
        let (doomed, other) = (t.elder().await, t.guardian().await);
        transact!(t.db, tx => {
            for index in 0..2_400 {
                let (from, to) = if index % 2 == 0 { (doomed, other) } else { (other, doomed) };
                tx.execute(
                    "INSERT INTO messages (id, from_id, to_id, created_at, is_read) VALUES (?, ?, ?, ?, 0)",
                    params![t.id(), from, to, t.now().plus_millis(index / 5)],
                ).await?;
            }
            Ok::<_, DbError>(())
        }).unwrap();
        assert!(delete_account(&t, doomed).await);
        let rows = async || count(&t, "messages", "1", 1_i64).await;
        let mut before = rows().await;
        while deletion::step(&t.db).await.unwrap() {
            let after = rows().await;
            assert!(before - after <= i64::from(STEP), "{before} {after}");
            before = after;
        }
        assert_eq!(before, 0);
        assert!(accounts::get(&mut t.db.read(), other).await.unwrap().is_some());
    }

    async fn what_slips_in_while_a_family_is_deleted_goes_with_it(t: TestDb) {
        let family = t.family().await;
        assert!(delete_family(&t, family).await);
        // By a caller who asked before the deletion and writes after it.
        t.report(family, sample::<Home>(1)).await;
        empty(&t.db).await;
        assert_eq!(count(&t, Home::TABLE, "family_id", family).await, 0);
        let late = status::append(&t.db, &permit(family), &t.new_report(sample::<Home>(2))).await;
        assert!(matches!(late, Err(DbError::MissingParent)), "{late:?}");
    }

    async fn with_nothing_to_delete_there_is_no_step(t: TestDb) {
        t.household().await;
        assert!(!deletion::step(&t.db).await.unwrap());
        assert_eq!(deletion::backlog(&mut t.db.read()).await.unwrap(), 0);
    }
}
