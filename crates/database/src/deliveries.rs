//! The outbox: what is to be handed to whom about an alarm, and what became of it.
//!
//! Whoever ends a delivery holds the lock of its family's [`Journal`](crate::journal::Journal), except who finds one that nobody wants any
//! more.

use std::sync::LazyLock;

use carebot_model::alarms::{Alarm, Channel, Rule, Severity};
use carebot_model::{AccountId, FamilyId, RowId, Timestamp};

use crate::rules::{OF_THIS_VERSION, names};
use crate::{Result, Row, Tx, params};

/// Something to be handed to somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its number.
    pub id: RowId,
    /// The family.
    pub family: FamilyId,
    /// What it is about.
    pub alarm: RowId,
    /// Which climb of the ladder.
    pub episode: i32,
    /// Which step.
    pub step: i32,
    /// For whom.
    pub account: AccountId,
    /// When it was made.
    pub created_at: Timestamp,
    /// How often it was tried.
    pub attempts: i32,
    /// When a channel was first tried.
    pub tried_at: Option<Timestamp>,
}

fn delivery(row: &Row<'_>) -> Result<Delivery> {
    Ok(Delivery {
        id: row.get(0)?,
        family: row.get(1)?,
        alarm: row.get(2)?,
        episode: row.get(3)?,
        step: row.get(4)?,
        account: row.get(5)?,
        created_at: row.get(6)?,
        attempts: row.get(7)?,
        tried_at: row.get(8)?,
    })
}

const DELIVERY: &str = "id, family_id, alarm_id, episode, step, account_id, created_at, attempts, tried_at";

/// Puts something into the outbox; false if it is there already.
///
/// # Errors
/// As any statement.
pub async fn send(tx: &mut Tx, new: &Delivery, due_at: Timestamp) -> Result<bool> {
    let there = tx
        .fetch_optional(
            "SELECT 1 FROM deliveries WHERE alarm_id = ? AND episode = ? AND step = ? AND account_id = ?",
            params![new.alarm, new.episode, new.step, new.account],
            |_| Ok(()),
        )
        .await?;
    if there.is_some() {
        return Ok(false);
    }
    tx.execute(
        "INSERT INTO deliveries (id, family_id, alarm_id, episode, step, account_id, created_at, due_at, attempts)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)",
        params![new.id, new.family, new.alarm, new.episode, new.step, new.account, new.created_at, due_at],
    )
    .await?;
    Ok(true)
}

/// Deliveries that are due and that nobody works on, each with whether it comes first: those of a danger to life before other critical ones and
/// these before the rest, what was never tried before what was, the longest due first.
///
/// # Errors
/// As any statement.
pub async fn due(tx: &mut Tx, now: Timestamp, limit: u32) -> Result<Vec<(Delivery, bool)>> {
    static FIRST: LazyLock<String> = LazyLock::new(|| names(Rule::ALL.iter().filter(|rule| rule.comes_first())));
    let columns = DELIVERY.split(", ").map(|column| format!("d.{column}")).collect::<Vec<_>>().join(", ");
    let rank =
        format!("CASE WHEN a.severity <> '{}' THEN 2 WHEN a.rule IN ({}) THEN 0 ELSE 1 END", Severity::Crit, *FIRST);
    tx.fetch(
        format!(
            "SELECT {columns}, {rank} FROM deliveries d JOIN alarms a ON a.id = d.alarm_id
             WHERE d.due_at <= ? AND (d.leased_until IS NULL OR d.leased_until < ?) AND a.rule IN ({})
             ORDER BY {rank}, CASE WHEN d.attempts = 0 THEN 0 ELSE 1 END, d.due_at LIMIT ?",
            *OF_THIS_VERSION
        ),
        params![now, now, limit],
        |row| Ok((delivery(row)?, row.get::<i32>(9)? == 0)),
    )
    .await
}

/// Brings deliveries forward that a clock which was ahead put off or had taken: they are looked at now, and what is held back for a
/// reason is held back again. What comes after `wrong` is of that clock; `by` is how far it was ahead, in milliseconds. How many
/// there were.
///
/// # Errors
/// As any statement.
pub async fn bring_forward(tx: &mut Tx, now: Timestamp, wrong: Timestamp, by: i64) -> Result<u64> {
    let tried = tx
        .execute(
            "UPDATE deliveries SET tried_at = tried_at - ? WHERE due_at IS NOT NULL AND tried_at > ?",
            params![by, wrong],
        )
        .await?;
    let taken = tx
        .execute(
            "UPDATE deliveries SET leased_until = NULL WHERE due_at IS NOT NULL AND leased_until > ?",
            params![wrong],
        )
        .await?;
    let put_off = tx.execute("UPDATE deliveries SET due_at = ? WHERE due_at > ?", params![now, wrong]).await?;
    Ok(tried + taken + put_off)
}

/// Takes a delivery for oneself until a time; false if somebody else has it, or it is not to be done now, or not any more.
///
/// # Errors
/// As any statement.
pub async fn claim(tx: &mut Tx, id: RowId, holder: i64, now: Timestamp, until: Timestamp) -> Result<bool> {
    let taken = tx
        .execute(
            "UPDATE deliveries SET holder = ?, leased_until = ?, attempts = attempts + 1
             WHERE id = ? AND due_at <= ? AND (leased_until IS NULL OR leased_until < ?)",
            params![holder, until, id, now, now],
        )
        .await?;
    Ok(taken == 1)
}

/// Keeps a delivery for its holder until a time; false if it is not to be done any more, or not by him.
///
/// # Errors
/// As any statement.
pub async fn keep(tx: &mut Tx, id: RowId, holder: i64, until: Timestamp) -> Result<bool> {
    let kept = tx
        .execute(
            "UPDATE deliveries SET leased_until = ? WHERE id = ? AND holder = ? AND due_at IS NOT NULL",
            params![until, id, holder],
        )
        .await?;
    Ok(kept == 1)
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A channel took it.
    Handed(Channel),
    /// It is not wanted any more.
    Cancelled,
    /// There is no way to this person, or none will ever take it.
    Unreachable,
}

impl Ended {
    const fn name(self) -> &'static str {
        match self {
            Self::Handed(_) => "handed",
            Self::Cancelled => "cancelled",
            Self::Unreachable => "unreachable",
        }
    }
}

/// Ends a delivery; false if it had ended already.
///
/// # Errors
/// As any statement.
pub async fn end(tx: &mut Tx, id: RowId, ended: Ended, error: Option<&str>, now: Timestamp) -> Result<bool> {
    let channel = if let Ended::Handed(channel) = ended { Some(channel) } else { None };
    let touched = tx
        .execute(
            "UPDATE deliveries SET due_at = NULL, leased_until = NULL, holder = NULL, ended = ?, ended_at = ?, channel = ?, last_error = ?
             WHERE id = ? AND ended IS NULL",
            params![ended.name(), now, channel, error, id],
        )
        .await?;
    Ok(touched == 1)
}

/// Has a delivery tried again at a time: after a channel did not take it, with when it was tried and the reason, or without any
/// channel having been tried.
///
/// # Errors
/// As any statement.
pub async fn put_off(tx: &mut Tx, id: RowId, until: Timestamp, failed: Option<(Timestamp, &str)>) -> Result<()> {
    let (tried_at, error) = failed.unzip();
    tx.execute(
        "UPDATE deliveries SET due_at = ?, leased_until = NULL, holder = NULL, tried_at = COALESCE(tried_at, ?), last_error = ?
         WHERE id = ? AND ended IS NULL",
        params![until, tried_at, error, id],
    )
    .await
    .map(drop)
}

/// Ends whatever is still to be handed out about an alarm; how many there were.
///
/// # Errors
/// As any statement.
pub async fn cancel(tx: &mut Tx, alarm: RowId, now: Timestamp) -> Result<u64> {
    tx.execute(
        "UPDATE deliveries SET due_at = NULL, leased_until = NULL, holder = NULL, ended = 'cancelled', ended_at = ?
         WHERE alarm_id = ? AND ended IS NULL",
        params![now, alarm],
    )
    .await
}

/// Postpones whatever is still to be handed out about an alarm; what was held back until another time before waits no longer than
/// this.
///
/// # Errors
/// As any statement.
pub async fn hold_back(tx: &mut Tx, alarm: RowId, before: Option<Timestamp>, until: Timestamp) -> Result<()> {
    tx.execute(
        "UPDATE deliveries SET due_at = ?, leased_until = NULL, holder = NULL
         WHERE alarm_id = ? AND ended IS NULL AND (due_at < ? OR due_at = ?)",
        params![until, alarm, until, before.unwrap_or(until)],
    )
    .await
    .map(drop)
}

/// Notes that a page showed somebody an alarm; true for each delivery for which it was the first time.
///
/// # Errors
/// As any statement.
pub async fn shown(tx: &mut Tx, alarm: RowId, account: AccountId, now: Timestamp) -> Result<u64> {
    tx.execute(
        "UPDATE deliveries SET shown_at = ? WHERE alarm_id = ? AND account_id = ? AND shown_at IS NULL",
        params![now, alarm, account],
    )
    .await
}

/// What became of a delivery so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    /// What was to be handed to whom.
    pub delivery: Delivery,
    /// How it ended, if it did: `handed`, `cancelled` or `unreachable`.
    pub ended: Option<String>,
}

/// What became of the deliveries of an alarm's present episode.
///
/// # Errors
/// As any statement.
pub async fn of_alarm(tx: &mut Tx, alarm: &Alarm) -> Result<Vec<Fate>> {
    tx.fetch(
        format!("SELECT {DELIVERY}, ended FROM deliveries WHERE alarm_id = ? AND episode = ? ORDER BY id"),
        params![alarm.id, alarm.episode],
        fate,
    )
    .await
}

fn fate(row: &Row<'_>) -> Result<Fate> {
    Ok(Fate { delivery: delivery(row)?, ended: row.get(9)? })
}

/// What became of a delivery, if it is still there.
///
/// # Errors
/// As any statement.
pub async fn fate_of(tx: &mut Tx, id: RowId) -> Result<Option<Fate>> {
    tx.fetch_optional(format!("SELECT {DELIVERY}, ended FROM deliveries WHERE id = ?"), params![id], fate).await
}
