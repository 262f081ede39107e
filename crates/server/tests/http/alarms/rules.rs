//! Rules, judged from what the robot reports and from what it does not.

use carebot_database::chats;
use carebot_database::status::NewReport;
use carebot_model::Timestamp;
use carebot_model::alarms::{AlarmState, ClearReason, Severity};
use carebot_model::chats::Basis;
use carebot_model::status::{Home, Mental};

use super::*;

fn air(temperature: f64) -> Home {
    Home { temperature: Some(temperature), humidity: None, dust_level: None, ethanol: None, others: None }
}

/// How many gas alarms began at a time.
async fn begun_at(t: &TestDb, family: FamilyId, at: Timestamp) -> i64 {
    let sql = "SELECT COUNT(*) FROM alarms WHERE family_id = ? AND rule = 'gas' AND sensed_at = ?";
    t.db.read().fetch_one(sql, carebot_database::params![family, at], |row| row.get(0)).await.expect("it is counted")
}

both_engines! {
    async fn gas_warns_and_rises_and_is_over_with_hysteresis(t: TestDb) {
        let world = World::new(&t).await;
        world.home(json!({"ethanol": 1.5})).await;
        world.turn().await;
        assert!(world.active(Rule::Gas).await.is_none(), "the bound itself is no danger");
        world.home(json!({"ethanol": 1.6})).await;
        world.turn().await;
        let alarm = world.alarm(Rule::Gas).await;
        assert_eq!((alarm.severity, alarm.value), (Severity::Warn, Some(1.6)));
        let (grade, said) = world.notifications().await.pop().expect("a notification");
        let said: Value = serde_json::from_str(&said).expect("a warning is JSON");
        assert_eq!((grade.as_str(), said["DST_SE_NM"].as_str()), ("warn", Some("가스 주의")));
        for field in ["EMRG_STEP_NM", "MSG_CN", "RCPTN_RGN_NM"] {
            assert!(said[field].is_string(), "{field}");
        }
        world.acknowledge(&world.house.guardian, alarm.id).await;
        world.post.take();
        world.pass(6 * SECOND).await;
        world.home(json!({"ethanol": 15.1})).await;
        world.turn().await;
        let risen = world.alarm(Rule::Gas).await;
        assert_eq!((risen.id, risen.severity, risen.state()), (alarm.id, Severity::Crit, AlarmState::Active));
        assert_eq!(world.post.whom(), [world.house.guardian.email.as_str()], "what became worse is told anew");
        let (grade, said) = world.notifications().await.pop().expect("a notification");
        assert_eq!((grade.as_str(), said.split(',').next()), ("crit", Some("가스 위험")));
        // Between the bounds it is neither.
        for _ in 0..20 {
            world.pass(6 * SECOND).await;
            world.home(json!({"ethanol": 1.4})).await;
        }
        world.pass(10 * SECOND).await;
        assert!(world.active(Rule::Gas).await.is_some());
        for _ in 0..12 {
            world.home(json!({"ethanol": 1.2})).await;
            world.pass(6 * SECOND).await;
        }
        world.pass(10 * SECOND).await;
        let over = world.get(alarm.id).await;
        assert_eq!(over.clear_reason, Some(ClearReason::Normal));
    }

    async fn what_a_server_with_a_clock_far_ahead_stored_is_judged_when_its_time_has_come(t: TestDb) {
        let world = World::new(&t).await;
        let family = world.house.family;
        let (now, ahead) = (t.now(), t.now().plus_millis(20 * MINUTE));
        let gas = Home { ethanol: Some(20.0), ..air(22.0) };
        t.report_at(family, ahead, gas).await;
        transact!(t.db, tx => { carebot_database::rules::mark(&mut tx, family, Rule::Gas, ahead, now).await }).expect("marked");
        world.turn().await;
        assert!(world.active(Rule::Gas).await.is_none(), "it has not happened yet");
        world.later(20 * MINUTE).await;
        assert_eq!(world.alarm(Rule::Gas).await.sensed_at, ahead);
        assert!(world.post.whom().contains(&world.house.guardian.email));
    }

    async fn what_a_server_with_a_clock_far_ahead_stored_is_not_passed_over_by_who_looks_late(t: TestDb) {
        let world = World::new(&t).await;
        for ppm in [1.6, 0.2, 0.2] {
            world.home(json!({"ethanol": ppm})).await;
            world.turn().await;
            world.app.advance(MINUTE).await;
        }
        assert!(world.active(Rule::Gas).await.is_none());
        world.app.advance(23 * MINUTE).await;
        for ppm in [0.2, 20.0] {
            world.home(json!({"ethanol": ppm})).await;
            world.app.advance(MINUTE).await;
        }
        let sensed_at = t.now().plus_millis(-MINUTE);
        // Its server is killed before it judges; another one looks at everything, and it has not happened yet.
        t.clock.advance(-25 * MINUTE);
        transact!(t.db, tx => { carebot_database::rules::look_again(&mut tx, t.now(), t.now()).await }).expect("to be looked at");
        world.turn().await;
        assert!(world.active(Rule::Gas).await.is_none());
        // The next to look is a server whose clock is half an hour ahead, or one that was away.
        world.app.advance(40 * MINUTE).await;
        world.turn().await;
        assert_eq!(begun_at(&t, world.house.family, sensed_at).await, 1);
    }

    async fn what_a_server_with_a_clock_far_ahead_added_makes_no_alarm_last_longer(t: TestDb) {
        let world = World::new(&t).await;
        world.home(json!({"ethanol": 1.6})).await;
        world.turn().await;
        let first = world.alarm(Rule::Gas).await.id;
        // Another server is 40 minutes ahead for a moment.
        world.app.advance(40 * MINUTE).await;
        world.home(json!({"ethanol": 20.0})).await;
        world.turn().await;
        t.clock.advance(-40 * MINUTE);
        assert_eq!(world.alarm(Rule::Gas).await.last_sensed_at, t.now().plus_millis(40 * MINUTE));
        let guardian = world.actor(&world.house.guardian).await;
        world.app.service.clear_alarm(&guardian, first, None).await.expect("cleared");
        world.home(json!({"ethanol": 0.2})).await;
        world.app.advance(25 * MINUTE).await;
        let at = t.now();
        world.home(json!({"ethanol": 20.0})).await;
        // It is over before any server comes to look.
        for _ in 0..3 {
            world.app.advance(MINUTE).await;
            world.home(json!({"ethanol": 0.2})).await;
        }
        world.turn().await;
        assert_eq!(begun_at(&t, world.house.family, at).await, 1, "what happened in between is an alarm of its own");
    }

    async fn what_a_server_with_a_clock_far_ahead_saw_as_normal_hides_no_danger(t: TestDb) {
        let world = World::new(&t).await;
        world.home(json!({"ethanol": 20.0})).await;
        world.turn().await;
        let first = world.alarm(Rule::Gas).await.id;
        // Another server is 26 minutes ahead for a moment: what comes until then is not looked at by itself.
        world.app.advance(26 * MINUTE).await;
        world.home(json!({"ethanol": 0.2})).await;
        world.turn().await;
        t.clock.advance(-26 * MINUTE);
        let guardian = world.actor(&world.house.guardian).await;
        world.app.service.clear_alarm(&guardian, first, None).await.expect("cleared");
        world.later(30 * MINUTE).await;
        let at = t.now();
        world.home(json!({"ethanol": 20.0})).await;
        // One that is 15 minutes ahead is the first to look.
        world.app.advance(15 * MINUTE).await;
        world.turn().await;
        let alarm = world.alarm(Rule::Gas).await;
        assert!(alarm.id != first && alarm.last_sensed_at == at, "{alarm:?}");
        assert!(world.post.whom().contains(&world.house.guardian.email));
    }

    async fn what_comes_late_and_lies_behind_the_end_of_an_alarm_is_another(t: TestDb) {
        let world = World::new(&t).await;
        let gas = |ethanol: f64| Home { ethanol: Some(ethanol), ..air(22.0) };
        let begin = t.now();
        world.home(json!({"ethanol": 20.0})).await;
        for _ in 0..2 {
            world.later(5 * MINUTE).await;
            world.home(json!({"ethanol": 0.2})).await;
        }
        world.turn().await;
        world.later(10 * SECOND).await;
        assert!(world.active(Rule::Gas).await.is_none(), "it was over after five minutes");
        // Had it come in time, the alarm would not have been over.
        let (late, now) = (begin.plus_millis(7 * MINUTE), t.now());
        for (at, ethanol) in [(late, 20.0), (late.plus_millis(SECOND), 20.0), (begin.plus_millis(6 * MINUTE), 0.2)] {
            t.report_at(world.house.family, at, gas(ethanol)).await;
            transact!(t.db, tx => { carebot_database::rules::mark(&mut tx, world.house.family, Rule::Gas, at, now).await }).expect("marked");
            world.turn().await;
            assert_eq!(begun_at(&t, world.house.family, late).await, 1, "it is told, and only once");
        }
        let all = world.app.get(&format!("/v1/alarms/{}", world.house.family), &world.house.guardian).await.result();
        assert_eq!(all.as_array().expect("a list").len(), 2, "{all}");
    }

    async fn what_somebody_cleared_too_early_comes_back(t: TestDb) {
        let world = World::new(&t).await;
        world.home(json!({"ethanol": 20.0})).await;
        world.turn().await;
        let (id, guardian) = (world.alarm(Rule::Gas).await.id, world.actor(&world.house.guardian).await);
        world.app.service.clear_alarm(&guardian, id, None).await.expect("cleared");
        world.post.take();
        for _ in 0..9 {
            world.later(MINUTE).await;
            world.home(json!({"ethanol": 20.0})).await;
            world.turn().await;
        }
        assert!(world.active(Rule::Gas).await.is_none(), "it was cleared nine minutes ago");
        world.later(MINUTE).await;
        world.home(json!({"ethanol": 20.0})).await;
        world.later(10 * SECOND).await;
        let again = world.alarm(Rule::Gas).await;
        assert!(again.id != id && again.severity == Severity::Crit);
        assert!(world.post.whom().contains(&world.house.guardian.email));
    }

    async fn a_hot_room_is_one_after_half_an_hour(t: TestDb) {
        let world = World::new(&t).await;
        for minute in 0..30 {
            if minute % 5 == 0 {
                world.home(json!({"temperature": 33.0})).await;
            }
            world.later(MINUTE).await;
            assert!(world.active(Rule::Heat).await.is_none(), "after {minute} minutes");
        }
        world.home(json!({"temperature": 33.0})).await;
        world.turn().await;
        let alarm = world.alarm(Rule::Heat).await;
        assert_eq!((alarm.severity, alarm.is_late()), (Severity::Warn, false));
        assert_eq!(world.post.whom(), [world.house.guardian.email.as_str()]);
    }

    async fn a_restart_in_the_window_loses_nothing(t: TestDb) {
        let world = World::new(&t).await;
        for _ in 0..4 {
            world.home(json!({"temperature": 36.0})).await;
            world.later(5 * MINUTE).await;
        }
        let other = TestApp::on(&t, t.open_again().await, |_, _| {}).await;
        for _ in 0..3 {
            let body = json!({"family_id": world.house.family, "temperature": 36.0});
            other.call("POST /status/home", &world.house.elder, body).await.succeeds(201);
            other.advance(5 * MINUTE).await;
            other.service.judge_rules().await.expect("judged");
        }
        assert_eq!(world.alarm(Rule::Heat).await.severity, Severity::Crit);
    }

    async fn what_comes_late_is_judged_as_of_then_and_told_as_late(t: TestDb) {
        let world = World::new(&t).await;
        world.home(json!({"temperature": 25.0})).await;
        world.turn().await;
        let family = world.house.family;
        // An hour's readings that were sensed while nobody could be reached, as a batch stores them.
        world.app.advance(2 * HOUR).await;
        let now = t.now();
        for minutes in (40..=100).rev().step_by(5) {
            let at = now.plus_millis(-minutes * MINUTE);
            t.report_at(family, at, air(36.0)).await;
        }
        for minutes in [35, 30, 25, 20, 15, 10, 5, 0] {
            t.report_at(family, now.plus_millis(-minutes * MINUTE), air(24.0)).await;
        }
        let from = now.plus_millis(-100 * MINUTE);
        transact!(t.db, tx => { carebot_database::rules::mark(&mut tx, family, Rule::Heat, from, now).await }).expect("marked");
        world.turn().await;
        let all: Vec<_> = world.all().await.into_iter().filter(|alarm| alarm.rule == Rule::Heat).collect();
        assert_eq!(all.len(), 1, "{all:?}");
        assert!(all[0].is_late() && all[0].severity == Severity::Crit && all[0].clear_reason == Some(ClearReason::Normal));
        let posted: Vec<_> = world.post.take().into_iter().filter(|posted| posted.notice.title.contains("폭염")).collect();
        assert_eq!(posted.len(), 1);
        assert!(posted[0].notice.body.contains("분 전에 감지됨"), "{:?}", posted[0].notice.body);
        // Again and again the same readings are no new alarm.
        for _ in 0..3 {
            transact!(t.db, tx => { carebot_database::rules::mark(&mut tx, family, Rule::Heat, from, now).await }).expect("marked");
            world.turn().await;
        }
        assert_eq!(world.all().await.iter().filter(|alarm| alarm.rule == Rule::Heat).count(), 1);
    }

    async fn silence_warns_after_two_missed_reports_and_is_critical_after_four(t: TestDb) {
        let world = World::new(&t).await;
        world.home(json!({"temperature": 22.0})).await;
        world.turn().await;
        world.later(11 * MINUTE - SECOND).await;
        assert!(world.active(Rule::Silence).await.is_none());
        world.later(SECOND).await;
        assert_eq!(world.alarm(Rule::Silence).await.severity, Severity::Warn);
        world.later(9 * MINUTE - SECOND).await;
        assert_eq!(world.alarm(Rule::Silence).await.severity, Severity::Warn);
        world.later(SECOND).await;
        assert_eq!(world.alarm(Rule::Silence).await.severity, Severity::Crit);
        world.home(json!({"temperature": 22.0})).await;
        world.later(10 * SECOND).await;
        assert!(world.active(Rule::Silence).await.is_none(), "it is over with the next report");
    }

    async fn a_robot_that_never_reported_is_asked_after_once(t: TestDb) {
        let world = World::new(&t).await;
        world.turn().await;
        world.later(24 * HOUR - SECOND).await;
        assert!(world.active(Rule::Silence).await.is_none());
        world.later(SECOND).await;
        let alarm = world.alarm(Rule::Silence).await;
        assert_eq!(alarm.severity, Severity::Warn);
        let guardian = world.actor(&world.house.guardian).await;
        world.app.service.clear_alarm(&guardian, alarm.id, Some("아직 설치 전")).await.expect("cleared");
        for _ in 0..72 {
            world.later(HOUR).await;
        }
        assert_eq!(world.all().await.len(), 1);
    }

    async fn the_servers_own_outage_is_no_silence_of_the_robot(t: TestDb) {
        let world = World::new(&t).await;
        world.home(json!({"temperature": 22.0})).await;
        world.turn().await;
        // Nobody was there for an hour.
        world.app.advance(HOUR).await;
        world.turn().await;
        assert!(world.active(Rule::Silence).await.is_none(), "nor before the outage is noted");
        world.app.service.beat().await.expect("it turns again");
        world.turn().await;
        assert!(world.active(Rule::Silence).await.is_none());
        world.later(11 * MINUTE - SECOND).await;
        assert!(world.active(Rule::Silence).await.is_none());
        world.later(SECOND).await;
        assert!(world.active(Rule::Silence).await.is_some(), "the clock counts from when the server was back");
    }

    async fn a_robot_whose_clock_is_behind_is_not_silent(t: TestDb) {
        let world = World::new(&t).await;
        world.home(json!({"temperature": 22.0})).await;
        world.turn().await;
        for _ in 0..6 {
            world.later(5 * MINUTE).await;
            let sensed = carebot_model::Timestamp::from_millis(t.now().millis() - 2 * HOUR);
            let report = world.app.request("POST /status/home").by(&world.house.elder).header("carebot-sensed-at", format!("{sensed}Z"));
            report.json(&json!({"family_id": world.house.family, "temperature": 22.0})).send().await.succeeds(201);
            world.turn().await;
            assert!(world.active(Rule::Silence).await.is_none());
        }
    }

    async fn a_clock_that_jumps_back_does_not_stop_the_rule(t: TestDb) {
        let world = World::new(&t).await;
        world.home(json!({"temperature": 22.0})).await;
        world.turn().await;
        world.app.t.clock.advance(-2 * MINUTE);
        world.app.service.beat().await.expect("it turns");
        world.turn().await;
        world.later(30 * MINUTE).await;
        assert!(world.active(Rule::Silence).await.is_some());
    }

    async fn a_clock_that_was_far_ahead_hides_no_silence(t: TestDb) {
        let world = World::new(&t).await;
        world.home(json!({"temperature": 22.0})).await;
        let body = json!({"family_id": world.house.family, "heart_rate": 70});
        world.app.call("POST /status/health", &world.house.elder, body).await.succeeds(201);
        // What was stored while the server believed it was two days later.
        let family = world.house.family;
        t.report_at(family, t.now().plus_millis(48 * HOUR), air(22.0)).await;
        let pulse = carebot_model::status::Health { heart_rate: Some(70) };
        t.report_at(family, t.now().plus_millis(48 * HOUR), pulse).await;
        world.turn().await;
        world.later(20 * MINUTE).await;
        assert!(world.active(Rule::Silence).await.is_some());
        world.later(16 * HOUR - 20 * MINUTE).await;
        assert!(world.active(Rule::Inactivity).await.is_some());
    }

    async fn what_hovers_below_the_bound_is_not_raised_again(t: TestDb) {
        let world = World::new(&t).await;
        world.home(json!({"ethanol": 20.0})).await;
        world.turn().await;
        let id = world.alarm(Rule::Gas).await.id;
        world.home(json!({"ethanol": 1.3})).await;
        world.turn().await;
        let guardian = world.actor(&world.house.guardian).await;
        world.app.service.clear_alarm(&guardian, id, Some("환기함")).await.expect("cleared");
        for _ in 0..30 {
            world.home(json!({"ethanol": 1.3})).await;
            world.later(MINUTE).await;
        }
        assert!(world.active(Rule::Gas).await.is_none(), "neither dangerous nor quite over");
        for (value, severity) in [(4.0, Severity::Warn), (20.0, Severity::Crit)] {
            for _ in 0..2 {
                world.home(json!({"ethanol": value})).await;
                world.later(15 * SECOND).await;
            }
            assert_eq!(world.alarm(Rule::Gas).await.severity, severity, "as bad as it is");
        }
    }

    async fn no_sign_of_life_in_waking_hours_warns(t: TestDb) {
        let world = World::new(&t).await;
        // The clock of tests begins at 18:00 in Korea: three waking hours are left today.
        let body = json!({"family_id": world.house.family, "heart_rate": 70});
        world.app.call("POST /status/health", &world.house.elder, body).await.succeeds(201);
        world.turn().await;
        world.later(13 * HOUR).await;
        assert!(world.active(Rule::Inactivity).await.is_none(), "seven in the morning: three waking hours so far");
        world.later(3 * HOUR - SECOND).await;
        assert!(world.active(Rule::Inactivity).await.is_none());
        world.later(SECOND).await;
        assert_eq!(world.alarm(Rule::Inactivity).await.severity, Severity::Warn);
        world.later(6 * HOUR).await;
        assert_eq!(world.alarm(Rule::Inactivity).await.severity, Severity::Crit);
        let body = json!({"family_id": world.house.family, "heart_rate": 70});
        world.app.call("POST /status/health", &world.house.elder, body).await.succeeds(201);
        world.later(10 * SECOND).await;
        assert!(world.active(Rule::Inactivity).await.is_none());
    }

    async fn a_report_without_a_pulse_is_no_sign_of_life(t: TestDb) {
        let world = World::new(&t).await;
        let measure = async |rate: Option<i32>| {
            let body = json!({"family_id": world.house.family, "heart_rate": rate});
            let (token, _) = t.session(world.house.elder.id, true).await;
            world.app.call("POST /status/health", &token, body).await.succeeds(201);
        };
        for nothing in [None, Some(0)] {
            measure(nothing).await;
        }
        world.turn().await;
        world.later(16 * HOUR).await;
        assert!(world.active(Rule::Inactivity).await.is_none(), "nobody was ever seen");
        // It is ten in the morning.
        measure(Some(70)).await;
        for hour in 1..=6 {
            assert!(world.active(Rule::Inactivity).await.is_none(), "after {hour} hours");
            world.later(HOUR).await;
            measure(if hour % 2 == 0 { None } else { Some(0) }).await;
        }
        assert_eq!(world.alarm(Rule::Inactivity).await.severity, Severity::Warn);
        // The sign is remembered, however many reports have come since.
        world.later(4 * 24 * HOUR).await;
        assert_eq!(world.alarm(Rule::Inactivity).await.severity, Severity::Crit);
    }

    async fn after_an_outage_what_was_reported_is_judged_before_what_only_became_due(t: TestDb) {
        let world = World::new(&t).await;
        world.app.advance(HOUR).await;
        world.home(json!({"ethanol": 20.0})).await;
        let due = carebot_database::rules::due(&mut t.db.read(), t.now(), 10).await.expect("read");
        let due: Vec<_> = due.into_iter().map(|(_, rule, _)| rule).collect();
        assert_eq!(due[0], Rule::Gas, "{due:?}");
        assert!(due.contains(&Rule::Silence), "{due:?}");
    }

    async fn a_low_mood_is_critical_and_three_days_of_a_lower_one_warn(t: TestDb) {
        let world = World::new(&t).await;
        for (score, severity) in [(50, None), (49, None), (50, Some(Severity::Warn)), (30, Some(Severity::Crit)), (51, None)] {
            let (family, now) = (world.house.family, t.now());
            let fields = Mental { score: Some(score), is_critical: Some(score <= 30), description: None };
            let report = NewReport { id: t.id(), reported_at: now, received_at: now, source_key: None, fields };
            transact!(t.db, tx => {
                let basis = Basis { utterances: 9, model: "m".into() };
                chats::create_mood(&mut tx, &permit(family), &report, &basis).await?;
                carebot_database::rules::mark(&mut tx, family, Rule::Mood, now, now).await
            }).expect("stored");
            world.turn().await;
            assert_eq!(world.active(Rule::Mood).await.map(|alarm| alarm.severity), severity, "after {score}");
            world.later(24 * HOUR).await;
        }
    }

    async fn a_rule_of_a_newer_version_holds_up_no_other(t: TestDb) {
        let world = World::new(&t).await;
        let (family, now) = (world.house.family, t.now());
        transact!(t.db, tx => {
            for sql in [
                "INSERT INTO rule_states (family_id, rule, due_at) VALUES (?, 'tomorrow', ?)",
                "INSERT INTO rules (family_id, rule, parameters, updated_at) VALUES (?, 'tomorrow', '{}', ?)",
            ] {
                tx.execute(sql, carebot_database::params![family, now]).await?;
            }
            Ok::<_, carebot_database::DbError>(())
        }).expect("stored");
        world.home(json!({"ethanol": 20})).await;
        world.turn().await;
        assert_eq!(world.alarm(Rule::Gas).await.severity, Severity::Crit);
        let columns = "family_id, open_rule, severity, sensed_at, last_sensed_at, raised_at, late_by, occurrences, cause, episode, climb_from, next_step, next_at";
        let sql = format!(
            "INSERT INTO alarms (id, rule, run_at, danger_episode, rounds, {columns})
             SELECT id + 1, 'tomorrow', run_at, danger_episode, rounds, {} FROM alarms WHERE rule = 'gas'",
            columns.replacen("open_rule", "'tomorrow'", 1).replace("next_at", "1")
        );
        t.db.execute(&sql, vec![]).await.expect("an alarm of a newer version");
        world.pass(2 * MINUTE).await;
        assert!(world.post.whom().contains(&world.second.email), "the ladder is climbed");
        for path in [format!("/v1/alarms/{family}"), format!("/v1/alarms/{family}?active=true")] {
            let shown = world.app.get(&path, &world.house.guardian).await.result();
            assert_eq!(shown.as_array().map(Vec::len), Some(1), "{shown}");
        }
        let shown = world.app.get(&format!("/v1/rules/{family}"), &world.house.guardian).await.result();
        assert!(shown.as_array().is_some_and(|rules| rules.iter().any(|rule| rule["rule"] == "gas")), "{shown}");
    }

    async fn words_of_danger_are_an_alarm_without_the_words(t: TestDb) {
        let world = World::new(&t).await;
        let body = json!({"user_id": world.house.elder.id, "message": "숨을 못 쉬겠어 살려줘", "session_id": null});
        world.app.call("POST /chats", &world.house.elder, body).await;
        let alarm = world.alarm(Rule::Phrase).await;
        assert_eq!(alarm.severity, Severity::Crit);
        world.turn().await;
        assert_eq!(world.post.whom(), [world.house.guardian.email.as_str()]);
        for entry in world.timeline(alarm.id).await {
            assert!(!entry.body.contains("살려줘"), "{}", entry.body);
        }
    }
}

carebot_testkit::only_mariadb! {
    async fn a_report_that_is_stored_while_its_rule_is_judged_is_judged_too(t: TestDb) {
        let world = World::new(&t).await;
        let (family, now) = (world.house.family, t.now());
        world.home(json!({"ethanol": 0.2})).await;
        transact!(t.db, tx => { carebot_database::rules::mark(&mut tx, family, Rule::Gas, now, now).await }).expect("marked");
        world.app.t.clock.advance(SECOND);
        let now = t.now();
        let mut report = t.db.begin().await.expect("a transaction begins");
        let sql = "INSERT INTO home_status (family_id, reported_at, id, received_at, ethanol) VALUES (?, ?, ?, ?, 20)";
        report.execute(sql, params![family, now, t.id(), now]).await.expect("stored");
        carebot_database::rules::mark(&mut report, family, Rule::Gas, now, now).await.expect("marked");
        let service = std::sync::Arc::clone(&world.app.service);
        let judging = tokio::spawn(async move { service.judge_rules().await });
        // It waits for the report, which is not committed yet.
        let sql = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()
            AND (info LIKE 'UPDATE rule_states%' OR info LIKE '%rule_states%FOR UPDATE')";
        while t.db.read().fetch_one(sql, vec![], |row| row.get::<i64>(0)).await.expect("read") == 0 {
            assert!(!judging.is_finished(), "nothing was waited for");
            tokio::task::yield_now().await;
        }
        report.commit().await.expect("committed");
        judging.await.expect("it ends").expect("judged");
        world.turn().await;
        assert_eq!(world.alarm(Rule::Gas).await.severity, Severity::Crit);
    }
}
