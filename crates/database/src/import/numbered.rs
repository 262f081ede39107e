//! Takes over tables whose rows are numbered: page by page behind the last number that was read, each page and how far it
//! got in one transaction. Interrupted wherever, another run goes on there.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use carebot_model::{FamilyId, Timestamp};

use super::cells::{Note, Notes};
use super::progress::{self, Progress};
use super::report::{Finding, Rule};
use super::source::Record;
use super::tables::{Kind, Row, TABLES, Table, key_of};
use super::{Import, ImportError, Result};
use crate::connector::error::DbError;
use crate::{Tx, Value, params, rollups, transact};

/// How far before the last number another run looks for rows that were not there: rows may be committed in another order than
/// they were numbered.
const OVERLAP: i64 = 1_000;
/// Rows and bytes of one INSERT.
const INSERT_ROWS: usize = 100;
const INSERT_BYTES: usize = 1 << 20;
/// The first page; the next are as large as fits.
const FIRST_PAGE: u32 = 500;

/// What became of a page.
#[derive(Debug, Default)]
pub struct Done {
    /// Rows that are here now.
    pub written: u64,
    /// Rows that were here before.
    pub already: u64,
    /// Rows that the database did not take.
    pub refused: Vec<(i64, Note)>,
}

/// Which of the last [`OVERLAP`] numbers have been read.
#[derive(Debug)]
struct Tail {
    /// The first number that counts; none if nothing has been read.
    from: Option<i64>,
    seen: BTreeSet<i64>,
}

impl Tail {
    fn new(earlier: &Progress) -> Self {
        if *earlier == Progress::default() {
            return Self { from: None, seen: BTreeSet::new() };
        }
        let from = earlier.last_key.saturating_sub(OVERLAP - 1);
        let mut seen: BTreeSet<i64> = (from..=earlier.last_key).collect();
        for gap in &earlier.gaps {
            seen.remove(gap);
        }
        Self { from: Some(from), seen }
    }

    /// Takes note of a number; false if it was read before.
    fn is_new(&mut self, key: i64) -> bool {
        self.from.get_or_insert(key);
        self.seen.insert(key)
    }

    /// The numbers up to the last that were not there.
    fn gaps(&mut self, last: i64) -> Vec<i64> {
        let from = self.from.unwrap_or(last).max(last.saturating_sub(OVERLAP - 1));
        self.seen = self.seen.split_off(&from);
        (from..=last).filter(|key| !self.seen.contains(key)).collect()
    }
}

impl Import<'_> {
    /// Takes over all of them.
    pub(super) async fn numbered(&mut self) -> Result<ControlFlow<()>> {
        for table in TABLES {
            if self.start(table.from).is_break() {
                continue;
            }
            if self.table(table).await?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    async fn table(&mut self, table: &'static Table) -> Result<ControlFlow<()>> {
        let columns: Vec<_> =
            table.columns.iter().map(|column| (column.from, column.kind.read(), column.kind.is_needed())).collect();
        let select = self.source.select(table.from, (table.key, Kind::Big.read()), &columns)?;
        let earlier = match self.target {
            Some(db) => progress::get(&mut db.read(), table.from).await?.unwrap_or_default(),
            None => Progress::default(),
        };
        self.counts().already = earlier.written;
        if self.look_again(table, &earlier).await?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let mut tail = Tail::new(&earlier);
        let mut at = Progress { gaps: Vec::new(), ..earlier };
        // Numbers begin with 1; a row with 0 or less comes first all the same.
        let mut last = tail.from.map_or(i64::MIN, |from| from - 1);
        let mut limit = FIRST_PAGE.min(self.settings.page);
        loop {
            let mut page = self.source.page(&select, last.into(), limit).await?;
            limit = if page.is_cut {
                u32::try_from(page.records.len()).unwrap_or(limit).max(1)
            } else {
                limit.saturating_mul(2).min(self.settings.page)
            };
            let Some(newest) = page.records.last() else { return Ok(ControlFlow::Continue(())) };
            last = key_of(newest);
            page.records.retain(|record| tail.is_new(key_of(record)));
            at.last_key = if at == Progress::default() { last } else { at.last_key.max(last) };
            at.gaps = tail.gaps(at.last_key);
            self.store(table, &page.records, &mut at).await?;
            if self.tell().is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }

    async fn store(&mut self, table: &'static Table, records: &[Record], at: &mut Progress) -> Result<()> {
        let now = self.settings.clock.now();
        let (mut rows, mut findings, mut skipped) = (Vec::with_capacity(records.len()), Vec::new(), Vec::new());
        let about = |key: i64, Note { column, rule, done }| Finding {
            table: table.from,
            key: key.to_string(),
            column,
            rule,
            done,
        };
        for record in records {
            let mut notes = Notes::new();
            match table.row(record, &self.known, now, &mut notes) {
                Ok(row) => {
                    rows.push(row);
                    findings.extend(notes.into_iter().map(|note| about(key_of(record), note)));
                }
                Err(note) => {
                    skipped.push(note.rule);
                    findings.push(about(key_of(record), note));
                }
            }
        }
        let done = match self.target {
            Some(db) if !self.settings.dry_run => {
                let (report, columns) = (&mut *self.report, table.columns_here());
                let before = at.written;
                let done = transact!(db, tx => {
                    let done = insert(&mut tx, table, &columns, &rows).await?;
                    sum_up_again(&mut tx, table, &rows).await?;
                    let progress = Progress { written: before + done.written + done.already, ..at.clone() };
                    progress::put(&mut tx, table.from, &progress, now).await?;
                    // Before the commit: what is told twice is written once, what is not told is lost.
                    report.write(&findings)?;
                    let refused: Vec<Finding> = done.refused.iter().map(|(key, note)| about(*key, note.clone())).collect();
                    report.write(&refused)?;
                    Ok::<_, ImportError>(done)
                })?;
                at.written += done.written + done.already;
                done
            }
            _ => {
                self.report.write(&findings)?;
                Done { written: rows.len() as u64, ..Done::default() }
            }
        };
        let counts = self.counts();
        counts.read += records.len() as u64;
        counts.written += done.written;
        counts.already += done.already;
        for rule in skipped.into_iter().chain(done.refused.into_iter().map(|(_, note)| note.rule)) {
            *counts.skipped.entry(rule.name()).or_default() += 1;
        }
        for finding in &findings {
            *counts.noted.entry(finding.rule.name()).or_default() += 1;
        }
        Ok(())
    }
}

/// Reports that were taken over are summed up, whenever they are from.
async fn sum_up_again(tx: &mut Tx, table: &Table, rows: &[Row]) -> Result<(), DbError> {
    let Some(kind) = rollups::Kind::all().into_iter().find(|kind| kind.table == table.to) else { return Ok(()) };
    let place = |name: &str| table.columns_here().split(", ").position(|column| column == name);
    let (Some(family), Some(time)) = (place("family_id"), place("reported_at")) else { return Ok(()) };
    let mut oldest: BTreeMap<FamilyId, Timestamp> = BTreeMap::new();
    for row in rows {
        let (Some(Value::Text(family)), Some(Value::Int(at))) = (row.values.get(family), row.values.get(time)) else {
            continue;
        };
        let (Some(family), at) = (FamilyId::parse(family), Timestamp::from_millis(*at)) else { continue };
        oldest.entry(family).and_modify(|oldest| *oldest = at.min(*oldest)).or_insert(at);
    }
    for (family, from) in oldest {
        match rollups::rewind(tx, family, kind.name, from).await {
            // It was deleted here a moment ago.
            Ok(()) | Err(DbError::MissingParent) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Inserts rows many at a time; if one of them cannot be, those with it one by one.
async fn insert(tx: &mut Tx, table: &Table, columns: &str, rows: &[Row]) -> Result<Done, DbError> {
    let mut done = Done::default();
    let mut rest = rows;
    while !rest.is_empty() {
        let (mut count, mut bytes) = (0, 0);
        while count < rest.len().min(INSERT_ROWS) && (count == 0 || bytes + rest[count].size <= INSERT_BYTES) {
            bytes += rest[count].size;
            count += 1;
        }
        let (some, others) = rest.split_at(count);
        rest = others;
        match insert_some(tx, table, columns, some).await {
            Ok(()) => done.written += some.len() as u64,
            Err(error) if some.len() > 1 && why(&error).is_some() => {
                for row in some {
                    let outcome = insert_some(tx, table, columns, std::slice::from_ref(row)).await;
                    one(&mut done, row, outcome)?;
                }
            }
            Err(error) => one(&mut done, &some[0], Err(error))?,
        }
    }
    Ok(done)
}

async fn insert_some(tx: &mut Tx, table: &Table, columns: &str, rows: &[Row]) -> Result<(), DbError> {
    let Some(first) = rows.first() else { return Ok(()) };
    let marks = format!("({})", progress::marks(first.values.len()));
    let marks = vec![marks.as_str(); rows.len()].join(", ");
    let values = rows.iter().flat_map(|row| row.values.iter().cloned()).collect();
    tx.execute(format!("INSERT INTO {} ({columns}) VALUES {marks}", table.to), values).await?;
    if table.to == "news" {
        for row in rows {
            note_link(tx, row).await?;
        }
    }
    Ok(())
}

/// So that the job that fetches news knows what there is.
async fn note_link(tx: &mut Tx, row: &Row) -> Result<(), DbError> {
    // In the order of the table's columns, behind the number.
    let (Some(category), Some(Value::Text(link)), Some(day)) =
        (row.values.get(1), row.values.get(3), row.values.get(5))
    else {
        return Ok(());
    };
    let hash = ring::digest::digest(&ring::digest::SHA256, link.as_bytes());
    let values = params![hash.as_ref()];
    let key: Vec<Value> = vec![category.clone(), values[0].clone(), day.clone()];
    let there = tx
        .fetch_optional(
            "SELECT 1 FROM news_links WHERE category = ? AND link_hash = ? AND pub_date = ?",
            key.clone(),
            |_| Ok(()),
        )
        .await?;
    if there.is_none() {
        tx.execute("INSERT INTO news_links (category, link_hash, pub_date) VALUES (?, ?, ?)", key).await?;
    }
    Ok(())
}

fn one(done: &mut Done, row: &Row, outcome: Result<(), DbError>) -> Result<(), DbError> {
    match outcome {
        Ok(()) => done.written += 1,
        Err(error) => match why(&error) {
            Some(Rule::Taken) => done.already += 1,
            Some(rule) => done.refused.push((row.key, Note { column: None, rule, done: "skipped".into() })),
            None => return Err(error),
        },
    }
    Ok(())
}

/// What is wrong with a row that cannot be stored; nothing if it is not the row's fault.
pub fn why(error: &DbError) -> Option<Rule> {
    match error {
        DbError::Duplicate { .. } => Some(Rule::Taken),
        // It was deleted here a moment ago.
        DbError::MissingParent => Some(Rule::Orphan),
        // MariaDB's class of data that a column does not take.
        DbError::Statement(text) if text.contains("(22") => Some(Rule::Refused),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_there_is_looked_for_again() {
        let mut tail = Tail::new(&Progress::default());
        assert!([5, 6, 8].into_iter().all(|key| tail.is_new(key)));
        let gaps = tail.gaps(8);
        assert_eq!(gaps, [7], "and none before the first");
        let mut tail = Tail::new(&Progress { last_key: 8, written: 3, gaps });
        let new: Vec<i64> = [5, 6, 7, 8, 9, 11].into_iter().filter(|key| tail.is_new(*key)).collect();
        assert_eq!(new, [7, 9, 11]);
        assert_eq!(tail.gaps(11), [10]);
        assert!((1_012..3_000).all(|key| tail.is_new(key)));
        assert_eq!(tail.gaps(2_999), Vec::<i64>::new());
        assert!(tail.seen.len() <= 1_000);
    }
}
