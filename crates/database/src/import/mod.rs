//! Moving an existing installation over: its MariaDB schema is read and never changed, what it says is stored here, on either
//! engine, with the ids and numbers it has there.
//!
//! * [`Source`] reads: pages by primary key, within bounds of rows and bytes.
//! * Numbered tables (`numbered.rs`, described in `tables.rs`) are read on from the last number; a page and how far it got are
//!   one transaction, so that a run that was interrupted goes on where it stood.
//! * The other tables (`whole.rs`, `people.rs`, `talks.rs`) have random keys. They are small, so every run reads them whole; a
//!   digest of each row tells what is new and what changed there since. What was changed or deleted here stays so.
//! * [`Report`] is told every row that breaks a rule, and what was done with it.
//!
//! Several runs one after the other are how an operator switches over with little downtime; see `docs/moving.md`.

mod again;
mod cells;
mod numbered;
mod people;
mod pictures;
mod progress;
mod report;
mod source;
mod tables;
mod talks;
mod whole;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::ops::ControlFlow;

use carebot_model::authentication::IdleLimits;
use carebot_model::{AccountId, FamilyId, MemberId, RowId, Timestamp};

use self::cells::Raw;
use crate::ambient::{Clock, Rng, RowIds};
use crate::connector::error::Retryable;
use crate::{Db, DbError, rollups, transact};

pub use report::{Finding, HARMLESS_LINES, Report, Rule};
pub use source::{Source, is_existing_installation};

/// Why an import ended early.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The existing installation could not be read.
    #[error("the existing installation: {0}")]
    Source(#[source] DbError),
    /// Our database failed.
    #[error(transparent)]
    Database(#[from] DbError),
    /// It is not what can be imported.
    #[error("{0}")]
    Wrong(String),
    /// The report could not be written.
    #[error("the report could not be written: {0}")]
    Report(#[from] io::Error),
}

impl Retryable for ImportError {
    fn retryable(&self) -> bool {
        matches!(self, Self::Database(error) if error.retryable())
    }
}

type Result<T, E = ImportError> = std::result::Result<T, E>;

/// How an import is run.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// Reads and checks everything and stores nothing.
    pub dry_run: bool,
    /// How long sessions may idle: those that have idled longer are not taken over.
    pub idle: IdleLimits,
    /// The most rows of a page.
    pub page: u32,
    /// The time.
    pub clock: &'a dyn Clock,
    /// For row numbers of sessions and of references to pictures.
    pub rng: &'a dyn Rng,
}

impl Settings<'_> {
    /// A good number of rows a page: fewer cost more commits, more cost more memory.
    pub const PAGE: u32 = 2_000;
}

/// What became of a table in this run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Its name there.
    pub table: &'static str,
    /// Whether the installation has no such table.
    pub is_missing: bool,
    /// About how many rows it has there.
    pub about: u64,
    /// Rows that were read.
    pub read: u64,
    /// Rows that were stored, or would have been.
    pub written: u64,
    /// Rows that had changed there and were changed here.
    pub changed: u64,
    /// Rows that were here before, by earlier runs or otherwise.
    pub already: u64,
    /// Rows that were not taken over, by the reason: the name of a [`Rule`], or `expired` and `older` for what is not wanted.
    pub skipped: BTreeMap<&'static str, u64>,
    /// What was found, by the name of the rule.
    pub noted: BTreeMap<&'static str, u64>,
}

/// What an import did.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Every table, in the order of the work.
    pub tables: Vec<Counts>,
    /// Whether everything was done: false if it was stopped.
    pub is_complete: bool,
    /// Tables there that are not taken over because this program knows nothing of them.
    pub unknown: Vec<String>,
}

/// Is told the counts of the table at hand after every page; [`ControlFlow::Break`] stops the import there.
pub type Watch<'a> = dyn FnMut(&Counts) -> ControlFlow<()> + Send + 'a;

/// What was taken over, for the rows that refer to it.
#[derive(Debug, Default)]
pub struct Known {
    accounts: HashSet<AccountId>,
    /// The family here of a family there: itself, or the first of the same main user.
    families: HashMap<FamilyId, FamilyId>,
    /// Who has an address; a part of its SHA-256.
    emails: HashMap<[u8; 16], AccountId>,
    owners: HashMap<AccountId, FamilyId>,
    members: HashMap<(FamilyId, AccountId), MemberId>,
}

impl Known {
    fn account(&self, raw: &Raw) -> Result<AccountId, Rule> {
        let id = AccountId::parse(raw.trimmed());
        id.filter(|id| self.accounts.contains(id)).ok_or(Rule::Orphan)
    }

    fn family(&self, raw: &Raw) -> Result<FamilyId, Rule> {
        let id = FamilyId::parse(raw.trimmed());
        id.and_then(|id| self.families.get(&id).copied()).ok_or(Rule::Orphan)
    }
}

/// An import at work.
struct Import<'a> {
    source: &'a Source,
    target: Option<&'a Db>,
    settings: Settings<'a>,
    report: &'a mut Report,
    watch: &'a mut Watch<'a>,
    known: Known,
    tables: Vec<Counts>,
    /// Makes row numbers, since when its lease was renewed.
    ids: Option<(RowIds, Timestamp)>,
}

/// Copies everything that is new or has changed. Without a target (for a dry run before there is a database) everything is new.
///
/// # Errors
/// As [`ImportError`]. Everything up to there is stored, and another run goes on.
pub async fn run<'a>(
    source: &'a Source,
    target: Option<&'a Db>,
    settings: Settings<'a>,
    report: &'a mut Report,
    watch: &'a mut Watch<'a>,
) -> Result<Outcome> {
    let mut import = Import::new(source, target, settings, report, watch);
    import.same_source().await?;
    if let Some(db) = target.filter(|_| !settings.dry_run) {
        transact!(db, tx => { rollups::hold(&mut tx, "an existing installation was moved over").await })?;
    }
    let flow = import.everything().await;
    import.finish(flow).await
}

/// Notes who may see which picture because something refers to it, for everything that the installation has and that is here:
/// after [`run`], and after the pictures were stored.
///
/// # Errors
/// As [`run`].
pub async fn refer<'a>(
    source: &'a Source,
    target: &'a Db,
    settings: Settings<'a>,
    report: &'a mut Report,
    watch: &'a mut Watch<'a>,
) -> Result<Outcome> {
    let mut import = Import::new(source, Some(target), settings, report, watch);
    let flow = import.references().await;
    import.finish(flow).await
}

impl<'a> Import<'a> {
    fn new(
        source: &'a Source,
        target: Option<&'a Db>,
        settings: Settings<'a>,
        report: &'a mut Report,
        watch: &'a mut Watch<'a>,
    ) -> Self {
        Self { source, target, settings, report, watch, known: Known::default(), tables: Vec::new(), ids: None }
    }

    async fn everything(&mut self) -> Result<ControlFlow<()>> {
        if self.whole().await?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        // Only needed to tell people apart.
        self.known.emails = HashMap::new();
        self.known.members = HashMap::new();
        self.numbered().await
    }

    async fn finish(self, flow: Result<ControlFlow<()>>) -> Result<Outcome> {
        if let (Some((ids, _)), Some(db)) = (&self.ids, self.target) {
            // Otherwise the next start has to wait for the end of the lease, or takes another number.
            if let Err(error) = ids.release(db).await {
                tracing::warn!(%error, "the node number could not be given back; it is free again in two minutes");
            }
        }
        let is_complete = flow?.is_continue();
        Ok(Outcome { tables: self.tables, is_complete, unknown: self.source.unknown() })
    }

    /// Numbers of rows are only unique within one installation, so that a second one cannot be told from the first: ids of
    /// accounts are random, and two installations have none in common.
    async fn same_source(&mut self) -> Result<()> {
        let Some(db) = self.target else { return Ok(()) };
        let known = progress::keys(&mut db.read(), "accounts", "", 500).await?;
        if known.is_empty() {
            return Ok(());
        }
        let sql = format!("SELECT 1 FROM accounts t WHERE t.id IN ({}) LIMIT 1", progress::marks(known.len()));
        let values = known.into_iter().map(Into::into).collect();
        if self.source.fetch(sql, values, |_| Ok(())).await?.is_empty() {
            let wrong = "the database has been filled from another installation: none of its accounts is in this one. \
                         Only one installation can be moved into a database; give an empty one";
            return Err(ImportError::Wrong(wrong.to_owned()));
        }
        Ok(())
    }

    /// Begins a table, unless the installation has none.
    fn start(&mut self, table: &'static str) -> ControlFlow<()> {
        let is_missing = !self.source.has(table);
        self.tables.push(Counts { table, is_missing, about: self.source.about(table), ..Counts::default() });
        if is_missing { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// The counts of the table at hand.
    fn counts(&mut self) -> &mut Counts {
        if self.tables.is_empty() {
            self.tables.push(Counts::default());
        }
        let last = self.tables.len() - 1;
        &mut self.tables[last]
    }

    fn tell(&mut self) -> ControlFlow<()> {
        match self.tables.last() {
            Some(counts) => (self.watch)(counts),
            None => ControlFlow::Continue(()),
        }
    }

    /// Row numbers for a page, of a lease that holds.
    async fn lease_ids(&mut self) -> Result<()> {
        let Some(db) = self.target.filter(|_| !self.settings.dry_run) else { return Ok(()) };
        let now = self.settings.clock.now();
        let renewal = i64::try_from(RowIds::RENEWAL.as_millis()).unwrap_or(i64::MAX);
        match &mut self.ids {
            Some((ids, since)) if now.since(*since) >= renewal => {
                ids.renew(db, now).await?;
                *since = now;
            }
            Some(_) => {}
            None => self.ids = Some((RowIds::lease(db, now, self.settings.rng).await?, now)),
        }
        Ok(())
    }

    fn next_id(&self, now: Timestamp) -> Result<RowId, DbError> {
        self.ids.as_ref().map_or(Ok(RowId(0)), |(ids, _)| ids.next(now))
    }
}
