//! Bytes that no client sends by mistake: never a 5xx, never a crash, and everybody else is served meanwhile.

use std::net::SocketAddr;
use std::sync::Arc;

use carebot_testkit::Engine;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::http::{Connection, request};
use crate::support::load::{Ledger, Load};
use crate::support::people::House;
use crate::support::place::Place;
use crate::support::program::Program;

/// What may come back: the status of each answer, in order.
#[derive(Clone, Debug)]
enum Expected {
    /// Exactly these.
    These(Vec<u16>),
    /// Whatever is no 5xx, or the end of the connection.
    Anything,
}

struct Case {
    name: String,
    bytes: Vec<u8>,
    expected: Expected,
}

/// All cases, written as name, bytes and the statuses they are to get.
#[derive(Default)]
struct Cases(Vec<Case>);

impl Cases {
    fn gets(&mut self, statuses: &[u16], name: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.push(Case { name: name.into(), bytes: bytes.into(), expected: Expected::These(statuses.to_vec()) });
    }

    fn survives(&mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.push(Case { name: name.into(), bytes: bytes.into(), expected: Expected::Anything });
    }
}

/// A head with these lines and a body.
fn raw(line: &[u8], headers: &[&[u8]], body: &[u8]) -> Vec<u8> {
    let mut bytes = [line, b"\r\n"].concat();
    for header in headers {
        bytes.extend_from_slice(header);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

const HOST: &[u8] = b"host: carebot";
const JSON: &[u8] = b"content-type: application/json";
const CHUNKED: &[u8] = b"transfer-encoding: chunked";
const HEALTH: &[u8] = b"GET /healthz HTTP/1.1";
const CHECK: &[u8] = b"POST /accounts/check-email HTTP/1.1";

fn starts(cases: &mut Cases) {
    for (name, line) in [
        ("HTTP/0.9", &b"GET /healthz"[..]),
        ("no version", b"GET /healthz "),
        ("version 9.9", b"GET /healthz HTTP/9.9"),
        ("version 2.0 in text", b"GET /healthz HTTP/2.0"),
        ("no path", b"GET  HTTP/1.1"),
        ("two paths", b"GET /healthz /healthz HTTP/1.1"),
        ("a path without a slash", b"GET healthz HTTP/1.1"),
        ("NUL in the path", b"GET /health\0z HTTP/1.1"),
        ("a control character in the path", b"GET /health\x01z HTTP/1.1"),
        ("NUL in the method", b"GE\0T /healthz HTTP/1.1"),
        ("bytes that are not UTF-8 in the path", b"GET /healthz\xff\xfe HTTP/1.1"),
        ("a fragment", b"GET /healthz#x HTTP/1.1"),
        ("a greeting of another protocol", b"SSH-2.0-OpenSSH_9.2"),
        ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        ("noise", b"\x00\xff\x80\x7f\r\n\r\n\x01\x02"),
    ] {
        cases.survives(name, raw(line, &[HOST], b""));
    }
    cases.survives("nothing but line ends", "\r\n".repeat(50_000));
    cases.survives("a method of 10,000 letters", raw(&[&[b'A'; 10_000], &b" / HTTP/1.1"[..]].concat(), &[HOST], b""));
    for (status, line) in [
        (404, &b"BREW /pot HTTP/1.1"[..]),
        (405, b"BREW /healthz HTTP/1.1"),
        (405, b"get /healthz HTTP/1.1"),
        (405, b"TRACE /healthz HTTP/1.1"),
        (200, b"GET http://evil.example/healthz HTTP/1.1"),
        (200, b"GET http://evil.example:99/healthz?a=b HTTP/1.1"),
        (303, b"GET http://evil.example HTTP/1.1"),
        (303, b"GET / HTTP/1.1"),
        (404, b"GET // HTTP/1.1"),
        (404, b"GET //evil.example/healthz HTTP/1.1"),
        (404, b"GET /../../etc/passwd HTTP/1.1"),
        (404, b"GET /docs/../../etc/passwd HTTP/1.1"),
        (404, b"GET /docs/%2e%2e%2f%2e%2e%2fetc%2fpasswd HTTP/1.1"),
        (404, b"GET /healthz%00 HTTP/1.1"),
        (404, b"GET /%ff%fe HTTP/1.1"),
        (404, b"GET /%zz HTTP/1.1"),
        (403, b"GET /accounts/%ff%fe HTTP/1.1"),
        (403, b"GET /accounts/%00 HTTP/1.1"),
        (403, b"GET /families/'%20OR%20''=' HTTP/1.1"),
        (404, b"PATCH /messages/read/99999999999999999999999 HTTP/1.1"),
        (422, b"GET /members?familyId=%ff%fe%00 HTTP/1.1"),
        (422, b"GET /members?familyId=%zz&&&=&=%&userId HTTP/1.1"),
        (422, b"GET /status/home/F000000000000000?start=%00 HTTP/1.1"),
        (422, b"GET /status/home/F000000000000000?start=1e999 HTTP/1.1"),
        (404, b"CONNECT evil.example:443 HTTP/1.1"),
    ] {
        cases.gets(&[status], String::from_utf8_lossy(line), raw(line, &[HOST], b""));
    }
    cases.survives("OPTIONS *", raw(b"OPTIONS * HTTP/1.1", &[HOST], b""));
    cases.survives("an absolute URL with no such port", raw(b"GET http://a:99999/healthz HTTP/1.1", &[HOST], b""));
    for length in [10_000, 60_000, 200_000] {
        let line = format!("GET /{} HTTP/1.1", "a".repeat(length));
        cases.survives(format!("a path of {length} bytes"), raw(line.as_bytes(), &[HOST], b""));
        let line = format!("GET /healthz?{} HTTP/1.1", "a=&".repeat(length / 3));
        cases.survives(format!("a query of {length} bytes"), raw(line.as_bytes(), &[HOST], b""));
    }
}

fn headers(cases: &mut Cases) {
    let long = [b"x: ".to_vec(), vec![b'a'; 100_000]].concat();
    cases.gets(&[431], "100 KB in one header", raw(HEALTH, &[HOST, &long], b""));
    let many: Vec<Vec<u8>> = (0..10_000).map(|number| format!("x-{number}: y").into_bytes()).collect();
    cases.gets(&[431], "10,000 headers", raw(HEALTH, &many.iter().map(Vec::as_slice).collect::<Vec<_>>(), b""));
    for (name, header) in [
        ("NUL in a header", &b"x: a\0b"[..]),
        ("NUL in a header's name", b"x\0y: a"),
        ("a header without a colon", b"nonsense"),
        ("a header without a name", b": a"),
        ("a blank before the colon", b"x : a"),
        ("a folded header", b"x: a\r\n b"),
        ("a line end without its first half", b"x: a\nHost: evil"),
        ("a line end without its second half", b"x: a\rHost: evil"),
        ("two hosts", b"host: evil.example"),
        ("a host that is none", b"host: @@@/../%00"),
        ("an upgrade to h2c", b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: %%%"),
        ("an upgrade to a socket", b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x"),
        ("an unknown expectation", b"expect: miracles"),
    ] {
        cases.survives(name, raw(HEALTH, &[HOST, header], b""));
    }
    let token = [&b"cookie: session_id="[..], &vec![b'a'; 50_000]].concat();
    let cookies = [&b"cookie: "[..], "session_id=x; ".repeat(3_000).as_bytes()].concat();
    for (name, header) in [
        ("a cookie that is not text", &b"cookie: session_id=\xff\xfe\x80"[..]),
        ("a cookie that is nothing", b"cookie: ;;;=;=;session_id"),
        ("a cookie with a quote", b"cookie: session_id=\"' OR ''='\"; Path=/"),
        ("a cookie of 50,000 bytes", &token),
        ("3,000 cookies", &cookies),
        ("bytes that are no forwarded address", b"x-forwarded-for: \xff, 999.999.999.999, ::::"),
        ("a request id that is none", b"x-request-id: \xff\x80"),
        ("an odd accept-encoding", b"accept-encoding: gzip;q=0.0000001, *;q=-1, \xff"),
        ("a range", b"range: bytes=0-99999999999999999999"),
    ] {
        cases.gets(&[403], name, raw(b"GET /messages/new HTTP/1.1", &[HOST, header, b"connection: close"], b""));
    }
    cases.gets(
        &[403],
        "an origin that is not text",
        raw(CHECK, &[HOST, b"origin: \xff\xfe", b"content-length: 0"], b""),
    );
    let asked = [&b"access-control-request-headers: "[..], &vec![b'a'; 50_000]].concat();
    let preflight = [HOST, b"origin: null", b"access-control-request-method: \xff", &asked];
    cases.gets(&[400], "a preflight that asks for a lot", raw(b"OPTIONS /accounts HTTP/1.1", &preflight, b""));
}

fn lengths(cases: &mut Cases) {
    for length in ["-1", "+2", "0x2", "1 2", "2, 3", "99999999999999999999999", "", "two"] {
        let header = format!("content-length: {length}");
        cases.gets(&[400], header.clone(), raw(CHECK, &[HOST, JSON, header.as_bytes()], b"{}"));
    }
    let two = [HOST, JSON, b"content-length: 2", b"content-length: 3"];
    cases.gets(&[400], "two lengths", raw(CHECK, &two, b"{}x"));
    for coding in ["xchunked", "chunked, identity", "chunked\x0b", "gzip"] {
        let header = format!("transfer-encoding: {coding}");
        cases.gets(&[400], header.clone(), raw(CHECK, &[HOST, JSON, header.as_bytes()], b"2\r\n{}\r\n0\r\n\r\n"));
    }
    let spaced = [HOST, JSON, b"transfer-encoding : chunked"];
    cases.gets(&[400], "a blank before the colon of a coding", raw(CHECK, &spaced, b"0\r\n\r\n"));
    // What one program takes for the end of a request and another one not: never more answers than requests, and what
    // follows is never read as a request in somebody's name.
    let hidden = b"GET /accounts HTTP/1.1\r\nhost: carebot\r\n\r\n";
    for (name, first, second) in [
        ("both lengths, chunks first", CHUNKED, &b"content-length: 6"[..]),
        ("both lengths, chunks last", b"content-length: 6", CHUNKED),
    ] {
        let headers = [HOST, JSON, first, second];
        cases.gets(&[422], name, raw(CHECK, &headers, &[&b"0\r\n\r\n"[..], hidden].concat()));
    }
    let ten = raw(b"POST /status/home HTTP/1.0", &[HOST, JSON, CHUNKED], &[&b"0\r\n\r\n"[..], hidden].concat());
    cases.gets(&[400], "chunks in HTTP/1.0", ten);
    for (name, body) in [
        ("a chunk's size that is none", b"zz\r\n{}\r\n0\r\n\r\n".to_vec()),
        ("a negative chunk", b"-1\r\n{}\r\n0\r\n\r\n".to_vec()),
        ("a chunk as large as the universe", b"FFFFFFFFFFFFFFFFFFF\r\n{}\r\n".to_vec()),
        ("a chunk almost as large", b"FFFFFFFFFFFFFFFE\r\n{}\r\n".to_vec()),
        ("a chunk that is longer than it says", b"1\r\n{}\r\n0\r\n\r\n".to_vec()),
        ("chunks without an end", b"2\r\n{}\r\n".to_vec()),
        ("100 KB behind a chunk's size", [&b"2;"[..], &vec![b'a'; 100_000], b"\r\n{}\r\n0\r\n\r\n"].concat()),
        ("10,000 trailers", [&b"2\r\n{}\r\n0\r\n"[..], "x: y\r\n".repeat(10_000).as_bytes(), b"\r\n"].concat()),
        ("a million empty lines", "\r\n".repeat(1_000_000).into_bytes()),
    ] {
        cases.survives(name, raw(CHECK, &[HOST, JSON, CHUNKED], &body));
    }
}

fn bodies(cases: &mut Cases) {
    let ten_megabytes = vec![b' '; 10 << 20];
    let length = format!("content-length: {}", ten_megabytes.len());
    cases.gets(&[413], "10 MB", raw(CHECK, &[HOST, JSON, length.as_bytes()], &ten_megabytes));
    let chunk = [format!("{:x}\r\n", ten_megabytes.len()).as_bytes(), &ten_megabytes, b"\r\n0\r\n\r\n"].concat();
    cases.gets(&[413], "10 MB in one chunk", raw(CHECK, &[HOST, JSON, CHUNKED], &chunk));
    let chunks = "400\r\n".to_owned() + &" ".repeat(1024) + "\r\n";
    let chunks = chunks.repeat(10 << 10) + "0\r\n\r\n";
    cases.gets(&[413], "10 MB in 10,240 chunks", raw(CHECK, &[HOST, JSON, CHUNKED], chunks.as_bytes()));
    let expecting = [HOST, JSON, length.as_bytes(), b"expect: 100-continue"];
    cases.gets(&[413], "10 MB that ask first", raw(CHECK, &expecting, b""));
    cases.gets(
        &[413],
        "a length of an exabyte",
        raw(CHECK, &[HOST, JSON, b"content-length: 1000000000000000000"], b"{"),
    );
    for (name, body) in [
        ("deep", "[".repeat(500_000)),
        ("deep and whole", "{\"a\":".repeat(10_000) + "1" + &"}".repeat(10_000)),
        ("a long number", "{\"email\":".to_owned() + &"9".repeat(500_000) + "}"),
        ("NaN", "{\"email\":NaN}".to_owned()),
        ("a lone surrogate", "{\"email\":\"\\ud800\"}".to_owned()),
        ("100,000 times the same key", format!("{{{}\"b\":1}}", "\"email\":1,".repeat(100_000))),
        ("nothing but quotes", "\"".repeat(500_000)),
    ] {
        let length = format!("content-length: {}", body.len());
        cases.gets(&[422], name, raw(CHECK, &[HOST, JSON, length.as_bytes(), b"connection: close"], body.as_bytes()));
    }
    let not_utf8 = b"{\"email\":\"\xff\xfe\"}";
    cases.gets(&[422], "not UTF-8", raw(CHECK, &[HOST, JSON, b"content-length: 14"], not_utf8));
    for kind in [
        "text/plain",
        "application/json; charset=utf-7",
        "multipart/form-data",
        "\u{ff}",
        "application/x-www-form-urlencoded",
    ] {
        let header = format!("content-type: {kind}");
        cases.survives(header.clone(), raw(CHECK, &[HOST, header.as_bytes(), b"content-length: 2"], b"{}"));
    }
}

/// The statuses of the answers in what a server said. One that only says "go on" is none.
fn statuses(said: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(said);
    let lines = text.split("HTTP/1.").skip(1).filter_map(|rest| rest.get(2..5)?.parse().ok());
    lines.filter(|status| *status != 100).collect()
}

async fn run(address: SocketAddr, case: Case) -> Result<(), String> {
    let connection = Connection::open(address).await.map_err(|error| format!("{}: {error}", case.name))?;
    let said = connection.exchange(&case.bytes).await;
    let statuses = statuses(&said);
    let right = match &case.expected {
        Expected::These(expected) => statuses == *expected,
        Expected::Anything => statuses.iter().all(|status| *status < 500),
    };
    let said = String::from_utf8_lossy(&said[..said.len().min(600)]).into_owned();
    if right { Ok(()) } else { Err(format!("{}: expected {:?}, got {statuses:?}: {said}", case.name, case.expected)) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_bytes_break_nothing() {
    let place = Place::new(Engine::Sqlite);
    let settings = ["server.header_timeout_seconds=10", "server.body_timeout_seconds=20", "server.docs=true"];
    let program = Program::start(&place.url, &settings).await;
    let house = House::new(program.address).await;
    let ledger = Arc::new(Ledger::default());
    let load = Load::start(program.address, &[house], &ledger, false, 0);

    let mut cases = Cases::default();
    starts(&mut cases);
    headers(&mut cases);
    lengths(&mut cases);
    bodies(&mut cases);
    let count = cases.0.len();
    let running: JoinSet<_> = cases.0.into_iter().map(|case| run(program.address, case)).collect();
    let failures: Vec<String> = running.join_all().await.into_iter().filter_map(Result::err).collect();
    assert!(failures.is_empty(), "{} of {count}:\n{}", failures.len(), failures.join("\n"));

    ledger.more_acknowledged(100).await;
    load.finish().await;
    assert_eq!(ledger.statuses().into_keys().collect::<Vec<_>>(), [201], "everybody else is served meanwhile");
    assert!(!program.log().contains("panicked"), "{}", program.log());
    assert!(!program.log().contains("request failed"), "{}", program.log());
}

/// A client that sends all it has before it reads, as most do: it must see why it was refused, not a broken connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_too_much_before_reading_sees_why() {
    let place = Place::new(Engine::Sqlite);
    let program = Program::start(&place.url, &[]).await;
    let report = json!({"others": "x".repeat(10 << 20)});
    let mut connection = Connection::open(program.address).await.expect("it listens");
    connection.send(&request("POST", "/status/home", None, Some(&report))).await.expect("everything is taken");
    let answer = connection.answer().await.expect("an answer").expect("an answer");
    assert_eq!(answer.status, 413);
    assert_eq!(answer.json()["detail"]["type"], "too large");
}
