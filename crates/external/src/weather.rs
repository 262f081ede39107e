//! The weather: 기상청 단기예보 조회서비스 (KMA short-range forecast service), 초단기예보 (`getUltraSrtFcst`).
//!
//! Every hour at half past, a forecast for the next six hours is issued for every cell of a grid of 5 km; it can be had from
//! about a quarter of an hour later. Source: "기상청41_단기예보 조회서비스_오픈API활용가이드".

use std::collections::BTreeMap;

use carebot_model::regions::Grid;
use carebot_model::weather::{Forecast, Hour, NOTHING_FALLS};
use carebot_model::{Timestamp, korea};
use jiff::civil;
use serde_json::Value;

use crate::Key;
use crate::guard::{Guard, Health, Limits};
use crate::{ProviderError, Result, http, portal};

/// Where the service is.
pub const BASE_URL: &str = "https://apis.data.go.kr/1360000/VilageFcstInfoService_2.0";
/// The longest answer in bytes; one of 60 rows has about 10,000.
const LONGEST: usize = 1 << 20;
/// Ten categories for six hours are 60 rows.
const ROWS: &str = "100";
/// From here on a value means that none was measured (the guide: "+900 이상, -900 이하 값은 Missing").
const MISSING: f64 = 900.0;

/// What the service needs to be asked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Up to and with the name of the service.
    pub base_url: String,
    /// The key of data.go.kr, plain or percent-encoded.
    pub key: Key,
    /// Limits of every call.
    pub limits: Limits,
}

/// A client of the service.
#[derive(Debug)]
pub struct Weather {
    http: reqwest::Client,
    settings: Settings,
    guard: Guard,
}

impl Weather {
    /// A client; nothing is asked yet. `seed` makes the jitter of second tries.
    ///
    /// # Errors
    /// As [`http::client`].
    pub fn new(settings: Settings, seed: u64) -> Result<Self> {
        let guard = Guard::new("weather", settings.limits, seed);
        let settings = Settings { key: Key(portal::plain_key(&settings.key.0)), ..settings };
        Ok(Self { http: http::client()?, settings, guard })
    }

    /// Whether the service is asked at the moment.
    pub fn health(&self) -> Health {
        self.guard.health()
    }

    /// What was issued at a time ([`latest_issue`]) for a cell.
    ///
    /// # Errors
    /// [`ProviderError::Nothing`] if it is not published yet; else as any provider.
    pub async fn forecast(&self, grid: Grid, issued_at: Timestamp) -> Result<Forecast> {
        let shown = korea::civil(issued_at);
        let mut url = http::url(&self.settings.base_url, "getUltraSrtFcst")?;
        url.query_pairs_mut()
            .append_pair("serviceKey", &self.settings.key.0)
            .append_pair("pageNo", "1")
            .append_pair("numOfRows", ROWS)
            .append_pair("dataType", "JSON")
            .append_pair("base_date", &shown.strftime("%Y%m%d").to_string())
            .append_pair("base_time", &shown.strftime("%H%M").to_string())
            .append_pair("nx", &grid.x.to_string())
            .append_pair("ny", &grid.y.to_string());
        let forecast = self
            .guard
            .ask(async || {
                let answer = http::body(self.http.get(url.clone()).send().await?, LONGEST).await?;
                let hours = hours(&portal::json(&answer)?)?;
                Ok(Forecast { issued_at, hours })
            })
            .await;
        forecast.map_err(|error| portal::hide(error, &self.settings.key.0))
    }
}

/// When the newest forecast was issued that can be had by now: at half past the hour, from a quarter to the next on.
pub fn latest_issue(now: Timestamp) -> Timestamp {
    const HOUR: i64 = 3_600_000;
    const MINUTE: i64 = 60_000;
    // Korean clocks are whole hours ahead: their half hours are everybody's.
    let hour = (now.millis() - 45 * MINUTE).div_euclid(HOUR) * HOUR;
    Timestamp::from_millis(hour + 30 * MINUTE)
}

/// The rows of an answer, by hour.
fn hours(answer: &Value) -> Result<Vec<Hour>> {
    let response = &answer["response"];
    portal::check(&response["header"])?;
    let items = &response["body"]["items"];
    // Without rows some of the portals' services write `"items": ""`.
    let items = match items {
        Value::String(text) if text.trim().is_empty() => return Err(ProviderError::Nothing),
        _ => items["item"].as_array().ok_or_else(|| ProviderError::Malformed("the answer has no rows".into()))?,
    };
    let mut hours: BTreeMap<i64, Partial> = BTreeMap::new();
    for item in items {
        if let Some((at, category, value)) = read(item) {
            hours.entry(at.millis()).or_default().take(category, value);
        }
    }
    let hours: Vec<Hour> = hours.into_iter().filter_map(|(at, partial)| partial.hour(at)).collect();
    match (hours.is_empty(), items.is_empty()) {
        (true, true) => Err(ProviderError::Nothing),
        (true, false) => Err(ProviderError::Malformed("the answer has no temperature".into())),
        (false, _) => Ok(hours),
    }
}

/// For when, what, and how much it says.
fn read(item: &Value) -> Option<(Timestamp, &str, &str)> {
    let digits = format!("{}{}", item["fcstDate"].as_str()?, item["fcstTime"].as_str()?);
    let at = civil::DateTime::strptime("%Y%m%d%H%M", &digits).ok()?;
    Some((korea::timestamp(at), item["category"].as_str()?, item["fcstValue"].as_str()?.trim()))
}

#[derive(Default)]
struct Partial {
    temperature: Option<f64>,
    sky: Option<u8>,
    falls: Option<u8>,
    rain: Option<String>,
    humidity: Option<f64>,
}

impl Partial {
    fn take(&mut self, category: &str, value: &str) {
        let number = || value.parse::<f64>().ok().filter(|number| number.abs() < MISSING);
        match category {
            "T1H" => self.temperature = number(),
            "SKY" => self.sky = value.parse().ok(),
            "PTY" => self.falls = value.parse().ok(),
            "REH" => self.humidity = number(),
            "RN1" => self.rain = rain(value),
            _ => {}
        }
    }

    fn hour(self, at: i64) -> Option<Hour> {
        let Self { temperature, sky, falls, rain, humidity } = self;
        Some(Hour { at, temperature: temperature?, sky, falls, rain, humidity })
    }
}

/// The amount in words, as it mostly comes; a bare number, as it came in older versions, gets its unit.
fn rain(value: &str) -> Option<String> {
    match value.parse::<f64>() {
        Ok(number) if number.abs() >= MISSING => None,
        Ok(number) if number <= 0.0 => Some(NOTHING_FALLS.to_owned()),
        Ok(number) => Some(format!("{number}mm")),
        Err(_) => Some(value.chars().take(32).collect::<String>()).filter(|text| !text.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forecast_can_be_had_a_quarter_of_an_hour_after_it_was_issued() {
        let at = |text: &str| korea::timestamp(text.parse().expect("a time"));
        let cases = [
            ("2026-03-02T10:45:00", "2026-03-02T10:30:00"),
            ("2026-03-02T10:44:59", "2026-03-02T09:30:00"),
            ("2026-03-02T11:29:00", "2026-03-02T10:30:00"),
            ("2026-03-02T11:44:00", "2026-03-02T10:30:00"),
            ("2026-03-02T00:10:00", "2026-03-01T23:30:00"),
            ("2026-01-01T00:44:00", "2025-12-31T23:30:00"),
        ];
        for (now, expected) in cases {
            assert_eq!(latest_issue(at(now)), at(expected), "{now}");
        }
    }

    #[test]
    fn rain_is_said_in_words() {
        let cases = [
            ("강수없음", Some("강수없음")),
            ("1.0mm 미만", Some("1.0mm 미만")),
            ("30.0~50.0mm", Some("30.0~50.0mm")),
            ("0", Some("강수없음")),
            ("2.5", Some("2.5mm")),
            ("-999", None),
            ("", None),
        ];
        for (value, expected) in cases {
            assert_eq!(rain(value).as_deref(), expected, "{value}");
        }
    }
}
