//! Live streams: what happens in a family, to whoever follows it, as it happens.
//!
//! * [`Follower`]: one stream. It holds how far it has read and nothing else: what it sends it takes from what is at hand about
//!   the family, or page by page from the database. So a slow reader costs no more than a fast one.
//! * `Hub`: who follows what at this server, and the calls of the use cases: something was written down, a report was stored,
//!   somebody's rights have changed.
//! * `Feed`: what is at hand about a family that somebody follows: its newest events, already as text, read from the database
//!   once for all who follow; and its newest reading of each kind.
//! * `rounds`: what comes from other servers, and what is told to them.
//!
//! # Why nothing is lost and nothing doubled
//! An event has a number, taken under the family's lock in the transaction of its cause (`carebot_database::journal`): who has
//! seen 7 never sees a 6 that was committed later. A stream only ever moves from a number to the next one. If the next one
//! that is found is another, events in between were deleted because of their age, and the client is told so by a `reset`. A
//! wake-up that is lost or comes too early only delays.
//!
//! # Several servers
//! An event that was committed through one server is found by the others in the database: while somebody follows anything, each
//! asks every [`ROUND`] which families changed in the last seconds, by an index on the time of the change. That is one small
//! question a round, however many streams there are. It was chosen over connections between the servers, which would have to be
//! configured, kept and secured, and would still need this for what they miss; and over the database's own messages, which
//! only some engines have. An event so reaches streams elsewhere after the 250 ms of a round at most, and the few milliseconds
//! of two questions: within 500 ms.
//!
//! The time of a change is that of the server that made it, taken before its commit. The question therefore looks back for
//! `rounds::OVERLAP` milliseconds, and every ten seconds all followed families are compared by number; up to
//! `rounds::FEW` followed families are always compared so. Clocks that differ by more than the overlap so delay events by ten
//! seconds at most, and lose none.
//!
//! Rights are checked by each stream itself, with the session's token and past the cache: at once when somebody's rights changed
//! at this server, when the database's signal `access` tells of a change at another, before an event that tells of a
//! membership is passed on, and at least every minute.
//!
//! Readings are not events and have no rows of their own; those of other servers are looked for in turn, so many families a
//! round (`rounds::READINGS`), only while there is another server.

mod cursor;
mod feed;
mod follow;
mod hub;
mod rounds;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use carebot_database::{journal, presence, transact};
use carebot_model::access::{Action, Actor};
use tokio_util::sync::CancellationToken;

use crate::access::general;
use crate::{Result, Service};

pub use follow::Follower;
pub(crate) use hub::Hub;

use follow::Scope;

/// How often a server looks for what happened at others while somebody follows.
pub const ROUND: Duration = Duration::from_millis(250);

/// How long events are kept, in milliseconds: 30 days.
const KEPT: i64 = 30 * 24 * 3_600_000;
/// How long a server may take to delete what is older.
const LEASE: Duration = Duration::from_mins(10);
/// Rows that are deleted in one step.
const STEP: u32 = 1_000;

/// What can be set about streams.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The most streams of an account at a server.
    pub per_account: usize,
    /// The most streams of a server.
    pub most: usize,
    /// How long a stream is silent at most.
    pub heartbeat: Duration,
    /// How long what was sent may lie without anybody taking it.
    pub patience: Duration,
    /// How long rights are believed without looking again.
    pub belief: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            per_account: 32,
            most: 10_000,
            heartbeat: Duration::from_secs(15),
            patience: Duration::from_secs(30),
            belief: Duration::from_mins(1),
        }
    }
}

impl Service {
    /// Follows what happens in a family, on from the id of an event if one is given, else from now on.
    ///
    /// # Errors
    /// [`Error::Forbidden`](crate::Error::Forbidden), [`Error::NotFound`](crate::Error::NotFound) of the family for operators;
    /// [`Error::Busy`](crate::Error::Busy) if the account follows too much; [`Error::Unavailable`](crate::Error::Unavailable)
    /// if the server has as many streams as it may.
    pub async fn follow_family(
        self: &Arc<Self>,
        actor: &Actor,
        token: Option<&str>,
        family: &str,
        last: Option<&str>,
    ) -> Result<Follower> {
        let permit = self.family(actor, family, Action::EventRead).await?;
        Follower::open(self, actor, token, Scope::One(*permit.resource()), last).await
    }

    /// As [`Service::follow_family`], of all families that the caller belongs to.
    ///
    /// # Errors
    /// As there; [`Error::Invalid`](crate::Error::Invalid) if there are too many.
    pub async fn follow_all(
        self: &Arc<Self>,
        actor: &Actor,
        token: Option<&str>,
        last: Option<&str>,
    ) -> Result<Follower> {
        general(actor, Action::EventReadAll)?;
        Follower::open(self, actor, token, Scope::All, last).await
    }

    /// Ends every stream with a word about it, and opens none any more: the server stops.
    pub fn end_streams(&self) {
        self.streams.close();
    }

    /// Deletes events that have been kept long enough; how many. Of several servers one does, which also forgets who had pages
    /// open.
    ///
    /// # Errors
    /// As the database.
    pub async fn delete_old_events(&self, stop: &CancellationToken) -> Result<u64> {
        let (mut all, now) = (0, self.now());
        while !stop.is_cancelled() && self.lead("events", LEASE).await? {
            let count = transact!(self.db, tx => {
                journal::delete_events_before(&mut tx, now.plus_millis(-KEPT), STEP).await
            })?;
            transact!(self.db, tx => { presence::forget(&mut tx, now).await })?;
            all += count;
            if count == 0 {
                break;
            }
        }
        Ok(all)
    }
}
