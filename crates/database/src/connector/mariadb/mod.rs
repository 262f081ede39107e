//! MariaDB: an own pool over several hosts, statements, and rows coalesced into one insert.

mod append;
mod lease;
mod pool;

pub use lease::Lease;
pub use pool::Pool;

use std::sync::Arc;

use mysql_async::{DriverError, Error};

use crate::Result;
use crate::connector::error::DbError;
use crate::connector::row::Row;
use crate::connector::url::Target;
use crate::connector::value::Value;
use crate::connector::{Append, Options};

#[derive(Debug)]
pub struct MariaDb {
    pool: Arc<Pool>,
    appender: append::Appender,
}

impl MariaDb {
    pub async fn open(target: &Target, options: &Options) -> Result<Self> {
        let pool = Arc::new(Pool::new(target, options)?);
        // Says at once, and in the right words, that nothing answers.
        drop(pool.lease().await?);
        let appender = append::Appender::start(Arc::clone(&pool), options.acquire_timeout);
        Ok(Self { pool, appender })
    }

    pub fn pool(&self) -> Arc<Pool> {
        Arc::clone(&self.pool)
    }

    pub async fn append(&self, row: Append) -> Result<()> {
        self.appender.append(row).await
    }

    pub async fn close(&self) {
        self.appender.close().await;
        self.pool.close();
    }
}

/// Reads outside of a transaction. A pooled connection that turns out to be dead is replaced once: reading twice does
/// no harm.
pub async fn read<S>(
    pool: &Arc<Pool>,
    sql: &str,
    params: Vec<Value>,
    init: &(dyn Fn() -> S + Send + Sync),
    step: &(dyn Fn(&mut S, &Row<'_>) -> Result<()> + Send + Sync),
) -> Result<S> {
    let mut lease = pool.lease().await?;
    if !lease.is_reused() {
        return lease.fold(sql, params, init(), step).await;
    }
    match lease.fold(sql, params.clone(), init(), step).await {
        Err(DbError::Unavailable(_)) => {
            drop(lease);
            pool.fresh().await?.fold(sql, params, init(), step).await
        }
        result => result,
    }
}

/// Sorts an error of a statement into ours. A connection that was lost before the commit means that nothing happened.
pub fn error(error: Error) -> DbError {
    match error {
        Error::Server(server) => match server.code {
            1062 | 1586 => DbError::Duplicate { constraint: key_of(&server.message) },
            1452 | 1216 => DbError::MissingParent,
            // Deadlock, lock wait, snapshot or certification conflict.
            1213 | 1205 | 1020 => DbError::Conflict(format!("MariaDB error {}", server.code)),
            code if is_unavailable(code) => DbError::Unavailable(format!("MariaDB error {}", server.code)),
            // Duplicate and other messages hold values: only the code and the state go on, but a fault of the program
            // (no such column, a syntax error) is told whole.
            1054 | 1064 | 1146 | 1136 | 1050 | 1060 | 1061 => {
                DbError::Statement(format!("{} ({})", server.message, server.code))
            }
            code => DbError::Statement(format!("MariaDB error {code} ({})", server.state)),
        },
        Error::Io(io) => DbError::Unavailable(format!("connection to MariaDB lost: {io}")),
        Error::Driver(DriverError::ConnectionClosed | DriverError::PoolDisconnected) => {
            DbError::Unavailable("connection to MariaDB closed".into())
        }
        other => DbError::Statement(other.to_string()),
    }
}

/// Not ready (Galera), read-only, shutting down, killed, too many connections, disk or table full, refused.
const fn is_unavailable(code: u16) -> bool {
    matches!(
        code,
        1047 | 1290 | 1792 | 1836 | 1053 | 1927 | 1317 | 1040 | 1203 | 1021 | 1114 | 1041 | 1037 | 1045 | 1044 | 1049
    )
}

/// `Duplicate entry '..' for key 'name'`: the name, never the value.
fn key_of(message: &str) -> String {
    message.rsplit("key '").next().and_then(|rest| rest.strip_suffix('\'')).unwrap_or("unknown").to_owned()
}
