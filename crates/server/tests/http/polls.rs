//! Long ranges that are asked for again and again are answered as if nothing were kept.

use carebot_database::rollups::{self, Kind};
use carebot_database::transact;
use carebot_model::access::Actor;
use carebot_model::status::Home;
use carebot_model::wire::Order;
use carebot_model::{FamilyId, Timestamp};
use carebot_testkit::TestDb;
use carebot_testkit::fixtures::sample;

use crate::prelude::*;

const SECOND: i64 = 1_000;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;

/// A server, and one beside it that keeps nothing.
async fn two(t: &TestDb) -> (TestApp, TestApp) {
    let keeping = TestApp::with(t, |settings, _| (settings.row_limit, settings.newest_whole) = (200, 60)).await;
    let forgetful = TestApp::on(t, t.open_again().await, |settings, _| {
        (settings.row_limit, settings.newest_whole, settings.poll_cache) = (200, 60, 0);
        // Its clock goes faster than that of what it remembers of sessions.
        settings.session_cache = std::time::Duration::ZERO;
    })
    .await;
    (keeping, forgetful)
}

/// Reports of the last days, closer together towards now.
async fn past(t: &TestDb, family: FamilyId) {
    let mut back = 20 * DAY;
    let mut number = 0_i64;
    while back > 0 {
        transact!(t.db, tx => {
            tx.execute(
                "INSERT INTO home_status (family_id, reported_at, id, received_at, temperature) VALUES (?, ?, ?, ?, 21.5)",
                carebot_database::params![family, t.now().plus_millis(-back), number + 1, t.now()],
            )
            .await
        })
        .expect("the row is stored");
        number += 1;
        back -= (back / 40).max(6 * SECOND);
    }
}

/// Whether a range is answered from what is kept.
async fn is_kept(app: &TestApp, family: FamilyId, start: Timestamp) -> bool {
    let operator = Actor::operator();
    let rows = app.service.poll_reports::<Home>(
        &operator,
        family.as_str(),
        (start, None, Order::Ascending),
        |page, report| serde_json::to_writer(page, report).expect("JSON"),
    );
    rows.await.expect("it is answered").is_some()
}

async fn answer(app: &TestApp, path: &str, who: &Person) -> (u16, String, String) {
    let reply = app.get(path, who).await;
    (reply.status, reply.header("carebot-thinned").to_owned(), reply.text())
}

both_engines! {
    async fn what_is_kept_is_what_would_be_read(t: TestDb) {
        let (app, other) = two(&t).await;
        let (house, system) = (app.house().await, app.system().await);
        past(&t, house.family).await;
        let (begin, mut kept) = (t.now(), 0);
        let pick = |most: u64| i64::try_from(t.rng.next() % most).expect("small");
        for round in 0..90 {
            match pick(12) {
                // Ordinary ones, through either server.
                0..=5 => {
                    for _ in 0..=pick(4) {
                        let server = if pick(2) == 0 { &app } else { &other };
                        let body = json!({"family_id": house.family, "temperature": round});
                        assert_eq!(server.call("POST /status/home", &house.elder, body).await.status, 201);
                        app.advance(pick(9) * SECOND + pick(1_000)).await;
                    }
                }
                // One that was sensed a little earlier than others, but is not late.
                6 => drop(t.report_at(house.family, t.now().plus_millis(-pick(59) * SECOND), sample::<Home>(1)).await),
                // Late ones, through the other server.
                7..=8 => {
                    let sensed = t.now().plus_millis(-61 * SECOND - pick(6 * 86_400) * SECOND);
                    let reply = other
                        .request("POST /status/home")
                        .by(&house.elder)
                        .header("carebot-sensed-at", format!("{sensed}Z"))
                        .json(&json!({"family_id": house.family, "temperature": 1}))
                        .send()
                        .await;
                    assert_eq!(reply.status, 201, "{}", reply.text());
                }
                9 => {
                    let path = format!("DELETE /status/home/latest/{}", house.family);
                    // Now and then, so that its session lives.
                    assert_eq!(other.call(&path, &system, Value::Null).await.status, 200);
                }
                10 => {
                    let kind = Kind::of::<Home>();
                    while rollups::roll(&t.db, house.family, kind, t.now()).await.expect("summed up") {}
                    rollups::purge(&t.db, house.family, kind, begin.plus_millis(-10 * DAY)).await.expect("deleted");
                }
                _ => app.advance(pick(1_500) * SECOND).await,
            }
            other.service.renew_node().await.expect("the other server lives, too");
            app.get("/v1/sessions", &system).await;
            let starts = [begin.plus_millis(-365 * DAY), t.now().plus_millis(-12 * DAY), t.now().plus_millis(-2 * HOUR)];
            for start in starts {
                kept += i32::from(is_kept(&app, house.family, start).await);
                let order = if pick(2) == 0 { "asc" } else { "desc" };
                let end = match pick(4) {
                    0 => String::new(),
                    1 => format!("&end={}Z", t.now()),
                    2 => format!("&end={}Z", t.now().plus_millis(-pick(200) * SECOND)),
                    _ => format!("&end={}Z", t.now().plus_millis(-pick(86_400) * SECOND)),
                };
                let path = format!("/status/home/{}?start={start}Z&order={order}{end}", house.family);
                let (one, two) = (answer(&app, &path, &house.guardian).await, answer(&other, &path, &house.guardian).await);
                assert_eq!(one, two, "round {round}: {path}");
            }
        }
        assert!(kept > 150, "only {kept} of 270 were kept: this says nothing");
        assert!(app.service.kept_for_polls() > 0 && other.service.kept_for_polls() == 0);
    }

    async fn rights_are_asked_for_each_time(t: TestDb) {
        let (app, _) = two(&t).await;
        let (house, stranger) = (app.house().await, app.house().await);
        past(&t, house.family).await;
        let path = format!("/status/home/{}?start=2026-01-01", house.family);
        for who in [&house.elder, &house.guardian] {
            assert_eq!(app.get(&path, who).await.header("carebot-thinned"), "true");
        }
        assert!(is_kept(&app, house.family, t.now().plus_millis(-30 * DAY)).await);
        app.get(&path, &stranger.elder).await.refuses(403, "can not access", "You do not have permission");
        let delete = format!("DELETE /families/{}", house.family);
        assert_eq!(app.call(&delete, &house.elder, json!({"password": PASSWORD})).await.status, 200);
        assert_eq!(app.service.kept_for_polls(), 0, "nothing is kept of a family that is deleted");
        app.get(&path, &house.elder).await.refuses(403, "can not access", "You do not have permission");
    }

    async fn what_is_too_much_to_be_kept_is_answered_all_the_same(t: TestDb) {
        let (_, forgetful) = two(&t).await;
        let app = TestApp::on(&t, t.open_again().await, |settings, _| {
            (settings.row_limit, settings.newest_whole, settings.poll_cache) = (200, 60, 100_000);
        })
        .await;
        let house = app.house().await;
        past(&t, house.family).await;
        let path = format!("/status/home/{}?start={}", house.family, t.now().plus_millis(-30 * DAY));
        for _ in 0..2 {
            assert_eq!(answer(&app, &path, &house.elder).await, answer(&forgetful, &path, &house.elder).await);
            assert_eq!(app.service.kept_for_polls(), 0);
            app.advance(SECOND).await;
        }
    }

    async fn what_is_kept_is_bounded(t: TestDb) {
        let app = TestApp::with(&t, |settings, _| {
            (settings.row_limit, settings.newest_whole, settings.poll_cache) = (200, 60, 1_000_000);
        })
        .await;
        for _ in 0..8 {
            let house = app.house().await;
            past(&t, house.family).await;
            t.db.execute("UPDATE home_status SET id = id + 1000000", vec![]).await.expect("numbers of their own");
            assert!(is_kept(&app, house.family, t.now().plus_millis(-30 * DAY)).await);
            let bytes = app.service.kept_for_polls();
            assert!(bytes > 0 && bytes <= 1_000_000, "{bytes}");
        }
        app.advance(20 * 60 * SECOND).await;
        app.service.roll_up(&tokio_util::sync::CancellationToken::new()).await.expect("summed up");
        assert_eq!(app.service.kept_for_polls(), 0, "nobody asked for long");
    }
}
