//! What is known here of a family that somebody follows: its newest events, and its newest readings.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use carebot_database::journal::{self, Event};
use carebot_database::status::{self, NewReport};
use carebot_database::{Db, DbError};
use carebot_model::access::Permit;
use carebot_model::alarms::EventKind;
use carebot_model::for_each_status_kind;
use carebot_model::status::{Active, Health, Home, Mental, MentalReport, Report, StatusKind};
use carebot_model::{AccountId, FamilyId, RowId, Timestamp};
use tokio::sync::OnceCell;

use super::hub::Seat;
use super::wire;

/// The most events that are kept at hand, and the most bytes of them. Who is further behind reads the database.
const KEPT: usize = 32;
const KEPT_BYTES: usize = 16 * 1024;
/// The most events of a look into the database.
pub const PAGE: u32 = 100;

/// An event as it is sent.
#[derive(Debug)]
pub struct Item {
    pub seq: i64,
    pub kind: EventKind,
    pub text: String,
    between: Option<(AccountId, AccountId)>,
    /// The alarm that it is about, and whom it tells.
    pub told: Option<(RowId, Vec<AccountId>)>,
}

impl Item {
    pub fn new(event: &Event) -> Self {
        let told = (event.kind == EventKind::Alarm).then(|| told(&event.body)).flatten();
        Self { seq: event.seq, kind: event.kind, text: wire::happened(event), between: event.between, told }
    }

    /// Whether an account of the family may see it.
    pub fn is_for(&self, account: AccountId) -> bool {
        self.between.is_none_or(|(from, to)| account == from || account == to)
    }
}

/// Which alarm the event of an alarm is about, and whom it tells: `{"alarm":{"id":..},"notify":[..]}`.
fn told(body: &str) -> Option<(RowId, Vec<AccountId>)> {
    let body: serde_json::Value = serde_json::from_str(body).ok()?;
    let alarm = RowId(body["alarm"]["id"].as_i64()?);
    let notify = body["notify"].as_array()?;
    let people: Vec<AccountId> = notify.iter().filter_map(|account| AccountId::parse(account.as_str()?)).collect();
    (!people.is_empty()).then_some((alarm, people))
}

/// A family's newest report of a kind.
#[derive(Debug)]
struct Reading {
    kind: &'static str,
    /// What tells a newer one.
    key: (Timestamp, RowId),
    /// Counts the readings of the family as they came in.
    count: u64,
    text: String,
}

/// What comes after a cursor.
pub enum After {
    /// Nothing yet.
    Nothing,
    /// These.
    Items(Vec<Arc<Item>>),
    /// More than is at hand: the database has it.
    Behind,
}

/// A family that somebody follows.
#[derive(Debug)]
pub struct Feed {
    permit: Permit<FamilyId>,
    state: Mutex<State>,
    /// Whether the readings of the time before were looked up.
    loaded: OnceCell<()>,
}

#[derive(Debug, Default)]
struct State {
    /// The newest event that anybody told of.
    told: i64,
    /// The newest event that was read; nothing before the first follower knows.
    last: Option<i64>,
    /// It and those before it, without a gap.
    items: VecDeque<Arc<Item>>,
    bytes: usize,
    /// Somebody reads on.
    is_filling: bool,
    /// Readings wait until that has ended.
    holds: bool,
    readings: Vec<Reading>,
    count: u64,
    seats: HashMap<u64, Arc<Seat>>,
}

impl Feed {
    pub fn new(permit: Permit<FamilyId>) -> Self {
        Self { permit, state: Mutex::default(), loaded: OnceCell::new() }
    }

    pub const fn family(&self) -> FamilyId {
        *self.permit.resource()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn join(&self, seat: &Arc<Seat>) {
        self.state().seats.insert(seat.number, Arc::clone(seat));
    }

    /// Says whether nobody is left.
    pub fn leave(&self, number: u64) -> bool {
        let mut state = self.state();
        state.seats.remove(&number);
        state.seats.is_empty()
    }

    /// Where it begins, unless it has begun already.
    pub fn begin(&self, newest: i64) {
        let mut state = self.state();
        state.last.get_or_insert(newest);
        state.told = state.told.max(newest);
    }

    /// The newest event that was read.
    pub fn last(&self) -> i64 {
        self.state().last.unwrap_or_default()
    }

    /// Whether it was told of more than was read.
    pub fn is_behind(&self) -> bool {
        let state = self.state();
        state.last.is_some_and(|last| last < state.told)
    }

    /// Somebody knows of an event; says whether it is for the caller to [`fill`](Feed::fill) the feed.
    pub fn tell(&self, newest: i64) -> bool {
        let mut state = self.state();
        state.told = state.told.max(newest);
        let fills = !state.is_filling && state.last.is_some_and(|last| last < state.told);
        state.is_filling |= fills;
        fills
    }

    /// Reads the database up to what was told of, and wakes who follows. One at a time does.
    pub async fn fill(&self, db: &Db) -> Result<(), DbError> {
        let _turn = Turn(self);
        loop {
            let (last, told) = {
                let mut state = self.state();
                let last = state.last.unwrap_or(state.told);
                if last >= state.told {
                    state.is_filled();
                    return Ok(());
                }
                (last, state.told)
            };
            let read = journal::events_after(&mut db.read(), &self.permit, last, PAGE).await;
            let mut state = self.state();
            match read {
                Ok(events) if !events.is_empty() => state.push(&events),
                // The database that was asked does not have it yet: who looks after the feeds comes again.
                Ok(_) if state.told == told => {
                    state.is_filled();
                    return Ok(());
                }
                Ok(_) => {}
                Err(error) => {
                    state.is_filled();
                    return Err(error);
                }
            }
        }
    }

    /// What comes after a cursor, from what is at hand.
    pub fn after(&self, cursor: i64) -> After {
        let state = self.state();
        let last = state.last.unwrap_or_default();
        if cursor >= last {
            return After::Nothing;
        }
        match state.items.front() {
            Some(first) if cursor + 1 >= first.seq => {
                After::Items(state.items.iter().filter(|item| item.seq > cursor).cloned().collect())
            }
            _ => After::Behind,
        }
    }

    /// Takes a reading, if it is newer than the one of its kind that is known.
    pub fn put<K: StatusKind>(&self, key: (Timestamp, RowId), report: impl FnOnce() -> Report<K>) {
        let is_newer = |state: &State| {
            state.readings.iter().find(|known| known.kind == K::NAME).is_none_or(|known| known.key < key)
        };
        if !is_newer(&self.state()) {
            return;
        }
        let text = wire::reading(self.family(), K::NAME, &serde_json::json!(report()));
        let mut state = self.state();
        if !is_newer(&state) {
            return;
        }
        state.count += 1;
        let reading = Reading { kind: K::NAME, key, count: state.count, text };
        state.readings.retain(|known| known.kind != K::NAME);
        // At the end, so that they stay in the order in which they came.
        state.readings.push(reading);
        state.wake();
    }

    /// As [`Feed::put`], of a report on its way.
    pub fn put_new<K: StatusKind>(&self, report: &NewReport<K>) {
        self.put((report.reported_at, report.id), || Report {
            index: report.id,
            family_id: self.family(),
            reported_at: report.reported_at,
            fields: report.fields.clone(),
        });
    }

    /// The number of the newest report of a kind that is known here.
    fn known<K: StatusKind>(&self) -> Option<RowId> {
        self.state().readings.iter().find(|known| known.kind == K::NAME).map(|known| known.key.1)
    }

    /// Whether [`Feed::load`] has nothing to do.
    pub fn is_loaded(&self) -> bool {
        self.loaded.initialized()
    }

    /// Looks up the newest report of every kind, once. Of many who ask one does, and the others wait for it.
    pub async fn load(&self, db: &Db) -> Result<(), DbError> {
        self.loaded.get_or_try_init(|| self.look_up_all(db)).await.map(drop)
    }

    /// Looks up the newest report of every kind.
    pub async fn look_up_all(&self, db: &Db) -> Result<(), DbError> {
        macro_rules! look {
            ($kind:ident) => {
                self.look_up::<$kind>(db).await?
            };
        }
        for_each_status_kind!(look);
        Ok(())
    }

    /// Looks up the newest report of a kind.
    pub async fn look_up<K: StatusKind>(&self, db: &Db) -> Result<(), DbError> {
        if let Some(report) = status::latest::<K>(&mut db.read(), &self.permit).await? {
            self.put((report.reported_at, report.index), || report);
        }
        Ok(())
    }

    /// Whether another report of a kind than the one that is known is the newest.
    pub fn is_news<K: StatusKind>(&self, newest: RowId) -> bool {
        self.is_loaded() && self.known::<K>() != Some(newest)
    }

    /// Appends the readings that came after a count, as many as fit; the count to go on with. None as long as events behind a cursor
    /// are being read or at hand: what happened with a reading goes before it. Who follows is woken when they are there, or cannot be
    /// read just now: then readings wait no longer.
    pub fn readings_after(&self, (cursor, count): (i64, u64), out: &mut String, most: usize) -> u64 {
        let mut state = self.state();
        if state.is_filling {
            state.holds |= state.count > count;
            return count;
        }
        if state.last.is_some_and(|last| last > cursor) {
            return count;
        }
        let mut seen = count;
        for reading in state.readings.iter().filter(|reading| reading.count > count) {
            if out.len() >= most {
                break;
            }
            out.push_str(&reading.text);
            seen = reading.count;
        }
        seen
    }
}

/// Somebody's turn to read on, which ends even if that panics: otherwise nobody would ever read on again.
struct Turn<'a>(&'a Feed);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.state().is_filled();
        }
    }
}

impl State {
    fn push(&mut self, events: &[Event]) {
        for event in events {
            if self.last.is_some_and(|last| last + 1 != event.seq) {
                // Some are gone already, because they were so old: what is at hand has no gap.
                self.items.clear();
                self.bytes = 0;
            }
            let item = Item::new(event);
            self.last = Some(item.seq);
            self.bytes += item.text.len();
            self.items.push_back(Arc::new(item));
        }
        while self.items.len() > KEPT || (self.bytes > KEPT_BYTES && self.items.len() > 1) {
            self.bytes -= self.items.pop_front().map_or(0, |item| item.text.len());
        }
        self.wake();
    }

    /// Nobody reads on any more, whether everything was found or not.
    fn is_filled(&mut self) {
        self.is_filling = false;
        if std::mem::take(&mut self.holds) {
            self.wake();
        }
    }

    fn wake(&self) {
        self.seats.values().for_each(|seat| seat.wake());
    }
}

#[cfg(test)]
mod tests {
    use carebot_model::access::{Action, Relation, Relations};

    use super::*;

    fn feed() -> Feed {
        let family = FamilyId::parse("F234567890123456").expect("an id");
        Feed::new(Permit::ask(Relations::of(Relation::Main), Action::EventRead, family).expect("elders may"))
    }

    fn event(feed: &Feed, seq: i64, body: &str) -> Event {
        Event {
            family: feed.family(),
            seq,
            created_at: Timestamp::from_millis(seq),
            kind: EventKind::Alarm,
            between: None,
            body: body.to_owned(),
        }
    }

    fn seqs(after: After) -> Option<Vec<i64>> {
        match after {
            After::Nothing => Some(Vec::new()),
            After::Items(items) => Some(items.iter().map(|item| item.seq).collect()),
            After::Behind => None,
        }
    }

    #[test]
    fn a_bounded_number_of_events_is_at_hand_and_they_have_no_gap() {
        let feed = feed();
        feed.begin(7);
        assert_eq!(seqs(feed.after(7)), Some(vec![]));
        assert_eq!(seqs(feed.after(6)), None, "what was before is in the database");
        for seq in 8..1_000 {
            feed.state().push(&[event(&feed, seq, "{}")]);
        }
        assert_eq!(feed.state().items.len(), KEPT);
        assert_eq!(seqs(feed.after(996)), Some(vec![997, 998, 999]));
        let kept = i64::try_from(KEPT).expect("a small number");
        assert_eq!(seqs(feed.after(999 - kept)).map(|seqs| seqs.len()), Some(KEPT));
        assert_eq!(seqs(feed.after(998 - kept)), None);
        // A gap: only what is behind it.
        feed.state().push(&[event(&feed, 1_005, "{}"), event(&feed, 1_006, "{}")]);
        assert_eq!(seqs(feed.after(1_004)), Some(vec![1_005, 1_006]));
        assert_eq!(seqs(feed.after(999)), None);
        // Large ones: one is always at hand.
        for seq in 1_007..1_012 {
            feed.state().push(&[event(&feed, seq, &format!("\"{}\"", "x".repeat(KEPT_BYTES)))]);
        }
        assert_eq!(seqs(feed.after(1_010)), Some(vec![1_011]));
        assert_eq!(feed.state().items.len(), 1);
        assert!(feed.state().bytes < 2 * KEPT_BYTES);
    }

    #[test]
    fn one_reads_on_at_a_time() {
        let feed = feed();
        assert!(!feed.tell(3), "nobody knows yet where it begins");
        feed.begin(1);
        assert!(feed.tell(2), "it was told of 3");
        assert!(!feed.tell(4), "somebody does");
    }

    #[test]
    fn of_readings_the_newest_of_each_kind_is_known() {
        let feed = feed();
        let put = |id: i64, at: i64, rate: i32| {
            feed.put_new(&NewReport {
                id: RowId(id),
                reported_at: Timestamp::from_millis(at),
                received_at: Timestamp::from_millis(at),
                source_key: None,
                fields: Health { heart_rate: Some(rate) },
            });
        };
        put(1, 1_000, 70);
        put(2, 2_000, 71);
        // One that comes late is not the newest.
        put(3, 1_500, 120);
        let mut out = String::new();
        let count = feed.readings_after((0, 0), &mut out, usize::MAX);
        assert_eq!(out.matches("event: reading").count(), 1);
        assert!(
            out.contains(r#""kind":"health","report":{"index":2,"#) && out.contains(r#""heart_rate":71}"#),
            "{out}"
        );
        out.clear();
        assert_eq!(feed.readings_after((0, count), &mut out, usize::MAX), count);
        assert_eq!(out, "");
        put(4, 3_000, 72);
        assert!(feed.readings_after((0, count), &mut out, usize::MAX) > count);
        assert!(out.contains(r#""index":4,"#), "{out}");
    }

    #[test]
    fn readings_wait_for_events() {
        let feed = feed();
        feed.begin(1);
        let reading = |feed: &Feed, cursor: i64| {
            let mut out = String::new();
            feed.readings_after((cursor, 0), &mut out, usize::MAX);
            !out.is_empty()
        };
        assert!(feed.tell(2));
        let (index, reported_at) = (RowId(1), Timestamp::from_millis(1));
        let fields = Health { heart_rate: Some(70) };
        let report = Report { index, family_id: feed.family(), reported_at, fields };
        feed.put((report.reported_at, report.index), || report);
        assert!(!reading(&feed, 1), "somebody reads on");
        feed.state().push(&[event(&feed, 2, "{}")]);
        feed.state().is_filled();
        assert!(!reading(&feed, 1), "the event is at hand");
        assert!(reading(&feed, 2));
        // That nothing was found holds nothing back for ever.
        assert!(feed.tell(3));
        assert!(!reading(&feed, 2));
        feed.state().is_filled();
        assert!(reading(&feed, 2));
    }

    #[test]
    fn an_alarm_names_those_whom_it_tells() {
        let feed = feed();
        let told = |body: &str| Item::new(&event(&feed, 1, body)).told;
        let account = AccountId::parse("U234567890123456").expect("an id");
        assert_eq!(
            told(r#"{"what":"step","alarm":{"id":150529000000001},"notify":["U234567890123456"]}"#),
            Some((RowId(150_529_000_000_001), vec![account]))
        );
        for body in [
            r#"{"alarm":{"id":1},"notify":[]}"#,
            r#"{"alarm":{"id":1}}"#,
            r#"{"notify":["U234567890123456"]}"#,
            "{}",
            "x",
        ] {
            assert_eq!(told(body), None, "{body}");
        }
    }
}
