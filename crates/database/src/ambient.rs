//! Clock, randomness and row numbers: they come in as arguments everywhere, and only here do they touch the system.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use carebot_model::mix::{STEP, mix};
use carebot_model::text::hexadecimal;
use carebot_model::{RowId, Timestamp};

use crate::connector::Db;
use crate::connector::error::DbError;
use crate::{Result, params, transact};

/// A source of the time.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Now, UTC.
    fn now(&self) -> Timestamp;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system for the time")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that stands until it is moved; for tests and simulations.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Starts at a time.
    pub const fn new(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.millis()))
    }

    /// Moves the time, backwards too.
    pub fn advance(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// A source of random bytes.
pub trait Rng: Send + Sync + std::fmt::Debug {
    /// Fills a buffer.
    fn fill(&self, buffer: &mut [u8]);
}

/// Repeatable randomness: the same bytes in every run, other bytes at every call; for tests and simulations. (SplitMix64.)
#[derive(Debug)]
pub struct SeededRng(AtomicU64);

impl SeededRng {
    /// From a seed.
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// The next number.
    pub fn next(&self) -> u64 {
        mix(self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP))
    }
}

impl Rng for SeededRng {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// The system's cryptographic source.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system for randomness")]
    fn fill(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("the system's random source works");
    }
}

/// A random name, as a version 4 UUID (RFC 9562).
pub fn uuid(rng: &dyn Rng) -> String {
    let mut bytes = [0; 16];
    rng.fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hexadecimal(&bytes);
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}

/// A random byte for jitter.
pub(crate) fn random_byte() -> u8 {
    let mut byte = [0];
    SystemRng.fill(&mut byte);
    byte[0]
}

/// Makes row numbers for one server process.
///
/// The process holds a node number, leased in the database, so that several servers never make the same number. A node
/// may number rows only with milliseconds before the end of its lease, and its next holder starts after them, so that
/// neither a crash nor a clock that jumps back repeats a number.
#[derive(Debug)]
pub struct RowIds {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    node: i64,
    holder: i64,
    /// Milliseconds since the epoch of row numbers, and the next sequence within.
    millis: i64,
    sequence: i64,
    /// The last millisecond that may be used.
    until: i64,
    renewed: Instant,
}

impl RowIds {
    /// How long a lease lasts without being renewed.
    pub const LEASE: Duration = Duration::from_mins(2);
    /// How often it should be renewed.
    pub const RENEWAL: Duration = Duration::from_secs(20);

    /// Takes a free node number.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] if all 64 are taken, or as any statement.
    pub async fn lease(db: &Db, now: Timestamp, rng: &dyn Rng) -> Result<Self> {
        let mut bytes = [0; 8];
        rng.fill(&mut bytes);
        let holder = i64::from_le_bytes(bytes) >> 11;
        let until = now.plus_millis(Self::lease_millis());
        let (node, start) = transact!(db, tx => {
            let free = tx
                .fetch_optional(
                    "SELECT node, leased_until FROM nodes WHERE leased_until < ? ORDER BY leased_until, node LIMIT 1",
                    params![now],
                    |row| Ok((row.get::<i64>(0)?, row.get::<Timestamp>(1)?)),
                )
                .await?;
            let Some((node, leased_until)) = free else {
                return Err(DbError::Unavailable("all 64 node numbers are leased; is an old server still running?".into()));
            };
            let taken = tx
                .execute(
                    "UPDATE nodes SET leased_until = ?, holder = ? WHERE node = ? AND leased_until = ?",
                    params![until, holder, node, leased_until],
                )
                .await?;
            if taken == 0 {
                return Err(DbError::Conflict("another server took the same node number".into()));
            }
            Ok((node, leased_until.max(now)))
        })?;
        Ok(Self {
            state: Mutex::new(State {
                node,
                holder,
                millis: start.millis() - RowId::EPOCH_MS,
                sequence: 0,
                until: until.millis() - RowId::EPOCH_MS,
                renewed: instant(),
            }),
        })
    }

    /// The node number of this process.
    pub fn node(&self) -> i64 {
        self.lock().node
    }

    fn lease_millis() -> i64 {
        i64::try_from(Self::LEASE.as_millis()).unwrap_or(i64::MAX)
    }

    /// Prolongs the lease; to be called every [`RowIds::RENEWAL`].
    ///
    /// # Errors
    /// [`DbError::Conflict`] if somebody else took the node number (this process had been silent for longer than its
    /// lease), or as any statement. Until it has [another](RowIds::take_another), [`RowIds::next`] refuses by itself.
    pub async fn renew(&self, db: &Db, now: Timestamp) -> Result<()> {
        let (node, holder, until) = {
            let state = self.lock();
            // Never backwards, so that the next holder starts after everything that was numbered.
            let floor = state.until + RowId::EPOCH_MS;
            (state.node, state.holder, now.plus_millis(Self::lease_millis()).max(Timestamp::from_millis(floor)))
        };
        let kept = db
            .execute("UPDATE nodes SET leased_until = ? WHERE node = ? AND holder = ?", params![until, node, holder])
            .await?;
        if kept == 0 {
            return Err(DbError::Conflict("the node number of this server was taken by another".into()));
        }
        let mut state = self.lock();
        state.until = until.millis() - RowId::EPOCH_MS;
        state.renewed = instant();
        Ok(())
    }

    /// Takes another node number: this process had been silent for so long that somebody else has its own.
    ///
    /// # Errors
    /// As [`RowIds::lease`].
    pub async fn take_another(&self, db: &Db, now: Timestamp, rng: &dyn Rng) -> Result<()> {
        let fresh = Self::lease(db, now, rng).await?;
        let fresh = fresh.state.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        *self.lock() = fresh;
        Ok(())
    }

    /// Gives the node number back, so that the next start can have it at once.
    ///
    /// # Errors
    /// As any statement.
    pub async fn release(&self, db: &Db) -> Result<()> {
        let (node, holder, last) = {
            let mut state = self.lock();
            let last = state.millis + 1;
            state.until = i64::MIN;
            (state.node, state.holder, last + RowId::EPOCH_MS)
        };
        db.execute(
            "UPDATE nodes SET leased_until = ?, holder = 0 WHERE node = ? AND holder = ?",
            params![last, node, holder],
        )
        .await
        .map(drop)
    }

    /// The next row number.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] if the lease has run out.
    pub fn next(&self, now: Timestamp) -> Result<RowId> {
        let mut state = self.lock();
        let millis = now.millis() - RowId::EPOCH_MS;
        if millis > state.millis {
            state.millis = millis;
            state.sequence = 0;
        } else if state.sequence >= RowId::PER_MILLISECOND {
            state.millis += 1;
            state.sequence = 0;
        }
        if state.millis > state.until || state.renewed.elapsed() > Self::LEASE {
            return Err(DbError::Unavailable("the lease of this server's node number has run out".into()));
        }
        let id = RowId::compose(state.millis, state.node, state.sequence);
        state.sequence += 1;
        Ok(id)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A monotonic reading for measuring how long ago something was; not a time of day.
fn instant() -> Instant {
    Instant::now()
}
