//! Any feed in RSS (0.9 to 2.0), Atom or JSON Feed.

use bytes::Bytes;
use carebot_model::Timestamp;
use feed_rs::model::Entry;

use crate::guard::{Guard, Health, Limits};
use crate::news::Item;
use crate::{ProviderError, Result, http};

/// The longest feed in bytes.
const LONGEST: usize = 4 << 20;
/// The most pieces of news that are taken from a feed.
const MOST: usize = 100;

/// A client of one feed.
#[derive(Debug)]
pub struct Feed {
    http: reqwest::Client,
    url: String,
    guard: Guard,
}

impl Feed {
    /// A client; nothing is asked yet. `seed` makes the jitter of second tries.
    ///
    /// # Errors
    /// As [`http::client`].
    pub fn new(url: String, limits: Limits, seed: u64) -> Result<Self> {
        Ok(Self { http: http::public_client()?, url, guard: Guard::new("news feed", limits, seed) })
    }

    /// Where the feed is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether the feed is asked at the moment.
    pub fn health(&self) -> Health {
        self.guard.health()
    }

    /// What the feed has now, newest first as a rule.
    ///
    /// # Errors
    /// As any provider; an empty feed is an empty list.
    pub async fn items(&self) -> Result<Vec<Item>> {
        self.guard
            .ask(async || {
                let answer = http::body(self.http.get(&self.url).send().await?, LONGEST).await?;
                // A feed of some megabytes takes a while.
                let parsed = tokio::task::spawn_blocking(move || items(&answer)).await;
                parsed.unwrap_or_else(|_| Err(ProviderError::Malformed("the feed cannot be read".into())))
            })
            .await
    }
}

fn items(answer: &Bytes) -> Result<Vec<Item>> {
    let feed = feed_rs::parser::parse(&answer[..]).or_else(|error| {
        if std::str::from_utf8(answer).is_ok() {
            return Err(error);
        }
        // Some bytes are broken: what is whole can still be read.
        feed_rs::parser::parse(String::from_utf8_lossy(answer).as_bytes())
    });
    // The error's own text can hold a piece of the feed.
    let feed = feed.map_err(|_| ProviderError::Malformed("it is no RSS, Atom or JSON feed".into()))?;
    let read: Vec<Item> = feed.entries.iter().take(MOST).filter_map(item).collect();
    if read.is_empty() && !feed.entries.is_empty() {
        let count = feed.entries.len();
        let reason = format!("none of its {count} entries has a readable title and a link (is its encoding declared?)");
        return Err(ProviderError::Malformed(reason));
    }
    Ok(read)
}

fn item(entry: &Entry) -> Option<Item> {
    let title = &entry.title.as_ref()?.content;
    let is_article = |rel: &Option<String>| rel.as_deref().is_none_or(|rel| rel == "alternate");
    let link = entry.links.iter().find(|link| is_article(&link.rel)).or_else(|| entry.links.first())?;
    let published = entry.published.or(entry.updated);
    let published = published.map(|at| Timestamp::from_millis(at.timestamp_millis()));
    Item::new(title, &link.href, picture(entry).as_deref(), published)
}

/// A picture of the entry: from its media, or what is enclosed.
fn picture(entry: &Entry) -> Option<String> {
    let media = entry.media.iter().flat_map(|media| {
        let whole = media
            .content
            .iter()
            .filter(|content| content.content_type.as_ref().is_some_and(|kind| kind.ty().as_str() == "image"));
        let whole = whole.filter_map(|content| content.url.as_ref()).map(ToString::to_string);
        whole.chain(media.thumbnails.iter().map(|thumbnail| thumbnail.image.uri.clone()))
    });
    let enclosed = entry.links.iter().filter(|link| {
        link.rel.as_deref() == Some("enclosure")
            && link.media_type.as_deref().is_some_and(|kind| kind.starts_with("image/"))
    });
    media.chain(enclosed.map(|link| link.href.clone())).next()
}
