//! Webhooks: calls of programs of somebody else's choice, signed so that they can be told from a stranger's.
//!
//! Source: the Standard Webhooks specification (standardwebhooks.com), with symmetric signatures. Gateways for SMS and voice calls
//! are reached through it.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use carebot_model::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use ring::hmac;
use serde_json::{Value, json};

use super::addresses::Policy;
use super::{BadSetting, Notice, Poster, Timeouts, Undelivered, name};
use crate::Key;

/// How far the clocks of sender and receiver may differ.
const TOLERANCE_MS: i64 = 5 * 60 * 1_000;
/// What a secret begins with.
const PREFIX: &str = "whsec_";

/// What sender and receiver share: 24 to 64 bytes, written as `whsec_` and base64.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Secret {
    /// A new one of random bytes.
    pub fn generate(random: [u8; 32]) -> Self {
        Self(random.to_vec())
    }

    /// Reads one.
    ///
    /// # Errors
    /// If it is none.
    pub fn from_text(text: &str) -> Result<Self, BadSetting> {
        text.strip_prefix(PREFIX)
            .and_then(|encoded| BASE64_STANDARD.decode(encoded).ok())
            .filter(|bytes| (24..=64).contains(&bytes.len()))
            .map(Self)
            .ok_or_else(|| BadSetting(format!("a secret is {PREFIX} and 24 to 64 bytes in base64")))
    }

    /// For keeping, and for whoever writes the receiver.
    pub fn to_text(&self) -> Key {
        Key(format!("{PREFIX}{}", BASE64_STANDARD.encode(&self.0)))
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.0)
    }

    fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        format!("v1,{}", BASE64_STANDARD.encode(hmac::sign(&self.key(), &signed(id, timestamp, body))))
    }
}

/// What a signature is over.
fn signed(id: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat()
}

/// What a receiver is told.
#[derive(Clone, PartialEq)]
pub struct Event {
    /// The same for every try (`webhook-id`); what is no name of at most 64 letters, digits, `-` and `_` is replaced by its hash.
    pub id: String,
    /// Its kind, dotted: `alarm.notice`.
    pub kind: &'static str,
    /// When it happened.
    pub at: Timestamp,
    /// The rest of it.
    pub data: Value,
}

impl fmt::Debug for Event {
    /// Without its data: that is about somebody's health.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, kind, at, .. } = self;
        write!(f, "Event {{ id: {id:?}, kind: {kind:?}, at: {at:?}, .. }}")
    }
}

impl Event {
    /// The kind of a notice.
    pub const NOTICE: &str = "alarm.notice";

    /// A notice: `data` holds the notice's own data, if that is an object, and `topic`, `title`, `body`, `link` and `urgent`.
    pub fn of(notice: &Notice) -> Self {
        let Notice { id, topic, title, body, link, is_urgent, data, at } = notice;
        let mut whole = data.as_object().cloned().unwrap_or_default();
        let own = json!({"topic": topic, "title": title, "body": body, "link": link, "urgent": is_urgent});
        whole.extend(own.as_object().cloned().unwrap_or_default());
        Self { id: id.clone(), kind: Self::NOTICE, at: *at, data: whole.into() }
    }

    fn body(&self) -> String {
        let at = jiff::Timestamp::from_millisecond(self.at.millis()).unwrap_or_default();
        json!({"type": self.kind, "timestamp": format!("{at:.3}"), "data": self.data}).to_string()
    }
}

/// Calls webhooks.
#[derive(Clone, Debug)]
pub struct Webhooks(Poster);

impl Webhooks {
    /// Nothing is called yet.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(policy: Policy, timeouts: Timeouts) -> Result<Self, BadSetting> {
        Poster::new("webhook", policy, timeouts).map(Self)
    }

    /// Tells a receiver.
    ///
    /// # Errors
    /// [`Undelivered::Gone`] if it answers 410, by which a receiver says that it wants no more.
    pub async fn send(&self, url: &str, secret: &Secret, event: &Event, now: Timestamp) -> Result<(), Undelivered> {
        let (id, timestamp) = (name(&event.id, 64), now.millis().div_euclid(1000).to_string());
        let body = event.body().into_bytes();
        let signature = secret.sign(&id, &timestamp, &body);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in [("webhook-id", id), ("webhook-timestamp", timestamp), ("webhook-signature", signature)] {
            let value = HeaderValue::try_from(value)
                .map_err(|_| Undelivered::Refused(format!("a value of {name} cannot be sent")))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        let answer = self.0.post(url, headers, body).await?;
        match answer.status {
            status if status.is_success() => Ok(()),
            StatusCode::GONE => Err(Undelivered::Gone),
            StatusCode::REQUEST_TIMEOUT
            | StatusCode::CONFLICT
            | StatusCode::TOO_EARLY
            | StatusCode::TOO_MANY_REQUESTS => Err(answer.later(now)),
            status if status.is_server_error() => Err(answer.later(now)),
            _ => Err(answer.refused()),
        }
    }
}

/// Why a call is not what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// `webhook-timestamp` is no number of seconds.
    #[error("the timestamp is none")]
    Timestamp,
    /// It is more than five minutes old or ahead: it may be a copy of an earlier call.
    #[error("the timestamp is more than five minutes from now")]
    Time,
    /// None of the signatures fits.
    #[error("no signature fits")]
    Signature,
}

/// For receivers: whether a call comes from whoever has the secret, and now. `id`, `timestamp` and `signature` are the
/// headers `webhook-id`, `webhook-timestamp` and `webhook-signature`; `body` is the body as it came, before any parsing.
///
/// # Errors
/// Why not.
pub fn verify(
    secret: &Secret,
    id: &str,
    timestamp: &str,
    signature: &str,
    body: &[u8],
    now: Timestamp,
) -> Result<(), Unverified> {
    let seconds: i64 = timestamp.parse().map_err(|_| Unverified::Timestamp)?;
    if now.since(Timestamp::from_millis(seconds.saturating_mul(1000))).abs() > TOLERANCE_MS {
        return Err(Unverified::Time);
    }
    let (key, signed) = (secret.key(), signed(id, timestamp, body));
    // While a secret is replaced there are several.
    let fits = signature
        .split_ascii_whitespace()
        .filter_map(|one| BASE64_STANDARD.decode(one.strip_prefix("v1,")?).ok())
        .any(|tag| hmac::verify(&key, &signed, &tag).is_ok());
    if fits { Ok(()) } else { Err(Unverified::Signature) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the specification's own libraries.
    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const ID: &str = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
    const TIMESTAMP: &str = "1649367553";
    const BODY: &[u8] = br#"{"email":"test@example.com","username":"test_user"}"#;
    const SIGNATURE: &str = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";

    fn secret() -> Secret {
        Secret::from_text(SECRET).expect("a secret")
    }

    #[test]
    fn the_signature_is_that_of_the_specification() {
        assert_eq!(secret().sign(ID, TIMESTAMP, BODY), SIGNATURE);
    }

    #[test]
    fn only_the_very_call_verifies_and_only_for_five_minutes() {
        let now = Timestamp::from_millis(1_649_367_553_000);
        let at =
            |millis: i64, signature: &str| verify(&secret(), ID, TIMESTAMP, signature, BODY, now.plus_millis(millis));
        for millis in [0, TOLERANCE_MS, -TOLERANCE_MS] {
            assert_eq!(at(millis, SIGNATURE), Ok(()));
        }
        for millis in [TOLERANCE_MS + 1, -TOLERANCE_MS - 1, i64::MAX, i64::MIN] {
            assert_eq!(at(millis, SIGNATURE), Err(Unverified::Time));
        }
        let several = format!("v1a,AAAA v1,bm90IGl0 {SIGNATURE} v2,x");
        assert_eq!(at(0, &several), Ok(()));
        for wrong in ["", "v1,", "v1,bm90IGl0", "v2,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=", &SIGNATURE[3..]] {
            assert_eq!(at(0, wrong), Err(Unverified::Signature), "{wrong}");
        }
        let other = Secret::generate([7; 32]);
        assert_eq!(verify(&other, ID, TIMESTAMP, SIGNATURE, BODY, now), Err(Unverified::Signature));
        assert_eq!(verify(&secret(), "msg_2", TIMESTAMP, SIGNATURE, BODY, now), Err(Unverified::Signature));
        assert_eq!(verify(&secret(), ID, "1649367554", SIGNATURE, BODY, now), Err(Unverified::Signature));
        assert_eq!(verify(&secret(), ID, TIMESTAMP, SIGNATURE, b"{}", now), Err(Unverified::Signature));
        for nonsense in ["", "now", "1649367553.0", "99999999999999999999"] {
            assert_eq!(verify(&secret(), ID, nonsense, SIGNATURE, BODY, now), Err(Unverified::Timestamp));
        }
        for far in [i64::MAX, i64::MIN] {
            let far = far.to_string();
            assert_eq!(verify(&secret(), ID, &far, SIGNATURE, BODY, now), Err(Unverified::Time));
        }
    }

    #[test]
    fn a_secret_has_24_to_64_bytes_and_does_not_show_itself() {
        let secret = Secret::generate([0xab; 32]);
        let text = secret.to_text();
        assert_eq!(Secret::from_text(&text.0), Ok(secret.clone()));
        assert_eq!(format!("{secret:?} {text:?}"), "*** ***");
        for (length, is_one) in [(0, false), (23, false), (24, true), (64, true), (65, false)] {
            let text = format!("whsec_{}", BASE64_STANDARD.encode(vec![1; length]));
            assert_eq!(Secret::from_text(&text).is_ok(), is_one, "{length} bytes");
        }
        for nonsense in ["", "whsec_", &text.0[6..], "whsec_한글", "whsec_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_"] {
            assert!(Secret::from_text(nonsense).is_err(), "{nonsense:?}");
        }
    }

    #[test]
    fn times_are_written_as_the_specification_wants_them() {
        let event =
            Event { id: "n-1".into(), kind: "alarm.test", at: Timestamp::from_millis(5), data: json!({"a": 1}) };
        assert_eq!(event.body(), r#"{"type":"alarm.test","timestamp":"1970-01-01T00:00:00.005Z","data":{"a":1}}"#);
    }
}
