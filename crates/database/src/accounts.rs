//! Accounts.

use carebot_model::access::Permit;
use carebot_model::accounts::{Account, AccountChange, NewAccount, Role};
use carebot_model::text::Email;
use carebot_model::{AccountId, Timestamp};

use crate::ambient::Rng;
use crate::{Result, Row, Tx, families, params};

const COLUMNS: &str = "id, email, role, user_name, birth_date, gender, address";

fn account(row: &Row<'_>) -> Result<Account> {
    Ok(Account {
        id: row.get(0)?,
        email: row.get(1)?,
        role: row.get(2)?,
        user_name: row.get(3)?,
        birth_date: row.get(4)?,
        gender: row.get(5)?,
        address: row.get(6)?,
    })
}

/// The e-mail addresses of all accounts, as typed. Prefer [`email_exists`].
///
/// # Errors
/// As any statement.
pub async fn emails(tx: &mut Tx) -> Result<Vec<String>> {
    tx.fetch("SELECT email FROM accounts WHERE deleted_at IS NULL ORDER BY id", vec![], |row| row.get(0)).await
}

/// Whether an account uses this e-mail address.
///
/// # Errors
/// As any statement.
pub async fn email_exists(tx: &mut Tx, email_key: &str) -> Result<bool> {
    id_by_email(tx, email_key).await.map(|id| id.is_some())
}

/// Makes an account.
///
/// # Errors
/// [`DbError::Duplicate`](crate::DbError::Duplicate) of `email` if the address is taken; else as any statement.
pub async fn create(
    tx: &mut Tx,
    new: &NewAccount,
    password_hash: &str,
    now: Timestamp,
    rng: &dyn Rng,
) -> Result<AccountId> {
    let id = AccountId::from_random(&mut |bytes| rng.fill(bytes));
    tx.execute(
        "INSERT INTO accounts (id, email, email_key, password_hash, role, user_name, birth_date, gender, address, created_at, deleted_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
        params![
            id,
            new.email.as_str(),
            new.email.key(),
            password_hash,
            new.role,
            new.user_name.as_ref(),
            new.birth_date,
            new.gender,
            new.address.as_ref(),
            now,
        ],
    )
    .await?;
    Ok(id)
}

/// Up to `limit` accounts with ids after `after`, in the order of ids.
///
/// # Errors
/// As any statement.
pub async fn list(tx: &mut Tx, after: Option<AccountId>, limit: u32) -> Result<Vec<Account>> {
    tx.fetch(
        format!("SELECT {COLUMNS} FROM accounts WHERE id > ? AND deleted_at IS NULL ORDER BY id LIMIT ?"),
        params![after.map_or(String::new(), |id| id.to_string()), limit],
        account,
    )
    .await
}

/// An account.
///
/// # Errors
/// As any statement.
pub async fn get(tx: &mut Tx, id: AccountId) -> Result<Option<Account>> {
    tx.fetch_optional(
        format!("SELECT {COLUMNS} FROM accounts WHERE id = ? AND deleted_at IS NULL"),
        params![id],
        account,
    )
    .await
}

/// The account that signs in with an address; `email_key` as [`Email::key_of`] makes it.
///
/// # Errors
/// As any statement.
pub async fn id_by_email(tx: &mut Tx, email_key: &str) -> Result<Option<AccountId>> {
    tx.fetch_optional("SELECT id FROM accounts WHERE email_key = ? AND deleted_at IS NULL", params![email_key], |row| {
        row.get(0)
    })
    .await
}

/// The hash of an account's password, in PHC or bcrypt notation.
///
/// # Errors
/// As any statement.
pub async fn password_hash(tx: &mut Tx, id: AccountId) -> Result<Option<String>> {
    tx.fetch_optional("SELECT password_hash FROM accounts WHERE id = ? AND deleted_at IS NULL", params![id], |row| {
        row.get(0)
    })
    .await
}

/// What signing in needs: the account and the hash of its password.
///
/// # Errors
/// As any statement.
pub async fn credentials(tx: &mut Tx, email_key: &str) -> Result<Option<(Account, String)>> {
    tx.fetch_optional(
        format!("SELECT {COLUMNS}, password_hash FROM accounts WHERE email_key = ? AND deleted_at IS NULL"),
        params![email_key],
        |row| Ok((account(row)?, row.get(7)?)),
    )
    .await
}

/// Changes an account; says whether it existed.
///
/// # Errors
/// [`DbError::Duplicate`](crate::DbError::Duplicate) of `email` if the new address is taken; else as any statement.
pub async fn update(tx: &mut Tx, permit: &Permit<AccountId>, change: &AccountChange) -> Result<bool> {
    let touched = tx
        .execute(
            "UPDATE accounts SET email = COALESCE(?, email), email_key = COALESCE(?, email_key), role = COALESCE(?, role),
             user_name = COALESCE(?, user_name), birth_date = COALESCE(?, birth_date), gender = COALESCE(?, gender),
             address = COALESCE(?, address) WHERE id = ? AND deleted_at IS NULL",
            params![
                change.email.as_ref().map(Email::as_str),
                change.email.as_ref().map(Email::key),
                change.role,
                change.user_name.as_ref(),
                change.birth_date,
                change.gender,
                change.address.as_ref(),
                *permit.resource(),
            ],
        )
        .await?;
    Ok(touched == 1)
}

/// Deletes an account for everybody at once; says whether it existed.
///
/// Small whatever hangs from it: the account is marked, its address is free again, its sessions and its family are gone
/// with it. The rows are removed by [`deletion`](crate::deletion).
///
/// # Errors
/// As any statement.
pub async fn delete(tx: &mut Tx, permit: &Permit<AccountId>, now: Timestamp) -> Result<bool> {
    let id = *permit.resource();
    let touched = tx
        .execute(
            "UPDATE accounts SET deleted_at = ?, email = NULL, email_key = NULL WHERE id = ? AND deleted_at IS NULL",
            params![now, id],
        )
        .await?;
    if let Some(family) = families::id_by_main_user(tx, id).await? {
        families::mark_deleted(tx, family, now).await?;
    }
    Ok(touched == 1)
}

/// How many accounts have a role.
///
/// # Errors
/// As any statement.
pub async fn count_by_role(tx: &mut Tx, role: Role) -> Result<i64> {
    tx.fetch_one("SELECT COUNT(*) FROM accounts WHERE role = ? AND deleted_at IS NULL", params![role], |row| row.get(0))
        .await
}
