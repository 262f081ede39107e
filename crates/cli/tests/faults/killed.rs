//! `kill -9` of the server in the middle of those who write.

use std::sync::Arc;

use carebot_testkit::Engine;

use crate::support::load::{Ledger, Load};
use crate::support::people::House;
use crate::support::place::Place;
use crate::support::program::Program;

const ROUNDS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_acknowledged_is_lost_on_sqlite() {
    kill_again_and_again(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_acknowledged_is_lost_on_mariadb() {
    kill_again_and_again(Engine::MariaDb).await;
}

async fn kill_again_and_again(engine: Engine) {
    let place = Place::new(engine);
    let mut server = Program::start(&place.url, &[]).await;
    let houses = House::several(server.address, 8).await;
    let ledger = Arc::new(Ledger::default());
    for round in 0..ROUNDS {
        let load = Load::start(server.address, &houses, &ledger, false, 0);
        // Another moment in every round: sometimes at once, sometimes in full swing.
        ledger.more_acknowledged(1 + round * 37 % 250).await;
        server.kill9();
        load.finish().await;
        server = Program::start(&place.url, &[]).await;
        ledger.holds_in(&place).await;
    }
    let statuses = ledger.statuses();
    assert!(statuses.keys().all(|status| [0, 201].contains(status)), "{statuses:?}");
    assert!(statuses[&0] >= ROUNDS, "some were cut off in every round: {statuses:?}");
    // The program finds it again, too.
    let latest = houses[0].elder.client(server.address).get(&format!("/status/home/latest/{}", houses[0].family)).await;
    assert_eq!(latest.status, 200, "{}", latest.json());
}
