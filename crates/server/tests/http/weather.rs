//! The weather, from a service that answers as the forecasts of the Korea Meteorological Administration are documented.

use std::time::Duration;

use carebot_external::Key;
use carebot_external::guard::Limits;
use carebot_external::weather::Settings as Provided;
use carebot_model::accounts::NewAccount;
use carebot_model::text::Address;
use carebot_service::weather::Settings;
use carebot_testkit::TestDb;
use carebot_testkit::fixtures::new_account;
use carebot_testkit::provider::{Asked, Play, Provider};

use crate::prelude::*;

const FAILED: &str =
    r#"{"detail":{"type":"server error","message":"Failed to retrieve weather","request_id":"REQUEST"}}"#;
const NOWHERE: &str = r#"{"detail":{"type":"not found","message":"Weather not found"}}"#;
const HOUR: i64 = 3_600_000;

/// A forecast for what was asked: the temperature is the hour, so that it tells which one was taken.
fn forecast(asked: &Asked) -> Play {
    let number = |name: &str| asked.parameter(name).unwrap_or_default().parse::<i64>().unwrap_or_default();
    let day = asked.parameter("base_date").expect("a day").parse::<jiff::civil::Date>().expect("a day");
    let issue = day.at(i8::try_from(number("base_time") / 100).expect("an hour"), 0, 0, 0);
    let mut items = Vec::new();
    for ahead in 1..=6 {
        let at = issue + jiff::SignedDuration::from_hours(ahead);
        let (day, hour) = (at.strftime("%Y%m%d").to_string(), at.hour());
        for (category, value) in [
            ("T1H", format!("{hour}.5")),
            ("SKY", "3".into()),
            ("PTY", "0".into()),
            ("REH", "45".into()),
            ("RN1", "강수없음".into()),
        ] {
            items.push(
                json!({"category": category, "fcstDate": day, "fcstTime": format!("{hour:02}00"), "fcstValue": value}),
            );
        }
    }
    Play::json(json!({"response": {"header": {"resultCode": "00", "resultMsg": "NORMAL_SERVICE"}, "body": {"items": {"item": items}}}}).to_string())
}

fn no_data() -> Play {
    Play::json(r#"{"response":{"header":{"resultCode":"03","resultMsg":"NO_DATA"}}}"#)
}

async fn start(t: &TestDb, provider: &Provider) -> TestApp {
    on(t, t.db.clone(), provider).await
}

async fn on(t: &TestDb, db: carebot_database::Db, provider: &Provider) -> TestApp {
    let limits = Limits { timeout: Duration::from_secs(20), tries: 1, failures: 1_000, ..Limits::default() };
    let provider = Provided { base_url: provider.url(), key: Key("ab%2Bc%3D".into()), limits };
    TestApp::on(t, db, move |settings, _| {
        settings.weather = Some(Settings { provider, longest_age: Duration::from_hours(6) });
    })
    .await
}

async fn elder_at(app: &TestApp, address: Option<&str>) -> Person {
    let address = address.map(|address| Address::new(address.to_owned()));
    app.person_of(NewAccount { address, ..new_account(&app.t, Role::Main, "김순자") }).await
}

async fn ask(app: &TestApp, who: &Person) -> Reply {
    app.get(&format!("/tools/weather/{}", who.id), who).await
}

fn temperature(reply: &Reply) -> String {
    reply.result()["temperature"].as_str().unwrap_or_default().to_owned()
}

both_engines! {
    async fn the_weather_of_the_nearest_hour_comes_in_the_contracts_five_texts(t: TestDb) {
        let provider = Provider::start(forecast).await;
        let app = start(&t, &provider).await;
        let elder = elder_at(&app, Some("경기도  수원시")).await;
        // 18:00 in Korea: what was issued at 17:30 says 18:00 to 23:00.
        let reply = ask(&app, &elder).await;
        assert_eq!(reply.header("carebot-age"), "1800");
        reply.is(200, r#"{"message":"Weather retrieved successfully","result":{"address":"경기도 수원시","temperature":"18.5°C","sky":"구름많음","precipitation":"강수없음","humidity":"45%"}}"#);
        let asked = &provider.asked()[0];
        assert_eq!((asked.parameter("base_date").as_deref(), asked.parameter("base_time").as_deref()), (Some("20260302"), Some("1730")));
        assert_eq!((asked.parameter("nx").as_deref(), asked.parameter("ny").as_deref()), (Some("60"), Some("120")));
        assert_eq!(asked.parameter("serviceKey").as_deref(), Some("ab+c="));
        app.get(&format!("/tools/weather/{}", elder.id), ANYONE).await.forbids();
    }

    async fn all_homes_of_a_cell_cost_one_call_an_hour_whoever_asks(t: TestDb) {
        let provider = Provider::start(forecast).await;
        let (app, other) = (start(&t, &provider).await, on(&t, t.open_again().await, &provider).await);
        let mut elders = Vec::new();
        // One cell under two names.
        for address in ["강원도 춘천시", "강원특별자치도 춘천시", "강원특별자치도 춘천시 효자동 1"] {
            elders.push(elder_at(&app, Some(address)).await);
        }
        let asking: Vec<_> = elders.iter().cycle().take(24).map(|elder| {
            let (app, elder) = (app.clone(), elder.clone());
            tokio::spawn(async move { ask(&app, &elder).await.status })
        }).collect();
        for status in asking {
            assert_eq!(status.await.expect("it is answered"), 200);
        }
        assert_eq!(provider.count(), 1);
        assert_eq!(ask(&other, &elders[0]).await.status, 200);
        let again = start(&t, &provider).await;
        assert_eq!(ask(&again, &elders[1]).await.status, 200);
        assert_eq!(provider.count(), 1, "another server and one that was started anew have it from the database");
        app.advance(44 * 60_000).await;
        ask(&app, &elders[0]).await;
        assert_eq!(provider.count(), 1);
        app.advance(60_000).await;
        assert_eq!(temperature(&ask(&app, &elders[0]).await), "19.5°C");
        assert_eq!(provider.count(), 2, "the next can be had");
        let far = elder_at(&app, Some("부산광역시 해운대구")).await;
        ask(&app, &far).await;
        assert_eq!(provider.count(), 3, "another cell");
    }

    async fn what_is_known_is_given_with_its_age_while_the_service_fails(t: TestDb) {
        let provider = Provider::start(forecast).await;
        let app = start(&t, &provider).await;
        let elder = elder_at(&app, Some("서울특별시 종로구")).await;
        ask(&app, &elder).await;
        let plays = [
            Play::HangUp,
            Play::Answer(500, "text/plain", b"Unexpected errors".to_vec()),
            Play::xml("<OpenAPI_ServiceResponse><cmmMsgHeader><returnReasonCode>22</returnReasonCode></cmmMsgHeader></OpenAPI_ServiceResponse>"),
            no_data(),
            Play::json("{"),
        ];
        for (number, play) in plays.into_iter().enumerate() {
            provider.plays(move |_| play.clone());
            app.advance(HOUR).await;
            let reply = ask(&app, &elder).await;
            let hours = i64::try_from(number).expect("small") + 1;
            assert_eq!(reply.header("carebot-age"), (hours * 3_600 + 1_800).to_string());
            // The hours it was issued for are still the nearest to now.
            assert_eq!(temperature(&reply), format!("{}.5°C", 18 + hours));
            let before = provider.count();
            assert_eq!(ask(&app, &elder).await.status, 200);
            assert_eq!(provider.count(), before, "it is left alone for a minute");
        }
        app.advance(HOUR).await;
        ask(&app, &elder).await.is(500, FAILED);
        provider.plays(forecast);
        app.advance(60_000).await;
        let reply = ask(&app, &elder).await;
        // 00:01 in Korea, what was issued at 23:30.
        assert_eq!((reply.status, reply.header("carebot-age")), (200, "1860"));
    }

    async fn a_late_forecast_is_bridged_by_the_one_before_it(t: TestDb) {
        let provider = Provider::start(|asked| {
            if asked.parameter("base_time").as_deref() == Some("1730") { no_data() } else { forecast(asked) }
        }).await;
        let app = start(&t, &provider).await;
        let elder = elder_at(&app, Some("서울특별시 종로구")).await;
        let reply = ask(&app, &elder).await;
        assert_eq!((reply.status, reply.header("carebot-age")), (200, "5400"));
        assert_eq!(provider.count(), 2);
        provider.plays(forecast);
        ask(&app, &elder).await;
        assert_eq!(provider.count(), 2, "it is left alone for a minute");
        app.advance(60_000).await;
        assert_eq!(ask(&app, &elder).await.header("carebot-age"), "1860");
        assert_eq!(provider.count(), 3);
    }

    async fn who_comes_while_it_is_asked_waits_for_the_answer(t: TestDb) {
        let provider = Provider::start(|asked| match forecast(asked) {
            Play::Answer(status, kind, body) => Play::Held(status, kind, body),
            other => other,
        }).await;
        let app = start(&t, &provider).await;
        let elder = elder_at(&app, Some("서울특별시 종로구")).await;
        let asking: Vec<_> = (0..5).map(|_| {
            let (app, elder) = (app.clone(), elder.clone());
            tokio::spawn(async move { ask(&app, &elder).await.status })
        }).collect();
        until!("the service is asked", provider.count() == 1);
        assert_eq!(app.get("/healthz", ANYONE).await.status, 200, "nobody else waits");
        provider.release();
        for status in asking {
            assert_eq!(status.await.expect("it is answered"), 200);
        }
        assert_eq!(provider.count(), 1);
    }

    async fn an_address_that_says_nothing_has_no_weather(t: TestDb) {
        let provider = Provider::start(forecast).await;
        let app = start(&t, &provider).await;
        for address in [None, Some(""), Some("달나라 토끼시")] {
            let elder = elder_at(&app, address).await;
            ask(&app, &elder).await.is(404, NOWHERE);
        }
        assert_eq!(provider.count(), 0);
        let system = app.system().await;
        app.get("/tools/weather/U234567890123456", &system).await.is(404, NOWHERE);
        let coarse = elder_at(&app, Some("제주특별자치도")).await;
        assert_eq!(ask(&app, &coarse).await.status, 200);
    }
}
