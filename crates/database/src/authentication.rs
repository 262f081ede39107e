//! Sessions and passwords.

use carebot_model::access::{Actor, Membership, Permit, SessionInfo};
use carebot_model::alarms::EventKind;
use carebot_model::authentication::{IdleLimits, Session, SessionKind};
use carebot_model::{AccountId, FamilyId, RowId, Timestamp};

use crate::ambient::Rng;
use crate::{Result, Row, Tx, Value, params, rules};

/// The SHA-256 of a session's token: what is stored, and what sessions are found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Of the clear token.
    pub fn of(token: &str) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, token.as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }
}

impl From<TokenHash> for Value {
    fn from(hash: TokenHash) -> Self {
        hash.0.as_slice().into()
    }
}

/// A session to be made.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Its number.
    pub id: RowId,
    /// The account that signed in.
    pub account: AccountId,
    /// Whether the account is an elder's.
    pub is_main: bool,
    /// What to call it; at most 64 code points.
    pub label: Option<String>,
}

/// What a live session says of its caller.
#[derive(Clone, Debug)]
pub struct CurrentUser {
    /// Who calls.
    pub actor: Actor,
    /// Whether the account was an elder's at sign-in.
    pub is_main: bool,
    /// Whether it is remembered.
    pub is_remembered: bool,
    /// The last use that was written.
    pub last_seen: Timestamp,
}

/// What a token turned out to be.
#[derive(Clone, Debug)]
pub enum Found {
    /// A session that lives as far as the database knows; whether it has idled too long is the caller's to judge.
    Live(CurrentUser),
    /// A robot's session that somebody ended.
    Revoked {
        /// Its number.
        id: RowId,
        /// Whose it was.
        account: AccountId,
    },
}

/// Sessions whose account still is there.
const LIVE: &str = "sessions s JOIN accounts a ON a.id = s.account_id AND a.deleted_at IS NULL";
const COLUMNS: &str = "s.id, s.account_id, s.kind, s.label, s.is_main, s.is_remembered, s.created_at, s.last_seen, s.revoked_at, s.refused_at";

fn session(row: &Row<'_>) -> Result<Session> {
    Ok(Session {
        id: row.get(0)?,
        account_id: row.get(1)?,
        kind: row.get(2)?,
        label: row.get(3)?,
        is_main: row.get(4)?,
        is_remembered: row.get(5)?,
        created_at: row.get(6)?,
        last_seen: row.get(7)?,
        revoked_at: row.get(8)?,
        refused_at: row.get(9)?,
    })
}

/// Makes a session; the clear token is given out once and not stored.
///
/// # Errors
/// [`DbError::MissingParent`](crate::DbError::MissingParent) if there is no such account; else as any statement.
pub async fn create_session(tx: &mut Tx, new: &NewSession, now: Timestamp, rng: &dyn Rng) -> Result<String> {
    let mut bytes = [0_u8; 16];
    rng.fill(&mut bytes);
    let token = carebot_model::text::hexadecimal(&bytes);
    tx.execute(
        "INSERT INTO sessions (token_hash, id, account_id, kind, label, is_main, is_remembered, created_at, last_seen, revoked_at, refused_at)
         VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, NULL, NULL)",
        params![TokenHash::of(&token), new.id, new.account, SessionKind::Person, new.label.clone(), new.is_main, now, now],
    )
    .await?;
    Ok(token)
}

/// Deletes a session (logging out); says whether it existed.
///
/// # Errors
/// As any statement.
pub async fn delete_session(tx: &mut Tx, token: TokenHash) -> Result<bool> {
    Ok(tx.execute("DELETE FROM sessions WHERE token_hash = ?", params![token]).await? == 1)
}

/// Signs a session out; says whether it was live. A robot's stays as revoked: its programs share one, and what the others report with it
/// must be recognised and shown.
///
/// # Errors
/// As any statement.
pub async fn sign_out(tx: &mut Tx, token: TokenHash, now: Timestamp) -> Result<bool> {
    let revoked = tx
        .execute(
            "UPDATE sessions SET revoked_at = ? WHERE token_hash = ? AND kind = ? AND revoked_at IS NULL",
            params![now, token, SessionKind::Robot],
        )
        .await?;
    let deleted = tx
        .execute("DELETE FROM sessions WHERE token_hash = ? AND kind = ?", params![token, SessionKind::Person])
        .await?;
    Ok(revoked + deleted == 1)
}

/// Who calls with a token: account, role, session, own family and memberships in one statement.
///
/// # Errors
/// As any statement.
pub async fn current_user(tx: &mut Tx, token: TokenHash) -> Result<Option<Found>> {
    tx.fold(
        "SELECT s.id, s.kind, s.is_main, s.is_remembered, s.last_seen, s.revoked_at, a.id, a.role, own.id, m.family_id, f.main_user, m.approved_at
         FROM sessions s
         JOIN accounts a ON a.id = s.account_id AND a.deleted_at IS NULL
         LEFT JOIN families own ON own.main_user = a.id
         LEFT JOIN members m ON m.user_id = a.id
         LEFT JOIN families f ON f.id = m.family_id
         WHERE s.token_hash = ?",
        params![token],
        || None,
        |found: &mut Option<Found>, row| {
            if found.is_none() {
                *found = Some(head(row)?);
            }
            if let Some(Found::Live(CurrentUser { actor: Actor::Account { memberships, .. }, .. })) = found {
                // A deleted family has no main user any more.
                if let (Some(family), Some(main_user)) = (row.get::<Option<FamilyId>>(9)?, row.get(10)?) {
                    let approved = row.get::<Option<Timestamp>>(11)?.is_some();
                    memberships.push(Membership { family, main_user, approved });
                }
            }
            Ok(())
        },
    )
    .await
}

fn head(row: &Row<'_>) -> Result<Found> {
    let (id, account) = (row.get(0)?, row.get(6)?);
    if row.get::<Option<Timestamp>>(5)?.is_some() {
        return Ok(Found::Revoked { id, account });
    }
    Ok(Found::Live(CurrentUser {
        actor: Actor::Account {
            id: account,
            role: row.get(7)?,
            family: row.get(8)?,
            memberships: Vec::new(),
            session: SessionInfo { id, kind: row.get(1)? },
        },
        is_main: row.get(2)?,
        is_remembered: row.get(3)?,
        last_seen: row.get(4)?,
    }))
}

/// Writes that a session was used. Never moves the time back.
///
/// # Errors
/// As any statement.
pub async fn touch_session(tx: &mut Tx, id: RowId, now: Timestamp) -> Result<bool> {
    Ok(tx.execute("UPDATE sessions SET last_seen = ? WHERE id = ? AND last_seen < ?", params![now, id, now]).await?
        == 1)
}

/// Marks a session as a robot's.
///
/// # Errors
/// As any statement.
pub async fn mark_robot(tx: &mut Tx, id: RowId) -> Result<bool> {
    Ok(tx.execute("UPDATE sessions SET kind = ? WHERE id = ?", params![SessionKind::Robot, id]).await? == 1)
}

/// Ends the sessions of an account that persons hold, except one; how many.
///
/// # Errors
/// As any statement.
pub async fn end_person_sessions(tx: &mut Tx, account: AccountId, except: Option<RowId>) -> Result<u64> {
    tx.execute(
        "DELETE FROM sessions WHERE account_id = ? AND kind = ? AND id <> ?",
        params![account, SessionKind::Person, except.unwrap_or(RowId(-1))],
    )
    .await
}

/// Sets the hash of an account's password and ends the account's other sessions, but not its robots'; says whether the
/// account existed.
///
/// # Errors
/// As any statement.
pub async fn change_password(tx: &mut Tx, permit: &Permit<AccountId>, hash: &str, keep: Option<RowId>) -> Result<bool> {
    let account = *permit.resource();
    let existed = upgrade_hash(tx, account, hash).await?;
    if existed {
        end_person_sessions(tx, account, keep).await?;
    }
    Ok(existed)
}

/// Replaces the hash of the same password by a better one; says whether the account existed.
///
/// # Errors
/// As any statement.
pub async fn upgrade_hash(tx: &mut Tx, account: AccountId, hash: &str) -> Result<bool> {
    let touched = tx
        .execute("UPDATE accounts SET password_hash = ? WHERE id = ? AND deleted_at IS NULL", params![hash, account])
        .await?;
    Ok(touched == 1)
}

/// A session by its number.
///
/// # Errors
/// As any statement.
pub async fn get_session(tx: &mut Tx, id: RowId) -> Result<Option<Session>> {
    tx.fetch_optional(format!("SELECT {COLUMNS} FROM {LIVE} WHERE s.id = ?"), params![id], session).await
}

/// The sessions of an account, newest first, at most 1,000.
///
/// # Errors
/// As any statement.
pub async fn list_sessions(tx: &mut Tx, permit: &Permit<AccountId>) -> Result<Vec<Session>> {
    tx.fetch(
        format!("SELECT {COLUMNS} FROM {LIVE} WHERE s.account_id = ? ORDER BY s.created_at DESC, s.id DESC LIMIT 1000"),
        params![*permit.resource()],
        session,
    )
    .await
}

/// Ends one session of an account. A person's is deleted; a robot's stays as revoked, so that its calls are recognised
/// and shown. Says whether there was a live one.
///
/// # Errors
/// As any statement.
pub async fn end_session(tx: &mut Tx, permit: &Permit<AccountId>, id: RowId, now: Timestamp) -> Result<bool> {
    let account = *permit.resource();
    let revoked = tx
        .execute(
            "UPDATE sessions SET revoked_at = ? WHERE id = ? AND account_id = ? AND kind = ? AND revoked_at IS NULL",
            params![now, id, account, SessionKind::Robot],
        )
        .await?;
    let deleted = tx
        .execute(
            "DELETE FROM sessions WHERE id = ? AND account_id = ? AND kind = ?",
            params![id, account, SessionKind::Person],
        )
        .await?;
    Ok(revoked + deleted == 1)
}

/// Notes that a revoked session was used.
///
/// # Errors
/// As any statement.
pub async fn note_refused(tx: &mut Tx, id: RowId, now: Timestamp) -> Result<bool> {
    Ok(tx.execute("UPDATE sessions SET refused_at = ? WHERE id = ?", params![now, id]).await? == 1)
}

/// Whether a family was told after a time that a session of its robot is refused. Whoever calls holds the lock of the family's
/// [`Journal`](crate::journal::Journal).
///
/// # Errors
/// As any statement.
pub async fn was_refusal_told(tx: &mut Tx, family: FamilyId, session: RowId, since: Timestamp) -> Result<bool> {
    let told = rules::robot(tx, family).await?.and_then(|robot| robot.refused_at);
    if told.is_none_or(|told| told <= since) {
        return Ok(false);
    }
    // It may have been another session.
    let bodies: Vec<String> = tx
        .fetch(
            "SELECT body FROM events WHERE family_id = ? AND kind = ? AND created_at > ?",
            params![family, EventKind::Refused, since],
            |row| row.get(0),
        )
        .await?;
    let is_it = |body: &String| {
        serde_json::from_str::<serde_json::Value>(body).is_ok_and(|body| body["session_id"] == session.0)
    };
    Ok(bodies.iter().any(is_it))
}

/// Has a session remembered; says whether it existed.
///
/// # Errors
/// As any statement.
pub async fn remember_session(tx: &mut Tx, id: RowId) -> Result<bool> {
    Ok(tx.execute("UPDATE sessions SET is_remembered = 1 WHERE id = ?", params![id]).await? == 1)
}

/// Deletes sessions that have idled too long or were revoked 30 days ago, at most 1,000 a call; how many.
///
/// # Errors
/// As any statement.
pub async fn delete_expired_sessions(tx: &mut Tx, limits: &IdleLimits, now: Timestamp) -> Result<u64> {
    let before = |limit: i64| now.plus_millis(-limit - IdleLimits::WRITE_INTERVAL);
    let expired: Vec<RowId> = tx
        .fetch(
            "SELECT id FROM sessions WHERE
             (revoked_at IS NULL AND is_remembered = 1 AND last_seen < ?)
             OR (revoked_at IS NULL AND is_remembered = 0 AND is_main = 1 AND last_seen < ?)
             OR (revoked_at IS NULL AND is_remembered = 0 AND is_main = 0 AND last_seen < ?)
             OR revoked_at < ? LIMIT 1000",
            params![
                before(limits.remembered),
                before(limits.main),
                before(limits.normal),
                now.plus_millis(-2_592_000_000)
            ],
            |row| row.get(0),
        )
        .await?;
    if expired.is_empty() {
        return Ok(0);
    }
    let marks = vec!["?"; expired.len()].join(",");
    tx.execute(format!("DELETE FROM sessions WHERE id IN ({marks})"), expired.into_iter().map(Value::from).collect())
        .await
}
