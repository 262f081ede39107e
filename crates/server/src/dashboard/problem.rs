//! The one place where an error becomes a page.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use carebot_model::alarms::text::Language;
use carebot_service::Error;
use http::request::Parts;
use http::{Method, StatusCode, Uri, header};
use maud::{Markup, html};

use super::{frame, page_with, to};
use crate::app::App;
use crate::error::{ApiError, Inside};

/// Why a page is not what was asked for.
#[derive(Debug)]
pub enum Problem {
    /// Somebody has to sign in first.
    SignIn,
    /// There is no such page.
    NoPage,
    /// More was sent than is taken, or it did not arrive.
    TooMuch,
    /// A use case did not do it.
    Service(Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Service(error)
    }
}

/// Travels with a response to [`shown`].
#[derive(Clone)]
struct Told(Arc<Problem>);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(axum::body::Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response.extensions_mut().insert(Told(Arc::new(self)));
        response
    }
}

/// The answer to a path that no page has.
pub async fn no_page() -> Problem {
    Problem::NoPage
}

/// What somebody reads who was refused: what is wrong, and what to do.
pub fn words(error: &Error, language: Language) -> String {
    let (korean, english) = match error {
        Error::Forbidden => ("이 내용을 볼 수 있는 권한이 없습니다.", "You may not see or do this."),
        Error::Unauthorized("Invalid email or password") => {
            ("이메일이나 비밀번호가 맞지 않습니다.", "The e-mail address or the password is wrong.")
        }
        Error::Unauthorized(_) => ("비밀번호가 맞지 않습니다.", "The password is wrong."),
        Error::Invalid(carebot_service::passwords::REFUSED) => (
            "비밀번호는 8자 이상이어야 하고, 흔한 비밀번호는 쓸 수 없습니다.",
            "A password has at least eight characters and is none of the common ones.",
        ),
        Error::Invalid(text) if text.contains("(email)") => {
            ("이메일 주소를 확인해 주세요.", "Please check the e-mail address.")
        }
        Error::Invalid(text) if text.contains("birth") => {
            ("생년월일을 확인해 주세요.", "Please check the date of birth.")
        }
        Error::Invalid(carebot_service::images::NOT_A_PICTURE) => {
            ("사진 파일이 아닙니다 (JPEG, PNG, GIF, WebP).", "This is no picture (JPEG, PNG, GIF, WebP).")
        }
        Error::Invalid(text) if text.contains("(address)") => {
            ("시도와 시군구를 골라 주세요.", "Please choose province and district.")
        }
        Error::Conflict("Email is already in use") => {
            ("이미 쓰고 있는 이메일 주소입니다.", "This e-mail address is taken.")
        }
        Error::Conflict("Member already exists in family") => {
            ("이미 가족이거나 승인을 기다리고 있습니다.", "You belong to this family already, or wait for approval.")
        }
        Error::Conflict("Main user already has a family") => ("이미 가족이 있습니다.", "You have a family already."),
        Error::TooMany(_) => (
            "여러 번 하셔서 잠시 막혔습니다. 조금 뒤에 다시 해 주세요.",
            "Too many attempts. Please try again in a while.",
        ),
        Error::TooLong(_) => ("글이 너무 깁니다.", "The text is too long."),
        Error::TooLarge(_) | Error::Invalid(carebot_service::images::TOO_MANY_PIXELS) => {
            ("사진이 너무 큽니다.", "The picture is too large.")
        }
        Error::NotFound("Password reset not found") => (
            "이 주소는 이미 썼거나 시간이 지났습니다. 다시 요청해 주세요.",
            "This link was used, or its time is over. Please ask for another one.",
        ),
        Error::NotFound(_) | Error::NothingFrom(_) => ("찾는 것이 없습니다.", "There is no such thing."),
        Error::NoData { .. } => ("빠진 칸이 있습니다.", "Something is missing."),
        Error::Busy(_) | Error::Unavailable(_) => (
            "지금은 서버가 답할 수 없습니다. 잠시 뒤에 다시 해 주세요.",
            "The server can not answer now. Please try again in a moment.",
        ),
        Error::OutOfBounds(text) => return text.clone(),
        Error::Invalid(_) | Error::Conflict(_) => ("입력한 내용을 확인해 주세요.", "Please check what you entered."),
        _ => ("문제가 생겼습니다. 잠시 뒤에 다시 해 주세요.", "Something went wrong. Please try again in a moment."),
    };
    match language {
        Language::Korean => korean,
        Language::English => english,
    }
    .to_owned()
}

/// Where somebody is led back to after signing in: to what was asked for, or where the form was that was sent.
pub fn place(parts: &Parts) -> String {
    let asked = || parts.uri.path_and_query().map(|place| place.as_str().to_owned());
    let form = || {
        let referer = parts.headers.get(header::REFERER)?.to_str().ok()?.parse::<Uri>().ok()?;
        referer.path_and_query().map(|place| place.as_str().to_owned())
    };
    let found = if parts.method == Method::GET { asked() } else { form() };
    found.unwrap_or_else(|| "/app/".to_owned())
}

/// Puts a page into a response that tells of a problem.
pub fn shown(app: &App, language: Language, place: &str, mut response: Response) -> Response {
    let told = response.extensions_mut().remove::<Told>();
    let Some(problem) = told.and_then(|Told(problem)| Arc::into_inner(problem)) else { return response };
    let t = |korean: &str, english: &str| match language {
        Language::Korean => korean.to_owned(),
        Language::English => english.to_owned(),
    };
    match problem {
        Problem::SignIn => {
            let next: String = form_urlencoded::byte_serialize(place.as_bytes()).collect();
            to(&format!("/app/sign-in?next={next}"))
        }
        Problem::NoPage => {
            let text = t("찾는 페이지가 없습니다.", "There is no such page.");
            page_with(
                StatusCode::NOT_FOUND,
                frame::alone(app, language, &t("없는 페이지", "No such page"), sorry(&text, language)),
            )
        }
        Problem::TooMuch => {
            let text =
                t("보낸 내용이 너무 크거나 다 오지 않았습니다.", "What was sent is too large, or did not arrive.");
            page_with(StatusCode::PAYLOAD_TOO_LARGE, frame::alone(app, language, &text.clone(), sorry(&text, language)))
        }
        Problem::Service(error) => {
            let text = words(&error, language);
            let title = t("할 수 없었습니다", "That did not work");
            refused(error, frame::alone(app, language, &title, sorry(&text, language)))
        }
    }
}

/// A page that says why something was not done. Status, headers and what the log gets are those of every other answer of this server.
pub fn refused(error: Error, shown: Markup) -> Response {
    let (parts, _) = ApiError::from(error).into_response().into_parts();
    let mut shown = page_with(parts.status, shown);
    if let Some(value) = parts.headers.get(header::RETRY_AFTER) {
        shown.headers_mut().insert(header::RETRY_AFTER, value.clone());
    }
    if let Some(inside) = parts.extensions.get::<Inside>() {
        shown.extensions_mut().insert(inside.clone());
    }
    shown
}

fn sorry(text: &str, language: Language) -> Markup {
    let (back, home) = match language {
        Language::Korean => ("이전 화면으로", "처음으로"),
        Language::English => ("Back", "Start"),
    };
    html! {
        p.notice.bad role="alert" { (text) }
        p { a.button href="/app/" { (home) } " " a href="" data-back { (back) } }
    }
}
