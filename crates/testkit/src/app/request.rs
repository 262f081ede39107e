//! A request that never touches a socket.

use std::net::IpAddr;

use axum::body::Body;
use carebot_server::Peer;
use http::{HeaderValue, Method, header};
use http_body_util::BodyExt;
use serde_json::Value;

use super::{EventStream, Person, Reply, TestApp, document};

/// Who sends a request: a [`Person`], a token, or [`ANYONE`].
pub trait Who {
    /// The token of the session, if there is one.
    fn token(&self) -> Option<String>;
}

/// Somebody who is not signed in.
pub const ANYONE: Option<&Person> = None;

impl Who for &Person {
    fn token(&self) -> Option<String> {
        Some(self.token.clone())
    }
}

impl Who for Option<&Person> {
    fn token(&self) -> Option<String> {
        self.map(|person| person.token.clone())
    }
}

impl Who for &str {
    fn token(&self) -> Option<String> {
        Some((*self).to_owned())
    }
}

impl Who for &String {
    fn token(&self) -> Option<String> {
        Some((*self).clone())
    }
}

/// A request that is being put together.
#[derive(Debug)]
pub struct Request<'a> {
    app: &'a TestApp,
    inner: http::Request<Body>,
    peer: Peer,
}

impl<'a> Request<'a> {
    pub(super) fn new(app: &'a TestApp, line: &str) -> Self {
        let (method, target) = line.split_once(' ').expect("a method and a path");
        let mut inner = http::Request::new(Body::empty());
        *inner.method_mut() = method.parse::<Method>().expect("a method");
        *inner.uri_mut() = target.parse().unwrap_or_else(|error| panic!("{target} is no path: {error}"));
        let host = HeaderValue::from_static("carebot.test");
        inner.headers_mut().insert(header::HOST, host);
        Self { app, inner, peer: Peer::default() }
    }

    /// With the cookie of a session.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "callers say `by(&person)` or `by(ANYONE)`")]
    pub fn by(self, who: impl Who) -> Self {
        match who.token() {
            Some(token) => self.header("cookie", format!("session_id={token}")),
            None => self,
        }
    }

    /// With one more header.
    ///
    /// # Panics
    /// When it cannot be one.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        let value = HeaderValue::from_bytes(value.as_ref()).expect("the value of a header");
        if name == "host" {
            self.inner.headers_mut().insert(name, value);
        } else {
            self.inner.headers_mut().append(name, value);
        }
        self
    }

    /// Without a header that every request has.
    #[must_use]
    pub fn without(mut self, name: &'static str) -> Self {
        self.inner.headers_mut().remove(name);
        self
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// With any body, also an empty one.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: impl Into<Body>) -> Self {
        *self.inner.body_mut() = body.into();
        self.header("content-type", content_type)
    }

    /// With a form that holds a file in its field `file`.
    #[must_use]
    pub fn file(self, name: &str, content: &[u8]) -> Self {
        let head = format!(
            "--carebot-test\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        let form = [head.as_bytes(), content, b"\r\n--carebot-test--\r\n"].concat();
        self.body("multipart/form-data; boundary=carebot-test", form)
    }

    /// From another address than 127.0.0.1.
    ///
    /// # Panics
    /// When it is no address.
    #[must_use]
    pub fn from(mut self, address: &str) -> Self {
        self.peer.address = address.parse::<IpAddr>().expect("an address");
        self
    }

    /// Over a connection that the server itself encrypts.
    #[must_use]
    pub const fn tls(mut self) -> Self {
        self.peer.tls = true;
        self
    }

    /// Sends it and follows the stream that is the answer.
    ///
    /// # Panics
    /// When it is another answer.
    pub async fn follow(self) -> EventStream {
        let (parts, body) = self.app.edge.serve(self.peer, self.inner).await.into_parts();
        let stream = EventStream::new(parts.status.as_u16(), parts.headers, body);
        assert_eq!(stream.status, 200, "{stream:?}");
        stream
    }

    /// Sends it and takes the whole answer in; of a stream that has no end, the beginning.
    ///
    /// # Panics
    /// When the answer breaks off, or is not as the OpenAPI document says.
    pub async fn send(self) -> Reply {
        let (method, path) = (self.inner.method().clone(), self.inner.uri().path().to_owned());
        let (parts, mut body) = self.app.edge.serve(self.peer, self.inner).await.into_parts();
        let is_endless = parts.status == 200 && path.starts_with("/v1/events");
        let body = if is_endless {
            let first = body.frame().await.expect("it begins").expect("it does not break off");
            first.into_data().expect("it begins with data")
        } else {
            body.collect().await.expect("the answer is whole").to_bytes()
        };
        let reply =
            Reply { status: parts.status.as_u16(), headers: parts.headers, body, names: self.app.names.clone() };
        document::check(&method, &path, &reply);
        reply
    }
}
