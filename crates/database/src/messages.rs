//! Messages.

use carebot_model::access::Permit;
use carebot_model::images::Source;
use carebot_model::messages::{Message, NewMessage};
use carebot_model::wire::Order;
use carebot_model::{AccountId, RowId, Timestamp};

use crate::listing::{Listing, Range};
use crate::{Result, Row, Tx, Value, images, params};

/// Messages whose sender and receiver still are there.
const LIVE: &str = "messages m JOIN accounts s ON s.id = m.from_id AND s.deleted_at IS NULL
                    JOIN accounts r ON r.id = m.to_id AND r.deleted_at IS NULL";
/// The same, for the list of one account: the other one (`o`, which is never missing) comes last, or MariaDB may begin
/// with it and sort all the messages.
const RECEIVED: &str = "messages m JOIN accounts r ON r.id = m.to_id AND r.deleted_at IS NULL
                        LEFT JOIN accounts o ON o.id = m.from_id";
const SENT: &str = "messages m JOIN accounts s ON s.id = m.from_id AND s.deleted_at IS NULL
                    LEFT JOIN accounts o ON o.id = m.to_id";
const COLUMNS: &str = "m.created_at, m.id, m.from_id, m.to_id, m.content, m.image_url, m.is_read, m.spoken_at";

/// Reads a message from a row of a listing.
///
/// # Errors
/// [`DbError::BadValue`](crate::DbError::BadValue) if a stored value is not what it must be.
pub fn message(row: &Row<'_>) -> Result<Message> {
    Ok(Message {
        created_at: row.get(0)?,
        index: row.get(1)?,
        from_id: row.get(2)?,
        to_id: row.get(3)?,
        content: row.get(4)?,
        image_url: row.get(5)?,
        is_read: row.get(6)?,
        spoken_at: row.get(7)?,
    })
}

/// Which of an account's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mailbox {
    /// Received and not read.
    Unread,
    /// Received.
    Received,
    /// Sent.
    Sent,
}

/// Stores a message.
///
/// # Errors
/// [`DbError::MissingParent`](crate::DbError::MissingParent) if sender or receiver is gone; else as any statement.
pub async fn create(
    tx: &mut Tx,
    from: &Permit<AccountId>,
    id: RowId,
    new: &NewMessage,
    now: Timestamp,
) -> Result<RowId> {
    tx.execute(
        "INSERT INTO messages (id, from_id, to_id, created_at, content, image_url, is_read) VALUES (?, ?, ?, ?, ?, ?, 0)",
        params![id, *from.resource(), new.to_id, now, new.content.as_ref(), new.image_url.as_ref()],
    )
    .await?;
    Ok(id)
}

/// An account's messages of a range, page by page.
pub fn listing(permit: &Permit<AccountId>, mailbox: Mailbox, range: Range) -> Listing {
    Listing {
        columns: COLUMNS.to_owned(),
        from: match mailbox {
            Mailbox::Unread | Mailbox::Received => RECEIVED.to_owned(),
            Mailbox::Sent => SENT.to_owned(),
        },
        filter: match mailbox {
            Mailbox::Unread => "m.to_id = ? AND m.is_read = 0 AND o.deleted_at IS NULL",
            Mailbox::Received => "m.to_id = ? AND o.deleted_at IS NULL",
            Mailbox::Sent => "m.from_id = ? AND o.deleted_at IS NULL",
        },
        values: params![*permit.resource()],
        time: "m.created_at",
        id: "m.id",
        range,
    }
}

async fn list(
    tx: &mut Tx,
    permit: &Permit<AccountId>,
    mailbox: Mailbox,
    range: Range,
    order: Order,
    limit: u32,
) -> Result<Vec<Message>> {
    let page = listing(permit, mailbox, range)
        .page(tx, order, None, None, limit, Vec::new, |rows, row| {
            rows.push(message(row)?);
            Ok(())
        })
        .await?;
    Ok(page.state)
}

/// Messages an account has received and not read; the first `limit` in the order.
///
/// # Errors
/// As any statement.
pub async fn list_unread(
    tx: &mut Tx,
    permit: &Permit<AccountId>,
    range: Range,
    order: Order,
    limit: u32,
) -> Result<Vec<Message>> {
    list(tx, permit, Mailbox::Unread, range, order, limit).await
}

/// Messages an account has received; the first `limit` in the order.
///
/// # Errors
/// As any statement.
pub async fn list_received(
    tx: &mut Tx,
    permit: &Permit<AccountId>,
    range: Range,
    order: Order,
    limit: u32,
) -> Result<Vec<Message>> {
    list(tx, permit, Mailbox::Received, range, order, limit).await
}

/// Messages an account has sent; the first `limit` in the order.
///
/// # Errors
/// As any statement.
pub async fn list_sent(
    tx: &mut Tx,
    permit: &Permit<AccountId>,
    range: Range,
    order: Order,
    limit: u32,
) -> Result<Vec<Message>> {
    list(tx, permit, Mailbox::Sent, range, order, limit).await
}

/// The newest messages between an account and another, the oldest first. Whether both still are there is the caller's to know.
///
/// # Errors
/// As any statement.
pub async fn between(tx: &mut Tx, permit: &Permit<AccountId>, other: AccountId, limit: u32) -> Result<Vec<Message>> {
    let own = *permit.resource();
    let mut talk = Vec::new();
    for (from, to) in [(own, other), (other, own)] {
        // One after the other, so that each is a range of an index.
        let sql = format!(
            "SELECT {COLUMNS} FROM messages m WHERE m.from_id = ? AND m.to_id = ? ORDER BY m.created_at DESC, m.id DESC LIMIT {limit}"
        );
        talk.extend(tx.fetch(sql, params![from, to], message).await?);
    }
    talk.sort_by_key(|message| (message.created_at, message.index));
    let first = talk.len().saturating_sub(limit as usize);
    Ok(talk.split_off(first))
}

/// A message.
///
/// # Errors
/// As any statement.
pub async fn get(tx: &mut Tx, id: RowId) -> Result<Option<Message>> {
    tx.fetch_optional(format!("SELECT {COLUMNS} FROM {LIVE} WHERE m.id = ?"), params![id], message).await
}

/// The messages of these numbers that there are.
///
/// # Errors
/// As any statement.
pub async fn get_many(tx: &mut Tx, ids: &[RowId]) -> Result<Vec<Message>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let marks = vec!["?"; ids.len()].join(",");
    tx.fetch(
        format!("SELECT {COLUMNS} FROM {LIVE} WHERE m.id IN ({marks})"),
        ids.iter().map(|id| Value::from(*id)).collect(),
        message,
    )
    .await
}

/// Marks messages that an account has received as read, in one statement; how many of them there are.
///
/// # Errors
/// As any statement.
pub async fn mark_read(tx: &mut Tx, permit: &Permit<AccountId>, ids: &[RowId]) -> Result<u64> {
    if ids.is_empty() {
        return Ok(0);
    }
    let marks = vec!["?"; ids.len()].join(",");
    let mut values = params![*permit.resource()];
    values.extend(ids.iter().map(|id| Value::from(*id)));
    tx.execute(format!("UPDATE messages SET is_read = 1 WHERE to_id = ? AND id IN ({marks})"), values).await
}

/// Notes that a message was read out to the account that has received it; says whether that is new.
///
/// # Errors
/// As any statement.
pub async fn mark_spoken(tx: &mut Tx, permit: &Permit<AccountId>, id: RowId, now: Timestamp) -> Result<bool> {
    let sql = "UPDATE messages SET spoken_at = ? WHERE id = ? AND to_id = ? AND spoken_at IS NULL";
    Ok(tx.execute(sql, params![now, id, *permit.resource()]).await? == 1)
}

/// Deletes a message; says whether it existed.
///
/// # Errors
/// As any statement.
pub async fn delete(tx: &mut Tx, permit: &Permit<RowId>) -> Result<bool> {
    let id = *permit.resource();
    images::forget(tx, Source::Message, &[id]).await?;
    Ok(tx.execute("DELETE FROM messages WHERE id = ?", params![id]).await? == 1)
}
