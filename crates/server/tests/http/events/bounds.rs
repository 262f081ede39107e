//! How many streams, how slow a reader, and the end of the server.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::*;

fn request(house: &House) -> String {
    let (family, token) = (house.family, &house.guardian.token);
    format!("GET /v1/events/{family} HTTP/1.1\r\nHost: carebot.test\r\nCookie: session_id={token}\r\n\r\n")
}

/// Reads until a text has come.
async fn read_until(stream: &mut TcpStream, text: &str) {
    let mut bytes = Vec::new();
    while !String::from_utf8_lossy(&bytes).contains(text) {
        let read = tokio::time::timeout(Duration::from_secs(30), stream.read_buf(&mut bytes)).await;
        assert!(read.expect("it comes").expect("the connection holds") > 0, "{}", String::from_utf8_lossy(&bytes));
    }
}

both_engines! {
    async fn an_account_has_so_many_streams_and_a_server_so_many(t: TestDb) {
        let app = TestApp::with(&t, |settings, _| (settings.streams.per_account, settings.streams.most) = (2, 3)).await;
        let house = app.house().await;
        let line = format!("/v1/events/{}", house.family);
        let first = follow(&app, house.family, &house.guardian).await;
        let _second = follow_all(&app, &house.guardian).await;
        let refused = app.get(&line, &house.guardian).await;
        refused.refuses(429, "too many requests", "Too many open streams");
        assert_eq!(refused.header("retry-after"), "2");
        let third = follow(&app, house.family, &house.elder).await;
        let refused = app.get(&line, &house.elder).await;
        refused.refuses(503, "unavailable", "The service is temporarily unavailable");
        // One that is closed makes room, and so does one that was refused after it had sat down.
        drop(first);
        let again = follow(&app, house.family, &house.guardian).await;
        app.get(&line, &house.guardian).await.refuses(503, "unavailable", "The service is temporarily unavailable");
        drop(third);
        app.get(&line, &house.guardian).await.refuses(429, "too many requests", "Too many open streams");
        drop(again);
        follow(&app, house.family, &house.guardian).await;
    }

    async fn thirty_two_is_the_bound_of_an_account(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let mut streams = Vec::new();
        for _ in 0..32 {
            streams.push(follow(&app, house.family, &house.guardian).await);
        }
        let line = format!("/v1/events/{}", house.family);
        app.get(&line, &house.guardian).await.refuses(429, "too many requests", "Too many open streams");
        app.get(&line, &house.elder).await.succeeds(200);
    }

    async fn who_takes_nothing_loses_the_place_and_goes_on_where_he_stopped(t: TestDb) {
        const COUNT: i64 = 2_000;
        let app = TestApp::with(&t, |settings, _| settings.streams.per_account = 1).await;
        let house = app.house().await;
        let mut stream = follow(&app, house.family, &house.guardian).await;
        // Long ones, so that there are many pieces.
        happen(&t, house.family, (1..=COUNT).map(|n| json!({"n": n, "text": "x".repeat(500)}))).await;
        round(&app).await;
        assert_eq!(stream.expect("report").await.data["body"]["n"], 1);
        app.t.clock.advance(30_000);
        round(&app).await;
        let line = format!("/v1/events/{}", house.family);
        app.get(&line, &house.guardian).await.refuses(429, "too many requests", "Too many open streams");
        app.t.clock.advance(1);
        round(&app).await;
        // What lay with the connection already is read to its end, in order.
        let mut last = 1;
        let end = loop {
            let event = stream.next().await.expect("it ends with a word");
            if event.name == "end" {
                break event;
            }
            last += 1;
            assert_eq!(event.data["seq"], last);
        };
        assert_eq!(end.data, json!({"reason": "slow"}));
        assert_eq!(stream.next().await, None);
        assert!(last < COUNT, "not everything was with the connection");
        // There is room again, although the connection is still there.
        let mut stream = resume(&app, house.family, &house.guardian, last.to_string()).await;
        for seq in last + 1..=COUNT {
            assert_eq!(stream.expect("report").await.data["seq"], seq);
        }
    }

    async fn a_connection_that_nobody_reads_is_closed(t: TestDb) {
        let app = TestApp::with(&t, |_, server| server.write_timeout = Duration::from_millis(300)).await;
        let house = app.house().await;
        let server = app.listen().await;
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4_096).expect("a small buffer");
        let mut stream = socket.connect(server.address).await.expect("the server listens");
        stream.write_all(request(&house).as_bytes()).await.expect("the server takes it");
        read_until(&mut stream, "event: hello").await;
        let connections = || app.edge.app().metrics().connections.get();
        assert_eq!(connections(), 1);
        // More than all buffers in between hold.
        for _ in 0..4 {
            happen(&t, house.family, (0..100).map(|_| json!({"text": "x".repeat(40_000)}))).await;
            round(&app).await;
        }
        until!("the connection is closed", connections() == 0);
        server.stop().await;
    }

    async fn who_hangs_up_makes_room_at_once(t: TestDb) {
        let app = TestApp::with(&t, |settings, _| settings.streams.per_account = 1).await;
        let house = app.house().await;
        let server = app.listen().await;
        let mut stream = TcpStream::connect(server.address).await.expect("the server listens");
        stream.write_all(request(&house).as_bytes()).await.expect("the server takes it");
        read_until(&mut stream, "event: hello").await;
        drop(stream);
        let line = format!("/v1/events/{}", house.family);
        until!("there is room", app.get(&line, &house.guardian).await.status == 200);
        server.stop().await;
    }

    async fn a_server_that_stops_ends_its_streams_with_a_word(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let server = app.listen().await;
        let mut streams = Vec::new();
        for _ in 0..3 {
            let mut stream = TcpStream::connect(server.address).await.expect("the server listens");
            stream.write_all(request(&house).as_bytes()).await.expect("the server takes it");
            read_until(&mut stream, "event: hello").await;
            streams.push(stream);
        }
        // Nobody waits for the grace: it is longer than this test may take.
        server.stop().await;
        for mut stream in streams {
            let mut rest = String::new();
            stream.read_to_string(&mut rest).await.expect("the connection is closed in order");
            assert!(rest.contains("retry: ") && rest.contains("event: end\ndata: {\"reason\":\"restart\"}\n\n"), "{rest}");
        }
        let refused = app.get(&format!("/v1/events/{}", house.family), &house.guardian).await;
        refused.refuses(503, "unavailable", "The service is temporarily unavailable");
    }
}
