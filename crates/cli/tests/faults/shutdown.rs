//! `SIGTERM`: what is under way is finished.

use std::sync::Arc;

use carebot_testkit::Engine;
use serde_json::json;

use crate::support::http::{Connection, request};
use crate::support::load::{Ledger, Load};
use crate::support::people::House;
use crate::support::place::Place;
use crate::support::program::Program;
use crate::support::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_asked_to_stop_finishes_what_is_under_way_on_sqlite() {
    stop_under_load(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_asked_to_stop_finishes_what_is_under_way_on_mariadb() {
    stop_under_load(Engine::MariaDb).await;
}

async fn stop_under_load(engine: Engine) {
    let place = Place::new(engine);
    let mut program = Program::start(&place.url, &[]).await;
    let houses = House::several(program.address, 4).await;
    let ledger = Arc::new(Ledger::default());
    for _ in 0..3 {
        let load = Load::start(program.address, &houses, &ledger, false, 0);
        ledger.more_acknowledged(200).await;

        // Some are in the middle of sending when the server is asked to stop.
        let report = json!({"family_id": houses[0].family});
        let bytes = request("POST", "/status/active", Some(&houses[0].elder.token), Some(&report));
        let mut halves = Vec::new();
        for _ in 0..8 {
            let mut connection = Connection::open(program.address).await.expect("it listens");
            connection.send(&bytes[..bytes.len() - 5]).await.expect("it listens");
            halves.push(connection);
        }
        // The server has the halves: it answers who came after them.
        ledger.more_acknowledged(200).await;
        program.ask_to_stop();
        until("nobody is let in any more", async || Connection::open(program.address).await.is_err()).await;
        for mut connection in halves {
            connection.send(&bytes[bytes.len() - 5..]).await.expect("it still listens to whom it knows");
            let answer = connection.answer().await.expect("an answer").expect("an answer");
            assert_eq!(answer.status, 201);
            assert_eq!(answer.header("connection"), Some("close"));
        }
        load.finish().await;
        let status = program.end().await;
        assert_eq!(status.code(), Some(0), "{status}");

        let statuses = ledger.statuses();
        assert!(statuses.keys().all(|status| [0, 201].contains(status)), "{statuses:?}");
        // Whatever was begun was answered: nothing is there of which its sender does not know.
        let rows = ledger.holds_in(&place).await;
        assert_eq!(rows, ledger.count(201), "{statuses:?}");
        program = Program::start(&place.url, &[]).await;
    }
}
