//! Rules of families: what they set, what the rules know, ladders, and what is known of robots.

use std::sync::LazyLock;

use carebot_model::access::Permit;
use carebot_model::alarms::threshold::State;
use carebot_model::alarms::{Rule, Severity};
use carebot_model::{AccountId, Date, FamilyId, Timestamp};

use crate::connector::error::DbError;
use crate::listing::{Listing, Range};
use crate::{Result, Row, Tx, params};

/// The rules that this version knows, as SQL: beside a newer one, or after it was taken back, there can be others, and the known ones
/// must be judged all the same.
pub(crate) static OF_THIS_VERSION: LazyLock<String> = LazyLock::new(|| names(Rule::ALL.iter()));

/// Names of rules as SQL.
pub(crate) fn names<'a>(rules: impl Iterator<Item = &'a Rule>) -> String {
    rules.map(|rule| format!("'{rule}'")).collect::<Vec<_>>().join(",")
}

/// What a family set about a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The rule.
    pub rule: Rule,
    /// Numbers that differ from the defaults: a JSON object.
    pub parameters: String,
    /// Until when it is muted, by whom, and why.
    pub muted: Option<(Timestamp, Option<AccountId>, String)>,
}

/// What a family set about its rules.
///
/// # Errors
/// As any statement.
pub async fn settings(tx: &mut Tx, family: FamilyId) -> Result<Vec<Setting>> {
    tx.fetch(
        format!(
            "SELECT rule, parameters, muted_until, muted_by, muted_reason FROM rules WHERE family_id = ? AND rule IN ({})
             ORDER BY rule",
            *OF_THIS_VERSION
        ),
        params![family],
        |row| {
            let (until, by, reason): (Option<Timestamp>, Option<AccountId>, Option<String>) =
                (row.get(2)?, row.get(3)?, row.get(4)?);
            Ok(Setting {
                rule: row.get(0)?,
                parameters: row.get(1)?,
                muted: until.map(|until| (until, by, reason.unwrap_or_default())),
            })
        },
    )
    .await
}

/// Stores what a family set about a rule.
///
/// # Errors
/// As any statement.
pub async fn set(tx: &mut Tx, permit: &Permit<FamilyId>, setting: &Setting, now: Timestamp) -> Result<()> {
    let family = *permit.resource();
    let (until, by, reason) = match &setting.muted {
        Some((until, by, reason)) => (Some(*until), *by, Some(reason.as_str())),
        None => (None, None, None),
    };
    tx.execute("DELETE FROM rules WHERE family_id = ? AND rule = ?", params![family, setting.rule]).await?;
    tx.execute(
        "INSERT INTO rules (family_id, rule, parameters, muted_until, muted_by, muted_reason, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        params![family, setting.rule, setting.parameters.as_str(), until, by, reason, now],
    )
    .await
    .map(drop)
}

/// The steps a family set for a severity: a JSON list.
///
/// # Errors
/// As any statement.
pub async fn ladder(tx: &mut Tx, family: FamilyId, severity: Severity) -> Result<Option<String>> {
    tx.fetch_optional(
        "SELECT steps FROM ladders WHERE family_id = ? AND severity = ?",
        params![family, severity],
        |row| row.get(0),
    )
    .await
}

/// Stores the steps of a family for a severity; none makes it the default again.
///
/// # Errors
/// As any statement.
pub async fn set_ladder(
    tx: &mut Tx,
    permit: &Permit<FamilyId>,
    severity: Severity,
    steps: Option<&str>,
    now: Timestamp,
) -> Result<()> {
    let family = *permit.resource();
    tx.execute("DELETE FROM ladders WHERE family_id = ? AND severity = ?", params![family, severity]).await?;
    if let Some(steps) = steps {
        tx.execute(
            "INSERT INTO ladders (family_id, severity, steps, updated_at) VALUES (?, ?, ?, ?)",
            params![family, severity, steps, now],
        )
        .await?;
    }
    Ok(())
}

/// What a rule knows of a family.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Known {
    /// Of the readings.
    pub state: State,
    /// Since when readings came in that it has not seen.
    pub dirty_from: Option<Timestamp>,
}

fn known(row: &Row<'_>) -> Result<Known> {
    let (at, value): (Option<Timestamp>, Option<f64>) = (row.get(4)?, row.get(5)?);
    Ok(Known {
        state: State {
            level: row.get(0)?,
            warn_since: row.get(1)?,
            crit_since: row.get(2)?,
            normal_since: row.get(3)?,
            last: at.zip(value),
        },
        dirty_from: row.get(6)?,
    })
}

/// What a rule knows of a family; nothing if it never had to look.
///
/// # Errors
/// As any statement.
pub async fn state(tx: &mut Tx, family: FamilyId, rule: Rule) -> Result<Known> {
    let found = tx
        .fetch_optional(
            "SELECT level, warn_since, crit_since, normal_since, last_at, last_value, dirty_from FROM rule_states
             WHERE family_id = ? AND rule = ?",
            params![family, rule],
            known,
        )
        .await?;
    Ok(found.unwrap_or_default())
}

/// Locks what a rule knows of a family until the end of the transaction: reports that mark the rule wait, or are seen.
///
/// # Errors
/// As any statement.
pub async fn lock(tx: &mut Tx, family: FamilyId, rule: Rule) -> Result<()> {
    tx.lock_one("SELECT 1 FROM rule_states WHERE family_id = ? AND rule = ?", params![family, rule]).await.map(drop)
}

/// Stores what a rule knows, and when it is to look again. Nothing is dirty any more: whoever calls [locked](lock) it before
/// reading anything.
///
/// # Errors
/// As any statement.
pub async fn save_state(
    tx: &mut Tx,
    family: FamilyId,
    rule: Rule,
    state: &State,
    due_at: Option<Timestamp>,
) -> Result<()> {
    let (at, value) = state.last.unzip();
    let stored = tx
        .execute(
            "UPDATE rule_states SET level = ?, warn_since = ?, crit_since = ?, normal_since = ?, last_at = ?, last_value = ?,
                 dirty_from = NULL, due_at = ? WHERE family_id = ? AND rule = ?",
            params![state.level, state.warn_since, state.crit_since, state.normal_since, at, value, due_at, family, rule],
        )
        .await?;
    if stored == 0 {
        tx.execute(
            "INSERT INTO rule_states (family_id, rule, level, warn_since, crit_since, normal_since, last_at, last_value, due_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![family, rule, state.level, state.warn_since, state.crit_since, state.normal_since, at, value, due_at],
        )
        .await?;
    }
    Ok(())
}

/// Has a rule look at readings from a time on, in the transaction that stores them.
///
/// # Errors
/// As any statement.
pub async fn mark(tx: &mut Tx, family: FamilyId, rule: Rule, from: Timestamp, now: Timestamp) -> Result<()> {
    let marked = tx
        .execute(
            "UPDATE rule_states SET dirty_from = CASE WHEN dirty_from IS NULL OR dirty_from > ? THEN ? ELSE dirty_from END,
                 due_at = CASE WHEN due_at IS NULL OR due_at > ? THEN ? ELSE due_at END
             WHERE family_id = ? AND rule = ?",
            params![from, from, now, now, family, rule],
        )
        .await?;
    if marked == 0 {
        let made = tx
            .execute(
                "INSERT INTO rule_states (family_id, rule, dirty_from, due_at) VALUES (?, ?, ?, ?)",
                params![family, rule, from, now],
            )
            .await;
        match made {
            // Another report made it in this moment: the transaction is tried again and finds it.
            Err(DbError::Duplicate { .. }) => return Err(DbError::Conflict("two reports marked one rule".into())),
            made => drop(made?),
        }
    }
    Ok(())
}

/// Rules that have to look: those that readings came in for before those whose time has come, and of each the longest due first.
///
/// # Errors
/// As any statement.
pub async fn due(tx: &mut Tx, now: Timestamp, limit: u32) -> Result<Vec<(FamilyId, Rule, Timestamp)>> {
    tx.fetch(
        format!(
            "SELECT s.family_id, s.rule, s.due_at FROM rule_states s WHERE s.due_at <= ? AND s.rule IN ({})
             ORDER BY CASE WHEN s.dirty_from IS NULL THEN 1 ELSE 0 END, s.due_at LIMIT ?",
            *OF_THIS_VERSION
        ),
        params![now, limit],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )
    .await
}

/// Has every rule look now that was to look after a time; it plans anew. How many there were.
///
/// # Errors
/// As any statement.
pub async fn look_again(tx: &mut Tx, now: Timestamp, after: Timestamp) -> Result<u64> {
    tx.execute("UPDATE rule_states SET due_at = ? WHERE due_at > ?", params![now, after]).await
}

/// Gives every family its rules that need no report to look: whoever made the family, and however.
///
/// # Errors
/// As any statement.
pub async fn give_watches(tx: &mut Tx, rule: Rule, now: Timestamp) -> Result<u64> {
    tx.execute(
        "INSERT INTO rule_states (family_id, rule, due_at)
         SELECT f.id, ?, ? FROM families f WHERE f.deleted_at IS NULL
         AND NOT EXISTS (SELECT 1 FROM rule_states s WHERE s.family_id = f.id AND s.rule = ?)",
        params![rule, now, rule],
    )
    .await
}

/// When a family was made, if it is there.
///
/// # Errors
/// As any statement.
pub async fn made_at(tx: &mut Tx, family: FamilyId) -> Result<Option<Timestamp>> {
    tx.fetch_optional("SELECT created_at FROM families WHERE id = ? AND deleted_at IS NULL", params![family], |row| {
        row.get(0)
    })
    .await
}

/// How far ahead clocks of servers may differ, in milliseconds. What lies further ahead was noted by one that was wrong, and is no
/// sign of anybody.
const AHEAD: i64 = 5 * 60_000;

/// The newest of a family's readings in a table up to a time, by when it came in.
async fn newest_in(tx: &mut Tx, table: &str, family: FamilyId, until: Timestamp) -> Result<Option<Timestamp>> {
    tx.fetch_optional(
        format!(
            "SELECT reported_at, received_at FROM {table} WHERE family_id = ? AND reported_at <= ?
             ORDER BY reported_at DESC, id DESC LIMIT 1"
        ),
        params![family, until],
        move |row| {
            let (reported_at, received_at): (Timestamp, Timestamp) = (row.get(0)?, row.get(1)?);
            Ok(if received_at <= until { received_at } else { reported_at })
        },
    )
    .await
}

/// When anything was last heard of a family's robot: a report, or that it lives.
///
/// # Errors
/// As any statement.
pub async fn heard_at(tx: &mut Tx, family: FamilyId, now: Timestamp) -> Result<Option<Timestamp>> {
    let until = now.plus_millis(AHEAD);
    let mut newest = robot(tx, family).await?.and_then(|robot| robot.heard_at).filter(|at| *at <= until);
    for table in ["home_status", "health_status", "active_status"] {
        newest = newest.max(newest_in(tx, table, family, until).await?);
    }
    Ok(newest)
}

/// How far back reports are looked through for a pulse, in milliseconds: a robot without a sensor sends many without one.
const PULSES: i64 = 2 * 24 * 3_600_000;

/// When the elder last gave a sign of life: did something, said something, had a pulse. A report without one is none. `known` is
/// what was found before.
///
/// # Errors
/// As any statement.
pub async fn seen_at(
    tx: &mut Tx,
    family: FamilyId,
    known: Option<Timestamp>,
    now: Timestamp,
) -> Result<Option<Timestamp>> {
    let until = now.plus_millis(AHEAD);
    let mut newest = known.filter(|at| *at <= until);
    for sql in [
        "SELECT reported_at FROM active_status WHERE family_id = ? AND reported_at <= ?
         ORDER BY reported_at DESC, id DESC LIMIT 1",
        "SELECT t.created_at FROM families f JOIN chat_turns t ON t.account_id = f.main_user
         WHERE f.id = ? AND t.created_at <= ? ORDER BY t.created_at DESC, t.id DESC LIMIT 1",
        "SELECT m.created_at FROM families f JOIN messages m ON m.from_id = f.main_user
         WHERE f.id = ? AND m.created_at <= ? ORDER BY m.created_at DESC, m.id DESC LIMIT 1",
    ] {
        newest = newest.max(tx.fetch_optional(sql, params![family, until], |row| row.get(0)).await?);
    }
    let pulse = tx
        .fetch_optional(
            "SELECT reported_at FROM health_status WHERE family_id = ? AND reported_at > ? AND reported_at <= ?
             AND heart_rate > 0 ORDER BY reported_at DESC, id DESC LIMIT 1",
            params![family, newest.max(Some(now.plus_millis(-PULSES))), until],
            |row| row.get(0),
        )
        .await?;
    Ok(newest.max(pulse))
}

/// Where signs are found: of a robot that works, or of an elder who lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signs {
    /// Readings of the home.
    Home,
    /// Readings of the elder's health.
    Health,
    /// Those of them with a pulse.
    Pulse,
    /// What the elder did.
    Active,
    /// What the elder said to the robot.
    Chat,
    /// What the elder wrote.
    Message,
}

impl Signs {
    /// Where [`heard_at`] looks.
    pub const OF_ROBOT: [Self; 3] = [Self::Home, Self::Health, Self::Active];
    /// Where [`seen_at`] looks.
    pub const OF_LIFE: [Self; 4] = [Self::Pulse, Self::Active, Self::Chat, Self::Message];
}

/// The signs of one sort in a range: when each happened, its number, and when it came in.
pub fn signs(permit: &Permit<FamilyId>, signs: Signs, range: Range) -> Listing {
    let (from, by_elder) = match signs {
        Signs::Home => ("home_status s", false),
        Signs::Health | Signs::Pulse => ("health_status s", false),
        Signs::Active => ("active_status s", false),
        Signs::Chat => ("families f JOIN chat_turns s ON s.account_id = f.main_user", true),
        Signs::Message => ("families f JOIN messages s ON s.from_id = f.main_user", true),
    };
    let (time, received, filter) = match (by_elder, signs) {
        (true, _) => ("s.created_at", "s.created_at", "f.id = ?"),
        (false, Signs::Pulse) => ("s.reported_at", "s.received_at", "s.family_id = ? AND s.heart_rate > 0"),
        (false, _) => ("s.reported_at", "s.received_at", "s.family_id = ?"),
    };
    let columns = format!("{time}, s.id, {received}");
    Listing { columns, from: from.to_owned(), filter, values: params![*permit.resource()], time, id: "s.id", range }
}

/// A family's scores of the mood in a range: when, the number, the score.
pub fn scored(permit: &Permit<FamilyId>, range: Range) -> Listing {
    Listing {
        columns: "s.reported_at, s.id, s.score".to_owned(),
        from: "mental_status s".to_owned(),
        filter: "s.family_id = ? AND s.score IS NOT NULL",
        values: params![*permit.resource()],
        time: "s.reported_at",
        id: "s.id",
        range,
    }
}

/// The last score of each of a family's last days, in order.
///
/// # Errors
/// As any statement.
pub async fn scores(tx: &mut Tx, family: FamilyId, since: Timestamp) -> Result<Vec<(Date, i32)>> {
    let rows: Vec<(Timestamp, i32)> = tx
        .fetch(
            "SELECT reported_at, score FROM mental_status WHERE family_id = ? AND reported_at >= ? AND score IS NOT NULL
             ORDER BY reported_at, id",
            params![family, since],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .await?;
    let mut days: Vec<(Date, i32)> = Vec::new();
    for (at, score) in rows {
        let day = carebot_model::korea::date(at);
        match days.last_mut() {
            Some((last, latest)) if *last == day => *latest = score,
            _ => days.push((day, score)),
        }
    }
    Ok(days)
}

/// What is known of a family's robot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Robot {
    /// When it last said that it lives.
    pub heard_at: Option<Timestamp>,
    /// When it last read what it is to ask.
    pub prompts_at: Option<Timestamp>,
    /// When it was last refused because its session had been ended.
    pub refused_at: Option<Timestamp>,
    /// The version of its program.
    pub version: Option<String>,
    /// Its battery in percent.
    pub battery: Option<i32>,
}

/// What is known of a family's robot.
///
/// # Errors
/// As any statement.
pub async fn robot(tx: &mut Tx, family: FamilyId) -> Result<Option<Robot>> {
    tx.fetch_optional(
        "SELECT heard_at, prompts_at, refused_at, version, battery FROM robots WHERE family_id = ?",
        params![family],
        |row| {
            Ok(Robot {
                heard_at: row.get(0)?,
                prompts_at: row.get(1)?,
                refused_at: row.get(2)?,
                version: row.get(3)?,
                battery: row.get(4)?,
            })
        },
    )
    .await
}

/// Notes something about a family's robot; what is not given stays.
///
/// # Errors
/// As any statement.
pub async fn note_robot(tx: &mut Tx, family: FamilyId, robot: &Robot) -> Result<()> {
    let Robot { heard_at, prompts_at, refused_at, version, battery } = robot;
    let values = params![*heard_at, *prompts_at, *refused_at, version.as_deref(), *battery, family];
    let noted = tx
        .execute(
            "UPDATE robots SET heard_at = COALESCE(?, heard_at), prompts_at = COALESCE(?, prompts_at),
                 refused_at = COALESCE(?, refused_at), version = COALESCE(?, version), battery = COALESCE(?, battery)
             WHERE family_id = ?",
            values.clone(),
        )
        .await?;
    if noted == 0 {
        let made = tx
            .execute(
                "INSERT INTO robots (heard_at, prompts_at, refused_at, version, battery, family_id) VALUES (?, ?, ?, ?, ?, ?)",
                values,
            )
            .await;
        match made {
            Err(DbError::Duplicate { .. }) => return Err(DbError::Conflict("two requests noted one robot".into())),
            made => drop(made?),
        }
    }
    Ok(())
}
