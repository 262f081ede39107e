//! `/v1/alarms`, `/v1/drills`: what goes over the wire. What alarms do by themselves is in `alarms/`.

use carebot_database::journal::{self, ChainKey};
use carebot_model::RowId;
use carebot_model::alarms::Rule;

use crate::prelude::*;

const MISSING: &str = "Alarm not found";
const OVER: &str = "This alarm is over";

/// Reports something critical; the number of the alarm.
async fn fall(app: &TestApp, house: &House) -> i64 {
    let body = json!({"family_id": house.family, "score": 0, "action": "낙상", "is_critical": true});
    app.call("POST /status/active", &house.elder, body).await.succeeds(201);
    let alarms = app.get(&format!("/v1/alarms/{}?active=true", house.family), &house.guardian).await.result();
    let fallen = alarms.as_array().expect("a list").iter().find(|alarm| alarm["rule"] == "fall");
    fallen.expect("an alarm")["id"].as_i64().expect("its number")
}

async fn act(app: &TestApp, who: impl carebot_testkit::app::Who, id: i64, what: &str, body: Value) -> Reply {
    app.call(&format!("POST /v1/alarms/{id}/{what}"), who, body).await
}

async fn kinds(app: &TestApp, who: &Person, id: i64) -> Vec<String> {
    let timeline = app.get(&format!("/v1/alarms/{id}/timeline"), who).await.result();
    let entries = timeline["entries"].as_array().expect("entries").clone();
    entries.iter().map(|entry| entry["kind"].as_str().expect("a kind").to_owned()).collect()
}

both_engines! {
    async fn an_alarm_is_listed_with_what_people_read(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let line = format!("/v1/alarms/{}", house.family);
        app.get(&line, &house.guardian).await.is(200, r#"{"message":"No alarms found","result":[]}"#);
        fall(&app, &house).await;
        app.get(&line, &house.guardian).await.is(
            200,
            concat!(
                r#"{"message":"Alarms retrieved successfully","result":[{"id":ROW1,"family_id":"FAMILY","rule":"fall","severity":"crit","#,
                r#""state":"active","is_drill":false,"is_late":false,"text":{"ko":{"title":"낙상감지","#,
                r#""detail":"어르신이 넘어지신 것 같습니다. 지금 바로 확인해 주세요."},"en":{"title":"Fall","#,
                r#""detail":"A fall was detected: check at once."}},"sensed_at":"2026-03-02T09:00:00","last_sensed_at":"2026-03-02T09:00:00","#,
                r#""raised_at":"2026-03-02T09:00:00","occurrences":1,"value":null,"image_url":null,"notification":ROW2,"#,
                r#""acknowledged_at":null,"acknowledged_by":null,"cleared_at":null,"cleared_by":null,"clear_reason":null,"#,
                r#""snoozed_until":null,"ask_until":null,"answer":null}]}"#
            ),
        );
        for who in [&house.elder, &app.system().await] {
            assert_eq!(app.get(&line, who).await.result().as_array().map(Vec::len), Some(1));
        }
        app.get(&line, &app.person(Role::Sub, "STRANGER").await).await.forbids();
        app.get(&line, ANYONE).await.forbids();
        app.get("/v1/alarms/Fabcdefghijklmno", &app.system().await).await.refuses(404, "not found", "Family not found");
    }

    async fn alarms_are_listed_page_by_page_and_only_active_ones_if_asked_for(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let mut ids = Vec::new();
        for _ in 0..3 {
            app.advance(120_000).await;
            let id = fall(&app, &house).await;
            act(&app, &house.guardian, id, "clear", json!({})).await.succeeds(200);
            ids.insert(0, id);
        }
        app.advance(120_000).await;
        ids.insert(0, fall(&app, &house).await);
        let list = async |query: &str| -> Vec<i64> {
            let listed = app.get(&format!("/v1/alarms/{}{query}", house.family), &house.guardian).await.result();
            listed.as_array().expect("a list").iter().map(|alarm| alarm["id"].as_i64().expect("a number")).collect()
        };
        assert_eq!(list("").await, ids);
        assert_eq!(list("?limit=2").await, ids[..2]);
        assert_eq!(list(&format!("?limit=2&before={}", ids[1])).await, ids[2..]);
        assert_eq!(list("?active=true").await, ids[..1]);
        assert_eq!(list("?active=false").await, ids);
        assert_eq!(list("?before=0").await, [0; 0]);
        for query in ["limit=0", "limit=501", "limit=x", "before=x", "active=maybe"] {
            let reply = app.get(&format!("/v1/alarms/{}?{query}", house.family), &house.guardian).await;
            assert_eq!((reply.status, reply.json()["detail"][0]["loc"][0].as_str()), (422, Some("query")), "{query}");
        }
    }

    async fn the_timeline_tells_what_happened_and_holds_no_names(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let id = fall(&app, &house).await;
        act(&app, &house.guardian, id, "comment", json!({"text": "가고 있어요"})).await.succeeds(200);
        act(&app, &house.guardian, id, "ack", json!(null)).await.succeeds(200);
        let reply = app.get(&format!("/v1/alarms/{id}/timeline"), &house.elder).await;
        let timeline = reply.result();
        assert_eq!(timeline["alarm"]["state"], "active_acknowledged");
        assert_eq!(
            kinds(&app, &house.guardian, id).await,
            ["sensed", "received", "judged", "raised", "step", "commented", "acknowledged"]
        );
        let commented = &timeline["entries"][5];
        assert_eq!(commented["body"], json!({"by": house.guardian.id, "text": "가고 있어요"}));
        assert_eq!((commented["at_ms"].as_i64(), &commented["at"]), (Some(t.now().millis()), &json!(t.now())));
        assert_eq!(commented["hash"].as_str().map(str::len), Some(64));
        assert!(!reply.text().contains("김순자"), "a timeline holds no names");
        let line = format!("/v1/alarms/{id}/timeline");
        app.get(&line, &app.person(Role::Sub, "STRANGER").await).await.forbids();
        app.get(&line, ANYONE).await.forbids();
        app.get("/v1/alarms/1/timeline", ANYONE).await.refuses(404, "not found", MISSING);
        assert_eq!(app.get("/v1/alarms/x/timeline", ANYONE).await.status, 422);
    }

    async fn who_looks_after_the_elder_sees_to_an_alarm_and_the_robots_screen_can_not(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, stranger) = (app.house().await, app.person(Role::Sub, "STRANGER").await);
        let id = fall(&app, &house).await;
        for what in ["ack", "clear", "comment", "snooze"] {
            let body = match what {
                "comment" => json!({"text": "괜찮아요"}),
                "snooze" => json!({"seconds": 300, "reason": "나중에"}),
                _ => json!({}),
            };
            act(&app, &house.elder, id, what, body.clone()).await.forbids();
            act(&app, &stranger, id, what, body.clone()).await.forbids();
            act(&app, ANYONE, id, what, body.clone()).await.forbids();
            act(&app, &house.guardian, 1, what, body).await.refuses(404, "not found", MISSING);
        }
        assert_eq!(app.call("POST /v1/alarms/x/ack", &house.guardian, json!(null)).await.status, 422);
        let seen = act(&app, &house.guardian, id, "ack", json!(null)).await;
        assert_eq!(seen.json()["message"], "Alarm acknowledged successfully");
        assert_eq!(seen.result()["state"], "active_acknowledged");
        assert_eq!(seen.given("acknowledged_by"), house.guardian.id.as_str());
        // Again is no fault and changes nothing, whoever it is.
        app.advance(60_000).await;
        let again = act(&app, &app.system().await, id, "ack", json!(null)).await;
        assert_eq!(again.result(), seen.result());
    }

    async fn an_alarm_is_cleared_once_with_what_there_was(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let id = fall(&app, &house).await;
        let long = act(&app, &house.guardian, id, "clear", json!({"comment": "가".repeat(1_001)})).await;
        long.is(400, r#"{"detail":{"type":"invalid value","loc":["body","comment"],"message":"Text is too long"}}"#);
        let cleared = act(&app, &house.guardian, id, "clear", json!({"comment": "걸려 넘어질 뻔하셨대요"})).await;
        assert_eq!(cleared.json()["message"], "Alarm cleared successfully");
        let alarm = cleared.result();
        assert_eq!((&alarm["state"], &alarm["clear_reason"]), (&json!("cleared_acknowledged"), &json!("person")));
        assert_eq!(alarm["cleared_by"], json!(house.guardian.id));
        act(&app, &house.guardian, id, "clear", json!({})).await.refuses(409, "already exists", OVER);
        assert_eq!(
            kinds(&app, &house.guardian, id).await[5..],
            ["commented", "acknowledged", "cleared"],
            "what was refused is not in the timeline"
        );
    }

    async fn a_comment_needs_a_text_of_bounded_length(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let id = fall(&app, &house).await;
        let comment = async |body: Value| act(&app, &house.guardian, id, "comment", body).await;
        for body in [json!({}), json!({"text": ""}), json!({"text": null})] {
            comment(body).await.refuses(422, "no data", "A text is required");
        }
        comment(json!({"text": " \n"})).await.refuses(400, "invalid value", "A comment needs a text");
        comment(json!({"text": "가".repeat(1_001)})).await.refuses(400, "invalid value", "Text is too long");
        assert_eq!(comment(json!({"text": 5})).await.status, 422);
        comment(json!({"text": "가".repeat(1_000)})).await.succeeds(200);
        act(&app, &house.guardian, id, "clear", json!({})).await.succeeds(200);
        comment(json!({"text": "나중에 알게 된 것"})).await.succeeds(200);
    }

    async fn an_alarm_is_put_off_within_bounds_with_a_reason_and_an_end(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let id = fall(&app, &house).await;
        let snooze = async |body: Value| act(&app, &house.guardian, id, "snooze", body).await;
        for body in [json!({}), json!({"seconds": 300}), json!({"reason": "가는 중"})] {
            snooze(body).await.refuses(422, "no data", "Seconds and a reason are required");
        }
        let bounds = "An alarm can be put off for a minute at least, a critical one for 15 minutes at most, another for a day";
        for seconds in [-1, 0, 59, 901, 86_400, i64::MAX] {
            snooze(json!({"seconds": seconds, "reason": "가는 중"})).await.refuses(400, "invalid value", bounds);
        }
        let blank = snooze(json!({"seconds": 300, "reason": "  "})).await;
        blank.refuses(400, "invalid value", "Putting an alarm off needs a reason");
        let long = snooze(json!({"seconds": 300, "reason": "가".repeat(1_001)})).await;
        long.is(400, r#"{"detail":{"type":"invalid value","loc":["body","reason"],"message":"Text is too long"}}"#);
        let put_off = snooze(json!({"seconds": 900, "reason": "가는 중"})).await;
        assert_eq!(put_off.json()["message"], "Alarm put off successfully");
        assert_eq!(put_off.given("snoozed_until"), "2026-03-02T09:15:00");
        let twice = snooze(json!({"seconds": 60, "reason": "조금만 더"})).await;
        twice.refuses(409, "already exists", "A critical alarm can be put off once; acknowledge it instead");
        let timeline = app.get(&format!("/v1/alarms/{id}/timeline"), &house.guardian).await.result();
        let last = timeline["entries"].as_array().expect("entries").last().expect("an entry").clone();
        let until = t.now().plus_millis(900_000).millis();
        assert_eq!(last["body"], json!({"by": house.guardian.id, "until": until, "reason": "가는 중"}));
        act(&app, &house.guardian, id, "clear", json!({})).await.succeeds(200);
        snooze(json!({"seconds": 300, "reason": "가는 중"})).await.refuses(409, "already exists", OVER);
    }

    async fn help_is_called_for_the_own_family_or_one_that_is_named(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, stranger) = (app.house().await, app.person(Role::Sub, "STRANGER").await);
        let words = "배가 너무 아파요";
        let called = app.call("POST /v1/alarms/sos", &house.elder, json!({"said": words})).await;
        called.is(201, r#"{"message":"Help called successfully","result":{"id":ROW1}}"#);
        let id = called.result()["id"].as_i64().expect("the alarm's number");
        let reply = app.get(&format!("/v1/alarms/{id}/timeline"), &house.guardian).await;
        let alarm = &reply.result()["alarm"];
        assert_eq!((&alarm["rule"], &alarm["severity"]), (&json!("sos"), &json!("crit")));
        assert!(!reply.text().contains(words), "what was said is the elder's own");
        // Within a minute it is the same call.
        let again = app.call("POST /v1/alarms/sos", &house.guardian, json!({"family_id": house.family})).await;
        assert_eq!(again.result()["id"].as_i64(), Some(id));
        let call = async |who: Option<&Person>, body: Value| app.call("POST /v1/alarms/sos", who, body).await;
        call(Some(&house.guardian), json!({})).await.refuses(422, "no data", "Family ID is required");
        call(ANYONE, json!({})).await.refuses(422, "no data", "Family ID is required");
        call(Some(&stranger), json!({"family_id": house.family})).await.forbids();
        call(ANYONE, json!({"family_id": house.family})).await.forbids();
        call(Some(&house.elder), json!({"said": "가".repeat(10_001)})).await.succeeds(201);
        let nowhere = call(Some(&app.system().await), json!({"family_id": "Fabcdefghijklmno"})).await;
        nowhere.refuses(404, "not found", "Family not found");
    }

    async fn a_drill_says_everywhere_that_it_is_one(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let hold = async |who: Option<&Person>| app.call("POST /v1/drills", who, json!({"family_id": house.family})).await;
        app.call("POST /v1/drills", &house.guardian, json!({})).await.refuses(422, "no data", "Family ID is required");
        hold(Some(&app.person(Role::Sub, "STRANGER").await)).await.forbids();
        hold(ANYONE).await.forbids();
        let begun = hold(Some(&house.guardian)).await;
        begun.is(201, r#"{"message":"Drill begun successfully","result":{"id":ROW1}}"#);
        let id = begun.result()["id"].as_i64().expect("the alarm's number");
        let alarm = app.get(&format!("/v1/alarms/{id}/timeline"), &house.elder).await.result()["alarm"].take();
        assert_eq!((&alarm["rule"], &alarm["is_drill"], &alarm["severity"]), (&json!("drill"), &json!(true), &json!("crit")));
        assert_eq!((&alarm["text"]["ko"]["title"], &alarm["text"]["en"]["title"]), (&json!("훈련"), &json!("Drill")));
        let notifications = app.get(&format!("/notify/new/{}", house.family), &house.guardian).await.result();
        let shown = notifications[0]["description"].as_str().expect("a text").to_owned();
        assert!(shown.starts_with("훈련,") && shown.contains("실제 상황이 아닙니다"), "{shown}");
        hold(Some(&house.elder)).await.refuses(409, "already exists", "A drill is being held; clear it first");
        act(&app, &house.guardian, id, "clear", json!({})).await.succeeds(200);
        hold(Some(&house.elder)).await.succeeds(201);
    }

    async fn the_robot_tells_what_the_elder_answered(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let prompts = async || app.get("/v1/robots/prompts", &house.elder).await.result();
        // Only a robot that reads what it is to ask is waited for; an operator who looks is none.
        let (path, operator) = (format!("/v1/robots/prompts?family_id={}", house.family), app.system().await);
        assert_eq!(app.get(&path, &operator).await.result(), json!([]));
        let robot = async || carebot_database::rules::robot(&mut t.db.read(), house.family).await.expect("the database answers");
        assert_eq!(robot().await.and_then(|robot| robot.heard_at), None);
        assert_eq!(prompts().await, json!([]));
        assert_eq!(robot().await.and_then(|robot| robot.heard_at), Some(t.now()));
        let id = fall(&app, &house).await;
        assert_eq!(prompts().await[0]["alarm_id"].as_i64(), Some(id));
        let answer = async |who: Option<&Person>, body: Value| act(&app, who, id, "answer", body).await;
        answer(Some(&house.guardian), json!({"answer": "fine"})).await.forbids();
        answer(ANYONE, json!({"answer": "fine"})).await.forbids();
        answer(Some(&house.elder), json!({})).await.refuses(422, "no data", "An answer is required");
        let wrong = answer(Some(&house.elder), json!({"answer": "Fine"})).await;
        wrong.refuses(400, "invalid value", "Invalid value provided for answer");
        let fine = answer(Some(&house.elder), json!({"answer": "fine", "said": "괜찮아, 물건을 떨어뜨렸어. ".repeat(1_000)})).await;
        assert_eq!(fine.json()["message"], "Answer taken successfully");
        let alarm = fine.result();
        assert_eq!((&alarm["answer"], &alarm["clear_reason"]), (&json!("fine"), &json!("elder")));
        assert_eq!(prompts().await, json!([]));
        // Later it is kept, and changes nothing.
        answer(Some(&house.elder), json!({"answer": "help"})).await.succeeds(200);
        let kinds = kinds(&app, &house.guardian, id).await;
        assert_eq!(kinds, ["sensed", "received", "judged", "raised", "asked", "answered", "cleared", "answered"]);

        // Who needs help, or is silent, has others told at once.
        for (word, after) in [("help", 120_000), ("silent", 240_000)] {
            app.advance(after).await;
            prompts().await;
            let id = fall(&app, &house).await;
            act(&app, &house.elder, id, "answer", json!({"answer": word})).await.succeeds(200);
            let kinds = self::kinds(&app, &house.guardian, id).await;
            assert_eq!(kinds[4..], ["asked", "answered", "step"], "{word}");
            act(&app, &house.guardian, id, "clear", json!({})).await.succeeds(200);
        }
    }

    async fn of_a_deleted_familys_timeline_a_signed_stub_remains(t: TestDb) {
        let app = TestApp::new(&t).await;
        let key = ChainKey::new(b"a key for tests, known to everybody");
        for by_account in [false, true] {
            let house = app.house().await;
            fall(&app, &house).await;
            let (entries, head) = journal::chain_head(&mut t.db.read(), house.family).await.expect("the chain's end");
            assert_eq!((entries, head.is_some()), (5, true));
            let line = if by_account {
                format!("DELETE /accounts/{}", house.elder.id)
            } else {
                format!("DELETE /families/{}", house.family)
            };
            app.call(&line, &house.elder, json!({"password": "no"})).await.refuses(401, "unauthorized", "Invalid password");
            let before = journal::stubs(&mut t.db.read()).await.expect("stubs are read");
            assert!(before.iter().all(|stub| stub.family != house.family), "a refused deletion leaves none");
            app.call(&line, &house.elder, json!({"password": PASSWORD})).await.succeeds(200);
            let stubs = journal::stubs(&mut t.db.read()).await.expect("stubs are read");
            let stub = stubs.iter().find(|stub| stub.family == house.family).expect("a stub");
            assert_eq!((stub.entries, stub.head, stub.deleted_at), (entries, head, t.now()));
            assert_eq!(stub.key_id, key.id());
            assert_eq!(stub.signature, key.of_stub(house.family, t.now(), entries, head.as_ref()));
        }
    }

    async fn whoever_reports_something_critical_reads_the_alarm_under_one_number(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let body = json!({"family_id": house.family, "notification_grade": "CRIT", "descriptions": "낙상감지,거실에서 넘어지셨습니다"});
        app.call("POST /notify", &house.elder, body).await.succeeds(201);
        let id = fall(&app, &house).await;
        let alarm = carebot_database::alarms::get(&mut t.db.read(), RowId(id)).await.expect("alarms are read");
        let alarm = alarm.expect("the alarm is there");
        assert_eq!((alarm.rule, alarm.occurrences), (Rule::Fall, 2));
        let all = app.get(&format!("/v1/alarms/{}", house.family), &house.guardian).await.result();
        assert_eq!(all.as_array().map(Vec::len), Some(1));
    }
}
