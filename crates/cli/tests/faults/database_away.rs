//! MariaDB dies, comes back, or goes silent, while people write and read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use carebot_testkit::mariadb::{Options, Server};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::http::{Answer, Client};
use crate::support::load::{Ledger, Load};
use crate::support::people::House;
use crate::support::place::Place;
use crate::support::program::{IMPATIENT, Program};
use crate::support::until;

async fn start_mariadb() -> Arc<Server> {
    let start = || Server::start(Options { durable: true, ..Options::default() }).expect("MariaDB starts");
    Arc::new(tokio::task::spawn_blocking(start).await.expect("it does not panic"))
}

async fn restart(mariadb: &Arc<Server>) {
    let mariadb = Arc::clone(mariadb);
    tokio::task::spawn_blocking(move || mariadb.restart().expect("MariaDB starts again")).await.expect("no panic");
}

/// Asks again and again for things that are his, until he is stopped; nobody may send him away meanwhile.
async fn reads_on(mut client: Client, house: House, stop: CancellationToken) -> (usize, usize) {
    let token = json!({"session_id": house.elder.token});
    let (mut served, mut refused) = (0, 0);
    while !stop.is_cancelled() {
        let requests = [
            ("GET", format!("/status/home/latest/{}", house.family), None),
            ("GET", "/messages/new".to_owned(), None),
            ("POST", "/auth/check".to_owned(), Some(&token)),
            ("PATCH", "/auth/auto-login".to_owned(), None),
            ("GET", format!("/families/{}", house.family), None),
        ];
        for (method, path, body) in requests {
            let answer = client.must(method, &path, body).await;
            if answer.status == 200 {
                served += 1;
            } else {
                assert_is_away(&answer, &path);
                refused += 1;
            }
        }
    }
    (served, refused)
}

fn assert_is_away(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 503, "{what}: {}", answer.json());
    assert_eq!(answer.json()["detail"]["type"], "unavailable", "{what}");
    assert_eq!(answer.header("retry-after"), Some("2"), "{what}");
}

fn assert_all_were_told(ledger: &Ledger) {
    let statuses = ledger.statuses();
    assert!(statuses.keys().all(|status| [201, 503].contains(status)), "{statuses:?}");
    assert!(ledger.answers().iter().all(|told| told.status != Some(503) || told.retry_after));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_dies_and_comes_back_loses_nothing_and_sends_nobody_away() {
    let mariadb = start_mariadb().await;
    let place = Place::on(&mariadb);
    // Without the cache every request has to ask the database who calls.
    let program = Program::start(&place.url, &[IMPATIENT[0], IMPATIENT[1], "sessions.cache_ms=0"]).await;
    let houses = House::several(program.address, 4).await;
    let ledger = Arc::new(Ledger::default());
    let load = Load::start(program.address, &houses, &ledger, true, 0);
    ledger.more_acknowledged(100).await;
    let stop = CancellationToken::new();
    let reader = tokio::spawn(reads_on(houses[0].elder.client(program.address), houses[0].clone(), stop.clone()));
    for _ in 0..3 {
        ledger.more_acknowledged(200).await;
        mariadb.kill9().expect("MariaDB can be killed");
        let refused = ledger.count(503);
        until("writers are refused", async || ledger.count(503) >= refused + 100).await;
        restart(&mariadb).await;
        let back = Instant::now();
        ledger.more_acknowledged(1).await;
        println!("served again {:?} after the database was", back.elapsed());
    }
    ledger.more_acknowledged(200).await;
    load.finish().await;
    stop.cancel();
    let (served, refused) = reader.await.expect("the reader is never sent away");
    assert!(served > 0 && refused > 0, "{served} served, {refused} refused");
    assert_all_were_told(&ledger);
    let rows = ledger.holds_in(&place).await;
    println!("{:?}, {rows} rows", ledger.statuses());
    assert_eq!(Client::new(program.address, None).get("/readyz").await.status, 200);
}

/// A database that is gone refuses at once; one that is silent keeps connections open and answers nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_silent_requests_are_refused_and_not_kept_waiting() {
    let mariadb = start_mariadb().await;
    let place = Place::on(&mariadb);
    let program = Program::start(&place.url, &[IMPATIENT[0], IMPATIENT[1], "sessions.cache_ms=0"]).await;
    let houses = House::several(program.address, 4).await;
    let ledger = Arc::new(Ledger::default());
    let load = Load::start(program.address, &houses, &ledger, true, 0);
    ledger.more_acknowledged(200).await;

    mariadb.pause().expect("MariaDB can be frozen");
    let mut readers: JoinSet<u16> = (0..40)
        .map(|_| {
            let (mut client, path) =
                (houses[0].elder.client(program.address), format!("/families/{}", houses[0].family));
            async move { client.get(&path).await.status }
        })
        .collect();
    // There are 15 connections: whoever has none is told so, and the others may wait for their answer.
    let mut read = Vec::new();
    while read.len() < 25 {
        read.push(readers.join_next().await.expect("there are more").expect("it is answered"));
    }
    assert!(read.iter().all(|status| *status == 503), "{read:?}");
    mariadb.resume().expect("MariaDB goes on");
    let back = Instant::now();
    ledger.more_acknowledged(1).await;
    println!("served again {:?} after the database was", back.elapsed());
    ledger.more_acknowledged(500).await;
    load.finish().await;
    read.extend(readers.join_all().await);
    let refused = read.iter().filter(|status| **status == 503).count();
    assert!(read.iter().all(|status| [200, 503].contains(status)), "{read:?}");

    assert_all_were_told(&ledger);
    let slowest = ledger.answers().iter().map(|told| told.took).max().unwrap_or_default();
    assert!(slowest < Duration::from_secs(20), "{slowest:?}");
    let rows = ledger.holds_in(&place).await;
    println!("{:?}, slowest {slowest:?}, {rows} rows, {refused} of 40 readers refused", ledger.statuses());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_stays_silent_holds_no_request_and_no_shutdown_for_ever() {
    let mariadb = start_mariadb().await;
    let place = Place::on(&mariadb);
    let settings = [
        "database.acquire_timeout_seconds=1",
        "database.statement_timeout_seconds=2",
        "server.shutdown_grace_seconds=1",
        "sessions.cache_ms=0",
    ];
    let mut program = Program::start(&place.url, &settings).await;
    let houses = House::several(program.address, 2).await;
    let ledger = Arc::new(Ledger::default());
    let load = Load::start(program.address, &houses, &ledger, true, 0);
    ledger.more_acknowledged(100).await;

    mariadb.pause().expect("MariaDB can be frozen");
    // Writers, some in the middle of a statement, all come to an end though nobody ever answers them.
    let refused = ledger.count(503);
    until("everybody is refused", async || ledger.count(503) >= refused + 34 * 2).await;
    load.finish().await;
    let mut reader = houses[0].elder.client(program.address);
    assert_is_away(&reader.get(&format!("/status/home/latest/{}", houses[0].family)).await, "a reader");
    assert_all_were_told(&ledger);

    program.ask_to_stop();
    let asked = Instant::now();
    let status = program.end().await;
    assert!(status.success(), "{status}");
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    mariadb.resume().expect("MariaDB goes on");
    ledger.holds_in(&place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_starts_before_the_database_waits_for_it() {
    let mariadb = start_mariadb().await;
    let place = Place::on(&mariadb);
    mariadb.stop().expect("MariaDB stops");
    let (program, ()) = tokio::join!(Program::start(&place.url, &[]), restart(&mariadb));
    assert_eq!(Client::new(program.address, None).get("/readyz").await.status, 200);
}
