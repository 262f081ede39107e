//! Roll-ups: reports summed up in buckets of five minutes, hours and Korean days; and what deletes reports by age.
//!
//! [`roll`] sums up whole hours, from the family's watermark on. A report that comes in later than [`LATE`] after it was sensed is noted by
//! [`note_late`] in the transaction that stores it, and [`roll_again`] sums its hour up once more. Both read the reports themselves and
//! write what they find, so that it does not matter how often that is done, and each is one transaction, so that it can be
//! interrupted anywhere. They and whoever notes something take turns by a lock on the row of `rollup_progress`.
//!
//! [`purge`] deletes reports hour by hour, in the transaction that makes sure that the hour's roll-up is what they sum up to.

use std::collections::BTreeSet;

use carebot_model::for_each_status_kind;
use carebot_model::status::series::{Bucket, Stats, Sum};
use carebot_model::status::{Active, Health, Home, Mental, MentalReport, StatusKind};
use carebot_model::{FamilyId, Timestamp};

use crate::connector::error::DbError;
use crate::{Db, Result, Tx, Value, journal, params, transact};

/// A report that is stored this many milliseconds after it was sensed is late: its hour may be summed up already.
pub const LATE: i64 = 60_000;
/// What is older than this many milliseconds has come in, or will be late. Twice [`LATE`]: a commit takes its time, and clocks of
/// servers differ.
pub const SETTLED: i64 = 2 * LATE;
/// Rows of one statement.
const ROWS: usize = 96;
/// The mark that keeps reports from being deleted.
const HELD: &str = "retention_held";

/// A kind with series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// Its table.
    pub table: &'static str,
    /// Its numbers.
    pub fields: &'static [&'static str],
}

impl Kind {
    /// Of a kind of report.
    pub const fn of<K: StatusKind>() -> Self {
        Self { name: K::NAME, table: K::TABLE, fields: K::SERIES }
    }

    /// Every kind that has series.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        macro_rules! add {
            ($kind:ident) => {
                all.push(Self::of::<$kind>());
            };
        }
        for_each_status_kind!(add);
        all.retain(|kind| !kind.fields.is_empty());
        all
    }
}

/// How far a family's reports of a kind are summed up and deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// What is older is summed up.
    pub rolled_until: Option<Timestamp>,
    /// What is older is deleted.
    pub purged_until: Option<Timestamp>,
    /// Becomes more with late reports.
    pub late: i64,
    /// Becomes more with any other change of older reports.
    pub deep: i64,
}

impl Progress {
    /// What is older is known by its sums alone, always a whole hour.
    pub fn watermark(self) -> Timestamp {
        self.rolled_until.max(self.purged_until).unwrap_or(Timestamp::MIN)
    }
}

/// How far it is.
///
/// # Errors
/// As any statement.
pub async fn progress(tx: &mut Tx, family: FamilyId, kind: &'static str) -> Result<Progress> {
    let found = tx
        .fetch_optional(
            "SELECT rolled_until, purged_until, late_count, deep_count FROM rollup_progress WHERE family_id = ? AND kind = ?",
            params![family, kind],
            |row| {
                Ok(Progress { rolled_until: row.get(0)?, purged_until: row.get(1)?, late: row.get(2)?, deep: row.get(3)? })
            },
        )
        .await?;
    Ok(found.unwrap_or_default())
}

/// Keeps everybody else from changing it until the end of the transaction.
async fn lock(tx: &mut Tx, family: FamilyId, kind: &'static str) -> Result<Progress> {
    let is_there =
        tx.lock_one("SELECT kind FROM rollup_progress WHERE family_id = ? AND kind = ?", params![family, kind]).await?;
    if !is_there {
        make(tx, family, kind, 0, 0).await?;
    }
    progress(tx, family, kind).await
}

async fn make(tx: &mut Tx, family: FamilyId, kind: &'static str, late: i64, deep: i64) -> Result<()> {
    let made = tx
        .execute(
            "INSERT INTO rollup_progress (family_id, kind, late_count, deep_count) VALUES (?, ?, ?, ?)",
            params![family, kind, late, deep],
        )
        .await;
    match made {
        // Somebody else made it in this moment: the transaction is tried again and finds it.
        Err(DbError::Duplicate { .. }) => Err(DbError::Conflict("two made one row of progress".into())),
        made => made.map(drop),
    }
}

async fn count(tx: &mut Tx, family: FamilyId, kind: &'static str, late: i64, deep: i64) -> Result<()> {
    let counted = tx
        .execute(
            "UPDATE rollup_progress SET late_count = late_count + ?, deep_count = deep_count + ? WHERE family_id = ? AND kind = ?",
            params![late, deep, family, kind],
        )
        .await?;
    if counted == 0 { make(tx, family, kind, late, deep).await } else { Ok(()) }
}

async fn note(tx: &mut Tx, family: FamilyId, kind: &'static str, hours: &BTreeSet<Timestamp>) -> Result<()> {
    for hour in hours {
        let noted = tx
            .execute(
                "INSERT INTO rollup_late (family_id, kind, starts_at) VALUES (?, ?, ?)",
                params![family, kind, *hour],
            )
            .await;
        match noted {
            // It is noted already; whoever is about to sum it up waits for the lock that is held here.
            Ok(_) | Err(DbError::Duplicate { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Notes that late reports were stored, in the transaction that stores them.
///
/// # Errors
/// As any statement.
pub async fn note_late(
    tx: &mut Tx,
    family: FamilyId,
    kind: &'static str,
    times: impl IntoIterator<Item = Timestamp> + Send,
) -> Result<()> {
    let hours: BTreeSet<Timestamp> = times.into_iter().map(|at| Bucket::Hour.floor(at)).collect();
    if hours.is_empty() {
        return Ok(());
    }
    count(tx, family, kind, 1, 0).await?;
    note(tx, family, kind, &hours).await
}

/// Notes that a report of any age was changed or deleted, in the transaction that does it.
///
/// # Errors
/// As any statement.
pub async fn note_changed(tx: &mut Tx, family: FamilyId, kind: &'static str, at: Timestamp) -> Result<()> {
    count(tx, family, kind, 0, 1).await?;
    note(tx, family, kind, &BTreeSet::from([Bucket::Hour.floor(at)])).await
}

/// Has everything from a time on summed up once more: many reports were written there.
///
/// # Errors
/// As any statement.
pub async fn rewind(tx: &mut Tx, family: FamilyId, kind: &'static str, from: Timestamp) -> Result<()> {
    let progress = lock(tx, family, kind).await?;
    let from = Bucket::Hour.floor(from);
    let rolled = progress.rolled_until.map(|until| until.min(from));
    tx.execute(
        "UPDATE rollup_progress SET rolled_until = ?, deep_count = deep_count + 1 WHERE family_id = ? AND kind = ?",
        params![rolled, family, kind],
    )
    .await
    .map(drop)
}

/// A family's reports of a kind from a time on and before another, summed up in buckets of five minutes.
///
/// # Errors
/// As any statement.
pub async fn raw(tx: &mut Tx, family: FamilyId, kind: Kind, from: Timestamp, until: Timestamp) -> Result<Vec<Sum>> {
    if until <= from {
        return Ok(Vec::new());
    }
    let Kind { table, fields, .. } = kind;
    let count = fields.len();
    tx.fold(
        format!(
            "SELECT reported_at, {} FROM {table} WHERE family_id = ? AND reported_at BETWEEN ? AND ? ORDER BY reported_at, id",
            fields.join(", ")
        ),
        params![family, from, until.plus_millis(-1)],
        Vec::new,
        move |sums: &mut Vec<Sum>, row| {
            let start = Bucket::FiveMinutes.floor(row.get(0)?);
            if sums.last().is_none_or(|last| last.start != start) {
                sums.push(Sum { start, stats: Stats::new(count) });
            }
            if let Some(Sum { stats, .. }) = sums.last_mut() {
                stats.report();
                for field in 0..count {
                    stats.number(field, row.get(field + 1)?);
                }
            }
            Ok(())
        },
    )
    .await
}

/// A family's stored buckets of a size that begin from a time on and before another.
///
/// # Errors
/// As any statement; [`DbError::Statement`] if a stored one cannot be read.
pub async fn stored(
    tx: &mut Tx,
    family: FamilyId,
    kind: Kind,
    size: Bucket,
    (from, until): (Timestamp, Timestamp),
) -> Result<Vec<Sum>> {
    if until <= from {
        return Ok(Vec::new());
    }
    let fields = kind.fields.len();
    tx.fetch(
        "SELECT starts_at, reports, stats FROM rollups WHERE family_id = ? AND kind = ? AND size = ? AND starts_at BETWEEN ? AND ?
         ORDER BY starts_at",
        params![family, kind.name, size.seconds(), from, until.plus_millis(-1)],
        move |row| {
            let stats = Stats::parse(row.get(1)?, &row.get::<String>(2)?, fields);
            let stats = stats.ok_or_else(|| DbError::Statement("a stored sum is not one".into()))?;
            Ok(Sum { start: row.get(0)?, stats })
        },
    )
    .await
}

/// Larger buckets, made of smaller ones in order of time.
pub fn merge(size: Bucket, smaller: &[Sum]) -> Vec<Sum> {
    let mut sums: Vec<Sum> = Vec::new();
    for part in smaller {
        let start = size.floor(part.start);
        match sums.last_mut().filter(|last| last.start == start) {
            Some(last) => last.stats.add(&part.stats),
            None => sums.push(Sum { start, stats: part.stats.clone() }),
        }
    }
    sums
}

async fn write(
    tx: &mut Tx,
    family: FamilyId,
    kind: Kind,
    size: Bucket,
    (from, until): (Timestamp, Timestamp),
    sums: &[Sum],
) -> Result<()> {
    tx.execute(
        "DELETE FROM rollups WHERE family_id = ? AND kind = ? AND size = ? AND starts_at BETWEEN ? AND ?",
        params![family, kind.name, size.seconds(), from, until.plus_millis(-1)],
    )
    .await?;
    for sums in sums.chunks(ROWS) {
        let marks = vec!["(?, ?, ?, ?, ?, ?)"; sums.len()].join(", ");
        let values: Vec<Value> = sums
            .iter()
            .flat_map(|Sum { start, stats }| {
                let count = i64::try_from(stats.count).unwrap_or(i64::MAX);
                params![family, kind.name, size.seconds(), *start, count, stats.text()]
            })
            .collect();
        tx.execute(
            format!("INSERT INTO rollups (family_id, kind, size, starts_at, reports, stats) VALUES {marks}"),
            values,
        )
        .await?;
    }
    Ok(())
}

/// Sums up the days that some hours are in, of what is known of hours.
async fn write_days(tx: &mut Tx, family: FamilyId, kind: Kind, (from, until): (Timestamp, Timestamp)) -> Result<()> {
    let days = (Bucket::Day.floor(from), Bucket::Day.after(until.plus_millis(-1)));
    let hours = stored(tx, family, kind, Bucket::Hour, days).await?;
    write(tx, family, kind, Bucket::Day, days, &merge(Bucket::Day, &hours)).await
}

/// Sums up whole hours.
async fn write_hours(tx: &mut Tx, family: FamilyId, kind: Kind, hours: (Timestamp, Timestamp)) -> Result<()> {
    let fives = raw(tx, family, kind, hours.0, hours.1).await?;
    write(tx, family, kind, Bucket::FiveMinutes, hours, &fives).await?;
    write(tx, family, kind, Bucket::Hour, hours, &merge(Bucket::Hour, &fives)).await?;
    write_days(tx, family, kind, hours).await
}

async fn first_report(tx: &mut Tx, family: FamilyId, kind: Kind, from: Timestamp) -> Result<Option<Timestamp>> {
    tx.fetch_optional(
        format!(
            "SELECT reported_at FROM {} WHERE family_id = ? AND reported_at >= ? ORDER BY reported_at LIMIT 1",
            kind.table
        ),
        params![family, from],
        |row| row.get(0),
    )
    .await
}

/// When the newest report of a kind was made.
///
/// # Errors
/// As any statement.
pub async fn newest(tx: &mut Tx, family: FamilyId, kind: Kind) -> Result<Option<Timestamp>> {
    tx.fetch_optional(
        format!("SELECT reported_at FROM {} WHERE family_id = ? ORDER BY reported_at DESC LIMIT 1", kind.table),
        params![family],
        |row| row.get(0),
    )
    .await
}

/// Sums up reports from the watermark on, those of a day at most and only whole hours before `until`; false if there is nothing to
/// be summed up.
///
/// # Errors
/// As any statement.
pub async fn roll(db: &Db, family: FamilyId, kind: Kind, until: Timestamp) -> Result<bool> {
    let until = Bucket::Hour.floor(until);
    // Without a lock, which most of the time would be for nothing.
    let mut tx = db.read();
    let known = progress(&mut tx, family, kind.name).await?;
    if known.rolled_until > Some(until) {
        // A clock was ahead: what came in since is not summed up, whatever the watermark says.
        transact!(db, tx => {
            lock(&mut tx, family, kind.name).await?;
            tx.execute(
                "UPDATE rollup_progress SET rolled_until = ? WHERE family_id = ? AND kind = ? AND rolled_until > ?",
                params![until, family, kind.name, until],
            )
            .await
        })?;
        return Ok(false);
    }
    let from = known.watermark();
    if first_report(&mut tx, family, kind, from).await?.is_none_or(|first| first >= until) {
        return Ok(false);
    }
    let rolled = transact!(db, tx => {
        let from = lock(&mut tx, family, kind.name).await?.watermark();
        let Some(first) = first_report(&mut tx, family, kind, from).await?.filter(|first| *first < until) else {
            return Ok(false);
        };
        let from = Bucket::Hour.floor(first);
        let until = Bucket::Day.after(from).min(until);
        write_hours(&mut tx, family, kind, (from, until)).await?;
        tx.execute(
            "UPDATE rollup_progress SET rolled_until = ? WHERE family_id = ? AND kind = ?",
            params![until, family, kind.name],
        )
        .await?;
        Ok::<_, DbError>(true)
    });
    match rolled {
        // The family went away in this moment.
        Err(DbError::MissingParent) => Ok(false),
        rolled => rolled,
    }
}

/// Hours that have to be summed up again.
///
/// # Errors
/// As any statement.
pub async fn late(tx: &mut Tx, limit: u32) -> Result<Vec<(FamilyId, String, Timestamp)>> {
    tx.fetch("SELECT family_id, kind, starts_at FROM rollup_late LIMIT ?", params![limit], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })
    .await
}

/// Sums up an hour again, if it was summed up and its reports are all there.
///
/// # Errors
/// As any statement.
pub async fn roll_again(db: &Db, family: FamilyId, kind: Kind, hour: Timestamp) -> Result<()> {
    let done = transact!(db, tx => {
        let progress = lock(&mut tx, family, kind.name).await?;
        forget(&mut tx, family, kind.name, hour).await?;
        let is_rolled = progress.rolled_until.is_some_and(|until| hour < until);
        let is_whole = progress.purged_until.is_none_or(|until| hour >= until);
        if is_rolled && is_whole {
            write_hours(&mut tx, family, kind, (hour, Bucket::Hour.after(hour))).await?;
        }
        Ok::<_, DbError>(())
    });
    match done {
        // The family went away in this moment.
        Err(DbError::MissingParent) => Ok(()),
        done => done,
    }
}

/// Forgets that an hour has to be summed up again.
///
/// # Errors
/// As any statement.
pub async fn forget(tx: &mut Tx, family: FamilyId, kind: &str, hour: Timestamp) -> Result<()> {
    tx.execute(
        "DELETE FROM rollup_late WHERE family_id = ? AND kind = ? AND starts_at = ?",
        params![family, kind, hour],
    )
    .await
    .map(drop)
}

/// Families that are not deleted, page by page in the order of their ids.
///
/// # Errors
/// As any statement.
pub async fn families(tx: &mut Tx, after: Option<FamilyId>, limit: u32) -> Result<Vec<FamilyId>> {
    let after = after.map(|family| family.to_string()).unwrap_or_default();
    tx.fetch(
        "SELECT id FROM families WHERE id > ? AND deleted_at IS NULL ORDER BY id LIMIT ?",
        params![after, limit],
        |row| row.get(0),
    )
    .await
}

/// Deletes the reports of the oldest hour that has some before a time, once their sums are stored; how many. Nothing if there is no such
/// hour. Only what is summed up is deleted.
///
/// # Errors
/// As any statement.
pub async fn purge(db: &Db, family: FamilyId, kind: Kind, before: Timestamp) -> Result<Option<u64>> {
    let before = Bucket::Hour.floor(before);
    let oldest = first_report(&mut db.read(), family, kind, Timestamp::MIN).await?;
    if oldest.is_none_or(|oldest| oldest >= before) {
        return Ok(None);
    }
    let purged = transact!(db, tx => {
        let progress = lock(&mut tx, family, kind.name).await?;
        // An import that began meanwhile waits for an operator.
        if held(&mut tx).await?.is_some() {
            return Ok(None);
        }
        let before = before.min(progress.watermark());
        let oldest = first_report(&mut tx, family, kind, Timestamp::MIN).await?;
        let Some(oldest) = oldest.filter(|oldest| *oldest < before) else { return Ok(None) };
        let start = Bucket::Hour.floor(oldest);
        let hour = (start, Bucket::Hour.after(start));
        if progress.purged_until.is_some_and(|until| start < until) {
            add(&mut tx, family, kind, hour).await?;
        } else {
            settle(&mut tx, family, kind, hour).await?;
        }
        forget(&mut tx, family, kind.name, start).await?;
        let count = tx
            .execute(
                format!("DELETE FROM {} WHERE family_id = ? AND reported_at BETWEEN ? AND ?", kind.table),
                params![family, hour.0, hour.1.plus_millis(-1)],
            )
            .await?;
        tx.execute(
            "UPDATE rollup_progress SET purged_until = ?, deep_count = deep_count + 1 WHERE family_id = ? AND kind = ?",
            params![progress.purged_until.max(Some(hour.1)), family, kind.name],
        )
        .await?;
        Ok::<_, DbError>(Some(count))
    });
    match purged {
        // The family went away in this moment.
        Err(DbError::MissingParent) => Ok(None),
        purged => purged,
    }
}

/// Makes sure that the sums of an hour are those of its reports.
async fn settle(tx: &mut Tx, family: FamilyId, kind: Kind, hour: (Timestamp, Timestamp)) -> Result<()> {
    let fives = raw(tx, family, kind, hour.0, hour.1).await?;
    let is_right = stored(tx, family, kind, Bucket::FiveMinutes, hour).await? == fives
        && stored(tx, family, kind, Bucket::Hour, hour).await? == merge(Bucket::Hour, &fives);
    if is_right { Ok(()) } else { write_hours(tx, family, kind, hour).await }
}

/// Adds reports that came in when the others of their hour were deleted already.
async fn add(tx: &mut Tx, family: FamilyId, kind: Kind, hour: (Timestamp, Timestamp)) -> Result<()> {
    let fives = raw(tx, family, kind, hour.0, hour.1).await?;
    for (size, more) in [(Bucket::FiveMinutes, fives.clone()), (Bucket::Hour, merge(Bucket::Hour, &fives))] {
        let mut sums = stored(tx, family, kind, size, hour).await?;
        for more in more {
            match sums.iter_mut().find(|sum| sum.start == more.start) {
                Some(sum) => sum.stats.add(&more.stats),
                None => sums.push(more),
            }
        }
        write(tx, family, kind, size, hour, &sums).await?;
    }
    write_days(tx, family, kind, hour).await
}

/// Deletes buckets of five minutes that begin before a time, those of three days at most; false if there is none.
///
/// # Errors
/// As any statement.
pub async fn purge_five_minutes(db: &Db, family: FamilyId, kind: Kind, before: Timestamp) -> Result<bool> {
    const STEP: i64 = 3 * 86_400_000;
    let size = Bucket::FiveMinutes.seconds();
    let oldest: Option<Timestamp> = db
        .read()
        .fetch_optional(
            "SELECT starts_at FROM rollups WHERE family_id = ? AND kind = ? AND size = ? ORDER BY starts_at LIMIT 1",
            params![family, kind.name, size],
            |row| row.get(0),
        )
        .await?;
    let Some(oldest) = oldest.filter(|oldest| *oldest < before) else { return Ok(false) };
    let until = oldest.plus_millis(STEP).min(before);
    db.execute(
        "DELETE FROM rollups WHERE family_id = ? AND kind = ? AND size = ? AND starts_at < ?",
        params![family, kind.name, size, until],
    )
    .await?;
    Ok(true)
}

/// How many reports of a kind a family has that are older than a time.
///
/// # Errors
/// As any statement.
pub async fn older(tx: &mut Tx, family: FamilyId, kind: Kind, before: Timestamp) -> Result<u64> {
    let sql = format!("SELECT COUNT(*) FROM {} WHERE family_id = ? AND reported_at < ?", kind.table);
    tx.fetch_one(sql, params![family, before], |row| row.get(0)).await
}

/// Why reports are not deleted by age, if an operator has to agree first.
///
/// # Errors
/// As any statement.
pub async fn held(tx: &mut Tx) -> Result<Option<String>> {
    journal::installed(tx, HELD).await
}

/// Keeps reports from being deleted by age until an operator agrees.
///
/// # Errors
/// As any statement.
pub async fn hold(tx: &mut Tx, why: &str) -> Result<()> {
    journal::install(tx, HELD, why).await.map(drop)
}

/// An operator agrees that reports are deleted by age; says whether that was to be decided.
///
/// # Errors
/// As any statement.
pub async fn release(tx: &mut Tx) -> Result<bool> {
    Ok(tx.execute("DELETE FROM installation WHERE name = ?", params![HELD]).await? > 0)
}
