//! Disaster messages: 행정안전부 긴급재난문자 (Ministry of the Interior and Safety), `DSSP-IF-00247` of safetydata.go.kr.
//!
//! Source: the description of the service on safetydata.go.kr (재난안전데이터공유플랫폼).

use carebot_model::disasters::DisasterMessage;
use carebot_model::{Date, Timestamp, korea};
use jiff::civil;
use serde_json::Value;

use crate::Key;
use crate::guard::{Guard, Health, Limits};
use crate::{ProviderError, Result, http, portal};

/// Where the service is.
pub const URL: &str = "https://www.safetydata.go.kr/V2/api/DSSP-IF-00247";
/// How many messages come at once.
pub const ROWS: u32 = 100;
/// The longest answer in bytes; one of 100 messages has about 100,000.
const LONGEST: usize = 4 << 20;
/// The most code points of a message's text and of its list of regions. Real ones have 157, and a list of all regions of the
/// country 3,000; together they fit a notification.
const LONGEST_TEXT: usize = 8_000;
/// The most code points of a name.
const LONGEST_NAME: usize = 64;

/// What the service needs to be asked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its whole address.
    pub url: String,
    /// The key of this service, plain or percent-encoded.
    pub key: Key,
    /// Limits of every call.
    pub limits: Limits,
}

/// A client of the service.
#[derive(Debug)]
pub struct Disasters {
    http: reqwest::Client,
    settings: Settings,
    guard: Guard,
}

/// A page of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Those that can be understood.
    pub messages: Vec<DisasterMessage>,
    /// How many rows the page has.
    pub rows: usize,
    /// How many rows all pages have.
    pub total: u64,
}

impl Disasters {
    /// A client; nothing is asked yet. `seed` makes the jitter of second tries.
    ///
    /// # Errors
    /// As [`http::client`].
    pub fn new(settings: Settings, seed: u64) -> Result<Self> {
        let guard = Guard::new("disasters", settings.limits, seed);
        let settings = Settings { key: Key(portal::plain_key(&settings.key.0)), ..settings };
        Ok(Self { http: http::client()?, settings, guard })
    }

    /// Whether the service is asked at the moment.
    pub fn health(&self) -> Health {
        self.guard.health()
    }

    /// A page, counted from 1, of the messages of a Korean day.
    ///
    /// # Errors
    /// As any provider; a day without messages is an empty page.
    pub async fn page(&self, day: Date, number: u32) -> Result<Page> {
        let mut url = http::url(&self.settings.url, "")?;
        url.path_segments_mut().map_err(|()| ProviderError::Unreachable("its address is wrong".into()))?.pop_if_empty();
        url.query_pairs_mut()
            .append_pair("serviceKey", &self.settings.key.0)
            .append_pair("numOfRows", &ROWS.to_string())
            .append_pair("pageNo", &number.to_string())
            .append_pair("crtDt", &day.to_string().replace('-', ""))
            .append_pair("returnType", "json");
        let page = self
            .guard
            .ask(async || {
                let answer = http::body(self.http.get(url.clone()).send().await?, LONGEST).await?;
                page(&portal::json(&answer)?)
            })
            .await;
        match page {
            Err(ProviderError::Nothing) => Ok(Page { messages: Vec::new(), rows: 0, total: 0 }),
            page => page.map_err(|error| portal::hide(error, &self.settings.key.0)),
        }
    }
}

fn page(answer: &Value) -> Result<Page> {
    portal::check(&answer["header"])?;
    let rows = match &answer["body"] {
        Value::Array(rows) => rows.as_slice(),
        Value::Null => &[],
        Value::String(text) if text.trim().is_empty() => &[],
        _ => return Err(ProviderError::Malformed("the answer has no list of messages".into())),
    };
    let messages: Vec<DisasterMessage> = rows.iter().filter_map(message).collect();
    if messages.is_empty() && !rows.is_empty() {
        return Err(ProviderError::Malformed(format!("none of {} messages has a number and a time", rows.len())));
    }
    if messages.len() < rows.len() {
        tracing::warn!(rows = rows.len(), understood = messages.len(), "some disaster messages cannot be understood");
    }
    // Left out where there are none.
    let total = number(&answer["totalCount"]).and_then(|total| u64::try_from(total).ok()).unwrap_or(rows.len() as u64);
    Ok(Page { messages, rows: rows.len(), total })
}

fn message(row: &Value) -> Option<DisasterMessage> {
    let text = |name: &str, most: usize| row[name].as_str().unwrap_or_default().chars().take(most).collect::<String>();
    Some(DisasterMessage {
        sn: number(&row["SN"])?,
        created_at: time(row["CRT_DT"].as_str()?)?,
        text: text("MSG_CN", LONGEST_TEXT),
        regions: text("RCPTN_RGN_NM", LONGEST_TEXT),
        step: text("EMRG_STEP_NM", LONGEST_NAME),
        kind: text("DST_SE_NM", LONGEST_NAME),
    })
}

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// `2026/03/02 09:00:00`, Korean time; other separators and fractions of a second are met with too.
fn time(text: &str) -> Option<Timestamp> {
    let digits: String = text.chars().filter(char::is_ascii_digit).take(14).collect();
    civil::DateTime::strptime("%Y%m%d%H%M%S", &digits).ok().map(korea::timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_korean() {
        for text in ["2026/03/02 09:00:00", "2026-03-02 09:00:00.000000000", "2026-03-02T09:00:00"] {
            assert_eq!(time(text).map(|at| at.to_string()).as_deref(), Some("2026-03-02T00:00:00"), "{text}");
        }
        for text in ["", "2026/03/02", "2026/13/02 09:00:00", "어제"] {
            assert_eq!(time(text), None, "{text}");
        }
    }
}
