use crate::prelude::*;

const REFUSED: &str = r#"{"detail":{"type":"can not access","message":"You do not have permission"}}"#;
const MISSING: &str = r#"{"detail":{"type":"not found","message":"Notification not found"}}"#;
const NONE: &str = r#"{"message":"No new notifications found","result":[]}"#;

/// Makes a notification; its number.
async fn notify(app: &TestApp, house: &House, text: &str) -> i64 {
    let body = json!({"family_id": house.family, "descriptions": text});
    app.call("POST /notify", &house.elder, body).await.result()["index"].as_i64().expect("a number")
}

/// The texts of a list.
fn texts(reply: &Reply) -> Vec<String> {
    let rows = reply.result();
    rows.as_array().expect("a list").iter().map(|row| row["description"].as_str().expect("a text").to_owned()).collect()
}

both_engines! {
    async fn a_fall_arrives_as_the_detector_sends_it(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let body = json!({"family_id": house.family, "notification_grade": "CRIT", "descriptions": "낙상감지", "image_url": "http://images.example/fall.jpg"});
        let reply = app.call("POST /notify", &house.elder, body).await;
        reply.is(201, r#"{"message":"Notification created successfully","result":{"index":ROW1}}"#);
        let row = |is_read: &str, order: [&str; 2]| {
            format!(
                concat!(
                    r#"{{"index":ROW1,"family_id":"FAMILY","created_at":"2026-03-02T09:00:00","notification_grade":"crit","#,
                    r#""description":"낙상감지",{}{}}}"#
                ),
                order[0].replace("IS", is_read),
                order[1].replace("IS", is_read)
            )
        };
        let in_list = [r#""is_read":IS,"#, r#""image_url":"http://images.example/fall.jpg""#];
        let alone = [r#""image_url":"http://images.example/fall.jpg","#, r#""is_read":IS"#];
        let list =
            |message: &str, is_read: &str| format!(r#"{{"message":"{message}","result":[{}]}}"#, row(is_read, in_list));
        let (new, all) = (format!("/notify/new/{}", house.family), format!("/notify/all/{}", house.family));
        app.get(&new, &house.guardian).await.is(200, &list("New notification retrieved successfully", "false"));
        app.get(&all, &house.elder).await.is(200, &list("All notifications retrieved successfully", "false"));
        // As the robot's screen does it: a header called `headers`, and the body in the wrong place.
        let index = reply.result()["index"].clone();
        for body in [r#"{"is_read":true}"#, ""] {
            let read = app
                .request(&format!("PATCH /notify/read/{index}"))
                .by(&house.elder)
                .header("headers", "[object Object]");
            read.body("application/json", body).send().await.is(
                200,
                &format!(r#"{{"message":"Notification check read successfully","result":{}}}"#, row("true", alone)),
            );
        }
        app.get(&new, &house.guardian).await.is(200, NONE);
        app.get(&all, &house.guardian).await.is(200, &list("All notifications retrieved successfully", "true"));
    }

    async fn a_grade_is_taken_in_any_letter_case_and_none_if_absent(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system) = (app.house().await, app.system().await);
        for (sent, kept) in
            [(json!("Info"), "info"), (json!("WARN"), "warn"), (json!("none"), "none"), (json!(null), "none")]
        {
            let body = json!({"family_id": house.family, "notification_grade": sent});
            assert_eq!(app.call("POST /notify", &system, body).await.status, 201);
            let row = &app.get(&format!("/notify/all/{}?order=desc", house.family), &house.guardian).await.result()[0];
            assert_eq!(
                (&row["notification_grade"], &row["description"], &row["image_url"]),
                (&json!(kept), &json!(null), &json!(null))
            );
            app.advance(1000).await;
        }
    }

    async fn each_of_one_second_answers_its_own_number(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let mut numbers = Vec::new();
        for text in ["one", "two", "three"] {
            numbers.push(notify(&app, &house, text).await);
        }
        let rows = app.get(&format!("/notify/all/{}", house.family), &house.elder).await.result();
        for (row, (text, number)) in
            rows.as_array().expect("a list").iter().zip(["one", "two", "three"].iter().zip(numbers))
        {
            assert_eq!((&row["index"], &row["description"]), (&json!(number), &json!(text)));
        }
    }

    async fn making_a_notification_is_refused_in_the_contracts_order(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, stranger) = (app.house().await, app.person(Role::Sub, "STRANGER").await);
        app.call("POST /notify", ANYONE, json!({"notification_grade": "x"})).await.is(
            422,
            concat!(
                r#"{"detail":{"type":"no data","loc":["body","family_id"],"message":"Family ID is required","#,
                r#""input":{"family_id":null,"notification_grade":"x","descriptions":null,"image_url":null}}}"#
            ),
        );
        for grade in ["x", ""] {
            let body = json!({"family_id": house.family, "notification_grade": grade});
            app.call("POST /notify", &stranger, body).await.is(
                400,
                &format!(
                    concat!(
                        r#"{{"detail":{{"type":"invalid value","message":"Invalid value provided for account details (notification_grade)","#,
                        r#""input":{{"family_id":"FAMILY","notification_grade":"{}","descriptions":null,"image_url":null}}}}}}"#
                    ),
                    grade
                ),
            );
        }
        for who in [Some(&stranger), ANYONE] {
            app.call("POST /notify", who, json!({"family_id": house.family, "descriptions": "d"})).await.is(
                403,
                concat!(
                    r#"{"detail":{"type":"can not access","message":"You do not have permission","#,
                    r#""input":{"family_id":"FAMILY","notification_grade":null,"descriptions":"d","image_url":null}}}"#
                ),
            );
        }
        for field in ["descriptions", "image_url"] {
            let body = |length: usize| json!({"family_id": house.family, field: "a".repeat(length)});
            assert_eq!(app.call("POST /notify", &house.guardian, body(65_535)).await.status, 201);
            app.call("POST /notify", &house.guardian, body(65_536)).await.is(
                400,
                &format!(
                    r#"{{"detail":{{"type":"invalid value","loc":["body","{field}"],"message":"Text is too long"}}}}"#
                ),
            );
        }
    }

    async fn notifications_are_listed_by_time(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, stranger) = (app.house().await, app.person(Role::Sub, "STRANGER").await);
        for list in ["new", "all"] {
            app.get(&format!("/notify/{list}/{}", house.family), &house.elder).await.is(200, NONE);
            app.get(&format!("/notify/{list}/{}", house.family), &stranger).await.is(403, REFUSED);
        }
        for text in ["one", "two", "three"] {
            notify(&app, &house, text).await;
            app.advance(1000).await;
        }
        for list in ["new", "all"] {
            let ask = async |query: &str| {
                texts(&app.get(&format!("/notify/{list}/{}?{query}", house.family), &house.guardian).await)
            };
            assert_eq!(ask("").await, ["one", "two", "three"]);
            assert_eq!(ask("order=desc").await, ["three", "two", "one"]);
            assert_eq!(ask("end=2026-03-02T09:00:00").await, ["one", "two", "three"]);
            assert_eq!(ask("start=2026-03-02T09:00:01&end=2026-03-02T09:00:01").await, ["two"]);
            assert_eq!(ask("start=2026-03-02T09:00:01").await, ["two", "three"]);
            let reply = app.get(&format!("/notify/{list}/{}?order=up", house.family), ANYONE).await;
            assert_eq!((reply.status, &reply.json()["detail"][0]["type"]), (422, &json!("enum")));
        }
    }

    async fn a_notification_that_is_not_there_comes_before_the_right_to_it(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, stranger) = (app.house().await, app.person(Role::Sub, "STRANGER").await);
        let index = notify(&app, &house, "x").await;
        for who in [Some(&stranger), ANYONE] {
            app.call(&format!("PATCH /notify/read/{index}"), who, json!(null)).await.is(403, REFUSED);
            app.call("PATCH /notify/read/7", who, json!(null)).await.is(404, MISSING);
        }
        app.call("PATCH /notify/read/1.5", ANYONE, json!(null)).await.is(
            422,
            r#"{"detail":[{"type":"int_parsing","loc":["path","notification_id"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":"1.5"}]}"#,
        );
        // The number of a message is none of a notification.
        let body = json!({"from_id": house.guardian.id, "to_id": house.elder.id});
        assert_eq!(app.call("POST /messages/send", &house.guardian, body).await.status, 201);
        let message = app.get("/messages/all", &house.elder).await.result()[0]["index"].clone();
        app.call(&format!("PATCH /notify/read/{message}"), &house.elder, json!(null)).await.is(404, MISSING);
    }

    async fn several_notifications_are_marked_each_judged_by_itself(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, other) = (app.house().await, app.house().await);
        let line = "PATCH /notify/read-many";
        let (own, foreign) = (notify(&app, &house, "own").await, notify(&app, &other, "foreign").await);
        app.call(line, ANYONE, json!({"index_list": [own]})).await.is(403, REFUSED);
        app.call(line, &house.guardian, json!({"index_list": []})).await.is(
            422,
            r#"{"detail":{"type":"no data","loc":["body","index_list"],"message":"Notification id data is required","input":{"index_list":[]}}}"#,
        );
        app.names.set(own, "OWN");
        app.names.set(foreign, "FOREIGN");
        app.call(line, &house.guardian, json!({"index_list": [own, foreign.to_string(), "4", null]})).await.is(
            200,
            concat!(
                r#"{"message":"Results of the read notification operation","result":["#,
                r#"{"index":OWN,"is_processed":true,"code":200,"message":"Notification check read successfully"},"#,
                r#"{"index":"FOREIGN","is_processed":false,"code":403,"message":"You do not have permission"},"#,
                r#"{"index":"4","is_processed":false,"code":404,"message":"Notification does not exist"},"#,
                r#"{"index":null,"is_processed":false,"code":404,"message":"Notification does not exist"}]}"#
            ),
        );
        app.get(&format!("/notify/new/{}", house.family), &house.elder).await.is(200, NONE);
        assert_eq!(texts(&app.get(&format!("/notify/new/{}", other.family), &other.elder).await), ["foreign"]);
        app.call(line, &house.elder, json!({"index_list": vec![1; 1001]})).await.refuses(
            400,
            "invalid value",
            "Text is too long",
        );
    }

    async fn an_operator_deletes_notifications(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system) = (app.house().await, app.system().await);
        let index = notify(&app, &house, "x").await;
        let line = format!("DELETE /notify/delete/{index}");
        for who in [Some(&house.elder), ANYONE] {
            app.call(&line, who, json!(null)).await.is(403, REFUSED);
        }
        app.call(&line, &system, json!(null)).await.is(200, r#"{"message":"Notification deleted successfully"}"#);
        app.call(&line, &system, json!(null)).await.is(404, MISSING);
        assert_eq!(app.call("DELETE /notify/delete/x", &system, json!(null)).await.status, 422);
        app.call(&format!("DELETE /notify/{index}"), &system, json!(null)).await.is(404, r#"{"detail":"Not Found"}"#);
    }
}
