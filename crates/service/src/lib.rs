//! The use cases of carebot, one file per noun, and its background jobs. HTTP, jobs and command line all call these.
//!
//! A use case takes the [`Actor`](carebot_model::access::Actor) who calls, asks the policy, and answers a value or an
//! [`Error`]. The order of its checks is the contract's: it decides what a request with several faults gets.
//!
//! # To add a use case
//! A method of [`Service`] in the file of its noun: get a permit (`self.family(..)`, `self.account(..)`), then one
//! transaction with the functions of `carebot-database`.

pub mod accounts;
pub mod authentication;
pub mod error;
pub mod families;
pub mod jobs;
pub mod members;
pub mod messages;
pub mod notifications;
pub mod pages;
pub mod passwords;
pub mod status;
pub mod throttle;
pub mod tools;

mod access;
mod sessions;

use std::sync::Arc;
use std::time::Duration;

use carebot_database::ambient::{Clock, Rng, RowIds};
use carebot_database::{Db, migrate};
use carebot_model::authentication::IdleLimits;
use carebot_model::{RowId, Timestamp};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

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
        }
    }
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
    /// Wakes the job that empties what was deleted.
    deleted: Notify,
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
        Ok(Arc::new(Self {
            sessions: sessions::SessionCache::new(settings.session_cache),
            passwords: passwords::Passwords::new(
                settings.hash_concurrency,
                settings.password_min_length,
                Arc::clone(&rng),
            )?,
            throttle: throttle::Throttle::new(settings.throttle),
            deleted: Notify::new(),
            background: TaskTracker::new(),
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
        Ok(self.ids.next(now)?)
    }

    /// Prolongs the lease of this server's node number; a job does it, and whoever moves a clock by hand.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if somebody else took the number.
    pub async fn renew_node(&self) -> Result<()> {
        Ok(self.ids.renew(&self.db, self.now()).await?)
    }

    /// Whether the database answers and its schema is right.
    ///
    /// # Errors
    /// [`Error::Unavailable`] with the reason.
    pub async fn ready(&self) -> Result<()> {
        Ok(migrate::check(&self.db).await?)
    }

    /// Waits until every write that was begun in the background is done, and gives the node number back.
    pub async fn finish(&self) {
        self.background.close();
        self.background.wait().await;
        if let Err(error) = self.ids.release(&self.db).await {
            tracing::warn!(%error, "the node number could not be given back; it is free again when its lease ends");
        }
        self.db.close().await;
    }
}
