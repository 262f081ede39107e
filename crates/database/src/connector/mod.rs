//! Two engines behind one set of types.
//!
//! * [`Db`] is a handle to a database, cheap to clone. [`Db::read`] gives a [`Tx`] whose statements each see the
//!   newest data; [`Db::begin`] one that writes and commits as a whole; [`Db::append`] inserts one row through the
//!   group commit, the fast way for reports.
//! * SQLite: one writer thread that commits what is waiting together, reader threads, cached statements.
//! * MariaDB: an own small pool over several hosts with fail-over; appended rows are coalesced into one statement.

pub mod error;
pub mod faults;
pub mod migrate;
pub mod row;
pub mod tx;
pub mod url;
pub mod value;

mod dialect;
mod mariadb;
mod sqlite;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

#[cfg(doc)]
use crate::DbError;
use crate::Result;
use crate::connector::faults::{Faults, Moment};
use crate::connector::tx::Tx;
use crate::connector::url::DbUrl;
use crate::connector::value::Value;

pub use dialect::Dialect;

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Make the SQLite file if it is missing; otherwise a missing file is an error, so that a typo never makes an empty
    /// database. Without meaning for MariaDB.
    pub create: bool,
    /// MariaDB: connections kept open.
    pub pool_size: usize,
    /// MariaDB: connections more than that under load; they are closed when they come back.
    pub pool_overflow: usize,
    /// MariaDB: a connection older than this is replaced when it comes back.
    pub pool_recycle: Duration,
    /// MariaDB: a connection that lay idle for more than a second is asked whether it lives before it is used.
    pub pool_check: bool,
    /// How long to wait for a connection, a reader or the writer before [`DbError::Unavailable`].
    pub acquire_timeout: Duration,
    /// MariaDB: how long a statement may take before [`DbError::Unavailable`], so that a server that has gone silent
    /// holds nobody for ever. See [`Db::patient`].
    pub statement_timeout: Duration,
    /// SQLite: number of reader threads.
    pub sqlite_readers: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            create: false,
            pool_size: 10,
            pool_overflow: 5,
            pool_recycle: Duration::from_mins(2),
            pool_check: true,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
            sqlite_readers: 2,
        }
    }
}

/// One row to be inserted through the group commit.
///
/// The primary key must be made by the caller and be unique: a row whose commit has an unknown outcome is sent again,
/// and "already there" then means "stored".
#[derive(Clone, Debug)]
pub struct Append {
    /// The table.
    pub table: &'static str,
    /// `a, b, c`: the columns, the same for every append to the table.
    pub columns: String,
    /// One value per column.
    pub values: Vec<Value>,
}

#[derive(Debug)]
enum Engine {
    Sqlite(sqlite::Sqlite),
    MariaDb(mariadb::MariaDb),
}

/// A handle to a database; cheap to clone.
#[derive(Clone, Debug)]
pub struct Db {
    engine: Arc<Engine>,
    patient: bool,
    faults: Option<Arc<dyn Faults>>,
}

impl Db {
    /// Opens a database. Its schema is not looked at: see [`migrate`].
    ///
    /// # Errors
    /// [`DbError::Configuration`] if the URL cannot be used, [`DbError::Unavailable`] if nothing answers there.
    pub async fn open(url: &DbUrl, options: &Options) -> Result<Self> {
        let engine = match url {
            DbUrl::Sqlite { path } => Engine::Sqlite(sqlite::Sqlite::open(path, options).await?),
            DbUrl::MariaDb(target) => Engine::MariaDb(mariadb::MariaDb::open(target, options).await?),
        };
        Ok(Self { engine: Arc::new(engine), patient: false, faults: None })
    }

    /// The same database, but statements in transactions may take as long as they need: for changes of the schema.
    #[must_use]
    pub fn patient(&self) -> Self {
        Self { patient: true, ..self.clone() }
    }

    /// The same database, which fails whenever this says so.
    #[must_use]
    pub fn with_faults(&self, faults: Arc<dyn Faults>) -> Self {
        Self { faults: Some(faults), ..self.clone() }
    }

    fn may_fail(&self, moment: Moment) -> Result<()> {
        self.faults.as_ref().map_or(Ok(()), |faults| faults.at(moment))
    }

    /// Which engine this is.
    pub fn dialect(&self) -> Dialect {
        match &*self.engine {
            Engine::Sqlite(_) => Dialect::Sqlite,
            Engine::MariaDb(_) => Dialect::MariaDb,
        }
    }

    /// For reading: every statement stands alone and sees what is committed when it runs.
    pub fn read(&self) -> Tx {
        let tx = match &*self.engine {
            Engine::Sqlite(sqlite) => Tx::sqlite_read(sqlite.readers()),
            Engine::MariaDb(mariadb) => Tx::mariadb_read(mariadb.pool()),
        };
        tx.with_faults(self.faults.clone())
    }

    /// Begins a transaction that writes. Use [`transact!`](crate::transact), which also commits and retries.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] if there is no connection in time.
    pub async fn begin(&self) -> Result<Tx> {
        self.may_fail(Moment::Begin)?;
        let tx = match &*self.engine {
            Engine::Sqlite(sqlite) => Tx::sqlite_write(sqlite.begin().await?),
            Engine::MariaDb(mariadb) => Tx::mariadb_write(mariadb.pool(), self.patient).await?,
        };
        Ok(tx.with_faults(self.faults.clone()))
    }

    /// Inserts one row; comes back only after the commit that holds it. Rows that wait at the same time are committed
    /// together, and a bad one fails alone.
    ///
    /// # Errors
    /// [`DbError::MissingParent`] or [`DbError::Duplicate`] for this row, [`DbError::Unavailable`] or
    /// [`DbError::OutcomeUnknown`] if the database failed.
    pub async fn append(&self, row: Append) -> Result<()> {
        self.may_fail(Moment::Write)?;
        self.may_fail(Moment::Commit)?;
        match &*self.engine {
            Engine::Sqlite(sqlite) => sqlite.append(row).await?,
            Engine::MariaDb(mariadb) => mariadb.append(row).await?,
        }
        self.may_fail(Moment::Committed)
    }

    /// Everything as it is at this moment, for reading it out while others go on writing. On SQLite that is a copy, made at
    /// `copy` and left there for the caller to delete; MariaDB needs none.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] if there is no room for the copy, or no connection.
    pub async fn snapshot(&self, copy: &Path) -> Result<Snapshot> {
        match &*self.engine {
            Engine::Sqlite(sqlite) => {
                sqlite.copy_to(copy).await?;
                let url = DbUrl::Sqlite { path: copy.to_owned() };
                let db = Self::open(&url, &Options { sqlite_readers: 1, ..Options::default() }).await?;
                Ok(Snapshot { tx: db.read(), copy: Some(db) })
            }
            Engine::MariaDb(mariadb) => Ok(Snapshot { tx: Tx::mariadb_snapshot(mariadb.pool()).await?, copy: None }),
        }
    }

    /// Runs a transaction of one statement, and says how many rows it met.
    ///
    /// # Errors
    /// As any transaction.
    pub async fn execute(&self, sql: &str, params: Vec<Value>) -> Result<u64> {
        crate::transact!(self, tx => { tx.execute(sql.to_owned(), params.clone()).await })
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] if it does not.
    pub async fn ping(&self) -> Result<()> {
        self.read().fetch_one("SELECT 1", vec![], |row| row.get::<i64>(0)).await.map(drop)
    }

    /// What the engine calls itself, for the operator.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] if it does not answer.
    pub async fn version(&self) -> Result<String> {
        let sql = match self.dialect() {
            Dialect::Sqlite => "SELECT 'SQLite ' || sqlite_version()",
            Dialect::MariaDb => "SELECT VERSION()",
        };
        self.read().fetch_one(sql, vec![], |row| row.get(0)).await
    }

    /// Finishes what is queued and closes the connections. Later calls answer [`DbError::Unavailable`].
    pub async fn close(&self) {
        match &*self.engine {
            Engine::Sqlite(sqlite) => sqlite.close().await,
            Engine::MariaDb(mariadb) => mariadb.close().await,
        }
    }
}

/// A database as it was at one moment.
pub struct Snapshot {
    /// Reads it.
    pub tx: Tx,
    copy: Option<Db>,
}

impl Snapshot {
    /// Lets go of it.
    pub async fn close(self) {
        self.tx.rollback().await;
        if let Some(copy) = self.copy {
            copy.close().await;
        }
    }
}

/// Runs a transaction: begins, runs the body, commits; retries the whole of it on deadlock, lost certification and a
/// connection that was lost before the commit.
///
/// The body may run several times, so it must not give away what it captured. It ends in a `Result` whose error can be
/// made from [`DbError`](crate::DbError) and implements [`Retryable`](crate::connector::error::Retryable).
///
/// ```no_run
/// # use carebot_database::{Db, DbError, transact, accounts};
/// # async fn example(db: &Db, id: carebot_model::AccountId) -> Result<bool, DbError> {
/// transact!(db, tx => {
///     let gone = accounts::get(&mut tx, id).await?.is_some();
///     Ok::<_, DbError>(gone)
/// })
/// # }
/// ```
#[macro_export]
macro_rules! transact {
    ($db:expr, $tx:ident => $body:block) => {{
        let mut attempts = $crate::connector::error::Attempts::default();
        loop {
            let outcome = match $db.begin().await {
                Err(error) => Err(error.into()),
                Ok(mut $tx) => {
                    let result = async { $body }.await;
                    match result {
                        Ok(value) => $tx.commit().await.map(|()| value).map_err(Into::into),
                        Err(error) => {
                            $tx.rollback().await;
                            Err(error)
                        }
                    }
                }
            };
            match outcome {
                Err(error) if $crate::connector::error::Retryable::retryable(&error) && attempts.again().await => {}
                outcome => break outcome,
            }
        }
    }};
}
