use std::time::Duration;

use carebot_database::{Db, leases};

use crate::prelude::*;

const LENGTH: Duration = Duration::from_secs(90);

async fn claim(db: &Db, t: &TestDb, name: &'static str, holder: i64) -> bool {
    leases::claim(db, name, holder, t.now(), LENGTH).await.unwrap()
}

both_engines! {
    async fn what_a_clock_that_was_wrong_has_taken_is_free(t: TestDb) {
        let ahead = t.now().plus_millis(9 * 3_600_000);
        assert!(leases::claim(&t.db, "news", 1, ahead, LENGTH).await.unwrap());
        assert!(claim(&t.db, &t, "news", 2).await, "its holder may be gone");
        let skewed = t.now().plus_millis(60_000);
        assert!(leases::claim(&t.db, "weather", 1, skewed, LENGTH).await.unwrap());
        assert!(!claim(&t.db, &t, "weather", 2).await, "clocks differ a little");
    }

    async fn of_two_one_holds_a_lease_until_it_runs_out_or_is_given_back(t: TestDb) {
        let other = t.open_again().await;
        assert!(claim(&t.db, &t, "news", 1).await);
        assert!(claim(&other, &t, "disasters", 2).await, "another lease");
        assert!(!claim(&other, &t, "news", 2).await);
        assert!(claim(&t.db, &t, "news", 1).await, "its holder prolongs it");
        t.clock.advance(60_000);
        assert!(claim(&t.db, &t, "news", 1).await);
        t.clock.advance(60_000);
        assert!(!claim(&other, &t, "news", 2).await, "it was prolonged");
        t.clock.advance(30_001);
        assert!(claim(&other, &t, "news", 2).await, "it ran out");
        assert!(!claim(&t.db, &t, "news", 1).await);

        leases::release(&t.db, "news", 1).await.unwrap();
        assert!(!claim(&t.db, &t, "news", 1).await, "only its holder gives it back");
        leases::release(&other, "news", 2).await.unwrap();
        assert!(claim(&t.db, &t, "news", 1).await);
        leases::release_all(&other, 2).await.unwrap();
        assert!(claim(&t.db, &t, "disasters", 1).await);
        assert!(!claim(&other, &t, "news", 2).await, "the leases of others stay");
    }

    async fn of_many_that_ask_at_once_one_gets_it(t: TestDb) {
        for round in 0..5 {
            let asking: Vec<_> = (0..8)
                .map(|holder| {
                    let t = t.clone();
                    tokio::spawn(async move { claim(&t.db, &t, "news", round * 8 + holder).await })
                })
                .collect();
            let mut holders = 0;
            for asked in asking {
                holders += u32::from(asked.await.unwrap());
            }
            assert_eq!(holders, 1);
            t.clock.advance(90_001);
        }
    }
}
