//! The newest readings, which are no events.

use carebot_model::status::{Health, Home};
use carebot_testkit::fixtures::sample;

use super::*;

async fn heart(app: &TestApp, house: &House, rate: i32) {
    app.call("POST /status/health", &house.elder, json!({"family_id": house.family, "heart_rate": rate}))
        .await
        .succeeds(201);
}

both_engines! {
    async fn the_newest_reading_comes_as_it_is_read_elsewhere(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let mut stream = follow(&app, house.family, &house.guardian).await;
        heart(&app, &house, 71).await;
        let reading = stream.expect("reading").await;
        let latest = app.get(&format!("/status/health/latest/{}", house.family), &house.guardian).await.result();
        assert_eq!(reading.id, None, "nothing to go on behind");
        assert_eq!(reading.data, json!({"family_id": house.family, "kind": "health", "report": latest}));
        // What was reported before comes first.
        let mut stream = follow_all(&app, &house.elder).await;
        assert_eq!(stream.expect("reading").await.data, reading.data);
        let events = "SELECT COUNT(*) FROM events";
        let events = t.db.read().fetch_one(events, vec![], |row| row.get::<i64>(0)).await;
        assert_eq!(events.expect("they are counted"), 0, "a reading has no row of its own");
    }

    async fn a_slow_reader_gets_the_newest_of_each_kind_and_none_twice(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let mut stream = follow(&app, house.family, &house.guardian).await;
        for rate in 60..90 {
            heart(&app, &house, rate).await;
        }
        let home = json!({"family_id": house.family, "temperature": 21.5});
        app.call("POST /status/home", &house.elder, home).await.succeeds(201);
        heart(&app, &house, 90).await;
        let reading = stream.expect("reading").await.data;
        assert_eq!((&reading["kind"], &reading["report"]["temperature"]), (&json!("home"), &json!(21.5)));
        let reading = stream.expect("reading").await.data;
        assert_eq!((&reading["kind"], &reading["report"]["heart_rate"]), (&json!("health"), &json!(90)));
        camera(&app, &house, true).await;
        stream.expect("settings").await;
        heart(&app, &house, 91).await;
        assert_eq!(stream.expect("reading").await.data["report"]["heart_rate"], 91);
    }

    async fn an_event_goes_before_a_reading(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let mut stream = follow(&app, house.family, &house.guardian).await;
        let mut other = follow(&app, house.family, &house.elder).await;
        heart(&app, &house, 71).await;
        other.expect("reading").await;
        camera(&app, &house, true).await;
        other.expect("settings").await;
        // Both are there.
        stream.expect("settings").await;
        stream.expect("reading").await;
    }

    async fn of_a_batch_the_newest_of_each_kind_comes(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let mut stream = follow(&app, house.family, &house.guardian).await;
        heart(&app, &house, 71).await;
        assert_eq!(stream.expect("reading").await.data["report"]["heart_rate"], 71);
        let report = |key: &str, before: i64, rate: i32| {
            json!({"kind": "health", "key": key, "sensed_at": t.now().plus_millis(-before), "heart_rate": rate})
        };
        app.advance(60_000).await;
        let reports = [report("a", 20_000, 72), report("b", 10_000, 73), report("c", 600_000, 140)];
        let batch = json!({"family_id": house.family, "reports": reports});
        app.call("POST /v1/status/batch", &house.elder, batch).await.succeeds(200);
        assert_eq!(stream.expect("report").await.data["body"]["rules"], json!(["heart_fast"]));
        assert_eq!(stream.expect("reading").await.data["report"]["heart_rate"], 73);
    }

    async fn readings_of_another_server_are_found(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, other) = (app.house().await, second(&t).await);
        t.report(house.family, sample::<Home>(1)).await;
        let mut there = follow(&other, house.family, &house.guardian).await;
        assert_eq!(there.expect("reading").await.data["kind"], "home");
        heart(&app, &house, 71).await;
        round(&other).await;
        let reading = there.expect("reading").await.data;
        assert_eq!((&reading["kind"], &reading["report"]["heart_rate"]), (&json!("health"), &json!(71)));
        // One that was sensed before the newest, and came in late, is not the newest.
        t.report_at(house.family, t.now().plus_millis(-60_000), sample::<Health>(7)).await;
        round(&other).await;
        app.advance(1_000).await;
        heart(&app, &house, 72).await;
        round(&other).await;
        assert_eq!(there.expect("reading").await.data["report"]["heart_rate"], 72);
    }
}
