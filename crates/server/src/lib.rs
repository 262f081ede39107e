//! The HTTP server of carebot.
//!
//! * [`routes`]: one file per noun; each says its operations ([`operation`]) beside the functions that serve them.
//! * [`context`] and [`extract`]: from a request to values. No handler parses cookies or JSON.
//! * [`error`] and [`answer`]: from values to a response. Every error becomes a response in one place.
//! * `dashboard`: pages for people, under `/app/`.
//! * [`edge`]: around every request: origin, proxy, request id, log and counters.
//! * [`listen`]: connections, TLS, shutdown.
//! * [`openapi`]: the document, made from the operations.
//!
//! # To add an operation
//! In its noun's file under `routes/`: a line `api.add(..)` that says what it takes and answers, and a handler of about
//! twenty lines that calls one use case of `carebot-service`. Then add a valid request for it to the list of
//! `tests/`, and accept the document.

pub mod answer;
pub mod app;
pub mod context;
mod dashboard;
pub mod edge;
pub mod error;
pub mod extract;
pub mod json;
pub mod listen;
pub mod metrics;
pub mod openapi;
pub mod operation;
mod patience;
pub mod routes;
pub mod tls;

use std::sync::Arc;

use carebot_service::Service;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::compression::{CompressionLayer, CompressionLevel};

pub use app::{App, ServerSettings};
pub use edge::{Edge, Peer};

/// Answers smaller than this are not worth compressing.
const COMPRESSED_FROM: u64 = 2_048;

/// Puts the server together: routes, use cases and what is around them.
pub fn build(service: Arc<Service>, settings: ServerSettings) -> Edge {
    let (operations, router) = routes::api();
    let docs = settings.docs;
    let app = App::new(service, settings, &operations);
    let router = routes::with_documents(router, docs).merge(dashboard::router(&app));
    let compress = SizeAbove::new(COMPRESSED_FROM).and(NotForContentType::new("image/")).and(NotForContentType::SSE);
    let router = router
        .with_state(app.clone())
        .layer(CompressionLayer::new().gzip(true).quality(CompressionLevel::Fastest).compress_when(compress));
    Edge::new(app, router)
}
