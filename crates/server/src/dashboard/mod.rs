//! The family's page: what the same server shows to people under `/app/`.
//!
//! * [`visit`]: who looks at a page, in which language, and what was sent along.
//! * [`frame`]: what is around every page.
//! * [`speech`]: times, readings and refusals in words that people use, Korean and English beside each other.
//! * [`problem`]: the one place where an error becomes a page.
//! * [`chart`]: series as pictures that need no script.
//! * [`assets`]: the files of `web/`, part of the program.
//! * [`pages`]: one file per page. A page calls use cases of `carebot-service` and nothing else: what somebody may not do there,
//!   no page does for him.
//!
//! Every form works without a script. `web/app.js` only adds: it follows `/v1/events` and takes the parts of a page that have
//! changed (`data-part`) from the page itself, asked for once more.
//!
//! # Safety
//! The policy of content allows nothing from elsewhere and no script or style inside of pages. Requests that change
//! something and come from a page of another origin are refused by the edge, and the session's cookie is
//! `HttpOnly` and `SameSite`.

mod assets;
mod chart;
mod frame;
mod pages;
mod problem;
mod speech;
mod visit;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodRouter, any, get};
use carebot_service::Error;
use http::{HeaderName, HeaderValue, StatusCode, header};
use maud::Markup;

use crate::app::App;
use crate::edge::Page;

/// What a page may load: its own.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    manifest-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What a page answers.
pub(crate) type Answer = Result<Response, problem::Problem>;

/// The pages' own router.
pub(crate) struct Pages {
    router: Router<App>,
}

impl Pages {
    /// Adds a page.
    pub fn at(mut self, path: &'static str, handlers: MethodRouter<App>) -> Self {
        self.router = self.router.route(path, handlers);
        self
    }
}

/// All pages, to be merged into the server's router.
pub(crate) fn router(app: &App) -> Router<App> {
    let pages = Pages { router: Router::new() };
    let pages = pages::add(pages);
    pages
        .router
        .route("/app", get(|| async { to("/app/") }))
        .route("/app/static/{file}", get(assets::serve))
        .route("/app/sw.js", get(assets::worker))
        // Neither a fallback nor a layer around it: they would take the place of the whole server's.
        .route("/app/{*rest}", any(problem::no_page))
        .method_not_allowed_fallback(problem::no_page)
        .route_layer(from_fn_with_state(app.clone(), around))
}

/// Around every page: its headers, and a page for what went wrong.
async fn around(State(app): State<App>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let language = visit::language(&parts.headers);
    let place = problem::place(&parts);
    let response = next.run(Request::from_parts(parts, body)).await;
    let mut response = problem::shown(&app, language, &place, response);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), microphone=(), geolocation=()"),
    );
    response.extensions_mut().insert(Page);
    response
}

/// A page as a response.
pub(crate) fn page(markup: Markup) -> Response {
    page_with(StatusCode::OK, markup)
}

/// A page with a status.
pub(crate) fn page_with(status: StatusCode, markup: Markup) -> Response {
    let mut response = Response::new(Body::from(markup.into_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::VARY, HeaderValue::from_static("Cookie, Accept-Language"));
    response
}

/// Leads to another page, after something was done or instead of this one.
pub(crate) fn to(place: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let place = HeaderValue::from_str(place).unwrap_or(HeaderValue::from_static("/app/"));
    response.headers_mut().insert(header::LOCATION, place);
    response
}

/// Nothing where there is none; everything else that goes wrong goes on.
pub(crate) fn found<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(Error::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
