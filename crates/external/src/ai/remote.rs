//! The existing system's AI server, which owns conversations and reports by itself.

use std::time::Duration;

use bytes::Bytes;
use carebot_model::{AccountId, FamilyId, Timestamp};
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::guard::{Guard, Limits};
use crate::http;
use crate::{ProviderError, Result};

/// The longest answer in bytes.
const LONGEST: usize = 1 << 20;

/// A client of one AI server.
#[derive(Debug)]
pub struct Remote {
    http: reqwest::Client,
    base_url: String,
    guard: Guard,
}

/// What the AI server answers to something said.
#[derive(Clone, Debug, Deserialize)]
pub struct Reply {
    /// Names the conversation.
    pub session_id: String,
    /// What the robot says.
    pub bot_message: String,
}

/// A closed range of time.
pub type Period = (Timestamp, Timestamp);

impl Remote {
    /// A client; nothing is asked yet. `seed` makes the jitter of second tries.
    ///
    /// # Errors
    /// As [`http::client`].
    pub fn new(base_url: &str, limits: Limits, seed: u64) -> Result<Self> {
        Ok(Self { http: http::client()?, base_url: base_url.to_owned(), guard: Guard::new("ai-server", limits, seed) })
    }

    /// Whether it lives.
    ///
    /// # Errors
    /// As any call.
    pub async fn alive(&self) -> Result<()> {
        self.guard.once(self.call(Method::GET, "/heartbeat", None)).await.map(drop)
    }

    /// Says something in a conversation, which it stores; somebody waits for the answer no longer than so long.
    ///
    /// # Errors
    /// As any call.
    pub async fn say(&self, user: AccountId, message: &str, session: Option<&str>, within: Duration) -> Result<Reply> {
        let said = json!({"user_id": user, "user_message": message, "session_id": session});
        http::json(&self.guard.once_within(within, self.call(Method::POST, "/chat", Some(&said))).await?)
    }

    /// The mood of today; it stores the report.
    ///
    /// # Errors
    /// As any call; [`ProviderError::Nothing`] without a conversation.
    pub async fn mood(&self, family: FamilyId) -> Result<Value> {
        let path = format!("/generate-emotional-report/{family}");
        http::json(&self.guard.once(self.call(Method::POST, &path, None)).await?)
    }

    /// The mood over a period; it stores the report.
    ///
    /// # Errors
    /// As any call.
    pub async fn mood_report(&self, family: FamilyId, period: Period) -> Result<Value> {
        let path = format!("/generate-emotional-report/period/{family}");
        http::json(&self.guard.once(self.call(Method::POST, &path, Some(&dates(period)))).await?)
    }

    /// What the conversations are about.
    ///
    /// # Errors
    /// As any call.
    pub async fn keywords(&self, family: FamilyId) -> Result<Value> {
        let path = format!("/generate-keyword/{family}");
        http::json(&self.guard.ask(|| self.call(Method::GET, &path, None)).await?)
    }

    /// How somebody speaks and thinks.
    ///
    /// # Errors
    /// As any call; [`ProviderError::Nothing`] without a conversation.
    pub async fn psychology(&self, family: FamilyId, period: Option<Period>) -> Result<Value> {
        let path = format!("/analyze-mental-health/{family}");
        let dates = period.map(dates);
        http::json(&self.guard.once(self.call(Method::POST, &path, dates.as_ref())).await?)
    }

    /// The weather at an account's address.
    ///
    /// # Errors
    /// As any call; [`ProviderError::Nothing`] if it knows none.
    pub async fn weather(&self, user: AccountId) -> Result<Value> {
        let path = format!("/weather/{user}");
        http::json(&self.guard.ask(|| self.call(Method::GET, &path, None)).await?)
    }

    async fn call(&self, method: Method, path: &str, sent: Option<&Value>) -> Result<Bytes> {
        let bodyless = sent.is_none() && method == Method::POST;
        let mut request = self.http.request(method, http::url(&self.base_url, path)?);
        request = match sent {
            Some(sent) => request.json(sent),
            None if bodyless => request.header(reqwest::header::CONTENT_LENGTH, 0),
            None => request,
        };
        answer(request.send().await?).await
    }
}

/// Only 200 is a success, as the existing API server sees it.
async fn answer(response: Response) -> Result<Bytes> {
    match response.status() {
        StatusCode::OK => http::body(response, LONGEST).await,
        StatusCode::NOT_FOUND => Err(ProviderError::Nothing),
        // Its reason can hold what was said.
        status => Err(http::refused(status, "")),
    }
}

fn dates((start, end): Period) -> Value {
    json!({"start_date": format!("{start}+00:00"), "end_date": format!("{end}+00:00")})
}
