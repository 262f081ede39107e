//! Two servers on one MariaDB, as behind a load balancer.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use carebot_testkit::Engine;
use serde_json::json;

use crate::support::load::{Ledger, Load};
use crate::support::people::{House, PASSWORD};
use crate::support::place::Place;
use crate::support::program::Program;
use crate::support::until;

async fn both(place: &Place, settings: &[&str]) -> (Program, Program) {
    // At once, on a schema without a table: the one that comes second waits for the first.
    tokio::join!(Program::start(&place.url, settings), Program::start(&place.url, settings))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_on_one_ends_on_the_other_within_two_seconds() {
    let place = Place::new(Engine::MariaDb);
    let (one, other) = both(&place, &[]).await;
    ends_within(&one, &other, Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_on_one_ends_on_the_other_at_once_without_the_cache() {
    let place = Place::new(Engine::MariaDb);
    let (one, other) = both(&place, &["sessions.cache_ms=0"]).await;
    ends_within(&one, &other, Duration::ZERO).await;
}

/// Signs out and removes a member on one server and looks at what the other lets them do.
async fn ends_within(one: &Program, other: &Program, limit: Duration) {
    let house = House::new(one.address).await;
    let (guardian, member) = house.guardian(one.address).await;
    let path = format!("/families/{}", house.family);
    let mut there = guardian.client(other.address);

    assert_eq!(there.get(&path).await.status, 200, "the other has it in its cache now");
    let mut elder = house.elder.client(one.address);
    let kicked = elder.must("DELETE", &format!("/members/kick/{member}"), Some(&json!({"password": PASSWORD}))).await;
    assert_eq!(kicked.status, 200, "{}", kicked.json());
    assert_eq!(guardian.client(one.address).get(&path).await.status, 403, "at once where it was done");
    forbidden_within(limit, async || there.get(&path).await.status).await;

    assert_eq!(there.get("/messages/new").await.status, 200, "still signed in");
    assert_eq!(guardian.client(one.address).post("/auth/logout", json!({})).await.status, 200);
    assert_eq!(guardian.client(one.address).get("/messages/new").await.status, 403, "at once where it was done");
    forbidden_within(limit, async || there.get("/messages/new").await.status).await;
}

/// Asserts that a request that begins later than that is refused, however long the answer takes.
async fn forbidden_within(limit: Duration, mut status: impl AsyncFnMut() -> u16) {
    let ended = Instant::now();
    let mut began = ended.elapsed();
    until("the other server has noticed", async || {
        began = ended.elapsed();
        let is_refused = status().await == 403;
        assert!(is_refused || began <= limit, "still allowed what began {began:?} after the end");
        is_refused
    })
    .await;
    println!("noticed by the other server after {began:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_write_at_once_number_their_rows_apart() {
    let place = Place::new(Engine::MariaDb);
    let (one, other) = both(&place, &[]).await;
    let houses = House::several(one.address, 4).await;
    let ledger = Arc::new(Ledger::default());
    // Both write for the same families.
    let loads = [&one, &other].map(|program| Load::start(program.address, &houses, &ledger, false, 0));
    ledger.more_acknowledged(2_000).await;
    for load in loads {
        load.finish().await;
    }
    assert_eq!(ledger.statuses().into_keys().collect::<Vec<_>>(), [201]);
    ledger.holds_in(&place).await;

    let db = place.open().await;
    let numbers = "SELECT id FROM home_status UNION ALL SELECT id FROM messages UNION ALL SELECT id FROM notifications";
    let numbers = db.read().fetch(numbers, vec![], |row| row.get::<i64>(0)).await.expect("the numbers can be read");
    let different: HashSet<_> = numbers.iter().collect();
    assert_eq!(different.len(), numbers.len(), "numbers are unique over both servers and all tables");
}
