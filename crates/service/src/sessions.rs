//! Who calls with a token, believed for a moment without asking the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use carebot_database::authentication::{CurrentUser, TokenHash};
use carebot_database::{journal, transact};
use carebot_model::Timestamp;
use carebot_model::access::Actor;
use moka::sync::Cache;

use crate::Service;

/// The database's count of how often somebody's rights changed.
pub const ACCESS: &str = "access";

/// A session as it was when it was read.
#[derive(Debug)]
pub struct Entry {
    pub actor: Arc<Actor>,
    pub is_main: bool,
    pub is_remembered: bool,
    last_seen: AtomicI64,
}

impl Entry {
    pub fn new(user: CurrentUser) -> Self {
        Self {
            actor: Arc::new(user.actor),
            is_main: user.is_main,
            is_remembered: user.is_remembered,
            last_seen: AtomicI64::new(user.last_seen.millis()),
        }
    }

    pub fn last_seen(&self) -> Timestamp {
        Timestamp::from_millis(self.last_seen.load(Ordering::Relaxed))
    }

    /// Takes it on itself to write the use down; false if somebody else does, or did within `interval` milliseconds.
    pub fn claim_touch(&self, now: Timestamp, interval: i64) -> bool {
        let seen = self.last_seen.load(Ordering::Relaxed);
        now.millis() - seen >= interval
            && self.last_seen.compare_exchange(seen, now.millis(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// The use could not be written: the next one tries again.
    pub fn unclaim_touch(&self, before: Timestamp) {
        self.last_seen.store(before.millis(), Ordering::Relaxed);
    }
}

/// Sessions by the hash of their token.
///
/// Whatever changes what a session may do ends what is remembered at once: one session by [`Service::session_ended`],
/// everything by [`Service::rights_changed`] (after changes of accounts, families and memberships, which are rare). A
/// read that began before such an end must not be remembered after it; the generation tells.
#[derive(Debug)]
pub struct SessionCache {
    entries: Option<Cache<TokenHash, Arc<Entry>>>,
    generation: AtomicU64,
}

impl SessionCache {
    /// Remembers for `ttl`; not at all if that is zero.
    pub fn new(ttl: Duration) -> Self {
        let entries = (!ttl.is_zero()).then(|| Cache::builder().max_capacity(50_000).time_to_live(ttl).build());
        Self { entries, generation: AtomicU64::new(0) }
    }

    pub fn get(&self, token: &TokenHash) -> Option<Arc<Entry>> {
        self.entries.as_ref()?.get(token)
    }

    /// To be asked before the database is read.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// Remembers what was read since `generation`, unless something has changed meanwhile.
    pub fn remember(&self, token: TokenHash, entry: &Arc<Entry>, generation: u64) {
        if let Some(entries) = &self.entries
            && self.generation() == generation
        {
            entries.insert(token, Arc::clone(entry));
            // Between the question and the insertion something may have ended everything.
            if self.generation() != generation {
                entries.invalidate(&token);
            }
        }
    }

    pub(crate) fn forget(&self, token: &TokenHash) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        if let Some(entries) = &self.entries {
            entries.invalidate(token);
        }
    }

    fn forget_all(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        if let Some(entries) = &self.entries {
            entries.invalidate_all();
        }
    }
}

impl Service {
    /// To be called after the commit of whatever changed what accounts may do: nothing that was believed holds any longer, and every
    /// stream, at this server and at others, looks whether it may go on.
    pub(crate) async fn rights_changed(&self) {
        self.sessions.forget_all();
        self.tell_of_rights().await;
    }

    /// As [`Service::rights_changed`], after the end of one session.
    pub(crate) async fn session_ended(&self, token: &TokenHash) {
        self.sessions.forget(token);
        self.tell_of_rights().await;
    }

    /// Another server told that rights have changed.
    pub(crate) fn rights_changed_elsewhere(&self) {
        self.sessions.forget_all();
        self.streams.rights_changed();
    }

    async fn tell_of_rights(&self) {
        self.streams.rights_changed();
        let told = transact!(self.db, tx => { journal::signal(&mut tx, ACCESS).await });
        if let Err(error) = told {
            tracing::warn!(%error, "other servers were not told that rights have changed; they see it within a minute");
        }
    }
}
