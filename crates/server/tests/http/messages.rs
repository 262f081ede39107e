use crate::events::follow;
use crate::prelude::*;

const REFUSED: &str = r#"{"detail":{"type":"can not access","message":"You do not have permission"}}"#;
const MISSING: &str = r#"{"detail":{"type":"not found","message":"Message does not exist"}}"#;

/// Sends a message; its number.
async fn send(app: &TestApp, from: &Person, to: &Person, content: &str) -> i64 {
    let body = json!({"from_id": from.id, "to_id": to.id, "content": content});
    app.call("POST /messages/send", from, body).await.is(201, r#"{"message":"Message sent successfully"}"#);
    let sent = app.get("/messages/sent?order=desc", from).await.result();
    sent[0]["index"].as_i64().expect("a number")
}

/// The texts of a list.
fn texts(reply: &Reply) -> Vec<String> {
    let rows = reply.result();
    rows.as_array().expect("a list").iter().map(|row| row["content"].as_str().expect("a text").to_owned()).collect()
}

both_engines! {
    async fn elders_and_guardians_reach_each_other(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system) = (app.house().await, app.system().await);
        let asker = app.person(Role::Sub, "ASKER").await;
        t.join(house.family, asker.id, None).await;
        let receivable =
            async |of: &Person, who: &Person| app.get(&format!("/messages/receivable/{}", of.id), who).await;
        receivable(&house.elder, &house.elder).await.is(
            200,
            r#"{"message":"Receivable account retrieved successfully","result":[{"user_id":"GUARDIAN","name":"막내"}]}"#,
        );
        let to_elder =
            r#"{"message":"Receivable account retrieved successfully","result":[{"user_id":"ELDER","name":"김순자"}]}"#;
        receivable(&house.guardian, &house.guardian).await.is(200, to_elder);
        receivable(&house.guardian, &system).await.is(200, to_elder);
        receivable(&house.elder, &house.guardian).await.is(403, REFUSED);
        app.get(&format!("/messages/receivable/{}", house.elder.id), ANYONE).await.is(403, REFUSED);
        let nobody = r#"{"detail":{"type":"not found","message":"No receivable account"}}"#;
        receivable(&asker, &asker).await.is(404, nobody);
        let test = app.person(Role::Test, "TEST").await;
        receivable(&test, &test).await.is(404, nobody);
        app.get("/messages/receivable/Uabcdefghijklmno", &system).await.is(404, nobody);
        app.get("/messages/receivable/x", &system).await.is(404, nobody);
        let all = receivable(&system, &system).await;
        all.is(204, "");
        assert_eq!(all.header("content-type"), "");
    }

    async fn a_name_to_write_to_is_never_null(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system) = (app.house().await, app.system().await);
        // Without nickname, and one without any name.
        let nameless = app
            .call(
                "POST /accounts",
                ANYONE,
                json!({"email": "nameless@example.com", "password": PASSWORD, "role": "sub"}),
            )
            .await
            .given("id");
        for user in [app.person(Role::Sub, "NAMED").await.id.as_str(), &nameless] {
            assert_eq!(
                app.call("POST /members", &system, json!({"family_id": house.family, "user_id": user})).await.status,
                201
            );
        }
        let people = app.get(&format!("/messages/receivable/{}", house.elder.id), &house.elder).await.result();
        let names: Vec<_> = people.as_array().expect("a list").iter().map(|person| person["name"].clone()).collect();
        assert_eq!(json!(names), json!(["막내", "김순자", ""]));
        // The elder without a name.
        let body = json!({"email": "elder@example.com", "password": PASSWORD, "role": "main"});
        let elder = app.call("POST /accounts", ANYONE, body).await.given("id");
        let family = app.call("POST /families", &system, json!({"main_user": elder})).await.given("id");
        let guardian = app.person(Role::Sub, "GUARDIAN2").await;
        assert_eq!(
            app.call("POST /members", &system, json!({"family_id": family, "user_id": guardian.id})).await.status,
            201
        );
        let people = app.get(&format!("/messages/receivable/{}", guardian.id), &guardian).await.result();
        assert_eq!(people, json!([{"user_id": elder, "name": ""}]));
    }

    async fn a_message_is_sent_listed_and_read(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let nothing =
            [("new", "No new received messages"), ("all", "No received messages"), ("sent", "No sent messages")];
        for (list, none) in nothing {
            app.get(&format!("/messages/{list}"), &house.elder)
                .await
                .is(200, &format!(r#"{{"message":"{none}","result":[]}}"#));
            app.get(&format!("/messages/{list}"), ANYONE).await.is(403, REFUSED);
        }
        // The robot's screen sends what only the server knows; it is passed over.
        let body = json!({"from_id": house.guardian.id, "to_id": house.elder.id, "content": "점심 드셨어요? 👵🏻", "image_url": "http://images.example/1.jpg",
            "index": 1, "created_at": "1999-01-01T00:00:00", "sender": "x", "is_read": true});
        app.call("POST /messages/send", &house.guardian, body)
            .await
            .is(201, r#"{"message":"Message sent successfully"}"#);
        let row = |is_read: bool| {
            format!(
                concat!(
                    r#"{{"index":ROW1,"from_id":"GUARDIAN","to_id":"ELDER","created_at":"2026-03-02T09:00:00","content":"점심 드셨어요? 👵🏻","#,
                    r#""image_url":"http://images.example/1.jpg","is_read":{}}}"#
                ),
                is_read
            )
        };
        let list = |message: &str, row: &str| format!(r#"{{"message":"{message}","result":[{row}]}}"#);
        for _ in 0..2 {
            // Listing is not reading.
            app.get("/messages/new", &house.elder)
                .await
                .is(200, &list("New received messages retrieved successfully", &row(false)));
        }
        app.get("/messages/all", &house.elder)
            .await
            .is(200, &list("All received messages retrieved successfully", &row(false)));
        app.get("/messages/sent", &house.guardian)
            .await
            .is(200, &list("All sent messages retrieved successfully", &row(false)));
        app.get("/messages/all", &house.guardian).await.is(200, r#"{"message":"No received messages","result":[]}"#);
        let index = app.get("/messages/new", &house.elder).await.result()[0]["index"].clone();
        for _ in 0..2 {
            app.call(&format!("PATCH /messages/read/{index}"), &house.elder, json!(null))
                .await
                .is(200, &format!(r#"{{"message":"Message read successfully","result":{}}}"#, row(true)));
        }
        app.get("/messages/new", &house.elder).await.is(200, r#"{"message":"No new received messages","result":[]}"#);
        app.get("/messages/all", &house.elder)
            .await
            .is(200, &list("All received messages retrieved successfully", &row(true)));
    }

    async fn sending_is_refused_in_the_contracts_order(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system, stranger) =
            (app.house().await, app.system().await, app.person(Role::Sub, "STRANGER").await);
        let (elder, guardian) = (house.elder.id.as_str(), house.guardian.id.as_str());
        let nobody = "Uabcdefghijklmno";
        let send = async |who: Option<&Person>, from: &str, to: &str| {
            app.call("POST /messages/send", who, json!({"from_id": from, "to_id": to, "content": "x"})).await
        };
        app.call("POST /messages/send", ANYONE, json!({"from_id": "", "content": "x"})).await.is(
            422,
            concat!(
                r#"{"detail":{"type":"no data","loc":["body","from_id","to_id"],"message":"Account id data is required","#,
                r#""input":{"from_id":"","to_id":null,"content":"x","image_url":null}}}"#
            ),
        );
        let input = |from: &str, to: &str| {
            format!(r#""input":{{"from_id":"{from}","to_id":"{to}","content":"x","image_url":null}}"#)
        };
        let refused = |from: &str, to: &str| {
            format!(
                r#"{{"detail":{{"type":"can not access","message":"You do not have permission",{}}}}}"#,
                input(from, to)
            )
        };
        send(Some(&house.guardian), elder, nobody).await.is(403, &refused("ELDER", nobody));
        send(ANYONE, elder, guardian).await.is(403, &refused("ELDER", "GUARDIAN"));
        let absent = |from: &str, to: &str| {
            format!(
                r#"{{"detail":{{"type":"not found","message":"Received user does not exist",{}}}}}"#,
                input(from, to)
            )
        };
        send(Some(&house.elder), elder, nobody).await.is(404, &absent("ELDER", nobody));
        send(Some(&house.elder), elder, "x").await.is(404, &absent("ELDER", "x"));
        send(Some(&house.elder), elder, stranger.id.as_str()).await.is(403, &refused("ELDER", "STRANGER"));
        send(Some(&stranger), stranger.id.as_str(), elder).await.is(403, &refused("STRANGER", "ELDER"));
        for unknown in [nobody, "x"] {
            send(Some(&system), unknown, elder).await.refuses(404, "not found", "Sending user does not exist");
        }
        // To oneself, and an operator to and for anybody.
        assert_eq!(send(Some(&stranger), stranger.id.as_str(), stranger.id.as_str()).await.status, 201);
        assert_eq!(send(Some(&system), system.id.as_str(), elder).await.status, 201);
        assert_eq!(send(Some(&system), stranger.id.as_str(), elder).await.status, 201);
        for field in ["content", "image_url"] {
            let body = |length: usize| json!({"from_id": elder, "to_id": guardian, field: "a".repeat(length)});
            assert_eq!(app.call("POST /messages/send", &house.elder, body(65_535)).await.status, 201);
            app.call("POST /messages/send", &house.elder, body(65_536)).await.is(
                400,
                &format!(
                    r#"{{"detail":{{"type":"invalid value","loc":["body","{field}"],"message":"Text is too long"}}}}"#
                ),
            );
        }
    }

    async fn an_end_counts_only_with_a_start(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        for text in ["one", "two", "three"] {
            send(&app, &house.guardian, &house.elder, text).await;
            app.advance(1000).await;
        }
        for (list, who) in [("new", &house.elder), ("all", &house.elder), ("sent", &house.guardian)] {
            let ask = async |query: &str| texts(&app.get(&format!("/messages/{list}?{query}"), who).await);
            assert_eq!(ask("").await, ["one", "two", "three"]);
            assert_eq!(ask("order=desc").await, ["three", "two", "one"]);
            assert_eq!(ask("end=2026-03-02T09:00:00").await, ["one", "two", "three"]);
            assert_eq!(ask("start=2026-03-02T09:00:01Z").await, ["two", "three"]);
            assert_eq!(ask("start=2026-03-02T09:00:00Z&end=2026-03-02T09:00:01Z&order=desc").await, ["two", "one"]);
            let reply = app.get(&format!("/messages/{list}?start=x"), ANYONE).await;
            assert_eq!((reply.status, &reply.json()["detail"][0]["type"]), (422, &json!("datetime_from_date_parsing")));
        }
    }

    async fn only_the_receiver_marks_a_message_as_read(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system) = (app.house().await, app.system().await);
        let index = send(&app, &house.guardian, &house.elder, "x").await;
        for who in [Some(&house.guardian), Some(&system), ANYONE] {
            app.call(&format!("PATCH /messages/read/{index}"), who, json!(null)).await.is(403, REFUSED);
            app.call("PATCH /messages/read/1", who, json!(null)).await.is(404, MISSING);
            app.call("PATCH /messages/read/99999999999999999999999999", who, json!(null)).await.is(404, MISSING);
        }
        app.call("PATCH /messages/read/first", &house.elder, json!(null)).await.is(
            422,
            r#"{"detail":[{"type":"int_parsing","loc":["path","message_id"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":"first"}]}"#,
        );
        // The robot's voice program tries POST, and messages would vanish from the page if that worked.
        let post = app.call(&format!("POST /messages/read/{index}"), &house.elder, json!({})).await;
        post.is(405, r#"{"detail":"Method Not Allowed"}"#);
        assert_eq!(post.header("allow"), "PATCH");
        assert_eq!(texts(&app.get("/messages/new", &house.elder).await), ["x"]);
    }

    async fn what_the_robot_has_read_out_is_shown_to_who_wrote_it_and_stays_unread(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system) = (app.house().await, app.system().await);
        let index = send(&app, &house.guardian, &house.elder, "x").await;
        let second = send(&app, &house.guardian, &house.elder, "y").await;
        let mut stream = follow(&app, house.family, &house.guardian).await;
        for who in [Some(&house.guardian), Some(&system), ANYONE] {
            app.call(&format!("POST /v1/messages/{index}/spoken"), who, json!(null)).await.is(403, REFUSED);
            app.call("POST /v1/messages/1/spoken", who, json!(null)).await.is(404, MISSING);
            assert_eq!(app.call(&format!("POST /messages/read/{index}"), who, json!({})).await.status, 405);
        }
        let place = format!("/app/families/{}/messages?with={}", house.family, house.elder.id);
        let page = async || app.get(&place, &house.guardian).await.text();
        assert!(!page().await.contains("읽어 드림"), "{}", page().await);
        // Today's robot, which is told that it can not, and a later one; each again, as after a broken connection.
        for _ in 0..2 {
            app.call(&format!("POST /messages/read/{index}"), &house.elder, json!({})).await.is(405, r#"{"detail":"Method Not Allowed"}"#);
            app.call(&format!("POST /v1/messages/{second}/spoken"), &house.elder, json!(null)).await
                .is(200, r#"{"message":"Message noted as spoken"}"#);
            app.advance(60_000).await;
        }
        for index in [index, second] {
            let body = stream.expect("message").await.data["body"].clone();
            assert_eq!(body, json!({"what": "spoken", "index": index, "from_id": house.guardian.id, "to_id": house.elder.id}));
        }
        app.call(&format!("PATCH /messages/read/{index}"), &house.elder, json!(null)).await.succeeds(200);
        app.call("PATCH /messages/read-many", &house.elder, json!({"index_list": [index, second]})).await.succeeds(200);
        for index in [index, second] {
            let event = stream.expect("message").await;
            assert_eq!((&event.data["body"]["what"], &event.data["body"]["index"]), (&json!("read"), &json!(index)));
        }
        assert_eq!(page().await.matches("로봇이 읽어 드림 <time").count(), 2, "{}", page().await);
        assert!(page().await.contains("09:00"), "when it was first said: {}", page().await);
    }

    async fn several_messages_are_marked_each_judged_by_itself(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let line = "PATCH /messages/read-many";
        let (first, second) = (
            send(&app, &house.guardian, &house.elder, "1").await,
            send(&app, &house.guardian, &house.elder, "2").await,
        );
        let other = send(&app, &house.elder, &house.guardian, "3").await;
        app.call(line, ANYONE, json!({})).await.is(403, REFUSED);
        for body in [json!({}), json!({"index_list": null})] {
            app.call(line, &house.elder, body).await.is(
                422,
                r#"{"detail":{"type":"no data","loc":["body","index_list"],"message":"Message id data is required","input":{"index_list":null}}}"#,
            );
        }
        app.call(line, &house.elder, json!({"index_list": []})).await.is(
            422,
            r#"{"detail":{"type":"no data","loc":["body","index_list"],"message":"Message id data is required","input":{"index_list":[]}}}"#,
        );
        app.call(line, ANYONE, json!({"index_list": 5})).await.is(
            422,
            r#"{"detail":[{"type":"list_type","loc":["body","index_list"],"msg":"Input should be a valid list","input":5}]}"#,
        );
        app.names.set(first, "FIRST");
        app.names.set(second, "SECOND");
        app.names.set(other, "OTHER");
        let body = json!({"index_list": [second.to_string(), other, null, 1.5, {"a": 1}, 7, first, first, "x"]});
        app.call(line, &house.elder, body).await.is(
            200,
            concat!(
                r#"{"message":"Results of the read message operation","result":["#,
                r#"{"index":"SECOND","is_processed":true,"code":200,"message":"Message read successfully"},"#,
                r#"{"index":OTHER,"is_processed":false,"code":403,"message":"You do not have permission"},"#,
                r#"{"index":null,"is_processed":false,"code":404,"message":"This message does not exist"},"#,
                r#"{"index":1.5,"is_processed":false,"code":404,"message":"This message does not exist"},"#,
                r#"{"index":{"a":1},"is_processed":false,"code":404,"message":"This message does not exist"},"#,
                r#"{"index":7,"is_processed":false,"code":404,"message":"This message does not exist"},"#,
                r#"{"index":FIRST,"is_processed":true,"code":200,"message":"Message read successfully"},"#,
                r#"{"index":FIRST,"is_processed":true,"code":200,"message":"Message read successfully"},"#,
                r#"{"index":"x","is_processed":false,"code":404,"message":"This message does not exist"}]}"#
            ),
        );
        assert_eq!(texts(&app.get("/messages/new", &house.elder).await), [""; 0]);
        assert_eq!(texts(&app.get("/messages/new", &house.guardian).await), ["3"]);
        let many = |count: usize| json!({"index_list": vec![first; count]});
        assert_eq!(app.call(line, &house.elder, many(1000)).await.result().as_array().map(Vec::len), Some(1000));
        app.call(line, &house.elder, many(1001)).await.refuses(400, "invalid value", "Text is too long");
    }

    async fn an_operator_deletes_messages(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system) = (app.house().await, app.system().await);
        let index = send(&app, &house.guardian, &house.elder, "x").await;
        let line = format!("DELETE /messages/delete/{index}");
        for who in [Some(&house.guardian), Some(&house.elder), ANYONE] {
            app.call(&line, who, json!(null)).await.is(403, REFUSED);
            app.call("DELETE /messages/delete/1", who, json!(null)).await.is(403, REFUSED);
        }
        app.call(&line, &system, json!(null)).await.is(200, r#"{"message":"Message deleted successfully"}"#);
        app.call(&line, &system, json!(null)).await.is(404, MISSING);
        assert_eq!(texts(&app.get("/messages/all", &house.elder).await), [""; 0]);
        let reply = app.call("DELETE /messages/delete/x", ANYONE, json!(null)).await;
        assert_eq!((reply.status, &reply.json()["detail"][0]["type"]), (422, &json!("int_parsing")));
    }
}
