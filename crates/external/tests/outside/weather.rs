use carebot_external::weather::{Settings, Weather};
use carebot_model::regions::Grid;
use carebot_model::weather::Forecast;
use carebot_model::{Timestamp, korea};

use crate::prelude::*;

const SEOUL: Grid = Grid { x: 60, y: 127 };

fn issued() -> Timestamp {
    korea::timestamp("2026-03-02T10:30:00".parse().expect("a time"))
}

fn client(provider: &Provider, limits: Limits, key: &str) -> Weather {
    let settings = Settings { base_url: format!("{}/service/", provider.url()), key: Key(key.to_owned()), limits };
    Weather::new(settings, 7).expect("a client")
}

async fn ask(provider: &Provider, limits: Limits) -> Result<Forecast, ProviderError> {
    client(provider, limits, KEY).forecast(SEOUL, issued()).await
}

fn answer(items: &Value) -> Play {
    Play::json(
        json!({"response": {
            "header": {"resultCode": "00", "resultMsg": "NORMAL_SERVICE"},
            "body": {"dataType": "JSON", "items": items, "pageNo": 1, "numOfRows": 100, "totalCount": 60},
        }})
        .to_string(),
    )
}

fn refusal(code: &str, word: &str) -> Play {
    Play::json(json!({"response": {"header": {"resultCode": code, "resultMsg": word}}}).to_string())
}

fn item(category: &str, time: &str, value: &str) -> Value {
    json!({"baseDate": "20260302", "baseTime": "1030", "category": category, "fcstDate": "20260302", "fcstTime": time,
           "fcstValue": value, "nx": 60, "ny": 127})
}

/// By category, then by hour, as the service sorts them.
fn whole() -> Value {
    let mut items = Vec::new();
    let rows = [
        ("LGT", "0"),
        ("PTY", "1"),
        ("RN1", "1.0mm 미만"),
        ("SKY", "4"),
        ("T1H", "12.3"),
        ("REH", "45"),
        ("UUU", "-1.2"),
    ];
    for (category, value) in rows {
        for hour in 11..=16 {
            let value = if category == "T1H" { format!("{hour}.3") } else { value.to_owned() };
            items.push(item(category, &format!("{hour}00"), &value));
        }
    }
    json!({ "item": items })
}

#[tokio::test]
async fn a_forecast_is_asked_for_and_read_as_documented() {
    let provider = Provider::start(|_| answer(&whole())).await;
    let forecast = ask(&provider, patient()).await.expect("a forecast");
    assert_eq!((forecast.issued_at, forecast.hours.len()), (issued(), 6));
    let first = &forecast.hours[0];
    assert_eq!(korea::civil(Timestamp::from_millis(first.at)).to_string(), "2026-03-02T11:00:00");
    assert_eq!((first.sky, first.falls, first.rain.as_deref()), (Some(4), Some(1), Some("1.0mm 미만")));
    let weather = forecast.at(issued(), "서울특별시 종로구".to_owned()).expect("an hour");
    assert_eq!(
        serde_json::to_value(weather).expect("JSON"),
        json!({"address": "서울특별시 종로구", "temperature": "11.3°C", "sky": "비", "precipitation": "1.0mm 미만", "humidity": "45%"})
    );
    let asked = &provider.asked()[0];
    assert_eq!((asked.method.as_str(), asked.path()), ("GET", "/service/getUltraSrtFcst"));
    let expected = [
        ("serviceKey", KEY),
        ("pageNo", "1"),
        ("numOfRows", "100"),
        ("dataType", "JSON"),
        ("base_date", "20260302"),
        ("base_time", "1030"),
        ("nx", "60"),
        ("ny", "127"),
    ];
    for (name, value) in expected {
        assert_eq!(asked.parameter(name).as_deref(), Some(value), "{name}");
    }
}

#[tokio::test]
async fn an_encoded_key_reaches_the_service_as_the_same_key() {
    let provider = Provider::start(|_| answer(&whole())).await;
    for key in [KEY, "ab%2Bc%2Fd1e%3D%3D"] {
        client(&provider, patient(), key).forecast(SEOUL, issued()).await.expect("a forecast");
    }
    for asked in provider.asked() {
        assert!(asked.target.contains("serviceKey=ab%2Bc%2Fd1e%3D%3D&"), "{}", asked.target);
    }
}

#[tokio::test]
async fn what_the_service_refuses_is_told_apart() {
    let provider = Provider::start(|_| Play::HangUp).await;
    let key = |code: &str, word: &str| ProviderError::Key(format!("{code} {word}"));
    let cases = [
        (refusal("03", "NO_DATA"), ProviderError::Nothing),
        (answer(&json!("")), ProviderError::Nothing),
        (answer(&json!({"item": []})), ProviderError::Nothing),
        (portal_xml("03", "NODATA_ERROR"), ProviderError::Nothing),
        (portal_xml("30", "SERVICE_KEY_IS_NOT_REGISTERED_ERROR"), key("30", "SERVICE_KEY_IS_NOT_REGISTERED_ERROR")),
        (portal_xml("31", "DEADLINE_HAS_EXPIRED_ERROR"), key("31", "DEADLINE_HAS_EXPIRED_ERROR")),
        (refusal("20", "SERVICE_ACCESS_DENIED_ERROR"), key("20", "SERVICE_ACCESS_DENIED_ERROR")),
        (
            portal_xml("22", "LIMITED_NUMBER_OF_SERVICE_REQUESTS_EXCEEDS_ERROR"),
            ProviderError::Quota("22 LIMITED_NUMBER_OF_SERVICE_REQUESTS_EXCEEDS_ERROR".into()),
        ),
        (
            refusal("01", "APPLICATION_ERROR"),
            ProviderError::Refused { status: 500, reason: "01 APPLICATION_ERROR".into() },
        ),
        (refusal("10", "INVALID"), ProviderError::Refused { status: 200, reason: "10 INVALID".into() }),
        (Play::Answer(401, "text/plain", b"Unauthorized".to_vec()), ProviderError::Key("Unauthorized".into())),
        (
            Play::Answer(403, "text/plain", format!("{KEY} is blocked").into_bytes()),
            ProviderError::Key("*** is blocked".into()),
        ),
        (
            Play::Answer(429, "text/plain", b"API token quota exceeded".to_vec()),
            ProviderError::Quota("API token quota exceeded".into()),
        ),
        (
            Play::Answer(500, "text/plain", b"Unexpected errors".to_vec()),
            ProviderError::Refused { status: 500, reason: "Unexpected errors".into() },
        ),
    ];
    for (play, expected) in cases {
        let shown = format!("{play:?}");
        provider.plays(move |_| play.clone());
        assert_eq!(ask(&provider, patient()).await, Err(expected), "{shown}");
    }
}

#[tokio::test]
async fn nonsense_is_refused_in_bounded_time_and_never_shows_the_key() {
    let provider = Provider::start(|_| Play::HangUp).await;
    for (name, play, malformed) in nonsense() {
        provider.plays(move |_| play.clone());
        let error = ask(&provider, limits()).await.expect_err(name);
        assert_eq!(matches!(error, ProviderError::Malformed(_)), malformed, "{name}: {error}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("ab+c") && !shown.contains("ab%2B"), "{shown}");
    }
    drop(provider);
}

#[tokio::test]
async fn rows_that_say_nothing_are_left_out() {
    let provider = Provider::start(|_| {
        answer(&json!({"item": [
            item("T1H", "1100", "+900"), item("SKY", "1100", "1"),
            item("T1H", "1200", "-3"), item("SKY", "1200", "x"), item("REH", "1200", "-998.9"), item("RN1", "1200", ""),
            {"category": "T1H"}, 7, null, item("T1H", "2500", "1"),
        ]}))
    })
    .await;
    let forecast = ask(&provider, patient()).await.expect("one hour");
    assert_eq!(forecast.hours.len(), 1);
    let hour = &forecast.hours[0];
    assert_eq!((hour.temperature, hour.sky, hour.humidity, hour.rain.as_deref()), (-3.0, None, None, None));
    provider.plays(|_| answer(&json!({"item": [item("SKY", "1100", "1")]})));
    assert!(matches!(ask(&provider, patient()).await, Err(ProviderError::Malformed(_))));
}

#[tokio::test]
async fn a_fault_of_the_moment_is_tried_again() {
    let mut calls = 0;
    let provider = Provider::start(move |_| {
        calls += 1;
        if calls == 1 { Play::HangUp } else { answer(&whole()) }
    })
    .await;
    let limits = Limits { tries: 2, pause: Duration::from_millis(1), ..patient() };
    assert!(ask(&provider, limits).await.is_ok());
    assert_eq!(provider.count(), 2);
}
