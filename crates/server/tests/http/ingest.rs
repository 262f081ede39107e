//! What robots send besides single reports, and what becomes of requests that are sent again.

use carebot_database::{alarms, journal, params, rules};
use carebot_model::alarms::{Alarm, EventKind, Rule};
use carebot_model::{FamilyId, RowId, Timestamp};
use carebot_testkit::database::START;
use carebot_testkit::fixtures::permit;
use carebot_testkit::{Engine, TestDb};
use futures_util::future::join_all;

use crate::prelude::*;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A time as a robot writes it, in milliseconds from the start of the test.
fn at(millis: i64) -> String {
    let time = Timestamp::from_millis(START + millis);
    format!("{time}.{:03}Z", (START + millis).rem_euclid(1_000))
}

fn home(key: &str, millis: i64) -> Value {
    json!({"kind": "home", "key": key, "sensed_at": at(millis), "temperature": 21.5, "humidity": 40})
}

fn health(key: &str, millis: i64, rate: i32) -> Value {
    json!({"kind": "health", "key": key, "sensed_at": at(millis), "heart_rate": rate})
}

fn fall(key: &str, millis: i64) -> Value {
    json!({"kind": "active", "key": key, "sensed_at": at(millis), "action": "낙상", "is_critical": true})
}

fn lines(items: &[Value]) -> String {
    items.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
}

async fn send(app: &TestApp, who: &Person, items: &[Value]) -> Reply {
    app.call("POST /v1/status/batch", who, json!(items)).await
}

/// What became of each report of a batch.
fn fates(reply: &Reply) -> Vec<String> {
    let items = reply.result()["items"].take();
    let fate = |item: &Value| item["status"].as_str().expect("a status").to_owned();
    items.as_array().expect("a list").iter().map(fate).collect()
}

async fn count(t: &TestDb, table: &str) -> i64 {
    t.db.read().fetch_one(format!("SELECT COUNT(*) FROM {table}"), vec![], |row| row.get(0)).await.expect("a count")
}

/// Everything that a report can leave behind, counted.
async fn counts(t: &TestDb) -> Vec<i64> {
    let mut counts = Vec::new();
    for table in [
        "home_status",
        "health_status",
        "active_status",
        "notifications",
        "messages",
        "alarms",
        "events",
        "alarm_entries",
        "deliveries",
    ] {
        counts.push(count(t, table).await);
    }
    counts
}

/// Since when the rows of a table say that they were sensed, in milliseconds from the start of the test.
async fn sensed(t: &TestDb, table: &str) -> Vec<i64> {
    let sql = format!("SELECT reported_at FROM {table} ORDER BY reported_at, id");
    let rows = t.db.read().fetch(sql, vec![], |row| row.get::<Timestamp>(0)).await.expect("times");
    rows.into_iter().map(|time| time.millis() - START).collect()
}

async fn all_alarms(t: &TestDb, family: FamilyId) -> Vec<Alarm> {
    alarms::list(&mut t.db.read(), &permit(family), false, None, 100).await.expect("alarms are read")
}

async fn robot(t: &TestDb, family: FamilyId) -> rules::Robot {
    rules::robot(&mut t.db.read(), family).await.expect("the robot is read").unwrap_or_default()
}

/// The events of a kind, by their bodies.
async fn events(t: &TestDb, family: FamilyId, kind: EventKind) -> Vec<Value> {
    let events = journal::events_after(&mut t.db.read(), &permit(family), 0, 1_000).await.expect("events are read");
    let of_kind = events.into_iter().filter(|event| event.kind == kind);
    of_kind.map(|event| serde_json::from_str(&event.body).expect("a body")).collect()
}

/// Has the elder's session reported, and then ended by the elder.
async fn revoke(app: &TestApp, house: &House) {
    app.call("POST /status/health", &house.elder, json!({"family_id": house.family})).await.succeeds(201);
    let person = app.sign_in(&house.elder.email, PASSWORD).await;
    let line = format!("DELETE /v1/sessions/{}", house.elder.session);
    app.call(&line, &person, json!({"end_robot": true})).await.succeeds(200);
}

both_engines! {
    async fn what_was_gathered_offline_is_stored_whatever_its_kind(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let items = [home("h-1", -2 * HOUR + 250), health("p-1", -HOUR, 72), home("h-2", -MINUTE)];
        let said = |keys: &[&str]| {
            let items: Vec<String> =
                keys.iter().map(|key| format!(r#"{{"key":"{key}","status":"stored"}}"#)).collect();
            format!(
                r#"{{"message":"Reports processed","result":{{"stored":{},"known":0,"refused":0,"items":[{}]}}}}"#,
                keys.len(),
                items.join(",")
            )
        };
        let batch = || app.request("POST /v1/status/batch").by(&house.elder);
        let reply = batch().body("application/x-ndjson", lines(&items)).send().await;
        reply.is(200, &said(&["h-1", "p-1", "h-2"]));
        assert_eq!(sensed(&t, "home_status").await, [-2 * HOUR + 250, -MINUTE], "milliseconds are kept");
        assert_eq!(sensed(&t, "health_status").await, [-HOUR]);
        batch().json(&json!([home("h-3", 0)])).send().await.is(200, &said(&["h-3"]));
        let wrapped = json!({"family_id": house.family, "reports": [home("h-4", 1), health("p-2", 1, 71)]});
        batch().json(&wrapped).send().await.is(200, &said(&["h-4", "p-2"]));
        batch().json(&json!([])).send().await.is(200, &said(&[]));
        batch().body("application/x-ndjson", "").send().await.is(200, &said(&[]));
        let rows = app.get(&format!("/status/health/{}?start=2026-01-01", house.family), &house.guardian).await;
        assert_eq!(rows.result().as_array().expect("a list").len(), 2);
        assert_eq!(robot(&t, house.family).await.heard_at, Some(t.now()));
    }

    async fn a_batch_that_is_sent_again_changes_nothing(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let mut items: Vec<Value> = (0..450).map(|number| home(&format!("h-{number}"), -HOUR - number)).collect();
        items.extend([fall("f-1", -HOUR), health("p-1", -HOUR, 140)]);
        assert!(fates(&send(&app, &house.elder, &items).await).iter().all(|fate| fate == "stored"));
        let before = counts(&t).await;
        assert_eq!(before[..3], [450, 1, 1]);
        app.advance(MINUTE).await;
        for _ in 0..2 {
            let reply = app.request("POST /v1/status/batch").by(&house.elder);
            let reply = reply.body("application/x-ndjson", lines(&items)).send().await;
            let result = reply.result();
            assert_eq!((&result["stored"], &result["known"], &result["refused"]), (&json!(0), &json!(452), &json!(0)));
            assert_eq!(counts(&t).await, before);
        }
        // The same key with other readings is the same report.
        assert_eq!(fates(&send(&app, &house.elder, &[health("p-1", 0, 60)]).await), ["known"]);
        assert_eq!(counts(&t).await, before);
        // What was lost on the way is found.
        items.push(home("h-new", 0));
        assert_eq!(send(&app, &house.elder, &items).await.result()["stored"], 1);
    }

    async fn the_same_batch_twice_at_once_is_stored_once(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let mut items: Vec<Value> = (0..30).map(|number| home(&format!("h-{number}"), -HOUR)).collect();
        items.push(fall("f-1", -HOUR));
        let replies = join_all((0..4).map(|_| send(&app, &house.elder, &items))).await;
        let stored: u64 = replies.iter().map(|reply| reply.result()["stored"].as_u64().expect("a number")).sum();
        assert_eq!(stored, 31);
        assert_eq!((count(&t, "home_status").await, count(&t, "active_status").await), (30, 1));
        let alarms = all_alarms(&t, house.family).await;
        assert_eq!(alarms.iter().map(|alarm| alarm.occurrences).collect::<Vec<_>>(), [1]);
    }

    async fn a_bad_report_hinders_no_other(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, other) = (app.house().await, app.person(Role::Main, "OTHER").await);
        let others = app.family(&other, "OTHERS").await;
        let foreign = json!({"kind": "home", "key": "c", "sensed_at": at(0), "family_id": others});
        let text = [
            home("a", 0).to_string(),
            r#"{"kind":"home","key":"cut","sensed_"#.to_owned(),
            foreign.to_string(),
            json!({"kind": "weather", "key": "d", "sensed_at": at(0)}).to_string(),
            json!({"kind": "health", "key": "e", "sensed_at": at(0), "heart_rate": "fast"}).to_string(),
            json!({"kind": "health", "sensed_at": at(0)}).to_string(),
            json!({"kind": "health", "key": "f"}).to_string(),
            "7".to_owned(),
            health("b", 0, 70).to_string(),
        ]
        .join("\n");
        let reply = app.request("POST /v1/status/batch").by(&house.elder);
        reply.body("application/x-ndjson", text).send().await.is(200, concat!(
            r#"{"message":"Reports processed","result":{"stored":2,"known":0,"refused":7,"items":["#,
            r#"{"key":"a","status":"stored"},"#,
            r#"{"key":null,"status":"refused","message":"This line is not JSON"},"#,
            r#"{"key":"c","status":"refused","message":"You do not have permission"},"#,
            r#"{"key":"d","status":"refused","message":"kind must be one of home, health, active"},"#,
            r#"{"key":"e","status":"refused","message":"heart_rate: Input should be a valid number, unable to parse string as a number"},"#,
            r#"{"key":null,"status":"refused","message":"key must have 1 to 64 visible characters"},"#,
            r#"{"key":"f","status":"refused","message":"sensed_at: Field required"},"#,
            r#"{"key":null,"status":"refused","message":"A report must be an object"},"#,
            r#"{"key":"b","status":"stored"}]}}"#
        ));
        assert_eq!((count(&t, "home_status").await, count(&t, "health_status").await), (1, 1));
    }

    async fn one_that_the_database_does_not_take_hinders_no_other(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let sql = match t.engine {
            Engine::Sqlite => {
                "CREATE TRIGGER no_thirteen BEFORE INSERT ON health_status WHEN NEW.heart_rate = 13 BEGIN SELECT RAISE(ABORT, 'thirteen'); END"
            }
            Engine::MariaDb => "ALTER TABLE health_status ADD CONSTRAINT no_thirteen CHECK (heart_rate <> 13)",
        };
        t.db.execute(sql, vec![]).await.expect("the table refuses a number");
        let items = [health("a", 0, 70), health("b", 0, 13), fall("c", 0), health("a", 0, 70)];
        let reply = send(&app, &house.elder, &items).await;
        assert_eq!(fates(&reply), ["stored", "refused", "stored", "known"]);
        assert_eq!(reply.result()["items"][1]["message"], "This report could not be stored");
        assert_eq!((count(&t, "health_status").await, count(&t, "alarms").await), (1, 1));
    }

    async fn the_reports_of_a_family_that_went_away_are_refused(t: TestDb) {
        let app = TestApp::with(&t, |settings, _| settings.session_cache = std::time::Duration::from_hours(1)).await;
        let house = app.house().await;
        // The first use makes the session a robot's, and is not believed for long.
        for key in ["a", "b"] {
            assert_eq!(fates(&send(&app, &house.elder, &[home(key, 0)]).await), ["stored"]);
        }
        // By another server, so that this one still believes that it is there.
        t.db.execute("DELETE FROM families", vec![]).await.expect("the family is gone");
        let reply = send(&app, &house.elder, &[home("c", 0), fall("d", 0)]).await;
        assert_eq!(fates(&reply), ["refused", "refused"]);
        assert_eq!(reply.result()["items"][0]["message"], "You do not have permission");
        app.call("POST /v1/robots/heartbeat", &house.elder, json!({})).await.forbids();
    }

    async fn a_batch_that_is_too_large_is_refused_as_a_whole(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let items: Vec<Value> = (0..1_001).map(|number| home(&format!("h-{number}"), 0)).collect();
        let too_many = "A batch can hold at most 1000 reports";
        send(&app, &house.elder, &items).await.refuses(413, "too large", too_many);
        let batch = || app.request("POST /v1/status/batch").by(&house.elder);
        let reply = batch().body("application/x-ndjson", lines(&items)).send().await;
        reply.refuses(413, "too large", too_many);
        let long = json!({"kind": "home", "key": "a", "sensed_at": at(0), "others": "x".repeat(4 << 20)});
        let reply = batch().json(&json!([long])).send().await;
        reply.refuses(413, "too large", "The body of the request is too large");
        assert_eq!(count(&t, "home_status").await, 0);
        assert_eq!(send(&app, &house.elder, &items[..1_000]).await.result()["stored"], 1_000);
    }

    async fn a_batch_that_is_no_json_is_refused_as_a_whole(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let send = async |kind: &str, text: String| {
            app.request("POST /v1/status/batch").by(&house.elder).body(kind, text).send().await
        };
        let two = lines(&[home("a", 0), home("b", 0)]);
        for text in ["[", "[{]", "nonsense", &two] {
            let reply = send("application/json", text.to_owned()).await;
            assert_eq!((reply.status, &reply.json()["detail"][0]["type"]), (422, &json!("json_invalid")), "{text}");
        }
        for (text, kind) in [("", "missing"), ("5", "model_attributes_type"), ("{}", "missing"), (r#"{"reports":5}"#, "list_type")] {
            let reply = send("application/json", text.to_owned()).await;
            assert_eq!((reply.status, &reply.json()["detail"][0]["type"]), (422, &json!(kind)), "{text}");
        }
        assert_eq!(send("text/plain", two).await.status, 422);
        assert_eq!(app.call("POST /v1/status/batch?family_id=x", &house.elder, json!([])).await.status, 422);
        assert_eq!(count(&t, "home_status").await, 0);
    }

    async fn what_is_too_old_is_refused_and_what_lies_ahead_is_corrected(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let items = [
            home("week", -7 * DAY),
            home("older", -7 * DAY - 1),
            home("ahead", 5 * MINUTE),
            home("further", 5 * MINUTE + 1),
            json!({"kind": "health", "key": "naive", "sensed_at": "2026-03-02T08:59:59.5", "heart_rate": 70}),
        ];
        let reply = send(&app, &house.elder, &items).await;
        assert_eq!(fates(&reply), ["stored", "refused", "stored", "corrected", "stored"]);
        let result = reply.result();
        assert_eq!(result["items"][1]["message"], "A report can be at most 7 days old (sensed_at)");
        assert_eq!((&result["stored"], &result["refused"]), (&json!(4), &json!(1)));
        assert_eq!(sensed(&t, "home_status").await, [-7 * DAY, 0, 0], "nothing was sensed after it came");
        assert_eq!(sensed(&t, "health_status").await, [-500]);
    }

    async fn a_fall_is_never_too_old(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let fall = |key: &str| json!({"kind": "active", "key": key, "sensed_at": "1970-01-01T00:00:07Z", "action": "fall", "is_critical": true});
        let reply = send(&app, &house.elder, &[fall("one"), home("old", -8 * DAY)]).await;
        assert_eq!(fates(&reply), ["corrected", "refused"], "a robot that was just switched on does not know the time");
        let alarms = app.get(&format!("/v1/alarms/{}", house.family), &house.guardian).await.result();
        assert_eq!((&alarms[0]["rule"], &alarms[0]["severity"]), (&json!("fall"), &json!("crit")));
        assert_eq!(sensed(&t, "active_status").await, [0]);
        assert_eq!(fates(&send(&app, &house.elder, &[fall("one")]).await), ["known"]);
    }

    async fn a_fall_with_the_key_of_something_harmless_is_no_replay_of_it(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let walk = |key: &str| json!({"kind": "active", "key": key, "sensed_at": at(-MINUTE), "action": "산책"});
        assert_eq!(fates(&send(&app, &house.elder, &[walk("1"), fall("2", -MINUTE)]).await), ["stored", "stored"]);
        // The robot was restarted and counts anew.
        assert_eq!(fates(&send(&app, &house.elder, &[fall("1", 0), walk("2")]).await), ["stored", "stored"]);
        let alarms = all_alarms(&t, house.family).await;
        assert_eq!(alarms.iter().map(|alarm| alarm.occurrences).collect::<Vec<_>>(), [2]);
        // The same by themselves.
        let one = async |key: &str, is_critical: bool| {
            let body = json!({"family_id": house.family, "action": "낙상", "is_critical": is_critical});
            app.request("POST /status/active").by(&house.elder).header("Idempotency-Key", key).json(&body).send().await.status
        };
        for (key, is_critical) in [("3", false), ("3", true), ("3", true), ("3", false)] {
            assert_eq!(one(key, is_critical).await, 201);
        }
        assert_eq!(all_alarms(&t, house.family).await[0].occurrences, 3);
        let before = counts(&t).await;
        assert_eq!(fates(&send(&app, &house.elder, &[fall("1", 0), walk("1"), fall("3", 0), fall("2", 0)]).await), ["known"; 4]);
        assert_eq!(counts(&t).await, before);
    }

    async fn a_key_that_stands_twice_in_a_batch_counts_once_for_each_kind(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let items = [health("a", -2, 70), home("a", -2), health("a", -1, 71), health("A", 0, 72)];
        assert_eq!(fates(&send(&app, &house.elder, &items).await), ["stored", "stored", "known", "stored"]);
        assert_eq!(sensed(&t, "health_status").await, [-2, 0]);
        // Also where the two are stored in different transactions.
        let mut many: Vec<Value> = (0..300).map(|number| health(&format!("p-{number}"), 3, 70)).collect();
        many[299] = health("p-0", 4, 70);
        let fates = fates(&send(&app, &house.elder, &many).await);
        assert_eq!(fates.iter().filter(|fate| *fate == "stored").count(), 299);
        assert_eq!(fates[299], "known");
    }

    async fn who_may_not_report_for_a_family_sends_no_batch_for_it(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system) = (app.house().await, app.system().await);
        let (stranger, founder) = (app.person(Role::Sub, "STRANGER").await, app.person(Role::Main, "FOUNDER").await);
        let other = app.person(Role::Main, "OTHER").await;
        app.family(&other, "OTHERS").await;
        let line = format!("POST /v1/status/batch?family_id={}", house.family);
        let items = json!([home("a", 0)]);
        for who in [&house.guardian, &stranger, &founder, &other] {
            app.call(&line, who, items.clone()).await.forbids();
            let wrapped = json!({"family_id": house.family, "reports": items});
            app.call("POST /v1/status/batch", who, wrapped).await.forbids();
        }
        app.call(&line, ANYONE, items.clone()).await.forbids();
        for who in [&house.guardian, &stranger, &founder] {
            app.call("POST /v1/status/batch", who, items.clone()).await.forbids();
        }
        assert_eq!(count(&t, "home_status").await, 0);
        // An operator names the family: of all, or of each.
        assert_eq!(app.call(&line, &system, items.clone()).await.result()["stored"], 1);
        let reply = send(&app, &system, &[
            home("b", 0),
            json!({"kind": "home", "key": "c", "sensed_at": at(0), "family_id": house.family}),
            json!({"kind": "home", "key": "d", "sensed_at": at(0), "family_id": "F234567890123456"}),
        ])
        .await;
        assert_eq!(fates(&reply), ["refused", "stored", "refused"]);
        let said = reply.result()["items"].take();
        assert_eq!((&said[0]["message"], &said[2]["message"]), (&json!("Family ID is required"), &json!("Family not found")));
        let line = "POST /v1/status/batch?family_id=F234567890123456";
        app.call(line, &system, items).await.refuses(404, "not found", "Family not found");
    }

    async fn a_fall_of_an_hour_ago_becomes_one_late_alarm(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let items = [home("h-1", -HOUR - 1_000), fall("f-1", -HOUR), home("h-2", -HOUR + 1_000)];
        for _ in 0..2 {
            send(&app, &house.elder, &items).await.succeeds(200);
            app.advance(1_000).await;
        }
        let alarms = all_alarms(&t, house.family).await;
        let [alarm] = alarms.as_slice() else { panic!("one alarm, not {alarms:?}") };
        assert_eq!((alarm.rule, alarm.occurrences, alarm.is_late()), (Rule::Fall, 1, true));
        assert_eq!((alarm.late_by, alarm.sensed_at.millis()), (HOUR, START - HOUR));
        let said = app.get(&format!("/notify/new/{}", house.family), &house.guardian).await.result();
        assert!(said[0]["description"].as_str().expect("a text").contains("60분 전"), "{said}");
        let told = events(&t, house.family, EventKind::Report).await;
        assert_eq!(told.iter().map(|body| body["kind"].as_str()).collect::<Vec<_>>(), [Some("active")]);
    }

    async fn a_reading_beyond_a_bound_is_an_event_once_a_minute(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let gas = |ppm: f64| app.call("POST /status/home", &house.elder, json!({"family_id": house.family, "ethanol": ppm, "temperature": 21}));
        gas(0.2).await.succeeds(201);
        assert_eq!(events(&t, house.family, EventKind::Report).await, Vec::<Value>::new());
        for _ in 0..60 {
            gas(20.0).await.succeeds(201);
            app.advance(1_000).await;
        }
        let told = events(&t, house.family, EventKind::Report).await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!((&told[0]["kind"], &told[0]["is_critical"], &told[0]["rules"]), (&json!("home"), &json!(false), &json!(["gas"])));
        let items = [json!({"kind": "home", "key": "g", "sensed_at": at(60_000), "ethanol": 20}), health("p", 60_000, 150), health("q", 60_000, 150)];
        assert_eq!(fates(&send(&app, &house.elder, &items).await), ["stored", "stored", "stored"]);
        let told = events(&t, house.family, EventKind::Report).await;
        assert_eq!(told.iter().map(|body| body["kind"].as_str()).collect::<Vec<_>>(), [Some("home"), Some("home"), Some("health")]);
    }

    async fn what_the_server_itself_notifies_of_is_an_event_too(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        send(&app, &house.elder, &[fall("f", 0)]).await.succeeds(200);
        let shown = all_alarms(&t, house.family).await[0].notification.expect("existing clients see it");
        let told = events(&t, house.family, EventKind::Notification).await;
        assert_eq!(told.iter().map(|body| &body["index"]).collect::<Vec<_>>(), [&json!(shown)]);
        // One that is there already is adopted.
        app.advance(MINUTE).await;
        let body = json!({"family_id": house.family, "notification_grade": "CRIT", "descriptions": "화재"});
        app.call("POST /notify", &house.elder, body).await.succeeds(201);
        assert_eq!(events(&t, house.family, EventKind::Notification).await.len(), 2);
    }

    async fn whatever_calls_for_help_is_late_if_it_comes_late(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let late = |line: &str, body: &Value, by: i64| {
            app.request(line).by(&house.elder).header("carebot-sensed-at", at(-by)).json(body)
        };
        let notify = json!({"family_id": house.family, "notification_grade": "CRIT", "descriptions": "낙상감지"});
        let message = json!({"from_id": house.elder.id, "to_id": house.guardian.id, "content": "[긴급] 도와줘"});
        let fire = json!({"family_id": house.family, "notification_grade": "CRIT", "descriptions": "화재"});
        for (rule, line, body) in [(Rule::Fall, "POST /notify", &notify), (Rule::Sos, "POST /messages/send", &message), (Rule::Emergency, "POST /notify", &fire)] {
            let reply = late(line, body, HOUR).send().await;
            assert_eq!((reply.status, reply.header("carebot-corrected")), (201, ""), "{line}");
            let alarm = alarms::active_of(&mut t.db.read(), house.family, rule).await.expect("it is read").expect("it is raised");
            assert_eq!((alarm.sensed_at.millis() - START, alarm.late_by, alarm.is_late()), (-HOUR, HOUR, true), "{line}");
        }
        let other = app.person(Role::Main, "OTHER").await;
        let family = app.family(&other, "OTHERS").await;
        let call = async |sensed: &str| {
            app.request("POST /v1/alarms/sos").by(&other).header("carebot-sensed-at", sensed).json(&json!({})).send().await
        };
        assert_eq!(call("yesterday").await.status, 422);
        assert_eq!(all_alarms(&t, family).await, []);
        assert_eq!(call(&at(-2 * HOUR)).await.status, 201);
        assert_eq!(all_alarms(&t, family).await[0].late_by, 2 * HOUR);
        // What is dangerous is never too old, nor from the future.
        for wrong in ["1970-01-01T00:00:07Z", "2027-01-01T00:00:00Z"] {
            assert_eq!(call(wrong).await.header("carebot-corrected"), "true", "{wrong}");
        }
    }

    async fn late_readings_are_looked_at_from_the_oldest_on(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let minutes = (0..60).map(|minute| {
            let hot = if (20..55).contains(&minute) { 36.0 } else { 21.0 };
            json!({"kind": "home", "key": format!("h-{minute}"), "sensed_at": at(-2 * HOUR + minute * MINUTE), "temperature": hot})
        });
        let mut items: Vec<Value> = minutes.collect();
        items.reverse();
        assert!(fates(&send(&app, &house.elder, &items).await).iter().all(|fate| fate == "stored"));
        let heat = rules::state(&mut t.db.read(), house.family, Rule::Heat).await.expect("the rule is read");
        assert_eq!(heat.dirty_from.map(|from| from.millis() - START), Some(-2 * HOUR));
        app.service.judge_rules().await.expect("rules are judged");
        let alarms = all_alarms(&t, house.family).await;
        assert_eq!(alarms.iter().map(|alarm| (alarm.rule, alarm.is_late())).collect::<Vec<_>>(), [(Rule::Heat, true)]);
    }

    async fn a_single_report_with_a_key_is_stored_once(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let body = json!({"family_id": house.family, "heart_rate": 70});
        let report = |key: String| app.request("POST /status/health").by(&house.elder).header("idempotency-key", key);
        let long = "k".repeat(255);
        for key in ["robot-1", &long, "\"8e03978e-40d5-43dd-bc93-6894a57f9324\""] {
            for _ in 0..2 {
                let reply = report(key.to_owned()).json(&body).send().await;
                reply.is(201, r#"{"message":"Health status created successfully"}"#);
            }
        }
        assert_eq!(count(&t, "health_status").await, 3);
        // The same keys as those of batches.
        assert_eq!(fates(&send(&app, &house.elder, &[health("robot-1", 0, 70)]).await), ["known"]);
        for bad in ["", " ", "a b", "열쇠", &"k".repeat(256)] {
            report(bad.to_owned()).json(&body).send().await.refuses(400, "invalid value", "An Idempotency-Key has 1 to 255 visible ASCII characters");
        }
        assert_eq!(count(&t, "health_status").await, 3);
        let fall = json!({"family_id": house.family, "is_critical": true});
        let fall = || app.request("POST /status/active").by(&house.elder).header("idempotency-key", "fall-1").json(&fall);
        let replies = join_all((0..4).map(|_| fall().send())).await;
        assert!(replies.iter().all(|reply| reply.status == 201));
        assert_eq!((count(&t, "active_status").await, all_alarms(&t, house.family).await[0].occurrences), (1, 1));
    }

    async fn a_single_report_says_when_it_was_sensed(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let body = json!({"family_id": house.family, "heart_rate": 70});
        let report = async |sensed: &str| {
            app.request("POST /status/health").by(&house.elder).header("carebot-sensed-at", sensed).json(&body).send().await
        };
        for (sensed, corrected) in [("2026-03-02T17:00:00.250+09:00", ""), ("2026-03-02T09:06:00Z", "true")] {
            let reply = report(sensed).await;
            assert_eq!((reply.status, reply.header("carebot-corrected")), (201, corrected), "{sensed}");
        }
        assert_eq!(sensed(&t, "health_status").await, [-HOUR + 250, 0]);
        report("2026-02-23T08:59:59Z").await.refuses(400, "invalid value", "A report can be at most 7 days old (sensed_at)");
        let reply = report("an hour ago").await;
        assert_eq!((reply.status, &reply.json()["detail"][0]["loc"]), (422, &json!(["header", "Carebot-Sensed-At"])));
        assert_eq!(count(&t, "health_status").await, 2);
    }

    async fn a_notification_with_a_key_is_made_once(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let body = json!({"family_id": house.family, "notification_grade": "CRIT", "descriptions": "낙상감지"});
        let notify = async |who: &Person, key: &str, body: &Value| {
            app.request("POST /notify").by(who).header("idempotency-key", key).json(body).send().await
        };
        let first = notify(&house.elder, "n-1", &body).await;
        first.is(201, r#"{"message":"Notification created successfully","result":{"index":ROW1}}"#);
        let before = counts(&t).await;
        app.advance(1_000).await;
        let second = notify(&house.elder, "n-1", &body).await;
        assert_eq!((second.status, second.text()), (201, first.text()));
        let mut other = body.clone();
        other["descriptions"] = json!("낙상감지!");
        let used = "This Idempotency-Key was used for another request";
        notify(&house.elder, "n-1", &other).await.refuses(409, "already exists", used);
        assert_eq!(counts(&t).await, before);
        // Somebody else's key is another one, and so is that of another operation.
        assert_eq!(notify(&house.guardian, "n-1", &other).await.status, 201);
        let message = json!({"from_id": house.elder.id, "to_id": house.guardian.id, "content": "낙상감지"});
        let message = app.request("POST /messages/send").by(&house.elder).header("idempotency-key", "n-1").json(&message);
        message.send().await.succeeds(201);
        notify(&house.elder, "", &body).await.refuses(400, "invalid value", "An Idempotency-Key has 1 to 255 visible ASCII characters");
    }

    async fn the_same_notification_twice_at_once_is_made_once(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let body = json!({"family_id": house.family, "descriptions": "약 드실 시간"});
        let notify = |_| app.request("POST /notify").by(&house.elder).header("idempotency-key", "n-1").json(&body).send();
        let replies = join_all((0..8).map(notify)).await;
        let numbers: std::collections::BTreeSet<String> = replies.iter().map(Reply::text).collect();
        assert_eq!((numbers.len(), count(&t, "notifications").await), (1, 1), "{numbers:?}");
        assert!(replies.iter().all(|reply| reply.status == 201));
    }

    async fn a_message_with_a_key_is_sent_once(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let body = json!({"from_id": house.elder.id, "to_id": house.guardian.id, "content": "[긴급] 도와줘"});
        let message = |body: &Value| {
            app.request("POST /messages/send").by(&house.elder).header("idempotency-key", "m-1").json(body).send()
        };
        let replies = join_all((0..4).map(|_| message(&body))).await;
        for reply in replies {
            reply.is(201, r#"{"message":"Message sent successfully"}"#);
        }
        let alarms = all_alarms(&t, house.family).await;
        assert_eq!(alarms.iter().map(|alarm| (alarm.rule, alarm.occurrences)).collect::<Vec<_>>(), [(Rule::Sos, 1)]);
        let before = counts(&t).await;
        assert_eq!(before[4], 1);
        let mut other = body.clone();
        other["image_url"] = json!("");
        message(&other).await.refuses(409, "already exists", "This Idempotency-Key was used for another request");
        assert_eq!(counts(&t).await, before);
    }

    async fn the_same_key_for_two_families_at_once_is_used_for_one(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system) = (app.house().await, app.system().await);
        let elder = app.person(Role::Main, "OTHER").await;
        let family = app.family(&elder, "OTHERS").await;
        for round in 0..8 {
            // No lock of one family orders them.
            let notify = |family: FamilyId| {
                let body = json!({"family_id": family, "descriptions": "점검"});
                app.request("POST /notify").by(&system).header("idempotency-key", format!("n-{round}")).json(&body).send()
            };
            let (one, other) = tokio::join!(notify(house.family), notify(family));
            assert!(matches!((one.status, other.status), (201, 409) | (409, 201)), "{} {}", one.text(), other.text());
        }
        assert_eq!(count(&t, "notifications").await, 8);
    }

    async fn keys_are_forgotten_after_a_month(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let body = json!({"family_id": house.family});
        let notify = || app.request("POST /notify").by(&house.elder).header("idempotency-key", "n-1").json(&body).send();
        notify().await.succeeds(201);
        assert_eq!(app.service.forget_requests().await.expect("old keys are forgotten"), 0);
        app.advance(31 * DAY).await;
        assert_eq!(app.service.forget_requests().await.expect("old keys are forgotten"), 1);
        assert_eq!(count(&t, "idempotency_keys").await, 0);
    }

    async fn a_robot_says_that_it_lives(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system) = (app.house().await, app.system().await);
        let beat = async |who: &Person, body: Value| app.call("POST /v1/robots/heartbeat", who, body).await;
        let reply = beat(&house.elder, json!({"version": "1.2.0", "battery": 87.5, "clock": at(-HOUR)})).await;
        assert_eq!(reply.text(), format!(r#"{{"message":"Heartbeat noted","result":{{"now":{START},"prompts":0}}}}"#));
        let noted = robot(&t, house.family).await;
        assert_eq!((noted.heard_at, noted.prompts_at, noted.refused_at), (Some(t.now()), None, None));
        assert_eq!((noted.version.as_deref(), noted.battery), (Some("1.2.0"), Some(88)));
        app.advance(MINUTE).await;
        beat(&house.elder, json!({})).await.succeeds(200);
        let again = robot(&t, house.family).await;
        assert_eq!((again.heard_at, again.version, again.battery), (Some(t.now()), noted.version, noted.battery));
        beat(&system, json!({"family_id": house.family})).await.succeeds(200);
        beat(&system, json!({})).await.refuses(404, "not found", "Family not found");
        for body in [json!({}), json!({"family_id": house.family})] {
            beat(&house.guardian, body.clone()).await.forbids();
            app.call("POST /v1/robots/heartbeat", ANYONE, body).await.forbids();
        }
        for battery in [-0.1, 100.1] {
            beat(&house.elder, json!({"battery": battery})).await.refuses(400, "invalid value", "A battery is between 0 and 100 percent");
        }
        beat(&house.elder, json!({"version": "v".repeat(65)})).await.refuses(400, "invalid value", "Text is too long");
        assert_eq!(beat(&house.elder, json!({"clock": "noon"})).await.status, 422);
        // Whoever says so is a robot.
        let sessions = app.get("/v1/sessions", &house.elder).await.result();
        assert_eq!(sessions[0]["kind"], "robot");
    }

    async fn a_robot_reads_what_it_is_to_ask(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system) = (app.house().await, app.system().await);
        let none = r#"{"message":"No prompts found","result":[]}"#;
        app.get("/v1/robots/prompts", &house.elder).await.is(200, none);
        assert_eq!(robot(&t, house.family).await.prompts_at, Some(t.now()));
        app.call("POST /status/active", &house.elder, json!({"family_id": house.family, "is_critical": true})).await.succeeds(201);
        let alarm = all_alarms(&t, house.family).await.remove(0).id;
        // A heartbeat tells that there is something, and reads nothing.
        app.advance(1_000).await;
        let reply = app.call("POST /v1/robots/heartbeat", &house.elder, json!({})).await;
        assert_eq!(reply.result()["prompts"], 1);
        assert_eq!(robot(&t, house.family).await.prompts_at, Some(t.now().plus_millis(-1_000)));
        for (path, who) in [
            ("/v1/robots/prompts".to_owned(), &house.elder),
            (format!("/v1/robots/prompts?family_id={}", house.family), &system),
        ] {
            let prompts = app.get(&path, who).await.result();
            assert_eq!((&prompts[0]["alarm_id"], &prompts[0]["rule"]), (&json!(alarm), &json!("fall")));
            assert_eq!(prompts[0]["seconds_left"], 29);
        }
        app.get("/v1/robots/prompts", &house.guardian).await.forbids();
        app.get("/v1/robots/prompts", ANYONE).await.forbids();
        app.get("/v1/robots/prompts", &system).await.refuses(404, "not found", "Family not found");
    }

    async fn the_family_sees_that_its_robot_is_refused(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        revoke(&app, &house).await;
        let session = house.elder.session;
        let new = format!("/notify/new/{}", house.family);
        let told = async || events(&t, house.family, EventKind::Refused).await;
        // What nobody relies on is not worth a word.
        app.get(&new, &house.elder).await.forbids();
        app.call("GET /v1/sessions", &house.elder, json!(null)).await.forbids();
        assert_eq!(told().await, [json!(null); 0]);
        let report = || app.call("POST /status/health", &house.elder, json!({"family_id": house.family, "heart_rate": 70}));
        report().await.forbids();
        assert_eq!(told().await, [json!({"session_id": session, "what": "status.report"})]);
        let shown = app.get(&new, &house.guardian).await.result();
        assert_eq!((shown.as_array().map(Vec::len), &shown[0]["notification_grade"]), (Some(1), &json!("warn")));
        let text: Value = serde_json::from_str(shown[0]["description"].as_str().expect("a text")).expect("JSON");
        assert_eq!((&text["DST_SE_NM"], &text["RCPTN_RGN_NM"]), (&json!("로봇 연결 거부"), &json!("우리 집")));
        assert!(text["MSG_CN"].as_str().expect("a text").contains("다시 로그인"), "{text}");
        assert_eq!(robot(&t, house.family).await.refused_at, Some(t.now()));
        // Once in ten minutes, at however many servers, and whatever it tries.
        app.advance(10 * MINUTE - 1).await;
        report().await.forbids();
        let other = TestApp::new(&t).await;
        other.call("POST /notify", &house.elder, json!({"family_id": house.family})).await.forbids();
        assert_eq!(told().await.len(), 1);
        app.advance(1).await;
        app.request("POST /upload").by(&house.elder).file("x.png", b"x").send().await.forbids();
        assert_eq!(told().await.last(), Some(&json!({"session_id": session, "what": "image.upload"})));
        assert_eq!((told().await.len(), count(&t, "notifications").await), (2, 2));
    }

    async fn every_session_that_is_refused_is_told_of(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let second = app.sign_in(&house.elder.email, PASSWORD).await;
        app.call("POST /status/health", &second, json!({"family_id": house.family})).await.succeeds(201);
        let number: RowId = {
            let sessions = app.get("/v1/sessions", &second).await.result();
            let other = |session: &&Value| session["id"] != json!(house.elder.session);
            let session = sessions.as_array().expect("a list").iter().find(other).expect("the second session");
            RowId(session["id"].as_i64().expect("a number"))
        };
        revoke(&app, &house).await;
        let person = app.sign_in(&house.elder.email, PASSWORD).await;
        app.call(&format!("DELETE /v1/sessions/{number}"), &person, json!({"end_robot": true})).await.succeeds(200);
        for _ in 0..2 {
            app.call("POST /v1/robots/heartbeat", &house.elder, json!({})).await.forbids();
            app.call("POST /v1/status/batch", &second, json!([home("a", 0)])).await.forbids();
        }
        let told = events(&t, house.family, EventKind::Refused).await;
        let numbers: Vec<&Value> = told.iter().map(|body| &body["session_id"]).collect();
        assert_eq!(numbers, [&json!(house.elder.session), &json!(number)]);
    }

    async fn a_refused_robot_without_a_family_is_told_to_nobody(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        revoke(&app, &house).await;
        t.db.execute("DELETE FROM families WHERE id = ?", params![house.family]).await.expect("the family is gone");
        app.call("POST /status/health", &house.elder, json!({"family_id": house.family})).await.forbids();
        assert_eq!(count(&t, "notifications").await, 0);
    }
}
