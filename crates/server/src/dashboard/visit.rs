//! Who looks at a page, in which language, and what was sent along.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use carebot_model::access::Actor;
use carebot_model::accounts::Role;
use carebot_model::alarms::text::Language;
use carebot_model::{AccountId, FamilyId, RowId, Timestamp};
use carebot_service::Service;
use carebot_service::authentication::Client;
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, header};

use super::problem::Problem;
use crate::app::App;
use crate::context::{ClientAddress, From as Caller};
use crate::edge::cookie::{self, CookieSettings};
use crate::extract::body;

/// The cookie that keeps the language somebody chose.
const LANGUAGE: &str = "carebot_language";

/// The language that was chosen, else the first of Korean and English that the browser asks for, else Korean.
pub fn language(headers: &HeaderMap) -> Language {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let chosen = cookies.flat_map(|cookie| cookie.split(';')).find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        (name.trim() == LANGUAGE).then(|| Language::parse(value.trim())).flatten()
    });
    let accepted = || {
        let wanted = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
        wanted.split(',').find_map(|part| {
            let tag = part.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            Language::parse(tag.split('-').next().unwrap_or_default())
        })
    };
    chosen.or_else(accepted).unwrap_or(Language::Korean)
}

/// The header that keeps a language for a year.
pub fn keep_language(language: Language, is_secure: bool) -> Option<HeaderValue> {
    const YEAR: u32 = 31_536_000;
    let secure = if is_secure { "; Secure" } else { "" };
    let text = format!("{LANGUAGE}={}; HttpOnly; Path=/app; Max-Age={YEAR}; SameSite=Lax{secure}", language.name());
    HeaderValue::from_str(&text).ok()
}

/// Fields of a query or a form, in the order in which they were sent.
#[derive(Clone, Debug, Default)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `name=value&..`.
    pub fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// A field without blanks around it, if it holds anything.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.raw(name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// A field as it was typed: passwords may begin with a blank.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// A field, or nothing of it.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// A field as an owned text, if it holds anything.
    pub fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// A field as a number.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.parse().ok()
    }

    /// Whether a box is ticked.
    pub fn is_on(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// All fields.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// The host that a request was sent to.
fn host(parts: &Parts) -> Option<String> {
    let named = || parts.headers.get(header::HOST)?.to_str().ok()?.parse::<Authority>().ok();
    let authority = parts.uri.authority().cloned().or_else(named)?;
    Some(authority.host().to_ascii_lowercase())
}

/// Somebody who looks at a page.
#[derive(Clone, Debug)]
pub struct Visit {
    /// What every request shares.
    pub app: App,
    /// Who.
    pub actor: Arc<Actor>,
    /// The session's token.
    pub token: Option<String>,
    /// In which language.
    pub language: Language,
    /// What was asked for.
    pub path: String,
    /// What stands behind the question mark.
    pub query: Fields,
    /// Whether this answers a form: what is shown can not be asked for again.
    pub is_answer: bool,
    /// The pieces of the path that the route names.
    pieces: Vec<String>,
    /// From where.
    pub client: Client,
    /// The host that was asked for, without its port.
    host: String,
    /// When.
    pub now: Timestamp,
}

impl FromRequestParts<App> for Visit {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let token = cookie::session(&parts.headers).map(str::to_owned);
        let actor = app.service().current_actor(token.as_deref()).await?;
        let Ok(Caller(client)) = Caller::from_request_parts(parts, app).await else { return Err(Problem::NoPage) };
        let pieces = RawPathParams::from_request_parts(parts, app).await;
        let pieces =
            pieces.map_or_else(|_| Vec::new(), |pieces| pieces.iter().map(|(_, value)| value.to_owned()).collect());
        debug_assert!(parts.extensions.get::<ClientAddress>().is_some() || client.address.is_none());
        Ok(Self {
            app: app.clone(),
            actor,
            token,
            language: language(&parts.headers),
            path: parts.uri.path().to_owned(),
            is_answer: parts.method != Method::GET && parts.method != Method::HEAD,
            query: Fields::parse(parts.uri.query().unwrap_or_default().as_bytes()),
            pieces,
            client,
            host: host(parts).unwrap_or_default(),
            now: app.service().now(),
        })
    }
}

impl Visit {
    /// The session cookie, as this visitor's browser keeps it.
    pub fn cookie(&self) -> CookieSettings {
        self.app.settings().cookie.at(&self.host)
    }

    /// The use cases.
    pub fn service(&self) -> &Arc<Service> {
        self.app.service()
    }

    /// One of two texts: the one in the visitor's language.
    pub fn t<T>(&self, korean: T, english: T) -> T {
        match self.language {
            Language::Korean => korean,
            Language::English => english,
        }
    }

    /// The account; those without one are led to sign in.
    pub fn account(&self) -> Result<AccountId, Problem> {
        self.actor.account().ok_or(Problem::SignIn)
    }

    /// What the account is.
    pub fn role(&self) -> Option<Role> {
        self.actor.role()
    }

    /// Where the visitor is, with what stands behind the question mark, without what was said once.
    pub fn place(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.query.iter().filter(|(name, _)| *name != "done" && *name != "token"));
        let query = query.finish();
        if query.is_empty() { self.path.clone() } else { format!("{}?{query}", self.path) }
    }

    /// A piece of the path; empty if it has none there.
    pub fn piece(&self, place: usize) -> &str {
        self.pieces.get(place).map(String::as_str).unwrap_or_default()
    }

    /// The family that the path names. Whether the visitor may see anything of it, the use cases say.
    pub fn family(&self) -> Result<FamilyId, Problem> {
        self.account()?;
        FamilyId::parse(self.piece(0)).ok_or(Problem::NoPage)
    }

    /// The number that a piece of the path is.
    pub fn number(&self, place: usize) -> Result<RowId, Problem> {
        self.piece(place).parse().map(RowId).map_err(|_| Problem::NoPage)
    }
}

/// A form that was sent, and who sent it.
pub struct Sent(pub Visit, pub Fields);

impl FromRequest<App> for Sent {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, stream) = request.into_parts();
        let visit = Visit::from_request_parts(&mut parts, app).await?;
        let (limit, time) = (app.settings().body_limit, app.settings().body_timeout);
        let bytes =
            body::read(stream, body::asks_first(&parts.headers), limit, time).await.map_err(|_| Problem::TooMuch)?;
        Ok(Self(visit, Fields::parse(&bytes)))
    }
}

impl From<Infallible> for Problem {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
