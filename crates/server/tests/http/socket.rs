//! What only a real connection shows.

use std::time::Duration;

use bytes::Bytes;
use carebot_database::params;
use carebot_model::status::Home;
use carebot_server::listen;
use carebot_testkit::app::Listening;
use carebot_testkit::fixtures::sample;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::prelude::*;

/// No answer takes so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection of HTTP/1.1, in plain bytes.
struct Line(TcpStream);

impl Line {
    async fn open(server: &Listening) -> Self {
        Self(TcpStream::connect(server.address).await.expect("the server listens"))
    }

    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.expect("the server takes it");
    }

    /// Head and body of the next answer.
    async fn answer(&mut self) -> (String, String) {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(
                self.read(&mut bytes).await > 0,
                "the connection ended in the head: {}",
                String::from_utf8_lossy(&bytes)
            );
        };
        let head = String::from_utf8(bytes[..end].to_vec()).expect("a head is text").to_lowercase();
        let mut body = bytes.split_off(end);
        if let Some(length) = head.lines().find_map(|line| line.strip_prefix("content-length: ")) {
            let length = length.parse().expect("a length");
            while body.len() < length {
                assert!(self.read(&mut body).await > 0, "the connection ended in the body");
            }
            assert_eq!(body.len(), length, "more came than was announced");
        } else if head.contains("transfer-encoding: chunked") {
            while !body.ends_with(b"0\r\n\r\n") {
                assert!(self.read(&mut body).await > 0, "the connection ended in the body");
            }
            body = unchunked(&body);
        }
        (head, String::from_utf8(body).expect("a body is text"))
    }

    async fn read(&mut self, into: &mut Vec<u8>) -> usize {
        tokio::time::timeout(PATIENCE, self.0.read_buf(into)).await.expect("the server answers").unwrap_or(0)
    }

    /// Everything until the server closes the connection.
    async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        while self.read(&mut bytes).await > 0 {}
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let end = bytes.windows(2).position(|window| window == b"\r\n").expect("a length");
        let length = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).expect("text"), 16).expect("a length");
        if length == 0 {
            return whole;
        }
        whole.extend_from_slice(&bytes[end + 2..][..length]);
        bytes = &bytes[end + 2 + length + 2..];
    }
}

fn get(path: &str, who: &Person) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: carebot.test\r\nCookie: session_id={}\r\n\r\n", who.token)
}

fn post(path: &str, who: &Person, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: carebot.test\r\nCookie: session_id={}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        who.token,
        body.len()
    )
}

both_engines! {
    async fn one_connection_carries_many_requests(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let server = app.listen().await;
        let mut line = Line::open(&server).await;
        for _ in 0..3 {
            line.send(get(&format!("/families/{}", house.family), &house.elder)).await;
            let (head, body) = line.answer().await;
            assert!(head.starts_with("http/1.1 200") && body.contains("순자네"), "{head}{body}");
        }
        // Refusals and failures leave the connection as it is.
        for (request, status) in [
            (get("/accounts", &house.elder), "403"),
            (get("/nothing", &house.elder), "404"),
            (get(&format!("/tools/weather/{}", house.elder.id), &house.elder), "500"),
            (post("/accounts/check-email", &house.elder, "{"), "422"),
            // A body that nobody reads.
            (post("/auth/auto-login", &house.elder, "{}").replacen("POST", "PATCH", 1), "200"),
            (post("/nothing", &house.elder, "{}"), "404"),
        ] {
            line.send(request).await;
            let (head, _) = line.answer().await;
            assert!(head.starts_with(&format!("http/1.1 {status}")), "{head}");
        }
        // Two at once.
        let both = get("/healthz", &house.elder) + &get("/healthz", &house.elder);
        line.send(both).await;
        let mut bytes = Vec::new();
        while String::from_utf8_lossy(&bytes).matches(r#"{"status":"ok"}"#).count() < 2 {
            assert!(line.read(&mut bytes).await > 0);
        }
        server.stop().await;
    }

    async fn answers_without_a_body_have_none_on_the_wire(t: TestDb) {
        let app = TestApp::new(&t).await;
        let system = app.system().await;
        let server = app.listen().await;
        let mut line = Line::open(&server).await;
        line.send(get(&format!("/messages/receivable/{}", system.id), &system)).await;
        let (head, body) = line.answer().await;
        assert!(head.starts_with("http/1.1 204") && !head.contains("\r\ncontent-"), "{head}");
        assert_eq!(body, "");
        line.send(get("/healthz", &system).replacen("GET", "HEAD", 1)).await;
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            assert!(line.read(&mut bytes).await > 0);
        }
        assert!(bytes.starts_with(b"HTTP/1.1 405"), "{}", String::from_utf8_lossy(&bytes));
        line.send(get("/accounts/", &system)).await;
        let (head, body) = line.answer().await;
        assert!(
            head.starts_with("http/1.1 307") && head.contains("location: http://carebot.test/accounts\r\n"),
            "{head}"
        );
        assert_eq!(body, "");
        server.stop().await;
    }

    async fn http_2_is_spoken_with_who_begins_so(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let server = app.listen().await;
        let stream = TcpStream::connect(server.address).await.expect("the server listens");
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
        let connection = tokio::spawn(connection);
        let ask = |method: &str, path: &str, body: String| {
            let request = http::Request::builder()
                .method(method)
                .uri(format!("http://carebot.test{path}"))
                .header("cookie", "a=b")
                .header("cookie", format!("session_id={}", house.elder.token))
                .header("content-type", "application/json")
                .header("origin", "http://carebot.test")
                .body(Full::new(Bytes::from(body)))
                .expect("a request");
            let mut sender = sender.clone();
            async move {
                let (head, body) = sender.send_request(request).await.expect("an answer").into_parts();
                (head, body.collect().await.expect("a whole answer").to_bytes())
            }
        };
        let many = (0..20)
            .map(|_| ask("POST", "/status/health", json!({"family_id": house.family, "heart_rate": 70}).to_string()));
        for (head, body) in futures_util::future::join_all(many).await {
            assert_eq!((head.version, head.status.as_u16()), (http::Version::HTTP_2, 201), "{body:?}");
        }
        let (head, body) =
            ask("GET", &format!("/status/health/{}?start=2026-01-01", house.family), String::new()).await;
        assert_eq!(head.headers["access-control-allow-origin"], "http://carebot.test", "the host is in :authority");
        let list: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(list["result"].as_array().map(Vec::len), Some(20));
        let (head, _) = ask("POST", "/accounts/check-email", " ".repeat(2 << 20)).await;
        assert_eq!(head.status, 413);
        let (head, _) = ask("GET", "/accounts/", String::new()).await;
        assert_eq!(head.headers["location"], "http://carebot.test/accounts");
        server.stop().await;
        drop(sender);
        connection.await.expect("the connection ends").expect("and ends well");
    }

    async fn a_shutdown_finishes_what_is_in_flight(t: TestDb) {
        let app = TestApp::with(&t, |settings, _| (settings.row_limit, settings.newest_whole) = (5_000, 5_000)).await;
        let house = app.house().await;
        for number in 0..2_000_i64 {
            let report = carebot_database::status::NewReport {
                reported_at: t.now().plus_millis(number),
                ..t.new_report(sample::<Home>(1))
            };
            carebot_database::status::append(&t.db, &carebot_testkit::fixtures::permit(house.family), &report)
                .await
                .expect("stored");
        }
        app.advance(10_000).await;
        let server = app.listen().await;
        // A request whose body is not all there yet, and one whose answer nobody reads yet.
        let mut writing = Line::open(&server).await;
        let body = json!({"family_id": house.family, "heart_rate": 71}).to_string();
        let request = post("/status/health", &house.elder, &body);
        let (begin, end) = request.split_at(request.len() - 10);
        writing.send(begin).await;
        let mut reading = Line::open(&server).await;
        reading.send(get(&format!("/status/home/{}?start=2026-01-01", house.family), &house.elder)).await;
        let mut first = Vec::new();
        assert!(reading.read(&mut first).await > 0);
        let mut idle = Line::open(&server).await;
        idle.send(get("/healthz", &house.elder)).await;
        idle.answer().await;
        until!("the server has begun with the write", app.edge.app().tasks().len() == 1);

        server.begin_stop();
        let address = server.address;
        until!("nobody is let in any more", TcpStream::connect(address).await.is_err());
        assert_eq!(idle.rest().await, "", "who asks for nothing is sent away");
        writing.send(end).await;
        let (head, body) = writing.answer().await;
        assert!(head.starts_with("http/1.1 201") && head.contains("connection: close"), "{head}{body}");
        while reading.read(&mut first).await > 0 {}
        let text = String::from_utf8_lossy(&first);
        let start = text.find("\r\n\r\n").expect("a head") + 4;
        let list: Value = serde_json::from_slice(&unchunked(&first[start..])).expect("the answer is whole");
        assert_eq!(list["result"].as_array().map(Vec::len), Some(2_000));
        server.stop().await;
        assert_eq!(
            app.get(&format!("/status/health/latest/{}", house.family), &house.elder).await.result()["heart_rate"],
            71
        );
    }

    async fn who_goes_away_after_sending_has_it_stored_all_the_same(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let server = app.listen().await;
        // The row cannot be written yet.
        let mut blocked = t.db.begin().await.expect("a transaction");
        assert!(blocked.lock_one("SELECT 1 FROM families WHERE id = ?", params![house.family]).await.expect("locked"));
        let mut line = Line::open(&server).await;
        line.send(post(
            "/status/health",
            &house.elder,
            &json!({"family_id": house.family, "heart_rate": 71}).to_string(),
        ))
        .await;
        until!("the server has begun", app.edge.app().tasks().len() == 1);
        drop(line);
        until!("the server knows that the client is gone", app.edge.app().metrics().connections.get() == 0);
        assert_eq!(app.edge.app().tasks().len(), 1, "and goes on");
        blocked.rollback().await;
        until!("the write is finished", app.edge.app().tasks().is_empty());
        assert_eq!(
            app.get(&format!("/status/health/latest/{}", house.family), &house.elder).await.result()["heart_rate"],
            71
        );
        server.stop().await;
    }

    async fn a_shutdown_waits_for_a_write_whose_client_is_gone(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let server = app.listen().await;
        let mut blocked = t.db.begin().await.expect("a transaction");
        assert!(blocked.lock_one("SELECT 1 FROM families WHERE id = ?", params![house.family]).await.expect("locked"));
        let mut line = Line::open(&server).await;
        line.send(post(
            "/status/health",
            &house.elder,
            &json!({"family_id": house.family, "heart_rate": 71}).to_string(),
        ))
        .await;
        until!("the server has begun", app.edge.app().tasks().len() == 1);
        drop(line);
        until!("the server knows that the client is gone", app.edge.app().metrics().connections.get() == 0);
        server.begin_stop();
        blocked.rollback().await;
        server.stop().await;
        assert!(app.edge.app().tasks().is_empty());
        assert_eq!(
            app.get(&format!("/status/health/latest/{}", house.family), &house.elder).await.result()["heart_rate"],
            71
        );
    }

    async fn who_dawdles_is_sent_away(t: TestDb) {
        let app = TestApp::with(&t, |_, server| server.header_timeout = Duration::from_millis(50)).await;
        let server = app.listen().await;
        let mut line = Line::open(&server).await;
        line.send("GET /healthz HTTP/1.1\r\nHost: car").await;
        let answer = line.rest().await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
        server.stop().await;

        let app = TestApp::with(&t, |_, server| server.body_timeout = Duration::from_millis(50)).await;
        let elder = app.person(Role::Main, "ELDER").await;
        let server = app.listen().await;
        let mut line = Line::open(&server).await;
        let request = post("/accounts/check-email", &elder, "{\"email\":\"\"}");
        line.send(&request[..request.len() - 5]).await;
        let (head, body) = line.answer().await;
        assert!(head.starts_with("http/1.1 408") && head.contains("connection: close"), "{head}");
        assert_eq!(
            body,
            r#"{"detail":{"type":"timeout","message":"The body of the request did not arrive in time"}}"#
        );
        assert_eq!(line.rest().await, "");
        server.stop().await;
    }

    async fn a_body_that_is_announced_too_large_is_refused_unread(t: TestDb) {
        let app = TestApp::new(&t).await;
        let server = app.listen().await;
        let mut line = Line::open(&server).await;
        line.send("POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10000000000\r\n\r\n{").await;
        let (head, body) = line.answer().await;
        assert!(head.starts_with("http/1.1 413") && head.contains("connection: close"), "{head}");
        assert_eq!(body, r#"{"detail":{"type":"too large","message":"The body of the request is too large"}}"#);
        server.stop().await;
    }

    async fn what_is_no_http_is_refused_and_the_server_goes_on(t: TestDb) {
        let app = TestApp::new(&t).await;
        let server = app.listen().await;
        let huge = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Huge: {}\r\n\r\n", "a".repeat(200_000));
        let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X-Many: 1\r\n".repeat(5_000));
        let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(200_000));
        for request in [
            "\0\0\0\0\r\n\r\n",
            "GET / HTTP/9.9\r\n\r\n",
            "GET  /  HTTP/1.1\r\n\r\n",
            "HELO mail.example\r\n\r\n",
            "GET /healthz HTTP/1.1\r\nHost: x\r\nBad\0Name: 1\r\n\r\n",
            "POST /auth/logout HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
            "POST /auth/logout HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            "POST /auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            &huge,
            &many,
            &long,
        ] {
            let mut line = Line::open(&server).await;
            // The server may have closed before everything was taken.
            drop(line.0.write_all(request.as_bytes()).await);
            let answer = line.rest().await;
            let refused =
                answer.is_empty() || ["HTTP/1.1 4", "HTTP/1.1 5"].iter().any(|status| answer.starts_with(status));
            assert!(refused, "{}: {answer}", &request[..request.len().min(60)]);
        }
        let mut line = Line::open(&server).await;
        line.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(line.answer().await.0.starts_with("http/1.1 200"));
        server.stop().await;
    }

    async fn a_request_is_not_smuggled_in_another(t: TestDb) {
        let app = TestApp::new(&t).await;
        let elder = app.person(Role::Main, "ELDER").await;
        let server = app.listen().await;
        let mut line = Line::open(&server).await;
        // Both lengths: the chunks count, and the connection is not used again, or the request is refused.
        line.send(
            "POST /accounts/check-email HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        )
        .await;
        line.send(get(&format!("/accounts/{}", elder.id), &elder)).await;
        let (head, _) = line.answer().await;
        assert!(head.starts_with("http/1.1 4"), "{head}");
        assert!(!head.starts_with("http/1.1 200"));
        server.stop().await;
    }

    async fn the_counters_have_an_address_of_their_own(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        for _ in 0..3 {
            assert_eq!(app.get(&format!("/families/{}", house.family), &house.elder).await.status, 200);
        }
        app.get("/accounts", &house.elder).await.forbids();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a socket is free");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let served = tokio::spawn(listen::serve_metrics(listener, app.edge.clone(), stop.clone()));
        let mut line = Line(TcpStream::connect(address).await.expect("it listens"));
        line.send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let (head, body) = line.answer().await;
        assert!(head.contains("content-type: application/openmetrics-text"), "{head}");
        for expected in [
            r#"carebot_http_requests_total{method="GET",route="/families/{family_id}",status="2xx"} 3"#,
            r#"carebot_http_requests_total{method="GET",route="/accounts",status="4xx"} 1"#,
            r#"carebot_http_request_duration_seconds_count{method="GET",route="/families/{family_id}"} 3"#,
            "carebot_http_connections 0",
        ] {
            assert!(body.contains(expected), "{expected} in {body}");
        }
        assert!(!body.contains(house.family.as_str()), "no ids in the names of counters");
        stop.cancel();
        served.await.expect("it ends");
    }
}
