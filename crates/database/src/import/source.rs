//! The existing installation, which is only read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::cells::{Raw, Read};
use super::{ImportError, Result};
use crate::connector::Options;
use crate::{Db, DbUrl, Row, Tx, Value, params};

/// How long reading a page may take: a busy server is waited for.
const PATIENCE: Duration = Duration::from_mins(5);
/// A page is over when its values take so many bytes, however few rows that are.
const PAGE_BYTES: usize = 4 << 20;

/// Tables without which it is no installation.
const NEEDED: &[&str] = &[
    "accounts",
    "families",
    "memberrelations",
    "settings",
    "loginsessions",
    "homestatus",
    "healthstatus",
    "activestatus",
    "mentalstatus",
    "mentalreports",
    "messages",
    "notifications",
    "backgrounds",
];
/// Tables that not every installation has.
const OPTIONAL: &[&str] = &["chatsessions", "chathistories", "chatkeywords", "news"];
/// Tables whose content comes with this program.
const BUILT_IN: &[&str] = &["masterregions", "subregions"];

/// An existing installation.
#[derive(Debug)]
pub struct Source {
    db: Db,
    /// The columns of each table, by the table's name in lower case.
    tables: BTreeMap<String, Table>,
}

#[derive(Debug)]
struct Table {
    /// As it is written there.
    name: String,
    columns: BTreeSet<String>,
    /// About how many rows it has.
    rows: u64,
}

/// What is read of a table.
#[derive(Clone, Debug)]
pub struct Select {
    sql: String,
    reads: Vec<Read>,
}

impl Select {
    /// Only the rows for which this is so.
    #[must_use]
    pub fn only(mut self, condition: &str) -> Self {
        self.sql = self.sql.replacen(" WHERE ", &format!(" WHERE {condition} AND "), 1);
        self
    }
}

/// A row: its key, then the columns that were asked for.
pub type Record = Vec<Raw>;

/// Some rows.
#[derive(Debug, Default)]
pub struct Page {
    /// In the order of their keys.
    pub records: Vec<Record>,
    bytes: usize,
    /// Whether it was cut short because it became too large.
    pub is_cut: bool,
}

/// Whether a database is an existing installation, so that it is not mistaken for one of ours and changed.
///
/// # Errors
/// As any statement.
pub async fn is_existing_installation(db: &Db) -> crate::Result<bool> {
    if db.dialect() == crate::connector::Dialect::Sqlite {
        return Ok(false);
    }
    let sql = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name IN ('homestatus', 'loginsessions', 'memberrelations')";
    Ok(db.read().fetch_one(sql, vec![], |row| row.get::<i64>(0)).await? > 0)
}

impl Source {
    /// Opens an existing installation and looks at its tables.
    ///
    /// # Errors
    /// [`ImportError::Source`] if it cannot be read, [`ImportError::Wrong`] if it is not one.
    pub async fn open(url: &DbUrl) -> Result<Self> {
        if !matches!(url, DbUrl::MariaDb(_)) {
            let wrong =
                "an existing installation is on MariaDB: give a URL such as mariadb://user:password@host/schema";
            return Err(ImportError::Wrong(wrong.to_owned()));
        }
        // One connection: what it is set to holds for every statement.
        let options = Options {
            pool_size: 1,
            pool_overflow: 0,
            pool_recycle: Duration::from_hours(24),
            statement_timeout: PATIENCE,
            acquire_timeout: Duration::from_secs(30),
            ..Options::default()
        };
        let db = Db::open(url, &options).await.map_err(ImportError::Source)?;
        let mut source = Self { db, tables: BTreeMap::new() };
        source.look().await?;
        Ok(source)
    }

    /// Closes the connection.
    pub async fn close(&self) {
        self.db.close().await;
    }

    async fn look(&mut self) -> Result<()> {
        let mut tx = self.tx().await?;
        let rows = tx
            .fetch(
                "SELECT table_name, CAST(COALESCE(table_rows, 0) AS SIGNED) FROM information_schema.tables WHERE table_schema = DATABASE()",
                vec![],
                |row| Ok((row.get::<String>(0)?, row.get::<u64>(1)?)),
            )
            .await
            .map_err(ImportError::Source)?;
        let columns = tx
            .fetch(
                "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE()",
                vec![],
                |row| Ok((row.get::<String>(0)?, row.get::<String>(1)?)),
            )
            .await
            .map_err(ImportError::Source)?;
        for (name, rows) in rows {
            self.tables.insert(name.to_lowercase(), Table { name, columns: BTreeSet::new(), rows });
        }
        for (table, column) in columns {
            if let Some(table) = self.tables.get_mut(&table.to_lowercase()) {
                table.columns.insert(column.to_lowercase());
            }
        }
        let missing: Vec<&str> = NEEDED.iter().copied().filter(|table| !self.has(table)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(ImportError::Wrong(format!(
            "this schema is no existing installation, or its user may not read all of it: the tables {} are missing",
            missing.join(", ")
        )))
    }

    /// Whether there is such a table.
    pub fn has(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }

    /// About how many rows a table has, as the server believes.
    pub fn about(&self, table: &str) -> u64 {
        self.tables.get(table).map_or(0, |table| table.rows)
    }

    /// Tables that this program knows nothing of.
    pub fn unknown(&self) -> Vec<String> {
        let known = |name: &str| [NEEDED, OPTIONAL, BUILT_IN].iter().any(|list| list.contains(&name));
        self.tables.iter().filter(|(name, _)| !known(name)).map(|(_, table)| table.name.clone()).collect()
    }

    /// What to read of a table: its key and columns, each with whether it must be there; one that need not be there and is
    /// not is read as NULL.
    ///
    /// # Errors
    /// [`ImportError::Wrong`] if a column is missing that must be there.
    pub fn select(&self, table: &str, key: (&str, Read), columns: &[(&str, Read, bool)]) -> Result<Select> {
        let Some(found) = self.tables.get(table) else {
            return Err(ImportError::Wrong(format!("the table {table} is missing")));
        };
        let missing = |column: &str| ImportError::Wrong(format!("the column {table}.{column} is missing"));
        if !found.columns.contains(key.0) {
            return Err(missing(key.0));
        }
        let mut reads = vec![key.1];
        for (column, read, is_needed) in columns {
            match (found.columns.contains(*column), is_needed) {
                (true, _) => reads.push(*read),
                (false, false) => reads.push(Read::Absent),
                (false, true) => return Err(missing(column)),
            }
        }
        let names = std::iter::once(key.0).chain(columns.iter().map(|(column, ..)| *column));
        let list: Vec<String> = names.zip(&reads).map(|(name, read)| read.sql(&format!("t.`{name}`"))).collect();
        let sql = format!(
            "SELECT {} FROM `{}` t WHERE t.`{key}` > ? ORDER BY t.`{key}` LIMIT ?",
            list.join(", "),
            found.name,
            key = key.0
        );
        Ok(Select { sql, reads })
    }

    /// The rows behind a key, at most `limit` and a few megabytes.
    ///
    /// # Errors
    /// [`ImportError::Source`].
    pub async fn page(&self, select: &Select, after: Value, limit: u32) -> Result<Page> {
        let reads = select.reads.clone();
        self.tx()
            .await?
            .fold(select.sql.clone(), params![after, limit], Page::default, move |page, row| {
                // What does not fit is read again with the next page.
                if page.bytes >= PAGE_BYTES {
                    page.is_cut = true;
                    return Ok(());
                }
                let record = record(row, &reads)?;
                page.bytes += record.iter().map(Raw::size).sum::<usize>();
                page.records.push(record);
                Ok(())
            })
            .await
            .map_err(ImportError::Source)
    }

    /// Runs any other query.
    pub(super) async fn fetch<T, F>(&self, sql: String, values: Vec<Value>, map: F) -> Result<Vec<T>>
    where
        T: Send + 'static,
        F: Fn(&Row<'_>) -> crate::Result<T> + Send + Sync + 'static,
    {
        self.tx().await?.fetch(sql, values, map).await.map_err(ImportError::Source)
    }

    /// A connection on which nothing can be written, whatever its user may do: said again before every statement, because a
    /// connection that was lost is replaced by a new one.
    async fn tx(&self) -> Result<Tx> {
        let mut tx = self.db.read();
        tx.fetch("SET SESSION TRANSACTION READ ONLY", vec![], |_| Ok(())).await.map_err(ImportError::Source)?;
        Ok(tx)
    }
}

fn record(row: &Row<'_>, reads: &[Read]) -> crate::Result<Record> {
    let cells = reads.iter().enumerate().map(|(index, read)| {
        Ok(match read {
            Read::Absent => Raw::Null,
            Read::Whole | Read::Time => row.get::<Option<i64>>(index)?.map_or(Raw::Null, Raw::Whole),
            Read::Text | Read::Shown => match row.get::<Option<Vec<u8>>>(index)? {
                None => Raw::Null,
                Some(bytes) => String::from_utf8(bytes).map_or_else(
                    |broken| Raw::Mended(String::from_utf8_lossy(broken.as_bytes()).into_owned()),
                    Raw::Text,
                ),
            },
        })
    });
    cells.collect()
}
