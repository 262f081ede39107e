//! Alarms. What is handed to whom about them: [`deliveries`](crate::deliveries).
//!
//! Whoever changes an alarm holds the lock of its family's [`Journal`](crate::journal::Journal).

use carebot_model::access::Permit;
use carebot_model::alarms::{Alarm, Rule};
use carebot_model::{FamilyId, RowId, Timestamp};

use crate::rules::OF_THIS_VERSION;
use crate::{Result, Row, Tx, Value, params};

const COLUMNS: &str = "id, family_id, rule, severity, sensed_at, last_sensed_at, raised_at, late_by, occurrences, value, cause, cause_id,
    image_url, notification_id, acknowledged_at, acknowledged_by, cleared_at, cleared_by, clear_reason, ended_at, snoozed_until,
    snoozed_by, ask_until, answer, episode, climb_from, next_step, next_at, handed_at, run_at, danger_episode,
    rounds";

fn alarm(row: &Row<'_>) -> Result<Alarm> {
    Ok(Alarm {
        id: row.get(0)?,
        family: row.get(1)?,
        rule: row.get(2)?,
        severity: row.get(3)?,
        sensed_at: row.get(4)?,
        last_sensed_at: row.get(5)?,
        raised_at: row.get(6)?,
        late_by: row.get(7)?,
        occurrences: row.get(8)?,
        value: row.get(9)?,
        cause: row.get(10)?,
        cause_id: row.get(11)?,
        image_url: row.get(12)?,
        notification: row.get(13)?,
        acknowledged_at: row.get(14)?,
        acknowledged_by: row.get(15)?,
        cleared_at: row.get(16)?,
        cleared_by: row.get(17)?,
        clear_reason: row.get(18)?,
        ended_at: row.get(19)?,
        snoozed_until: row.get(20)?,
        snoozed_by: row.get(21)?,
        ask_until: row.get(22)?,
        answer: row.get(23)?,
        episode: row.get(24)?,
        climb_from: row.get(25)?,
        next_step: row.get(26)?,
        next_at: row.get(27)?,
        handed_at: row.get(28)?,
        run_at: row.get(29)?,
        danger_episode: row.get(30)?,
        rounds: row.get(31)?,
    })
}

/// The columns of an alarm with its values: the number first.
fn values(alarm: &Alarm) -> Vec<Value> {
    params![
        alarm.id,
        alarm.family,
        alarm.rule,
        alarm.severity,
        alarm.sensed_at,
        alarm.last_sensed_at,
        alarm.raised_at,
        alarm.late_by,
        alarm.occurrences,
        alarm.value,
        alarm.cause,
        alarm.cause_id,
        alarm.image_url.as_deref(),
        alarm.notification,
        alarm.acknowledged_at,
        alarm.acknowledged_by,
        alarm.cleared_at,
        alarm.cleared_by,
        alarm.clear_reason,
        alarm.ended_at,
        alarm.snoozed_until,
        alarm.snoozed_by,
        alarm.ask_until,
        alarm.answer,
        alarm.episode,
        alarm.climb_from,
        alarm.next_step,
        alarm.next_at,
        alarm.handed_at,
        alarm.run_at,
        alarm.danger_episode,
        alarm.rounds,
    ]
}

fn open_rule(alarm: &Alarm) -> Option<Rule> {
    alarm.cleared_at.is_none().then_some(alarm.rule)
}

/// Stores a new alarm.
///
/// # Errors
/// [`DbError::Duplicate`](crate::DbError::Duplicate) if one of the rule is active already; else as any statement.
pub async fn create(tx: &mut Tx, alarm: &Alarm) -> Result<()> {
    let mut values = values(alarm);
    values.push(open_rule(alarm).into());
    let marks = vec!["?"; values.len()].join(",");
    tx.execute(format!("INSERT INTO alarms ({COLUMNS}, open_rule) VALUES ({marks})"), values).await.map(drop)
}

/// Stores what became of an alarm.
///
/// # Errors
/// As any statement.
pub async fn update(tx: &mut Tx, alarm: &Alarm) -> Result<()> {
    let mut values = values(alarm);
    values.push(open_rule(alarm).into());
    values.push(alarm.id.into());
    let sets = COLUMNS.split(',').map(str::trim).map(|column| format!("{column} = ?")).collect::<Vec<_>>().join(", ");
    tx.execute(format!("UPDATE alarms SET {sets}, open_rule = ? WHERE id = ?"), values).await.map(drop)
}

/// An alarm.
///
/// # Errors
/// As any statement.
pub async fn get(tx: &mut Tx, id: RowId) -> Result<Option<Alarm>> {
    tx.fetch_optional(format!("SELECT {COLUMNS} FROM alarms WHERE id = ?"), params![id], alarm).await
}

/// A family's active alarm of a rule.
///
/// # Errors
/// As any statement.
pub async fn active_of(tx: &mut Tx, family: FamilyId, rule: Rule) -> Result<Option<Alarm>> {
    tx.fetch_optional(
        format!("SELECT {COLUMNS} FROM alarms WHERE family_id = ? AND open_rule = ?"),
        params![family, rule],
        alarm,
    )
    .await
}

/// The alarm of a rule that was sensed last, active or not.
///
/// # Errors
/// As any statement.
pub async fn latest_of(tx: &mut Tx, family: FamilyId, rule: Rule) -> Result<Option<Alarm>> {
    tx.fetch_optional(
        format!(
            "SELECT {COLUMNS} FROM alarms WHERE family_id = ? AND rule = ? ORDER BY sensed_at DESC, id DESC LIMIT 1"
        ),
        params![family, rule],
        alarm,
    )
    .await
}

/// An alarm of a rule that lasted at a time or within the times given, if there is one. What a server with a clock far ahead has added to
/// one that is over makes it last no longer: that counts for its own moment.
///
/// # Errors
/// As any statement.
pub async fn during(
    tx: &mut Tx,
    family: FamilyId,
    rule: Rule,
    from: Timestamp,
    until: Timestamp,
) -> Result<Option<Alarm>> {
    tx.fetch_optional(
        format!(
            "SELECT {COLUMNS} FROM alarms WHERE family_id = ? AND rule = ? AND sensed_at <= ?
             AND (COALESCE(ended_at, cleared_at) >= ? OR (ended_at IS NULL AND cleared_at IS NULL) OR last_sensed_at BETWEEN ? AND ?)
             ORDER BY sensed_at DESC, id DESC LIMIT 1"
        ),
        params![family, rule, until, from, from, until],
        alarm,
    )
    .await
}

/// Notes that a notification shows an alarm.
///
/// # Errors
/// As any statement.
pub async fn shows(tx: &mut Tx, notification: RowId, alarm: &Alarm) -> Result<()> {
    tx.execute(
        "INSERT INTO alarm_notifications (notification_id, family_id, alarm_id, episode) VALUES (?, ?, ?, ?)",
        params![notification, alarm.family, alarm.id, alarm.episode],
    )
    .await
    .map(drop)
}

/// The unacknowledged alarms of a family that some notifications show. Those that were made before the last new danger do not
/// show that one.
///
/// # Errors
/// As any statement.
pub async fn shown_by(tx: &mut Tx, family: FamilyId, notifications: &[RowId]) -> Result<Vec<RowId>> {
    if notifications.is_empty() {
        return Ok(Vec::new());
    }
    let marks = vec!["?"; notifications.len()].join(",");
    let mut values: Vec<Value> = notifications.iter().map(|id| Value::from(*id)).collect();
    values.push(family.into());
    tx.fetch(
        format!(
            "SELECT DISTINCT a.id FROM alarm_notifications n JOIN alarms a ON a.id = n.alarm_id
             WHERE n.notification_id IN ({marks}) AND a.family_id = ? AND a.acknowledged_at IS NULL
             AND n.episode >= a.danger_episode"
        ),
        values,
        |row| row.get(0),
    )
    .await
}

/// Marks the notifications that show an alarm as read.
///
/// # Errors
/// As any statement.
pub async fn mark_shown_read(tx: &mut Tx, alarm: &Alarm) -> Result<()> {
    tx.execute(
        "UPDATE notifications SET is_read = 1 WHERE family_id = ? AND id IN (SELECT notification_id FROM alarm_notifications WHERE alarm_id = ?)",
        params![alarm.family, alarm.id],
    )
    .await
    .map(drop)
}

/// A family's alarms, the newest first: only active ones if asked for; before a number, if one is given.
///
/// # Errors
/// As any statement.
pub async fn list(
    tx: &mut Tx,
    permit: &Permit<FamilyId>,
    only_active: bool,
    before: Option<RowId>,
    limit: u32,
) -> Result<Vec<Alarm>> {
    let active = if only_active { " AND open_rule IS NOT NULL" } else { "" };
    let before = before.unwrap_or(RowId(i64::MAX));
    tx.fetch(
        format!(
            "SELECT {COLUMNS} FROM alarms WHERE family_id = ? AND id < ?{active} AND rule IN ({})
             ORDER BY raised_at DESC, id DESC LIMIT ?",
            *OF_THIS_VERSION
        ),
        params![*permit.resource(), before, limit],
        alarm,
    )
    .await
}

/// The alarms of some families that last, the oldest first.
///
/// # Errors
/// As any statement.
pub async fn open_of(tx: &mut Tx, permits: &[Permit<FamilyId>]) -> Result<Vec<Alarm>> {
    const STEP: usize = 500;
    let mut open = Vec::new();
    for step in permits.chunks(STEP) {
        let marks = vec!["?"; step.len()].join(",");
        let values = step.iter().map(|permit| Value::from(*permit.resource())).collect();
        let sql = format!(
            "SELECT {COLUMNS} FROM alarms WHERE family_id IN ({marks}) AND open_rule IN ({}) ORDER BY id",
            *OF_THIS_VERSION
        );
        open.extend(tx.fetch(sql, values, alarm).await?);
    }
    Ok(open)
}

/// The alarms that something is to be done about, the longest due first.
///
/// # Errors
/// As any statement.
pub async fn due(tx: &mut Tx, now: Timestamp, limit: u32) -> Result<Vec<(RowId, FamilyId, Timestamp)>> {
    tx.fetch(
        format!(
            "SELECT id, family_id, next_at FROM alarms WHERE next_at <= ? AND rule IN ({}) ORDER BY next_at LIMIT ?",
            *OF_THIS_VERSION
        ),
        params![now, limit],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )
    .await
}

/// The alarms about which the elder is being asked.
///
/// # Errors
/// As any statement.
pub async fn asking(tx: &mut Tx, permit: &Permit<FamilyId>, now: Timestamp) -> Result<Vec<Alarm>> {
    tx.fetch(
        format!(
            "SELECT {COLUMNS} FROM alarms WHERE family_id = ? AND open_rule IN ({}) AND ask_until > ? AND answer IS NULL
             ORDER BY id",
            *OF_THIS_VERSION
        ),
        params![*permit.resource(), now],
        alarm,
    )
    .await
}

/// The alarms about which nothing is to be done before a time: a page of them, after an alarm if one is given.
///
/// # Errors
/// As any statement.
pub async fn planned_after(
    tx: &mut Tx,
    time: Timestamp,
    behind: Option<RowId>,
    limit: u32,
) -> Result<Vec<(RowId, FamilyId)>> {
    tx.fetch(
        format!(
            "SELECT id, family_id FROM alarms WHERE next_at > ? AND id > ? AND rule IN ({}) ORDER BY id LIMIT ?",
            *OF_THIS_VERSION
        ),
        params![time, behind.unwrap_or(RowId(-1)), limit],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
    .await
}
