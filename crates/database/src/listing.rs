//! Long lists, page by page: no transaction, reader or connection is held between two pages.

use carebot_model::wire::Order;
use carebot_model::{RowId, Timestamp};

use crate::{Result, Row, Tx, Value};

/// Where a row stands in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The time it is sorted by.
    pub time: Timestamp,
    /// Its number.
    pub id: RowId,
}

/// A closed range of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// From the start of this second.
    pub start: Timestamp,
    /// To the end of this second.
    pub end: Timestamp,
}

impl Range {
    /// Everything.
    pub const ALL: Self = Self { start: Timestamp::MIN, end: Timestamp::MAX };

    /// Whole seconds, both included.
    pub fn seconds(start: Timestamp, end: Timestamp) -> Self {
        Self { start: start.floor_second(), end: end.end_of_second() }
    }
}

/// A query for rows that are sorted by time and number.
///
/// The selected columns begin with the time and the number, so that the next page knows where to go on.
#[derive(Clone, Debug)]
pub struct Listing {
    pub(crate) columns: String,
    pub(crate) from: String,
    pub(crate) filter: &'static str,
    pub(crate) values: Vec<Value>,
    pub(crate) time: &'static str,
    pub(crate) id: &'static str,
    pub(crate) range: Range,
}

impl Listing {
    /// Up to `limit` rows beyond `after` in an order, of those newer than `floor`. Folds them and says where the last one
    /// stood.
    ///
    /// # Errors
    /// As the statement, or as `step`.
    #[expect(clippy::too_many_arguments, reason = "what to fold, and where to begin and end; each is of its own type")]
    pub async fn page<S, I, F>(
        &self,
        tx: &mut Tx,
        order: Order,
        after: Option<Key>,
        floor: Option<Key>,
        limit: u32,
        init: I,
        step: F,
    ) -> Result<Page<S>>
    where
        S: Send + 'static,
        I: Fn() -> S + Send + Sync + 'static,
        F: Fn(&mut S, &Row<'_>) -> Result<()> + Send + Sync + 'static,
    {
        let (mut start, mut end) = (self.range.start, self.range.end);
        let mut conditions = String::new();
        let mut keys: Vec<Value> = Vec::new();
        let (time, id) = (self.time, self.id);
        // The range leaves only rows of the same time to be told apart by number.
        let newer = format!(" AND ({time} > ? OR {id} > ?)");
        let before = format!(" AND ({time} < ? OR {id} < ?)");
        if let Some(floor) = floor {
            start = start.max(floor.time);
            conditions += &newer;
            keys.extend([floor.time.into(), floor.id.into()]);
        }
        let direction = match order {
            Order::Ascending => "ASC",
            Order::Descending => "DESC",
        };
        if let Some(after) = after {
            if order == Order::Ascending {
                start = start.max(after.time);
                conditions += &newer;
            } else {
                end = end.min(after.time);
                conditions += &before;
            }
            keys.extend([after.time.into(), after.id.into()]);
        }
        let Self { columns, from, filter, .. } = self;
        let sql = format!(
            "SELECT {columns} FROM {from} WHERE {filter} AND {time} BETWEEN ? AND ?{conditions}
             ORDER BY {time} {direction}, {id} {direction} LIMIT ?"
        );
        let mut values = self.values.clone();
        values.extend([start.into(), end.into()]);
        values.extend(keys);
        values.push(limit.into());
        let (state, last, count) = tx
            .fold(
                sql,
                values,
                move || (init(), None, 0_u32),
                move |(state, last, count), row| {
                    *last = Some(Key { time: row.get(0)?, id: row.get(1)? });
                    *count += 1;
                    step(state, row)
                },
            )
            .await?;
        Ok(Page { state, last, is_full: count == limit })
    }

    /// Where the row stands before which `skip` newer ones come; `None` if there are not that many.
    ///
    /// # Errors
    /// As any statement.
    pub async fn nth_newest(&self, tx: &mut Tx, skip: u32) -> Result<Option<Key>> {
        let Self { from, filter, time, id, .. } = self;
        let mut values = self.values.clone();
        values.extend([self.range.start.into(), self.range.end.into(), skip.into()]);
        tx.fetch_optional(
            format!(
                "SELECT {time}, {id} FROM {from} WHERE {filter} AND {time} BETWEEN ? AND ?
                 ORDER BY {time} DESC, {id} DESC LIMIT 1 OFFSET ?"
            ),
            values,
            |row| Ok(Key { time: row.get(0)?, id: row.get(1)? }),
        )
        .await
    }

    /// The time of the oldest row.
    ///
    /// # Errors
    /// As any statement.
    pub async fn oldest(&self, tx: &mut Tx) -> Result<Option<Timestamp>> {
        let Self { from, filter, time, .. } = self;
        let mut values = self.values.clone();
        values.extend([self.range.start.into(), self.range.end.into()]);
        tx.fetch_optional(
            format!("SELECT {time} FROM {from} WHERE {filter} AND {time} BETWEEN ? AND ? ORDER BY {time} LIMIT 1"),
            values,
            |row| row.get(0),
        )
        .await
    }

    /// The times of the first rows at or after `from`, `from + step`, `from + 2 step` .. (each only if it lies before the
    /// next), ascending: one seek each, however many rows lie between. At most [`Listing::PROBES`] probes.
    ///
    /// # Errors
    /// As any statement.
    pub async fn probe(&self, tx: &mut Tx, from: Timestamp, step: i64, probes: u32) -> Result<Vec<Timestamp>> {
        let probes = i64::from(probes.min(Self::PROBES));
        let mut times = if tx.is_sqlite() {
            self.probe_correlated(tx, from, step, probes).await?
        } else {
            self.probe_listed(tx, from, step, probes).await?
        };
        times.sort_unstable();
        times.dedup();
        Ok(times)
    }

    /// One statement, whose subquery seeks once for each row of the outer one.
    async fn probe_correlated(&self, tx: &mut Tx, from: Timestamp, step: i64, probes: i64) -> Result<Vec<Timestamp>> {
        let Self { from: table, filter, time, .. } = self;
        let last = from.millis() + step * (probes - 1);
        let mut values: Vec<Value> = vec![from.into(), step.into(), step.into(), last.into()];
        values.extend(self.values.clone());
        values.push((step - 1).into());
        let found: Vec<Option<Timestamp>> = tx
            .fetch(
                format!(
                    "WITH RECURSIVE probes (t) AS (SELECT CAST(? AS INTEGER) UNION ALL SELECT t + ? FROM probes WHERE t + ? <= ?)
                     SELECT (SELECT {time} FROM {table} WHERE {filter} AND {time} BETWEEN probes.t AND probes.t + ?
                             ORDER BY {time} LIMIT 1) FROM probes"
                ),
                values,
                |row| row.get(0),
            )
            .await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// MariaDB knows no range whose bounds come from an outer row and would go through all the rows from the family's
    /// first: here every probe is a query of its own, many in one statement.
    async fn probe_listed(&self, tx: &mut Tx, from: Timestamp, step: i64, probes: i64) -> Result<Vec<Timestamp>> {
        /// Always as many, so that it stays one prepared statement; what is too much asks for nothing.
        const TOGETHER: usize = 50;
        let Self { from: table, filter, time, .. } = self;
        let one =
            format!("(SELECT {time} FROM {table} WHERE {filter} AND {time} BETWEEN ? AND ? ORDER BY {time} LIMIT 1)");
        let sql = vec![one; TOGETHER].join(" UNION ALL ");
        let mut times = Vec::new();
        for first in (0..probes).step_by(TOGETHER) {
            let mut values: Vec<Value> = Vec::new();
            for probe in (first..).take(TOGETHER) {
                let start = from.millis() + probe * step;
                let end = if probe < probes { start + step - 1 } else { start - 1 };
                values.extend(self.values.clone());
                values.extend([start.into(), end.into()]);
            }
            times.extend(tx.fetch(sql.clone(), values, |row| row.get::<Timestamp>(0)).await?);
        }
        Ok(times)
    }

    /// The most probes of one [`Listing::probe`].
    pub const PROBES: u32 = 500;

    /// The first row of each of these times (as [`Listing::probe`] found them), in an order. Of several rows of one time it
    /// is the one with the lowest number, in either order.
    ///
    /// # Errors
    /// As the statement, or as `step`.
    pub async fn at_times<S, I, F>(&self, tx: &mut Tx, times: &[Timestamp], order: Order, init: I, step: F) -> Result<S>
    where
        S: Send + 'static,
        I: Fn() -> S + Send + Sync + 'static,
        F: Fn(&mut S, &Row<'_>) -> Result<()> + Send + Sync + 'static,
    {
        let Some(last) = times.last() else { return Ok(init()) };
        let Self { columns, from, filter, time, id, .. } = self;
        let direction = match order {
            Order::Ascending => "ASC",
            Order::Descending => "DESC",
        };
        // Always as many placeholders, so that it stays one prepared statement.
        let most = Self::PROBES as usize;
        let marks = vec!["?"; most].join(",");
        let mut values = self.values.clone();
        values.extend(
            times.iter().chain(std::iter::repeat(last)).take(most.max(times.len())).map(|time| Value::from(*time)),
        );
        let sql = format!(
            "SELECT {columns} FROM {from} WHERE {filter} AND {time} IN ({marks}) ORDER BY {time} {direction}, {id}"
        );
        tx.fold(
            sql,
            values,
            move || (init(), None),
            move |(state, previous): &mut (S, Option<Timestamp>), row| {
                let time: Timestamp = row.get(0)?;
                if previous.replace(time) == Some(time) {
                    return Ok(());
                }
                step(state, row)
            },
        )
        .await
        .map(|(state, _)| state)
    }
}

/// A page of a list.
#[derive(Debug)]
pub struct Page<S> {
    /// What the rows were folded into.
    pub state: S,
    /// Where the last row stood.
    pub last: Option<Key>,
    /// Whether there may be more.
    pub is_full: bool,
}
