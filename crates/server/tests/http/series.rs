//! Reports summed up in buckets, and reports that are deleted by age.

use carebot_database::{rollups, transact};
use carebot_model::FamilyId;
use carebot_model::status::{Active, Health, Home, Mental, StatusKind};
use carebot_testkit::TestDb;
use carebot_testkit::fixtures::{blank, sample};
use tokio_util::sync::CancellationToken;

use crate::prelude::*;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

async fn warm<K: StatusKind>(t: &TestDb, family: FamilyId, back: i64, fields: K) {
    t.report_at(family, t.now().plus_millis(-back), fields).await;
}

fn air(temperature: f64) -> Home {
    Home { temperature: Some(temperature), ..blank() }
}

async fn roll(app: &TestApp) {
    app.service.roll_up(&CancellationToken::new()).await.expect("it is summed up");
}

/// Starts, counts and mean temperatures of a series.
async fn means(app: &TestApp, house: &House, query: &str) -> Vec<(String, u64, f64)> {
    let result = app.get(&format!("/status/home/{}/series?{query}", house.family), &house.guardian).await.result();
    let buckets = result["buckets"].as_array().expect("a list").clone();
    let one = |bucket: &Value| {
        let mean = bucket["temperature"]["mean"].as_f64().expect("a number");
        (bucket["start"].as_str().expect("a time").to_owned(), bucket["count"].as_u64().expect("a number"), mean)
    };
    buckets.iter().map(one).collect()
}

both_engines! {
    async fn reports_are_read_in_buckets(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        // It is 09:00 UTC, 18:00 in Korea.
        for (back, temperature) in [(0, 20.0), (1, 22.0), (5 * MINUTE, 24.0), (19 * HOUR, 30.0)] {
            warm(&t, house.family, back, air(temperature)).await;
        }
        let path = format!("/status/home/{}/series?start=2026-03-01&end=2026-03-02T09:00:00", house.family);
        app.get(&format!("{path}&bucket=1d"), &house.guardian).await.is(
            200,
            concat!(
                r#"{"message":"Home status retrieved successfully","result":{"bucket":"1d","buckets":["#,
                r#"{"start":"2026-02-28T15:00:00","count":1,"temperature":{"count":1,"min":30.0,"mean":30.0,"max":30.0},"humidity":null,"dust_level":null,"ethanol":null},"#,
                r#"{"start":"2026-03-01T15:00:00","count":3,"temperature":{"count":3,"min":20.0,"mean":22.0,"max":24.0},"humidity":null,"dust_level":null,"ethanol":null}]}}"#
            ),
        );
        app.get(&format!("/status/home/{}/series?start=2026-01-01&end=2026-01-02", house.family), &house.elder)
            .await
            .is(200, r#"{"message":"No home status found","result":{"bucket":"5m","buckets":[]}}"#);
        // The same before and after it was summed up, and when some of it was.
        for _ in 0..4 {
            let hours = means(&app, &house, "start=2026-03-01T13:30:00Z&bucket=1h").await;
            let at = |time: &str| format!("2026-03-0{time}:00");
            assert_eq!(
                hours,
                [(at("1T14:00"), 1, 30.0), (at("2T08:00"), 2, 23.0), (at("2T09:00"), 1, 20.0)]
            );
            let days = means(&app, &house, "start=2026-01-01&bucket=auto").await;
            assert_eq!(days, [("2026-02-28T15:00:00".to_owned(), 1, 30.0), (at("1T15:00"), 3, 22.0)]);
            let fives = means(&app, &house, "start=2026-03-02T08:57:00Z").await;
            assert_eq!(fives, [(at("2T08:55"), 2, 23.0), (at("2T09:00"), 1, 20.0)]);
            roll(&app).await;
            app.advance(25 * MINUTE).await;
        }
    }

    async fn every_kind_with_numbers_has_a_series(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        warm(&t, house.family, 0, sample::<Home>(1)).await;
        warm(&t, house.family, 0, sample::<Health>(1)).await;
        warm(&t, house.family, 0, sample::<Active>(1)).await;
        warm(&t, house.family, 0, sample::<Mental>(1)).await;
        for kind in ["home", "health", "active", "mental"] {
            let reply = app.get(&format!("/status/{kind}/{}/series?start=2026-03-02", house.family), &house.elder).await;
            assert_eq!(reply.result()["buckets"][0]["count"], 1, "{kind}: {}", reply.text());
        }
        let path = format!("/status/mental-reports/{}/series?start=2026-03-02", house.family);
        assert_eq!(app.get(&path, &house.elder).await.status, 404);
    }

    async fn what_cannot_be_a_series_is_refused(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, stranger) = (app.house().await, app.house().await);
        let path = format!("/status/home/{}/series", house.family);
        app.get(&path, &house.elder).await.is(
            422,
            r#"{"detail":{"type":"no data","loc":["query","start"],"message":"Query data is required","input":{"start":null,"end":null,"bucket":"auto"}}}"#,
        );
        app.get(&format!("{path}?start=2026-03-02&end=2026-03-01"), &house.elder)
            .await
            .refuses(400, "invalid value", "The end of a range can not be before its start");
        app.get(&format!("{path}?start=2026-01-01&end=2026-03-01&bucket=5m"), &house.elder)
            .await
            .refuses(400, "invalid value", "A series can have at most 10000 buckets");
        let reply = app.get(&format!("{path}?start=2026-01-01&bucket=2h"), &house.elder).await;
        assert_eq!((reply.status, &reply.json()["detail"][0]["type"]), (422, &json!("enum")));
        let reply = app.get(&format!("{path}?start=soon"), &house.elder).await;
        assert_eq!((reply.status, &reply.json()["detail"][0]["loc"]), (422, &json!(["query", "start"])));
        app.get(&format!("{path}?start=2026-03-01"), &stranger.guardian)
            .await
            .refuses(403, "can not access", "You do not have permission");
    }

    async fn late_reports_of_single_requests_and_of_batches_are_summed_up(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        for hours in 1..40 {
            warm(&t, house.family, hours * HOUR, air(20.0)).await;
        }
        roll(&app).await;
        let sensed = t.now().plus_millis(-20 * HOUR);
        let reply = app
            .request("POST /status/home")
            .by(&house.elder)
            .header("carebot-sensed-at", format!("{sensed}Z"))
            .json(&json!({"family_id": house.family, "temperature": 30}))
            .send()
            .await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        let reports: Vec<Value> = (0..30)
            .map(|number| {
                let sensed = t.now().plus_millis(-(5 + number % 3) * HOUR);
                json!({"kind": "home", "key": format!("k{number}"), "sensed_at": sensed, "temperature": 20})
            })
            .collect();
        let reply = app.call("POST /v1/status/batch", &house.elder, json!({"family_id": house.family, "reports": reports})).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        roll(&app).await;
        let hours = means(&app, &house, "start=2026-02-28&bucket=1h").await;
        let count = |hours_ago: i64| {
            let start = t.now().plus_millis(-hours_ago * HOUR).to_string();
            hours.iter().find(|(at, ..)| *at == start).map(|(_, count, _)| *count)
        };
        assert_eq!((count(20), count(5), count(6), count(7), count(8)), (Some(2), Some(11), Some(11), Some(11), Some(1)));
        let days = means(&app, &house, "start=2025-01-01&bucket=1d").await;
        assert_eq!(days.iter().map(|(_, count, _)| count).sum::<u64>(), 39 + 31);
    }

    async fn old_reports_go_and_their_series_stays(t: TestDb) {
        let app = TestApp::with(&t, |settings, _| settings.retention.home_days = 40).await;
        let house = app.house().await;
        for days in 0..60 {
            warm(&t, house.family, days * DAY, air(20.0 + f64::from(u32::try_from(days).expect("few")))).await;
            warm(&t, house.family, days * DAY, sample::<Active>(1)).await;
        }
        let stop = CancellationToken::new();
        roll(&app).await;
        let before = means(&app, &house, "start=2025-12-01&bucket=1d").await;
        transact!(t.db, tx => { rollups::hold(&mut tx, "an import").await }).expect("held");
        let purged = app.service.delete_old_reports(&stop).await.expect("it is looked");
        assert!(purged.is_held && purged.reports == 0, "nothing goes until an operator agrees");
        transact!(t.db, tx => { rollups::release(&mut tx).await }).expect("agreed");
        let purged = app.service.delete_old_reports(&stop).await.expect("it is deleted");
        // The midnight forty days ago was nine hours before this hour of the day.
        assert_eq!((purged.reports, purged.is_held), (19, false));
        assert_eq!(means(&app, &house, "start=2025-12-01&bucket=1d").await, before);
        let left: i64 = t.db.read().fetch_one("SELECT COUNT(*) FROM home_status", vec![], |row| row.get(0)).await.expect("a count");
        let others: i64 = t.db.read().fetch_one("SELECT COUNT(*) FROM active_status", vec![], |row| row.get(0)).await.expect("a count");
        assert_eq!((left, others), (41, 60));
        assert_eq!(app.service.delete_old_reports(&stop).await.expect("again").reports, 0);
    }

    async fn a_clock_that_is_ahead_makes_nothing_old_and_the_last_reports_stay(t: TestDb) {
        let app = TestApp::with(&t, |settings, _| settings.retention.home_days = 40).await;
        let house = app.house().await;
        for days in 0..60 {
            warm(&t, house.family, days * DAY, air(20.0)).await;
        }
        let stop = CancellationToken::new();
        app.advance(500 * DAY).await;
        roll(&app).await;
        let purged = app.service.delete_old_reports(&stop).await.expect("it is deleted");
        assert_eq!(purged.reports, 19, "counted from the newest report");
        assert_eq!(app.service.delete_old_reports(&stop).await.expect("again").reports, 0);
        let left: i64 =
            t.db.read().fetch_one("SELECT COUNT(*) FROM home_status", vec![], |row| row.get(0)).await.expect("a count");
        assert_eq!(left, 41);
    }

    async fn reports_for_hours_that_were_deleted_are_in_series_at_once_and_after_an_import_was_agreed_to(t: TestDb) {
        let app = TestApp::with(&t, |settings, _| settings.retention.home_days = 40).await;
        let house = app.house().await;
        for days in 0..60 {
            warm(&t, house.family, days * DAY, air(20.0)).await;
        }
        let stop = CancellationToken::new();
        roll(&app).await;
        assert_eq!(app.service.delete_old_reports(&stop).await.expect("it is deleted").reports, 19);
        warm(&t, house.family, 50 * DAY, air(30.0)).await;
        let counted = async |query: &str| means(&app, &house, query).await.iter().map(|(_, count, _)| count).sum::<u64>();
        let all = ["start=2025-12-01&bucket=1d", "start=2025-12-01&bucket=1h"];
        for query in all {
            assert_eq!(counted(query).await, 61, "{query}");
        }
        transact!(t.db, tx => { rollups::hold(&mut tx, "an import").await }).expect("held");
        assert_eq!(app.service.delete_old_reports(&stop).await.expect("it is looked").reports, 0);
        transact!(t.db, tx => { rollups::release(&mut tx).await }).expect("agreed");
        assert_eq!(app.service.delete_old_reports(&stop).await.expect("it is deleted").reports, 1);
        for query in all {
            assert_eq!(counted(query).await, 61, "{query}");
        }
        let day = "start=2026-01-11T00:00:00Z&end=2026-01-11T23:00:00Z";
        let found = means(&app, &house, day).await;
        assert_eq!(found.iter().map(|(_, count, mean)| (*count, *mean)).collect::<Vec<_>>(), [(2, 25.0)]);
    }

    async fn what_is_no_longer_kept_by_five_minutes_is_shown_by_hours(t: TestDb) {
        let app = TestApp::with(&t, |settings, _| settings.retention.five_minutes_days = 10).await;
        let house = app.house().await;
        for days in 0..30 {
            warm(&t, house.family, days * DAY, air(20.0)).await;
        }
        roll(&app).await;
        app.service.delete_old_reports(&CancellationToken::new()).await.expect("it is deleted");
        for (day, bucket) in [("2026-03-02", "5m"), ("2026-02-10", "1h")] {
            let path = format!("/status/home/{}/series?start={day}&end={day}T23:00:00Z", house.family);
            let result = app.get(&path, &house.guardian).await.result();
            assert_eq!((&result["bucket"], &result["buckets"][0]["count"]), (&json!(bucket), &json!(1)), "{day}");
        }
    }

    async fn what_came_in_while_a_clock_was_ahead_is_summed_up_when_it_is_right_again(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        app.advance(9 * HOUR).await;
        warm(&t, house.family, 8 * HOUR, air(20.0)).await;
        warm(&t, house.family, HOUR, air(20.0)).await;
        roll(&app).await;
        app.advance(-8 * HOUR - 30 * MINUTE).await;
        warm(&t, house.family, 0, air(26.0)).await;
        roll(&app).await;
        let counts: u64 = means(&app, &house, "start=2026-03-02&end=2026-03-03&bucket=1h").await.iter().map(|(_, count, _)| count).sum();
        assert_eq!(counts, 3);
    }
}
