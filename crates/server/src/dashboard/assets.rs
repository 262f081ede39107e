//! The files of `web/`: part of the program, named by what they hold so that browsers keep them.

use std::sync::LazyLock;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};

use super::problem::Problem;
use crate::context::Path;

/// A file.
pub struct Asset {
    name: &'static str,
    media: &'static str,
    bytes: &'static [u8],
}

macro_rules! assets {
    ($($constant:ident: $name:literal $media:literal),+ $(,)?) => {
        $(pub static $constant: Asset = Asset {
            name: $name,
            media: $media,
            bytes: include_bytes!(concat!("../../../../web/", $name)),
        };)+
        static ALL: &[&Asset] = &[$(&$constant),+];
    };
}

assets! {
    STYLE: "style.css" "text/css; charset=utf-8",
    SCRIPT: "app.js" "text/javascript; charset=utf-8",
    WORKER: "sw.js" "text/javascript; charset=utf-8",
    MANIFEST: "manifest.json" "application/manifest+json",
    ICON: "icon.svg" "image/svg+xml",
    ICON_PNG: "icon-192.png" "image/png",
    ICON_LARGE: "icon-512.png" "image/png",
}

/// What all files together are: changes with any of them.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in ALL.iter().flat_map(|asset| asset.bytes) {
        // FNV-1a: tells versions apart, protects nothing.
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
});

impl Asset {
    /// Where it is; another place when it changes.
    pub fn address(&self) -> String {
        format!("/app/static/{}?v={}", self.name, *VERSION)
    }
}

fn response(asset: &Asset, cache: &'static str) -> Response {
    let text = || {
        // These name others; they have to change with them.
        let text = String::from_utf8_lossy(asset.bytes).replace("@VERSION@", &VERSION);
        Body::from(text)
    };
    let body = match asset.name {
        "sw.js" | "manifest.json" => text(),
        _ => Body::from(asset.bytes),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.media));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    response
}

/// A file by its name.
pub async fn serve(path: Path) -> Result<Response, Problem> {
    let asset = ALL.iter().find(|asset| asset.name == path.one()).ok_or(Problem::NoPage)?;
    Ok(response(asset, "public, max-age=31536000, immutable"))
}

/// The service worker: it lies where its pages lie, and is asked for anew each time.
pub async fn worker() -> Response {
    let mut response = response(&WORKER, "no-cache");
    *response.status_mut() = StatusCode::OK;
    response
}
