//! From a request to what handlers ask for: who calls, from where, and the form.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, MatchedPath, Request};
use carebot_model::Timestamp;
use carebot_model::access::Actor;
use carebot_service::Error;
use carebot_service::authentication::Client;
use http::header;
use http::request::Parts;

use crate::app::App;
use crate::edge::cookie;
use crate::error::ApiError;
use crate::extract::{Form, Invalid, RangeQuery, body, datetime};
use crate::routes::action_of;

/// Who calls: the cookie's session, or anonymous.
pub struct Caller(pub Arc<Actor>);

impl std::ops::Deref for Caller {
    type Target = Actor;
    fn deref(&self) -> &Actor {
        &self.0
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let asks = || action_of(&parts.method, parts.extensions.get::<MatchedPath>()?.as_str());
        Ok(Self(app.service().actor_asking(cookie::session(&parts.headers), asks).await?))
    }
}

/// Why a key cannot be one.
pub const KEY: &str = "An Idempotency-Key has 1 to 255 visible ASCII characters";

/// The client's own key for a request that it may send again.
pub struct IdempotencyKey(pub Option<String>);

impl FromRequestParts<App> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        const LONGEST: usize = 255;
        let Some(value) = parts.headers.get("idempotency-key") else { return Ok(Self(None)) };
        let key = value
            .to_str()
            .ok()
            .filter(|key| (1..=LONGEST).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()));
        Ok(Self(Some(key.ok_or(Error::Invalid(KEY))?.to_owned())))
    }
}

/// When something was sensed, if that is not now.
pub struct SensedAt(pub Option<Timestamp>);

impl FromRequestParts<App> for SensedAt {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        const NAME: &str = "Carebot-Sensed-At";
        let Some(value) = parts.headers.get(NAME) else { return Ok(Self(None)) };
        let text = String::from_utf8_lossy(value.as_bytes());
        let at = datetime::timestamp(&text);
        Ok(Self(Some(at.map_err(|fault| Invalid::one(fault.at(&["header", NAME], text.into())))?)))
    }
}

/// The token of the cookie, for signing out.
pub struct SessionToken(pub Option<String>);

impl FromRequestParts<App> for SessionToken {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        Ok(Self(cookie::session(&parts.headers).map(str::to_owned)))
    }
}

/// The address a request came from, as the edge found it.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub IpAddr);

/// Where and with what somebody calls.
pub struct From(pub Client);

impl FromRequestParts<App> for From {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        let agent = parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).map(str::to_owned);
        Ok(Self(Client { address: parts.extensions.get::<ClientAddress>().map(|address| address.0), agent }))
    }
}

/// A form in the body.
pub struct Body<F>(pub F);

impl<F: Form + 'static> FromRequest<App> for Body<F> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let (parts, stream) = request.into_parts();
        let (limit, time) = (app.settings().body_limit, app.settings().body_timeout);
        let bytes = body::read(stream, body::asks_first(&parts.headers), limit, time).await?;
        Ok(Self(body::form(body::content_type(&parts.headers), &bytes)?))
    }
}

/// `start`, `end` and `order` of the query.
pub struct Range(pub RangeQuery);

impl FromRequestParts<App> for Range {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        Ok(Self(RangeQuery::parse(parts.uri.query())?))
    }
}

/// The query as it was sent.
pub struct RawQuery(pub Option<String>);

impl FromRequestParts<App> for RawQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        Ok(Self(parts.uri.query().map(str::to_owned)))
    }
}

/// The pieces of the path that a route names. One that is not UTF-8 names nothing that there is.
pub struct Path(pub Vec<String>);

impl Path {
    /// The only or first piece.
    pub fn one(&self) -> &str {
        self.0.first().map(String::as_str).unwrap_or_default()
    }

    /// The second piece.
    pub fn two(&self) -> &str {
        self.0.get(1).map(String::as_str).unwrap_or_default()
    }
}

impl FromRequestParts<App> for Path {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let pieces = axum::extract::RawPathParams::from_request_parts(parts, app).await;
        Ok(Self(
            pieces.map_or_else(|_| Vec::new(), |pieces| pieces.iter().map(|(_, value)| value.to_owned()).collect()),
        ))
    }
}
