//! Requests that may be sent again: one with a key is carried out once.
//!
//! The key is stored in the transaction that carries the request out. Neither it nor what the request says is stored in clear.

use carebot_model::text::hexadecimal;
use carebot_model::{AccountId, RowId, Timestamp};
use ring::digest::{Context, SHA256, digest};

use crate::connector::error::DbError;
use crate::journal::Hash;
use crate::{Result, Tx, params};

/// The longest key of a report, in bytes.
const SHORT: usize = 64;

/// A key of any length as a key of a report: itself if it is short enough, else the hexadecimal SHA-256 of it.
pub fn source_key(key: String) -> String {
    if key.len() <= SHORT { key } else { hexadecimal(digest(&SHA256, key.as_bytes()).as_ref()) }
}

/// A request that has a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyed {
    account: AccountId,
    key: Hash,
    content: Hash,
}

impl Keyed {
    /// An account's request: which operation, the key that the client gave it, and all that it says. Keys of different
    /// operations have nothing to do with each other.
    pub fn new(account: AccountId, operation: &str, key: &str, content: &[Option<&str>]) -> Self {
        Self { account, key: hash(&[Some(operation), Some(key)]), content: hash(content) }
    }
}

fn hash(parts: &[Option<&str>]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        // Each with its length, so that no two lists of parts are the same bytes; what is absent is longer than any.
        let length = part.map_or(u64::MAX, |part| part.len() as u64);
        context.update(&length.to_be_bytes());
        context.update(part.unwrap_or_default().as_bytes());
    }
    let mut hash = Hash::default();
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// An earlier request with the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// It said the same, and made this row.
    Same(RowId),
    /// It said something else.
    Other,
}

/// The earlier request with the same key, if there was one.
///
/// # Errors
/// As any statement.
pub async fn earlier(tx: &mut Tx, keyed: &Keyed) -> Result<Option<Earlier>> {
    let found: Option<(Hash, RowId)> = tx
        .fetch_optional(
            "SELECT digest, row_id FROM idempotency_keys WHERE account_id = ? AND key_hash = ?",
            params![keyed.account, &keyed.key[..]],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .await?;
    Ok(found.map(|(content, row)| if content == keyed.content { Earlier::Same(row) } else { Earlier::Other }))
}

/// Remembers that a request was carried out, in the transaction that does it.
///
/// # Errors
/// [`DbError::Conflict`] if another request with the same key was faster: tried again, the transaction finds it.
/// [`DbError::MissingParent`] if the account is gone; else as any statement.
pub async fn remember(tx: &mut Tx, keyed: &Keyed, row: RowId, now: Timestamp) -> Result<()> {
    let made = tx
        .execute(
            "INSERT INTO idempotency_keys (account_id, key_hash, digest, row_id, created_at) VALUES (?, ?, ?, ?, ?)",
            params![keyed.account, &keyed.key[..], &keyed.content[..], row, now],
        )
        .await;
    match made {
        Err(DbError::Duplicate { .. }) => Err(DbError::Conflict("two requests with one key".into())),
        made => made.map(drop),
    }
}

/// Forgets requests that were carried out before a time, about 1,000 a call; how many.
///
/// # Errors
/// As any statement.
pub async fn forget(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    let thousandth: Option<Timestamp> = tx
        .fetch_optional(
            "SELECT created_at FROM idempotency_keys WHERE created_at < ? ORDER BY created_at LIMIT 1 OFFSET 999",
            params![before],
            |row| row.get(0),
        )
        .await?;
    let last = thousandth.unwrap_or(before.plus_millis(-1));
    tx.execute("DELETE FROM idempotency_keys WHERE created_at <= ?", params![last]).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_content_has_the_same_hash() {
        let all: [&[Option<&str>]; 6] =
            [&[Some("ab"), Some("c")], &[Some("a"), Some("bc")], &[Some("abc")], &[Some("")], &[None], &[]];
        for (index, one) in all.iter().enumerate() {
            for (other_index, other) in all.iter().enumerate() {
                assert_eq!(hash(one) == hash(other), index == other_index, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn a_key_that_is_too_long_for_a_report_is_hashed() {
        assert_eq!(source_key("a".repeat(64)), "a".repeat(64));
        let hashed = source_key("a".repeat(65));
        assert_eq!(hashed.len(), 64);
        assert_ne!(hashed, source_key("a".repeat(66)));
    }
}
