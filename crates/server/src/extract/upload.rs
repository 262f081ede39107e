//! A file in a form (`multipart/form-data`, RFC 7578), taken in piece by piece: who may not upload is refused before the
//! file is in memory.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::Stream;
use http::HeaderMap;
use http_body::Body as _;
use serde_json::Value;
use tokio::time::Instant;

use super::body::{self, BodyError, THROWN_AWAY};
use super::item::{Fault, Invalid};
use crate::error::ApiError;

/// A client that sends slower than this, in bytes a second, does not get through.
const SLOWEST: u64 = 16 * 1024;
/// What a form may have besides its file: names, boundaries, other fields.
const BESIDES: usize = 64 * 1024;
/// How many of the other fields are kept.
const FIELDS: usize = 32;

/// A file that is about to be read.
pub struct Upload {
    field: multer::Field<'static>,
    /// What the client calls it; may be anything.
    pub file_name: String,
    /// The fields before it.
    pub fields: Vec<(String, String)>,
    /// The length of the whole form, if it was announced.
    pub announced: Option<u64>,
    most: usize,
    time: Duration,
    started: Instant,
    asks_first: bool,
    is_cut: Arc<AtomicBool>,
}

/// How a file ended.
pub enum File {
    /// All of it.
    Whole(Bytes),
    /// It is longer than allowed: how long it was announced to be, or how much of it came.
    TooLarge(u64),
}

fn missing() -> ApiError {
    Invalid::one(Fault::MISSING.at(&["body", "file"], Value::Null)).into()
}

impl Upload {
    /// Reads a form up to its field `file`, which may have at most `most` bytes.
    ///
    /// `time` is what a form may take to arrive, and a second more for every 16 KiB of it.
    ///
    /// # Errors
    /// The contract's 422 if there is no file; [`BodyError`].
    pub async fn open(headers: &HeaderMap, body: Body, most: usize, time: Duration) -> Result<Self, ApiError> {
        let boundary = body::content_type(headers).and_then(|text| multer::parse_boundary(text).ok());
        let Some(boundary) = boundary else { return Err(missing()) };
        let announced = body.size_hint().exact();
        let asks_first = body::asks_first(headers);
        let limit = most.saturating_add(BESIDES);
        let is_cut = Arc::new(AtomicBool::new(false));
        let pieces = Pieces { body, taken: 0, limit, swallows: !asks_first, is_cut: Arc::clone(&is_cut), paused: true };
        let mut form = multer::Multipart::new(pieces, boundary);
        let (started, mut before, mut fields) = (Instant::now(), 0, Vec::new());
        let cut_or = |other: ApiError| {
            if is_cut.load(Ordering::Relaxed) { BodyError::TooLarge { limit }.into() } else { other }
        };
        loop {
            let next = tokio::time::timeout_at(started + time, form.next_field()).await;
            let mut field = match next.map_err(|_| BodyError::TimedOut { limit: time })? {
                Ok(Some(field)) => field,
                Ok(None) => return Err(cut_or(missing())),
                Err(error) => return Err(cut_or(broken(error))),
            };
            if let (Some("file"), Some(name)) = (field.name(), field.file_name()) {
                let file_name = name.to_owned();
                return Ok(Self { field, file_name, fields, announced, most, time, started, asks_first, is_cut });
            }
            // Another field: a page sends what belongs to the file before it.
            let name = field.name().map(str::to_owned);
            let mut value = Vec::new();
            loop {
                let piece = tokio::time::timeout_at(started + time, field.chunk()).await;
                match piece.map_err(|_| BodyError::TimedOut { limit: time })? {
                    Ok(None) => break,
                    Ok(Some(piece)) => {
                        before += piece.len();
                        value.extend_from_slice(&piece);
                    }
                    Err(error) => return Err(cut_or(broken(error))),
                }
                if before > BESIDES {
                    return Err(BodyError::TooLarge { limit: BESIDES }.into());
                }
            }
            // Of a form with very many, the first.
            fields.extend(
                name.filter(|_| fields.len() < FIELDS).map(|name| (name, String::from_utf8_lossy(&value).into_owned())),
            );
        }
    }

    /// Takes the file in.
    ///
    /// # Errors
    /// [`BodyError`].
    pub async fn read(mut self) -> Result<File, ApiError> {
        let limit = self.most.saturating_add(BESIDES) as u64;
        if let Some(announced) = self.announced.filter(|announced| *announced > limit) {
            self.throw_away().await;
            return Ok(File::TooLarge(announced));
        }
        let mut file = Vec::new();
        loop {
            let piece = match self.piece(file.len()).await {
                Ok(Some(piece)) => piece,
                Ok(None) => return Ok(File::Whole(file.into())),
                Err(_) if self.is_cut.load(Ordering::Relaxed) => {
                    return Ok(File::TooLarge(self.announced.unwrap_or(limit)));
                }
                Err(error) => return Err(error),
            };
            if file.len() + piece.len() > self.most {
                let came = (file.len() + piece.len()) as u64;
                drop(file);
                let announced = self.announced;
                self.throw_away().await;
                return Ok(File::TooLarge(announced.unwrap_or(came)));
            }
            file.extend_from_slice(&piece);
        }
    }

    async fn piece(&mut self, read: usize) -> Result<Option<Bytes>, ApiError> {
        let deadline = self.started + self.time + Duration::from_secs(read as u64 / SLOWEST);
        match tokio::time::timeout_at(deadline, self.field.chunk()).await {
            Ok(piece) => piece.map_err(broken),
            Err(_) => Err(BodyError::TimedOut { limit: self.time }.into()),
        }
    }

    /// Lets a client that sends all it has before it reads the answer come to the answer.
    pub async fn throw_away(mut self) {
        if self.asks_first || self.announced.is_some_and(|announced| announced > THROWN_AWAY as u64) {
            return;
        }
        let mut read = 0;
        while let Ok(Some(piece)) = self.piece(read).await {
            read += piece.len();
        }
    }
}

fn broken(error: multer::Error) -> ApiError {
    match error {
        multer::Error::StreamReadFailed(inner) => match inner.downcast::<BodyError>() {
            Ok(error) => (*error).into(),
            Err(inner) => BodyError::Broken(inner).into(),
        },
        // The form does not hold together, so there is no file in it.
        _ => missing(),
    }
}

/// The body of a request, one piece at a time, and cut at a limit. What comes after the limit is thrown away, as much as is
/// worth it, before the end is told.
struct Pieces {
    body: Body,
    taken: usize,
    limit: usize,
    swallows: bool,
    /// Whether it was cut: what the form's parser then says of its end is no fault of the client.
    is_cut: Arc<AtomicBool>,
    /// Whether whoever reads was sent away once since the last piece. The form's parser otherwise takes in all that there
    /// is before it looks at the first of it.
    paused: bool,
}

impl Stream for Pieces {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.paused {
            self.paused = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            let mut piece = match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(BodyError::Broken(error.into())))),
                Poll::Ready(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            };
            let room = self.limit.saturating_sub(self.taken);
            self.taken = self.taken.saturating_add(piece.len());
            piece.truncate(room);
            if self.taken > self.limit {
                self.is_cut.store(true, Ordering::Relaxed);
                if piece.is_empty() && (!self.swallows || self.taken > self.limit.saturating_add(THROWN_AWAY)) {
                    return Poll::Ready(None);
                }
            }
            if !piece.is_empty() {
                self.paused = false;
                return Poll::Ready(Some(Ok(piece)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    const TIME: Duration = Duration::from_secs(5);

    fn headers(content_type: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::CONTENT_TYPE, content_type.parse().expect("a header"));
        headers
    }

    fn form(before: &str, content: &str) -> String {
        format!(
            "--x\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\n{before}\r\n--x\r\n\
             Content-Disposition: form-data; name=\"file\"; filename=\"생일.jpg\"\r\nContent-Type: image/png\r\n\r\n\
             {content}\r\n--x--\r\n"
        )
    }

    async fn open(body: Body) -> Result<Upload, ApiError> {
        Upload::open(&headers("multipart/form-data; boundary=x"), body, 1_000, TIME).await
    }

    /// In pieces of a few bytes, without a length.
    fn dribble(text: &str) -> Body {
        let pieces: Vec<Result<Vec<u8>, std::io::Error>> =
            text.as_bytes().chunks(7).map(|piece| Ok(piece.to_vec())).collect();
        Body::from_stream(stream::iter(pieces))
    }

    #[tokio::test]
    async fn a_file_is_read_however_it_comes() {
        let text = form("hello", "1234567890");
        for body in [Body::from(text.clone()), dribble(&text)] {
            let Ok(upload) = open(body).await else { panic!("there is a file") };
            assert_eq!(upload.file_name, "생일.jpg");
            assert!(matches!(upload.read().await, Ok(File::Whole(bytes)) if bytes == "1234567890"));
        }
    }

    #[tokio::test]
    async fn a_file_that_is_too_large_is_told_with_its_length() {
        let text = form("", &"a".repeat(1_001));
        let Ok(upload) = open(Body::from(text.clone())).await else { panic!("there is a file") };
        let announced = text.len() as u64;
        assert!(matches!(upload.read().await, Ok(File::TooLarge(length)) if length == announced));
        let Ok(upload) = open(dribble(&text)).await else { panic!("there is a file") };
        assert!(matches!(upload.read().await, Ok(File::TooLarge(length)) if length > 1_000));
        let huge = form("", &"a".repeat(200_000));
        let Ok(upload) = open(Body::from(huge)).await else { panic!("there is a file") };
        assert!(matches!(upload.read().await, Ok(File::TooLarge(length)) if length > 200_000));
    }

    #[tokio::test]
    async fn without_a_file_there_is_nothing_to_upload() {
        let text = form("", "a").replace("name=\"file\"", "name=\"other\"");
        for (content_type, body) in [
            ("multipart/form-data; boundary=x", Body::from(text)),
            ("multipart/form-data; boundary=x", Body::from("--x--\r\n")),
            ("multipart/form-data; boundary=x", Body::empty()),
            ("multipart/form-data; boundary=x", Body::from("\0\x01\x02")),
            ("multipart/form-data", Body::from(form("", "a"))),
            ("application/json", Body::from("{}")),
        ] {
            let opened = Upload::open(&headers(content_type), body, 1_000, TIME).await;
            assert!(matches!(opened, Err(ApiError::Invalid(_))), "{content_type}");
        }
    }

    #[tokio::test]
    async fn what_stands_before_the_file_is_bounded() {
        let opened = open(Body::from(form(&"a".repeat(100_000), "a"))).await;
        assert!(matches!(opened, Err(ApiError::Body(BodyError::TooLarge { .. }))));
        let opened = open(dribble(&"a".repeat(100_000))).await;
        assert!(matches!(opened, Err(ApiError::Body(BodyError::TooLarge { .. }))));
    }

    #[tokio::test]
    async fn a_form_that_is_cut_off_has_no_file() {
        let text = form("", &"a".repeat(500));
        let Ok(upload) = open(Body::from(text[..400].to_owned())).await else { panic!("there is a file") };
        assert!(upload.read().await.is_err());
    }
}
