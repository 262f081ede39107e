//! How far an import got, and what it has taken over.

use std::collections::HashMap;

use carebot_model::Timestamp;

use crate::{Result, Tx, Value, params};

/// How far a table was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The number of the last row that was read.
    pub last_key: i64,
    /// How many of its rows are here.
    pub written: u64,
    /// Numbers shortly before the last one that were not there.
    pub gaps: Vec<i64>,
}

/// How far a table was read by earlier runs.
pub async fn get(tx: &mut Tx, table: &'static str) -> Result<Option<Progress>> {
    tx.fetch_optional("SELECT last_key, written, gaps FROM import_progress WHERE name = ?", params![table], |row| {
        let gaps = row.get::<String>(2)?;
        let gaps = gaps.split(',').filter_map(|number| number.parse().ok()).collect();
        Ok(Progress { last_key: row.get(0)?, written: row.get(1)?, gaps })
    })
    .await
}

/// Notes how far a table was read; in the transaction that writes its rows.
pub async fn put(tx: &mut Tx, table: &'static str, progress: &Progress, now: Timestamp) -> Result<()> {
    let written = i64::try_from(progress.written).unwrap_or(i64::MAX);
    let gaps = progress.gaps.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
    let values = params![progress.last_key, written, gaps, now, table];
    let sql = "UPDATE import_progress SET last_key = ?, written = ?, gaps = ?, updated_at = ? WHERE name = ?";
    if tx.execute(sql, values.clone()).await? == 0 {
        let sql = "INSERT INTO import_progress (last_key, written, gaps, updated_at, name) VALUES (?, ?, ?, ?, ?)";
        tx.execute(sql, values).await?;
    }
    Ok(())
}

/// SHA-256 of what a row said.
pub type Digest = [u8; 32];

/// What rows said when they were taken over, by their keys.
pub async fn digests(tx: &mut Tx, table: &'static str, keys: &[String]) -> Result<HashMap<String, Digest>> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let mut values = params![table];
    values.extend(keys.iter().map(|key| Value::from(key.as_str())));
    let sql = format!("SELECT row_key, digest FROM import_rows WHERE name = ? AND row_key IN ({})", marks(keys.len()));
    let found = tx.fetch(sql, values, |row| Ok((row.get(0)?, row.get(1)?))).await?;
    Ok(found.into_iter().collect())
}

/// Notes what a row said.
pub async fn put_digest(tx: &mut Tx, table: &'static str, key: &str, digest: &Digest, is_new: bool) -> Result<()> {
    let values = params![&digest[..], table, key];
    let sql = if is_new {
        "INSERT INTO import_rows (digest, name, row_key) VALUES (?, ?, ?)"
    } else {
        "UPDATE import_rows SET digest = ? WHERE name = ? AND row_key = ?"
    };
    tx.execute(sql, values).await.map(drop)
}

/// The keys of rows that were taken over, some at a time.
pub async fn keys(tx: &mut Tx, table: &'static str, after: &str, limit: u32) -> Result<Vec<String>> {
    tx.fetch(
        "SELECT row_key FROM import_rows WHERE name = ? AND row_key > ? ORDER BY row_key LIMIT ?",
        params![table, after, limit],
        |row| row.get(0),
    )
    .await
}

/// Forgets that a row was taken over.
pub async fn forget(tx: &mut Tx, table: &'static str, key: &str) -> Result<()> {
    tx.execute("DELETE FROM import_rows WHERE name = ? AND row_key = ?", params![table, key]).await.map(drop)
}

/// `?, ?, ?`
pub fn marks(number: usize) -> String {
    vec!["?"; number].join(",")
}
