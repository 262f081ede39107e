//! The ways by which an alarm leaves this server: web push, mail, and webhooks (gateways for SMS and voice calls are reached
//! through those).
//!
//! Each way takes a [`Notice`] to one recipient, once, and says how that went; who is told, in which order and how often again
//! is for the ladder and the outbox to decide. A time-out does not tell whether the notice arrived, so a notice can arrive
//! twice: every try carries [`Notice::id`], by which the second is known.
//!
//! Addresses of push services and webhooks come from users. [`addresses`] sees to it that none of them leads into this
//! server's own network. Their paths are secrets: an error names the host and nothing behind it.

pub mod addresses;
pub mod mail;
pub mod push;
pub mod webhook;

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use carebot_model::Timestamp;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use ring::digest;
use serde_json::Value;

use self::addresses::{BadAddress, Policy};
use crate::ProviderError;

/// How much of an answer is read, so that its connection can be used again. Nothing is done with it: the status says all,
/// and what a stranger's server writes can be an echo of what it was sent.
const LONGEST_ANSWER: usize = 16 * 1024;
/// The longest pause that a receiver can ask for: it must not be able to put an alarm off for ever.
const LONGEST_PAUSE: Duration = Duration::from_hours(24);

/// What somebody is told.
#[derive(Clone, PartialEq)]
pub struct Notice {
    /// The same for every try of one hand-over, so that a second arrival is known as one.
    pub id: String,
    /// A later notice with the same topic replaces this one where that is possible. One per alarm; at most 32 letters, digits,
    /// `-` and `_`. Any other text is replaced by its hash.
    pub topic: String,
    /// One line.
    pub title: String,
    /// The text.
    pub body: String,
    /// Where more is to be seen.
    pub link: Option<String>,
    /// Whether it is worth waking somebody up.
    pub is_urgent: bool,
    /// The same for programs: an object.
    pub data: Value,
    /// When that happened which it tells of.
    pub at: Timestamp,
}

impl fmt::Debug for Notice {
    /// Without what it says: that is about somebody's health.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, topic, is_urgent, at, .. } = self;
        write!(f, "Notice {{ id: {id:?}, topic: {topic:?}, is_urgent: {is_urgent}, at: {at:?}, .. }}")
    }
}

/// Why a notice was not handed over. The texts are for logs and for the timeline of an alarm: they hold no path of an address, no
/// key, no e-mail address and nothing of the notice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// The address is no more: forget it.
    #[error("the address is no more")]
    Gone,
    /// It will never be taken.
    #[error("refused: {0}")]
    Refused(String),
    /// It may be taken later.
    #[error("not yet: {reason}")]
    Later {
        /// What stood against it.
        reason: String,
        /// How long the receiver wants to be left alone, if it said so; a day at most.
        after: Option<Duration>,
    },
}

impl Undelivered {
    fn later(reason: impl Into<String>) -> Self {
        Self::Later { reason: reason.into(), after: None }
    }
}

/// A setting of a channel that cannot work, in words for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadSetting(pub String);

/// How long one hand-over may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To have a connection: name, TCP and TLS.
    pub connect: Duration,
    /// From the beginning to the last byte of the answer.
    pub whole: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(3), whole: Duration::from_secs(8) }
    }
}

/// Posts to addresses that users gave.
#[derive(Clone, Debug)]
struct Poster {
    http: reqwest::Client,
    policy: Policy,
    /// What it posts to, for reasons.
    receiver: &'static str,
}

/// An answer to a post.
struct Answer {
    status: StatusCode,
    retry_after: Option<HeaderValue>,
    /// What answered what.
    told: String,
}

impl Poster {
    fn new(receiver: &'static str, policy: Policy, timeouts: Timeouts) -> Result<Self, BadSetting> {
        let http = policy
            .client(timeouts)
            .map_err(|error| BadSetting(format!("cannot set up TLS: {}", ProviderError::from(error))))?;
        Ok(Self { http, policy, receiver })
    }

    /// Posts. Whatever the status is, it is an answer.
    async fn post(&self, address: &str, headers: HeaderMap, body: Vec<u8>) -> Result<Answer, Undelivered> {
        let receiver = self.receiver;
        let url = self
            .policy
            .check(address)
            .map_err(|bad| Undelivered::Refused(format!("the address of the {receiver}: {bad}")))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let sent = self.http.post(url).headers(headers).body(body).send().await;
        let response = sent.map_err(|error| match bad_address(&error) {
            Some(bad) => Undelivered::Refused(format!("the {receiver} at {host}: {bad}")),
            None => Undelivered::later(format!("the {receiver} at {host} {}", ProviderError::from(error))),
        })?;
        let status = response.status();
        let told = format!("the {receiver} at {host} answered {}", status.as_u16());
        let retry_after = response.headers().get(RETRY_AFTER).cloned();
        drain(response).await;
        Ok(Answer { status, retry_after, told })
    }
}

/// The judgement of the resolver in an error of the client.
fn bad_address(error: &reqwest::Error) -> Option<BadAddress> {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(bad) = inner.downcast_ref() {
            return Some(*bad);
        }
        cause = inner.source();
    }
    None
}

/// Reads an answer up to a bound. The status has been seen; what breaks behind it changes nothing.
async fn drain(mut response: Response) {
    let mut read = 0;
    while let (true, Ok(Some(chunk))) = (read < LONGEST_ANSWER, response.chunk().await) {
        read += chunk.len();
    }
}

impl Answer {
    fn refused(self) -> Undelivered {
        Undelivered::Refused(self.told)
    }

    fn later(self, now: Timestamp) -> Undelivered {
        let after = self.retry_after.as_ref().and_then(|value| pause(value, now));
        Undelivered::Later { reason: self.told, after }
    }
}

/// The pause of a `Retry-After` (RFC 9110, 10.2.3): seconds, or a date.
fn pause(value: &HeaderValue, now: Timestamp) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    let pause = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        Duration::from_secs(text.parse().ok()?)
    } else {
        let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
        Duration::from_millis(u64::try_from(at.as_millisecond().saturating_sub(now.millis())).unwrap_or(0))
    };
    Some(pause.min(LONGEST_PAUSE))
}

/// A text for a place where only a name may stand: itself, if it is one of at most `most` characters, else its hash.
fn name(text: &str, most: usize) -> String {
    let is_name = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if is_name && !text.is_empty() && text.len() <= most {
        return text.to_owned();
    }
    let mut hash = BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes()));
    hash.truncate(most);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_seconds_or_a_date_and_has_a_bound() {
        let now = Timestamp::from_millis(1_772_463_600_000);
        let seconds = |text: &'static str| pause(&HeaderValue::from_static(text), now).map(|pause| pause.as_secs());
        assert_eq!(now.to_string(), "2026-03-02T15:00:00");
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds("Mon, 02 Mar 2026 15:02:00 GMT"), Some(120));
        assert_eq!(seconds("Mon, 02 Mar 2026 14:00:00 GMT"), Some(0), "what is over is over");
        assert_eq!(seconds("Fri, 02 Mar 2096 15:00:00 GMT"), Some(86_400));
        assert_eq!(seconds("99999999999"), Some(86_400));
        for nonsense in ["", "soon", "-5", "1.5", "99999999999999999999999"] {
            assert_eq!(seconds(nonsense), None, "{nonsense:?}");
        }
    }

    #[test]
    fn what_is_no_name_becomes_one_that_is_its_own() {
        assert_eq!(name("alarm-17_B", 32), "alarm-17_B");
        let made: Vec<String> = ["", "a b", "a\r\nb", "알람", &"x".repeat(33)].map(|text| name(text, 32)).into();
        for (index, made_name) in made.iter().enumerate() {
            assert_eq!(name(made_name, 32), *made_name, "a name stays");
            assert_eq!(made_name.len(), 32);
            assert_eq!(made.iter().position(|other| other == made_name), Some(index), "no two are the same");
        }
    }

    #[test]
    fn a_notice_does_not_show_what_it_says() {
        let notice = Notice {
            id: "n-1".into(),
            topic: "a-1".into(),
            title: "낙상 감지".into(),
            body: "거실에서 넘어지셨습니다".into(),
            link: Some("https://care.example/alarms/1".into()),
            is_urgent: true,
            data: serde_json::json!({"field": "heart_rate"}),
            at: Timestamp::from_millis(0),
        };
        let shown = format!("{notice:?}");
        assert!(shown.contains("n-1") && shown.contains("a-1"), "{shown}");
        for hidden in ["낙상", "거실", "care.example", "heart_rate"] {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }
}
