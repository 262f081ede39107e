//! What happened to messages, notifications and pictures of albums after an earlier run took them over: read there is read
//! here; what was deleted there is told, and stays.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::progress::{Progress, marks};
use super::report::{Finding, Rule};
use super::tables::{Again, Table};
use super::{Import, ImportError, Result};
use crate::{Value, params, transact};

/// Rows that are compared at once.
const ROWS: u32 = 1_000;

impl Import<'_> {
    /// Looks through the rows of a table that earlier runs took over.
    pub(super) async fn look_again(&mut self, table: &'static Table, earlier: &Progress) -> Result<ControlFlow<()>> {
        let (Some(again), Some(db)) = (table.again, self.target) else { return Ok(ControlFlow::Continue(())) };
        let mut last = i64::MIN;
        let is_read = if again == Again::DeletedOrRead { "is_read" } else { "1" };
        while last < earlier.last_key {
            let ours: Vec<(i64, i64)> = db
                .read()
                .fetch(
                    format!("SELECT id, {is_read} FROM {} WHERE id > ? AND id <= ? ORDER BY id LIMIT ?", table.to),
                    params![last, earlier.last_key, ROWS],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .await?;
            let Some((newest, _)) = ours.last() else { break };
            last = *newest;
            let theirs = self.read_there(table, is_read, ours.iter().map(|(id, _)| *id)).await?;
            let mut read = Vec::new();
            let mut gone = Vec::new();
            for (id, is_read_here) in &ours {
                match theirs.get(id) {
                    None => gone.push(Finding {
                        table: table.from,
                        key: id.to_string(),
                        column: None,
                        rule: Rule::Gone,
                        done: "still here".into(),
                    }),
                    Some(true) if *is_read_here == 0 => read.push(Value::Int(*id)),
                    Some(_) => {}
                }
            }
            if !read.is_empty() && !self.settings.dry_run {
                let sql = format!("UPDATE {} SET is_read = 1 WHERE id IN ({})", table.to, marks(read.len()));
                transact!(db, tx => {
                    tx.execute(sql.clone(), read.clone()).await?;
                    Ok::<_, ImportError>(())
                })?;
            }
            self.report.write(&gone)?;
            let counts = self.counts();
            counts.changed += read.len() as u64;
            *counts.noted.entry(Rule::Gone.name()).or_default() += gone.len() as u64;
            if self.tell().is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Which of some rows are there, and whether they have been read.
    async fn read_there(
        &mut self,
        table: &Table,
        is_read: &str,
        ids: impl Iterator<Item = i64>,
    ) -> Result<HashMap<i64, bool>> {
        let ids: Vec<Value> = ids.map(Value::Int).collect();
        let sql = format!(
            "SELECT CAST(t.`{key}` AS SIGNED), CAST(COALESCE({is_read}, 0) AS SIGNED) FROM `{}` t WHERE t.`{key}` IN ({})",
            table.from,
            marks(ids.len()),
            key = table.key
        );
        let found = self.source.fetch(sql, ids, |row| Ok((row.get(0)?, row.get::<i64>(1)? != 0))).await?;
        Ok(found.into_iter().collect())
    }
}
