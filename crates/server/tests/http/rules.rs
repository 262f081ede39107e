//! `/v1/rules`, `/v1/ladders`

use std::pin::pin;

use carebot_database::{journal, params, rules, transact};
use carebot_model::alarms::threshold::{Change, State};
use carebot_model::alarms::{Parameters, Rule};
use carebot_model::status::Mental;
use carebot_model::{FamilyId, Timestamp};
use carebot_testkit::TestDb;
use carebot_testkit::fixtures::{blank, permit};

use crate::alarms::{HOUR, MINUTE, SECOND, World};
use crate::prelude::*;

const BOUNDS: &str = "must be between";

/// Somebody who has just signed in again: however long the test has lasted.
async fn again(app: &TestApp, who: &Person) -> Person {
    let (token, session) = app.t.session(who.id, false).await;
    Person { token, session, ..who.clone() }
}

async fn change(app: &TestApp, house: &House, body: Value) -> Reply {
    let guardian = again(app, &house.guardian).await;
    app.call(&format!("PATCH /v1/rules/{}", house.family), &guardian, body).await
}

async fn rule(app: &TestApp, house: &House, name: &str) -> Value {
    let guardian = again(app, &house.guardian).await;
    let rules = app.get(&format!("/v1/rules/{}", house.family), &guardian).await.result();
    let found = rules.as_array().expect("a list").iter().find(|rule| rule["rule"] == name).cloned();
    found.unwrap_or_else(|| panic!("a rule {name}"))
}

fn value(rule: &Value, name: &str) -> Value {
    let parameters = rule["parameters"].as_array().expect("parameters");
    let found = parameters.iter().find(|parameter| parameter["name"] == name);
    found.unwrap_or_else(|| panic!("a parameter {name}"))["value"].clone()
}

async fn judge(app: &TestApp) {
    // A server that ran all the while.
    let alive = app.t.now().millis();
    transact!(app.t.db, tx => { journal::set_signal(&mut tx, "alarms_alive", alive).await }).expect("it is noted");
    while app.service.judge_rules().await.expect("rules are judged") > 0 {}
}

async fn air(app: &TestApp, house: &House, temperature: f64) {
    let body = json!({"family_id": house.family, "temperature": temperature});
    app.call("POST /status/home", &house.elder, body).await.succeeds(201);
}

/// The alarms of a rule as a trial tells them, the oldest first.
async fn raised(app: &TestApp, house: &House, rule: &str) -> Vec<Value> {
    let guardian = again(app, &house.guardian).await;
    let all = app.get(&format!("/v1/alarms/{}?limit=500", house.family), &guardian).await.result();
    let of_rule = all.as_array().expect("a list").iter().rev().filter(|alarm| alarm["rule"] == rule);
    of_rule
        .map(|alarm| {
            json!({
                "severity": alarm["severity"],
                "since": alarm["sensed_at"],
                "raised_at": alarm["raised_at"],
                "cleared_at": alarm["cleared_at"],
                "value": alarm["value"],
            })
        })
        .collect()
}

async fn attempt(app: &TestApp, house: &House, body: Value) -> Reply {
    let guardian = again(app, &house.guardian).await;
    app.call(&format!("POST /v1/rules/{}/try", house.family), &guardian, body).await
}

/// Two families in which the same happens: one with the usual numbers of a rule, one with others.
struct Twins {
    app: TestApp,
    usual: House,
    other: House,
    rule: &'static str,
    numbers: Value,
}

impl Twins {
    async fn new(t: &TestDb, rule: &'static str, numbers: Value) -> Self {
        let app = TestApp::new(t).await;
        let (usual, other) = (app.house().await, app.house().await);
        change(&app, &other, json!({"rule": rule, "parameters": numbers})).await.succeeds(200);
        app.service.give_watches().await.expect("the rules are there");
        judge(&app).await;
        Self { app, usual, other, rule, numbers }
    }

    fn both(&self) -> [&House; 2] {
        [&self.usual, &self.other]
    }

    /// What was raised live with either set of numbers is what a trial says.
    async fn agree(&self, expected: [usize; 2]) {
        let mut live =
            [raised(&self.app, &self.usual, self.rule).await, raised(&self.app, &self.other, self.rule).await];
        assert_eq!([live[0].len(), live[1].len()], expected, "{live:#?}");
        let body = json!({"rule": self.rule, "parameters": self.numbers});
        let mut tried = attempt(&self.app, &self.usual, body).await.result();
        assert_eq!(tried["is_cut"], false);
        let mut told = [tried["now"].take(), tried["tried"].take()];
        if matches!(self.rule, "silence" | "inactivity") {
            // A live alarm counts from when it is raised; a trial says since when nothing was heard.
            for alarm in
                told.iter_mut().flat_map(|told| told.as_array_mut().expect("a list")).chain(live.iter_mut().flatten())
            {
                alarm["since"].take();
            }
        }
        assert_eq!(told.map(|told| told.as_array().expect("a list").clone()), live);
    }
}

both_engines! {
    async fn every_rule_is_told_with_its_numbers_their_bounds_and_source(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let line = format!("/v1/rules/{}", house.family);
        let reply = app.get(&line, &house.guardian).await;
        assert_eq!(reply.json()["message"], "Rules retrieved successfully");
        let rules = reply.result();
        let names: Vec<&str> = rules.as_array().expect("a list").iter().filter_map(|rule| rule["rule"].as_str()).collect();
        let expected: Vec<&str> = Rule::ALL.iter().filter(|rule| **rule != Rule::Drill).map(|rule| rule.name()).collect();
        assert_eq!(names, expected);
        assert_eq!(
            rules[11].to_string(),
            concat!(
                r#"{"rule":"mood","kind":"decline","parameters":["#,
                r#"{"name":"warn","unit":"score","value":50.0,"default":50.0,"least":20.0,"most":80.0},"#,
                r#"{"name":"warn_days","unit":"days","value":3.0,"default":3.0,"least":1.0,"most":14.0},"#,
                r#"{"name":"crit","unit":"score","value":30.0,"default":30.0,"least":10.0,"most":50.0}],"#,
                r#""source":"the existing system's is_critical","is_always_on":false,"muted":null}"#
            )
        );
        for who in [&house.elder, &app.system().await] {
            app.get(&line, who).await.succeeds(200);
        }
        app.get(&line, &app.person(Role::Sub, "STRANGER").await).await.forbids();
        app.get(&line, ANYONE).await.forbids();
        app.get("/v1/rules/Fabcdefghijklmno", &app.system().await).await.refuses(404, "not found", "Family not found");
    }

    async fn numbers_are_changed_within_their_bounds_and_become_the_default_again(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let changed = change(&app, &house, json!({"rule": "heat", "parameters": {"warn": 32, "crit": "34.5"}})).await;
        assert_eq!(changed.json()["message"], "Rule updated successfully");
        assert_eq!(changed.result(), rule(&app, &house, "heat").await);
        assert_eq!((value(&changed.result(), "warn"), value(&changed.result(), "crit")), (json!(32.0), json!(34.5)));
        assert_eq!(value(&rule(&app, &house, "cold").await, "warn"), 18.0);
        // What is not named stays.
        change(&app, &house, json!({"rule": "heat", "parameters": {"hysteresis": 2}})).await.succeeds(200);
        let back = change(&app, &house, json!({"rule": "heat", "parameters": {"warn": null}})).await.result();
        assert_eq!(["warn", "crit", "hysteresis"].map(|name| value(&back, name)), [33.0, 34.5, 2.0]);
        let stored = rules::settings(&mut t.db.read(), house.family).await.expect("settings are read");
        assert_eq!(stored.len(), 1);
        let numbers: Value = serde_json::from_str(&stored[0].parameters).expect("JSON");
        assert_eq!(numbers, json!({"crit": 34.5, "hysteresis": 2.0}), "only what differs is stored");
    }

    async fn a_number_out_of_its_bounds_is_refused_in_a_sentence_that_tells_them(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        for (name, parameters, said) in [
            ("heat", json!({"warn": 27.9}), "heat: warn must be between 28 and 38 °C"),
            ("gas", json!({"crit": 31}), "gas: crit must be between 5 and 30 ppm"),
            ("gas", json!({"hysteresis": -0.1}), "gas: hysteresis must be between 0 and 0.5 ppm"),
            ("silence", json!({"crit_seconds": 86_400}), "silence: crit_seconds must be between 660 and 7200 s"),
            ("fall", json!({"ask_seconds": 61}), "fall: ask_seconds must be between 0 and 60 s"),
            ("mood", json!({"warn_days": 0}), "mood: warn_days must be between 1 and 14 days"),
            ("heat", json!({"volume": 1}), "This rule has no such parameter"),
            ("sos", json!({"warn": null}), "This rule has no such parameter"),
            ("cold", json!({"warn": 9}), "The emergency must lie beyond the warning"),
            ("heat", json!({"crit": 32}), "The emergency must lie beyond the warning"),
            ("drill", json!({}), "Invalid value provided for rule"),
            ("Heat", json!({}), "Invalid value provided for rule"),
        ] {
            let body = json!({"rule": name, "parameters": parameters});
            change(&app, &house, body.clone()).await.refuses(400, "invalid value", said);
            // A trial refuses what could not be set.
            attempt(&app, &house, body).await.refuses(400, "invalid value", said);
        }
        let reply = change(&app, &house, json!({"rule": "heat", "parameters": {"warn": 40}})).await;
        reply.is(
            400,
            concat!(
                r#"{"detail":{"type":"invalid value","message":"heat: warn must be between 28 and 38 °C","#,
                r#""input":{"rule":"heat","parameters":{"warn":40},"mute":null}}}"#
            ),
        );
        assert!(reply.text().contains(BOUNDS));
        for body in [json!({}), json!({"rule": ""}), json!({"parameters": {"warn": 30}})] {
            change(&app, &house, body.clone()).await.refuses(422, "no data", "A rule is required");
            attempt(&app, &house, body).await.refuses(422, "no data", "A rule is required");
        }
        for body in [
            json!({"rule": "heat", "parameters": {"warn": "hot"}}),
            json!({"rule": "heat", "parameters": [32]}),
            json!({"rule": "heat", "mute": "please"}),
            json!({"rule": "heat", "mute": {"until": "soon", "reason": "수리"}}),
        ] {
            assert_eq!(change(&app, &house, body.clone()).await.status, 422, "{body}");
        }
        assert_eq!(rules::settings(&mut t.db.read(), house.family).await.expect("settings are read"), []);
        let stranger = app.person(Role::Sub, "STRANGER").await;
        let body = json!({"rule": "heat", "parameters": {"warn": 32}});
        for (line, who) in [("PATCH", Some(&stranger)), ("PATCH", None)] {
            app.call(&format!("{line} /v1/rules/{}", house.family), who, body.clone()).await.forbids();
        }
    }

    async fn a_changed_bound_takes_effect_at_once(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        for _ in 0..8 {
            air(&app, &house, 32.0).await;
            judge(&app).await;
            app.advance(5 * MINUTE).await;
        }
        assert_eq!(raised(&app, &house, "heat").await, [] as [Value; 0]);
        change(&app, &house, json!({"rule": "heat", "parameters": {"warn": 31}})).await.succeeds(200);
        judge(&app).await;
        let alarms = raised(&app, &house, "heat").await;
        assert_eq!((alarms.len(), &alarms[0]["severity"]), (1, &json!("warn")), "without another report");
        // Worse at once, too, and again without another report.
        let lower = json!({"warn": 30, "crit": 31.5});
        change(&app, &house, json!({"rule": "heat", "parameters": lower})).await.succeeds(200);
        judge(&app).await;
        assert_eq!(raised(&app, &house, "heat").await[0]["severity"], "crit");
        // And what was never dangerous by the new numbers is over.
        change(&app, &house, json!({"rule": "heat", "parameters": {"warn": null, "crit": null}})).await.succeeds(200);
        judge(&app).await;
        let alarms = raised(&app, &house, "heat").await;
        assert_eq!(alarms.len(), 1);
        assert_ne!(alarms[0]["cleared_at"], Value::Null);
    }

    async fn numbers_that_change_nothing_leave_an_alarm_alone(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        // Dangerous for three quarters of an hour, then for hours between the bound and what counts as normal.
        for step in 0..60 {
            air(&app, &house, if step < 9 { 33.5 } else { 32.5 }).await;
            judge(&app).await;
            app.advance(5 * MINUTE).await;
        }
        let before = app.get(&format!("/v1/alarms/{}", house.family), &again(&app, &house.guardian).await).await.result();
        assert_eq!((before[0]["rule"].as_str(), before[0]["state"].as_str()), (Some("heat"), Some("active")));
        change(&app, &house, json!({"rule": "heat", "parameters": {"crit": 36, "again_seconds": 300}})).await.succeeds(200);
        judge(&app).await;
        let after = app.get(&format!("/v1/alarms/{}", house.family), &again(&app, &house.guardian).await).await.result();
        assert_eq!(after, before);
    }

    async fn a_rule_that_judges_time_looks_again_when_it_is_changed(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        app.service.give_watches().await.expect("the rules are there");
        air(&app, &house, 21.0).await;
        judge(&app).await;
        app.advance(7 * MINUTE).await;
        judge(&app).await;
        assert_eq!(raised(&app, &house, "silence").await, [] as [Value; 0]);
        change(&app, &house, json!({"rule": "silence", "parameters": {"warn_seconds": 360}})).await.succeeds(200);
        judge(&app).await;
        assert_eq!(raised(&app, &house, "silence").await.len(), 1);
        change(&app, &house, json!({"rule": "silence", "parameters": {"warn_seconds": null}})).await.succeeds(200);
        judge(&app).await;
        assert_ne!(raised(&app, &house, "silence").await[0]["cleared_at"], Value::Null);
    }

    async fn what_nobody_can_switch_off_is_not_muted(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let mute = json!({"until": t.now().plus_millis(HOUR), "reason": "시끄러워요"});
        let always = ["gas", "fall", "emergency", "silence", "phrase", "sos", "disaster"];
        let rules = app.get(&format!("/v1/rules/{}", house.family), &house.guardian).await.result();
        for told in rules.as_array().expect("a list") {
            let name = told["rule"].as_str().expect("a name");
            let reply = change(&app, &house, json!({"rule": name, "mute": mute})).await;
            assert_eq!(told["is_always_on"], always.contains(&name), "{name}");
            if always.contains(&name) {
                reply.refuses(400, "invalid value", "This rule can not be muted");
                assert_eq!(rule(&app, &house, name).await["muted"], Value::Null);
                // To have it speak again is no fault.
                change(&app, &house, json!({"rule": name, "mute": null})).await.succeeds(200);
            } else {
                let muted = json!({"until": t.now().plus_millis(HOUR), "by": house.guardian.id, "reason": "시끄러워요"});
                assert_eq!(reply.result()["muted"], muted, "{name}");
            }
        }
        change(&app, &house, json!({"rule": "drill", "mute": mute})).await.refuses(400, "invalid value", "Invalid value provided for rule");
    }

    async fn muting_needs_a_reason_and_an_end_within_thirty_days(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let later = |millis: i64| t.now().plus_millis(millis);
        let day = 24 * HOUR;
        let mute = async |mute: Value| change(&app, &house, json!({"rule": "heat", "mute": mute})).await;
        for wrong in [
            json!({}),
            json!({"until": later(HOUR)}),
            json!({"until": later(HOUR), "reason": " "}),
            json!({"reason": "수리"}),
            json!({"until": t.now(), "reason": "수리"}),
            json!({"until": later(-HOUR), "reason": "수리"}),
            json!({"until": later(30 * day + 1_000), "reason": "수리"}),
        ] {
            let said = "Muting a rule needs a reason and an end within 30 days";
            mute(wrong).await.refuses(400, "invalid value", said);
        }
        let long = mute(json!({"until": later(HOUR), "reason": "가".repeat(256)})).await;
        long.is(400, r#"{"detail":{"type":"invalid value","loc":["body","reason"],"message":"Text is too long"}}"#);
        mute(json!({"until": later(30 * day), "reason": "가".repeat(255)})).await.succeeds(200);
        let short = mute(json!({"until": later(HOUR).millis(), "reason": " 에어컨 수리 "})).await.result();
        assert_eq!(short["muted"]["reason"], "에어컨 수리");
        // A change of numbers leaves it, null ends it, and so does time.
        let changed = change(&app, &house, json!({"rule": "heat", "parameters": {"warn": 32}})).await.result();
        assert_eq!(changed["muted"], short["muted"]);
        assert_eq!(mute(Value::Null).await.result()["muted"], Value::Null);
        assert_eq!(value(&rule(&app, &house, "heat").await, "warn"), 32.0);
        mute(json!({"until": later(HOUR), "reason": "수리"})).await.succeeds(200);
        app.advance(HOUR).await;
        assert_eq!(rule(&app, &house, "heat").await["muted"], Value::Null);
    }

    async fn a_muted_rule_raises_nothing_until_its_end(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let mute = json!({"until": t.now().plus_millis(HOUR), "reason": "수리"});
        change(&app, &house, json!({"rule": "heat", "mute": mute})).await.succeeds(200);
        for _ in 0..12 {
            air(&app, &house, 34.0).await;
            judge(&app).await;
            assert_eq!(raised(&app, &house, "heat").await, [] as [Value; 0]);
            app.advance(5 * MINUTE).await;
        }
        air(&app, &house, 34.0).await;
        judge(&app).await;
        assert_eq!(raised(&app, &house, "heat").await.len(), 1, "the danger lasts");
    }

    async fn who_changes_something_is_named_in_an_event(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        change(&app, &house, json!({"rule": "heat", "parameters": {"warn": 32}})).await.succeeds(200);
        let body = json!({"severity": "warn", "steps": [{"rung": "first", "after_seconds": 5}]});
        app.call(&format!("PATCH /v1/ladders/{}", house.family), &house.elder, body).await.succeeds(200);
        // What is refused is told to nobody.
        change(&app, &house, json!({"rule": "heat", "parameters": {"warn": 99}})).await.refuses(400, "invalid value", "heat: warn must be between 28 and 38 °C");
        let events = journal::events_after(&mut t.db.read(), &permit(house.family), 0, 10).await.expect("events are read");
        let told: Vec<(&str, Value)> = events
            .iter()
            .map(|event| (event.kind.name(), serde_json::from_str(&event.body).expect("JSON")))
            .collect();
        assert_eq!(
            told,
            [
                ("settings", json!({"what": "rule", "rule": "heat", "by": house.guardian.id})),
                ("settings", json!({"what": "ladder", "severity": "warn", "by": house.elder.id})),
            ]
        );
    }

    async fn a_family_sets_its_ladders(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let line = format!("/v1/ladders/{}", house.family);
        let usual = concat!(
            r#"{"message":"Ladders retrieved successfully","result":["#,
            r#"{"severity":"info","steps":[{"rung":"first","after_seconds":0}],"is_default":true},"#,
            r#"{"severity":"warn","steps":[{"rung":"first","after_seconds":0},{"rung":"others","after_seconds":300},{"rung":"staff","after_seconds":900}],"is_default":true},"#,
            r#"{"severity":"crit","steps":[{"rung":"first","after_seconds":0},{"rung":"others","after_seconds":120},{"rung":"staff","after_seconds":600}],"is_default":true}]}"#
        );
        app.get(&line, &house.elder).await.is(200, usual);
        let set = async |body: Value| app.call(&format!("PATCH {line}"), &house.guardian, body).await;
        let step = |rung: &str, after: i64| json!({"rung": rung, "after_seconds": after});
        let changed = set(json!({"severity": "crit", "steps": [step("first", 0), step("others", 10), step("staff", 20)]})).await;
        changed.is(
            200,
            concat!(
                r#"{"message":"Ladder updated successfully","result":{"severity":"crit","steps":[{"rung":"first","after_seconds":0},"#,
                r#"{"rung":"others","after_seconds":10},{"rung":"staff","after_seconds":20}],"is_default":false}}"#
            ),
        );
        assert_eq!(app.get(&line, &house.elder).await.result()[2], changed.result());
        let incomplete = "A critical alarm must reach first, others and staff; any other the first guardian";
        let order = "Steps must come in the order of time, each rung once";
        let late = "The last step must come within 900 seconds of a critical alarm, within a day of any other";
        let is_step = "A step has a rung (first, others or staff) and after_seconds";
        for (severity, steps, said) in [
            ("crit", json!([step("first", 0)]), incomplete),
            ("crit", json!([]), incomplete),
            ("warn", json!([step("staff", 0)]), incomplete),
            ("crit", json!([step("first", 9), step("others", 8), step("staff", 10)]), order),
            ("warn", json!([step("first", 0), step("first", 1)]), order),
            ("warn", json!([step("first", -1)]), order),
            ("crit", json!([step("first", 0), step("others", 1), step("staff", 901)]), late),
            ("warn", json!([step("first", 0), step("others", 86_401)]), late),
            ("warn", json!([step("everybody", 0)]), is_step),
            ("warn", json!([{"rung": "first"}]), is_step),
            ("warn", json!([step("first", 1 << 40)]), is_step),
            ("warn", json!([5]), is_step),
            ("bad", json!(null), "Invalid value provided for severity"),
        ] {
            set(json!({"severity": severity, "steps": steps})).await.refuses(400, "invalid value", said);
        }
        for body in [json!({}), json!({"severity": "crit"}), json!({"steps": null})] {
            set(body).await.refuses(422, "no data", "Severity and steps are required");
        }
        assert_eq!(set(json!({"severity": "crit", "steps": 5})).await.status, 422);
        assert_eq!(app.get(&line, &house.elder).await.result()[2], changed.result(), "what is refused changes nothing");
        set(json!({"severity": "crit", "steps": null})).await.succeeds(200);
        app.get(&line, &house.elder).await.is(200, usual);
        let stranger = app.person(Role::Sub, "STRANGER").await;
        app.get(&line, &stranger).await.forbids();
        app.call(&format!("PATCH {line}"), &stranger, json!({"severity": "crit", "steps": null})).await.forbids();
        app.call(&format!("PATCH {line}"), ANYONE, json!({"severity": "crit", "steps": null})).await.forbids();
    }

    async fn an_alarm_climbs_the_ladder_that_the_family_set(t: TestDb) {
        let world = World::new(&t).await;
        let step = |rung: &str, after: i64| json!({"rung": rung, "after_seconds": after});
        let body = json!({"severity": "crit", "steps": [step("first", 0), step("staff", 10), step("others", 20)]});
        world.app.call(&format!("PATCH /v1/ladders/{}", world.house.family), &world.house.elder, body).await.succeeds(200);
        world.fall().await;
        world.turn().await;
        assert_eq!(world.post.whom(), [&*world.house.guardian.email]);
        world.pass(9 * SECOND).await;
        assert_eq!(world.post.whom(), [] as [String; 0]);
        world.pass(SECOND).await;
        assert_eq!(world.post.whom(), [&*world.nurse.email]);
        world.pass(10 * SECOND).await;
        assert_eq!(world.post.whom(), [&*world.second.email]);
    }

    async fn a_trial_of_a_threshold_says_what_live_rules_raised(t: TestDb) {
        let numbers = json!({"warn": 30, "warn_seconds": 600, "crit": 34, "crit_seconds": 600, "clear_seconds": 300});
        let twins = Twins::new(&t, "heat", numbers).await;
        let mut air_of = Vec::new();
        for (count, temperature) in [
            (3, 25.0), (5, 31.0), (8, 33.5), (8, 35.5), (3, 33.5), (3, 31.9), (3, 25.0), (5, 34.5), (3, 29.0), (2, 25.0),
            // Until now.
            (9, 36.0),
        ] {
            air_of.extend(std::iter::repeat_n(temperature, count));
        }
        for temperature in air_of {
            twins.app.advance(5 * MINUTE).await;
            for house in twins.both() {
                air(&twins.app, house, temperature).await;
            }
            judge(&twins.app).await;
        }
        // After a pause in which nothing was measured, what had lasted begins anew.
        twins.app.advance(12 * MINUTE).await;
        for house in twins.both() {
            air(&twins.app, house, 25.0).await;
        }
        judge(&twins.app).await;
        twins.agree([2, 3]).await;
    }

    async fn a_trial_of_silence_says_what_live_rules_raised(t: TestDb) {
        let twins = Twins::new(&t, "silence", json!({"warn_seconds": 360, "crit_seconds": 900})).await;
        let reports = [1, 6, 11, 16, 28, 33, 38, 63, 68, 75, 80];
        for minute in 1..=99 {
            twins.app.advance(MINUTE).await;
            if reports.contains(&minute) {
                for house in twins.both() {
                    air(&twins.app, house, 21.0).await;
                }
            }
            judge(&twins.app).await;
        }
        twins.agree([3, 4]).await;
    }

    async fn a_trial_says_that_a_robot_never_reported(t: TestDb) {
        let twins = Twins::new(&t, "silence", json!({"warn_seconds": 360})).await;
        twins.app.advance(24 * HOUR).await;
        judge(&twins.app).await;
        twins.app.advance(HOUR).await;
        judge(&twins.app).await;
        twins.agree([1, 1]).await;
    }

    async fn a_trial_of_inactivity_says_what_live_rules_raised(t: TestDb) {
        let numbers = json!({"warn_seconds": 14_400, "crit_seconds": 28_800, "waking_from": 8, "waking_until": 20});
        let twins = Twins::new(&t, "inactivity", numbers).await;
        // Half hours after 18:00 in Korea.
        let (pulse, letters) = ([1, 38, 78], [80]);
        for half in 1..=104 {
            twins.app.advance(30 * MINUTE).await;
            for house in twins.both() {
                if pulse.contains(&half) {
                    let body = json!({"family_id": house.family, "heart_rate": 72});
                    twins.app.call("POST /status/health", &house.elder, body).await.succeeds(201);
                }
                if letters.contains(&half) {
                    let body = json!({"from_id": house.elder.id, "to_id": house.guardian.id, "content": "밥 먹었다"});
                    twins.app.call("POST /messages/send", &house.elder, body).await.succeeds(201);
                }
            }
            judge(&twins.app).await;
        }
        twins.agree([3, 3]).await;
    }

    async fn a_trial_of_the_mood_says_what_live_rules_raised(t: TestDb) {
        let twins = Twins::new(&t, "mood", json!({"warn": 48, "warn_days": 2, "crit": 20})).await;
        for score in [60, 48, 47, 49, 70, 28, 45, -1, 44, 43, 42, 90, 46, 40] {
            twins.app.advance(24 * HOUR).await;
            if score < 0 {
                // Nothing was said on this day.
                continue;
            }
            for house in twins.both() {
                t.report(house.family, Mental { score: Some(score), ..blank() }).await;
                let now = t.now();
                transact!(t.db, tx => { rules::mark(&mut tx, house.family, Rule::Mood, now, now).await })
                    .expect("the rule is to look");
            }
            judge(&twins.app).await;
        }
        twins.agree([3, 4]).await;
    }

    async fn a_trial_reads_long_periods_page_by_page_and_writes_nothing(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let begun = t.now();
        let mut rows = Vec::new();
        let mut warmth = 33.0;
        for minute in 0..5_500_i32 {
            warmth += f64::from(u32::try_from(t.rng.next() % 201).expect("small")) / 100.0 - 1.0;
            warmth = f64::clamp(warmth, 29.0, 38.0);
            let gas = if minute % 2 == 0 { 5.0 } else { 0.0 };
            rows.push((begun.plus_millis(i64::from(minute) * MINUTE), warmth, gas));
        }
        store(&t, house.family, &rows).await;
        app.advance(5_500 * MINUTE).await;
        let before = everything(&t).await;

        let mut tried = attempt(&app, &house, json!({"rule": "heat", "parameters": {"warn": 34, "clear_seconds": 0}})).await.result();
        assert_eq!(tried["until"], json!(t.now()));
        assert_eq!(tried["from"], json!(t.now().plus_millis(-30 * 24 * HOUR)));
        let usual = Parameters::default_of(Rule::Heat);
        let other = usual.with([("warn", 34.0), ("clear_seconds", 0.0)]).expect("within bounds");
        for (name, numbers) in [("now", usual), ("tried", other)] {
            let expected = expected(&numbers, &rows);
            assert!(expected.len() > 3, "{name}: {expected:?}");
            assert_eq!(tried[name].take(), json!(expected), "{name}");
        }
        // Only the last day.
        let day = attempt(&app, &house, json!({"rule": "heat", "days": 1})).await.result();
        assert_eq!(day["from"], json!(t.now().plus_millis(-24 * HOUR)));
        assert_eq!(day["now"], day["tried"]);
        let since = day["from"].as_str().expect("a time").to_owned();
        let alarms = day["now"].as_array().expect("a list").clone();
        assert!(alarms.iter().all(|alarm| alarm["cleared_at"].as_str().is_none_or(|cleared| cleared >= since.as_str())));

        // More alarms than anybody reads are cut, and that is said.
        let flapping = attempt(&app, &house, json!({"rule": "gas", "parameters": {"clear_seconds": 0}})).await.result();
        assert_eq!((flapping["is_cut"].as_bool(), flapping["tried"].as_array().map(Vec::len)), (Some(true), Some(1_000)));
        assert_eq!(everything(&t).await, before, "a trial writes nothing");
    }

    async fn a_trial_is_refused_for_what_has_no_numbers_and_beyond_thirty_days(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        for name in ["fall", "emergency", "phrase", "sos", "disaster"] {
            attempt(&app, &house, json!({"rule": name})).await.refuses(400, "invalid value", "This rule has no numbers that can be tried");
        }
        for days in [-1, 0, 31] {
            attempt(&app, &house, json!({"rule": "heat", "days": days})).await.refuses(400, "invalid value", "days must be between 1 and 30");
        }
        assert_eq!(attempt(&app, &house, json!({"rule": "heat", "days": 1.5})).await.status, 422);
        let line = format!("POST /v1/rules/{}/try", house.family);
        app.call(&line, &app.person(Role::Sub, "STRANGER").await, json!({"rule": "heat"})).await.forbids();
        app.call(&line, ANYONE, json!({"rule": "heat"})).await.forbids();
    }

    async fn an_account_has_one_trial_under_way(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let actor = app.service.current_actor(Some(&house.guardian.token)).await.expect("the session lives");
        let (line, body) = (format!("POST /v1/rules/{}/try", house.family), json!({"rule": "heat"}));
        let numbers = Vec::new();
        loop {
            let mut first = pin!(app.service.try_rule(&actor, house.family.as_str(), "heat", &numbers, None));
            if futures_util::poll!(first.as_mut()).is_ready() {
                // The database was faster than this test.
                continue;
            }
            let second = app.call(&line, &house.guardian, body.clone()).await;
            second.refuses(429, "too many requests", "A trial of this account is under way");
            app.call(&line, &house.elder, body.clone()).await.succeeds(200);
            first.await.expect("the first one gets through");
            break;
        }
        app.call(&line, &house.guardian, body).await.succeeds(200);
    }
}

async fn store(t: &TestDb, family: FamilyId, rows: &[(Timestamp, f64, f64)]) {
    transact!(t.db, tx => {
        for (at, temperature, ethanol) in rows {
            let id = t.id();
            tx.execute(
                "INSERT INTO home_status (family_id, reported_at, id, received_at, temperature, ethanol) VALUES (?, ?, ?, ?, ?, ?)",
                params![family, *at, id, *at, *temperature, *ethanol],
            )
            .await?;
        }
        Ok::<_, carebot_database::DbError>(())
    })
    .expect("the reports are stored");
}

/// What a rule with these numbers makes of readings, told as a trial tells it.
fn expected(numbers: &Parameters, rows: &[(Timestamp, f64, f64)]) -> Vec<Value> {
    let mut state = State::default();
    let mut alarms: Vec<Value> = Vec::new();
    for (at, value, _) in rows {
        match state.advance(numbers, *at, *value) {
            Some(Change::Raised { severity, since, value }) => match alarms.last_mut() {
                Some(alarm) if alarm["cleared_at"].is_null() => {
                    (alarm["severity"], alarm["value"]) = (json!(severity), json!(value));
                }
                _ => alarms.push(json!({
                    "severity": severity, "since": since, "raised_at": at, "cleared_at": null, "value": value,
                })),
            },
            Some(Change::Cleared { .. }) => alarms.last_mut().expect("an alarm")["cleared_at"] = json!(at),
            None => {}
        }
    }
    alarms
}

/// How many rows there are of all that a rule could write.
async fn everything(t: &TestDb) -> Vec<i64> {
    let mut counts = Vec::new();
    for table in ["alarms", "alarm_entries", "events", "rules", "rule_states", "notifications", "deliveries"] {
        let count = t.db.read().fetch_one(format!("SELECT COUNT(*) FROM {table}"), vec![], |row| row.get(0)).await;
        counts.push(count.expect("the table can be read"));
    }
    counts
}
