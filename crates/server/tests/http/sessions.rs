//! `/v1/sessions`

use crate::prelude::*;

both_engines! {
    async fn the_sessions_of_an_account_are_shown_without_their_tokens(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (elder, system, stranger) =
            (app.person(Role::Main, "ELDER").await, app.system().await, app.person(Role::Sub, "STRANGER").await);
        app.advance(1000).await;
        let login = json!({"email": elder.email, "password": PASSWORD});
        let phone = format!("{} 휴대폰", "Browser/1.0 ".repeat(8));
        let reply = app.request("POST /auth/login").header("user-agent", &phone).json(&login).send().await;
        let token = reply.given("session_id");
        let sessions = app.get("/v1/sessions", &token).await;
        sessions.is(
            200,
            concat!(
                r#"{"message":"Sessions retrieved successfully","result":["#,
                r#"{"id":ROW2,"account_id":"ELDER","kind":"person","label":null,"is_main":true,"is_remembered":false,"created_at":"2026-03-02T09:00:01","#,
                r#""last_seen":"2026-03-02T09:00:01","revoked_at":null,"refused_at":null},"#,
                r#"{"id":ROW1,"account_id":"ELDER","kind":"person","label":"a browser","is_main":true,"is_remembered":false,"created_at":"2026-03-02T09:00:00","#,
                r#""last_seen":"2026-03-02T09:00:00","revoked_at":null,"refused_at":null}]}"#
            ),
        );
        let path = format!("/v1/sessions?userId={}", elder.id);
        assert_eq!(app.get(&path, &system).await.text(), sessions.text());
        app.get(&path, &stranger).await.forbids();
        app.get(&path, ANYONE).await.forbids();
        app.get("/v1/sessions", ANYONE).await.forbids();
        app.get("/v1/sessions?userId=Uabcdefghijklmno", &system).await.refuses(404, "not found", "Account not found");
        assert_eq!(app.get("/v1/sessions?userId=x", &system).await.status, 422);
    }

    async fn a_program_names_its_session(t: TestDb) {
        let app = TestApp::new(&t).await;
        let elder = app.person(Role::Main, "ELDER").await;
        let login = json!({"email": elder.email, "password": PASSWORD});
        let agent = "Browser/1.0 ".repeat(8);
        let reply = app.request("POST /auth/login").header("user-agent", &agent).json(&login).send().await;
        let sessions = app.get("/v1/sessions", &reply.given("session_id")).await.result();
        let labels: Vec<_> =
            sessions.as_array().expect("a list").iter().map(|session| session["label"].clone()).collect();
        assert!(labels.contains(&json!(&agent[..64])), "{labels:?}");
    }

    async fn ones_own_sessions_are_ended_and_nobody_elses(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (elder, system, stranger) =
            (app.person(Role::Main, "ELDER").await, app.system().await, app.person(Role::Sub, "STRANGER").await);
        let missing = r#"{"detail":{"type":"not found","message":"Session not found","input":{"end_robot":null}}}"#;
        let other = app.sign_in(&elder.email, PASSWORD).await;
        let line = format!("DELETE /v1/sessions/{}", elder.session);
        app.call(&line, &stranger, json!({})).await.is(404, missing);
        app.call(&line, ANYONE, json!({})).await.forbids();
        assert_eq!(app.get(&format!("/accounts/{}", elder.id), &elder).await.status, 200);
        app.call(&line, &other, json!({})).await.is(200, r#"{"message":"Session ended successfully"}"#);
        app.get(&format!("/accounts/{}", elder.id), &elder).await.forbids();
        app.call(&line, &other, json!({})).await.is(404, missing);
        app.call("DELETE /v1/sessions/7", &system, json!({})).await.is(404, missing);
        assert_eq!(app.call("DELETE /v1/sessions/x", &system, json!({})).await.status, 422);
        // An operator ends anybody's.
        let sessions = app.get("/v1/sessions", &other).await.result();
        let line = format!("DELETE /v1/sessions/{}", sessions[0]["id"]);
        assert_eq!(app.call(&line, &system, json!({"end_robot": false})).await.status, 200);
        app.get("/v1/sessions", &other).await.forbids();
    }

    async fn a_robots_session_is_ended_only_when_that_is_confirmed(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let report = json!({"family_id": house.family, "heart_rate": 70});
        let person = app.sign_in(&house.elder.email, PASSWORD).await;
        assert_eq!(app.call("POST /status/health", &house.elder, report.clone()).await.status, 201);
        let robot = async || {
            let sessions = app.get("/v1/sessions", &person).await.result();
            let all = sessions.as_array().expect("a list").clone();
            all.into_iter()
                .find(|session| session["id"] == json!(house.elder.session))
                .expect("the robot's session is listed")
        };
        assert_eq!(robot().await["kind"], "robot");
        let line = format!("DELETE /v1/sessions/{}", house.elder.session);
        let warning = "This session belongs to a robot: until it signs in again its reports and alarms are refused. Confirm to end it";
        for body in [json!({}), json!({"end_robot": false})] {
            app.call(&line, &person, body).await.refuses(409, "already exists", warning);
        }
        assert_eq!(app.call("POST /status/health", &house.elder, report.clone()).await.status, 201);
        app.advance(1000).await;
        app.call(&line, &person, json!({"end_robot": true}))
            .await
            .is(200, r#"{"message":"Session ended successfully"}"#);
        let ended = robot().await;
        assert_eq!((&ended["revoked_at"], &ended["refused_at"]), (&json!("2026-03-02T09:00:01"), &json!(null)));
        // The robot goes on reporting; that is refused, and shown.
        app.advance(1000).await;
        app.call("POST /status/health", &house.elder, report).await.forbids();
        assert_eq!(robot().await["refused_at"], "2026-03-02T09:00:02");
        app.call(&line, &person, json!({"end_robot": true})).await.refuses(404, "not found", "Session not found");
    }
}
