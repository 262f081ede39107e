//! The one place where an error becomes a response.

use axum::response::{IntoResponse, Response};
use carebot_service::Error;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::answer::json_response;
use crate::extract::{BodyError, Invalid, TooLong};

/// The `type` of a refusal.
pub mod types {
    pub const NO_DATA: &str = "no data";
    pub const INVALID_VALUE: &str = "invalid value";
    pub const UNAUTHORIZED: &str = "unauthorized";
    pub const CAN_NOT_ACCESS: &str = "can not access";
    pub const NOT_FOUND: &str = "not found";
    pub const ALREADY_EXISTS: &str = "already exists";
    pub const SERVER_ERROR: &str = "server error";
    pub const TEAPOT: &str = "coffe";
    pub const TOO_MANY: &str = "too many requests";
    pub const TOO_LARGE: &str = "too large";
    pub const TIMEOUT: &str = "timeout";
    pub const UNAVAILABLE: &str = "unavailable";
}

/// The sentence for a text that is too long for its field.
pub const TOO_LONG: &str = "Text is too long";

/// How long a client should wait before it tries again when the database is away, or it has as much under way as it may.
const RETRY_SECONDS: u64 = 2;

/// What a handler answers when it does not do what it was asked for.
#[derive(Debug)]
pub enum ApiError {
    /// A refusal or failure of a use case, with what the request said, if the contract echoes it.
    Service { error: Error, input: Option<Box<Value>> },
    /// The request does not fit.
    Invalid(Invalid),
    /// The body could not be read.
    Body(BodyError),
}

/// What happened inside, for the log; travels with the response and is never sent.
#[derive(Clone, Debug)]
pub struct Inside(pub String);

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self::Service { error, input: None }
    }
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        Self::Body(error)
    }
}

impl From<TooLong> for ApiError {
    fn from(TooLong(field): TooLong) -> Self {
        Error::TooLong(field).into()
    }
}

/// Puts what the request said beside a refusal.
pub trait Echo<T> {
    /// The form as it was validated.
    ///
    /// # Errors
    /// The error with its echo.
    fn echo(self, form: &impl Serialize) -> Result<T, ApiError>;
}

impl<T, E: Into<ApiError>> Echo<T> for Result<T, E> {
    fn echo(self, form: &impl Serialize) -> Result<T, ApiError> {
        self.map_err(|error| match error.into() {
            ApiError::Service { error, .. } => {
                ApiError::Service { error, input: serde_json::to_value(form).ok().map(Box::new) }
            }
            other => other,
        })
    }
}

fn detail(kind: &str, message: &str) -> Map<String, Value> {
    Map::from_iter([("type".to_owned(), json!(kind)), ("message".to_owned(), json!(message))])
}

/// A refusal in the contract's shape: type, loc, message, input.
pub fn refusal(status: StatusCode, kind: &str, loc: Option<Value>, message: &str, input: Option<Value>) -> Response {
    let mut detail = Map::from_iter([("type".to_owned(), json!(kind))]);
    if let Some(loc) = loc {
        detail.insert("loc".to_owned(), loc);
    }
    detail.insert("message".to_owned(), json!(message));
    if let Some(input) = input {
        detail.insert("input".to_owned(), input);
    }
    json_response(status, &json!({ "detail": detail }))
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match self {
            Self::Invalid(invalid) => json_response(StatusCode::UNPROCESSABLE_ENTITY, &invalid),
            Self::Body(error) => body_response(&error),
            Self::Service { error, input } => service_response(error, input.map(|input| *input)),
        }
    }
}

fn body_response(error: &BodyError) -> Response {
    let (status, kind, message) = match error {
        BodyError::TooLarge { .. } => {
            (StatusCode::PAYLOAD_TOO_LARGE, types::TOO_LARGE, "The body of the request is too large")
        }
        BodyError::TimedOut { .. } | BodyError::Broken(_) => {
            (StatusCode::REQUEST_TIMEOUT, types::TIMEOUT, "The body of the request did not arrive in time")
        }
    };
    let mut response = refusal(status, kind, None, message, None);
    // What is left of the body is not looked at.
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn service_response(error: Error, input: Option<Value>) -> Response {
    match error {
        Error::NoData { loc, message } => {
            refusal(StatusCode::UNPROCESSABLE_ENTITY, types::NO_DATA, Some(json!(loc)), message, input)
        }
        Error::Invalid(message) => refusal(StatusCode::BAD_REQUEST, types::INVALID_VALUE, None, message, input),
        Error::OutOfBounds(message) => refusal(StatusCode::BAD_REQUEST, types::INVALID_VALUE, None, &message, input),
        Error::TooLarge(message) => refusal(StatusCode::PAYLOAD_TOO_LARGE, types::TOO_LARGE, None, &message, input),
        // The text itself is not echoed: it is long.
        Error::TooLong(field) => {
            refusal(StatusCode::BAD_REQUEST, types::INVALID_VALUE, Some(json!(["body", field])), TOO_LONG, None)
        }
        Error::Unauthorized(message) => refusal(StatusCode::UNAUTHORIZED, types::UNAUTHORIZED, None, message, input),
        Error::Forbidden => {
            refusal(StatusCode::FORBIDDEN, types::CAN_NOT_ACCESS, None, "You do not have permission", input)
        }
        Error::NotFound(message) => refusal(StatusCode::NOT_FOUND, types::NOT_FOUND, None, message, input),
        Error::Conflict(message) => refusal(StatusCode::CONFLICT, types::ALREADY_EXISTS, None, message, input),
        Error::Teapot => {
            refusal(StatusCode::IM_A_TEAPOT, types::TEAPOT, None, "AI Process Server serves coffee.", None)
        }
        Error::Failed(message) => refusal(StatusCode::INTERNAL_SERVER_ERROR, types::SERVER_ERROR, None, message, input),
        Error::NothingFrom(message) => {
            let mut detail = detail(types::NOT_FOUND, message);
            detail.insert("result".to_owned(), json!({}));
            json_response(StatusCode::NOT_FOUND, &json!({ "detail": detail }))
        }
        Error::TooMany(seconds) => {
            let message = "Too many failed attempts, try again later";
            retry_after(refusal(StatusCode::TOO_MANY_REQUESTS, types::TOO_MANY, None, message, None), seconds)
        }
        Error::Busy(message) => {
            retry_after(refusal(StatusCode::TOO_MANY_REQUESTS, types::TOO_MANY, None, message, None), RETRY_SECONDS)
        }
        Error::Unavailable(error) => {
            let message = "The service is temporarily unavailable";
            let response = refusal(StatusCode::SERVICE_UNAVAILABLE, types::UNAVAILABLE, None, message, None);
            with_inside(retry_after(response, RETRY_SECONDS), error.to_string())
        }
        Error::Internal(error) => {
            let response =
                refusal(StatusCode::INTERNAL_SERVER_ERROR, types::SERVER_ERROR, None, "Internal server error", None);
            with_inside(response, error.to_string())
        }
    }
}

fn retry_after(mut response: Response, seconds: u64) -> Response {
    response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    response
}

fn with_inside(mut response: Response, inside: String) -> Response {
    response.extensions_mut().insert(Inside(inside));
    response
}

/// A path that there is not.
pub fn not_found() -> Response {
    json_response(StatusCode::NOT_FOUND, &json!({"detail": "Not Found"}))
}

/// A method that a path does not have.
pub async fn method_not_allowed() -> Response {
    json_response(StatusCode::METHOD_NOT_ALLOWED, &json!({"detail": "Method Not Allowed"}))
}
