//! The weather where somebody lives.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// The weather at an address, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Weather {
    /// The address.
    pub address: String,
    /// The temperature: `12.3°C`.
    pub temperature: String,
    /// What falls, if something does, else how cloudy it is: one of 맑음, 구름많음, 흐림, 비, 비/눈, 눈, 소나기.
    pub sky: String,
    /// How much falls within the hour, in the forecaster's words: `강수없음`, `1.0mm 미만`, `3.0mm`.
    pub precipitation: String,
    /// The relative humidity: `45%`.
    pub humidity: String,
}

/// What is forecast for a cell of the grid, for the hours after it was issued.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// When it was issued.
    pub issued_at: Timestamp,
    /// The hours, in the order of time.
    pub hours: Vec<Hour>,
}

/// What is forecast for one hour. What the forecaster did not say is absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hour {
    /// The hour: unix milliseconds of its beginning.
    pub at: i64,
    /// °C.
    pub temperature: f64,
    /// Clouds, as the forecaster codes them (`SKY`).
    pub sky: Option<u8>,
    /// What falls, as the forecaster codes it (`PTY`).
    pub falls: Option<u8>,
    /// How much falls, in the forecaster's words.
    pub rain: Option<String>,
    /// %.
    pub humidity: Option<f64>,
}

impl Forecast {
    /// The weather at a time, at an address: that of the nearest hour, of two equally near the earlier one. `None` without
    /// any hour.
    pub fn at(&self, now: Timestamp, address: String) -> Option<Weather> {
        let hour = self.hours.iter().min_by_key(|hour| (hour.at.abs_diff(now.millis()), hour.at))?;
        Some(hour.weather(address))
    }
}

impl Hour {
    fn weather(&self, address: String) -> Weather {
        let falls = self.falls.and_then(falling);
        Weather {
            address,
            temperature: format!("{}°C", self.temperature),
            sky: falls.or(self.sky.map(clouds)).unwrap_or(UNKNOWN).to_owned(),
            precipitation: match (&self.rain, falls) {
                (Some(rain), _) => rain.clone(),
                (None, Some(falls)) => falls.to_owned(),
                (None, None) => NOTHING_FALLS.to_owned(),
            },
            humidity: self.humidity.map_or_else(|| UNKNOWN.to_owned(), |humidity| format!("{humidity}%")),
        }
    }
}

/// What the existing pages show where nothing is known.
const UNKNOWN: &str = "없음";
/// What the forecaster writes where nothing falls.
pub const NOTHING_FALLS: &str = "강수없음";

/// `SKY` in words (KMA, short-range forecast service, guide of the open API). 2 is no longer used.
const fn clouds(code: u8) -> &'static str {
    match code {
        1 => "맑음",
        2 => "구름조금",
        3 => "구름많음",
        4 => "흐림",
        _ => UNKNOWN,
    }
}

/// `PTY` in words; `None` if nothing falls. Drops (5), drops and flakes (6) and flakes (7) are called what they are to
/// somebody who wants to know whether to take an umbrella.
const fn falling(code: u8) -> Option<&'static str> {
    match code {
        1 | 5 => Some("비"),
        2 | 6 => Some("비/눈"),
        3 | 7 => Some("눈"),
        4 => Some("소나기"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(at: i64) -> Hour {
        Hour {
            at,
            temperature: 12.3,
            sky: Some(1),
            falls: Some(0),
            rain: Some("강수없음".into()),
            humidity: Some(45.0),
        }
    }

    #[test]
    fn the_nearest_hour_counts_and_of_two_the_earlier() {
        let forecast = Forecast {
            issued_at: Timestamp::from_millis(0),
            hours: [0, 100, 200]
                .map(|at| Hour { temperature: f64::from(i32::try_from(at).unwrap()), ..hour(at) })
                .into(),
        };
        let temperature = |now| forecast.at(Timestamp::from_millis(now), String::new()).unwrap().temperature;
        assert_eq!([-50, 50, 51, 150, 9_999].map(temperature), ["0°C", "0°C", "100°C", "100°C", "200°C"]);
        let empty = Forecast { hours: Vec::new(), ..forecast };
        assert_eq!(empty.at(Timestamp::from_millis(0), String::new()), None);
    }

    #[test]
    fn codes_are_said_in_the_words_that_the_robot_knows() {
        let say = |sky, falls| Hour { sky, falls, ..hour(0) }.weather("서울특별시 종로구".into()).sky;
        let skies = [1, 2, 3, 4, 9].map(|sky| say(Some(sky), Some(0)));
        assert_eq!(skies, ["맑음", "구름조금", "구름많음", "흐림", "없음"]);
        let falls = [1, 2, 3, 4, 5, 6, 7].map(|falls| say(Some(1), Some(falls)));
        assert_eq!(falls, ["비", "비/눈", "눈", "소나기", "비", "비/눈", "눈"]);
        assert_eq!((say(None, None), say(Some(3), None)), ("없음".to_owned(), "구름많음".to_owned()));
    }

    #[test]
    fn every_field_is_a_text_whatever_is_missing() {
        let weather = hour(0).weather("경기도 수원시".into());
        assert_eq!(
            serde_json::to_string(&weather).unwrap(),
            r#"{"address":"경기도 수원시","temperature":"12.3°C","sky":"맑음","precipitation":"강수없음","humidity":"45%"}"#
        );
        let bare = Hour { temperature: -3.0, sky: None, falls: Some(3), rain: None, humidity: None, ..hour(0) };
        let weather = bare.weather(String::new());
        assert_eq!((weather.temperature.as_str(), weather.precipitation.as_str()), ("-3°C", "눈"));
        assert_eq!(weather.humidity, "없음");
    }
}
