mod access;
mod draw;
mod store;
mod thumbnails;
mod upload;

pub use draw::png;

use crate::prelude::*;

/// An upload that must succeed; where the picture is.
async fn upload(app: &TestApp, who: &Person, name: &str, bytes: &[u8]) -> String {
    let reply = app.request("POST /upload").by(who).file(name, bytes).send().await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.given("file_path")
}

/// The bytes of a picture that must be there, decoded.
async fn see(app: &TestApp, who: &Person, path: &str) -> image::DynamicImage {
    let reply = app.get(path, who).await;
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    image::load_from_memory(&reply.body).expect("it is a picture")
}
