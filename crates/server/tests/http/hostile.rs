//! Input that wants to do harm: it is refused clearly, or it is plain text.

use carebot_database::params;

use crate::prelude::*;

/// Every `POST`, `PATCH` and `DELETE` that takes a body.
const LINES: &[&str] = &[
    "POST /accounts/check-email",
    "POST /accounts",
    "PATCH /accounts/Uabcdefghijklmno",
    "DELETE /accounts/Uabcdefghijklmno",
    "POST /auth/login",
    "PATCH /auth/change-password",
    "POST /auth/check",
    "POST /families/check-exist",
    "POST /families",
    "POST /families/find",
    "PATCH /families/Fabcdefghijklmno",
    "DELETE /families/Fabcdefghijklmno",
    "POST /members",
    "PATCH /members/Mabcdefghijklmno",
    "DELETE /members/Mabcdefghijklmno",
    "POST /status/home",
    "POST /status/health",
    "POST /status/active",
    "POST /chats",
    "POST /messages/send",
    "PATCH /messages/read-many",
    "POST /notify",
    "PATCH /notify/read-many",
    "PATCH /tools/settings/Fabcdefghijklmno",
    "POST /tools/background",
];

/// Texts that would be something else in an SQL statement.
const SQL: &[&str] = &[
    "'; DROP TABLE accounts; --",
    "' OR '1'='1",
    "\" OR \"\"=\"",
    "x') UNION SELECT password_hash FROM accounts --",
    "%",
    "_",
    "\\'; DELETE FROM families; --",
    "?1 :a $1 @b {{id}} /* */ #",
];

both_engines! {
    async fn broken_json_is_refused_by_every_operation(t: TestDb) {
        let app = TestApp::new(&t).await;
        let system = app.system().await;
        let deep = "[".repeat(100_000);
        let nested = format!("{}{}", r#"{"a":"#.repeat(5_000), "1");
        let bodies: [&[u8]; 12] = [
            deep.as_bytes(),
            nested.as_bytes(),
            br#"{"family_id":"#,
            br#"{"family_id":NaN}"#,
            br#"{"family_id":-Infinity}"#,
            br#"{"family_id":1e400}"#,
            br#"{"family_id":"\ud800"}"#,
            br#"{"family_id":"\udc00\ud800"}"#,
            b"{\"family_id\":\"\xff\xfe\"}",
            b"{\"family_id\":\"\0\"}",
            b"\0",
            b"{'family_id':'x'}",
        ];
        for line in LINES {
            for body in bodies {
                let reply = app.request(line).by(&system).body("application/json", body.to_vec()).send().await;
                let kind = reply.json()["detail"][0]["type"].clone();
                assert_eq!((reply.status, &kind), (422, &json!("json_invalid")), "{line}: {}", reply.text());
                assert!(reply.body.len() < 1000, "{line}: a long answer to a broken body");
            }
        }
    }

    async fn odd_json_is_taken_for_what_it_is(t: TestDb) {
        let app = TestApp::new(&t).await;
        let send = async |body: &str| {
            app.request("POST /accounts/check-email").body("application/json", body.to_owned()).send().await
        };
        // Of two equal keys the last counts.
        app.person_at(Role::Sub, "taken@example.com").await;
        assert_eq!(send(r#"{"email":"free@example.com","email":"taken@example.com"}"#).await.status, 409);
        assert_eq!(send(r#"{"email":"taken@example.com","email":"free@example.com"}"#).await.status, 200);
        let keys: Vec<String> = (0..20_000).map(|number| format!(r#""key{number}":{number},"#)).collect();
        let keys = keys.concat();
        assert_eq!(send(&format!(r#"{{{keys}"email":"free@example.com"}}"#)).await.status, 200);
        assert_eq!(send("{\"email\":\"a\\u0000b\"}").await.status, 200);
        assert_eq!(send("\u{feff}{\"email\":\"free@example.com\"}").await.status, 200);
        let ten = format!(r#"{{"email":"{}"}}"#, "a".repeat(10_000_000));
        send(&ten).await.refuses(413, "too large", "The body of the request is too large");
    }

    async fn sql_in_a_text_is_stored_as_a_text(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system) = (app.house().await, app.system().await);
        let (elder, guardian, family) = (&house.elder, &house.guardian, house.family);
        for sql in SQL {
            let body = json!({"user_name": sql, "address": sql});
            let account = app.call(&format!("PATCH /accounts/{}", elder.id), elder, body).await.result();
            let name: String = sql.chars().take(32).collect();
            assert_eq!((&account["user_name"], &account["address"]), (&json!(name), &json!(sql)));
            assert_eq!(
                app.call(&format!("PATCH /families/{family}"), elder, json!({"family_name": sql})).await.result()["family_name"],
                name.as_str()
            );
            assert_eq!(
                app.call(&format!("PATCH /members/{}", house.member), elder, json!({"nickname": sql})).await.result()["nickname"],
                name.as_str()
            );
            let found = json!({"user_name": name, "birth_date": {"year": 1945, "month": 3, "day": 1}, "gender": "female", "address": sql});
            assert_eq!(app.call("POST /families/find", guardian, found).await.result()[0]["family_id"], json!(family));
            assert_eq!(
                app.call("POST /status/home", elder, json!({"family_id": family, "others": sql})).await.status,
                201
            );
            assert_eq!(app.get(&format!("/status/home/latest/{family}"), elder).await.result()["others"], *sql);
            let active = json!({"family_id": family, "action": name, "description": sql, "image_url": sql});
            assert_eq!(app.call("POST /status/active", elder, active).await.status, 201);
            let row = app.get(&format!("/status/active/latest/{family}"), elder).await.result();
            assert_eq!(
                (&row["action"], &row["description"], &row["image_url"]),
                (&json!(name), &json!(sql), &json!(sql))
            );
            let message = json!({"from_id": elder.id, "to_id": guardian.id, "content": sql, "image_url": sql});
            assert_eq!(app.call("POST /messages/send", elder, message).await.status, 201);
            assert_eq!(app.get("/messages/all?order=desc", guardian).await.result()[0]["content"], *sql);
            let notification = json!({"family_id": family, "descriptions": sql, "image_url": sql});
            assert_eq!(app.call("POST /notify", elder, notification).await.status, 201);
            assert_eq!(
                app.get(&format!("/notify/all/{family}?order=desc"), guardian).await.result()[0]["description"],
                *sql
            );
            assert_eq!(
                app.call("POST /tools/background", elder, json!({"family_id": family, "image_url": sql})).await.status,
                201
            );
            let login = app
                .request("POST /auth/login")
                .header("user-agent", sql)
                .json(&json!({"email": elder.email, "password": PASSWORD}));
            assert_eq!(login.send().await.status, 200);
            app.advance(1000).await;
        }
        let sessions = app.get("/v1/sessions", elder).await.result();
        let labels: Vec<_> =
            sessions.as_array().expect("a list").iter().map(|session| session["label"].clone()).collect();
        assert!(SQL.iter().all(|sql| labels.contains(&json!(sql))), "{labels:?}");
        assert_eq!(app.get("/accounts", &system).await.result().as_array().map(Vec::len), Some(3));
        assert_eq!(app.get("/families", &system).await.result().as_array().map(Vec::len), Some(1));
    }

    async fn sql_in_an_id_or_a_query_names_nothing(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system) = (app.house().await, app.system().await);
        for sql in SQL {
            let piece = percent_encoding::utf8_percent_encode(sql, percent_encoding::NON_ALPHANUMERIC).to_string();
            for path in [
                "/accounts/{}",
                "/families/{}",
                "/members/{}",
                "/status/home/latest/{}",
                "/notify/all/{}",
                "/tools/settings/{}",
                "/messages/receivable/{}",
            ] {
                assert_eq!(app.get(&path.replace("{}", &piece), &system).await.status, 404, "{path} {sql}");
            }
            for path in [
                "/members?familyId={}",
                "/members?userId={}",
                "/v1/sessions?userId={}",
                "/tools/background/F?uploader={}",
                "/tools/news?when={}",
                "/messages/all?start={}&order={}",
            ] {
                assert_eq!(app.get(&path.replace("{}", &piece), &system).await.status, 422, "{path} {sql}");
            }
            for line in ["PATCH /messages/read/{}", "PATCH /notify/read/{}", "DELETE /v1/sessions/{}"] {
                let body = if line.starts_with("DELETE") { json!({}) } else { json!(null) };
                assert_eq!(app.call(&line.replace("{}", &piece), &system, body).await.status, 422, "{line} {sql}");
            }
            let elsewhere = json!({"email": sql, "password": sql, "id": sql, "family_id": sql, "user_id": sql, "from_id": sql, "to_id": sql, "main_user": sql});
            for (line, status) in [
                ("POST /auth/login", 401),
                ("POST /families/check-exist", 404),
                ("POST /families", 400),
                ("POST /members", 404),
                ("POST /status/home", 404),
                ("POST /messages/send", 404),
                ("POST /notify", 404),
                ("POST /tools/background", 404),
            ] {
                assert_eq!(app.call(line, &system, elsewhere.clone()).await.status, status, "{line} {sql}");
            }
            assert_eq!(
                app.call("PATCH /messages/read-many", &system, json!({"index_list": [sql]})).await.result()[0]["code"],
                404
            );
        }
        assert_eq!(app.get(&format!("/families/{}", house.family), &house.guardian).await.status, 200);
        let count =
            t.db.read()
                .fetch_one("SELECT COUNT(*) FROM accounts WHERE deleted_at IS NULL", params![], |row| row.get::<i64>(0))
                .await;
        assert_eq!(count.expect("a number"), 3);
    }

    async fn odd_headers_and_cookies_do_no_harm(t: TestDb) {
        let app = TestApp::new(&t).await;
        let elder = app.person(Role::Main, "ELDER").await;
        let path = format!("GET /accounts/{}", elder.id);
        let huge = "a".repeat(30_000);
        let many = "session_id=x; ".repeat(2_000);
        for cookie in [
            huge.as_bytes(),
            many.as_bytes(),
            b"session_id=\xff\xfe",
            "session_id=할머니".as_bytes(),
            b"session_id=' OR 1=1 --",
            b"=;=;==;;;",
            b"session_id",
            b"session_id=\"\"",
            b"\t",
        ] {
            app.request(&path).header("cookie", cookie).send().await.forbids();
        }
        for (name, value) in [
            ("user-agent", b"\xff\xfe".as_slice()),
            ("user-agent", huge.as_bytes()),
            ("origin", b"\xff"),
            ("x-forwarded-for", b"1.2.3.4, ' OR 1=1, \xff"),
            ("x-forwarded-host", b"evil.example/path?"),
            ("x-forwarded-proto", b"gopher"),
            ("content-type", b"\xff"),
            ("content-type", b"application/json;;;=\"; charset=x"),
            ("accept-encoding", b"gzip;q=nonsense, \xff"),
            ("range", b"bytes=0-1"),
            ("if-none-match", b"*"),
            ("expect", b"200-ok"),
            ("host", b"\xff"),
        ] {
            let reply = app.request(&path).by(&elder).header(name, value).send().await;
            assert_eq!(reply.status, 200, "{name}: {}", reply.text());
        }
        let login = json!({"email": elder.email, "password": PASSWORD});
        for agent in [b"\xff\xfe".as_slice(), huge.as_bytes(), "할머니 👵🏻".as_bytes()] {
            assert_eq!(
                app.request("POST /auth/login").header("user-agent", agent).json(&login).send().await.status,
                200
            );
        }
        let reply = app.request(&path).by(&elder).without("host").send().await;
        assert_eq!(reply.status, 200);
    }

    async fn odd_paths_and_queries_do_no_harm(t: TestDb) {
        let app = TestApp::new(&t).await;
        let system = app.system().await;
        for path in [
            "/accounts/%00",
            "/accounts/%FF%FE",
            "/accounts/..%2f..%2fetc",
            "/families/%F0%9F%91%B5",
            "/members/%",
            "/members/%zz",
        ] {
            assert_eq!(app.get(path, &system).await.status, 404, "{path}");
        }
        let long = format!("/accounts/{}", "a".repeat(20_000));
        assert_eq!(app.get(&long, &system).await.status, 404);
        for query in [
            "%",
            "%zz=%",
            "=&=&&",
            "start=%FF",
            "start=9".to_owned().repeat(500).as_str(),
            "start=-99999999999999999999",
            "order=%00",
        ] {
            let status = app.get(&format!("/messages/all?{query}"), &system).await.status;
            assert!(matches!(status, 200 | 422), "{query}: {status}");
        }
    }
}
