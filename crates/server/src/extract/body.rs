//! The body of a request: read with a limit, then parsed as JSON.

use std::error::Error;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::HeaderMap;
use http::header::{CONTENT_TYPE, EXPECT};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Value, json};

use super::form::Form;
use super::item::{Fault, Invalid, Loc};
use super::json_fault;

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Longer than allowed.
    #[error("the body is longer than {limit} bytes")]
    TooLarge {
        /// The most bytes allowed.
        limit: usize,
    },
    /// It did not arrive in time.
    #[error("the body did not arrive within {} seconds", limit.as_secs())]
    TimedOut {
        /// How long it may take.
        limit: Duration,
    },
    /// The connection broke.
    #[error("the body could not be read")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
}

/// How much of a body that is too large is read and thrown away. Most clients send all they have before they read the
/// answer; if nobody took it they would see a broken connection instead of the refusal.
pub(super) const THROWN_AWAY: usize = 16 << 20;

/// Reads a whole body of at most `limit` bytes within `time`.
///
/// One that announces to be longer is refused before it is read if its client `asks_first` (with `Expect`).
pub async fn read(mut body: Body, asks_first: bool, limit: usize, time: Duration) -> Result<Bytes, BodyError> {
    let deadline = tokio::time::Instant::now() + time;
    let too_large = body.size_hint().lower() > limit as u64;
    if !too_large {
        match tokio::time::timeout_at(deadline, Limited::new(&mut body, limit).collect()).await {
            Ok(Ok(collected)) => return Ok(collected.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {}
            Ok(Err(error)) => return Err(BodyError::Broken(error)),
            Err(_) => return Err(BodyError::TimedOut { limit: time }),
        }
    }
    if !(too_large && asks_first) && body.size_hint().lower() <= THROWN_AWAY as u64 {
        // It is refused however much of it comes.
        let _ = tokio::time::timeout_at(deadline, throw_away(body)).await;
    }
    Err(BodyError::TooLarge { limit })
}

async fn throw_away(mut body: Body) {
    let mut left = THROWN_AWAY;
    while let Some(Ok(frame)) = body.frame().await {
        match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// The content type of a request, `None` without the header. One that cannot be read as text is not JSON.
pub fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or("unreadable"))
}

/// Whether a client waits for leave before it sends the body.
pub fn asks_first(headers: &HeaderMap) -> bool {
    headers.contains_key(EXPECT)
}

/// Whether a body of this content type is JSON: `application/json`, `application/<anything>+json`, or none at all.
fn is_json(content_type: Option<&str>) -> bool {
    let Some(content_type) = content_type.filter(|text| !text.is_empty()) else {
        return true;
    };
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.strip_prefix("application/").is_some_and(|sub| sub == "json" || sub.ends_with("+json"))
}

/// Parses a body. Of a key that stands twice the last value counts.
///
/// An empty body is `null`, and a body that is not JSON by its content type is a text; [`Form::parse`] refuses both as
/// the contract does, and operations without a body do not look. Broken JSON is `json_invalid` with the character at
/// which it breaks; so are bytes that are not UTF-8, nesting deeper than 127, numbers no double can hold, `NaN`,
/// `Infinity` and lone surrogates.
pub fn parse(content_type: Option<&str>, bytes: &[u8]) -> Result<Value, Invalid> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    if !is_json(content_type) {
        return Ok(Value::String(String::from_utf8_lossy(bytes).into_owned()));
    }
    // Some programs put a byte order mark before UTF-8; the existing server takes it.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    serde_json::from_slice(bytes).map_err(|error| {
        let (position, reason) = json_fault::locate(bytes, &error);
        let mut item = Fault::because("json_invalid", "JSON decode error", &reason).at(&["body"], json!({}));
        item.loc.push(Loc::Position(position));
        Invalid::one(item)
    })
}

/// Parses a body into a form: [`parse`], then [`Form::parse`].
pub fn form<F: Form>(content_type: Option<&str>, bytes: &[u8]) -> Result<F, Invalid> {
    F::parse(&parse(content_type, bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_told_by_its_content_type() {
        for json in [
            None,
            Some(""),
            Some("application/json"),
            Some("Application/JSON; charset=utf-8"),
            Some("application/vnd.api+json"),
        ] {
            assert!(is_json(json), "{json:?}");
        }
        for other in ["text/plain", "text/json", "application/x-www-form-urlencoded", "json", "application/jsonp", ";"]
        {
            assert!(!is_json(Some(other)), "{other}");
        }
    }

    #[test]
    fn an_empty_body_with_a_json_content_type_is_no_error() {
        assert_eq!(parse(Some("application/json"), b""), Ok(Value::Null));
    }

    #[test]
    fn what_is_not_json_is_a_text() {
        assert_eq!(parse(Some("text/plain"), b"{}"), Ok(json!("{}")));
        assert_eq!(parse(Some("text/plain"), b"\xff"), Ok(json!("\u{fffd}")));
    }

    #[test]
    fn the_last_of_two_equal_keys_counts() {
        assert_eq!(parse(None, br#"{"a":1,"b":2,"a":3}"#), Ok(json!({"a": 3, "b": 2})));
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        assert_eq!(parse(None, b"\xef\xbb\xbf{}"), Ok(json!({})));
    }

    #[test]
    fn broken_json_tells_the_character() {
        let invalid = parse(None, "{\"가\": x}".as_bytes()).expect_err("broken");
        assert_eq!(
            serde_json::to_value(&invalid).expect("JSON"),
            json!({"detail": [{
                "type": "json_invalid", "loc": ["body", 6], "msg": "JSON decode error", "input": {},
                "ctx": {"error": "Expecting value"}
            }]})
        );
    }

    #[test]
    fn hostile_json_is_refused_without_harm() {
        let deep = "[".repeat(100_000);
        let closed = format!("{}{}", "[".repeat(128), "]".repeat(128));
        for text in [
            deep.as_bytes(),
            closed.as_bytes(),
            br#"{"a":NaN}"#,
            br#"{"a":-Infinity}"#,
            br#"{"a":1e400}"#,
            br#"{"a":"\ud800"}"#,
            br#"{"a":"\udc00\ud800"}"#,
            b"{\"a\":\"\xff\"}",
            b"\xff",
            b"\0",
            b"\xef\xbb\xbf",
        ] {
            let invalid = parse(None, text).expect_err("refused");
            assert_eq!(invalid.detail[0].kind, "json_invalid");
        }
        let allowed = format!("{}{}", "[".repeat(127), "]".repeat(127));
        assert!(parse(None, allowed.as_bytes()).is_ok());
        assert_eq!(parse(None, br#"{"a":"\u0000"}"#), Ok(json!({"a": "\0"})));
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        let time = Duration::from_secs(5);
        assert_eq!(read(Body::from("12345"), false, 5, time).await.expect("read"), "12345");
        assert!(matches!(read(Body::from("123456"), false, 5, time).await, Err(BodyError::TooLarge { limit: 5 })));
        let unannounced = futures_util::stream::iter([Ok::<_, std::io::Error>("1234"), Ok("56")]);
        let outcome = read(Body::from_stream(unannounced), false, 5, time).await;
        assert!(matches!(outcome, Err(BodyError::TooLarge { limit: 5 })));
        let broken = futures_util::stream::iter([Ok("1234"), Err(std::io::Error::other("reset"))]);
        assert!(matches!(read(Body::from_stream(broken), false, 5, time).await, Err(BodyError::Broken(_))));
        let endless = futures_util::stream::pending::<Result<&str, std::io::Error>>();
        let outcome = read(Body::from_stream(endless), false, 5, Duration::from_millis(1)).await;
        assert!(matches!(outcome, Err(BodyError::TimedOut { .. })));
    }
}
