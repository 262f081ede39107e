//! News: collected once a day from the sources that are configured, read by day.

use std::sync::Arc;
use std::time::Duration;

use carebot_database::tools::{self, NewsRound};
use carebot_database::{DbError, transact};
use carebot_external::ProviderError;
use carebot_external::guard::Limits;
use carebot_external::news::{Feed, Item, NewsData, newsdata};
use carebot_model::access::{Action, Actor};
use carebot_model::news::{Article, Category, DailyNews};
use carebot_model::{Date, Timestamp, korea};
use jiff::ToSpan as _;
use tokio_util::sync::CancellationToken;

use crate::access::general;
use crate::{Result, Service};

/// How long before the Korean midnight the day's round begins: late, so that the day is nearly complete, which people ask for
/// on the next.
const BEFORE_MIDNIGHT_MS: i64 = 2 * 3_600_000;
/// How long a source that failed is left alone the first time; twice as long each further time ..
const PAUSE_MS: i64 = 10 * 60_000;
/// .. up to this.
const LONGEST_PAUSE_MS: i64 = 4 * 3_600_000;
/// Longer than one source takes with all its tries.
const LEASE: Duration = Duration::from_mins(10);

/// Where news come from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Feeds, each with its category.
    pub feeds: Vec<(Category, String)>,
    /// newsdata.io, for every category.
    pub newsdata: Option<newsdata::Settings>,
    /// How many days news are kept.
    pub keep_days: u32,
    /// Limits of every call to a feed.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self { feeds: Vec::new(), newsdata: None, keep_days: 30, limits: Limits::default() }
    }
}

/// The sources.
#[derive(Debug)]
pub(crate) struct Sources(Vec<Source>);

#[derive(Debug)]
struct Source {
    category: Category,
    /// What its rounds are noted under.
    address: String,
    client: Client,
}

#[derive(Debug)]
enum Client {
    Feed(Feed),
    NewsData(Arc<NewsData>),
}

impl Source {
    async fn items(&self) -> Result<Vec<Item>, ProviderError> {
        match &self.client {
            Client::Feed(feed) => feed.items().await,
            Client::NewsData(newsdata) => newsdata.items(self.category).await,
        }
    }
}

impl Sources {
    pub fn new(settings: &Settings, seed: u64) -> Result<Self, ProviderError> {
        let mut sources = Vec::new();
        for (category, url) in &settings.feeds {
            let client = Client::Feed(Feed::new(url.clone(), settings.limits, seed)?);
            sources.push(Source { category: *category, address: url.clone(), client });
        }
        if let Some(newsdata) = &settings.newsdata {
            let (address, client) = (newsdata.base_url.clone(), Arc::new(NewsData::new(newsdata.clone(), seed)?));
            sources.extend(Category::ALL.iter().map(|category| Source {
                category: *category,
                address: address.clone(),
                client: Client::NewsData(Arc::clone(&client)),
            }));
        }
        Ok(Self(sources))
    }
}

/// What a round of collecting did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// How many sources were asked and answered.
    pub answered: usize,
    /// How many were asked and failed.
    pub failed: usize,
    /// How many pieces of news are new.
    pub stored: usize,
}

impl Service {
    /// Whether the caller may read the news.
    ///
    /// # Errors
    /// [`Error::Forbidden`](crate::Error::Forbidden).
    pub fn may_read_news(&self, actor: &Actor) -> Result<()> {
        general(actor, Action::NewsRead).map(drop)
    }

    /// The news of a day.
    ///
    /// # Errors
    /// [`Error::Forbidden`](crate::Error::Forbidden).
    pub async fn news(&self, actor: &Actor, day: Date) -> Result<DailyNews> {
        self.may_read_news(actor)?;
        Ok(tools::news(&mut self.db.read(), day).await?)
    }

    /// Whether there is any source to ask.
    pub const fn collects_news(&self) -> bool {
        !self.news.0.is_empty()
    }

    /// Asks every source whose turn it is, unless another server does; and removes old news. One that fails keeps no other
    /// from being asked.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn collect_news(&self, stop: &CancellationToken) -> Result<Collected> {
        let mut collected = Collected::default();
        if !self.lead("news", LEASE).await? {
            return Ok(collected);
        }
        for source in &self.news.0 {
            let now = self.now();
            let day = korea::date(now.plus_millis(BEFORE_MIDNIGHT_MS));
            let last = tools::news_round(&mut self.db.read(), source.category, &source.address).await?;
            if !is_due(last.as_ref(), day, now) {
                continue;
            }
            if stop.is_cancelled() || !self.lead("news", LEASE).await? {
                return Ok(collected);
            }
            let failures = last.filter(|last| last.day == day).map_or(0, |last| last.failures);
            let items = source.items().await;
            let round = match items {
                Ok(items) => {
                    collected.answered += 1;
                    collected.stored += self.keep_news(source.category, &items).await?;
                    NewsRound { day, failures, is_done: true, tried_at: now }
                }
                Err(error) => {
                    collected.failed += 1;
                    // The address of a feed can hold a key.
                    tracing::warn!(%error, category = source.category.name(), "a source of news failed; it is asked again later");
                    NewsRound { day, failures: failures.saturating_add(1), is_done: false, tried_at: now }
                }
            };
            transact!(self.db, tx => {
                tools::note_news_round(&mut tx, source.category, &source.address, &round).await
            })?;
        }
        self.forget_old_news(stop).await?;
        Ok(collected)
    }

    async fn keep_news(&self, category: Category, items: &[Item]) -> Result<usize> {
        let now = self.now();
        let today = korea::date(now);
        let oldest = self.oldest_news(now);
        let mut articles = Vec::with_capacity(items.len());
        for item in items {
            // What is dated in the future is of today.
            let day = item.published_at.map_or(today, |at| korea::date(at).min(today));
            if day < oldest {
                continue;
            }
            let article = Article {
                id: self.next_id(now)?,
                category,
                title: item.title.clone(),
                link: item.link.clone(),
                image_url: item.image_url.clone(),
                pub_date: day,
                created_at: now,
            };
            articles.push(article);
        }
        let stored = transact!(self.db, tx => {
            let mut stored = 0;
            for article in &articles {
                // A feed that only says when an article was changed shows it again under each new day.
                stored += usize::from(tools::add_news_once(&mut tx, article).await?);
            }
            Ok::<_, DbError>(stored)
        })?;
        Ok(stored)
    }

    /// The first day whose news are kept.
    fn oldest_news(&self, now: Timestamp) -> Date {
        let today = korea::date(now).civil();
        let days = i64::from(self.settings.news.keep_days);
        today.checked_sub(days.days()).unwrap_or(jiff::civil::Date::MIN).into()
    }

    async fn forget_old_news(&self, stop: &CancellationToken) -> Result<()> {
        let oldest = self.oldest_news(self.now());
        while !stop.is_cancelled() && transact!(self.db, tx => { tools::forget_news(&mut tx, oldest).await })? {
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

fn is_due(last: Option<&NewsRound>, day: Date, now: Timestamp) -> bool {
    let Some(last) = last.filter(|last| last.day == day) else { return true };
    let doublings = last.failures.saturating_sub(1).min(16);
    let pause = (PAUSE_MS << doublings).min(LONGEST_PAUSE_MS);
    // A clock that was set back does not make it wait for longer.
    !last.is_done && !(0..pause).contains(&now.since(last.tried_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_asked_once_a_day_and_after_failures_with_growing_pauses() {
        let day = Date::new(2026, 3, 2).expect("a day");
        let at = |minutes: i64| Timestamp::from_millis(minutes * 60_000);
        let round = |failures, is_done| NewsRound { day, failures, is_done, tried_at: at(0) };
        assert!(is_due(None, day, at(0)));
        assert!(!is_due(Some(&round(0, true)), day, at(600)));
        assert!(is_due(Some(&round(0, true)), Date::new(2026, 3, 3).expect("a day"), at(600)));
        for (failures, pause) in [(1, 10), (2, 20), (3, 40), (5, 160), (6, 240), (99, 240)] {
            let last = round(failures, false);
            assert!(!is_due(Some(&last), day, at(pause - 1)), "{failures}");
            assert!(is_due(Some(&last), day, at(pause)), "{failures}");
            assert!(is_due(Some(&last), day, at(-1)), "the clock was set back");
        }
    }
}
