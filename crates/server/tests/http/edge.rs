//! What is around every request: pages of other origins, proxies, compression, limits.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use carebot_model::status::Home;
use carebot_server::edge::proxy::TrustedProxies;
use carebot_testkit::fixtures::sample;

use crate::prelude::*;

const PAGE: &str = "https://care.example";

/// A server that pages of [`PAGE`] may call.
async fn with_page(t: &carebot_testkit::TestDb) -> TestApp {
    TestApp::with(t, |_, server| server.origins = vec![PAGE.to_owned()]).await
}

both_engines! {
    async fn a_page_of_a_listed_origin_may_call(t: TestDb) {
        let app = with_page(&t).await;
        let elder = app.person(Role::Main, "ELDER").await;
        let asked = "content-type,headers,x-odd_1";
        let reply = app
            .request("OPTIONS /notify/read/7")
            .header("origin", PAGE)
            .header("access-control-request-method", "PATCH")
            .header("access-control-request-headers", asked)
            .send()
            .await;
        reply.is(200, "OK");
        for (name, value) in [
            ("content-type", "text/plain; charset=utf-8"),
            ("access-control-allow-origin", PAGE),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-methods", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
            ("access-control-allow-headers", asked),
            ("access-control-max-age", "7200"),
            ("vary", "Origin"),
        ] {
            assert_eq!(reply.header(name), value, "{name}");
        }
        // Refusals, failures and what is not there carry the headers too.
        for (line, status) in [
            (format!("GET /accounts/{}", elder.id), 200),
            ("GET /accounts".to_owned(), 403),
            (format!("GET /tools/weather/{}", elder.id), 500),
            ("GET /nothing".to_owned(), 404),
            ("GET /auth/login".to_owned(), 405),
            ("GET /accounts/".to_owned(), 307),
            ("POST /auth/login".to_owned(), 422),
        ] {
            let reply = app.request(&line).by(&elder).header("origin", PAGE).send().await;
            let headers =
                ["access-control-allow-origin", "access-control-allow-credentials"].map(|name| reply.header(name));
            assert_eq!((reply.status, headers), (status, [PAGE, "true"]), "{line}");
            assert!(reply.all("vary").contains("Origin"), "{line}: {}", reply.all("vary"));
        }
    }

    async fn a_page_of_another_origin_may_not(t: TestDb) {
        let app = with_page(&t).await;
        let house = app.house().await;
        for origin in [
            "https://care.example.evil",
            "http://care.example",
            "https://care.example:444",
            "null",
            "",
            "https://carebot.test",
            "file://",
        ] {
            let preflight = app
                .request("OPTIONS /accounts")
                .header("origin", origin)
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", "content-type")
                .send()
                .await;
            preflight.is(400, "Disallowed CORS origin");
            assert_eq!(preflight.header("access-control-allow-origin"), "");
            assert_eq!(preflight.header("access-control-allow-headers"), "content-type");
            assert_eq!(preflight.header("access-control-max-age"), "7200");
            // What only reads is answered; the browser keeps it from the page.
            let read = app
                .request(&format!("GET /families/{}", house.family))
                .by(&house.elder)
                .header("origin", origin)
                .send()
                .await;
            assert_eq!((read.status, read.header("access-control-allow-origin")), (200, ""), "{origin}");
            assert!(read.all("vary").contains("Origin"));
            for (line, body) in [
                (format!("PATCH /families/{}", house.family), json!({"family_name": "geraubt"})),
                (format!("DELETE /families/{}", house.family), json!({"password": PASSWORD})),
                ("POST /auth/logout".to_owned(), json!({})),
            ] {
                let write = app.request(&line).by(&house.elder).header("origin", origin).json(&body).send().await;
                write.is(403, r#"{"detail":{"type":"can not access","message":"You do not have permission"}}"#);
            }
        }
        assert_eq!(
            app.get(&format!("/families/{}", house.family), &house.elder).await.result()["family_name"],
            "순자네"
        );
        // Robots and command lines have no origin.
        let body = json!({"family_name": "x"});
        assert_eq!(app.call(&format!("PATCH /families/{}", house.family), &house.elder, body).await.status, 200);
    }

    async fn the_servers_own_pages_may_call_by_whatever_name_it_was_reached(t: TestDb) {
        let app = TestApp::with(&t, |_, server| {
            server.trusted_proxies = TrustedProxies(vec![("10.0.0.0".parse().expect("an address"), 8)]);
        })
        .await;
        let elder = app.person(Role::Main, "ELDER").await;
        let remember = || app.request("PATCH /auth/auto-login").by(&elder);
        let status = async |request: carebot_testkit::app::Request<'_>| request.send().await.status;
        assert_eq!(status(remember().header("origin", "http://carebot.test")).await, 200);
        assert_eq!(status(remember().header("origin", "http://CAREBOT.test")).await, 200);
        assert_eq!(
            status(remember().header("host", "10.1.1.1:8000").header("origin", "http://10.1.1.1:8000")).await,
            200
        );
        assert_eq!(status(remember().tls().header("origin", "https://carebot.test")).await, 200);
        assert_eq!(status(remember().tls().header("origin", "http://carebot.test")).await, 403);
        assert_eq!(status(remember().header("host", "10.1.1.1:8000").header("origin", "http://10.1.1.1")).await, 403);
        // A proxy says what it was called, and only a trusted one is believed.
        let proxied = || {
            remember()
                .header("x-forwarded-host", "care.example")
                .header("x-forwarded-proto", "https")
                .header("origin", PAGE)
        };
        assert_eq!(status(proxied().from("10.2.3.4")).await, 200);
        assert_eq!(status(proxied().from("192.0.2.1")).await, 403);
        assert_eq!(status(proxied()).await, 403);
        let inside = remember()
            .from("10.2.3.4")
            .header("x-forwarded-host", "care.example")
            .header("origin", "http://carebot.test");
        assert_eq!(status(inside).await, 403);
    }

    async fn a_public_url_is_an_origin_of_its_own(t: TestDb) {
        let app = TestApp::with(&t, |_, server| server.public_url = Some("https://care.example/base".into())).await;
        let elder = app.person(Role::Main, "ELDER").await;
        let reply = app.request("PATCH /auth/auto-login").by(&elder).header("origin", PAGE).send().await;
        assert_eq!((reply.status, reply.header("access-control-allow-origin")), (200, PAGE));
    }

    async fn large_answers_are_compressed_for_who_understands_it(t: TestDb) {
        let app = with_page(&t).await;
        let house = app.house().await;
        for number in 0..50 {
            t.report(house.family, sample::<Home>(number)).await;
        }
        let path = format!("GET /status/home/{}?start=2026-01-01", house.family);
        let plain = app.request(&path).by(&house.elder).send().await;
        assert_eq!((plain.header("content-encoding"), plain.result().as_array().map(Vec::len)), ("", Some(50)));
        let packed = app
            .request(&path)
            .by(&house.elder)
            .header("origin", PAGE)
            .header("accept-encoding", "br, gzip, deflate")
            .send()
            .await;
        assert_eq!(packed.header("content-encoding"), "gzip");
        assert!(packed.body.len() * 3 < plain.body.len(), "{} of {}", packed.body.len(), plain.body.len());
        assert_eq!(packed.unpacked(), plain.body);
        let vary = packed.all("vary").to_lowercase();
        assert!(vary.contains("accept-encoding") && vary.contains("origin"), "{vary}");
        assert_eq!(packed.header("content-type"), "application/json");
        let small = app
            .request(&format!("GET /families/{}", house.family))
            .by(&house.elder)
            .header("accept-encoding", "gzip")
            .send()
            .await;
        assert_eq!(small.header("content-encoding"), "");
        let refused = app.request(&path).by(&house.elder).header("accept-encoding", "gzip;q=0").send().await;
        assert_eq!(refused.header("content-encoding"), "");
    }

    async fn a_body_that_is_too_large_is_refused(t: TestDb) {
        let app = TestApp::with(&t, |_, server| server.body_limit = 1000).await;
        let elder = app.person(Role::Main, "ELDER").await;
        let line = format!("PATCH /accounts/{}", elder.id);
        let body = |length: usize| {
            let frame = json!({"user_name": ""}).to_string().len();
            json!({"user_name": "a".repeat(length - frame)}).to_string()
        };
        assert_eq!(app.request(&line).by(&elder).body("application/json", body(1000)).send().await.status, 200);
        let large = r#"{"detail":{"type":"too large","message":"The body of the request is too large"}}"#;
        let reply = app.request(&line).by(&elder).body("application/json", body(1001)).send().await;
        reply.is(413, large);
        assert_eq!(reply.header("connection"), "close");
        // Without saying so before.
        let pieces = futures_util::stream::iter((0..11).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 100]))));
        app.request(&line).by(&elder).body("application/json", Body::from_stream(pieces)).send().await.is(413, large);
    }

    async fn a_body_that_does_not_come_is_not_waited_for(t: TestDb) {
        let app = TestApp::with(&t, |_, server| server.body_timeout = Duration::from_millis(20)).await;
        let elder = app.person(Role::Main, "ELDER").await;
        let late = r#"{"detail":{"type":"timeout","message":"The body of the request did not arrive in time"}}"#;
        for body in [
            Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>()),
            Body::from_stream(futures_util::stream::iter([
                Ok(Bytes::from_static(b"{")),
                Err(std::io::Error::other("reset")),
            ])),
        ] {
            let line = format!("PATCH /accounts/{}", elder.id);
            let reply = app.request(&line).by(&elder).body("application/json", body).send().await;
            reply.is(408, late);
            assert_eq!(reply.header("connection"), "close");
        }
    }

    async fn what_is_no_json_is_a_text(t: TestDb) {
        let app = TestApp::new(&t).await;
        let fault = |input: &str| {
            format!(
                r#"{{"detail":[{{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from","input":{input}}}]}}"#
            )
        };
        let line = "POST /accounts/check-email";
        let send = async |media: &str, body: &'static str| app.request(line).body(media, body).send().await;
        send("text/plain", r#"{"email":"a@example.com"}"#).await.is(422, &fault(r#""{\"email\":\"a@example.com\"}""#));
        send("application/x-www-form-urlencoded", "email=a").await.is(422, &fault(r#""email=a""#));
        send("application/json", r#"["a"]"#).await.is(422, &fault(r#"["a"]"#));
        for empty in ["", "null"] {
            send("application/json", empty)
                .await
                .is(422, r#"{"detail":[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]}"#);
        }
        let available = r#"{"message":"Email is available"}"#;
        send("application/json; charset=utf-8", r#"{"email":"a@example.com"}"#).await.is(200, available);
        send("application/vnd.care+json", r#"{"email":"a@example.com"}"#).await.is(200, available);
        app.request(line)
            .body("application/json", r#"{"email":"a@example.com"}"#)
            .without("content-type")
            .send()
            .await
            .is(200, available);
        send("application/json", r#"{"email": x}"#).await.is(
            422,
            r#"{"detail":[{"type":"json_invalid","loc":["body",10],"msg":"JSON decode error","input":{},"ctx":{"error":"Expecting value"}}]}"#,
        );
        // Where there may be a password in it, nothing comes back.
        app.request("POST /auth/login").body("text/plain", "password=geheim").send().await.is(422, &fault("null"));
    }
}
