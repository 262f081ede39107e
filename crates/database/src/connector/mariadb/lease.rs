//! A connection that is in use.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, IoError, Params};
use tokio::sync::OwnedSemaphorePermit;

use super::{Pool, error};
use crate::Result;
use crate::connector::error::DbError;
use crate::connector::row::Row;
use crate::connector::value::Value;

/// A connection that is in use. It goes back to the pool when it is dropped, unless a statement or transaction was cut
/// short: then its state is unknown and it is closed, which rolls back.
pub struct Lease {
    pool: Arc<Pool>,
    connection: Option<Conn>,
    made: Instant,
    reused: bool,
    /// Not to be used again.
    dirty: bool,
    /// A transaction is open: must not go back to the pool.
    open: bool,
    /// How long a statement may take; none is as long as it needs.
    limit: Option<Duration>,
    _permit: OwnedSemaphorePermit,
}

fn positional(params: Vec<Value>) -> Params {
    if params.is_empty() { Params::Empty } else { Params::Positional(params.into_iter().map(Into::into).collect()) }
}

/// Gives up on a server that has gone silent.
async fn within<T>(limit: Option<Duration>, statement: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match limit {
        None => statement.await,
        Some(limit) => match tokio::time::timeout(limit, statement).await {
            Ok(result) => result,
            Err(_) => Err(Error::Io(IoError::Io(io::ErrorKind::TimedOut.into()))),
        },
    }
}

fn is_timeout(failure: &Error) -> bool {
    matches!(failure, Error::Io(IoError::Io(error)) if error.kind() == io::ErrorKind::TimedOut)
}

impl Lease {
    pub fn new(pool: Arc<Pool>, permit: OwnedSemaphorePermit, connection: Conn, made: Instant, reused: bool) -> Self {
        let limit = Some(pool.statement_timeout());
        Self { pool, connection: Some(connection), made, reused, dirty: false, open: false, limit, _permit: permit }
    }

    /// Whether it lay idle before: then it may be dead without anybody knowing.
    pub const fn is_reused(&self) -> bool {
        self.reused
    }

    /// From now on statements take as long as they need.
    pub const fn wait_for_ever(&mut self) {
        self.limit = None;
    }

    /// The connection, marked as dirty until the statement has come back whole.
    fn start(&mut self) -> Result<&mut Conn> {
        if self.dirty {
            self.connection = None;
        }
        self.dirty = true;
        self.connection.as_mut().ok_or_else(|| DbError::Unavailable("the connection is closed".into()))
    }

    fn failed(&mut self, failure: Error) -> DbError {
        // A refused statement leaves the connection in order; everything else does not.
        let lost = !matches!(failure, Error::Server(_));
        // Who has waited so long is not made to wait again.
        let again = self.open && !is_timeout(&failure);
        let other_host = matches!(&failure, Error::Server(server) if matches!(server.code, 1290 | 1792 | 1836 | 1047));
        let ending = matches!(&failure, Error::Server(server) if matches!(server.code, 1053 | 1927));
        self.dirty = lost || other_host || ending;
        if other_host {
            self.pool.avoid_current();
        }
        match error(failure) {
            // The server rolls back what was not committed, so the whole of it can be run again on another connection.
            DbError::Unavailable(text) if again && self.dirty => {
                DbError::Conflict(format!("the connection was lost before the commit: {text}"))
            }
            other => other,
        }
    }

    /// Begins a transaction. A reused connection that turns out to be dead is replaced once.
    pub async fn begin(self) -> Result<Self> {
        let pool = Arc::clone(&self.pool);
        let mut lease = self;
        match lease.command("START TRANSACTION").await {
            Err(DbError::Unavailable(_)) if lease.reused => {
                drop(lease);
                lease = pool.fresh().await?;
                lease.command("START TRANSACTION").await?;
            }
            result => result?,
        }
        lease.open = true;
        Ok(lease)
    }

    /// Begins to read everything as it is at this moment. The connection is not used for anything else afterwards.
    pub async fn begin_snapshot(mut self) -> Result<Self> {
        self.limit = None;
        self.command("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
        self.command("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await?;
        // Never given back: its isolation level is another than the pool's.
        self.open = true;
        Ok(self)
    }

    async fn command(&mut self, sql: &'static str) -> Result<()> {
        let limit = self.limit;
        match within(limit, self.start()?.query_drop(sql)).await {
            Ok(()) => {
                self.dirty = false;
                Ok(())
            }
            Err(failure) => Err(self.failed(failure)),
        }
    }

    pub async fn fold<S>(
        &mut self,
        sql: &str,
        params: Vec<Value>,
        mut state: S,
        step: &(dyn Fn(&mut S, &Row<'_>) -> Result<()> + Send + Sync),
    ) -> Result<S> {
        let limit = self.limit;
        let connection = self.start()?;
        let run = async {
            let mut result = connection.exec_iter(sql, positional(params)).await?;
            let mut ordinal = 0;
            let mut outcome = Ok(());
            while let Some(row) = result.next().await? {
                // The rows behind a bad one are read all the same, so that the connection stays in order.
                if outcome.is_ok() {
                    outcome = step(&mut state, &Row::mariadb(&row, sql, ordinal));
                }
                ordinal += 1;
            }
            Ok((outcome, state))
        };
        match within(limit, run).await {
            Ok((outcome, state)) => {
                self.dirty = false;
                outcome.map(|()| state)
            }
            Err(failure) => Err(self.failed(failure)),
        }
    }

    pub async fn execute(&mut self, sql: &str, params: Vec<Value>) -> Result<u64> {
        let limit = self.limit;
        let connection = self.start()?;
        match within(limit, connection.exec_drop(sql, positional(params))).await {
            Ok(()) => {
                let rows = connection.affected_rows();
                self.dirty = false;
                Ok(rows)
            }
            Err(failure) => Err(self.failed(failure)),
        }
    }

    pub async fn commit(mut self) -> Result<()> {
        if self.dirty {
            return Err(DbError::Conflict("the connection was lost before the commit".into()));
        }
        // From here on a lost connection leaves open whether it happened.
        self.open = false;
        self.command("COMMIT").await.map_err(|failure| {
            // Whatever state it is in, it is not the one that the next user expects.
            self.dirty = true;
            match failure {
                DbError::Unavailable(text) => DbError::OutcomeUnknown(text),
                other => other,
            }
        })
    }

    pub async fn rollback(mut self) {
        // A connection that cannot roll back is closed by being dirty, and the server then rolls back.
        self.open = self.command("ROLLBACK").await.is_err();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let (Some(connection), false) = (self.connection.take(), self.dirty || self.open) {
            self.pool.give_back(connection, self.made);
        }
    }
}
