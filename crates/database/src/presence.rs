//! Who has a page open that reads the stream of events, at whichever server; and which servers there are.
//!
//! A server says for which accounts it has streams open, and says it again before that is believed no longer. One that dies is
//! believed for the rest of that time.

use carebot_model::{AccountId, Timestamp};

use crate::{Result, Tx, Value, params};

/// Accounts in one statement.
const STEP: usize = 500;

/// Whether somebody has a page open.
///
/// # Errors
/// As any statement.
pub async fn is_watching(tx: &mut Tx, account: AccountId, now: Timestamp) -> Result<bool> {
    tx.fetch_optional(
        "SELECT 1 FROM stream_presence WHERE account_id = ? AND believed_until > ? LIMIT 1",
        params![account, now],
        |_| Ok(()),
    )
    .await
    .map(|row| row.is_some())
}

/// Says that accounts have pages open at a node, and until when that is to be believed. Accounts that are gone are passed over.
///
/// # Errors
/// As any statement.
pub async fn arrive(tx: &mut Tx, node: i64, accounts: &[AccountId], until: Timestamp) -> Result<()> {
    for step in accounts.chunks(STEP) {
        let marks = vec!["?"; step.len()].join(",");
        let mut renewal = params![until, node];
        renewal.extend(ids(step));
        let known = tx
            .execute(
                format!("UPDATE stream_presence SET believed_until = ? WHERE node = ? AND account_id IN ({marks})"),
                renewal,
            )
            .await?;
        if known == step.len() as u64 {
            continue;
        }
        let mut arrival = params![node, until];
        arrival.extend(ids(step));
        arrival.push(node.into());
        tx.execute(
            format!(
                "INSERT INTO stream_presence (account_id, node, believed_until)
                 SELECT a.id, ?, ? FROM accounts a WHERE a.id IN ({marks})
                 AND NOT EXISTS (SELECT 1 FROM stream_presence p WHERE p.account_id = a.id AND p.node = ?)"
            ),
            arrival,
        )
        .await?;
    }
    Ok(())
}

/// Says that accounts have no page open at a node any more.
///
/// # Errors
/// As any statement.
pub async fn leave(tx: &mut Tx, node: i64, accounts: &[AccountId]) -> Result<()> {
    for step in accounts.chunks(STEP) {
        let marks = vec!["?"; step.len()].join(",");
        let mut values = params![node];
        values.extend(ids(step));
        tx.execute(format!("DELETE FROM stream_presence WHERE node = ? AND account_id IN ({marks})"), values).await?;
    }
    Ok(())
}

/// Says that nobody has a page open at a node any more.
///
/// # Errors
/// As any statement.
pub async fn leave_all(tx: &mut Tx, node: i64) -> Result<()> {
    tx.execute("DELETE FROM stream_presence WHERE node = ?", params![node]).await.map(drop)
}

/// Removes what is believed no longer, which servers that died have left; how much.
///
/// # Errors
/// As any statement.
pub async fn forget(tx: &mut Tx, now: Timestamp) -> Result<u64> {
    tx.execute("DELETE FROM stream_presence WHERE believed_until < ?", params![now]).await
}

/// Whether there is another server than the one with this node number.
///
/// # Errors
/// As any statement.
pub async fn has_company(tx: &mut Tx, node: i64, now: Timestamp) -> Result<bool> {
    tx.fetch_optional(
        "SELECT 1 FROM nodes WHERE node <> ? AND leased_until > ? LIMIT 1",
        params![node, now],
        |_| Ok(()),
    )
    .await
    .map(|row| row.is_some())
}

fn ids(accounts: &[AccountId]) -> impl Iterator<Item = Value> {
    accounts.iter().map(|account| Value::from(*account))
}
