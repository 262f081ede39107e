//! Reports, generic over their kind.

use std::collections::HashSet;

use carebot_model::access::Permit;
use carebot_model::images::Source;
use carebot_model::status::{Mental, RangeOn, Report, StatusKind};
use carebot_model::wire::Order;
use carebot_model::{FamilyId, RowId, Timestamp};

use crate::connector::Append;
use crate::listing::{Listing, Range};
use crate::{Db, Result, Row, Tx, Value, chats, images, params, rollups};

/// A report to be stored.
#[derive(Clone, Debug)]
pub struct NewReport<K> {
    /// Its number.
    pub id: RowId,
    /// When it was sensed.
    pub reported_at: Timestamp,
    /// When it came in.
    pub received_at: Timestamp,
    /// The robot's own key for it, unique in the family: the same report twice is one row.
    pub source_key: Option<String>,
    /// The fields.
    pub fields: K,
}

fn row_of<K: StatusKind>(family: FamilyId, report: &NewReport<K>) -> Append {
    let mut values: Vec<Value> =
        params![family, report.reported_at, report.id, report.received_at, report.source_key.clone()];
    values.extend(report.fields.values().into_iter().map(Value::from));
    Append {
        table: K::TABLE,
        columns: format!("family_id, reported_at, id, received_at, source_key, {}", K::COLUMNS.join(", ")),
        values,
    }
}

/// Stores a report within a transaction. One that is late has to be noted in it: [`rollups::note_late`].
///
/// # Errors
/// [`DbError::Duplicate`](crate::DbError::Duplicate) of `source` if the key is there already,
/// [`DbError::MissingParent`](crate::DbError::MissingParent) if the family is gone; else as any statement.
pub async fn create<K: StatusKind>(tx: &mut Tx, permit: &Permit<FamilyId>, report: &NewReport<K>) -> Result<RowId> {
    let Append { table, columns, values } = row_of(*permit.resource(), report);
    let marks = vec!["?"; values.len()].join(",");
    tx.execute(format!("INSERT INTO {table} ({columns}) VALUES ({marks})"), values).await?;
    Ok(report.id)
}

/// Stores a report through the group commit, the fast way for one that nothing else must be written with; so not for
/// one that is late ([`rollups::LATE`]).
///
/// # Errors
/// As [`create`], and as [`Db::append`].
pub async fn append<K: StatusKind>(db: &Db, permit: &Permit<FamilyId>, report: &NewReport<K>) -> Result<RowId> {
    db.append(row_of(*permit.resource(), report)).await?;
    Ok(report.id)
}

/// Which of some keys of the robot's a family's reports of a kind have already.
///
/// # Errors
/// As any statement.
pub async fn known_keys<K: StatusKind>(
    tx: &mut Tx,
    permit: &Permit<FamilyId>,
    keys: &[&str],
) -> Result<HashSet<String>> {
    if keys.is_empty() {
        return Ok(HashSet::new());
    }
    let marks = vec!["?"; keys.len()].join(",");
    let mut values = params![*permit.resource()];
    values.extend(keys.iter().map(|key| Value::from(*key)));
    tx.fold(
        format!("SELECT source_key FROM {} WHERE family_id = ? AND source_key IN ({marks})", K::TABLE),
        values,
        HashSet::new,
        |known, row| {
            known.insert(row.get(0)?);
            Ok(())
        },
    )
    .await
}

/// The columns of a listing: time, number, family, then the kind's own.
fn columns<K: StatusKind>() -> String {
    format!("s.reported_at, s.id, s.family_id, s.{}", K::COLUMNS.join(", s."))
}

/// The reports of a kind. Whether the family still is there was asked when the permit was made; to join it here again
/// costs MariaDB half as much as the newest report itself.
fn table<K: StatusKind>() -> String {
    format!("{} s", K::TABLE)
}

/// Reads a report from a row of a [`listing`] of a kind whose ranges are compared with `reported_at`.
///
/// # Errors
/// [`DbError::BadValue`](crate::DbError::BadValue) if a stored value is not what it must be.
pub fn report<K: StatusKind>(row: &Row<'_>) -> Result<Report<K>> {
    Ok(Report {
        reported_at: row.get(0)?,
        index: row.get(1)?,
        family_id: row.get(2)?,
        fields: K::read(&mut row.fields(3))?,
    })
}

/// A family's reports of a range, page by page; for kinds whose ranges are compared with `reported_at`.
pub fn listing<K: StatusKind>(permit: &Permit<FamilyId>, range: Range) -> Listing {
    Listing {
        columns: columns::<K>(),
        from: table::<K>(),
        filter: "s.family_id = ?",
        values: params![*permit.resource()],
        time: "s.reported_at",
        id: "s.id",
        range,
    }
}

/// A family's reports of a closed range, in an order, the newest `limit` of them at most.
///
/// Kinds of a period match if the period starts or ends in the range, and are sorted by its start.
///
/// # Errors
/// As any statement.
pub async fn list<K: StatusKind>(
    tx: &mut Tx,
    permit: &Permit<FamilyId>,
    range: Range,
    order: Order,
    limit: u32,
) -> Result<Vec<Report<K>>> {
    let (condition, key) = match K::RANGE {
        RangeOn::ReportedAt => ("s.reported_at BETWEEN ? AND ?", "s.reported_at"),
        RangeOn::Period => ("(s.start_time BETWEEN ? AND ? OR s.end_time BETWEEN ? AND ?)", "s.start_time"),
    };
    let mut values = params![*permit.resource(), range.start, range.end];
    if K::RANGE == RangeOn::Period {
        values.extend([range.start.into(), range.end.into()]);
    }
    values.push(limit.into());
    let mut reports = tx
        .fetch(
            format!(
                "SELECT {} FROM {} WHERE s.family_id = ? AND {condition} ORDER BY {key} DESC, s.id DESC LIMIT ?",
                columns::<K>(),
                table::<K>()
            ),
            values,
            report::<K>,
        )
        .await?;
    if order == Order::Ascending {
        reports.reverse();
    }
    Ok(reports)
}

/// A family's newest report.
///
/// # Errors
/// As any statement.
pub async fn latest<K: StatusKind>(tx: &mut Tx, permit: &Permit<FamilyId>) -> Result<Option<Report<K>>> {
    tx.fetch_optional(
        format!(
            "SELECT {} FROM {} WHERE s.family_id = ? ORDER BY s.reported_at DESC, s.id DESC LIMIT 1",
            columns::<K>(),
            table::<K>()
        ),
        params![*permit.resource()],
        report::<K>,
    )
    .await
}

/// The number of the newest report of each of some families that has one: cheap, for who wants to know whether there is another.
///
/// # Errors
/// As any statement.
pub async fn newest_of<K: StatusKind>(tx: &mut Tx, families: &[FamilyId]) -> Result<Vec<(FamilyId, RowId)>> {
    if families.is_empty() {
        return Ok(Vec::new());
    }
    let marks = vec!["?"; families.len()].join(",");
    let found = tx
        .fetch(
            format!(
                "SELECT f.id, (SELECT s.id FROM {} s WHERE s.family_id = f.id ORDER BY s.reported_at DESC, s.id DESC LIMIT 1)
                 FROM families f WHERE f.id IN ({marks})",
                K::TABLE
            ),
            families.iter().map(|family| Value::from(*family)).collect(),
            |row| Ok((row.get(0)?, row.get::<Option<RowId>>(1)?)),
        )
        .await?;
    Ok(found.into_iter().filter_map(|(family, newest)| Some((family, newest?))).collect())
}

/// Deletes a family's newest report; says whether there was one.
///
/// # Errors
/// As any statement.
pub async fn delete_latest<K: StatusKind>(tx: &mut Tx, permit: &Permit<FamilyId>) -> Result<bool> {
    let family = *permit.resource();
    // Two who do this at once must not both find the same report.
    tx.lock_one("SELECT id FROM families WHERE id = ?", params![family]).await?;
    let Some(newest) = latest::<K>(tx, permit).await? else { return Ok(false) };
    let deleted = tx
        .execute(
            format!("DELETE FROM {} WHERE family_id = ? AND reported_at = ? AND id = ?", K::TABLE),
            params![family, newest.reported_at, newest.index],
        )
        .await?;
    if !K::SERIES.is_empty() {
        rollups::note_changed(tx, family, K::NAME, newest.reported_at).await?;
    }
    images::forget(tx, Source::Report, &[newest.index]).await?;
    if K::TABLE == Mental::TABLE {
        chats::forget_basis(tx, permit, (newest.reported_at, newest.index)).await?;
    }
    Ok(deleted == 1)
}
