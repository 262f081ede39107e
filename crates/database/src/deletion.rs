//! Emptying what was deleted.
//!
//! [`accounts::delete`](crate::accounts::delete) and [`families::delete`](crate::families::delete) only mark. [`step`] then
//! removes what hangs from a marked row, at most [`STEP`] rows in a transaction, so that nobody waits for long, and the
//! row itself last; the foreign keys' cascades catch what slipped in between. What is left is found by the mark, so an
//! interrupted deletion goes on where it stood.
//!
//! # To add a table
//! If it hangs from families or accounts, add it to the list here; a test compares the lists with the foreign keys.

use carebot_model::images::Source;
use carebot_model::{FamilyId, RowId, Timestamp};

use crate::connector::error::DbError;
use crate::{Db, Result, Tx, Value, images, params, transact};

/// The most rows removed in one transaction.
pub const STEP: u32 = 1_000;

/// A table that hangs from a parent: its name, the column that refers to the parent, the columns of its key.
#[derive(Clone, Copy, Debug)]
pub struct Child {
    /// The table.
    pub table: &'static str,
    /// The column that refers to the parent.
    pub column: &'static str,
    /// The columns rows are found by within the parent.
    pub key: &'static [&'static str],
}

const fn child(table: &'static str, column: &'static str, key: &'static [&'static str]) -> Child {
    Child { table, column, key }
}

/// What hangs from a family.
pub const OF_FAMILY: &[Child] = &[
    child("deliveries", "family_id", &["id"]),
    child("alarm_notifications", "family_id", &["notification_id"]),
    child("alarms", "family_id", &["id"]),
    child("rule_states", "family_id", &["rule"]),
    child("rules", "family_id", &["rule"]),
    child("ladders", "family_id", &["severity"]),
    child("robots", "family_id", &["family_id"]),
    child("events", "family_id", &["seq"]),
    child("alarm_entries", "family_id", &["seq"]),
    child("family_heads", "family_id", &["family_id"]),
    child("home_status", "family_id", &["reported_at", "id"]),
    child("health_status", "family_id", &["reported_at", "id"]),
    child("active_status", "family_id", &["reported_at", "id"]),
    child("mental_bases", "family_id", &["reported_at", "id"]),
    child("chat_keywords", "family_id", &["day"]),
    child("mental_status", "family_id", &["reported_at", "id"]),
    child("mental_reports", "family_id", &["reported_at", "id"]),
    child("rollup_late", "family_id", &["kind", "starts_at"]),
    child("rollup_progress", "family_id", &["kind"]),
    child("rollups", "family_id", &["kind", "size", "starts_at"]),
    child("notifications", "family_id", &["created_at", "id"]),
    child("backgrounds", "family_id", &["id"]),
    child("members", "family_id", &["id"]),
    child("invitations", "family_id", &["id"]),
    child("settings", "family_id", &["family_id"]),
    child("disaster_deliveries", "family_id", &["sn"]),
    child("image_references", "family_id", &["id"]),
];

/// What hangs from an account, besides the family it owned (which is marked with it).
pub const OF_ACCOUNT: &[Child] = &[
    child("messages", "to_id", &["created_at", "id"]),
    child("messages", "from_id", &["created_at", "id"]),
    child("chat_turns", "account_id", &["created_at", "id"]),
    child("chat_sessions", "account_id", &["id"]),
    child("backgrounds", "uploader_id", &["id"]),
    child("members", "user_id", &["id"]),
    child("invitations", "created_by", &["id"]),
    child("sessions", "account_id", &["id"]),
    child("contacts", "account_id", &["account_id"]),
    child("contact_channels", "account_id", &["account_id"]),
    child("push_subscriptions", "account_id", &["id"]),
    child("password_resets", "account_id", &["account_id"]),
    child("channel_health", "account_id", &["channel"]),
    child("idempotency_keys", "account_id", &["key_hash"]),
    child("deliveries", "account_id", &["id"]),
    child("image_references", "account_id", &["id"]),
    child(IMAGES, "owner_id", &["id"]),
];

/// What hangs from a picture. It goes with it, in the same step.
pub const OF_IMAGE: &[Child] = &[child("image_references", "image_id", &["id"])];

/// The table whose rows leave something behind in the store of pictures.
const IMAGES: &str = "images";

/// Removes at most [`STEP`] rows of something deleted; false if nothing deleted is left.
///
/// # Errors
/// As any statement.
pub async fn step(db: &Db) -> Result<bool> {
    for (parent, children) in [("families", OF_FAMILY), ("accounts", OF_ACCOUNT)] {
        let marked: Option<String> = db
            .read()
            .fetch_optional(
                format!("SELECT id FROM {parent} WHERE deleted_at IS NOT NULL ORDER BY deleted_at LIMIT 1"),
                vec![],
                |row| row.get(0),
            )
            .await?;
        let Some(id) = marked else { continue };
        for child in children {
            if has_rows(db, child, &id).await? && remove(db, child, &id).await? > 0 {
                return Ok(true);
            }
        }
        db.execute(&format!("DELETE FROM {parent} WHERE id = ? AND deleted_at IS NOT NULL"), params![id.as_str()])
            .await?;
        return Ok(true);
    }
    Ok(false)
}

/// Whether anything of a table hangs from a row. Asked for without a transaction, which would wait for everybody who writes.
async fn has_rows(db: &Db, child: &Child, id: &str) -> Result<bool> {
    let found = db
        .read()
        .fetch_optional(
            format!("SELECT 1 FROM {} WHERE {} = ? LIMIT 1", child.table, child.column),
            params![id],
            |_| Ok(()),
        )
        .await?;
    Ok(found.is_some())
}

async fn remove(db: &Db, child: &Child, id: &str) -> Result<usize> {
    if child.table == IMAGES {
        return transact!(db, tx => { images::discard_owned(&mut tx, id).await });
    }
    transact!(db, tx => {
        let keys = first_keys(&mut tx, child, id).await?;
        if let Some(last) = keys.last() {
            // The rows up to the last of them, by key: one range of the index.
            let (condition, mut values) = up_to(child.key, last);
            values.insert(0, id.into());
            tx.execute(format!("DELETE FROM {} WHERE {} = ? AND {condition}", child.table, child.column), values).await?;
            if let Some(kind) = refers_as(child.table) {
                // To whom they showed a picture of somebody else.
                let number = |key: &Vec<Value>| key.last().and_then(|id| if let Value::Int(id) = id { Some(RowId(*id)) } else { None });
                let rows: Vec<RowId> = keys.iter().filter_map(number).collect();
                images::forget(&mut tx, kind, &rows).await?;
            }
        }
        Ok::<_, DbError>(keys.len())
    })
}

/// What rows of a table are as sources of references to pictures, if they can be any.
fn refers_as(table: &str) -> Option<Source> {
    match table {
        "backgrounds" => Some(Source::Background),
        "messages" => Some(Source::Message),
        "notifications" => Some(Source::Notification),
        "active_status" => Some(Source::Report),
        _ => None,
    }
}

async fn first_keys(tx: &mut Tx, child: &Child, id: &str) -> Result<Vec<Vec<Value>>> {
    let (columns, key) = (child.key.join(", "), child.key);
    tx.fetch(
        format!("SELECT {columns} FROM {} WHERE {} = ? ORDER BY {columns} LIMIT {STEP}", child.table, child.column),
        params![id],
        move |row| {
            // Hashes are bytes that are no text.
            key.iter().enumerate().map(|(index, column)| row.value(index, column.ends_with("_hash"))).collect()
        },
    )
    .await
}

fn up_to(key: &[&str], last: &[Value]) -> (String, Vec<Value>) {
    match (key, last) {
        ([time, id], [at, number]) => {
            (format!("{time} <= ? AND ({time} < ? OR {id} <= ?)"), vec![at.clone(), at.clone(), number.clone()])
        }
        ([one, two, three], [a, b, c]) => (
            format!("{one} <= ? AND ({one} < ? OR {two} < ? OR ({two} = ? AND {three} <= ?))"),
            vec![a.clone(), a.clone(), b.clone(), b.clone(), c.clone()],
        ),
        _ => (format!("{} <= ?", key[0]), vec![last[0].clone()]),
    }
}

/// How many families and accounts are marked and not yet gone.
///
/// # Errors
/// As any statement.
pub async fn backlog(tx: &mut Tx) -> Result<i64> {
    tx.fetch_one(
        "SELECT (SELECT COUNT(*) FROM families WHERE deleted_at IS NOT NULL) + (SELECT COUNT(*) FROM accounts WHERE deleted_at IS NOT NULL)",
        vec![],
        |row| row.get(0),
    )
    .await
}

/// When a family was marked as deleted, if it was.
///
/// # Errors
/// As any statement.
pub async fn deleted_at(tx: &mut Tx, family: FamilyId) -> Result<Option<Timestamp>> {
    tx.fetch_optional("SELECT deleted_at FROM families WHERE id = ?", params![family], |row| row.get(0))
        .await
        .map(Option::flatten)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_three_is_cut_in_order() {
        let (condition, values) = up_to(&["kind", "size", "at"], &["home".into(), Value::Int(300), Value::Int(7)]);
        assert_eq!(condition, "kind <= ? AND (kind < ? OR size < ? OR (size = ? AND at <= ?))");
        assert_eq!(values, ["home".into(), "home".into(), Value::Int(300), Value::Int(300), Value::Int(7)]);
    }

    #[test]
    fn a_compound_key_is_cut_by_time_and_number() {
        let (condition, values) = up_to(&["reported_at", "id"], &[Value::Int(5), Value::from(RowId(7))]);
        assert_eq!(condition, "reported_at <= ? AND (reported_at < ? OR id <= ?)");
        assert_eq!(values, [Value::Int(5), Value::Int(5), Value::Int(7)]);
    }
}
