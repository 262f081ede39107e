use carebot_database::presence;

use crate::prelude::*;

const HOME: &str = "Fabcdefghijklmno";

fn home() -> FamilyId {
    FamilyId::parse(HOME).unwrap()
}

fn places(accounts: &[AccountId]) -> Vec<presence::Place> {
    accounts.iter().map(|account| (*account, Some(home()))).collect()
}

async fn watches(t: &TestDb, account: AccountId) -> bool {
    presence::is_watching(&mut t.db.read(), account, home(), t.now()).await.unwrap()
}

async fn arrive(t: &TestDb, node: i64, accounts: &[AccountId], millis: i64) {
    let (places, until) = (places(accounts), t.now().plus_millis(millis));
    transact!(t.db, tx => { presence::arrive(&mut tx, node, &places, until).await }).unwrap();
}

both_engines! {
    async fn who_is_watching_is_believed_for_a_while_at_each_server(t: TestDb) {
        let (one, other) = (t.elder().await, t.guardian().await);
        assert!(!watches(&t, one).await);
        arrive(&t, 1, &[one], 90_000).await;
        arrive(&t, 2, &[one, other], 30_000).await;
        assert!(watches(&t, one).await && watches(&t, other).await);
        t.advance(30_000).await;
        assert!(watches(&t, one).await && !watches(&t, other).await);
        // Known ones are renewed, new ones are added.
        arrive(&t, 2, &[one, other], 90_000).await;
        assert!(watches(&t, other).await);
        transact!(t.db, tx => { presence::leave(&mut tx, 2, &places(&[one, other])).await }).unwrap();
        assert!(watches(&t, one).await && !watches(&t, other).await, "of its own node alone");
        transact!(t.db, tx => { presence::leave_all(&mut tx, 1).await }).unwrap();
        assert!(!watches(&t, one).await);
        arrive(&t, 1, &[one], 1_000).await;
        arrive(&t, 1, &[other], 2_000).await;
        t.advance(1_001).await;
        assert_eq!(transact!(t.db, tx => { presence::forget(&mut tx, t.now()).await }).unwrap(), 1);
        assert!(watches(&t, other).await);
    }

    async fn who_watches_one_family_watches_no_other(t: TestDb) {
        let (one, both, other) = (t.guardian().await, t.guardian().await, FamilyId::parse("Fponmlkjihgfedcb").unwrap());
        let taken = [(one, Some(home())), (both, None)];
        let until = t.now().plus_millis(90_000);
        transact!(t.db, tx => { presence::arrive(&mut tx, 1, &taken, until).await }).unwrap();
        for (account, family, expected) in [(one, home(), true), (one, other, false), (both, home(), true), (both, other, true)] {
            let found = presence::is_watching(&mut t.db.read(), account, family, t.now()).await.unwrap();
            assert_eq!(found, expected);
        }
        transact!(t.db, tx => { presence::leave(&mut tx, 1, &taken[1..]).await }).unwrap();
        assert!(watches(&t, one).await && !watches(&t, both).await);
    }

    async fn more_accounts_than_fit_a_statement_arrive_and_leave(t: TestDb) {
        let mut accounts = Vec::new();
        for _ in 0..501 {
            accounts.push(t.guardian().await);
        }
        let count = async || {
            t.db.read().fetch_one("SELECT COUNT(*) FROM stream_places", vec![], |row| row.get::<i64>(0)).await.unwrap()
        };
        for _ in 0..2 {
            arrive(&t, 3, &accounts, 90_000).await;
            assert_eq!(count().await, 501);
        }
        transact!(t.db, tx => { presence::leave(&mut tx, 3, &places(&accounts)).await }).unwrap();
        assert_eq!(count().await, 0);
    }

    async fn another_server_is_seen_while_it_holds_its_node_number(t: TestDb) {
        let company = async |node: i64| presence::has_company(&mut t.db.read(), node, t.now()).await.unwrap();
        let own = t.ids.node();
        assert!(!company(own).await);
        assert!(company(own + 1).await);
        t.clock.advance(120_001);
        assert!(!company(own + 1).await, "it was silent for too long");
    }
}
