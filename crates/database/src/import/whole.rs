//! Takes over tables with random keys: reads them whole in every run, and changes here what is new or changed there.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use carebot_model::Timestamp;
use ring::digest::{Context, SHA256};

use super::cells::{Note, Notes, Raw, Read};
use super::numbered::why;
use super::progress::{self, Digest, marks};
use super::report::{Finding, Rule};
use super::source::Record;
use super::{Import, ImportError, Known, Result, people, talks};
use crate::{DbError, Tx, Value, transact};

/// The most rows of a page: of each, something is looked up.
const PAGE: u32 = 500;

/// A table with random keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    Accounts,
    Families,
    Members,
    Settings,
    Sessions,
    Talks,
    Keywords,
}

/// What is here already of the rows of a page.
#[derive(Debug, Default)]
pub struct Found {
    /// What rows said when they were taken over.
    pub digests: HashMap<String, Digest>,
    /// Rows that are here and not deleted, by their keys.
    pub alive: HashSet<String>,
    /// Who has what only one may have.
    pub holders: HashMap<String, String>,
    /// Since when rows are as they are.
    pub times: HashMap<String, Timestamp>,
}

/// What is to be done with a row.
#[derive(Debug)]
pub struct Step {
    /// What it is called in the report.
    pub shown: String,
    /// What is remembered of it, by its key.
    pub digest: Option<(String, Digest)>,
    /// What is done.
    pub act: Act,
    /// What is told.
    pub notes: Notes,
}

/// What is done with a row.
#[derive(Debug)]
pub enum Act {
    /// It is here, or was and is deleted.
    Already,
    /// It is not taken over, for this reason.
    Skip(&'static str),
    /// It is stored by these statements.
    Insert(Vec<Statement>),
    /// It is changed by these statements.
    Update(Vec<Statement>),
}

/// A statement and its values.
pub type Statement = (&'static str, Vec<Value>);

impl Step {
    /// A row that breaks a rule and is not taken over.
    pub fn skip(
        shown: &str,
        column: Option<&'static str>,
        rule: Rule,
        done: impl Into<std::borrow::Cow<'static, str>>,
    ) -> Self {
        let notes = vec![Note { column, rule, done: done.into() }];
        Self { shown: shown.to_owned(), digest: None, act: Act::Skip(rule.name()), notes }
    }

    /// A row about which nothing is told.
    pub fn quiet(shown: &str, act: Act) -> Self {
        Self { shown: shown.to_owned(), digest: None, act, notes: Notes::new() }
    }
}

/// What a row said, without its key.
pub fn digest_of(record: &[Raw]) -> Digest {
    let mut context = Context::new(&SHA256);
    for raw in record.iter().skip(1) {
        let (kind, bytes) = match raw {
            Raw::Null => (0, Vec::new()),
            Raw::Whole(number) => (1, number.to_le_bytes().to_vec()),
            Raw::Text(text) | Raw::Mended(text) => (2, text.as_bytes().to_vec()),
        };
        context.update(&[kind]);
        context.update(&bytes.len().to_le_bytes());
        context.update(&bytes);
    }
    let mut digest = Digest::default();
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

type Columns = &'static [(&'static str, Read, bool)];

impl Table {
    const ALL: [Self; 7] =
        [Self::Accounts, Self::Families, Self::Members, Self::Settings, Self::Sessions, Self::Talks, Self::Keywords];

    const fn from(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Families => "families",
            Self::Members => "memberrelations",
            Self::Settings => "settings",
            Self::Sessions => "loginsessions",
            Self::Talks => "chatsessions",
            Self::Keywords => "chatkeywords",
        }
    }

    /// The key and the other columns there.
    const fn columns(self) -> (&'static str, Columns) {
        match self {
            Self::Accounts => ("id", people::ACCOUNT),
            Self::Families => ("id", people::FAMILY),
            Self::Members => ("id", people::MEMBER),
            Self::Settings => ("family_id", people::SETTINGS),
            Self::Sessions => ("xid", people::SESSION),
            Self::Talks => ("uid", talks::TALK),
            Self::Keywords => ("id", talks::KEYWORDS),
        }
    }

    /// What rows are remembered by, in the report and here: a session's key is secret.
    pub fn key_of(self, record: &[Raw]) -> String {
        let key = record.first().map(Raw::trimmed).unwrap_or_default();
        if self == Self::Sessions { people::session_key(key) } else { key.to_owned() }
    }

    async fn find(self, tx: &mut Tx, records: &[Record], known: &Known) -> Result<Found, DbError> {
        let mut found = Found::default();
        if !matches!(self, Self::Talks | Self::Keywords) {
            let keys: Vec<String> = records.iter().map(|record| self.key_of(record)).collect();
            found.digests = progress::digests(tx, self.from(), &keys).await?;
        }
        match self {
            Self::Accounts => people::find_accounts(tx, records, &mut found).await?,
            Self::Families => people::find_families(tx, records, &mut found).await?,
            Self::Members => people::find_members(tx, records, known, &mut found).await?,
            Self::Settings => {}
            Self::Sessions => people::find_sessions(tx, records, &mut found).await?,
            Self::Talks => talks::find_talks(tx, records, &mut found).await?,
            Self::Keywords => talks::find_keywords(tx, records, known, &mut found).await?,
        }
        Ok(found)
    }
}

/// What became of a page.
#[derive(Debug, Default)]
struct Done {
    written: u64,
    changed: u64,
    already: u64,
    skipped: Vec<&'static str>,
    findings: Vec<Finding>,
}

impl Import<'_> {
    /// Takes over all of them.
    pub(super) async fn whole(&mut self) -> Result<ControlFlow<()>> {
        for table in Table::ALL {
            if self.start(table.from()).is_break() {
                continue;
            }
            if self.pass(table).await?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    async fn pass(&mut self, table: Table) -> Result<ControlFlow<()>> {
        let (key, columns) = table.columns();
        let select = self.source.select(table.from(), (key, Read::Shown), columns)?;
        let (mut last, mut seen) = (String::new(), HashSet::new());
        loop {
            let page = self.source.page(&select, last.as_str().into(), PAGE.min(self.settings.page)).await?;
            let Some(newest) = page.records.last() else { break };
            newest[0].text().unwrap_or_default().clone_into(&mut last);
            if table == Table::Sessions {
                self.lease_ids().await?;
            }
            let done = self.take(table, &page.records).await?;
            seen.extend(page.records.iter().map(|record| table.key_of(record)));
            let counts = self.counts();
            counts.read += page.records.len() as u64;
            counts.written += done.written;
            counts.changed += done.changed;
            counts.already += done.already;
            for why in done.skipped {
                *counts.skipped.entry(why).or_default() += 1;
            }
            for finding in done.findings {
                *counts.noted.entry(finding.rule.name()).or_default() += 1;
            }
            if self.tell().is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        self.gone(table, &seen).await?;
        Ok(ControlFlow::Continue(()))
    }

    async fn take(&mut self, table: Table, records: &[Record]) -> Result<Done> {
        let now = self.settings.clock.now();
        let mut known = std::mem::take(&mut self.known);
        let taken = match self.target {
            Some(db) if !self.settings.dry_run => {
                transact!(db, tx => {
                    let found = table.find(&mut tx, records, &known).await?;
                    let steps = self.steps(table, records, &found, &mut known, now)?;
                    let mut done = Done::default();
                    for step in steps {
                        perform(&mut tx, table, &found, step, &mut done).await?;
                    }
                    // Before the commit: what is told twice is written once, what is not told is lost.
                    self.report.write(&done.findings)?;
                    Ok::<_, ImportError>(done)
                })
            }
            target => {
                let found = match target {
                    Some(db) => table.find(&mut db.read(), records, &known).await,
                    None => Ok(Found::default()),
                };
                let steps = match found {
                    Ok(found) => self.steps(table, records, &found, &mut known, now),
                    Err(error) => Err(error.into()),
                };
                steps.and_then(|steps| {
                    let mut done = Done::default();
                    for step in steps {
                        done.count(table, step);
                    }
                    self.report.write(&done.findings)?;
                    Ok(done)
                })
            }
        };
        self.known = known;
        taken
    }

    fn steps(
        &self,
        table: Table,
        records: &[Record],
        found: &Found,
        known: &mut Known,
        now: Timestamp,
    ) -> Result<Vec<Step>> {
        let newest = if table == Table::Keywords { talks::newest(records, known) } else { HashMap::new() };
        let steps = records.iter().map(|record| {
            Ok(match table {
                Table::Accounts => people::account(record, found, known, now),
                Table::Families => people::family(record, found, known, now),
                Table::Members => people::member(record, found, known, now),
                Table::Settings => people::settings(record, found, known),
                Table::Sessions => {
                    people::session(record, found, known, (&self.settings.idle, now), self.next_id(now)?)
                }
                Table::Talks => talks::talk(record, found, known),
                Table::Keywords => talks::keywords(record, found, &newest, known),
            })
        });
        steps.collect()
    }

    /// Tells what earlier runs took over and is no longer there. Sessions that ended there end here, unless they have been used
    /// here meanwhile.
    async fn gone(&mut self, table: Table, seen: &HashSet<String>) -> Result<()> {
        let (Some(db), from) = (self.target, table.from()) else { return Ok(()) };
        let here = match table {
            Table::Accounts => "accounts WHERE deleted_at IS NULL AND",
            Table::Families => "families WHERE deleted_at IS NULL AND",
            Table::Members => "members WHERE",
            Table::Sessions => "",
            Table::Settings | Table::Talks | Table::Keywords => return Ok(()),
        };
        let mut last = String::new();
        loop {
            let keys = progress::keys(&mut db.read(), from, &last, PAGE).await?;
            let Some(newest) = keys.last() else { return Ok(()) };
            newest.clone_into(&mut last);
            let missing: Vec<Value> =
                keys.iter().filter(|key| !seen.contains(*key)).map(|key| key.as_str().into()).collect();
            if missing.is_empty() {
                continue;
            }
            if table == Table::Sessions {
                if !self.settings.dry_run {
                    transact!(db, tx => { people::end_sessions(&mut tx, from, &missing).await.map_err(ImportError::from) })?;
                }
                self.counts().changed += missing.len() as u64;
                continue;
            }
            let sql = format!("SELECT id FROM {here} id IN ({}) ORDER BY id", marks(missing.len()));
            let still: Vec<String> = db.read().fetch(sql, missing, |row| row.get(0)).await?;
            let findings: Vec<Finding> = still
                .into_iter()
                .map(|key| Finding { table: from, key, column: None, rule: Rule::Gone, done: "still here".into() })
                .collect();
            self.report.write(&findings)?;
            *self.counts().noted.entry(Rule::Gone.name()).or_default() += findings.len() as u64;
        }
    }
}

impl Done {
    fn count(&mut self, table: Table, step: Step) {
        match step.act {
            // What there was to be told was told when it was taken over.
            Act::Already => {
                self.already += 1;
                return;
            }
            Act::Skip(why) => self.skipped.push(why),
            Act::Insert(_) => self.written += 1,
            Act::Update(_) => self.changed += 1,
        }
        let Step { shown, notes, .. } = step;
        self.findings.extend(notes.into_iter().map(|Note { column, rule, done }| Finding {
            table: table.from(),
            key: shown.clone(),
            column,
            rule,
            done,
        }));
    }
}

async fn perform(tx: &mut Tx, table: Table, found: &Found, mut step: Step, done: &mut Done) -> Result<(), DbError> {
    if let Act::Insert(statements) | Act::Update(statements) = &mut step.act {
        for (sql, values) in std::mem::take(statements) {
            match tx.execute(sql, values).await {
                Ok(_) => {}
                Err(error) => {
                    // Somebody was faster, here: a server may be running.
                    let rule = why(&error).ok_or(error)?;
                    done.count(table, Step::skip(&step.shown, None, rule, "skipped"));
                    return Ok(());
                }
            }
        }
        if let Some((key, digest)) = &step.digest {
            let is_new = !found.digests.contains_key(key);
            progress::put_digest(tx, table.from(), key, digest, is_new).await?;
        }
    }
    done.count(table, step);
    Ok(())
}
