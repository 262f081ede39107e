//! About the server itself: whether it lives, its document, its documentation.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing;
use carebot_model::access::Action;
use http::{HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;
use utoipa_swagger_ui::Config;

use crate::answer::{Answer, json_response};
use crate::app::App;
use crate::context::Path;
use crate::error;
use crate::operation::{Api, get};

/// Whether the server lives.
#[derive(Serialize, JsonSchema)]
pub struct Health {
    /// `ok`.
    status: &'static str,
}

pub fn add(api: &mut Api) {
    api.add(
        get("/healthz", Action::ServerRead, "Whether the process lives").tag("server").json::<Health>(200, "It lives"),
        health,
    );
    api.add(
        get("/readyz", Action::ServerRead, "Whether database, schema and alarms are in order")
            .tag("server")
            .json::<Health>(200, "Ready for requests"),
        ready,
    );
    api.add(
        get("/openapi.json", Action::ServerRead, "This document")
            .tag("server")
            .json::<serde_json::Map<String, serde_json::Value>>(200, "The OpenAPI document"),
        document,
    );
}

async fn health() -> Answer {
    Ok(json_response(StatusCode::OK, &Health { status: "ok" }))
}

async fn ready(State(app): State<App>) -> Answer {
    app.service().ready().await?;
    Ok(json_response(StatusCode::OK, &Health { status: "ok" }))
}

async fn document(State(app): State<App>) -> Answer {
    let mut response = Response::new(Body::from(app.document()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// `/docs`: a page that is part of the program and loads nothing from elsewhere.
pub fn with_documents(router: Router<App>) -> Router<App> {
    router
        .route("/docs", routing::get(|| async { asset("") }))
        .route("/docs/{file}", routing::get(|path: Path| async move { asset(path.one()) }))
        .route("/redoc", routing::get(|| async { asset("") }))
}

fn asset(file: &str) -> Response {
    let config = Arc::new(Config::from("/openapi.json"));
    let file = if file.is_empty() { "index.html" } else { file };
    match utoipa_swagger_ui::serve(file, config) {
        Ok(Some(found)) => {
            let mut bytes = found.bytes.into_owned();
            if file == "index.html" {
                // The page lies at `/docs`, its files below it.
                let page = String::from_utf8_lossy(&bytes)
                    .replace("href=\"./", "href=\"/docs/")
                    .replace("src=\"./", "src=\"/docs/");
                bytes = page.replace("href=\"index.css\"", "href=\"/docs/index.css\"").into_bytes();
            }
            let mut response = Bytes::from(bytes).into_response();
            let headers = response.headers_mut();
            if let Ok(media) = HeaderValue::from_str(&found.content_type) {
                headers.insert(header::CONTENT_TYPE, media);
            }
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
            headers.insert(
                header::CONTENT_SECURITY_POLICY,
                HeaderValue::from_static("default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"),
            );
            response
        }
        Ok(None) => error::not_found(),
        Err(error) => {
            tracing::error!(%error, file, "a file of the documentation page could not be read");
            error::not_found()
        }
    }
}
