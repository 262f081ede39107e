//! Thinned reports that are kept for whoever asks for a long range again and again, as the existing page does: a year, every five
//! seconds, to a new end each time.
//!
//! The answer is the very one of [`Pages`](crate::pages::Pages): the oldest report, one of each cell of a `Grid`, and the newest ones
//! whole. Cells begin at multiples of the grid's step, so that they stay what they are when the range moves on. What is kept, for each
//! family and kind:
//!
//! * the newest reports that are *settled*: older than [`SETTLED`], so that none comes in between them without being noted as late. The
//!   newer ones are read every time, with those that have settled since;
//! * the reports of the cells of the grids that were asked for last;
//! * the oldest report of the range that was asked for last.
//!
//! Every answer first reads `rollup_progress`, a row that is written in the transaction of every late report (`late_count`) and of every
//! other change of reports that are not new (`deep_count`), by whichever server: after the first, what is younger than a late report can be
//! is forgotten, after the second all. Rights are checked before any of this, for each request.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use carebot_database::listing::{Key, Listing, Range};
use carebot_database::rollups::{self, Progress, SETTLED};
use carebot_database::{Db, Row};
use carebot_model::wire::Order;
use carebot_model::{FamilyId, Timestamp};

use crate::Result;
use crate::pages::{Bounds, Grid};
use crate::status::OLDEST;

/// Settled reports that are kept beyond those that are needed, so that not all have to be read again soon.
const SPARE: usize = 500;
/// The most grids of a family and kind.
const GRIDS: usize = 3;
/// The most that is kept of families and kinds.
const MOST: usize = 1_000;
/// What nobody asked for so long, in milliseconds, is forgotten.
const IDLE: i64 = 600_000;
/// The part of all memory that one family's reports of a kind may take: what takes more is sent as it is read.
const PART: usize = 4;
/// How long it is believed that a range is short, or too much to be kept, in milliseconds.
const BELIEVED: i64 = 60_000;
/// What a kept report takes besides its text.
const OVERHEAD: usize = 48;

/// Writes a report into an empty page.
pub type Write = Arc<dyn Fn(&mut Vec<u8>, &Row<'_>) -> carebot_database::Result<()> + Send + Sync>;

/// A report as it is sent.
type Text = Box<[u8]>;

/// What is kept of a family's reports of a kind.
#[derive(Debug, Default)]
struct Kept {
    marks: (i64, i64),
    /// When the marks were last read.
    seen: Option<Timestamp>,
    /// The newest settled reports without a gap, oldest first.
    newest: VecDeque<(Key, Text)>,
    /// From here on there are more reports than an answer can have rows.
    long_from: Option<Key>,
    /// Since when a range was short or too much, and until when that is believed.
    short: Option<(Timestamp, Timestamp)>,
    /// The start of a range, and its oldest report.
    oldest: Option<(Timestamp, Timestamp, Text)>,
    /// The one that was asked for last is the last.
    grids: Vec<Cells>,
}

/// What is kept of a grid: the reports of the cells from a number on and before another.
#[derive(Debug)]
struct Cells {
    step: i64,
    from: i64,
    until: i64,
    texts: BTreeMap<i64, Text>,
}

impl Kept {
    fn bytes(&self) -> usize {
        let cells = self.grids.iter().flat_map(|grid| grid.texts.values());
        let texts = self.newest.iter().map(|(_, text)| text).chain(cells);
        texts.map(|text| text.len() + OVERHEAD).sum()
    }

    /// Forgets what others may have changed.
    fn refresh(&mut self, progress: Progress, now: Timestamp) {
        let marks = (progress.late, progress.deep);
        if self.seen.is_some_and(|seen| seen > now) {
            // The clock was set back: what was the newest may lie in the future.
            *self = Self { seen: Some(now), marks, ..Self::default() };
            return;
        }
        let seen = self.seen.replace(now).unwrap_or(now).min(now);
        if self.marks == marks {
            return;
        }
        if self.marks.1 == marks.1 {
            // A late report waits for its transaction a little, too.
            let from = seen.plus_millis(-OLDEST - 2 * SETTLED);
            self.newest.retain(|(key, _)| key.time < from);
            self.oldest = self.oldest.take().filter(|(_, at, _)| *at < from);
            for grid in &mut self.grids {
                grid.until = grid.until.min(from.millis().div_euclid(grid.step));
                grid.texts.split_off(&grid.until);
            }
            self.grids.retain(|grid| grid.from < grid.until);
            self.short = None;
        } else {
            *self = Self { seen: Some(now), ..Self::default() };
        }
        self.marks = marks;
    }
}

struct Slot {
    kept: Arc<tokio::sync::Mutex<Kept>>,
    bytes: usize,
    used: Timestamp,
}

type Slots = HashMap<(FamilyId, &'static str), Slot>;

/// What is kept of everybody.
pub(crate) struct Polls {
    most_bytes: usize,
    slots: Mutex<Slots>,
}

impl std::fmt::Debug for Polls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Polls").finish_non_exhaustive()
    }
}

/// A thinned range.
pub(crate) struct Asked<'a> {
    pub family: FamilyId,
    pub kind: &'static str,
    pub range: Range,
    pub order: Order,
    pub bounds: Bounds,
    /// The reports of a range.
    pub listing: &'a (dyn Fn(Range) -> Listing + Send + Sync),
    pub write: Write,
}

/// How many bytes of reports may still be read for an answer that is kept.
struct Budget(AtomicUsize);

impl Budget {
    /// Whether so many more may be kept. Once it is spent it stays so.
    fn takes(&self, bytes: usize) -> bool {
        let less = |left: usize| Some(left.saturating_sub(bytes));
        self.0.fetch_update(Relaxed, Relaxed, less).is_ok_and(|left| left > bytes)
    }

    fn is_spent(&self) -> bool {
        self.0.load(Relaxed) == 0
    }
}

impl Polls {
    pub fn new(most_bytes: usize) -> Self {
        Self { most_bytes, slots: Mutex::default() }
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.slots().clear();
    }

    /// Forgets what nobody asked for lately.
    pub fn tidy(&self, now: Timestamp) {
        self.slots().retain(|_, slot| now.since(slot.used) < IDLE);
    }

    /// How many bytes are kept.
    pub fn bytes(&self) -> usize {
        self.slots().values().map(|slot| slot.bytes).sum()
    }

    fn slot(&self, family: FamilyId, kind: &'static str, now: Timestamp) -> Arc<tokio::sync::Mutex<Kept>> {
        let mut slots = self.slots();
        let slot = slots.entry((family, kind)).or_insert_with(|| Slot { kept: Arc::default(), bytes: 0, used: now });
        slot.used = now;
        Arc::clone(&slot.kept)
    }

    /// Notes what something takes, and makes room.
    fn note(&self, family: FamilyId, kind: &'static str, bytes: usize) {
        let mut slots = self.slots();
        if let Some(slot) = slots.get_mut(&(family, kind)) {
            slot.bytes = bytes;
        }
        let mut all: usize = slots.values().map(|slot| slot.bytes).sum();
        while all > self.most_bytes || slots.len() > MOST {
            let oldest = slots.iter().min_by_key(|(_, slot)| slot.used).map(|(key, slot)| (*key, slot.bytes));
            let Some((key, bytes)) = oldest else { break };
            slots.remove(&key);
            all -= bytes;
        }
    }

    /// The reports of a range, with commas between them, if it is long and goes to the newest.
    ///
    /// # Errors
    /// As the database.
    pub async fn answer(&self, db: &Db, now: Timestamp, asked: &Asked<'_>) -> Result<Option<Vec<u8>>> {
        let settled = now.plus_millis(-SETTLED);
        let (limit, whole) = (asked.bounds.row_limit, asked.bounds.newest_whole.unwrap_or(asked.bounds.row_limit));
        if self.most_bytes == 0 || whole >= limit || whole == 0 || asked.range.end < settled {
            return Ok(None);
        }
        let slot = self.slot(asked.family, asked.kind, now);
        let mut kept = slot.lock().await;
        // Before anything else: what changes after this is seen the next time.
        let progress = rollups::progress(&mut db.read(), asked.family, asked.kind).await?;
        kept.refresh(progress, now);
        let most = self.most_bytes / PART;
        let budget = Arc::new(Budget(AtomicUsize::new(most.saturating_sub(kept.bytes()))));
        let mut answer = kept.answer(db, now, settled, (asked, &budget)).await;
        if budget.is_spent() {
            let short = Some((asked.range.start, now.plus_millis(BELIEVED)));
            *kept = Kept { seen: kept.seen, marks: kept.marks, short, ..Kept::default() };
            // What was read is not whole.
            answer = answer.map(|_| None);
        }
        let bytes = kept.bytes();
        drop(kept);
        self.note(asked.family, asked.kind, bytes);
        answer
    }
}

fn texts(
    write: &Write,
    budget: &Arc<Budget>,
) -> impl Fn(&mut Vec<(Key, Text)>, &Row<'_>) -> carebot_database::Result<()> + Send + Sync + 'static {
    let (write, budget) = (Arc::clone(write), Arc::clone(budget));
    move |texts, row| {
        if budget.is_spent() {
            return Ok(());
        }
        let mut text = Vec::with_capacity(256);
        write(&mut text, row)?;
        if !budget.takes(text.len() + OVERHEAD) {
            return Ok(());
        }
        texts.push((Key { time: row.get(0)?, id: row.get(1)? }, text.into_boxed_slice()));
        Ok(())
    }
}

impl Kept {
    /// Every await comes before what it changes: who hangs up leaves nothing half done.
    async fn answer(
        &mut self,
        db: &Db,
        now: Timestamp,
        settled: Timestamp,
        (asked, budget): (&Asked<'_>, &Arc<Budget>),
    ) -> Result<Option<Vec<u8>>> {
        let start = asked.range.start;
        if self.short.is_some_and(|(since, until)| start >= since && now < until) {
            return Ok(None);
        }
        let whole = asked.bounds.newest_whole.unwrap_or_default() as usize;
        if !self.is_long(db, now, settled, asked).await? {
            return Ok(None);
        }
        let Some(live) = self.read_on(db, settled, (asked, budget), whole).await? else { return Ok(None) };
        // The newest report that is not whole.
        let Some(boundary) = (self.newest.len() + live.len()).checked_sub(whole + 1) else { return Ok(None) };
        let Some((limit, _)) = self.newest.get(boundary) else { return Ok(None) };
        let limit = limit.time;
        let Some(oldest) = self.oldest_from(db, settled, (asked, budget)).await? else { return Ok(None) };
        let grid = Grid::between(oldest, limit, asked.bounds.row_limit - asked.bounds.newest_whole.unwrap_or_default());
        let cells = (grid.first + 1, grid.first + i64::from(grid.cells));
        self.fill(db, (asked, budget), grid, cells).await?;
        if budget.is_spent() {
            return Ok(None);
        }
        let (Some((_, _, first)), Some(known)) = (&self.oldest, self.grids.last()) else { return Ok(None) };
        let thinned =
            std::iter::once(first).chain(known.texts.range(cells.0..cells.1.max(cells.0)).map(|(_, text)| text));
        let newest = self.newest.range(boundary + 1..).chain(&live).map(|(_, text)| text);
        let mut page =
            Vec::with_capacity(usize::try_from(asked.bounds.row_limit).unwrap_or(0).min(20_000) * (first.len() + 32));
        let mut add = |text: &Text| {
            if !page.is_empty() {
                page.push(b',');
            }
            page.extend_from_slice(text);
        };
        match asked.order {
            Order::Ascending => thinned.chain(newest).for_each(&mut add),
            Order::Descending => {
                let rows: Vec<&Text> = thinned.chain(newest).collect();
                rows.into_iter().rev().for_each(&mut add);
            }
        }
        Ok(Some(page))
    }

    /// Whether the range has more settled reports than an answer can have rows.
    async fn is_long(&mut self, db: &Db, now: Timestamp, settled: Timestamp, asked: &Asked<'_>) -> Result<bool> {
        let start = asked.range.start;
        if self.long_from.is_some_and(|from| start <= from.time) {
            return Ok(true);
        }
        let listing = (asked.listing)(Range { start, end: settled });
        let from = listing.nth_newest(&mut db.read(), asked.bounds.row_limit).await?;
        match from {
            Some(from) => self.long_from = Some(from),
            None => self.short = Some((start, now.plus_millis(BELIEVED))),
        }
        Ok(from.is_some())
    }

    /// Reads what came since the newest that is kept, and gives what of it is not settled; nothing if that is too much.
    async fn read_on(
        &mut self,
        db: &Db,
        settled: Timestamp,
        (asked, budget): (&Asked<'_>, &Arc<Budget>),
        whole: usize,
    ) -> Result<Option<Vec<(Key, Text)>>> {
        let most = u32::try_from(whole + SPARE).unwrap_or(u32::MAX);
        if let Some((last, _)) = self.newest.back()
            && self.newest.len() > whole
        {
            let listing = (asked.listing)(Range { start: last.time, end: asked.range.end });
            let page = listing
                .page(&mut db.read(), Order::Ascending, Some(*last), None, most, Vec::new, texts(&asked.write, budget))
                .await?;
            if !page.is_full {
                return Ok(self.take_in(page.state, settled, whole));
            }
        }
        let listing = (asked.listing)(Range { start: Timestamp::MIN, end: asked.range.end });
        let most = most.saturating_add(u32::try_from(whole).unwrap_or(u32::MAX));
        let page = listing
            .page(&mut db.read(), Order::Descending, None, None, most, Vec::new, texts(&asked.write, budget))
            .await?;
        self.newest.clear();
        Ok(self.take_in(page.state.into_iter().rev().collect(), settled, whole))
    }

    fn take_in(&mut self, read: Vec<(Key, Text)>, settled: Timestamp, whole: usize) -> Option<Vec<(Key, Text)>> {
        let mut live = read;
        let split = live.partition_point(|(key, _)| key.time < settled);
        let unsettled = live.split_off(split);
        self.newest.extend(live);
        while self.newest.len() > whole + 1 + SPARE {
            self.newest.pop_front();
        }
        (unsettled.len() < whole && self.newest.len() > whole).then_some(unsettled)
    }

    /// The time of the oldest report of the range, which is kept then.
    async fn oldest_from(
        &mut self,
        db: &Db,
        settled: Timestamp,
        (asked, budget): (&Asked<'_>, &Arc<Budget>),
    ) -> Result<Option<Timestamp>> {
        let start = asked.range.start;
        if let Some((since, at, _)) = &self.oldest
            && *since <= start
            && start <= *at
        {
            return Ok(Some(*at));
        }
        let listing = (asked.listing)(Range { start, end: settled });
        let page = listing
            .page(&mut db.read(), Order::Ascending, None, None, 1, Vec::new, texts(&asked.write, budget))
            .await?;
        let Some((key, text)) = page.state.into_iter().next() else { return Ok(None) };
        self.oldest = Some((start, key.time, text));
        Ok(Some(key.time))
    }

    /// Makes the grid the last one, with the reports of these cells.
    async fn fill(
        &mut self,
        db: &Db,
        (asked, budget): (&Asked<'_>, &Arc<Budget>),
        grid: Grid,
        (from, until): (i64, i64),
    ) -> Result<()> {
        let there =
            self.grids.iter().position(|known| known.step == grid.step && known.from <= until && from <= known.until);
        if let Some(there) = there {
            let known = self.grids.remove(there);
            self.grids.push(known);
        } else {
            self.grids.retain(|known| known.step != grid.step);
            if self.grids.len() >= GRIDS {
                self.grids.remove(0);
            }
            self.grids.push(Cells { step: grid.step, from, until: from, texts: BTreeMap::new() });
        }
        let Some(known) = self.grids.last_mut() else { return Ok(()) };
        let older = read_cells(db, (asked, budget), grid, (from, known.from)).await?;
        if from < known.from {
            known.texts.extend(older);
            known.from = from;
        }
        let newer = read_cells(db, (asked, budget), grid, (known.until, until)).await?;
        if known.until < until {
            known.texts.extend(newer);
            known.until = until;
        }
        // A range that moves on leaves cells behind.
        if known.texts.len() > 2 * asked.bounds.row_limit as usize {
            known.texts = known.texts.split_off(&from);
            known.from = from;
        }
        Ok(())
    }
}

/// The first report of each of some cells.
async fn read_cells(
    db: &Db,
    (asked, budget): (&Asked<'_>, &Arc<Budget>),
    grid: Grid,
    (from, until): (i64, i64),
) -> Result<Vec<(i64, Text)>> {
    let (mut cells, mut next) = (Vec::new(), from);
    while next < until && !budget.is_spent() {
        let many = u32::try_from(until - next).unwrap_or(u32::MAX).min(Listing::PROBES);
        let listing = (asked.listing)(Range::ALL);
        let mut tx = db.read();
        let times = listing.probe(&mut tx, grid.start(next), grid.step, many).await?;
        let rows = listing.at_times(&mut tx, &times, Order::Ascending, Vec::new, texts(&asked.write, budget)).await?;
        cells.extend(rows.into_iter().map(|(key, text)| (key.time.millis().div_euclid(grid.step), text)));
        next += i64::from(many);
    }
    Ok(cells)
}
