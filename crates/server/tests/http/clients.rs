//! A day with the existing clients, call by call as they make them: the web pages and the robot's programs.

use crate::prelude::*;

const PAGE: &str = "http://localhost:3000";

/// A browser with a page of [`PAGE`] in it, which keeps the cookie.
struct Browser<'a> {
    app: &'a TestApp,
    cookie: Option<String>,
}

impl<'a> Browser<'a> {
    const fn new(app: &'a TestApp) -> Self {
        Self { app, cookie: None }
    }

    /// As the pages do it: asked for leave first, a JSON content type on everything, also where there is no body.
    async fn ask(&mut self, line: &str, body: Value) -> Reply {
        let (method, target) = line.split_once(' ').expect("a method and a path");
        let path = target.split('?').next().unwrap_or_default();
        let preflight = self.app.request(&format!("OPTIONS {path}")).header("origin", PAGE);
        let preflight = preflight
            .header("access-control-request-method", method)
            .header("access-control-request-headers", "content-type");
        let leave = preflight.send().await;
        assert_eq!((leave.status, leave.header("access-control-allow-origin")), (200, PAGE), "{line}");
        let mut request = self.app.request(line).header("origin", PAGE);
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let reply = request.body("application/json", text).send().await;
        assert_eq!(
            (reply.header("access-control-allow-origin"), reply.header("access-control-allow-credentials")),
            (PAGE, "true")
        );
        match reply.header("set-cookie") {
            "" => {}
            cleared if cleared.contains("Max-Age=0") => self.cookie = None,
            set => self.cookie = set.split(';').next().map(str::to_owned),
        }
        reply
    }

    /// The message of an answer, which is what the pages look at.
    async fn message(&mut self, line: &str, body: Value) -> (String, Value) {
        let reply = self.ask(line, body).await;
        assert!(matches!(reply.status, 200 | 201), "{line}: {}", reply.text());
        let mut json = reply.json();
        (json["message"].as_str().expect("a message").to_owned(), json["result"].take())
    }
}

async fn app_for_pages(t: &carebot_testkit::TestDb) -> TestApp {
    TestApp::with(t, |_, server| server.origins = vec![PAGE.to_owned()]).await
}

/// Signs up and in, as the page does it.
async fn sign_up<'a>(app: &'a TestApp, email: &str, role: &str, name: &str) -> (Browser<'a>, String) {
    let mut browser = Browser::new(app);
    assert_eq!(browser.message("POST /accounts/check-email", json!({"email": email})).await.0, "Email is available");
    let account = json!({"email": email, "password": PASSWORD, "role": role, "user_name": name, "birth_date": {"year": 1945, "month": 3, "day": 1},
        "gender": "female", "address": "경기도 수원시"});
    let (message, made) = browser.message("POST /accounts", account).await;
    assert_eq!(message, "New account created successfully");
    let (message, signed_in) = browser.message("POST /auth/login", json!({"email": email, "password": PASSWORD})).await;
    assert_eq!(message, "Login successful");
    assert_eq!(signed_in["user_data"]["id"], made["id"]);
    assert_eq!(browser.message("PATCH /auth/auto-login", json!(null)).await.0, "Auto login set successfully");
    (browser, made["id"].as_str().expect("an id").to_owned())
}

both_engines! {
    async fn a_family_signs_up_and_finds_each_other_in_the_web_page(t: TestDb) {
        let app = app_for_pages(&t).await;
        let (mut elder, elder_id) = sign_up(&app, "elder@example.com", "main", "김순자").await;
        let none = elder.ask("POST /families/check-exist", json!({"id": elder_id})).await;
        none.refuses(404, "not found", "Main ID does not have a family");
        let (message, family) =
            elder.message("POST /families", json!({"main_user": elder_id, "family_name": "순자네"})).await;
        assert_eq!(message, "New family created successfully");
        let family = family["id"].as_str().expect("an id").to_owned();
        // The link in the QR code is opened before anybody is signed in.
        let mut guardian = Browser::new(&app);
        guardian.ask(&format!("GET /families/name/{family}"), json!(null)).await.forbids();
        let (mut guardian, guardian_id) = sign_up(&app, "guardian@example.com", "sub", "이민준").await;
        assert_eq!(
            guardian.message(&format!("GET /families/name/{family}"), json!(null)).await.1["family_name"],
            "순자네"
        );
        assert_eq!(
            guardian.message(&format!("GET /members?userId={guardian_id}"), json!(null)).await.0,
            "No members found"
        );
        let find = json!({"user_name": "김순자", "birth_date": {"year": 1945, "month": 3, "day": 1}, "gender": "female", "address": "경기도 수원시"});
        let (message, found) = guardian.message("POST /families/find", find).await;
        assert_eq!((message.as_str(), &found[0]["family_id"]), ("Families found successfully", &json!(family)));
        let join = json!({"family_id": family, "user_id": guardian_id, "nickname": "막내"});
        let (message, member) = guardian.message("POST /members", join).await;
        assert_eq!(message, "New member created successfully");
        // Until the elder approves, the page says "not connected" instead of throwing the guardian out.
        assert_eq!(
            guardian.message(&format!("GET /members?userId={guardian_id}"), json!(null)).await.0,
            "No members found"
        );
        let member = member["id"].as_str().expect("an id");
        elder.message(&format!("PATCH /v1/members/requests/{member}"), json!(null)).await;
        let (message, members) = guardian.message(&format!("GET /members?userId={guardian_id}"), json!(null)).await;
        assert_eq!((message.as_str(), &members[0]["nickname"]), ("All members retrieved successfully", &json!("막내")));
        assert_eq!(
            guardian.message(&format!("GET /families/{family}"), json!(null)).await.1["main_user"],
            elder_id.as_str()
        );

        // What the page polls every five seconds.
        let year = "start=2025-03-02T09:00:00Z&end=2026-03-02T09:00:00Z&order=desc";
        for (path, message) in [
            (format!("/status/home/{family}?{year}"), "No home status found"),
            (format!("/status/health/{family}?{year}"), "No health status found"),
            (format!("/status/active/{family}?{year}"), "No active status found"),
            (format!("/status/mental/{family}?{year}"), "No mental status found"),
            (format!("/status/mental-reports/{family}?{year}"), "No mental reports found"),
            (format!("/notify/new/{family}?order=desc"), "No new notifications found"),
            (format!("/messages/new?{year}"), "No new received messages"),
            (format!("/messages/sent?{year}"), "No sent messages"),
        ] {
            let (said, result) = guardian.message(&format!("GET {path}"), json!(null)).await;
            assert_eq!((said.as_str(), result), (message, json!([])), "{path}");
        }
        assert_eq!(
            guardian.message(&format!("GET /tools/settings/{family}"), json!(null)).await.0,
            "Settings retrieved successfully"
        );
        assert_eq!(guardian.message("POST /auth/logout", json!(null)).await.0, "Logout successful");
        assert_eq!(guardian.cookie, None);
        guardian.ask(&format!("GET /accounts/{guardian_id}"), json!(null)).await.forbids();
    }

    async fn a_page_that_is_opened_again_checks_the_session_it_kept(t: TestDb) {
        let app = app_for_pages(&t).await;
        let elder = app.person(Role::Main, "ELDER").await;
        let mut browser = Browser::new(&app);
        let kept = browser.message("POST /auth/login", json!({"email": elder.email, "password": PASSWORD})).await.1["session_id"].clone();
        // Another day, another browser window: only the token is left.
        let mut browser = Browser::new(&app);
        app.advance(24 * 3_600_000).await;
        assert_eq!(
            browser.message("POST /auth/check", json!({"session_id": kept})).await.0,
            "Permission check successful"
        );
        assert_eq!(
            browser.message(&format!("GET /accounts/{}", elder.id), json!(null)).await.0,
            "Account retrieved successfully"
        );
        app.advance(4 * 24 * 3_600_000).await;
        // Anything but a 403, or the page reloads for ever.
        assert_eq!(browser.ask("POST /auth/check", json!({"session_id": kept})).await.status, 401);
    }

    async fn the_robots_programs_do_a_days_work(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let family = house.family;
        // The sensor sender signs in once and keeps the cookie of the answer.
        let login = json!({"email": house.elder.email, "password": PASSWORD});
        let signed_in = app.request("POST /auth/login").header("user-agent", "libcurl/8.5").json(&login).send().await;
        let cookie = signed_in.header("set-cookie").split(';').next().expect("a cookie").to_owned();
        for _ in 0..3 {
            app.advance(300_000).await;
            let air = json!({"family_id": family, "temperature": 24.25, "humidity": 41.5, "dust_level": 7.0, "ethanol": 0.31, "others": ""});
            assert_eq!(app.request("POST /status/home").header("cookie", &cookie).json(&air).send().await.status, 201);
            let pulse = json!({"family_id": family, "heart_rate": 71.5});
            assert_eq!(
                app.request("POST /status/health").header("cookie", &cookie).json(&pulse).send().await.status,
                201
            );
        }
        // The others write the same session by hand, attributes and all.
        let by_hand = format!("{cookie}; Path=/; Domain=.care.example; Secure; HttpOnly;");
        let ask = async |line: &str, body: Value| {
            let request = app.request(line).header("cookie", &by_hand);
            if body.is_null() { request.send().await } else { request.json(&body).send().await }
        };
        let fall = json!({"family_id": family, "notification_grade": "CRIT", "descriptions": "낙상감지", "image_url": "https://images.example/fall.jpg"});
        assert_eq!(ask("POST /notify", fall).await.status, 201, "exactly that");
        assert_eq!(
            ask("POST /families/check-exist", json!({"id": house.elder.id})).await.result()["family_id"],
            json!(family)
        );
        assert_eq!(
            ask(&format!("PATCH /tools/settings/{family}"), json!({"is_microphone_enabled": true})).await.status,
            200
        );
        // An emergency word: a message to everybody who can be reached, by name.
        let people = ask(&format!("GET /messages/receivable/{}", house.elder.id), json!(null)).await.result();
        for person in people.as_array().expect("a list") {
            assert!(person["name"].is_string());
            let message =
                json!({"from_id": house.elder.id, "to_id": person["user_id"], "content": "[긴급] 응급 상황이야"});
            assert_eq!(ask("POST /messages/send", message).await.status, 201);
        }
        let letters = app.get("/messages/new?order=desc", &house.guardian).await.result();
        assert_eq!(letters[0]["content"], "[긴급] 응급 상황이야");
        // A robot may be silent for a while, and then signs out with a body that says its family.
        app.advance(2 * 24 * 3_600_000).await;
        assert_eq!(
            app.request("POST /auth/logout")
                .header("cookie", &cookie)
                .json(&json!({"family_id": family}))
                .send()
                .await
                .status,
            200
        );
        assert_eq!(ask("GET /messages/new", json!(null)).await.status, 403);
    }
}
