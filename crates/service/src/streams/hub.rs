//! Who follows what at this server.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::hash::Hash;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use carebot_database::journal::Written;
use carebot_database::presence::Place;
use carebot_database::status::NewReport;
use carebot_database::{Db, DbError};
use carebot_model::access::Permit;
use carebot_model::status::StatusKind;
use carebot_model::{AccountId, FamilyId, RowId, Timestamp};
use tokio::sync::{Notify, Semaphore, SemaphorePermit, mpsc};
use tokio_util::task::TaskTracker;

use super::Settings;
use super::feed::Feed;
use crate::{Error, Result};

/// How many streams look into the database at the same time about rights and old readings. When thousands have to, requests
/// do not wait behind all of them.
const LOOKS: usize = 4;
/// The most alarms that were shown and wait to be written down.
const SHOWN: usize = 1_024;

/// An alarm that was written to a stream of somebody whom it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    pub alarm: RowId,
    pub family: FamilyId,
    pub account: AccountId,
}

/// One stream, as the hub sees it.
#[derive(Debug)]
pub struct Seat {
    pub number: u64,
    pub account: AccountId,
    /// The family it follows; none if all of the account's.
    family: Option<FamilyId>,
    wake: Notify,
    /// Rights have changed since it looked.
    doubts: AtomicBool,
    /// Since when something lies with the connection that it has not asked beyond, in unix milliseconds; 0 is nothing.
    handed_at: AtomicI64,
    is_cut: AtomicBool,
}

impl Seat {
    /// There is something for it, or it has to look whether it may go on.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits until somebody wakes it; at once if somebody has since the last time.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    fn doubt(&self) {
        self.doubts.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Whether it must look whether it may go on.
    pub fn doubts(&self) -> bool {
        self.doubts.load(Ordering::SeqCst)
    }

    /// It is about to look.
    pub fn looks(&self) {
        self.doubts.store(false, Ordering::SeqCst);
    }

    /// Something was handed to the connection.
    pub fn hands(&self, now: Timestamp) {
        self.handed_at.store(now.millis().max(1), Ordering::Relaxed);
    }

    /// The connection asks for more.
    pub fn is_asked(&self) {
        self.handed_at.store(0, Ordering::Relaxed);
    }

    /// Whether it lost its place because nobody took what was handed out.
    pub fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
struct People {
    seats: HashMap<u64, Arc<Seat>>,
    /// How many each account has.
    accounts: HashMap<AccountId, usize>,
    /// How many follow what.
    places: HashMap<Place, usize>,
    next: u64,
    is_closed: bool,
    /// Who has come or gone is yet to be told to the other servers.
    has_changed: bool,
}

impl People {
    fn remove(&mut self, number: u64) {
        let Some(seat) = self.seats.remove(&number) else { return };
        count_down(&mut self.accounts, &seat.account);
        self.has_changed |= count_down(&mut self.places, &(seat.account, seat.family));
    }
}

/// One less of something; whether that was the last.
fn count_down<K: Eq + Hash>(counts: &mut HashMap<K, usize>, of: &K) -> bool {
    let Some(count) = counts.get_mut(of) else { return false };
    *count -= 1;
    let is_last = *count == 0;
    if is_last {
        counts.remove(of);
    }
    is_last
}

/// Who follows what at this server.
pub(crate) struct Hub {
    pub(super) settings: Settings,
    db: Db,
    tasks: TaskTracker,
    families: Mutex<BTreeMap<FamilyId, Arc<Feed>>>,
    people: Mutex<People>,
    looks: Semaphore,
    begun: Notify,
    shown: mpsc::Sender<Shown>,
    waiting: Mutex<mpsc::Receiver<Shown>>,
    /// What the one who looks after the streams knows.
    pub(super) rounds: tokio::sync::Mutex<super::rounds::Rounds>,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("streams", &self.people().seats.len()).finish_non_exhaustive()
    }
}

impl Hub {
    pub fn new(settings: Settings, db: Db, tasks: TaskTracker) -> Self {
        let (shown, waiting) = mpsc::channel(SHOWN);
        Self {
            settings,
            db,
            tasks,
            families: Mutex::default(),
            people: Mutex::default(),
            looks: Semaphore::new(LOOKS),
            begun: Notify::new(),
            shown,
            waiting: Mutex::new(waiting),
            rounds: tokio::sync::Mutex::default(),
        }
    }

    fn families(&self) -> MutexGuard<'_, BTreeMap<FamilyId, Arc<Feed>>> {
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn people(&self) -> MutexGuard<'_, People> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was written down about a family, and is committed.
    pub fn written(&self, written: &Written) {
        self.tell(written.family, written.event_seq);
    }

    /// A report was stored. Costs a look into a map if nobody follows the family.
    pub fn reading<K: StatusKind>(&self, family: FamilyId, report: &NewReport<K>) {
        let feed = self.families().get(&family).cloned();
        if let Some(feed) = feed {
            feed.put_new(report);
        }
    }

    /// Reports of whatever kinds were stored together: if anybody follows the family, the newest ones are looked up.
    pub fn readings(&self, family: FamilyId) {
        let feed = self.families().get(&family).cloned();
        if let Some(feed) = feed {
            let db = self.db.clone();
            self.tasks.spawn(async move {
                if let Err(error) = feed.look_up_all(&db).await {
                    tracing::warn!(%error, %family, "readings could not be read for those who follow; they see the next ones");
                }
            });
        }
    }

    /// What somebody may has changed: every stream looks whether it may go on.
    pub fn rights_changed(&self) {
        self.people().seats.values().for_each(|seat| seat.doubt());
    }

    /// Somebody knows of an event of a family.
    pub fn tell(&self, family: FamilyId, newest: i64) {
        let feed = self.families().get(&family).cloned();
        if let Some(feed) = feed.filter(|feed| feed.tell(newest)) {
            let db = self.db.clone();
            self.tasks.spawn(async move {
                if let Err(error) = feed.fill(&db).await {
                    tracing::warn!(%error, family = %feed.family(), "events could not be read for those who follow; the next round tries again");
                }
            });
        }
    }

    /// Takes a place for a stream of an account that follows a family, or all.
    ///
    /// # Errors
    /// [`Error::Busy`] if the account has as many as it may, [`Error::Unavailable`] if the server has, or stops.
    pub fn sit(&self, account: AccountId, family: Option<FamilyId>) -> Result<Arc<Seat>> {
        let mut people = self.people();
        if people.is_closed {
            return Err(Error::Unavailable(DbError::Unavailable("the server stops".into())));
        }
        if people.seats.len() >= self.settings.most {
            let reason = format!("{} streams are open, no more are allowed (server.event_streams)", people.seats.len());
            return Err(Error::Unavailable(DbError::Unavailable(reason)));
        }
        let count = people.accounts.get(&account).copied().unwrap_or_default();
        if count >= self.settings.per_account {
            return Err(Error::Busy("Too many open streams"));
        }
        people.accounts.insert(account, count + 1);
        let following = people.places.entry((account, family)).or_default();
        *following += 1;
        let is_first = *following == 1;
        people.has_changed |= is_first;
        people.next += 1;
        let seat = Arc::new(Seat {
            number: people.next,
            account,
            family,
            wake: Notify::new(),
            doubts: AtomicBool::new(false),
            handed_at: AtomicI64::new(0),
            is_cut: AtomicBool::new(false),
        });
        people.seats.insert(seat.number, Arc::clone(&seat));
        self.begun.notify_one();
        Ok(seat)
    }

    /// Gives a place back.
    pub fn stand_up(&self, seat: &Seat) {
        self.people().remove(seat.number);
    }

    /// Has a stream follow a family.
    pub fn follow(&self, permit: Permit<FamilyId>, seat: &Arc<Seat>) -> Arc<Feed> {
        let mut families = self.families();
        let feed = families.entry(*permit.resource()).or_insert_with(|| Arc::new(Feed::new(permit)));
        feed.join(seat);
        Arc::clone(feed)
    }

    /// Has a stream follow a family no longer.
    pub fn unfollow(&self, feed: &Feed, seat: &Seat) {
        // Under the lock, so that nobody joins a feed that is being removed.
        let mut families = self.families();
        if feed.leave(seat.number) {
            families.remove(&feed.family());
        }
    }

    /// A turn for a look into the database.
    pub async fn look(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed.
        self.looks.acquire().await.ok()
    }

    /// An alarm was written to a stream of somebody whom it tells.
    pub fn on_shown(&self, shown: Shown) {
        if self.shown.try_send(shown).is_err() {
            tracing::warn!(
                alarm = shown.alarm.0,
                "more alarms were shown than can be written down; this one is taken for not shown"
            );
        }
    }

    /// An alarm that was shown and is not written down yet.
    pub(super) fn next_shown(&self) -> Option<Shown> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).try_recv().ok()
    }

    /// Ends every stream, and lets nobody in any more.
    pub fn close(&self) {
        let mut people = self.people();
        people.is_closed = true;
        people.seats.values().for_each(|seat| seat.wake());
    }

    pub fn is_closed(&self) -> bool {
        self.people().is_closed
    }

    /// Waits until somebody comes.
    pub async fn begun(&self) {
        self.begun.notified().await;
    }

    /// Whether anything is to be looked after.
    pub fn is_busy(&self) -> bool {
        let people = self.people();
        !people.seats.is_empty() || people.has_changed
    }

    pub(super) fn is_deserted(&self) -> bool {
        self.people().seats.is_empty()
    }

    /// Takes their places from those whose connections have not asked for more since a time.
    pub(super) fn cut_slow(&self, since: Timestamp) -> usize {
        let mut people = self.people();
        let stuck = |seat: &Seat| (1..since.millis()).contains(&seat.handed_at.load(Ordering::Relaxed));
        let slow: Vec<Arc<Seat>> = people.seats.values().filter(|seat| stuck(seat)).cloned().collect();
        for seat in &slow {
            seat.is_cut.store(true, Ordering::Relaxed);
            people.remove(seat.number);
        }
        slow.len()
    }

    /// Who follows what, if that changed since the last time or `always`.
    pub(super) fn crowd(&self, always: bool) -> Option<HashSet<Place>> {
        let mut people = self.people();
        let tells = std::mem::take(&mut people.has_changed) || always;
        tells.then(|| people.places.keys().copied().collect())
    }

    /// Who has come or gone could not be told.
    pub(super) fn crowd_is_untold(&self) {
        self.people().has_changed = true;
    }

    /// The families that are followed, in the order of their ids.
    pub(super) fn followed(&self) -> Vec<FamilyId> {
        self.families().keys().copied().collect()
    }

    /// At most `most` families behind one; from the first again if there is none.
    pub(super) fn next_feeds(&self, after: Option<FamilyId>, most: usize) -> Vec<Arc<Feed>> {
        let families = self.families();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        families.range((from, Bound::Unbounded)).take(most).map(|(_, feed)| Arc::clone(feed)).collect()
    }

    /// Reads on where somebody told of more than could be read.
    pub(super) fn fill_up(&self) {
        let unfilled: Vec<FamilyId> =
            self.families().iter().filter(|(_, feed)| feed.is_behind()).map(|(family, _)| *family).collect();
        for family in unfilled {
            self.tell(family, 0);
        }
    }
}
