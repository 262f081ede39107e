use carebot_database::idempotency::{self, Earlier, Keyed};
use carebot_database::status::{self, NewReport};
use carebot_database::{accounts, deletion};
use carebot_model::status::{Health, Home, StatusKind};

use crate::prelude::*;

async fn remember(t: &TestDb, keyed: &Keyed, row: RowId) -> Result<(), DbError> {
    transact!(t.db, tx => { idempotency::remember(&mut tx, keyed, row, t.now()).await })
}

async fn earlier(t: &TestDb, keyed: &Keyed) -> Option<Earlier> {
    idempotency::earlier(&mut t.db.read(), keyed).await.unwrap()
}

async fn count(t: &TestDb) -> i64 {
    t.db.read().fetch_one("SELECT COUNT(*) FROM idempotency_keys", vec![], |row| row.get(0)).await.unwrap()
}

async fn known<K: StatusKind>(t: &TestDb, family: FamilyId, keys: &[&str]) -> Vec<String> {
    let known = status::known_keys::<K>(&mut t.db.read(), &permit(family), keys).await.unwrap();
    let mut known: Vec<String> = known.into_iter().collect();
    known.sort();
    known
}

both_engines! {
    async fn a_request_is_found_by_account_operation_and_key(t: TestDb) {
        let (elder, guardian) = (t.elder().await, t.guardian().await);
        let said = [Some("a"), None];
        let keyed = Keyed::new(elder, "notify", "key", &said);
        assert_eq!(earlier(&t, &keyed).await, None);
        remember(&t, &keyed, RowId(7)).await.unwrap();
        assert_eq!(earlier(&t, &keyed).await, Some(Earlier::Same(RowId(7))));
        assert_eq!(earlier(&t, &Keyed::new(elder, "notify", "key", &[Some("a"), Some("")])).await, Some(Earlier::Other));
        for other in [
            Keyed::new(guardian, "notify", "key", &said),
            Keyed::new(elder, "send", "key", &said),
            Keyed::new(elder, "notify", "KEY", &said),
        ] {
            assert_eq!(earlier(&t, &other).await, None);
            remember(&t, &other, RowId(8)).await.unwrap();
        }
        assert_eq!(earlier(&t, &keyed).await, Some(Earlier::Same(RowId(7))));
    }

    async fn a_key_is_remembered_once(t: TestDb) {
        let elder = t.elder().await;
        let keyed = |said| Keyed::new(elder, "notify", "key", &[Some(said)]);
        remember(&t, &keyed("a"), RowId(7)).await.unwrap();
        for said in ["a", "b"] {
            // Not within `transact!`, which tries again.
            let mut tx = t.db.begin().await.unwrap();
            let refused = idempotency::remember(&mut tx, &keyed(said), RowId(8), t.now()).await;
            assert!(matches!(refused, Err(DbError::Conflict(_))), "{refused:?}");
            tx.rollback().await;
        }
        assert_eq!(earlier(&t, &keyed("a")).await, Some(Earlier::Same(RowId(7))));
        let nobody = AccountId::parse("U234567890123456").unwrap();
        let refused = remember(&t, &Keyed::new(nobody, "notify", "key", &[]), RowId(9)).await;
        assert!(matches!(refused, Err(DbError::MissingParent)), "{refused:?}");
    }

    async fn a_key_goes_with_the_transaction_that_carries_the_request_out(t: TestDb) {
        let keyed = Keyed::new(t.elder().await, "notify", "key", &[]);
        let mut tx = t.db.begin().await.unwrap();
        idempotency::remember(&mut tx, &keyed, RowId(7), t.now()).await.unwrap();
        assert_eq!(idempotency::earlier(&mut tx, &keyed).await.unwrap(), Some(Earlier::Same(RowId(7))));
        tx.rollback().await;
        assert_eq!(earlier(&t, &keyed).await, None);
    }

    async fn old_keys_are_forgotten_a_thousand_at_a_time(t: TestDb) {
        let elder = t.elder().await;
        let at = |number: i64| t.now().plus_millis(number);
        transact!(t.db, tx => {
            for number in 0..1_500_i64 {
                let keyed = Keyed::new(elder, "notify", &number.to_string(), &[]);
                idempotency::remember(&mut tx, &keyed, RowId(number), at(number)).await?;
            }
            Ok::<_, DbError>(())
        })
        .unwrap();
        let forget = async || transact!(t.db, tx => { idempotency::forget(&mut tx, at(1_400)).await }).unwrap();
        assert_eq!((forget().await, forget().await, forget().await), (1_000, 400, 0));
        let left = Keyed::new(elder, "notify", "1400", &[]);
        assert_eq!((count(&t).await, earlier(&t, &left).await), (100, Some(Earlier::Same(RowId(1_400)))));
    }

    async fn the_keys_of_a_deleted_account_are_emptied(t: TestDb) {
        let (elder, other) = (t.elder().await, t.elder().await);
        for number in 0..20 {
            // Their hashes are bytes that are no text.
            remember(&t, &Keyed::new(elder, "notify", &number.to_string(), &[]), RowId(number)).await.unwrap();
        }
        remember(&t, &Keyed::new(other, "notify", "key", &[]), RowId(7)).await.unwrap();
        assert!(transact!(t.db, tx => { accounts::delete(&mut tx, &permit(elder), t.now()).await }).unwrap());
        while deletion::step(&t.db).await.unwrap() {}
        assert_eq!(count(&t).await, 1);
    }

    async fn the_keys_that_reports_of_a_kind_have_are_known(t: TestDb) {
        let (family, other) = (t.family().await, t.family().await);
        for (family, key) in [(family, "a"), (family, "b"), (other, "c")] {
            let report = NewReport { source_key: Some(key.to_owned()), ..t.new_report(sample::<Home>(1)) };
            status::append(&t.db, &permit(family), &report).await.unwrap();
        }
        t.report(family, sample::<Home>(2)).await;
        assert_eq!(known::<Home>(&t, family, &["b", "c", "a", "a", "A", "a "]).await, ["a", "b"]);
        assert_eq!(known::<Home>(&t, other, &["a", "c"]).await, ["c"]);
        assert_eq!(known::<Home>(&t, family, &[]).await, [""; 0]);
        assert_eq!(known::<Health>(&t, family, &["a"]).await, [""; 0], "each kind has keys of its own");
    }
}
