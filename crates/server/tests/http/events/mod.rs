//! `/v1/events`
//!
//! Streams are read piece by piece without a socket: who does not ask is a slow reader. What the server does by itself every 250 ms,
//! `look_after_streams`, is done by hand.

mod bounds;
mod readings;
mod resume;
mod rights;
mod servers;

use std::time::Duration;

use carebot_database::journal::Journal;
use carebot_database::{DbError, transact};
use carebot_model::alarms::EventKind;
use carebot_model::{AccountId, FamilyId};
use carebot_testkit::TestDb;
use carebot_testkit::app::{EventStream, Who};

use crate::prelude::*;

/// Follows a family from now on.
pub async fn follow(app: &TestApp, family: FamilyId, who: impl Who) -> EventStream {
    let mut stream = app.request(&format!("GET /v1/events/{family}")).by(who).follow().await;
    stream.expect("hello").await;
    stream
}

/// Follows a family from behind an event on.
pub async fn resume(app: &TestApp, family: FamilyId, who: impl Who, last: impl AsRef<[u8]>) -> EventStream {
    app.request(&format!("GET /v1/events/{family}")).by(who).header("last-event-id", last).follow().await
}

/// Follows everything from now on.
pub async fn follow_all(app: &TestApp, who: impl Who) -> EventStream {
    let mut stream = app.request("GET /v1/events").by(who).follow().await;
    stream.expect("hello").await;
    stream
}

/// Turns the camera on or off: an event, if it was the other way before.
pub async fn camera(app: &TestApp, house: &House, is_on: bool) {
    let body = json!({"is_camera_enabled": is_on});
    let line = format!("PATCH /tools/settings/{}", house.family);
    assert_eq!(app.call(&line, &house.elder, body).await.status, 200);
}

/// Writes events as another process would that tells nobody; the number of the last.
pub async fn happen(t: &TestDb, family: FamilyId, bodies: impl IntoIterator<Item = Value>) -> i64 {
    let bodies: Vec<Value> = bodies.into_iter().collect();
    let written = transact!(t.db, tx => {
        let mut journal = Journal::open(&mut tx, family, t.now()).await?;
        for body in &bodies {
            journal.event(EventKind::Report, body);
        }
        journal.close(&mut tx).await
    });
    written.expect("events are written").event_seq
}

/// Writes an event for two.
pub async fn happen_between(t: &TestDb, family: FamilyId, two: (AccountId, AccountId)) {
    let written = transact!(t.db, tx => {
        let mut journal = Journal::open(&mut tx, family, t.now()).await?;
        journal.event_between(EventKind::Message, Some(two), &json!({"index": 1}));
        journal.close(&mut tx).await
    });
    written.expect("it is written");
}

/// What a server does every 250 ms.
pub async fn round(app: &TestApp) {
    app.service.look_after_streams().await.expect("the database answers");
}

/// A second server on the same database.
pub async fn second(t: &TestDb) -> TestApp {
    TestApp::on(t, t.open_again().await, |_, _| {}).await
}

both_engines! {
    async fn a_stream_begins_now_and_tells_what_happens(t: TestDb) {
        let app = TestApp::with(&t, |settings, _| settings.streams.heartbeat = Duration::from_hours(1)).await;
        let house = app.house().await;
        camera(&app, &house, true).await;
        let mut stream =
            app.request(&format!("GET /v1/events/{}", house.family)).by(&house.guardian).follow().await;
        for (name, value) in [("content-type", "text/event-stream"), ("cache-control", "no-store"), ("x-accel-buffering", "no")] {
            assert_eq!(stream.headers[name], value);
        }
        assert_eq!(stream.block().await.as_deref(), Some("retry: 2000\n\n"));
        let shown = |block: Option<String>| app.names.apply(&block.expect("it goes on"));
        assert_eq!(
            shown(stream.block().await),
            "id: 1\nevent: hello\ndata: {\"families\":[{\"family_id\":\"FAMILY\",\"from\":1}]}\n\n"
        );
        camera(&app, &house, false).await;
        assert_eq!(
            shown(stream.block().await),
            concat!(
                "id: 2\nevent: settings\n",
                r#"data: {"seq":2,"family_id":"FAMILY","at":"2026-03-02T09:00:00","kind":"settings","body":{"what":"switches","#,
                r#""is_alarm_enabled":false,"is_camera_enabled":false,"is_microphone_enabled":false,"is_driving_enabled":false}}"#,
                "\n\n"
            )
        );
        // What changes nothing is no event.
        camera(&app, &house, false).await;
        camera(&app, &house, true).await;
        let event = stream.expect("settings").await;
        assert_eq!((event.id.as_deref(), &event.data["body"]["is_camera_enabled"]), (Some("3"), &json!(true)));
    }

    async fn memberships_are_told(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, asker) = (app.house().await, app.person(Role::Sub, "ASKER").await);
        let mut elder = follow(&app, house.family, &house.elder).await;
        let mut guardian = follow(&app, house.family, &house.guardian).await;
        let ask = json!({"family_id": house.family, "user_id": asker.id});
        let member = app.call("POST /members", &asker, ask.clone()).await.given("id");
        let request = format!("/v1/members/requests/{member}");
        let mut told = async |what: &str, member: &str, user: AccountId, is_for_all: bool| {
            let body = json!({"what": what, "member_id": member, "user_id": user});
            assert_eq!(elder.expect("membership").await.data["body"], body);
            if is_for_all {
                assert_eq!(guardian.expect("membership").await.data["body"], body);
            }
        };
        told("asked", &member, asker.id, false).await;
        app.call(&format!("DELETE {request}"), &asker, Value::Null).await.succeeds(200);
        told("withdrawn", &member, asker.id, false).await;
        let member = app.call("POST /members", &asker, ask.clone()).await.given("id");
        told("asked", &member, asker.id, false).await;
        app.call(&format!("DELETE /v1/members/requests/{member}"), &house.elder, Value::Null).await.succeeds(200);
        told("refused", &member, asker.id, false).await;
        let member = app.call("POST /members", &asker, ask.clone()).await.given("id");
        told("asked", &member, asker.id, false).await;
        app.call(&format!("PATCH /v1/members/requests/{member}"), &house.elder, Value::Null).await.succeeds(200);
        told("approved", &member, asker.id, true).await;
        let password = json!({"password": PASSWORD});
        app.call(&format!("DELETE /members/kick/{member}"), &house.elder, password.clone()).await.succeeds(200);
        told("kicked", &member, asker.id, true).await;
        let member = app.call("POST /members", &app.system().await, ask).await.given("id");
        told("approved", &member, asker.id, true).await;
        app.call(&format!("DELETE /members/{member}"), &asker, password).await.succeeds(200);
        told("left", &member, asker.id, true).await;
    }

    async fn what_is_between_two_is_shown_to_these_alone(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, other, system) = (app.house().await, app.person(Role::Sub, "OTHER").await, app.system().await);
        t.join(house.family, other.id, Some(house.elder.id)).await;
        let mut streams = Vec::new();
        for who in [&house.elder, &house.guardian, &other, &system] {
            streams.push(follow(&app, house.family, who).await);
        }
        happen_between(&t, house.family, (house.elder.id, house.guardian.id)).await;
        happen(&t, house.family, [json!({})]).await;
        round(&app).await;
        for stream in &mut streams[..2] {
            assert_eq!(stream.expect("message").await.id.as_deref(), Some("1"));
        }
        for stream in &mut streams {
            assert_eq!(stream.expect("report").await.id.as_deref(), Some("2"), "numbers may be passed over");
        }
        // Nor afterwards.
        assert_eq!(resume(&app, house.family, &other, "0").await.expect("report").await.data["seq"], 2);
        assert_eq!(resume(&app, house.family, &house.guardian, "0").await.expect("message").await.data["seq"], 1);
    }

    async fn a_silent_stream_shows_that_it_lives(t: TestDb) {
        let app = TestApp::with(&t, |settings, _| settings.streams.heartbeat = Duration::from_millis(10)).await;
        let house = app.house().await;
        let mut stream = follow(&app, house.family, &house.elder).await;
        for _ in 0..3 {
            assert_eq!(stream.block().await.as_deref(), Some(": alive\n\n"));
        }
    }

    async fn an_alarm_that_a_page_showed_is_noted(t: TestDb) {
        let world = crate::alarms::World::new(&t).await;
        let (app, house) = (&world.app, &world.house);
        let mut pages = Vec::new();
        for who in [&house.guardian, &world.nurse] {
            pages.push(follow(app, house.family, who).await);
        }
        world.fall().await;
        world.pass(crate::alarms::MINUTE).await;
        let alarm = world.alarm(carebot_model::alarms::Rule::Fall).await;
        for page in &mut pages {
            loop {
                let event = page.next().await.expect("it goes on");
                if event.data["body"]["notify"].as_array().is_some_and(|notify| notify.contains(&json!(house.guardian.id))) {
                    assert_eq!(event.data["body"]["alarm"]["id"], json!(alarm.id));
                    break;
                }
            }
        }
        round(app).await;
        let shown = async || {
            let sql = "SELECT DISTINCT account_id FROM deliveries WHERE alarm_id = ? AND shown_at IS NOT NULL";
            let mut reader = t.db.read();
            let found = reader.fetch(sql, carebot_database::params![alarm.id], |row| row.get::<AccountId>(0));
            found.await.expect("deliveries are read")
        };
        assert_eq!(shown().await, [], "what was handed out may not have been taken yet");
        // Who asks for more has taken what came before.
        happen(&t, house.family, [json!({})]).await;
        round(app).await;
        for page in &mut pages {
            while page.next().await.expect("it goes on").name != "report" {}
        }
        round(app).await;
        assert_eq!(shown().await, [house.guardian.id], "the nurse is not told of it yet");
    }

    async fn events_are_kept_for_thirty_days(t: TestDb) {
        const DAY: i64 = 24 * 3_600_000;
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        happen(&t, house.family, (0..2_500).map(|number| json!({"n": number}))).await;
        let stop = tokio_util::sync::CancellationToken::new();
        app.advance(30 * DAY).await;
        happen(&t, house.family, [json!({"n": "new"})]).await;
        assert_eq!(app.service.delete_old_events(&stop).await.expect("the database answers"), 0);
        app.advance(1).await;
        assert_eq!(app.service.delete_old_events(&stop).await.expect("the database answers"), 2_500);
        let (token, _) = t.session(house.guardian.id, false).await;
        let mut stream = resume(&app, house.family, &token, "2499").await;
        let reset = stream.expect("reset").await;
        assert_eq!((reset.id.as_deref(), reset.data), (Some("2501"), json!({"family_id": house.family, "from": 2_501})));
        let mut stream = resume(&app, house.family, &token, "2500").await;
        assert_eq!(stream.expect("report").await.data["body"], json!({"n": "new"}));
        // Requests that were carried out are remembered as long, and forgotten by another job.
        let remember = async |key: &str| {
            let keyed = carebot_database::idempotency::Keyed::new(house.guardian.id, "test", key, &[]);
            transact!(t.db, tx => {
                let earlier = carebot_database::idempotency::earlier(&mut tx, &keyed).await?;
                if earlier.is_none() {
                    carebot_database::idempotency::remember(&mut tx, &keyed, t.id(), t.now()).await?;
                }
                Ok::<_, DbError>(earlier.is_some())
            })
            .expect("the database answers")
        };
        assert!(!remember("one").await);
        app.advance(29 * DAY).await;
        app.service.delete_old_events(&stop).await.expect("the database answers");
        assert!(remember("one").await);
    }
}
