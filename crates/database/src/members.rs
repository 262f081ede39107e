//! Memberships, and requests for them.

use carebot_model::access::Permit;
use carebot_model::members::{JoinRequest, Member, Place, Position};
use carebot_model::text::Name;
use carebot_model::{AccountId, FamilyId, MemberId, Timestamp};

use crate::ambient::Rng;
use crate::{Result, Row, Tx, params};

/// Memberships whose family and account still are there.
const LIVE: &str = "members m JOIN families f ON f.id = m.family_id AND f.deleted_at IS NULL
                    JOIN accounts a ON a.id = m.user_id AND a.deleted_at IS NULL";

fn member(row: &Row<'_>) -> Result<Member> {
    Ok(Member { id: row.get(0)?, family_id: row.get(1)?, user_id: row.get(2)?, nickname: row.get(3)? })
}

fn request(row: &Row<'_>) -> Result<JoinRequest> {
    Ok(JoinRequest {
        id: row.get(0)?,
        family_id: row.get(1)?,
        user_id: row.get(2)?,
        user_name: row.get(3)?,
        nickname: row.get(4)?,
        created_at: row.get(5)?,
    })
}

/// A membership to be made.
#[derive(Clone, Debug)]
pub struct NewMember {
    /// The family.
    pub family: FamilyId,
    /// What the elder calls the guardian.
    pub nickname: Option<Name>,
    /// In which capacity.
    pub position: Position,
    /// Who approves it at once; `None` makes a request.
    pub approved_by: Option<AccountId>,
}

/// Makes a membership or a request for one, last in the family's order.
///
/// # Errors
/// [`DbError::Duplicate`](crate::DbError::Duplicate) if the account belongs to the family or has asked already;
/// [`DbError::MissingParent`](crate::DbError::MissingParent) if one of both does not exist; else as any statement.
pub async fn create(
    tx: &mut Tx,
    user: &Permit<AccountId>,
    new: &NewMember,
    now: Timestamp,
    rng: &dyn Rng,
) -> Result<MemberId> {
    let id = MemberId::from_random(&mut |bytes| rng.fill(bytes));
    let last = tx
        .fetch_one("SELECT COALESCE(MAX(sort_order), 0) FROM members WHERE family_id = ?", params![new.family], |row| {
            row.get::<i64>(0)
        })
        .await?;
    tx.execute(
        "INSERT INTO members (id, family_id, user_id, nickname, position, sort_order, created_at, approved_at, approved_by)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            id,
            new.family,
            *user.resource(),
            new.nickname.as_ref(),
            new.position,
            last + 1,
            now,
            new.approved_by.map(|_| now),
            new.approved_by,
        ],
    )
    .await?;
    Ok(id)
}

/// Approved memberships of a family, of an account, of both at once or of everybody, in the families' order.
///
/// # Errors
/// As any statement.
pub async fn list(tx: &mut Tx, family: Option<FamilyId>, user: Option<AccountId>) -> Result<Vec<Member>> {
    let mut sql =
        format!("SELECT m.id, m.family_id, m.user_id, m.nickname FROM {LIVE} WHERE m.approved_at IS NOT NULL");
    let mut values = Vec::new();
    if let Some(family) = family {
        sql.push_str(" AND m.family_id = ?");
        values.push(family.into());
    }
    if let Some(user) = user {
        sql.push_str(" AND m.user_id = ?");
        values.push(user.into());
    }
    sql.push_str(" ORDER BY m.family_id, m.sort_order, m.id");
    tx.fetch(sql, values, member).await
}

/// The members of a family with the names to call them by: nickname, else the account's name, else empty.
///
/// # Errors
/// As any statement.
pub async fn named(tx: &mut Tx, family: FamilyId) -> Result<Vec<(AccountId, String)>> {
    tx.fetch(
        format!(
            "SELECT m.user_id, COALESCE(m.nickname, a.user_name, '') FROM {LIVE}
             WHERE m.family_id = ? AND m.approved_at IS NOT NULL ORDER BY m.sort_order, m.id"
        ),
        params![family],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
    .await
}

/// The elders of the families that an account is an approved member of, in the families' order, with their names; empty if nobody said.
///
/// # Errors
/// As any statement.
pub async fn elders(tx: &mut Tx, user: AccountId) -> Result<Vec<(AccountId, String)>> {
    tx.fetch(
        format!(
            "SELECT e.id, COALESCE(e.user_name, '') FROM {LIVE} JOIN accounts e ON e.id = f.main_user AND e.deleted_at IS NULL
             WHERE m.user_id = ? AND m.approved_at IS NOT NULL ORDER BY m.family_id, m.sort_order, m.id"
        ),
        params![user],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
    .await
}

/// The approved members of a family in its order, counted from 1.
///
/// # Errors
/// As any statement.
pub async fn placed(tx: &mut Tx, family: FamilyId) -> Result<Vec<Place>> {
    let mut places: Vec<Place> = tx
        .fetch(
            format!(
                "SELECT m.id, m.user_id, m.nickname, m.position FROM {LIVE}
                 WHERE m.family_id = ? AND m.approved_at IS NOT NULL ORDER BY m.sort_order, m.id"
            ),
            params![family],
            |row| {
                Ok(Place {
                    id: row.get(0)?,
                    user_id: row.get(1)?,
                    nickname: row.get(2)?,
                    position: row.get(3)?,
                    order: 0,
                })
            },
        )
        .await?;
    for (place, order) in places.iter_mut().zip(1..) {
        place.order = order;
    }
    Ok(places)
}

/// Stores the order of a family's members, and in which capacity each belongs to it; requests to join come behind them. Whoever
/// calls holds the lock of the family's [`Journal`](crate::journal::Journal).
///
/// # Errors
/// As any statement.
pub async fn set_places(tx: &mut Tx, permit: &Permit<FamilyId>, places: &[Place]) -> Result<()> {
    let family = *permit.resource();
    let requests: Vec<MemberId> = tx
        .fetch(
            "SELECT id FROM members WHERE family_id = ? AND approved_at IS NULL ORDER BY sort_order, id",
            params![family],
            |row| row.get(0),
        )
        .await?;
    for place in places {
        tx.execute(
            "UPDATE members SET position = ? WHERE id = ? AND family_id = ?",
            params![place.position, place.id, family],
        )
        .await?;
    }
    let all = places.iter().map(|place| place.id).chain(requests);
    for (id, order) in all.zip(1_i64..) {
        tx.execute("UPDATE members SET sort_order = ? WHERE id = ? AND family_id = ?", params![order, id, family])
            .await?;
    }
    Ok(())
}

/// Whether an account is an approved member of a family.
///
/// # Errors
/// As any statement.
pub async fn is_member(tx: &mut Tx, family: FamilyId, user: AccountId) -> Result<bool> {
    tx.fetch_optional(
        format!("SELECT 1 FROM {LIVE} WHERE m.family_id = ? AND m.user_id = ? AND m.approved_at IS NOT NULL"),
        params![family, user],
        |_| Ok(()),
    )
    .await
    .map(|row| row.is_some())
}

/// An approved membership.
///
/// # Errors
/// As any statement.
pub async fn get(tx: &mut Tx, id: MemberId) -> Result<Option<Member>> {
    tx.fetch_optional(
        format!(
            "SELECT m.id, m.family_id, m.user_id, m.nickname FROM {LIVE} WHERE m.id = ? AND m.approved_at IS NOT NULL"
        ),
        params![id],
        member,
    )
    .await
}

/// Changes what a member is called (`None` leaves it); says whether the membership existed.
///
/// # Errors
/// As any statement.
pub async fn update(tx: &mut Tx, permit: &Permit<MemberId>, nickname: Option<&Name>) -> Result<bool> {
    let touched = tx
        .execute(
            "UPDATE members SET nickname = COALESCE(?, nickname) WHERE id = ?",
            params![nickname, *permit.resource()],
        )
        .await?;
    Ok(touched == 1)
}

/// Deletes a membership or a request; says whether it existed.
///
/// # Errors
/// As any statement.
pub async fn delete(tx: &mut Tx, permit: &Permit<MemberId>) -> Result<bool> {
    Ok(tx.execute("DELETE FROM members WHERE id = ?", params![*permit.resource()]).await? == 1)
}

/// Open requests to join a family, by an account, or (neither given) all; oldest first, at most 1,000.
///
/// # Errors
/// As any statement.
pub async fn requests(tx: &mut Tx, family: Option<FamilyId>, user: Option<AccountId>) -> Result<Vec<JoinRequest>> {
    let mut sql = format!(
        "SELECT m.id, m.family_id, m.user_id, a.user_name, m.nickname, m.created_at FROM {LIVE} WHERE m.approved_at IS NULL"
    );
    let mut values = Vec::new();
    if let Some(family) = family {
        sql.push_str(" AND m.family_id = ?");
        values.push(family.into());
    }
    if let Some(user) = user {
        sql.push_str(" AND m.user_id = ?");
        values.push(user.into());
    }
    sql.push_str(" ORDER BY m.created_at, m.id LIMIT 1000");
    tx.fetch(sql, values, request).await
}

/// An open request.
///
/// # Errors
/// As any statement.
pub async fn request_by_id(tx: &mut Tx, id: MemberId) -> Result<Option<JoinRequest>> {
    tx.fetch_optional(
        format!(
            "SELECT m.id, m.family_id, m.user_id, a.user_name, m.nickname, m.created_at FROM {LIVE}
             WHERE m.id = ? AND m.approved_at IS NULL"
        ),
        params![id],
        request,
    )
    .await
}

/// Approves a request; says whether there was an open one.
///
/// # Errors
/// As any statement.
pub async fn approve(tx: &mut Tx, permit: &Permit<MemberId>, by: AccountId, now: Timestamp) -> Result<bool> {
    let touched = tx
        .execute(
            "UPDATE members SET approved_at = ?, approved_by = ? WHERE id = ? AND approved_at IS NULL",
            params![now, by, *permit.resource()],
        )
        .await?;
    Ok(touched == 1)
}

/// Whether an account belongs to any family, or has asked to.
///
/// # Errors
/// As any statement.
pub async fn belongs_anywhere(tx: &mut Tx, user: AccountId) -> Result<bool> {
    tx.fetch_optional(format!("SELECT 1 FROM {LIVE} WHERE m.user_id = ? LIMIT 1"), params![user], |_| Ok(()))
        .await
        .map(|row| row.is_some())
}
