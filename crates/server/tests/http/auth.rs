use carebot_server::edge::cookie::CookieSettings;

use crate::prelude::*;

const WRONG: &str = "Invalid email or password";

both_engines! {
    async fn signing_in_gives_the_session_and_the_account(t: TestDb) {
        let app = TestApp::new(&t).await;
        let elder = app.person(Role::Main, "ELDER").await;
        let shouted = format!("  {} ", elder.email.to_uppercase());
        for email in [&elder.email, &shouted] {
            let reply = app
                .call("POST /auth/login", ANYONE, json!({"email": email, "password": PASSWORD, "remember": true}))
                .await;
            reply.is(
                200,
                concat!(
                    r#"{"message":"Login successful","result":{"session_id":"TOKEN","user_data":{"id":"ELDER","email":"elder@","role":"main","#,
                    r#""user_name":"김순자","birth_date":"1945-03-01","gender":"female","address":"경기도 수원시"}}}"#
                ),
            );
            let token = reply.given("session_id");
            assert!(token.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)), "{token}");
            assert_eq!(reply.header("set-cookie"), format!("session_id={token}; HttpOnly; Path=/; SameSite=lax"));
            assert_eq!(app.get(&format!("/accounts/{}", elder.id), &token).await.status, 200);
        }
        for role in [Role::System, Role::Sub, Role::Test] {
            let person = app.person(role, "PERSON").await;
            app.sign_in(&person.email, PASSWORD).await;
        }
    }

    async fn what_is_missing_to_sign_in_is_told_at_once(t: TestDb) {
        let app = TestApp::new(&t).await;
        app.call("POST /auth/login", ANYONE, json!({})).await.is(
            422,
            r#"{"detail":{"type":"no data","loc":["body","email","password"],"message":"Login data is required","input":{"email":null,"password":null}}}"#,
        );
        app.call("POST /auth/login", ANYONE, json!({"email": "", "password": PASSWORD})).await.is(
            422,
            r#"{"detail":{"type":"no data","loc":["body","email"],"message":"Login data is required","input":{"email":"","password":"<PASSWORD>"}}}"#,
        );
        app.call("POST /auth/login", ANYONE, json!({"email": "a@example.com"})).await.is(
            422,
            r#"{"detail":{"type":"no data","loc":["body","password"],"message":"Login data is required","input":{"email":"a@example.com","password":null}}}"#,
        );
        app.call("POST /auth/login", ANYONE, json!({"email": 1, "password": [PASSWORD]})).await.is(
            422,
            concat!(
                r#"{"detail":[{"type":"string_type","loc":["body","email"],"msg":"Input should be a valid string","input":1},"#,
                r#"{"type":"string_type","loc":["body","password"],"msg":"Input should be a valid string","input":"<PASSWORD>"}]}"#
            ),
        );
    }

    async fn an_unknown_address_and_a_wrong_password_get_the_same_answer(t: TestDb) {
        let app = TestApp::new(&t).await;
        app.person_at(Role::Main, "known@example.com").await;
        for email in ["known@example.com", "other@example.com", "no address", "known@example.com\0"] {
            let reply =
                app.call("POST /auth/login", ANYONE, json!({"email": email, "password": "not the password"})).await;
            reply.refuses(401, "unauthorized", WRONG);
            assert_eq!(reply.json()["detail"]["input"], json!({"email": email, "password": "<PASSWORD>"}));
            assert_eq!(reply.header("set-cookie"), "");
        }
    }

    async fn signing_out_takes_the_cookie_away_as_it_was_given(t: TestDb) {
        let app = TestApp::with(&t, |_, server| {
            server.cookie = CookieSettings { domain: Some("care.example".into()), secure: true, same_site: "none" };
        })
        .await;
        let elder = app.person(Role::Main, "ELDER").await;
        let given = app.call("POST /auth/login", ANYONE, json!({"email": elder.email, "password": PASSWORD})).await;
        let attributes = "; Domain=care.example; HttpOnly; Path=/; SameSite=none; Secure";
        assert_eq!(given.header("set-cookie"), format!("session_id={}{attributes}", given.given("session_id")));
        // As the pages do it: a JSON content type and no body.
        let reply = app.request("POST /auth/logout").by(&elder).body("application/json", "").send().await;
        reply.is(200, r#"{"message":"Logout successful"}"#);
        let cleared = format!(r#"session_id=""; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0{attributes}"#);
        assert_eq!(reply.header("set-cookie"), cleared);
        app.get(&format!("/accounts/{}", elder.id), &elder).await.forbids();
        for who in [Some(&elder), ANYONE] {
            let reply = app.call("POST /auth/logout", who, json!(null)).await;
            reply.is(200, r#"{"message":"Logout successful"}"#);
            assert_eq!(reply.header("set-cookie"), "");
        }
    }

    async fn signing_out_does_not_look_at_the_body(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        // The robot sends its family along.
        let reply = app.call("POST /auth/logout", &house.elder, json!({"family_id": house.family})).await;
        reply.is(200, r#"{"message":"Logout successful"}"#);
        for body in ["{", "[1]", "\"x\"", "null"] {
            let reply =
                app.request("POST /auth/logout").by(&house.guardian).body("application/json", body).send().await;
            reply.is(200, r#"{"message":"Logout successful"}"#);
        }
    }

    async fn a_password_is_changed_with_the_callers_own(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (system, elder, stranger) =
            (app.system().await, app.person(Role::Main, "ELDER").await, app.person(Role::Sub, "STRANGER").await);
        let line = "PATCH /auth/change-password";
        app.call(line, ANYONE, json!({})).await.is(
            422,
            concat!(
                r#"{"detail":{"type":"no data","loc":["body","user_id","current_password","new_password"],"message":"Password data is required","#,
                r#""input":{"user_id":null,"current_password":null,"new_password":null}}}"#
            ),
        );
        let body = |user: &str, current: &str, new: &str| json!({"user_id": user, "current_password": current, "new_password": new});
        let (own, new) = (elder.id.as_str(), "one fine password");
        let masked = |status: &str, user: &str| {
            format!(
                r#"{{"detail":{{{status},"input":{{"user_id":"{user}","current_password":"<PASSWORD>","new_password":"<PASSWORD>"}}}}}}"#
            )
        };
        app.call(line, &stranger, body(own, "wrong", new))
            .await
            .is(403, &masked(r#""type":"can not access","message":"You do not have permission""#, "ELDER"));
        app.call(line, ANYONE, body(own, PASSWORD, new)).await.forbids();
        let unknown = "Uabcdefghijklmno";
        app.call(line, &system, body(unknown, "wrong", new))
            .await
            .is(404, &masked(r#""type":"not found","message":"User not found""#, unknown));
        app.call(line, &elder, body(own, "wrong", "short"))
            .await
            .is(401, &masked(r#""type":"unauthorized","message":"Invalid password""#, "ELDER"));
        app.call(line, &system, body(own, "wrong", new)).await.refuses(401, "unauthorized", "Invalid password");
        app.call(line, &elder, body(own, PASSWORD, "short")).await.refuses(
            400,
            "invalid value",
            "Invalid value provided for account details (password)",
        );
        app.call(line, &elder, body(own, PASSWORD, new))
            .await
            .is(200, r#"{"message":"Password changed successfully"}"#);
        app.sign_in(&elder.email, new).await;
        app.call("POST /auth/login", ANYONE, json!({"email": elder.email, "password": PASSWORD})).await.refuses(
            401,
            "unauthorized",
            WRONG,
        );
        // An operator proves himself and changes anybody's.
        app.call(line, &system, body(own, PASSWORD, "two fine passwords"))
            .await
            .is(200, r#"{"message":"Password changed successfully"}"#);
        app.sign_in(&elder.email, "two fine passwords").await;
    }

    async fn having_ones_session_remembered_needs_a_session(t: TestDb) {
        let app = TestApp::new(&t).await;
        let elder = app.person(Role::Main, "ELDER").await;
        let line = "PATCH /auth/auto-login";
        app.request(line)
            .by(&elder)
            .body("application/json", "")
            .send()
            .await
            .is(200, r#"{"message":"Auto login set successfully"}"#);
        app.call(line, &elder, json!(null)).await.is(200, r#"{"message":"Auto login set successfully"}"#);
        app.call(line, ANYONE, json!(null))
            .await
            .is(403, r#"{"detail":{"type":"can not access","message":"You do not have permission"}}"#);
    }

    async fn a_session_can_be_asked_about_by_its_token(t: TestDb) {
        let app = TestApp::new(&t).await;
        let elder = app.person(Role::Main, "ELDER").await;
        let reply = app.call("POST /auth/check", ANYONE, json!({"session_id": elder.token})).await;
        reply.is(
            200,
            concat!(
                r#"{"message":"Permission check successful","result":{"session_id":"TOKEN","user_data":{"id":"ELDER","email":"elder@","role":"main","#,
                r#""user_name":"김순자","birth_date":"1945-03-01","gender":"female","address":"경기도 수원시"}}}"#
            ),
        );
        assert_eq!(reply.given("session_id"), elder.token);
        assert_eq!(reply.header("set-cookie"), format!("session_id={}; HttpOnly; Path=/; SameSite=lax", elder.token));
        app.call("POST /auth/check", &elder, json!({})).await.is(
            422,
            r#"{"detail":{"type":"no data","loc":["body","session_id"],"message":"Permission check data is required","input":{"session_id":null}}}"#,
        );
        // Not 403: the page would reload for ever.
        for dead in ["0123456789abcdef0123456789abcdef", &elder.token.to_uppercase(), "x", "' OR 1=1 --", "\0"] {
            let reply = app.call("POST /auth/check", &elder, json!({"session_id": dead})).await;
            reply.is(401, r#"{"detail":{"type":"unauthorized","message":"You do not have permission"}}"#);
            assert_eq!(reply.header("set-cookie"), "");
        }
        let get = app.get("/auth/check", &elder).await;
        get.is(405, r#"{"detail":"Method Not Allowed"}"#);
        assert_eq!(get.header("allow"), "POST");
    }

    async fn the_cookie_header_is_read_as_robots_write_it(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (elder, other) = (app.person(Role::Main, "ELDER").await, app.person(Role::Main, "OTHER").await);
        let ask = async |cookie: &str| {
            app.request(&format!("GET /accounts/{}", elder.id)).header("cookie", cookie).send().await.status
        };
        let token = &elder.token;
        for cookie in [
            format!("session_id={token}"),
            format!("session_id={token}; Path=/; Domain=.care.example; Secure; HttpOnly;"),
            format!("a=b;session_id=\"{token}\" ; c"),
            format!("session_id={}; session_id={token}", other.token),
        ] {
            assert_eq!(ask(&cookie).await, 200, "{cookie}");
        }
        for cookie in [
            format!("Session_id={token}"),
            format!("xsession_id={token}"),
            format!("session_id={}", token.to_uppercase()),
            format!("session_id={token}0"),
            format!("session_id={token}; session_id=0"),
            "session_id=".to_owned(),
        ] {
            assert_eq!(ask(&cookie).await, 403, "{cookie}");
        }
        // In two headers, as HTTP/2 splits them.
        let reply = app.request(&format!("GET /accounts/{}", elder.id)).header("cookie", "a=b").by(&elder).send().await;
        assert_eq!(reply.status, 200);
    }
}
