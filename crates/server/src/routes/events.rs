//! `/v1/events`

use std::convert::Infallible;

use axum::body;
use axum::extract::State;
use axum::response::Response;
use carebot_model::access::Action;
use carebot_service::streams::Follower;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::json;

use crate::answer::Answer;
use crate::app::App;
use crate::context::{Caller, Path, RawQuery, SessionToken};
use crate::error::types;
use crate::extract::Query;
use crate::operation::{Api, Operation, Parameter, get};

/// Where a client stopped reading.
static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Tells proxies not to hold back what comes.
static ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
static STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
static NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
static NO: HeaderValue = HeaderValue::from_static("no");

const WHAT: &str = "Server-sent events that never end by themselves: what happened (`report`, `message`, `notification`, `alarm`, \
                    `settings`, `membership`, `refused`), each with an `id` and `{\"seq\",\"family_id\",\"at\",\"kind\",\"body\"}`; \
                    `reading` (`{\"family_id\",\"kind\",\"report\"}`), the newest report of a kind, without an `id`; `hello` \
                    (`{\"families\"}`) where a family is followed from now on, `reset` (`{\"family_id\",\"from\"}`) where events \
                    were missed for good, `left` (`{\"family_id\",\"reason\"}`) where a family is followed no longer, `end` \
                    (`{\"reason\"}`) before the server ends the stream. With the header `Last-Event-ID` it goes on \
                    behind that event. See docs/events.md";

pub fn add(api: &mut Api) {
    api.add(
        stream_of(get("/v1/events", Action::EventReadAll, "What happens in all of one's families, as it happens"))
            .forbidden()
            .invalid("Too many families for one stream"),
        all,
    );
    api.add(
        stream_of(get("/v1/events/{family_id}", Action::EventRead, "What happens in a family, as it happens"))
            .of_family(),
        one,
    );
}

fn stream_of(operation: Operation) -> Operation {
    let text = || json!({"type": "string"});
    let mut operation =
        operation.header("Last-Event-ID", "The `id` of the last event that was read: it goes on behind it.", text());
    // None is wrong: one that cannot be read is answered by a `reset`.
    operation.parameters.push(Parameter {
        name: "last_event_id",
        place: "query",
        description: "The same, for clients that can not set the header, which goes before.",
        schema: text(),
    });
    operation.raw(200, "text/event-stream", WHAT).refuses(429, types::TOO_MANY, "Too many open streams")
}

async fn all(
    State(app): State<App>,
    caller: Caller,
    SessionToken(token): SessionToken,
    headers: HeaderMap,
    RawQuery(raw): RawQuery,
) -> Answer {
    let last = last_event_id(&headers, raw.as_deref());
    Ok(events(app.service().follow_all(&caller, token.as_deref(), last.as_deref()).await?))
}

async fn one(
    State(app): State<App>,
    caller: Caller,
    SessionToken(token): SessionToken,
    path: Path,
    headers: HeaderMap,
    RawQuery(raw): RawQuery,
) -> Answer {
    let last = last_event_id(&headers, raw.as_deref());
    Ok(events(app.service().follow_family(&caller, token.as_deref(), path.one(), last.as_deref()).await?))
}

/// Where the client stopped reading; a header that is no text is a cursor that cannot be read.
fn last_event_id(headers: &HeaderMap, query: Option<&str>) -> Option<String> {
    let header = headers.get(&LAST_EVENT_ID).map(|value| value.to_str().unwrap_or("?").to_owned());
    header.or_else(|| Query::new(query).text("last_event_id").map(str::to_owned))
}

fn events(follower: Follower) -> Response {
    // As long as the connection does not ask, nothing is read for it; when it goes, so does the follower.
    let pieces = stream::unfold(follower, async |mut follower| {
        let piece = follower.next().await?;
        Some((Ok::<_, Infallible>(piece), follower))
    });
    let mut response = Response::new(body::Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, STREAM.clone());
    headers.insert(header::CACHE_CONTROL, NO_STORE.clone());
    headers.insert(ACCEL_BUFFERING.clone(), NO.clone());
    response
}
