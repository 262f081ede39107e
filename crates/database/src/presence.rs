//! Who has a page open that reads the stream of events of which family, at whichever server; and which servers there are.
//!
//! A server says for whom it has streams open, and says it again before that is believed no longer. One that dies is believed for
//! the rest of that time.

use carebot_model::{AccountId, FamilyId, Timestamp};

use crate::{Result, Tx, params};

/// Places in one statement.
const STEP: usize = 200;

/// Whom a stream is for, and which family it follows; none follows all of the account's.
pub type Place = (AccountId, Option<FamilyId>);

/// A place as it is stored: the ids one behind the other.
fn stored((account, family): &Place) -> String {
    format!("{account}{}", family.as_ref().map_or("", FamilyId::as_str))
}

/// Whether somebody has a page open that follows a family.
///
/// # Errors
/// As any statement.
pub async fn is_watching(tx: &mut Tx, account: AccountId, family: FamilyId, now: Timestamp) -> Result<bool> {
    tx.fetch_optional(
        "SELECT 1 FROM stream_places WHERE place IN (?, ?) AND believed_until > ? LIMIT 1",
        params![stored(&(account, Some(family))), stored(&(account, None)), now],
        |_| Ok(()),
    )
    .await
    .map(|row| row.is_some())
}

/// Says that places are taken at a node, and until when that is to be believed.
///
/// # Errors
/// As any statement.
pub async fn arrive(tx: &mut Tx, node: i64, places: &[Place], until: Timestamp) -> Result<()> {
    for step in places.chunks(STEP) {
        leave(tx, node, step).await?;
        let rows = vec!["(?, ?, ?)"; step.len()].join(",");
        let values = step.iter().flat_map(|place| params![stored(place), node, until]).collect();
        tx.execute(format!("INSERT INTO stream_places (place, node, believed_until) VALUES {rows}"), values).await?;
    }
    Ok(())
}

/// Says that places are not taken at a node any more.
///
/// # Errors
/// As any statement.
pub async fn leave(tx: &mut Tx, node: i64, places: &[Place]) -> Result<()> {
    for step in places.chunks(STEP) {
        let marks = vec!["?"; step.len()].join(",");
        let mut values = params![node];
        values.extend(step.iter().map(|place| stored(place).into()));
        tx.execute(format!("DELETE FROM stream_places WHERE node = ? AND place IN ({marks})"), values).await?;
    }
    Ok(())
}

/// Says that nobody has a page open at a node any more.
///
/// # Errors
/// As any statement.
pub async fn leave_all(tx: &mut Tx, node: i64) -> Result<()> {
    tx.execute("DELETE FROM stream_places WHERE node = ?", params![node]).await.map(drop)
}

/// Removes what is believed no longer, which servers that died have left; how much.
///
/// # Errors
/// As any statement.
pub async fn forget(tx: &mut Tx, now: Timestamp) -> Result<u64> {
    tx.execute("DELETE FROM stream_places WHERE believed_until < ?", params![now]).await
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
