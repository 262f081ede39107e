//! Invitations into a family: who holds the link may join, once and until a time.

use carebot_model::access::Permit;
use carebot_model::{AccountId, FamilyId, RowId, Timestamp};

use crate::authentication::TokenHash;
use crate::{Result, Row, Tx, params};

/// Invitations whose family and maker still are there.
const LIVE: &str = "invitations i JOIN families f ON f.id = i.family_id AND f.deleted_at IS NULL
                    JOIN accounts a ON a.id = i.created_by AND a.deleted_at IS NULL";
const COLUMNS: &str =
    "i.id, i.family_id, i.created_by, a.user_name, f.main_user, f.family_name, i.created_at, i.expires_at, i.used_at";

/// An invitation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Its number.
    pub id: RowId,
    /// The family.
    pub family: FamilyId,
    /// Who made it.
    pub created_by: AccountId,
    /// What its maker is called.
    pub creator: Option<String>,
    /// The family's elder.
    pub main_user: AccountId,
    /// What the family is called.
    pub family_name: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it can be used.
    pub expires_at: Timestamp,
    /// When it was used.
    pub used_at: Option<Timestamp>,
}

fn invitation(row: &Row<'_>) -> Result<Invitation> {
    Ok(Invitation {
        id: row.get(0)?,
        family: row.get(1)?,
        created_by: row.get(2)?,
        creator: row.get(3)?,
        main_user: row.get(4)?,
        family_name: row.get(5)?,
        created_at: row.get(6)?,
        expires_at: row.get(7)?,
        used_at: row.get(8)?,
    })
}

/// Keeps the hash of a token that lets its holder into a family until a time.
///
/// # Errors
/// [`DbError::MissingParent`](crate::DbError::MissingParent) if family or maker is gone; else as any statement.
pub async fn create(
    tx: &mut Tx,
    permit: &Permit<FamilyId>,
    (id, token): (RowId, TokenHash),
    by: AccountId,
    (now, expires_at): (Timestamp, Timestamp),
) -> Result<()> {
    tx.execute(
        "INSERT INTO invitations (id, family_id, token_hash, created_by, created_at, expires_at, used_at, used_by)
         VALUES (?, ?, ?, ?, ?, ?, NULL, NULL)",
        params![id, *permit.resource(), token, by, now, expires_at],
    )
    .await
    .map(drop)
}

/// The invitation of a token, whether or not it can still be used.
///
/// # Errors
/// As any statement.
pub async fn find(tx: &mut Tx, token: TokenHash) -> Result<Option<Invitation>> {
    tx.fetch_optional(format!("SELECT {COLUMNS} FROM {LIVE} WHERE i.token_hash = ?"), params![token], invitation).await
}

/// A family's invitations that can be used at a time, the newest first.
///
/// # Errors
/// As any statement.
pub async fn open(tx: &mut Tx, permit: &Permit<FamilyId>, now: Timestamp) -> Result<Vec<Invitation>> {
    tx.fetch(
        format!(
            "SELECT {COLUMNS} FROM {LIVE} WHERE i.family_id = ? AND i.used_at IS NULL AND i.expires_at > ?
             ORDER BY i.id DESC LIMIT 1000"
        ),
        params![*permit.resource(), now],
        invitation,
    )
    .await
}

/// Uses an invitation up; false if somebody has used it meanwhile, or it is gone.
///
/// # Errors
/// As any statement.
pub async fn use_up(tx: &mut Tx, id: RowId, by: AccountId, now: Timestamp) -> Result<bool> {
    let touched = tx
        .execute(
            "UPDATE invitations SET used_at = ?, used_by = ? WHERE id = ? AND used_at IS NULL AND expires_at > ?",
            params![now, by, id, now],
        )
        .await?;
    Ok(touched == 1)
}

/// Takes an invitation of a family back; says whether it was there.
///
/// # Errors
/// As any statement.
pub async fn delete(tx: &mut Tx, permit: &Permit<FamilyId>, id: RowId) -> Result<bool> {
    let gone =
        tx.execute("DELETE FROM invitations WHERE family_id = ? AND id = ?", params![*permit.resource(), id]).await?;
    Ok(gone == 1)
}

/// Deletes a family's invitations that ended before a time: nobody asks for them any more.
///
/// # Errors
/// As any statement.
pub async fn forget(tx: &mut Tx, permit: &Permit<FamilyId>, before: Timestamp) -> Result<u64> {
    tx.execute("DELETE FROM invitations WHERE family_id = ? AND expires_at < ?", params![*permit.resource(), before])
        .await
}
