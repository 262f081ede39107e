use carebot_database::disasters::{self, Candidate, Cursor, Pending};
use carebot_database::{Db, accounts, families};
use carebot_model::accounts::NewAccount;
use carebot_model::disasters::DisasterMessage;
use carebot_model::notifications::{Grade, NewNotification};
use carebot_model::text::{Address, LongText};

use crate::catalogue::count;
use crate::prelude::*;

fn message(t: &TestDb, sn: i64) -> DisasterMessage {
    DisasterMessage {
        sn,
        created_at: t.now(),
        text: format!("{sn}: 호우 'a' \"b\""),
        regions: "경기도 수원시 ,".to_owned(),
        step: "안전안내".to_owned(),
        kind: "호우".to_owned(),
    }
}

async fn store(t: &TestDb, messages: &[DisasterMessage], since: Timestamp) -> usize {
    transact!(t.db, tx => { disasters::store(&mut tx, messages, since, t.now()).await }).unwrap()
}

async fn pending(t: &TestDb) -> Vec<Pending> {
    disasters::pending(&mut t.db.read(), i64::MIN, 100).await.unwrap()
}

async fn family_at(t: &TestDb, address: &str) -> (AccountId, FamilyId) {
    let new = NewAccount { address: Some(Address::new(address.to_owned())), ..new_account(t, Role::Main, "김순자") };
    let elder = transact!(t.db, tx => { accounts::create(&mut tx, &new, "x", t.now(), &*t.rng).await }).unwrap();
    (elder, t.family_of(elder).await)
}

async fn candidates(t: &TestDb, beginning: &str, cursor: &Cursor, limit: u32) -> Vec<Candidate> {
    disasters::candidates(&mut t.db.read(), beginning, cursor, t.now(), limit).await.unwrap()
}

fn notification() -> NewNotification {
    let description = LongText::parse("{\"MSG_CN\":\"호우\"}".to_owned());
    NewNotification { grade: Grade::Warn, description, image_url: None }
}

async fn deliver(t: &TestDb, db: &Db, sn: i64, to: &[FamilyId], cursor: &Cursor) -> Result<usize, DbError> {
    let to: Vec<(FamilyId, RowId)> = to.iter().map(|family| (*family, t.id())).collect();
    let delivered =
        transact!(db, tx => { disasters::deliver(&mut tx, sn, &to, &notification(), cursor, t.now()).await });
    delivered.map(|delivered| delivered.len())
}

both_engines! {
    async fn listening_begins_once(t: TestDb) {
        let begun = t.now();
        assert_eq!(disasters::listening_since(&t.db, begun).await.unwrap(), begun);
        assert_eq!(disasters::listening_since(&t.db, begun.plus_millis(5)).await.unwrap(), begun);
    }

    async fn a_message_is_stored_once_and_pends_if_it_is_new(t: TestDb) {
        let old = DisasterMessage { created_at: t.now().plus_millis(-1), ..message(&t, 1) };
        let (new, next) = (message(&t, 2), message(&t, 3));
        assert_eq!(store(&t, &[old.clone(), new.clone(), new.clone()], t.now()).await, 2);
        let changed = DisasterMessage { text: "another".to_owned(), ..new.clone() };
        assert_eq!(store(&t, &[changed, old, next.clone()], t.now()).await, 1);
        assert_eq!(store(&t, &[], t.now()).await, 0);
        let found = pending(&t).await;
        assert_eq!(found.iter().map(|pending| pending.message.clone()).collect::<Vec<_>>(), [new, next]);
        assert_eq!((found[0].received_at, &found[0].cursor), (t.now(), &Cursor::default()));
        let behind = disasters::pending(&mut t.db.read(), 2, 100).await.unwrap();
        assert_eq!(behind.len(), 1);
        transact!(t.db, tx => { disasters::finish(&mut tx, 2).await }).unwrap();
        assert_eq!(pending(&t).await.len(), 1);
    }

    async fn candidates_are_found_by_the_beginning_of_the_address_in_pages(t: TestDb) {
        let mut expected = Vec::new();
        for address in ["경기도", "경기도  수원시", "경기도 성남시", "경기도 수원시", "경기도 수원시", "경기도청"] {
            let (account, family) = family_at(&t, address).await;
            expected.push(Candidate { family, account, address: address.to_owned() });
        }
        for address in ["경상남도", "경기", "", "서울특별시 경기도"] {
            family_at(&t, address).await;
        }
        t.account(Role::Main, "가족 없음").await;
        expected.sort_by_key(|found| (found.address.clone(), found.account.to_string()));
        assert_eq!(candidates(&t, "경기도", &Cursor::default(), 100).await, expected);
        let (mut cursor, mut found) = (Cursor::default(), Vec::new());
        loop {
            let page = candidates(&t, "경기도", &cursor, 2).await;
            let Some(last) = page.last() else { break };
            cursor = Cursor { address: last.address.clone(), account: last.account.to_string() };
            found.extend(page);
        }
        assert_eq!(found, expected);

        let gone = expected[0].family;
        assert!(transact!(t.db, tx => { families::delete(&mut tx, &permit(gone), t.now()).await }).unwrap());
        let gone = expected[1].account;
        assert!(transact!(t.db, tx => { accounts::delete(&mut tx, &permit(gone), t.now()).await }).unwrap());
        assert_eq!(candidates(&t, "경기도", &Cursor::default(), 100).await, expected[2..]);
        let earlier = t.now();
        t.advance(1_000).await;
        family_at(&t, "경기도 수원시").await;
        let then = disasters::candidates(&mut t.db.read(), "경기도", &Cursor::default(), earlier, 100).await.unwrap();
        assert_eq!(then, expected[2..], "a family made later is none");
    }

    async fn a_family_gets_a_message_once_whoever_delivers_it(t: TestDb) {
        let other = t.open_again().await;
        let (one, two) = (t.family().await, t.family().await);
        store(&t, &[message(&t, 7), message(&t, 8)], t.now()).await;
        let cursor = Cursor { address: "경기도 수원시".to_owned(), account: "U234567890123456".to_owned() };
        assert_eq!(deliver(&t, &t.db, 7, &[one], &cursor).await.unwrap(), 1);
        assert_eq!(pending(&t).await[0].cursor, cursor);
        assert_eq!(deliver(&t, &other, 7, &[one, two], &cursor).await.unwrap(), 1, "one has it");
        assert_eq!(deliver(&t, &other, 7, &[one, two], &cursor).await.unwrap(), 0);
        assert_eq!(deliver(&t, &other, 8, &[one], &cursor).await.unwrap(), 1, "another message");
        assert_eq!(count(&t, "notifications", "family_id", one).await, 2);
        let stored = carebot_database::notifications::list(
            &mut t.db.read(), &permit(two), Range::ALL, Order::Ascending, 10,
        ).await.unwrap();
        assert_eq!((stored.len(), stored[0].notification_grade, stored[0].is_read), (1, Some(Grade::Warn), false));
        assert_eq!(stored[0].description.as_deref(), Some("{\"MSG_CN\":\"호우\"}"));
        assert_eq!(count(&t, "notifications", "message_sn", 7_i64).await, 2);

        // Deleted by an operator: that does not make it new.
        t.db.execute("DELETE FROM notifications", vec![]).await.unwrap();
        assert_eq!(deliver(&t, &t.db, 7, &[one, two], &cursor).await.unwrap(), 0);
        let nobody = FamilyId::parse("F234567890123456").unwrap();
        let failed = deliver(&t, &t.db, 7, &[t.family().await, nobody], &cursor).await;
        assert!(matches!(failed, Err(DbError::MissingParent)), "{failed:?}");
        assert_eq!(count(&t, "notifications", "message_sn", 7_i64).await, 0, "all of a step or nothing");
    }

    async fn two_that_deliver_at_once_deliver_once(t: TestDb) {
        let mut homes = Vec::new();
        for _ in 0..30 {
            homes.push(t.family().await);
        }
        store(&t, &[message(&t, 7)], t.now()).await;
        let other = t.open_again().await;
        let tasks = [t.db.clone(), other].map(|db| {
            let (t, homes) = (t.clone(), homes.clone());
            tokio::spawn(async move {
                let mut tries = 0;
                loop {
                    match deliver(&t, &db, 7, &homes, &Cursor::default()).await {
                        Err(DbError::Duplicate { .. }) if tries < 5 => tries += 1,
                        done => return done.unwrap(),
                    }
                }
            })
        });
        let mut delivered = 0;
        for task in tasks {
            delivered += task.await.unwrap();
        }
        assert_eq!(delivered, 30);
        assert_eq!(count(&t, "notifications", "message_sn", 7_i64).await, 30);
    }

    async fn old_messages_are_forgotten_and_their_notifications_stay(t: TestDb) {
        let family = t.family().await;
        store(&t, &[message(&t, 1), message(&t, 2)], t.now()).await;
        deliver(&t, &t.db, 1, &[family], &Cursor::default()).await.unwrap();
        transact!(t.db, tx => { disasters::finish(&mut tx, 1).await }).unwrap();
        t.advance(60_000).await;
        store(&t, &[message(&t, 3)], t.now()).await;
        transact!(t.db, tx => { disasters::finish(&mut tx, 3).await }).unwrap();
        let mut steps = 0;
        while disasters::forget(&t.db, t.now()).await.unwrap() {
            steps += 1;
            assert!(steps < 10, "it never ends");
        }
        let rows = async |table| count(&t, table, "1", 1_i64).await;
        assert_eq!(rows("disaster_messages").await, 2, "one is pending and one is new");
        assert_eq!(rows("disaster_deliveries").await, 0);
        assert_eq!(rows("notifications").await, 1);
    }
}
