//! Forgotten passwords: who may set a new one until when.

use carebot_model::{AccountId, Timestamp};

use crate::authentication::TokenHash;
use crate::{Result, Tx, params};

/// Keeps the hash of a token that sets a new password for an account until a time; an earlier one of the account is void. False if
/// the account got one after `since`: nobody fills a mailbox.
///
/// # Errors
/// [`DbError::MissingParent`](crate::DbError::MissingParent) if there is no such account; else as any statement.
pub async fn create(
    tx: &mut Tx,
    account: AccountId,
    token: TokenHash,
    (now, since, expires_at): (Timestamp, Timestamp, Timestamp),
) -> Result<bool> {
    let last = tx
        .fetch_optional("SELECT created_at FROM password_resets WHERE account_id = ?", params![account], |row| {
            row.get::<Timestamp>(0)
        })
        .await?;
    match last {
        Some(last) if last > since => Ok(false),
        Some(_) => {
            tx.execute(
                "UPDATE password_resets SET token_hash = ?, created_at = ?, expires_at = ? WHERE account_id = ?",
                params![token, now, expires_at, account],
            )
            .await?;
            Ok(true)
        }
        None => {
            tx.execute(
                "INSERT INTO password_resets (account_id, token_hash, created_at, expires_at) VALUES (?, ?, ?, ?)",
                params![account, token, now, expires_at],
            )
            .await?;
            Ok(true)
        }
    }
}

/// Whose password a token may set at a time.
///
/// # Errors
/// As any statement.
pub async fn account_of(tx: &mut Tx, token: TokenHash, now: Timestamp) -> Result<Option<AccountId>> {
    tx.fetch_optional(
        "SELECT r.account_id FROM password_resets r JOIN accounts a ON a.id = r.account_id AND a.deleted_at IS NULL
         WHERE r.token_hash = ? AND r.expires_at > ?",
        params![token, now],
        |row| row.get(0),
    )
    .await
}

/// Uses a token up; says whose it was, if it was still good. Of two who use one at the same time one gets nothing.
///
/// # Errors
/// As any statement.
pub async fn take(tx: &mut Tx, token: TokenHash, now: Timestamp) -> Result<Option<AccountId>> {
    let Some(account) = account_of(tx, token, now).await? else { return Ok(None) };
    let deleted = tx
        .execute("DELETE FROM password_resets WHERE account_id = ? AND token_hash = ?", params![account, token])
        .await?;
    Ok((deleted == 1).then_some(account))
}
