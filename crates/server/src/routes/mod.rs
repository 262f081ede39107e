//! Routes, one file per noun.

mod accounts;
mod alarms;
mod auth;
mod chats;
mod contacts;
mod events;
mod families;
mod images;
mod members;
mod messages;
mod notify;
mod robots;
mod rules;
mod server;
mod status;
mod tools;
mod v1;

use std::sync::LazyLock;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use carebot_model::access::Action;
use http::{HeaderValue, Method, StatusCode, Uri, header};
use serde_json::Value;

use crate::app::App;
use crate::edge::proxy::Way;
use crate::error;
use crate::operation::{Api, Operation};

/// Every operation, and the router that serves them.
pub fn api() -> (Vec<Operation>, Router<App>) {
    let mut api = Api::default();
    server::add(&mut api);
    accounts::add(&mut api);
    auth::add(&mut api);
    families::add(&mut api);
    members::add(&mut api);
    status::add(&mut api);
    chats::add(&mut api);
    messages::add(&mut api);
    notify::add(&mut api);
    tools::add(&mut api);
    images::add(&mut api);
    robots::add(&mut api);
    v1::add(&mut api);
    alarms::add(&mut api);
    rules::add(&mut api);
    contacts::add(&mut api);
    events::add(&mut api);
    let router = api.router().method_not_allowed_fallback(error::method_not_allowed);
    (api.operations, router)
}

/// The documentation page, if it is to be shown.
pub fn with_documents(router: Router<App>, docs: bool) -> Router<App> {
    if docs { server::with_documents(router) } else { router }
}

/// Paths with their methods, for answers that need to know what there is.
static PATHS: LazyLock<Vec<(Vec<&'static str>, &'static str)>> = LazyLock::new(|| {
    api().0.iter().map(|operation| (operation.path.split('/').collect(), method_name(operation))).collect()
});

/// What every operation asks for.
static ACTIONS: LazyLock<Vec<(Method, &'static str, Action)>> = LazyLock::new(|| {
    api().0.into_iter().map(|operation| (operation.method, operation.path, operation.action)).collect()
});

/// What a request asks for, by its method and the path of its operation as in the document.
pub fn action_of(method: &Method, path: &str) -> Option<Action> {
    ACTIONS.iter().find(|(other, template, _)| (other, *template) == (method, path)).map(|(.., action)| *action)
}

fn method_name(operation: &Operation) -> &'static str {
    match operation.method {
        http::Method::GET => "GET",
        http::Method::PATCH => "PATCH",
        http::Method::DELETE => "DELETE",
        _ => "POST",
    }
}

fn methods_of(path: &str) -> Vec<&'static str> {
    let pieces: Vec<&str> = path.split('/').collect();
    let fits = |template: &[&str]| {
        template.len() == pieces.len()
            && template
                .iter()
                .zip(&pieces)
                .all(|(want, piece)| want == piece || (want.starts_with('{') && !piece.is_empty()))
    };
    PATHS.iter().filter(|(template, _)| fits(template)).map(|(_, method)| *method).collect()
}

/// The `allow` header of a path.
pub fn allowed_methods(path: &str) -> Option<String> {
    let methods = methods_of(path);
    (!methods.is_empty()).then(|| methods.join(", "))
}

/// A path that is there but for a slash at its end is redirected, as the existing server does.
pub fn slash_redirect(uri: &Uri, way: &Way, public_url: Option<&str>) -> Option<Response> {
    let path = uri.path().strip_suffix('/')?;
    if path.is_empty() || methods_of(path).is_empty() {
        return None;
    }
    let base = match (public_url, &way.host) {
        (Some(url), _) => url.to_owned(),
        (None, Some(host)) => format!("{}://{host}", way.scheme),
        (None, None) => String::new(),
    };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let location = HeaderValue::from_str(&format!("{base}{path}{query}")).ok()?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    response.headers_mut().insert(header::LOCATION, location);
    Some(response)
}

/// Whether a required text is there: empty is as good as absent.
fn filled(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

/// The contract's 422: what is missing, and its sentence.
fn missing(
    place: &'static str,
    names: &[(&'static str, bool)],
    message: &'static str,
) -> Result<(), carebot_service::Error> {
    let absent: Vec<&'static str> = names.iter().filter(|(_, there)| !there).map(|(name, _)| *name).collect();
    if absent.is_empty() {
        return Ok(());
    }
    let loc = std::iter::once(place).chain(absent).collect();
    Err(carebot_service::Error::NoData { loc, message })
}

/// What stands in the path beside a form, in the echo of the contract: before the form's own fields.
fn with_path(name: &'static str, value: &str, form: serde_json::Map<String, Value>) -> Value {
    let mut echo = serde_json::Map::from_iter([(name.to_owned(), Value::from(value))]);
    echo.extend(form);
    Value::Object(echo)
}
