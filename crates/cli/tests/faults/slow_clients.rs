//! Clients that take their time, or go away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use carebot_testkit::Engine;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::http::{Answer, Client, Connection, request};
use crate::support::load::{Ledger, Load};
use crate::support::people::House;
use crate::support::place::Place;
use crate::support::program::Program;
use crate::support::until;

/// A name, what is sent at once, what follows byte by byte, and the status of the answer if there is to be one.
type Case<'a> = (&'static str, &'a [u8], &'a [u8], Option<u16>);

/// Sends a piece at once and the rest byte by byte, never pausing for long; the answer, if one came, and how long it took.
async fn trickle(
    started: Instant,
    mut connection: Connection,
    at_once: &[u8],
    rest: &[u8],
) -> (Option<Answer>, Duration) {
    connection.send(at_once).await.expect("the server listens");
    let answer = connection.answer_while(rest, Duration::from_millis(50)).await;
    (answer, started.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_too_long_is_cut_off() {
    let place = Place::new(Engine::Sqlite);
    let settings = ["server.header_timeout_seconds=1", "server.body_timeout_seconds=1"];
    let program = Program::start(&place.url, &settings).await;
    let house = House::new(program.address).await;
    let report = json!({"family_id": house.family, "others": "x".repeat(10_000)});
    let whole = request("POST", "/status/home", Some(&house.elder.token), Some(&report));
    let head = whole.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    let chunked = b"POST /status/home HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    let many_chunks = "1\r\n \r\n".repeat(10_000);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    let cases: [Case<'_>; 9] = [
        ("says nothing", b"", b"", None),
        ("a word", b"GET", b"", None),
        ("half of an h2 preface", &preface[..10], b"", None),
        ("an h2 preface and no request", preface, b"", None),
        ("half a head", &whole[..20], b"", None),
        ("a head byte by byte", &whole[..40], &[b'a'; 10_000], None),
        ("half a body", &whole[..head + 10], b"", Some(408)),
        ("a body byte by byte", &whole[..head], &whole[head..], Some(408)),
        ("a chunked body byte by byte", chunked, many_chunks.as_bytes(), Some(408)),
    ];
    let mut running = JoinSet::new();
    for (name, at_once, rest, status) in cases {
        // Before the server can begin to wait.
        let started = Instant::now();
        let connection = Connection::open(program.address).await.expect("it listens");
        let (at_once, rest) = (at_once.to_vec(), rest.to_vec());
        running.spawn(async move { (name, status, trickle(started, connection, &at_once, &rest).await) });
    }
    for (name, status, (answer, took)) in running.join_all().await {
        assert_eq!(answer.as_ref().map(|answer| answer.status), status, "{name}: {answer:?}");
        // Not after what is the default: 10 s for a head.
        assert!((Duration::from_secs(1)..Duration::from_secs(9)).contains(&took), "{name}: after {took:?}");
        if let Some(answer) = answer {
            assert_eq!(answer.json()["detail"]["type"], "timeout", "{name}");
            assert_eq!(answer.header("connection"), Some("close"), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_stop_nobody() {
    let place = Place::new(Engine::Sqlite);
    let program = Program::start(&place.url, &["server.header_timeout_seconds=60"]).await;
    let house = House::new(program.address).await;
    let mut idle = Vec::new();
    for number in 0..400 {
        let mut connection = Connection::open(program.address).await.expect("it listens");
        let said: &[u8] =
            [&b""[..], b"GET / HT", b"POST /status/home HTTP/1.1\r\ncontent-length: 9\r\n\r\n"][number % 3];
        connection.send(said).await.expect("it listens");
        idle.push(connection);
    }
    let ledger = Arc::new(Ledger::default());
    let load = Load::start(program.address, &[house], &ledger, false, 0);
    ledger.more_acknowledged(500).await;
    load.finish().await;
    assert_eq!(ledger.statuses().into_keys().collect::<Vec<_>>(), [201]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_is_stored_though_its_robot_has_hung_up_on_sqlite() {
    hang_up(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_is_stored_though_its_robot_has_hung_up_on_mariadb() {
    hang_up(Engine::MariaDb).await;
}

async fn hang_up(engine: Engine) {
    let place = Place::new(engine);
    let program = Program::start(&place.url, &[]).await;
    let house = House::new(program.address).await;
    let mut texts = Vec::new();
    for number in 0..100 {
        // Of every length up to what a connection holds in one piece and beyond.
        let text = format!("{number} {}", "x".repeat(number * 500));
        let report = json!({"family_id": house.family, "others": text});
        let mut connection = Connection::open(program.address).await.expect("it listens");
        let bytes = request("POST", "/status/home", Some(&house.elder.token), Some(&report));
        connection.send(&bytes).await.expect("it listens");
        drop(connection);
        texts.push(text);
    }
    until("all are stored", async || place.written().await.len() == texts.len()).await;
    let written = place.written().await;
    assert!(texts.iter().all(|text| written.get(text) == Some(&1)));
    assert_eq!(Client::new(program.address, None).get("/healthz").await.status, 200);
}
