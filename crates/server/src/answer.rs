//! Answers that succeed.

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use carebot_service::pages::{Extent, Pages};
use futures_util::{StreamExt, stream};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::error::ApiError;
use crate::json;

/// What handlers return.
pub type Answer = Result<Response, ApiError>;

static JSON: HeaderValue = HeaderValue::from_static("application/json");
static CORRECTED: HeaderName = HeaderName::from_static("carebot-corrected");
static THINNED: HeaderName = HeaderName::from_static("carebot-thinned");
static TRUNCATED: HeaderName = HeaderName::from_static("carebot-truncated");

#[derive(Serialize)]
struct Envelope<'a, T: Serialize> {
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a T>,
}

/// A response of JSON bytes.
pub fn bytes_response(status: StatusCode, bytes: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON.clone());
    response
}

/// A response of a JSON value.
pub fn json_response(status: StatusCode, value: &impl Serialize) -> Response {
    bytes_response(status, json::to_vec(value))
}

/// `{"message"}`.
pub fn says(status: StatusCode, message: &str) -> Answer {
    Ok(json_response(status, &Envelope::<()> { message, result: None }))
}

/// `{"message","result"}`.
pub fn gives(status: StatusCode, message: &str, result: &impl Serialize) -> Answer {
    Ok(json_response(status, &Envelope { message, result: Some(result) }))
}

/// An answer that says so if the time at which something was sensed had to be corrected.
pub fn corrected(mut response: Response, is_corrected: bool) -> Response {
    if is_corrected {
        response.headers_mut().insert(&CORRECTED, HeaderValue::from_static("true"));
    }
    response
}

/// A list: one message for rows, another for none.
pub fn lists<T: Serialize>(rows: &Vec<T>, some: &str, none: &str) -> Answer {
    gives(StatusCode::OK, if rows.is_empty() { none } else { some }, rows)
}

/// A page of rows as JSON, separated by commas.
pub fn write_row<T: Serialize>(page: &mut Vec<u8>, row: &T) {
    if !page.is_empty() {
        page.push(b',');
    }
    json::write(page, row);
}

/// Room for a page of usual rows.
pub fn new_page() -> Vec<u8> {
    Vec::with_capacity(16 * 1024)
}

/// A list that is read page by page while it is sent.
///
/// # Errors
/// As the first page.
pub async fn streams(mut pages: Pages<Vec<u8>>, some: &'static str, none: &'static str) -> Answer {
    let (first, count) = pages.next().await?.unwrap_or_default();
    let mut head = Vec::with_capacity(first.len() + 96);
    head.extend_from_slice(b"{\"message\":");
    json::write(&mut head, if count == 0 { none } else { some });
    head.extend_from_slice(b",\"result\":[");
    head.extend_from_slice(&first);
    let extent = pages.extent;
    let mut response = if pages.is_read() {
        head.extend_from_slice(b"]}");
        bytes_response(StatusCode::OK, head)
    } else {
        let rest = stream::unfold(Rest { pages, head: Some(head), written: count > 0, ended: false }, Rest::next);
        // Compression asks once more after the end.
        let mut response = Body::from_stream(rest.fuse()).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, JSON.clone());
        response
    };
    mark(&mut response, extent);
    Ok(response)
}

/// A list that is thinned, of rows that are JSON with commas between them already.
///
/// # Errors
/// None.
pub fn thinned(rows: &[u8], some: &str) -> Answer {
    let mut body = Vec::with_capacity(rows.len() + 96);
    body.extend_from_slice(b"{\"message\":");
    json::write(&mut body, some);
    body.extend_from_slice(b",\"result\":[");
    body.extend_from_slice(rows);
    body.extend_from_slice(b"]}");
    let mut response = bytes_response(StatusCode::OK, body);
    mark(&mut response, Extent::Thinned);
    Ok(response)
}

/// Says that a list is not whole.
pub fn mark(response: &mut Response, extent: Extent) {
    let name = match extent {
        Extent::Whole => return,
        Extent::Thinned => &THINNED,
        Extent::Truncated => &TRUNCATED,
    };
    response.headers_mut().insert(name, HeaderValue::from_static("true"));
}

struct Rest {
    pages: Pages<Vec<u8>>,
    head: Option<Vec<u8>>,
    written: bool,
    ended: bool,
}

impl Rest {
    async fn next(mut self) -> Option<(Result<Bytes, std::io::Error>, Self)> {
        if let Some(head) = self.head.take() {
            return Some((Ok(head.into()), self));
        }
        if self.ended {
            return None;
        }
        match self.pages.next().await {
            Ok(Some((page, 0))) => Some((Ok(page.into()), self)),
            Ok(Some((mut page, _))) => {
                if self.written {
                    page.insert(0, b',');
                }
                self.written = true;
                Some((Ok(page.into()), self))
            }
            Ok(None) => {
                self.ended = true;
                Some((Ok(Bytes::from_static(b"]}")), self))
            }
            Err(error) => {
                // The answer has begun: all that can be done is to break it off, so that nobody takes it for whole.
                tracing::error!(?error, "a list was broken off while it was sent");
                self.ended = true;
                Some((Err(std::io::Error::other("the list was broken off")), self))
            }
        }
    }
}
