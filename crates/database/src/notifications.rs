//! Notifications of a family.

use carebot_model::access::Permit;
use carebot_model::images::Source;
use carebot_model::notifications::{NewNotification, Notification};
use carebot_model::wire::Order;
use carebot_model::{FamilyId, RowId, Timestamp};

use crate::listing::{Listing, Range};
use crate::{Result, Row, Tx, Value, images, params};

/// Notifications whose family still is there.
const LIVE: &str = "notifications n JOIN families f ON f.id = n.family_id AND f.deleted_at IS NULL";
/// The unread ones, found by their index and then read. Asked for plainly, SQLite goes through the read ones too, because
/// they lie together.
const UNREAD: &str = "notifications u
    JOIN notifications n ON n.family_id = u.family_id AND n.created_at = u.created_at AND n.id = u.id
    JOIN families f ON f.id = u.family_id AND f.deleted_at IS NULL";
const COLUMNS: &str = "n.created_at, n.id, n.family_id, n.grade, n.description, n.is_read, n.image_url";

/// Reads a notification from a row of a listing.
///
/// # Errors
/// [`DbError::BadValue`](crate::DbError::BadValue) if a stored value is not what it must be.
pub fn notification(row: &Row<'_>) -> Result<Notification> {
    Ok(Notification {
        created_at: row.get(0)?,
        index: row.get(1)?,
        family_id: row.get(2)?,
        notification_grade: row.get(3)?,
        description: row.get(4)?,
        is_read: row.get(5)?,
        image_url: row.get(6)?,
    })
}

/// Stores a notification.
///
/// # Errors
/// [`DbError::MissingParent`](crate::DbError::MissingParent) if the family is gone; else as any statement.
pub async fn create(
    tx: &mut Tx,
    permit: &Permit<FamilyId>,
    id: RowId,
    new: &NewNotification,
    now: Timestamp,
) -> Result<RowId> {
    tx.execute(
        "INSERT INTO notifications (family_id, created_at, id, grade, description, message_sn, is_read, image_url)
         VALUES (?, ?, ?, ?, ?, NULL, 0, ?)",
        params![*permit.resource(), now, id, new.grade, new.description.as_ref(), new.image_url.as_ref()],
    )
    .await?;
    Ok(id)
}

/// A family's notifications of a range, page by page; only unread ones if asked for.
pub fn listing(permit: &Permit<FamilyId>, unread: bool, range: Range) -> Listing {
    let (columns, values) = (COLUMNS.to_owned(), params![*permit.resource()]);
    if unread {
        let filter = "u.family_id = ? AND u.is_read = 0";
        Listing { columns, from: UNREAD.to_owned(), filter, values, time: "u.created_at", id: "u.id", range }
    } else {
        Listing {
            columns,
            from: LIVE.to_owned(),
            filter: "n.family_id = ?",
            values,
            time: "n.created_at",
            id: "n.id",
            range,
        }
    }
}

async fn page(tx: &mut Tx, listing: Listing, order: Order, limit: u32) -> Result<Vec<Notification>> {
    let page = listing
        .page(tx, order, None, None, limit, Vec::new, |rows, row| {
            rows.push(notification(row)?);
            Ok(())
        })
        .await?;
    Ok(page.state)
}

/// A family's unread notifications; the first `limit` in the order.
///
/// # Errors
/// As any statement.
pub async fn list_unread(
    tx: &mut Tx,
    permit: &Permit<FamilyId>,
    range: Range,
    order: Order,
    limit: u32,
) -> Result<Vec<Notification>> {
    page(tx, listing(permit, true, range), order, limit).await
}

/// A family's notifications; the first `limit` in the order.
///
/// # Errors
/// As any statement.
pub async fn list(
    tx: &mut Tx,
    permit: &Permit<FamilyId>,
    range: Range,
    order: Order,
    limit: u32,
) -> Result<Vec<Notification>> {
    page(tx, listing(permit, false, range), order, limit).await
}

/// A notification.
///
/// # Errors
/// As any statement.
pub async fn get(tx: &mut Tx, id: RowId) -> Result<Option<Notification>> {
    tx.fetch_optional(format!("SELECT {COLUMNS} FROM {LIVE} WHERE n.id = ?"), params![id], notification).await
}

/// The notifications of these numbers that there are.
///
/// # Errors
/// As any statement.
pub async fn get_many(tx: &mut Tx, ids: &[RowId]) -> Result<Vec<Notification>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let marks = vec!["?"; ids.len()].join(",");
    tx.fetch(
        format!("SELECT {COLUMNS} FROM {LIVE} WHERE n.id IN ({marks})"),
        ids.iter().map(|id| Value::from(*id)).collect(),
        notification,
    )
    .await
}

/// Marks notifications of a family as read, in one statement; how many of them there are.
///
/// # Errors
/// As any statement.
pub async fn mark_read(tx: &mut Tx, permit: &Permit<FamilyId>, ids: &[RowId]) -> Result<u64> {
    if ids.is_empty() {
        return Ok(0);
    }
    let marks = vec!["?"; ids.len()].join(",");
    let mut values = params![*permit.resource()];
    values.extend(ids.iter().map(|id| Value::from(*id)));
    tx.execute(format!("UPDATE notifications SET is_read = 1 WHERE family_id = ? AND id IN ({marks})"), values).await
}

/// Deletes a notification; says whether it existed.
///
/// # Errors
/// As any statement.
pub async fn delete(tx: &mut Tx, permit: &Permit<RowId>) -> Result<bool> {
    let id = *permit.resource();
    images::forget(tx, Source::Notification, &[id]).await?;
    Ok(tx.execute("DELETE FROM notifications WHERE id = ?", params![id]).await? == 1)
}
