//! About the server itself, and what is no operation.

use crate::prelude::*;

/// Whether a piece of a page names a file that the page loads.
fn is_file(part: &str) -> bool {
    matches!(part.rsplit_once('.'), Some((_, "js" | "css" | "png")))
}

both_engines! {
    async fn the_server_says_that_it_lives_and_is_ready(t: TestDb) {
        let app = TestApp::new(&t).await;
        app.get("/healthz", ANYONE).await.is(200, r#"{"status":"ok"}"#);
        app.get("/readyz", ANYONE).await.is(200, r#"{"status":"ok"}"#);
    }

    async fn without_its_database_the_server_lives_and_is_not_ready(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        t.db.close().await;
        app.get("/healthz", ANYONE).await.is(200, r#"{"status":"ok"}"#);
        for line in [
            "GET /readyz".to_owned(),
            format!("GET /accounts/{}", house.elder.id),
            "POST /auth/login".to_owned(),
            "POST /status/health".to_owned(),
            format!("GET /status/home/{}?start=2026-01-01", house.family),
            "POST /auth/logout".to_owned(),
            "POST /auth/check".to_owned(),
        ] {
            let body = json!({"email": house.elder.email, "password": PASSWORD, "family_id": house.family, "session_id": house.elder.token});
            let mut request = app.request(&line).by(&house.elder).header("origin", "http://carebot.test");
            if !line.starts_with("GET") {
                request = request.json(&body);
            }
            let reply = request.send().await;
            // Not as if nobody were signed in: who sees a 403 is thrown out of the page.
            reply.is(503, r#"{"detail":{"type":"unavailable","message":"The service is temporarily unavailable","request_id":"REQUEST"}}"#);
            assert_eq!(reply.header("retry-after"), "2");
            assert_eq!(reply.header("access-control-allow-origin"), "http://carebot.test");
        }
    }

    async fn the_document_and_its_page_are_public_and_load_nothing_from_elsewhere(t: TestDb) {
        let app = TestApp::new(&t).await;
        let document = app.get("/openapi.json", ANYONE).await;
        assert_eq!((document.status, document.header("cache-control")), (200, "no-cache"));
        assert_eq!(document.json()["openapi"], "3.1.0");
        for page in ["/docs", "/redoc"] {
            let reply = app.get(page, ANYONE).await;
            assert_eq!(reply.status, 200);
            assert!(reply.header("content-type").starts_with("text/html"));
            assert!(reply.header("content-security-policy").starts_with("default-src 'self'"));
            let html = reply.text();
            let files: Vec<&str> = html.split(['"', '\'']).filter(|part| is_file(part)).collect();
            assert!(files.len() >= 3, "{html}");
            for file in files {
                let file = if file.starts_with('/') { file.to_owned() } else { format!("/docs/{file}") };
                let reply = app.get(&file, ANYONE).await;
                assert_eq!(reply.status, 200, "{file}");
            }
        }
        app.get("/docs/nothing.js", ANYONE).await.is(404, r#"{"detail":"Not Found"}"#);
        app.get("/docs/..%2F..%2Fetc%2Fpasswd", ANYONE).await.is(404, r#"{"detail":"Not Found"}"#);
        let quiet = TestApp::with(&t, |_, server| server.docs = false).await;
        for path in ["/docs", "/redoc", "/docs/index.css"] {
            quiet.get(path, ANYONE).await.is(404, r#"{"detail":"Not Found"}"#);
        }
        assert_eq!(quiet.get("/openapi.json", ANYONE).await.status, 200);
    }

    async fn what_is_not_there_is_not_found(t: TestDb) {
        let app = TestApp::new(&t).await;
        let elder = app.person(Role::Main, "ELDER").await;
        for line in [
            "GET /nothing",
            "POST /nothing",
            "GET /accounts/a/b",
            "GET /status/pulse/x",
            "GET /metrics",
            "GET /%FF",
            "GET //",
            "DELETE /auth",
        ] {
            let reply = app.call(line, &elder, json!(null)).await;
            reply.is(404, r#"{"detail":"Not Found"}"#);
            assert_eq!(reply.header("content-type"), "application/json", "{line}");
        }
    }

    async fn a_slash_too_many_is_redirected(t: TestDb) {
        let app = TestApp::new(&t).await;
        for (line, to) in [
            ("GET /accounts/", "http://carebot.test/accounts"),
            ("POST /auth/login/", "http://carebot.test/auth/login"),
            // The path is there, if not for this method.
            ("GET /status/home/", "http://carebot.test/status/home"),
            (
                "GET /status/home/latest/F123456789012345/?a=b%20c",
                "http://carebot.test/status/home/latest/F123456789012345?a=b%20c",
            ),
        ] {
            let reply = app.call(line, ANYONE, json!(null)).await;
            reply.is(307, "");
            assert_eq!(reply.header("location"), to);
        }
        let reply = app.request("GET /accounts/").tls().send().await;
        assert_eq!(reply.header("location"), "https://carebot.test/accounts");
        // Nobody is sent elsewhere by a header that anybody can write.
        let reply = app.request("GET /accounts/").header("x-forwarded-host", "evil.example").send().await;
        assert_eq!(reply.header("location"), "http://carebot.test/accounts");
        let named = TestApp::with(&t, |_, server| server.public_url = Some("https://care.example/base".into())).await;
        assert_eq!(named.get("/accounts/", ANYONE).await.header("location"), "https://care.example/base/accounts");
    }

    async fn a_method_that_a_path_does_not_have_is_told_with_those_it_has(t: TestDb) {
        let app = TestApp::new(&t).await;
        for (line, allow) in [
            ("PUT /accounts", "POST, GET"),
            ("HEAD /accounts", "POST, GET"),
            ("GET /auth/login", "POST"),
            ("OPTIONS /auth/login", "POST"),
            ("POST /families/F123456789012345", "GET, PATCH, DELETE"),
            ("HEAD /tools/master-region", "GET"),
            ("HEAD /healthz", "GET"),
            ("GET /messages/send", "POST"),
            ("DELETE /status/home", "POST"),
        ] {
            let reply = app.call(line, ANYONE, json!(null)).await;
            assert_eq!((reply.status, reply.header("allow")), (405, allow), "{line}");
            if !line.starts_with("HEAD") {
                reply.is(405, r#"{"detail":"Method Not Allowed"}"#);
            }
        }
    }

    async fn every_answer_has_a_request_id_and_is_not_to_be_stored(t: TestDb) {
        let app = TestApp::new(&t).await;
        let elder = app.person(Role::Main, "ELDER").await;
        for line in [
            format!("GET /accounts/{}", elder.id),
            "GET /nothing".into(),
            "GET /accounts".into(),
            "PATCH /auth/auto-login".into(),
        ] {
            let reply = app.call(&line, &elder, json!(null)).await;
            assert_eq!(reply.header("cache-control"), "no-store", "{line}");
            assert_eq!(reply.header("x-content-type-options"), "nosniff");
            let id = reply.header("x-request-id");
            assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        }
        let given = app.request("GET /healthz").header("x-request-id", "proxy-4711.a_b").send().await;
        assert_eq!(given.header("x-request-id"), "proxy-4711.a_b");
        for odd in ["short", "with blank inside", "a".repeat(65).as_str(), "semi;colon;x", "할머니할머니"] {
            let reply = app.request("GET /healthz").header("x-request-id", odd).send().await;
            assert_ne!(reply.headers["x-request-id"], odd);
            assert_eq!(reply.header("x-request-id").len(), 16);
        }
        // A failure says its id in the body too, so that who reports it can name it.
        let failed = app
            .request(&format!("GET /tools/weather/{}", elder.id))
            .by(&elder)
            .header("x-request-id", "proxy-4711")
            .send()
            .await;
        assert_eq!(failed.json()["detail"]["request_id"], "proxy-4711");
    }
}
