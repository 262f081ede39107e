//! newsdata.io: news of Korea in Korean, by category.
//!
//! Source: newsdata.io documentation, "Latest News Endpoint", "Response Object", "Pagination", "HTTP Response Codes".

use carebot_model::Timestamp;
use carebot_model::news::Category;
use jiff::civil;
use jiff::tz::Offset;
use serde::Deserialize;
use serde_json::Value;

use crate::Key;
use crate::guard::{Guard, Health, Limits};
use crate::news::Item;
use crate::{ProviderError, Result, http, portal};

/// Where the service is.
pub const BASE_URL: &str = "https://newsdata.io/api/1";
/// The longest answer in bytes.
const LONGEST: usize = 4 << 20;

/// What the service needs to be asked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Up to and with the version.
    pub base_url: String,
    /// The key.
    pub key: Key,
    /// How many pages are read for a category, each one call.
    pub pages: u32,
    /// Limits of every call.
    pub limits: Limits,
}

/// A client of the service.
#[derive(Debug)]
pub struct NewsData {
    http: reqwest::Client,
    settings: Settings,
    guard: Guard,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status: String,
    #[serde(default)]
    results: Value,
    #[serde(default)]
    next_page: Option<String>,
}

#[derive(Deserialize)]
struct Article {
    title: Option<String>,
    link: Option<String>,
    #[serde(rename = "pubDate")]
    published: Option<String>,
    image_url: Option<String>,
}

impl NewsData {
    /// A client; nothing is asked yet. `seed` makes the jitter of second tries.
    ///
    /// # Errors
    /// As [`http::client`].
    pub fn new(settings: Settings, seed: u64) -> Result<Self> {
        let guard = Guard::new("newsdata.io", settings.limits, seed);
        Ok(Self { http: http::client()?, settings, guard })
    }

    /// Whether the service is asked at the moment.
    pub fn health(&self) -> Health {
        self.guard.health()
    }

    /// The latest news of a category.
    ///
    /// # Errors
    /// As any provider, if already the first page fails; what fails later only ends the list.
    pub async fn items(&self, category: Category) -> Result<Vec<Item>> {
        let (mut items, mut page) = (Vec::new(), None);
        for number in 0..self.settings.pages.max(1) {
            let answer = match self.page(category, page.as_deref()).await {
                Err(error) if number > 0 => {
                    tracing::debug!(%error, category = category.name(), "a further page of news could not be read");
                    return Ok(items);
                }
                answer => answer?,
            };
            items.extend(answer.0);
            page = answer.1;
            if page.is_none() {
                break;
            }
        }
        Ok(items)
    }

    async fn page(&self, category: Category, page: Option<&str>) -> Result<(Vec<Item>, Option<String>)> {
        let mut url = http::url(&self.settings.base_url, "latest")?;
        url.query_pairs_mut()
            .append_pair("country", "kr")
            .append_pair("language", "ko")
            .append_pair("category", category.name());
        if let Some(page) = page {
            url.query_pairs_mut().append_pair("page", page);
        }
        self.guard
            .ask(async || {
                // In a header: an address stands in more logs.
                let request = self.http.get(url.clone()).header("X-ACCESS-KEY", &self.settings.key.0);
                let answer = http::body(request.send().await?, LONGEST).await;
                let answer = answer.map_err(|error| portal::hide(error, &self.settings.key.0))?;
                read(&answer)
            })
            .await
    }
}

fn read(answer: &[u8]) -> Result<(Vec<Item>, Option<String>)> {
    let answer: Answer = serde_json::from_slice(answer).map_err(|error| {
        ProviderError::Malformed(format!("the answer is not as documented (column {})", error.column()))
    })?;
    if answer.status != "success" {
        return Err(refused(&answer.results));
    }
    let Value::Array(rows) = answer.results else {
        return Err(ProviderError::Malformed("the answer has no list of articles".into()));
    };
    let items = rows.into_iter().filter_map(|row| serde_json::from_value::<Article>(row).ok()).filter_map(|article| {
        let published = article.published.as_deref().and_then(time);
        Item::new(article.title.as_deref()?, article.link.as_deref()?, article.image_url.as_deref(), published)
    });
    Ok((items.collect(), answer.next_page))
}

/// `{"status":"error","results":{"message":"..","code":".."}}`, where it comes with a good HTTP status.
fn refused(results: &Value) -> ProviderError {
    let code: String = results["code"].as_str().unwrap_or("without a code").chars().take(60).collect();
    match code.as_str() {
        "Unauthorized" | "AccessDenied" | "Forbidden" => ProviderError::Key(code),
        "TooManyRequests" | "RateLimitExceeded" | "ApiLimitExceeded" => ProviderError::Quota(code),
        _ => ProviderError::Refused { status: 200, reason: code },
    }
}

/// `2026-03-02 09:00:00`, UTC.
fn time(text: &str) -> Option<Timestamp> {
    let at = civil::DateTime::strptime("%Y-%m-%d %H:%M:%S", text.trim()).ok()?;
    Offset::UTC.to_timestamp(at).ok().map(|at| Timestamp::from_millis(at.as_millisecond()))
}
