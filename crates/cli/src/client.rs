//! A client of the HTTP interface: what a robot or a page does, for `replay`, `demo` and `doctor`.

use std::time::Duration;

use reqwest::{Method, StatusCode, Url, header};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::failure::{Failure, Result};

/// How long one request may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long a server may keep saying "later" (503, 429) to one request.
const BUSY_PATIENCE: Duration = Duration::from_mins(2);
/// How long to wait if the server does not say, and at most if it does.
const BUSY_WAIT: (u64, u64) = (1, 30);

/// Signed in or not; cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    /// `session_id=..`, as the server set it.
    cookie: Option<header::HeaderValue>,
    busy_patience: Duration,
}

/// What the server answered.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The body; `null` if it is not JSON.
    pub body: Value,
    /// The header `Date`, for the doctor.
    pub date: Option<String>,
}

impl Client {
    /// For the server at a URL; nothing is sent yet.
    pub fn new(url: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Failure::usage(format!("`{url}` is not the URL of a server: {why}"))
                .next("Write it like http://localhost:8000 or https://care.example.org")
        };
        let mut base = Url::parse(url).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(wrong("it begins with `http://` or `https://` and a host"));
        }
        if !base.username().is_empty() || base.query().is_some() {
            return Err(wrong("it has no user and no `?`"));
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let mut http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .connect_timeout(Duration::from_secs(10))
            .tcp_nodelay(true)
            .user_agent(concat!("carebot/", env!("CARGO_PKG_VERSION")));
        if is_local(&base) {
            // A proxy has nothing to do with this machine's own servers.
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| Failure::new(format!("no HTTP client: {}", reason(&error))))?;
        Ok(Self { http, base, cookie: None, busy_patience: BUSY_PATIENCE })
    }

    /// Takes the first answer, even if it is "later".
    #[must_use]
    pub fn impatient(self) -> Self {
        Self { busy_patience: Duration::ZERO, ..self }
    }

    /// Signs in; the account.
    pub async fn sign_in(&mut self, email: &str, password: &str) -> Result<Value> {
        let body = json!({ "email": email, "password": password });
        let response = self.request(Method::POST, "auth/login", Some(&body)).await?;
        let cookie = response.headers().get_all(header::SET_COOKIE).iter().find_map(|cookie| {
            let pair = cookie.to_str().ok()?.split(';').next()?.trim();
            pair.strip_prefix("session_id=").filter(|value| !value.is_empty())?;
            header::HeaderValue::from_str(pair).ok()
        });
        let reply = Reply::read(response).await?;
        if reply.status == StatusCode::UNAUTHORIZED {
            return Err(Failure::new(format!("{} did not let {email} in: {}", self.base, reply.message())).next(
                "Check --email and the password. An operator sets a new one with `carebot account reset-password`.",
            ));
        }
        let body = reply.expect(&format!("signing in at {}", self.base))?;
        self.cookie = cookie;
        if self.cookie.is_none() {
            return Err(
                Failure::new(format!("{} answered without a session", self.base)).next("Is it a carebot server?")
            );
        }
        Ok(body["user_data"].clone())
    }

    /// Gives the session back.
    pub async fn sign_out(&mut self) -> Result {
        self.post("auth/logout", &json!({})).await?;
        self.cookie = None;
        Ok(())
    }

    /// Reads.
    pub async fn get(&self, path: &str) -> Result<Reply> {
        Reply::read(self.request(Method::GET, path, None).await?).await
    }

    /// Writes.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        Reply::read(self.request(Method::POST, path, Some(body)).await?).await
    }

    /// Sends a request. While the server says "later", it is sent again.
    async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<reqwest::Response> {
        let deadline = Instant::now() + self.busy_patience;
        loop {
            let response = self.once(method.clone(), path, body).await?;
            let is_busy = matches!(response.status(), StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
            let asked = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            let wait = Duration::from_secs(asked.unwrap_or(BUSY_WAIT.0).clamp(BUSY_WAIT.0, BUSY_WAIT.1));
            if !is_busy || Instant::now() + wait > deadline {
                return Ok(response);
            }
            tracing::warn!(path, status = response.status().as_u16(), "the server is busy; trying again in {wait:?}");
            tokio::time::sleep(wait).await;
        }
    }

    async fn once(&self, method: Method, path: &str, body: Option<&Value>) -> Result<reqwest::Response> {
        let url = self.base.join(path).map_err(|error| Failure::new(format!("{path}: {error}")))?;
        let mut request = self.http.request(method, url);
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie.clone());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await.map_err(|error| {
            let failure = Failure::new(format!("{}: {}", self.base, reason(&error)));
            if error.is_connect() {
                failure.next(
                    "Does a server run there? `carebot serve` starts one. Check scheme, host and port of the URL.",
                )
            } else {
                failure.next("Whether the server has done the last thing is not known.")
            }
        })
    }
}

fn is_local(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        None => false,
    }
}

/// The innermost cause: the outer ones only repeat the URL.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

impl Reply {
    async fn read(response: reqwest::Response) -> Result<Self> {
        let status = response.status();
        let date = response.headers().get(header::DATE).and_then(|date| date.to_str().ok()).map(str::to_owned);
        let bytes = response
            .bytes()
            .await
            .map_err(|error| Failure::new(format!("the answer broke off: {}", reason(&error))))?;
        Ok(Self { status, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null), date })
    }

    /// The server's own words, or its status.
    pub fn message(&self) -> String {
        let detail = &self.body["detail"];
        let words = detail["message"].as_str().or(detail[0]["msg"].as_str()).or(detail.as_str());
        words.map_or_else(|| self.status.to_string(), |words| format!("{words} ({})", self.status.as_u16()))
    }

    /// The result, if the server did what it was asked for.
    pub fn expect(self, what: &str) -> Result<Value> {
        if self.status.is_success() {
            Ok(self.body["result"].clone())
        } else {
            Err(Failure::new(format!("{what}: {}", self.message())))
        }
    }
}
