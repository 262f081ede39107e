//! SQLite: one writer thread with group commit, several reader threads.

mod queue;
mod readers;
mod writer;

pub use readers::Readers;
pub use writer::Session;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi, params_from_iter};

use crate::Result;
use crate::connector::error::DbError;
use crate::connector::row::Row;
use crate::connector::value::Value;
use crate::connector::{Append, Options};

/// How long a connection waits for a lock that another process holds.
const BUSY: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    readers: Readers,
    writer: writer::Writer,
}

impl Sqlite {
    pub async fn open(path: &Path, options: &Options) -> Result<Self> {
        let (path, options) = (path.to_owned(), options.clone());
        let kept = path.clone();
        let opened = tokio::task::spawn_blocking(move || {
            // The first connection makes the file and puts it into WAL mode, before the readers come.
            let writer = connect(&path, options.create)?;
            let mut readers = Vec::new();
            for _ in 0..options.sqlite_readers.max(1) {
                readers.push(connect(&path, false)?);
            }
            Ok((writer, readers, options.acquire_timeout))
        })
        .await
        .map_err(|error| DbError::Unavailable(error.to_string()))?;
        let (writer, readers, timeout) = opened?;
        let (readers, writer) = (Readers::start(readers, timeout)?, writer::Writer::start(writer, timeout)?);
        Ok(Self { path: kept, readers, writer })
    }

    /// Copies the database as it is at one moment, while others go on writing.
    pub async fn copy_to(&self, to: &Path) -> Result<()> {
        let (from, to) = (self.path.clone(), to.to_owned());
        tokio::task::spawn_blocking(move || {
            let from = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(error)?;
            from.busy_timeout(BUSY).map_err(error)?;
            let mut to = Connection::open(to).map_err(error)?;
            let copy = rusqlite::backup::Backup::new(&from, &mut to).map_err(error)?;
            // In one step, under one read lock: a writer in between would make it begin again.
            match copy.step(-1).map_err(error)? {
                rusqlite::backup::StepResult::Done => Ok(()),
                other => Err(DbError::Unavailable(format!("SQLite: the copy did not come to its end ({other:?})"))),
            }
        })
        .await
        .map_err(|failure| DbError::Unavailable(failure.to_string()))?
    }

    pub fn readers(&self) -> Readers {
        self.readers.clone()
    }

    pub async fn begin(&self) -> Result<Session> {
        self.writer.begin().await
    }

    pub async fn append(&self, row: Append) -> Result<()> {
        self.writer.append(row).await
    }

    pub async fn close(&self) {
        self.readers.close();
        self.writer.close().await;
    }
}

fn connect(path: &Path, create: bool) -> Result<Connection> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if create {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    } else if !path.exists() {
        return Err(DbError::Configuration(format!(
            "there is no database at {}; make one with `carebot migrate --create` or check the path",
            path.display()
        )));
    }
    let connection = Connection::open_with_flags(path, flags).map_err(error)?;
    connection.busy_timeout(BUSY).map_err(error)?;
    connection.set_prepared_statement_cache_capacity(256);
    // Without this, bundled SQLite (built with STAT4) plans a cached statement anew at every execution after ANALYZE.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(error)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(error)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(error)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(error)?;
    // 8 MiB a connection. The beginning of the file is also mapped, so that readers share the page cache of the system; no
    // more of it, because what is mapped counts as memory of this process wherever that is limited, once for each connection.
    connection.pragma_update(None, "cache_size", -8192).map_err(error)?;
    connection.pragma_update(None, "mmap_size", 16 << 20).map_err(error)?;
    Ok(connection)
}

pub fn fold<S>(
    connection: &Connection,
    sql: &str,
    params: &[Value],
    mut state: S,
    step: &dyn Fn(&mut S, &Row<'_>) -> Result<()>,
) -> Result<S> {
    let mut statement = connection.prepare_cached(sql).map_err(error)?;
    let mut rows = statement.query(params_from_iter(params)).map_err(error)?;
    let mut ordinal = 0;
    while let Some(row) = rows.next().map_err(error)? {
        step(&mut state, &Row::sqlite(row, sql, ordinal))?;
        ordinal += 1;
    }
    Ok(state)
}

pub fn execute(connection: &Connection, sql: &str, params: &[Value]) -> Result<u64> {
    let mut statement = connection.prepare_cached(sql).map_err(error)?;
    statement.execute(params_from_iter(params)).map(|count| count as u64).map_err(error)
}

/// Sorts an error of SQLite into ours.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
pub fn error(error: rusqlite::Error) -> DbError {
    let rusqlite::Error::SqliteFailure(failure, ref message) = error else {
        return DbError::Statement(error.to_string());
    };
    let text = message.clone().unwrap_or_else(|| failure.to_string());
    match (failure.code, failure.extended_code) {
        (_, ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID) => {
            DbError::Duplicate { constraint: text.trim_start_matches("UNIQUE constraint failed: ").to_owned() }
        }
        (_, ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => DbError::MissingParent,
        (
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::OutOfMemory
            | ErrorCode::OperationInterrupted
            | ErrorCode::NotADatabase
            | ErrorCode::DatabaseCorrupt,
            _,
        ) => DbError::Unavailable(format!("SQLite: {text}")),
        _ => DbError::Statement(text),
    }
}
