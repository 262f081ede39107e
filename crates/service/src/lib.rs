//! The use cases of carebot, one file per noun, and its background jobs. HTTP, jobs and command line all call these.
//!
//! A use case takes the [`Actor`](carebot_model::access::Actor) who calls, asks the policy, and answers a value or an
//! [`Error`]. The order of its checks is the contract's: it decides what a request with several faults gets.
//!
//! # To add a use case
//! A method of [`Service`] in the file of its noun: get a permit (`self.family(..)`, `self.account(..)`), then one
//! transaction with the functions of `carebot-database`.

pub mod accounts;
pub mod alarms;
pub mod assistant;
pub mod authentication;
pub mod board;
pub mod chats;
pub mod contacts;
pub mod disasters;
pub mod error;
pub mod families;
pub mod idempotency;
pub mod images;
pub mod ingest;
pub mod invitations;
pub mod jobs;
pub mod members;
pub mod messages;
pub mod news;
pub mod notifications;
pub mod overview;
pub mod pages;
pub mod passwords;
pub mod polls;
pub mod reach;
pub mod resets;
pub mod robots;
pub mod series;
pub mod status;
pub mod streams;
pub mod throttle;
pub mod tools;
pub mod weather;

mod access;
mod change;
mod lately;
mod sessions;
mod shares;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::lately::Lately;
use carebot_database::ambient::{Clock, Rng, RowIds};
use carebot_database::{Db, DbError, leases, migrate};
use carebot_external::channels::push::VapidKey;
use carebot_model::authentication::IdleLimits;
use carebot_model::{FamilyId, RowId, Timestamp};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

pub use change::Change;
pub use error::Error;

/// What every use case returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How a family is joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// The elder or an operator approves.
    Approval,
    /// Whoever knows the family's id is in.
    Open,
}

/// What can be set about the use cases.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The fewest characters of a new password.
    pub password_min_length: usize,
    /// How long sessions may idle.
    pub idle: IdleLimits,
    /// How long sessions and memberships are believed without asking the database; zero turns that off.
    pub session_cache: Duration,
    /// How often expired sessions are deleted.
    pub session_cleanup: Duration,
    /// How a family is joined.
    pub join: Join,
    /// How failures to sign in slow down.
    pub throttle: throttle::Limits,
    /// How many passwords are hashed at once.
    pub hash_concurrency: usize,
    /// The most rows of a list.
    pub row_limit: u32,
    /// How many of them, the newest, are whole when a range is thinned.
    pub newest_whole: u32,
    /// How much memory thinned reports may take that are kept for whoever asks again, in bytes.
    pub poll_cache: usize,
    /// How long reports are kept.
    pub retention: series::Retention,
    /// Pictures.
    pub images: images::Settings,
    /// The assistant.
    pub assistant: assistant::Settings,
    /// The weather service, if one is asked.
    pub weather: Option<weather::Settings>,
    /// Where news come from.
    pub news: news::Settings,
    /// The service of disaster messages, if it is asked.
    pub disasters: Option<disasters::Settings>,
    /// Alarms.
    pub alarms: alarms::Settings,
    /// Live streams.
    pub streams: streams::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            password_min_length: 8,
            idle: IdleLimits::default(),
            session_cache: Duration::from_secs(2),
            session_cleanup: Duration::from_mins(10),
            join: Join::Approval,
            throttle: throttle::Limits::default(),
            hash_concurrency: 2,
            row_limit: 10_000,
            newest_whole: 1_000,
            poll_cache: 64 << 20,
            retention: series::Retention::default(),
            images: images::Settings::default(),
            assistant: assistant::Settings::default(),
            weather: None,
            news: news::Settings::default(),
            disasters: None,
            alarms: alarms::Settings::default(),
            streams: streams::Settings::default(),
        }
    }
}

/// A random number to begin with, for what only has to differ.
fn seed(rng: &dyn Rng) -> u64 {
    let mut bytes = [0; 8];
    rng.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// TLS could not be set up.
fn no_client(error: &carebot_external::ProviderError) -> Error {
    Error::Unavailable(DbError::Configuration(format!("no client for other services: {error}")))
}

/// Everything the use cases need. Cheap to share as `Arc<Service>`.
#[derive(Debug)]
pub struct Service {
    db: Db,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    ids: RowIds,
    settings: Settings,
    sessions: sessions::SessionCache,
    passwords: passwords::Passwords,
    throttle: throttle::Throttle,
    /// How many links for new passwords were asked for, by network address alone.
    links: throttle::Throttle,
    images: images::Images,
    assistant: Box<dyn assistant::Assistant>,
    /// When the assistant was last asked whether it lives, and whether it did.
    assistant_alive: tokio::sync::Mutex<Option<(tokio::time::Instant, bool)>>,
    /// Who talks with it at the moment.
    chatting: shares::Shares,
    weather: Option<weather::Cells>,
    news: news::Sources,
    disasters: Option<disasters::Listening>,
    alarms: alarms::Alarms,
    /// Who tries what a change of a rule would mean.
    trying: shares::Shares,
    /// The key of web push, once it was asked for.
    vapid: tokio::sync::OnceCell<Arc<VapidKey>>,
    tests: reach::Tests,
    /// Of which robots' sessions it was told that they are refused.
    /// Of which sessions this server told lately that they are refused.
    refusals: Lately<RowId>,
    /// Of which families and kinds an event told lately that a reading is beyond a bound.
    noticed: Lately<(FamilyId, &'static str)>,
    /// Thinned reports of those who ask again and again.
    polls: polls::Polls,
    /// Until when this server knows that everything is summed up.
    rolled: Mutex<Option<Timestamp>>,
    /// Wakes the job that sums reports up.
    late_come: Notify,
    /// Live streams of events.
    pub(crate) streams: streams::Hub,
    /// What this server holds its leases as.
    holder: i64,
    /// Since when it is known to lead which job.
    led: Mutex<HashMap<&'static str, Timestamp>>,
    /// Wakes the job that prolongs the lease of this server's node number.
    node_due: Notify,
    /// Wakes the job that empties what was deleted.
    deleted: Notify,
    /// Wakes the job that tidies up behind pictures.
    discarded: Notify,
    /// Writes that nobody waits for, but that a shutdown finishes.
    background: TaskTracker,
}

impl Service {
    /// Starts the use cases on a database whose schema is up to date.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the schema is not what this program needs, or no node number is free.
    pub async fn start(db: Db, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>, settings: Settings) -> Result<Arc<Self>> {
        migrate::check(&db).await?;
        let ids = RowIds::lease(&db, clock.now(), &*rng).await?;
        let chance = seed(&*rng);
        let background = TaskTracker::new();
        let weather = settings.weather.as_ref().map(|settings| weather::Cells::new(settings, chance)).transpose();
        let disasters =
            settings.disasters.as_ref().map(|settings| disasters::Listening::new(settings, chance)).transpose();
        Ok(Arc::new(Self {
            sessions: sessions::SessionCache::new(settings.session_cache),
            passwords: passwords::Passwords::new(
                settings.hash_concurrency,
                settings.password_min_length,
                Arc::clone(&rng),
            )?,
            throttle: throttle::Throttle::new(settings.throttle),
            links: throttle::Throttle::new(throttle::Limits { account: u32::MAX, ..settings.throttle }),
            images: images::Images::new(&settings.images),
            assistant_alive: tokio::sync::Mutex::default(),
            chatting: shares::Shares::new(chats::AT_ONCE),
            assistant: assistant::start(&settings.assistant, seed(&*rng))?,
            weather: weather.map_err(|error| no_client(&error))?,
            news: news::Sources::new(&settings.news, chance).map_err(|error| no_client(&error))?,
            disasters: disasters.map_err(|error| no_client(&error))?,
            alarms: alarms::Alarms::new(settings.alarms.clone()),
            trying: shares::Shares::new(alarms::replay::AT_ONCE),
            vapid: tokio::sync::OnceCell::new(),
            tests: reach::Tests::default(),
            refusals: Lately::new(robots::TOLD),
            noticed: Lately::new(status::NOTICED),
            polls: polls::Polls::new(settings.poll_cache),
            rolled: Mutex::default(),
            late_come: Notify::new(),
            streams: streams::Hub::new(settings.streams, db.clone(), background.clone()),
            // Half of it, so that it fits a column.
            holder: i64::try_from(chance >> 1).unwrap_or_default(),
            led: Mutex::default(),
            node_due: Notify::new(),
            deleted: Notify::new(),
            discarded: Notify::new(),
            background,
            db,
            clock,
            rng,
            ids,
            settings,
        }))
    }

    /// The database, for what is not a use case: readiness, the command line.
    pub const fn db(&self) -> &Db {
        &self.db
    }

    /// What was set.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The time, UTC.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Fills a buffer with random bytes.
    pub fn random(&self, buffer: &mut [u8]) {
        self.rng.fill(buffer);
    }

    fn next_id(&self, now: Timestamp) -> Result<RowId> {
        Ok(self.fresh_id(now)?)
    }

    /// A row number within a transaction. When the clock has jumped beyond the lease, the lease is renewed at once.
    fn fresh_id(&self, now: Timestamp) -> Result<RowId, DbError> {
        self.ids.next(now).inspect_err(|_| self.node_due.notify_one())
    }

    /// Prolongs the lease of this server's node number; a job does it, and whoever moves a clock by hand. If somebody else has
    /// it meanwhile, because this server lay still for long, it takes another.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if there is none.
    pub async fn renew_node(&self) -> Result<()> {
        match self.ids.renew(&self.db, self.now()).await {
            Err(DbError::Conflict(reason)) => {
                tracing::warn!(reason, "this server lay still for long; it takes another node number");
                Ok(self.ids.take_another(&self.db, self.now(), &*self.rng).await?)
            }
            renewed => Ok(renewed?),
        }
    }

    /// Whether this server, of several, does a job at the moment; it then leads for about so long from now on. Who asks often
    /// asks the database seldom.
    async fn lead(&self, job: &'static str, length: Duration) -> Result<bool> {
        const BELIEVED_MS: i64 = 10_000;
        let now = self.now();
        let led = || self.led.lock().unwrap_or_else(PoisonError::into_inner);
        if led().get(job).is_some_and(|since| (0..BELIEVED_MS).contains(&now.since(*since))) {
            return Ok(true);
        }
        let leads = leases::claim(&self.db, job, self.holder, now, length).await?;
        if leads {
            led().insert(job, now);
        }
        Ok(leads)
    }

    /// Whether the database answers, its schema is right, and the loops of alarms turn if they were started.
    ///
    /// # Errors
    /// [`Error::Unavailable`] with the reason.
    pub async fn ready(&self) -> Result<()> {
        migrate::check(&self.db).await?;
        self.stuck_loop()
            .map_or(Ok(()), |name| Err(DbError::Unavailable(format!("a loop of alarms does not turn: {name}")).into()))
    }

    /// Waits until every write that was begun in the background is done, sends the heads of timelines that wait, and gives the node number back.
    pub async fn finish(&self) {
        self.end_streams();
        self.background.close();
        self.background.wait().await;
        self.send_last_heads().await;
        if let Err(error) = self.leave_streams().await {
            tracing::warn!(?error, "others believe for a while that somebody follows here");
        }
        if let Err(error) = leases::release_all(&self.db, self.holder).await {
            tracing::warn!(%error, "the jobs could not be given to others; they are when their leases end");
        }
        if let Err(error) = self.ids.release(&self.db).await {
            tracing::warn!(%error, "the node number could not be given back; it is free again when its lease ends");
        }
        self.db.close().await;
    }
}
