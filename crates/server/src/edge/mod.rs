//! Around every request: where it came from, who may call from a browser, its id, its log line and its counters.

pub mod cookie;
pub mod origin;
pub mod proxy;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use carebot_model::mix::{STEP, mix};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use tokio::task::{JoinError, JoinHandle};
use tower::ServiceExt;

use crate::app::App;
use crate::context::ClientAddress;
use crate::edge::proxy::Way;
use crate::error::{self, Inside, refusal, types};
use crate::operation::Answered;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
static TRUE: HeaderValue = HeaderValue::from_static("true");
static ORIGIN: HeaderValue = HeaderValue::from_static("Origin");

/// What the listener knows of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The other end's address.
    pub address: IpAddr,
    /// Whether this server itself speaks TLS with it.
    pub tls: bool,
}

impl Default for Peer {
    fn default() -> Self {
        Self { address: Ipv4Addr::LOCALHOST.into(), tls: false }
    }
}

/// Marks the answer of a page for people: it says itself what is wrong.
#[derive(Clone, Copy, Debug)]
pub struct Page;

/// The router and all that is around it.
#[derive(Clone, Debug)]
pub struct Edge {
    app: App,
    router: Router,
    ids: Arc<RequestIds>,
}

/// Ids of requests that brought none: different from each other, and from those of other processes and times.
#[derive(Debug)]
struct RequestIds(AtomicU64);

impl RequestIds {
    fn next(&self) -> HeaderValue {
        let id = mix(self.0.fetch_add(STEP, Ordering::Relaxed));
        HeaderValue::from_str(&format!("{id:016x}")).unwrap_or_else(|_| HeaderValue::from_static("-"))
    }
}

impl Edge {
    /// Around a router.
    pub fn new(app: App, router: Router) -> Self {
        let mut start = [0_u8; 8];
        app.service().random(&mut start);
        Self { app, router, ids: Arc::new(RequestIds(AtomicU64::new(u64::from_le_bytes(start)))) }
    }

    /// What every request shares.
    pub const fn app(&self) -> &App {
        &self.app
    }

    /// Answers a request.
    ///
    /// One that can write is a task of its own from the moment of this call, whether or not what is returned is ever
    /// polled: when its client goes away it is finished all the same, and a shutdown waits for it.
    pub fn serve(&self, peer: Peer, mut request: Request<Body>) -> impl Future<Output = Response> + Send + use<> {
        let started = Instant::now();
        let way = self.app.settings().trusted_proxies.way(
            peer.address,
            peer.tls,
            request.headers(),
            request.uri().authority().map(http::uri::Authority::as_str),
        );
        request.extensions_mut().insert(ClientAddress(way.client));
        let id = self.request_id(request.headers());
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let origin = request.headers().get(header::ORIGIN).cloned();
        let allowed = origin.as_ref().is_some_and(|origin| self.allows(origin, &way));
        let begun = match &origin {
            Some(_) if is_preflight(&request) => Begun::Answered(self.preflight(request.headers(), allowed)),
            Some(_) if !allowed && changes(&method) => {
                let message = "You do not have permission";
                Begun::Answered(refusal(StatusCode::FORBIDDEN, types::CAN_NOT_ACCESS, None, message, None))
            }
            _ => self.begin(request),
        };
        let edge = self.clone();
        async move {
            let mut response = match begun {
                Begun::Answered(response) => response,
                Begun::Reads(router, request) => edge.routed(route(router, request).await, &uri, &way),
                Begun::Writes(task) => {
                    edge.routed(task.await.unwrap_or_else(|failure| broken_down(&failure)), &uri, &way)
                }
            };
            if response.status().is_server_error() {
                response = with_request_id(response, &id).await;
            }
            let headers = response.headers_mut();
            headers.insert(REQUEST_ID.clone(), id.clone());
            headers.entry(header::CACHE_CONTROL).or_insert_with(|| NO_STORE.clone());
            headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            if let Some(origin) = origin {
                headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE.clone());
                headers.append(header::VARY, ORIGIN.clone());
                if allowed {
                    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
                }
            }
            edge.record(&method, uri.path(), &id, started, &response);
            response
        }
    }

    fn allows(&self, origin: &HeaderValue, way: &Way) -> bool {
        origin.to_str().is_ok_and(|origin| self.app.origins().allow(origin, way.scheme, way.host.as_deref()))
    }

    /// A request id that the client or a proxy gave, if it is short and plain, else a new one.
    fn request_id(&self, headers: &HeaderMap) -> HeaderValue {
        let given = headers.get(&REQUEST_ID).filter(|id| {
            let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            (8..=64).contains(&id.len()) && id.as_bytes().iter().all(plain)
        });
        given.cloned().unwrap_or_else(|| self.ids.next())
    }

    /// Asked headers are echoed: the existing clients ask for odd ones.
    fn preflight(&self, asked: &HeaderMap, allowed: bool) -> Response {
        let mut response = Response::new(Body::from(if allowed { "OK" } else { "Disallowed CORS origin" }));
        if !allowed {
            *response.status_mut() = StatusCode::BAD_REQUEST;
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
        );
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, self.app.settings().cors_max_age.as_secs().into());
        if let Some(asked) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
        response
    }

    fn begin(&self, request: Request<Body>) -> Begun {
        let router = self.router.clone();
        if changes(request.method()) {
            Begun::Writes(self.app.tasks().spawn(route(router, request)))
        } else {
            Begun::Reads(router, request)
        }
    }

    /// What the router does not know by itself: a path with a slash too much, and the methods that a path has.
    fn routed(&self, mut response: Response, uri: &Uri, way: &Way) -> Response {
        match response.status() {
            StatusCode::NOT_FOUND
                if response.extensions().get::<Answered>().is_none()
                    && response.extensions().get::<Page>().is_none() =>
            {
                crate::routes::slash_redirect(uri, way, self.app.settings().public_url.as_deref())
                    .unwrap_or_else(error::not_found)
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                if let Some(allow) = crate::routes::allowed_methods(uri.path())
                    && let Ok(allow) = HeaderValue::from_str(&allow)
                {
                    response.headers_mut().insert(header::ALLOW, allow);
                }
                response
            }
            _ => response,
        }
    }

    fn record(&self, method: &Method, path: &str, id: &HeaderValue, started: Instant, response: &Response) {
        let took = started.elapsed();
        let status = response.status();
        let operation = response.extensions().get::<Answered>().map(|answered| answered.0);
        self.app.metrics().record(operation, status, took);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let id = id.to_str().unwrap_or_default();
        if status.is_server_error() {
            let inside = response.extensions().get::<Inside>().map(|inside| inside.0.as_str());
            tracing::error!(%method, path = shown(path), status = status.as_u16(), micros, request_id = id, inside, "request failed");
        } else {
            tracing::debug!(%method, path = shown(path), status = status.as_u16(), micros, request_id = id, "request answered");
        }
    }
}

/// A request that is being answered.
enum Begun {
    Answered(Response),
    Reads(Router, Request<Body>),
    Writes(JoinHandle<Response>),
}

async fn route(router: Router, request: Request<Body>) -> Response {
    match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// The answer of a handler that panicked.
fn broken_down(failure: &JoinError) -> Response {
    let message = "Internal server error";
    let mut response = refusal(StatusCode::INTERNAL_SERVER_ERROR, types::SERVER_ERROR, None, message, None);
    response.extensions_mut().insert(Inside(failure.to_string()));
    response
}

/// A path as it may stand in a log: bounded, so that nobody fills the log with one request, and without the name of a
/// picture, which is what its owner called it, and without the token of an invitation.
fn shown(path: &str) -> &str {
    if path.starts_with("/app/invitations/") {
        return "/app/invitations";
    }
    if ["/access/", "/delete/"].iter().any(|pictures| path.starts_with(pictures)) {
        return path.match_indices('/').nth(2).map_or(path, |(end, _)| &path[..end]);
    }
    path.char_indices().nth(128).map_or(path, |(end, _)| &path[..end])
}

const fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn is_preflight(request: &Request<Body>) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Writes the request's id into the answer, so that who reports a failure can say which one.
async fn with_request_id(response: Response, id: &HeaderValue) -> Response {
    /// Failures are short.
    const MOST: usize = 64 * 1024;
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, MOST).await else {
        return Response::from_parts(parts, Body::empty());
    };
    let mut value: serde_json::Value = match serde_json::from_slice(&bytes) {
        Ok(value) => value,
        Err(_) => return Response::from_parts(parts, Body::from(bytes)),
    };
    if let Some(detail) = value.get_mut("detail").and_then(serde_json::Value::as_object_mut) {
        detail.insert("request_id".into(), id.to_str().unwrap_or_default().into());
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(crate::json::to_vec(&value)))
}
