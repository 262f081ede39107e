//! Conversations with the assistant, and what is computed from them.

use carebot_model::access::Permit;
use carebot_model::chats::{Basis, Keywords, Turn, Utterance};
use carebot_model::status::Mental;
use carebot_model::text::LongText;
use carebot_model::{AccountId, Date, FamilyId, RowId, Timestamp};

use crate::connector::error::DbError;
use crate::listing::{Listing, Range};
use crate::status::{self, NewReport};
use crate::{Result, Row, Tx, params};

/// The most turns that one deletion removes; turns of the same millisecond go together.
pub const STEP: u32 = 1_000;

/// The conversation to go on with: the one that is asked for if it is the account's own, else a new one named `fresh`.
///
/// # Errors
/// [`DbError::MissingParent`] if the account is gone; else as any statement.
pub async fn open_session(
    tx: &mut Tx,
    permit: &Permit<AccountId>,
    wanted: Option<&str>,
    fresh: &str,
    now: Timestamp,
) -> Result<String> {
    let account = *permit.resource();
    if let Some(wanted) = wanted {
        let touched = tx
            .execute(
                "UPDATE chat_sessions SET last_active = ? WHERE id = ? AND account_id = ?",
                params![now, wanted, account],
            )
            .await?;
        if touched == 1 {
            return Ok(wanted.to_owned());
        }
    }
    tx.execute(
        "INSERT INTO chat_sessions (id, account_id, created_at, last_active) VALUES (?, ?, ?, ?)",
        params![fresh, account, now, now],
    )
    .await?;
    Ok(fresh.to_owned())
}

/// Stores something said; the answer comes later.
///
/// # Errors
/// [`DbError::MissingParent`] if account or conversation is gone; else as any statement.
pub async fn add_turn(
    tx: &mut Tx,
    permit: &Permit<AccountId>,
    id: RowId,
    session: &str,
    message: &LongText,
    now: Timestamp,
) -> Result<()> {
    tx.execute(
        "INSERT INTO chat_turns (account_id, created_at, id, session_id, user_message, bot_message, model)
         VALUES (?, ?, ?, ?, ?, NULL, NULL)",
        params![*permit.resource(), now, id, session, message],
    )
    .await
    .map(drop)
}

/// Stores the answer to something said; says whether that is still there.
///
/// # Errors
/// As any statement.
pub async fn answer_turn(
    tx: &mut Tx,
    permit: &Permit<AccountId>,
    (at, id): (Timestamp, RowId),
    answer: &LongText,
    model: &str,
) -> Result<bool> {
    let touched = tx
        .execute(
            "UPDATE chat_turns SET bot_message = ?, model = ? WHERE account_id = ? AND created_at = ? AND id = ?",
            params![answer, model, *permit.resource(), at, id],
        )
        .await?;
    Ok(touched == 1)
}

/// The newest answered turns of a conversation, `limit` at most, oldest first.
///
/// # Errors
/// As any statement.
pub async fn context(tx: &mut Tx, permit: &Permit<AccountId>, session: &str, limit: u32) -> Result<Vec<Turn>> {
    let mut turns = tx
        .fetch(
            format!(
                "SELECT {COLUMNS} FROM chat_turns t WHERE t.session_id = ? AND t.account_id = ? AND t.bot_message IS NOT NULL
                 ORDER BY t.created_at DESC, t.id DESC LIMIT ?"
            ),
            params![session, *permit.resource(), limit],
            turn,
        )
        .await?;
    turns.reverse();
    Ok(turns)
}

const COLUMNS: &str = "t.created_at, t.id, t.session_id, t.user_message, t.bot_message";

/// Reads a turn from a row of a listing.
///
/// # Errors
/// [`DbError::BadValue`] if a stored value is not what it must be.
pub fn turn(row: &Row<'_>) -> Result<Turn> {
    Ok(Turn {
        created_at: row.get(0)?,
        index: row.get(1)?,
        session_id: row.get(2)?,
        user_message: row.get(3)?,
        bot_message: row.get(4)?,
    })
}

/// An account's turns of a range, page by page.
pub fn listing(permit: &Permit<AccountId>, range: Range) -> Listing {
    Listing {
        columns: COLUMNS.to_owned(),
        from: "chat_turns t".to_owned(),
        filter: "t.account_id = ?",
        values: params![*permit.resource()],
        time: "t.created_at",
        id: "t.id",
        range,
    }
}

/// What a family's elder said in a range: the newest `limit` utterances, oldest first.
///
/// # Errors
/// As any statement.
pub async fn said(tx: &mut Tx, permit: &Permit<FamilyId>, range: Range, limit: u32) -> Result<Vec<Utterance>> {
    let mut utterances = tx
        .fetch(
            "SELECT t.created_at, t.user_message FROM families f JOIN chat_turns t ON t.account_id = f.main_user
             WHERE f.id = ? AND f.deleted_at IS NULL AND t.created_at BETWEEN ? AND ?
             ORDER BY t.created_at DESC, t.id DESC LIMIT ?",
            params![*permit.resource(), range.start, range.end, limit],
            |row| Ok(Utterance { at: row.get(0)?, text: row.get(1)? }),
        )
        .await?;
    utterances.reverse();
    Ok(utterances)
}

/// How often a family's elder said something in a range.
///
/// # Errors
/// As any statement.
pub async fn count_said(tx: &mut Tx, permit: &Permit<FamilyId>, range: Range) -> Result<i64> {
    tx.fetch_one(
        "SELECT COUNT(*) FROM families f JOIN chat_turns t ON t.account_id = f.main_user
         WHERE f.id = ? AND f.deleted_at IS NULL AND t.created_at BETWEEN ? AND ?",
        params![*permit.resource(), range.start, range.end],
        |row| row.get(0),
    )
    .await
}

/// Deletes the oldest of an account's turns, about [`STEP`]; when there are none left, its conversations and what they were about too. Says how
/// many turns went.
///
/// # Errors
/// As any statement.
pub async fn delete_step(tx: &mut Tx, permit: &Permit<AccountId>) -> Result<u64> {
    let account = *permit.resource();
    let last: Option<Timestamp> = tx
        .fetch_optional(
            "SELECT created_at FROM chat_turns WHERE account_id = ? ORDER BY created_at LIMIT 1 OFFSET ?",
            params![account, STEP - 1],
            |row| row.get(0),
        )
        .await?;
    let gone = tx
        .execute(
            "DELETE FROM chat_turns WHERE account_id = ? AND created_at <= ?",
            params![account, last.unwrap_or(Timestamp::MAX)],
        )
        .await?;
    if last.is_none() {
        tx.execute("DELETE FROM chat_sessions WHERE account_id = ?", params![account]).await?;
        tx.execute(
            "DELETE FROM chat_keywords WHERE family_id IN (SELECT id FROM families WHERE main_user = ?)",
            params![account],
        )
        .await?;
    }
    Ok(gone)
}

/// Deletes the oldest turns from before a time, about [`STEP`]; when there are none left, conversations that ended before
/// it and keywords of days before it too. Says how many turns went.
///
/// # Errors
/// As any statement.
pub async fn delete_before(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    let last: Option<Timestamp> = tx
        .fetch_optional(
            "SELECT created_at FROM chat_turns WHERE created_at < ? ORDER BY created_at LIMIT 1 OFFSET ?",
            params![before, STEP - 1],
            |row| row.get(0),
        )
        .await?;
    let until = last.unwrap_or_else(|| before.plus_millis(-1));
    let gone = tx.execute("DELETE FROM chat_turns WHERE created_at <= ?", params![until]).await?;
    if last.is_none() {
        tx.execute(
            "DELETE FROM chat_sessions WHERE last_active < ? AND NOT EXISTS
             (SELECT 1 FROM chat_turns t WHERE t.session_id = chat_sessions.id)",
            params![before],
        )
        .await?;
        tx.execute("DELETE FROM chat_keywords WHERE created_at < ?", params![before]).await?;
    }
    Ok(gone)
}

/// A family's stored keywords of a Korean day.
///
/// # Errors
/// [`DbError::BadValue`] if they are not a list; else as any statement.
pub async fn keywords(tx: &mut Tx, permit: &Permit<FamilyId>, day: Date) -> Result<Option<Keywords>> {
    let stored: Option<(String, i32)> = tx
        .fetch_optional(
            "SELECT keywords, utterances FROM chat_keywords WHERE family_id = ? AND day = ?",
            params![*permit.resource(), day],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .await?;
    let Some((text, utterances)) = stored else { return Ok(None) };
    let words = serde_json::from_str(&text)
        .map_err(|error| DbError::Statement(format!("chat_keywords of {} hold no list: {error}", permit.resource())))?;
    Ok(Some(Keywords { words, utterances }))
}

/// Stores a family's keywords of a Korean day instead of those there were.
///
/// # Errors
/// [`DbError::MissingParent`] if the family is gone; else as any statement.
pub async fn put_keywords(
    tx: &mut Tx,
    permit: &Permit<FamilyId>,
    day: Date,
    keywords: &Keywords,
    model: &str,
    now: Timestamp,
) -> Result<()> {
    let family = *permit.resource();
    // Two who store them at once must not both insert.
    tx.lock_one("SELECT 1 FROM families WHERE id = ?", params![family]).await?;
    tx.execute("DELETE FROM chat_keywords WHERE family_id = ? AND day = ?", params![family, day]).await?;
    let words = serde_json::to_string(&keywords.words)
        .map_err(|error| DbError::Statement(format!("keywords do not become JSON: {error}")))?;
    tx.execute(
        "INSERT INTO chat_keywords (family_id, day, keywords, utterances, model, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        params![family, day, words, keywords.utterances, model, now],
    )
    .await
    .map(drop)
}

/// Stores a mood with what it rests on.
///
/// # Errors
/// As [`status::create`].
pub async fn create_mood(
    tx: &mut Tx,
    permit: &Permit<FamilyId>,
    report: &NewReport<Mental>,
    basis: &Basis,
) -> Result<RowId> {
    status::create(tx, permit, report).await?;
    tx.execute(
        "INSERT INTO mental_bases (family_id, reported_at, id, utterances, model) VALUES (?, ?, ?, ?, ?)",
        params![*permit.resource(), report.reported_at, report.id, basis.utterances, basis.model.as_str()],
    )
    .await?;
    Ok(report.id)
}

/// What a mood rests on, if that is known.
///
/// # Errors
/// As any statement.
pub async fn mood_basis(tx: &mut Tx, permit: &Permit<FamilyId>, (at, id): (Timestamp, RowId)) -> Result<Option<Basis>> {
    tx.fetch_optional(
        "SELECT utterances, model FROM mental_bases WHERE family_id = ? AND reported_at = ? AND id = ?",
        params![*permit.resource(), at, id],
        |row| Ok(Basis { utterances: row.get(0)?, model: row.get(1)? }),
    )
    .await
}

/// Forgets what a mood rested on; for when it is deleted.
pub(crate) async fn forget_basis(tx: &mut Tx, permit: &Permit<FamilyId>, (at, id): (Timestamp, RowId)) -> Result<()> {
    tx.execute(
        "DELETE FROM mental_bases WHERE family_id = ? AND reported_at = ? AND id = ?",
        params![*permit.resource(), at, id],
    )
    .await
    .map(drop)
}
