//! News.

use std::time::Duration;

use carebot_external::Key;
use carebot_external::guard::Limits;
use carebot_external::news::newsdata::{self, BASE_URL};
use carebot_model::news::Category;
use carebot_service::news;
use reqwest::Url;

use super::secret::Secret;
use super::server::PublicUrl;
use super::setting::section;
use super::value::{Raw, Rejected, Value, quoted};

section! {
    /// News of the day, in eight categories: from feeds (RSS, Atom), from newsdata.io, or from both. Each source is asked once
    /// a day, two hours before the Korean midnight, and at the first start. Without any source the categories stay empty.
    pub struct News in "news" {
        /// Feeds with news of business. In the environment a comma within an address is written `%2C`; so with the others.
        business: Vec<FeedUrl> = Vec::new();
        /// Feeds with news of entertainment.
        entertainment: Vec<FeedUrl> = Vec::new();
        /// Feeds with news of the environment.
        environment: Vec<FeedUrl> = Vec::new();
        /// Feeds with news of health.
        health: Vec<FeedUrl> = Vec::new();
        /// Feeds with news of politics.
        politics: Vec<FeedUrl> = Vec::new();
        /// Feeds with news of science.
        science: Vec<FeedUrl> = Vec::new();
        /// Feeds with news of sports.
        sports: Vec<FeedUrl> = Vec::new();
        /// Feeds with news of technology.
        technology: Vec<FeedUrl> = Vec::new();
        /// The key of newsdata.io, which then gives news of every category.
        newsdata_key: Option<Secret> = None;
        /// Where newsdata.io is, up to and with the version.
        newsdata_url: Option<PublicUrl> = None, default "`https://newsdata.io/api/1`";
        /// How many pages are read of newsdata.io for each category, each one call.
        newsdata_pages: u32 = 1, in 1..=20, unit "pages";
        /// How long one call may take.
        timeout_seconds: u64 = 20, in 1..=60;
        /// How long news are kept, by the day they were published.
        keep_days: u32 = 30, in 1..=36_500;
    }
}

impl News {
    /// What the use cases need to know.
    pub fn for_service(&self) -> news::Settings {
        let limits = Limits { timeout: Duration::from_secs(self.timeout_seconds), ..Limits::default() };
        let feeds = [
            (Category::Business, &self.business),
            (Category::Entertainment, &self.entertainment),
            (Category::Environment, &self.environment),
            (Category::Health, &self.health),
            (Category::Politics, &self.politics),
            (Category::Science, &self.science),
            (Category::Sports, &self.sports),
            (Category::Technology, &self.technology),
        ];
        let feeds =
            feeds.into_iter().flat_map(|(category, urls)| urls.iter().map(move |url| (category, url.0.clone())));
        let newsdata = self.newsdata_key.as_ref().map(|key| newsdata::Settings {
            base_url: self.newsdata_url.as_ref().map_or(BASE_URL, PublicUrl::as_str).to_owned(),
            key: Key(key.reveal().to_owned()),
            pages: self.newsdata_pages,
            limits,
        });
        news::Settings { feeds: feeds.collect(), newsdata, keep_days: self.keep_days, limits }
    }
}

/// The address of a feed. It may hold a key, but it is shown: people must be able to see what they set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedUrl(String);

impl Value for FeedUrl {
    fn expected() -> String {
        "the address of a feed, `https://..` or `http://..`".to_owned()
    }

    fn parse(raw: &Raw) -> Result<Self, Rejected> {
        let url = Url::parse(raw.text()?).map_err(|_| Rejected::default())?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(Rejected::default());
        }
        Ok(Self(url.into()))
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(&self.0))
    }
}
