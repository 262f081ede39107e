//! Statements, alone or in a transaction.

use std::borrow::Cow;
use std::sync::Arc;

use crate::Result;
use crate::connector::error::DbError;
use crate::connector::faults::{Faults, Moment};
use crate::connector::mariadb::{self, Pool};
use crate::connector::row::Row;
use crate::connector::sqlite::{self, Readers};
use crate::connector::value::Value;

/// The text of a statement.
pub type Sql = Cow<'static, str>;

enum Inner {
    SqliteRead(Readers),
    SqliteWrite(sqlite::Session),
    MariaDbRead(Arc<Pool>),
    MariaDbWrite(mariadb::Lease),
    Finished,
}

/// What data functions are written against: runs statements, either each for itself (reading) or as one transaction.
///
/// Dropping it without a commit rolls back.
pub struct Tx {
    inner: Inner,
    faults: Option<Arc<dyn Faults>>,
}

fn finished() -> DbError {
    DbError::Statement("the transaction is already finished".into())
}

impl Tx {
    pub(crate) const fn sqlite_read(readers: Readers) -> Self {
        Self { inner: Inner::SqliteRead(readers), faults: None }
    }

    pub(crate) const fn sqlite_write(session: sqlite::Session) -> Self {
        Self { inner: Inner::SqliteWrite(session), faults: None }
    }

    pub(crate) const fn mariadb_read(pool: Arc<Pool>) -> Self {
        Self { inner: Inner::MariaDbRead(pool), faults: None }
    }

    pub(crate) async fn mariadb_write(pool: Arc<Pool>, patient: bool) -> Result<Self> {
        let mut lease = pool.lease().await?.begin().await?;
        if patient {
            lease.wait_for_ever();
        }
        Ok(Self { inner: Inner::MariaDbWrite(lease), faults: None })
    }

    pub(crate) async fn mariadb_snapshot(pool: Arc<Pool>) -> Result<Self> {
        Ok(Self { inner: Inner::MariaDbWrite(pool.fresh().await?.begin_snapshot().await?), faults: None })
    }

    pub(crate) fn with_faults(self, faults: Option<Arc<dyn Faults>>) -> Self {
        Self { faults, ..self }
    }

    fn may_fail(&self, moment: Moment) -> Result<()> {
        self.faults.as_ref().map_or(Ok(()), |faults| faults.at(moment))
    }

    /// Whether this runs on SQLite, for the few words the engines do not share.
    pub(crate) const fn is_sqlite(&self) -> bool {
        matches!(self.inner, Inner::SqliteRead(_) | Inner::SqliteWrite(_))
    }

    /// Runs a query and folds its rows into a state, where the rows are: on SQLite in the reader's thread. `init` and
    /// `step` may run again if a connection had to be replaced before anything was answered.
    ///
    /// # Errors
    /// As the statement, or as `step`.
    pub async fn fold<S, I, F>(&mut self, sql: impl Into<Sql>, params: Vec<Value>, init: I, step: F) -> Result<S>
    where
        S: Send + 'static,
        I: Fn() -> S + Send + Sync + 'static,
        F: Fn(&mut S, &Row<'_>) -> Result<()> + Send + Sync + 'static,
    {
        let sql = sql.into();
        self.may_fail(Moment::Read)?;
        match &mut self.inner {
            Inner::SqliteRead(readers) => {
                readers.run(move |connection| sqlite::fold(connection, &sql, &params, init(), &step)).await
            }
            Inner::SqliteWrite(session) => {
                session.run(move |connection| sqlite::fold(connection, &sql, &params, init(), &step)).await
            }
            Inner::MariaDbRead(pool) => mariadb::read(pool, &sql, params, &init, &step).await,
            Inner::MariaDbWrite(lease) => lease.fold(&sql, params, init(), &step).await,
            Inner::Finished => Err(finished()),
        }
    }

    /// Runs a query and maps every row.
    ///
    /// # Errors
    /// As [`Tx::fold`].
    pub async fn fetch<T, F>(&mut self, sql: impl Into<Sql>, params: Vec<Value>, map: F) -> Result<Vec<T>>
    where
        T: Send + 'static,
        F: Fn(&Row<'_>) -> Result<T> + Send + Sync + 'static,
    {
        self.fold(sql, params, Vec::new, move |rows, row| {
            rows.push(map(row)?);
            Ok(())
        })
        .await
    }

    /// Runs a query that has at most one row; of several the first counts.
    ///
    /// # Errors
    /// As [`Tx::fold`].
    pub async fn fetch_optional<T, F>(&mut self, sql: impl Into<Sql>, params: Vec<Value>, map: F) -> Result<Option<T>>
    where
        T: Send + 'static,
        F: Fn(&Row<'_>) -> Result<T> + Send + Sync + 'static,
    {
        self.fold(
            sql,
            params,
            || None,
            move |first, row| {
                if first.is_none() {
                    *first = Some(map(row)?);
                }
                Ok(())
            },
        )
        .await
    }

    /// Runs a query that always has a row.
    ///
    /// # Errors
    /// As [`Tx::fold`]; [`DbError::Statement`] if there is no row.
    pub async fn fetch_one<T, F>(&mut self, sql: impl Into<Sql>, params: Vec<Value>, map: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&Row<'_>) -> Result<T> + Send + Sync + 'static,
    {
        self.fetch_optional(sql, params, map).await?.ok_or_else(|| DbError::Statement("a row is missing".into()))
    }

    /// Runs a statement that writes, and says how many rows it met (changed or not).
    ///
    /// # Errors
    /// As the statement; [`DbError::Statement`] outside of a transaction.
    pub async fn execute(&mut self, sql: impl Into<Sql>, params: Vec<Value>) -> Result<u64> {
        let sql = sql.into();
        self.may_fail(Moment::Write)?;
        match &mut self.inner {
            Inner::SqliteWrite(session) => {
                session.run(move |connection| sqlite::execute(connection, &sql, &params)).await
            }
            Inner::MariaDbWrite(lease) => lease.execute(&sql, params).await,
            Inner::SqliteRead(_) | Inner::MariaDbRead(_) => {
                Err(DbError::Statement("writing needs a transaction".into()))
            }
            Inner::Finished => Err(finished()),
        }
    }

    /// Locks the row that a query finds until the end of the transaction, so that a value that was read can be written
    /// back. On SQLite a transaction is alone anyway. Says whether there is such a row.
    ///
    /// # Errors
    /// As the statement; [`DbError::Conflict`] on a deadlock.
    pub async fn lock_one(&mut self, sql: &'static str, params: Vec<Value>) -> Result<bool> {
        let sql = if matches!(self.inner, Inner::MariaDbWrite(_)) {
            Cow::Owned(format!("{sql} FOR UPDATE"))
        } else {
            Cow::Borrowed(sql)
        };
        self.fetch_optional(sql, params, |_| Ok(())).await.map(|row| row.is_some())
    }

    /// Commits. Comes back when it is durable.
    ///
    /// # Errors
    /// [`DbError::Conflict`] if it was rolled back, [`DbError::OutcomeUnknown`] if the connection broke meanwhile.
    pub async fn commit(mut self) -> Result<()> {
        if let Err(error) = self.may_fail(Moment::Commit) {
            self.rollback().await;
            return Err(error);
        }
        match std::mem::replace(&mut self.inner, Inner::Finished) {
            Inner::SqliteWrite(session) => session.commit().await?,
            Inner::MariaDbWrite(lease) => lease.commit().await?,
            Inner::SqliteRead(_) | Inner::MariaDbRead(_) | Inner::Finished => {}
        }
        self.may_fail(Moment::Committed)
    }

    /// Rolls back. What cannot be rolled back any more was never committed either.
    pub async fn rollback(mut self) {
        match std::mem::replace(&mut self.inner, Inner::Finished) {
            Inner::SqliteWrite(session) => session.rollback(),
            Inner::MariaDbWrite(lease) => lease.rollback().await,
            Inner::SqliteRead(_) | Inner::MariaDbRead(_) | Inner::Finished => {}
        }
    }
}
