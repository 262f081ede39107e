//! `/upload`, `/access`, `/delete`: pictures.

use std::ops::Range;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use carebot_model::Timestamp;
use carebot_model::access::Action;
use carebot_model::images::{Deleted, Format, Image, Uploaded};
use carebot_model::text::hexadecimal;
use carebot_service::Error;
use carebot_service::images::{NOT_A_PICTURE, NOT_SHOWN, TOO_MANY_PIXELS, thumbnail_width};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use crate::answer::{Answer, gives};
use crate::app::App;
use crate::context::{Caller, Path, RawQuery};
use crate::error::{ApiError, Echo, refusal, types};
use crate::extract::Query;
use crate::extract::upload::{File, Upload};
use crate::operation::{Api, delete, get, post};

const MISSING: &str = "Image not found";
const BEYOND: &str = "The range is outside of the picture";
/// The widths that can be asked for, in pixels.
const WIDTHS: (u32, u32) = (16, 2_048);
/// The bytes of a picture's hash that its tag has.
const TAG: usize = 16;

pub fn add(api: &mut Api) {
    api.add(
        post("/upload", Action::ImageUpload, "Upload a picture")
            .tag("images")
            .takes_file("file", "A JPEG, PNG, GIF or WebP, whatever its name says.")
            .gives::<Uploaded>(201, "Image uploaded successfully")
            .refuses_like(
                413,
                types::TOO_LARGE,
                r"^Image size exceeds the limit\(\d+MB max\)\.$",
                "The picture is larger than any may be",
            )
            .refuses_like(
                413,
                types::TOO_LARGE,
                r"^Image quota of \d+MB exceeded\.$",
                "The account has no room for it among its other pictures",
            )
            .invalid(NOT_A_PICTURE)
            .invalid(TOO_MANY_PIXELS),
        upload,
    );
    api.add(
        get("/access/{user_id}/{file_name}", Action::ImageRead, "A picture, or a range of its bytes")
            .tag("images")
            .query(
                "w",
                "Not wider than this, in pixels; rounded up to 160, 320, 640, 1280 or 2048. A JPEG or PNG then.",
                json!({"type": "integer", "minimum": WIDTHS.0, "maximum": WIDTHS.1}),
            )
            .raw(200, "image/*", "The picture")
            .raw(206, "image/*", "The part of it that was asked for")
            .raw(304, "", "It is still the one with the tag that was sent")
            .refuses(416, types::INVALID_VALUE, BEYOND)
            .invalid(NOT_SHOWN)
            .forbidden()
            .not_found(MISSING),
        access,
    );
    api.add(
        delete("/delete/{user_id}/{file_name}", Action::ImageDelete, "Delete a picture")
            .tag("images")
            .gives::<Deleted>(200, "Image deleted successfully")
            .not_found(MISSING),
        remove,
    );
}

async fn upload(State(app): State<App>, caller: Caller, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let service = app.service();
    let most = usize::try_from(service.settings().images.max_mib << 20).unwrap_or(usize::MAX);
    let form = Upload::open(&parts.headers, body, most, app.settings().body_timeout).await?;
    let account = match service.may_upload(&caller) {
        Ok(account) => account,
        Err(error) => {
            form.throw_away().await;
            return Err(error.into());
        }
    };
    let file_name = form.file_name.clone();
    let _turn = service.receive_image(account).await?;
    let bytes = match form.read().await? {
        File::Whole(bytes) => bytes,
        File::TooLarge(size) => {
            let input = json!({"request_id": account, "file_name": file_name, "file_size": size});
            return Err(service.image_too_large()).echo(&input);
        }
    };
    let (size, format) = (bytes.len(), Format::of(&bytes));
    let uploaded = service.upload_image(&caller, &file_name, bytes).await.map_err(|error| {
        let input = match &error {
            Error::TooLarge(_) => json!({"request_id": account, "file_name": file_name, "file_size": size}),
            Error::Invalid(_) => {
                json!({"request_id": account, "file_name": file_name, "file_type": format.map(Format::media_type)})
            }
            _ => return error.into(),
        };
        ApiError::Service { error, input: Some(Box::new(input)) }
    })?;
    gives(StatusCode::CREATED, "Image uploaded successfully", &uploaded)
}

async fn access(
    State(app): State<App>,
    caller: Caller,
    path: Path,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let mut query = Query::new(raw.as_deref());
    let wanted = query.whole("w", WIDTHS.0, WIDTHS.1);
    query.finish()?;
    let service = app.service();
    let image = service.image(&caller, path.one(), path.two()).await?;
    let width = wanted.map(thumbnail_width).filter(|width| *width < image.width);
    let tag = tag(&image, width);
    let mut response = if is_known(&headers, &tag) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else if let Some(width) = width {
        let (format, bytes) = service.thumbnail(&image, width).await?;
        let size = bytes.len() as u64;
        match range(&headers, &tag, size) {
            Wanted::Nothing => return Ok(beyond(size)),
            Wanted::All => pictured(format, size, None, bytes.into()),
            Wanted::Part(part) => {
                let bytes = slice(&bytes, &part);
                pictured(format, size, Some(part), bytes.into())
            }
        }
    } else {
        let size = image.bytes;
        let part = match range(&headers, &tag, size) {
            Wanted::Nothing => return Ok(beyond(size)),
            Wanted::All => None,
            Wanted::Part(part) => Some(part),
        };
        let bytes = service.image_bytes(&image, part.clone()).await?;
        pictured(image.format, size, part, Body::from_stream(bytes))
    };
    describe(response.headers_mut(), &image, &tag, service.settings().images.cache.as_secs());
    Ok(response)
}

async fn remove(State(app): State<App>, caller: Caller, path: Path) -> Answer {
    let deleted = app.service().delete_image(&caller, path.one(), path.two()).await?;
    gives(StatusCode::OK, "Image deleted successfully", &deleted)
}

/// The tag of a picture or of a thumbnail of it: a part of the hash of the picture's bytes.
fn tag(image: &Image, width: Option<u32>) -> String {
    let hash = hexadecimal(&image.sha256[..TAG]);
    width.map_or_else(|| format!("\"{hash}\""), |width| format!("\"{hash}-w{width}\""))
}

/// Whether a client says that it has what it asks for (RFC 9110, section 13.1.2).
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').map(str::trim).any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
    })
}

/// What of a picture is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    All,
    Part(Range<u64>),
    Nothing,
}

/// Reads the `Range` header (RFC 9110, section 14). What is no range of bytes, and several ranges at once, count as if
/// nothing had been said; so does a range of another picture than the one with the tag.
fn range(headers: &HeaderMap, tag: &str, size: u64) -> Wanted {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let Some(asked) = text(header::RANGE).and_then(|value| value.trim().strip_prefix("bytes=")) else {
        return Wanted::All;
    };
    if headers.contains_key(header::IF_RANGE) && text(header::IF_RANGE) != Some(tag) {
        return Wanted::All;
    }
    let Some((first, last)) = asked.trim().split_once('-') else { return Wanted::All };
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().unwrap_or(u64::MAX));
    match (first, last) {
        ("", "") => Wanted::All,
        ("", last) => match number(last) {
            Some(0) => Wanted::Nothing,
            Some(length) => Wanted::Part(size.saturating_sub(length)..size),
            None => Wanted::All,
        },
        (first, last) => {
            let end = if last.is_empty() { Some(u64::MAX) } else { number(last) };
            match (number(first), end) {
                (Some(first), Some(last)) if first > last => Wanted::All,
                (Some(first), Some(_)) if first >= size => Wanted::Nothing,
                (Some(first), Some(last)) => Wanted::Part(first..last.saturating_add(1).min(size)),
                _ => Wanted::All,
            }
        }
    }
}

fn slice(bytes: &Bytes, part: &Range<u64>) -> Bytes {
    let at = |place: u64| usize::try_from(place).unwrap_or(usize::MAX).min(bytes.len());
    bytes.slice(at(part.start)..at(part.end))
}

fn pictured(format: Format, size: u64, part: Option<Range<u64>>, body: Body) -> Response {
    let mut response = Response::new(body);
    let length = part.as_ref().map_or(size, |part| part.end - part.start);
    if let Some(part) = part {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let told = format!("bytes {}-{}/{size}", part.start, part.end - 1);
        put(response.headers_mut(), header::CONTENT_RANGE, &told);
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(header::CONTENT_LENGTH, length.into());
    response
}

fn beyond(size: u64) -> Response {
    let mut response = refusal(StatusCode::RANGE_NOT_SATISFIABLE, types::INVALID_VALUE, None, BEYOND, None);
    put(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{size}"));
    response
}

fn describe(headers: &mut HeaderMap, image: &Image, tag: &str, cached: u64) {
    put(headers, header::ETAG, tag);
    // Only for the browser of whoever asked: who may see a picture is asked for every time.
    put(headers, header::CACHE_CONTROL, &format!("private, max-age={cached}"));
    put(headers, header::LAST_MODIFIED, &http_date(image.created_at));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let name = utf8_percent_encode(&image.file_name, NON_ALPHANUMERIC);
    put(headers, header::CONTENT_DISPOSITION, &format!("inline; filename*=UTF-8''{name}"));
}

fn put(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    // All of them are ASCII without control characters.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn http_date(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(range_header: &str, if_range: Option<&str>) -> Wanted {
        let mut headers = HeaderMap::new();
        put(&mut headers, header::RANGE, range_header);
        if let Some(tag) = if_range {
            put(&mut headers, header::IF_RANGE, tag);
        }
        range(&headers, "\"t\"", 100)
    }

    #[test]
    fn a_range_is_read_as_the_standard_says() {
        for (text, wanted) in [
            ("bytes=0-9", Wanted::Part(0..10)),
            ("bytes=90-", Wanted::Part(90..100)),
            ("bytes=90-1000", Wanted::Part(90..100)),
            ("bytes=-10", Wanted::Part(90..100)),
            ("bytes=-1000", Wanted::Part(0..100)),
            ("bytes=99-99999999999999999999999", Wanted::Part(99..100)),
            ("bytes=100-", Wanted::Nothing),
            ("bytes=99999999999999999999999-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=9-0", Wanted::All),
            ("bytes=0-1,5-6", Wanted::All),
            ("bytes=a-b", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes=", Wanted::All),
            ("lines=0-9", Wanted::All),
        ] {
            assert_eq!(asked(text, None), wanted, "{text}");
        }
        assert_eq!(asked("bytes=0-9", Some("\"t\"")), Wanted::Part(0..10));
        assert_eq!(asked("bytes=0-9", Some("\"u\"")), Wanted::All);
    }

    #[test]
    fn a_known_tag_is_found_in_a_list() {
        let known = |text: &str| {
            let mut headers = HeaderMap::new();
            put(&mut headers, header::IF_NONE_MATCH, text);
            is_known(&headers, "\"t\"")
        };
        assert!(known("\"t\"") && known("\"a\", W/\"t\"") && known("*"));
        assert!(!known("\"tt\"") && !known("t") && !known(""));
    }

    #[test]
    fn a_time_is_written_as_http_does() {
        assert_eq!(http_date(Timestamp::from_millis(1_772_442_000_007)), "Mon, 02 Mar 2026 09:00:00 GMT");
    }
}
