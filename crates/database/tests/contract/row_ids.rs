use std::collections::HashSet;
use std::sync::Arc;

use carebot_database::ambient::RowIds;

use crate::prelude::*;

const LEASE: i64 = 120_000;

async fn lease(t: &TestDb) -> Result<RowIds, DbError> {
    RowIds::lease(&t.db, t.now(), &*t.rng).await
}

fn node(id: RowId) -> i64 {
    (id.0 >> RowId::SEQUENCE_BITS) % RowId::NODES
}

async fn leased_until(t: &TestDb, node: i64) -> Timestamp {
    let sql = "SELECT leased_until FROM nodes WHERE node = ?";
    t.db.read().fetch_one(sql, params![node], |row| row.get(0)).await.unwrap()
}

/// Many more than a millisecond holds.
fn burst(ids: &RowIds, now: Timestamp) -> Vec<RowId> {
    (0..1_000).map(|_| ids.next(now).unwrap()).collect()
}

both_engines! {
    async fn servers_never_make_the_same_number(t: TestDb) {
        let leases: Vec<_> = (0..20).map(|_| {
            let t = t.clone();
            tokio::spawn(async move { Arc::new(lease(&t).await.expect("there are enough for all")) })
        }).collect();
        let mut threads = Vec::new();
        for lease in leases {
            let ids = lease.await.unwrap();
            for _ in 0..2 {
                let (ids, now) = (Arc::clone(&ids), t.now());
                threads.push(tokio::task::spawn_blocking(move || burst(&ids, now)));
            }
        }
        let mut all = HashSet::new();
        for thread in threads {
            for id in thread.await.unwrap() {
                assert!(all.insert(id), "{id} twice");
            }
        }
        assert_eq!(all.len(), 40_000);
        assert_eq!(all.iter().map(|id| node(*id)).collect::<HashSet<_>>().len(), 20);
        assert!(all.iter().all(|id| (0..=RowId::MAX).contains(&id.0)));
    }

    async fn numbers_rise_with_the_time_and_when_it_jumps_back(t: TestDb) {
        let ids = lease(&t).await.unwrap();
        let mut last = ids.next(t.now()).unwrap();
        assert_eq!(last.millis() + RowId::EPOCH_MS, t.now().millis());
        for millis in [0, 0, 1, -1, -3_600_000, 5, -1_000_000_000, 100, 1_000] {
            for id in burst(&ids, t.now().plus_millis(millis)) {
                assert!(id > last, "{millis}");
                last = id;
            }
        }
    }

    async fn a_server_that_was_silent_for_too_long_makes_no_more_numbers(t: TestDb) {
        let ids = lease(&t).await.unwrap();
        ids.next(t.now().plus_millis(LEASE)).expect("up to the end of the lease");
        let late = ids.next(t.now().plus_millis(LEASE + 1));
        assert!(matches!(late, Err(DbError::Unavailable(_))), "{late:?}");
    }

    async fn a_lease_can_be_prolonged_as_long_as_nobody_else_took_it(t: TestDb) {
        let ids = lease(&t).await.unwrap();
        let own = node(ids.next(t.now()).unwrap());
        t.clock.advance(LEASE - 1);
        ids.renew(&t.db, t.now()).await.unwrap();
        t.clock.advance(LEASE);
        ids.next(t.now()).expect("the renewed lease holds");
        t.clock.advance(1_000_000);
        assert!(ids.next(t.now()).is_err());
        ids.renew(&t.db, t.now()).await.expect("late, but nobody took it");
        ids.next(t.now()).unwrap();

        let until = leased_until(&t, own).await;
        ids.renew(&t.db, t.now().plus_millis(-500_000)).await.unwrap();
        assert_eq!(leased_until(&t, own).await, until, "never backwards");

        t.db.execute("UPDATE nodes SET holder = 42 WHERE node = ?", params![own]).await.unwrap();
        let stolen = ids.renew(&t.db, t.now()).await;
        assert!(matches!(stolen, Err(DbError::Conflict(_))), "{stolen:?}");
        let before = ids.next(t.now()).unwrap();
        t.clock.advance(LEASE + 1);
        ids.take_another(&t.db, t.now(), &*t.rng).await.expect("others are free");
        let after = ids.next(t.now()).expect("and it numbers on");
        assert!(node(after) != own && after > before);
    }

    async fn the_next_holder_of_a_node_repeats_nothing(t: TestDb) {
        // All other nodes are taken for ever, so that the same one comes round.
        let ids = lease(&t).await.unwrap();
        let own = node(ids.next(t.now()).unwrap());
        let far = t.now().plus_millis(1_000_000_000);
        t.db.execute("UPDATE nodes SET leased_until = ? WHERE node <> ?", params![far, own]).await.unwrap();
        let mut seen: HashSet<RowId> = burst(&ids, t.now().plus_millis(LEASE - 1_000)).into_iter().collect();

        let refused = lease(&t).await;
        assert!(matches!(refused, Err(DbError::Unavailable(_))), "all are taken: {refused:?}");
        // It crashed. At the end of the lease the node is still its own, a millisecond later free.
        t.clock.advance(LEASE);
        assert!(lease(&t).await.is_err());
        t.clock.advance(1);
        let second = lease(&t).await.unwrap();
        for id in burst(&second, t.now()).into_iter().chain(burst(&second, t.now().plus_millis(-100_000))) {
            assert_eq!(node(id), own);
            assert!(seen.insert(id), "{id} twice");
        }
        // It stops in good order, right after a burst that borrowed from the future.
        second.release(&t.db).await.unwrap();
        assert!(second.next(t.now()).is_err(), "given back is given back");
        t.clock.advance(100);
        let third = lease(&t).await.expect("at once, not when the lease would have ended");
        for id in burst(&third, t.now()) {
            assert_eq!(node(id), own);
            assert!(seen.insert(id), "{id} twice");
        }
        ids.release(&t.db).await.unwrap();
        third.renew(&t.db, t.now()).await.expect("the first holder can no longer give it back");
    }

    async fn the_longest_free_node_is_taken_first(t: TestDb) {
        let first = lease(&t).await.unwrap();
        let own = node(first.next(t.now()).unwrap());
        first.release(&t.db).await.unwrap();
        t.clock.advance(1_000);
        let second = lease(&t).await.unwrap();
        assert_ne!(node(second.next(t.now()).unwrap()), own, "a clock that is wrong has the most room");
    }

    async fn sixty_four_servers_and_no_more(t: TestDb) {
        // The test has one already.
        let mut all = Vec::new();
        for _ in 1..RowId::NODES {
            all.push(lease(&t).await.unwrap());
        }
        let one_more = lease(&t).await;
        assert!(matches!(&one_more, Err(DbError::Unavailable(text)) if text.contains("64")), "{one_more:?}");
        all[7].release(&t.db).await.unwrap();
        t.clock.advance(10);
        lease(&t).await.expect("one is free again");
    }
}
