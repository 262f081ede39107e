//! The HTTP client that all providers are asked with.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use reqwest::{Response, StatusCode};

use crate::{ProviderError, Result};

/// How long connecting may take; the rest of a call has the limit of its [`Guard`](crate::guard::Guard).
const CONNECT: Duration = Duration::from_secs(10);
/// How much of an answer that says no is looked at for its reason.
const REASON: usize = 4 * 1024;

/// A client for services that get a key or somebody's words: it goes where it was sent and nowhere else.
///
/// # Errors
/// [`ProviderError::Unreachable`] if TLS cannot be set up.
pub fn client() -> Result<reqwest::Client> {
    build(reqwest::redirect::Policy::none())
}

/// A client for what is public: it follows where an address leads, a few times.
///
/// # Errors
/// As [`client`].
pub fn public_client() -> Result<reqwest::Client> {
    build(reqwest::redirect::Policy::limited(3))
}

fn build(redirect: reqwest::redirect::Policy) -> Result<reqwest::Client> {
    // Another part of the program may have installed it already; there is only this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .redirect(redirect)
        // An address can hold a key.
        .referer(false)
        .tcp_nodelay(true)
        .user_agent(concat!("carebot/", env!("CARGO_PKG_VERSION")))
        .build()?)
}

/// The body of an answer with a good status.
///
/// # Errors
/// [`ProviderError::Refused`] for another status; [`ProviderError::Malformed`] if the body is longer than `most` bytes; else as the
/// connection.
pub async fn body(response: Response, most: usize) -> Result<Bytes> {
    let status = response.status();
    if status.is_success() {
        return read(response, most).await;
    }
    let text = read_some(response, REASON).await;
    Err(refused(status, &String::from_utf8_lossy(&text)))
}

/// The value of an answer in JSON. The parser's own sentence can hold a piece of the answer and is not told.
///
/// # Errors
/// [`ProviderError::Malformed`] if it is not JSON or does not fit.
pub fn json<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        let (kind, line, column) = (error.classify(), error.line(), error.column());
        ProviderError::Malformed(format!("JSON that does not fit ({kind:?} error, line {line}, column {column})"))
    })
}

/// A status that says no, with the provider's reason as far as it may stand in a log: one line, short.
pub fn refused(status: StatusCode, text: &str) -> ProviderError {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let reason: String = line.chars().filter(|character| !character.is_control()).take(200).collect();
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ProviderError::Key(reason),
        StatusCode::TOO_MANY_REQUESTS => ProviderError::Quota(reason),
        _ => ProviderError::Refused { status: status.as_u16(), reason },
    }
}

async fn read(response: Response, most: usize) -> Result<Bytes> {
    let too_long = || ProviderError::Malformed(format!("the answer is longer than {most} bytes"));
    if response.content_length().is_some_and(|length| length > most as u64) {
        return Err(too_long());
    }
    let mut collected = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        if collected.len() + chunk.len() > most {
            return Err(too_long());
        }
        collected.extend_from_slice(&chunk);
    }
    Ok(collected.into())
}

/// The beginning of a body; what breaks on the way does not matter.
async fn read_some(response: Response, most: usize) -> Vec<u8> {
    let mut collected = Vec::new();
    let mut chunks = response.bytes_stream();
    while let (true, Some(Ok(chunk))) = (collected.len() < most, chunks.next().await) {
        collected.extend_from_slice(&chunk);
    }
    collected.truncate(most);
    collected
}

/// Joins a base URL and a path, whether or not the base ends with a slash.
///
/// # Errors
/// [`ProviderError::Unreachable`] if that is no URL.
pub fn url(base: &str, path: &str) -> Result<reqwest::Url> {
    reqwest::Url::parse(&format!("{}/{}", base.trim_end_matches('/'), path.trim_start_matches('/')))
        .map_err(|error| ProviderError::Unreachable(format!("its address is wrong: {error}")))
}
