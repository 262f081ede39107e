//! A form that can hold a picture.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request};
use carebot_service::Error;

use super::super::problem::Problem;
use super::super::visit::{Fields, Visit};
use crate::app::App;
use crate::error::ApiError;
use crate::extract::body;
use crate::extract::upload::{File, Upload};

/// What somebody sent with a form.
pub(super) struct Parcel {
    /// Who sent it.
    pub visit: Visit,
    /// The fields.
    pub fields: Fields,
    /// The address of the picture, which is stored; nothing if none was sent; or why it is not taken.
    pub picture: Result<Option<String>, Error>,
}

/// Takes a form in and stores its picture (the field `file`, which comes last).
pub(super) async fn unpack(app: &App, request: Request) -> Result<Parcel, Problem> {
    let (mut parts, stream) = request.into_parts();
    let visit = Visit::from_request_parts(&mut parts, app).await?;
    visit.account()?;
    let (limit, time) = (app.settings().body_limit, app.settings().body_timeout);
    if !body::content_type(&parts.headers).is_some_and(|media| media.starts_with("multipart/form-data")) {
        let bytes = body::read(stream, body::asks_first(&parts.headers), limit, time).await;
        let fields = Fields::parse(&bytes.map_err(|_| Problem::TooMuch)?);
        return Ok(Parcel { visit, fields, picture: Ok(None) });
    }
    let service = Arc::clone(visit.service());
    let most = usize::try_from(service.settings().images.max_mib << 20).unwrap_or(usize::MAX);
    let mut form = Upload::open(&parts.headers, stream, most, time).await.map_err(refused)?;
    let fields = fields(std::mem::take(&mut form.fields));
    let account = match service.may_upload(&visit.actor) {
        Ok(account) => account,
        Err(error) => {
            form.throw_away().await;
            return Ok(Parcel { visit, fields, picture: Err(error) });
        }
    };
    let file_name = form.file_name.clone();
    let turn = match service.receive_image(account).await {
        Ok(turn) => turn,
        Err(error) => {
            form.throw_away().await;
            return Ok(Parcel { visit, fields, picture: Err(error) });
        }
    };
    let picture = match form.read().await.map_err(refused)? {
        File::TooLarge(_) => Err(service.image_too_large()),
        // Nothing was chosen.
        File::Whole(bytes) if bytes.is_empty() => Ok(None),
        File::Whole(bytes) => {
            service.upload_image(&visit.actor, &file_name, bytes).await.map(|image| Some(image.file_path))
        }
    };
    drop(turn);
    Ok(Parcel { visit, fields, picture })
}

fn fields(pairs: Vec<(String, String)>) -> Fields {
    Fields::parse(form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish().as_bytes())
}

fn refused(error: ApiError) -> Problem {
    match error {
        ApiError::Service { error, .. } => error.into(),
        ApiError::Body(_) => Problem::TooMuch,
        ApiError::Invalid(_) => missing("A form with a file is required").into(),
    }
}

/// Something is missing in a form.
pub(super) fn missing(message: &'static str) -> Error {
    Error::NoData { loc: vec!["body"], message }
}
