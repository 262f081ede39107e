//! Disaster messages, and which family has which.
//!
//! A message is handed out in steps: each takes some accounts whose addresses begin as the regions do, in the order of address
//! and id, and in one transaction stores the notifications and how far it got. Wherever it is interrupted, it goes on from
//! there, and the key of `disaster_deliveries` sees to it that a family has a message once.

use carebot_model::disasters::DisasterMessage;
use carebot_model::notifications::NewNotification;
use carebot_model::{AccountId, FamilyId, RowId, Timestamp};

use crate::connector::error::DbError;
use crate::{Db, Result, Row, Tx, Value, params, transact};

/// How far a message has been handed out: the address and id of the account that was looked at last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The address.
    pub address: String,
    /// The account.
    pub account: String,
}

/// A message that is being handed out.
#[derive(Clone, Debug)]
pub struct Pending {
    /// The message.
    pub message: DisasterMessage,
    /// When it was stored; families made later do not get it.
    pub received_at: Timestamp,
    /// Whom it has reached.
    pub cursor: Cursor,
}

/// A family that may have to get a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The family.
    pub family: FamilyId,
    /// Its main user.
    pub account: AccountId,
    /// The main user's address.
    pub address: String,
}

/// Since when this installation listens; from now on, if it never did.
///
/// # Errors
/// As any statement.
pub async fn listening_since(db: &Db, now: Timestamp) -> Result<Timestamp> {
    let stored = async || {
        let sql = "SELECT since FROM disaster_listening WHERE id = 1";
        db.read().fetch_optional(sql, vec![], |row| row.get::<Timestamp>(0)).await
    };
    if let Some(since) = stored().await? {
        return Ok(since);
    }
    match db.execute("INSERT INTO disaster_listening (id, since) VALUES (1, ?)", params![now]).await {
        Ok(_) => Ok(now),
        Err(DbError::Duplicate { .. }) => Ok(stored().await?.unwrap_or(now)),
        Err(error) => Err(error),
    }
}

/// Stores those messages that are not stored yet, and says how many those were. Of them, the ones that were written at `since`
/// or later are to be handed out.
///
/// # Errors
/// [`DbError::Duplicate`] if another server stored one at the same moment; else as any statement.
pub async fn store(tx: &mut Tx, messages: &[DisasterMessage], since: Timestamp, now: Timestamp) -> Result<usize> {
    if messages.is_empty() {
        return Ok(0);
    }
    let marks = vec!["?"; messages.len()].join(",");
    let mut known = tx
        .fetch(
            format!("SELECT sn FROM disaster_messages WHERE sn IN ({marks})"),
            messages.iter().map(|message| Value::from(message.sn)).collect(),
            |row| row.get::<i64>(0),
        )
        .await?;
    let mut count = 0;
    for message in messages {
        if known.contains(&message.sn) {
            continue;
        }
        known.push(message.sn);
        count += 1;
        tx.execute(
            "INSERT INTO disaster_messages (sn, created_at, received_at, content, regions, step, kind, is_pending, cursor_address, cursor_account)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)",
            params![
                message.sn,
                message.created_at,
                now,
                message.text.as_str(),
                message.regions.as_str(),
                message.step.as_str(),
                message.kind.as_str(),
                message.created_at >= since,
            ],
        )
        .await?;
    }
    Ok(count)
}

/// The first `limit` messages that are being handed out, with numbers after `after`.
///
/// # Errors
/// As any statement.
pub async fn pending(tx: &mut Tx, after: i64, limit: u32) -> Result<Vec<Pending>> {
    tx.fetch(
        "SELECT sn, created_at, received_at, content, regions, step, kind, cursor_address, cursor_account
         FROM disaster_messages WHERE is_pending = 1 AND sn > ? ORDER BY sn LIMIT ?",
        params![after, limit],
        pending_row,
    )
    .await
}

fn pending_row(row: &Row<'_>) -> Result<Pending> {
    Ok(Pending {
        message: DisasterMessage {
            sn: row.get(0)?,
            created_at: row.get(1)?,
            text: row.get(3)?,
            regions: row.get(4)?,
            step: row.get(5)?,
            kind: row.get(6)?,
        },
        received_at: row.get(2)?,
        cursor: Cursor {
            address: row.get::<Option<String>>(7)?.unwrap_or_default(),
            account: row.get::<Option<String>>(8)?.unwrap_or_default(),
        },
    })
}

/// The first `limit` families, made before a message was stored, whose main user's address begins with a word, behind a cursor.
///
/// # Errors
/// As any statement.
pub async fn candidates(
    tx: &mut Tx,
    beginning: &str,
    cursor: &Cursor,
    made_by: Timestamp,
    limit: u32,
) -> Result<Vec<Candidate>> {
    // The order of the tables is said to SQLite, which has no statistics to find it by.
    tx.fetch(
        "SELECT f.id, a.id, a.address FROM accounts a CROSS JOIN families f ON f.main_user = a.id
         WHERE a.address >= ? AND a.address < ? AND (a.address > ? OR (a.address = ? AND a.id > ?)) AND a.deleted_at IS NULL
           AND f.deleted_at IS NULL AND f.created_at <= ?
         ORDER BY a.address, a.id LIMIT ?",
        params![
            beginning.max(cursor.address.as_str()),
            after_all(beginning),
            cursor.address.as_str(),
            cursor.address.as_str(),
            cursor.account.as_str(),
            made_by,
            limit,
        ],
        |row| Ok(Candidate { family: row.get(0)?, account: row.get(1)?, address: row.get(2)? }),
    )
    .await
}

/// The first text behind all that begin with one, in the order of bytes.
fn after_all(beginning: &str) -> String {
    let mut characters: Vec<char> = beginning.chars().collect();
    while let Some(last) = characters.pop() {
        if let Some(next) = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32) {
            characters.push(next);
            return characters.into_iter().collect();
        }
    }
    char::MAX.to_string()
}

/// Hands a message to families that do not have it, and stores how far this got. Says how many got it.
///
/// # Errors
/// [`DbError::Duplicate`] or [`DbError::MissingParent`] if another server was faster or a family went meanwhile: the step is
/// then to be read and done anew. Else as any statement.
pub async fn deliver(
    tx: &mut Tx,
    sn: i64,
    to: &[(FamilyId, RowId)],
    notification: &NewNotification,
    cursor: &Cursor,
    now: Timestamp,
) -> Result<Vec<(FamilyId, RowId)>> {
    let mut delivered = Vec::new();
    if !to.is_empty() {
        let marks = vec!["?"; to.len()].join(",");
        let mut values = params![sn];
        values.extend(to.iter().map(|(family, _)| Value::from(*family)));
        let have = tx
            .fetch(
                format!("SELECT family_id FROM disaster_deliveries WHERE sn = ? AND family_id IN ({marks})"),
                values,
                |row| row.get::<FamilyId>(0),
            )
            .await?;
        for (family, id) in to.iter().filter(|(family, _)| !have.contains(family)) {
            tx.execute(
                "INSERT INTO disaster_deliveries (family_id, sn, notification_id, delivered_at) VALUES (?, ?, ?, ?)",
                params![*family, sn, *id, now],
            )
            .await?;
            tx.execute(
                "INSERT INTO notifications (family_id, created_at, id, grade, description, message_sn, is_read, image_url)
                 VALUES (?, ?, ?, ?, ?, ?, 0, NULL)",
                params![*family, now, *id, notification.grade, notification.description.as_ref(), sn],
            )
            .await?;
            delivered.push((*family, *id));
        }
    }
    tx.execute(
        "UPDATE disaster_messages SET cursor_address = ?, cursor_account = ? WHERE sn = ? AND is_pending = 1",
        params![cursor.address.as_str(), cursor.account.as_str(), sn],
    )
    .await?;
    Ok(delivered)
}

/// Notes that everybody has a message.
///
/// # Errors
/// As any statement.
pub async fn finish(tx: &mut Tx, sn: i64) -> Result<()> {
    tx.execute(
        "UPDATE disaster_messages SET is_pending = 0, cursor_address = NULL, cursor_account = NULL WHERE sn = ?",
        params![sn],
    )
    .await
    .map(drop)
}

/// The most rows that [`forget`] removes in one transaction.
const FORGET: u32 = 1_000;

/// Removes some of what is known of messages that were stored before a time; false if nothing is left of them. The
/// notifications stay.
///
/// # Errors
/// As any statement.
pub async fn forget(db: &Db, before: Timestamp) -> Result<bool> {
    transact!(db, tx => {
        let old = tx
            .fetch_optional(
                "SELECT sn FROM disaster_messages WHERE received_at < ? AND is_pending = 0 ORDER BY received_at LIMIT 1",
                params![before],
                |row| row.get::<i64>(0),
            )
            .await?;
        let Some(sn) = old else { return Ok(false) };
        let families = tx
            .fetch(
                "SELECT family_id FROM disaster_deliveries WHERE sn = ? ORDER BY family_id LIMIT ?",
                params![sn, FORGET],
                |row| row.get::<FamilyId>(0),
            )
            .await?;
        match families.last() {
            Some(last) => {
                tx.execute("DELETE FROM disaster_deliveries WHERE sn = ? AND family_id <= ?", params![sn, *last]).await?;
            }
            None => {
                tx.execute("DELETE FROM disaster_messages WHERE sn = ?", params![sn]).await?;
            }
        }
        Ok::<_, DbError>(true)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_behind_everything_that_begins_alike() {
        for beginning in ["경기도", "a", "\u{10FFFF}a", "a\u{10FFFF}", "\u{D7FF}"] {
            let end = after_all(beginning);
            assert!(end.as_str() > beginning && *end > *format!("{beginning}\u{10FFFF}\u{10FFFF}"), "{beginning:?}");
        }
        assert!(after_all("경기도").as_str() < "경상남도");
    }
}
