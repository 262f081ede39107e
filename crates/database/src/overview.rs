//! The whole installation in numbers, for operators: how much there is and what does not work. Nothing of what people say.

use carebot_model::access::Permit;
use carebot_model::accounts::Role;
use carebot_model::alarms::{Channel, Severity};
use carebot_model::authentication::SessionKind;
use carebot_model::{AccountId, FamilyId, Timestamp};

use crate::connector::Dialect;
use crate::{Result, Tx, params};

/// How much there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Accounts, by role.
    pub accounts: Vec<(Role, i64)>,
    /// Families.
    pub families: i64,
    /// Families whose robot was heard since a time.
    pub robots: i64,
    /// Alarms that last, by severity: how many, and how many of them nobody has confirmed.
    pub alarms: Vec<(Severity, i64, i64)>,
    /// Notices that are still to be handed out.
    pub deliveries: i64,
    /// Of each kind of channel: for how many people it was tried, and for how many it fails.
    pub channels: Vec<(Channel, i64, i64)>,
    /// Servers that run.
    pub nodes: i64,
    /// Pages that follow the stream of events: for how many accounts.
    pub watching: i64,
}

/// A job that one server of several does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub name: String,
    /// Until when it is held.
    pub until: Timestamp,
}

/// Somebody who signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// The account.
    pub account: AccountId,
    /// What it is.
    pub role: Role,
    /// Who holds the session.
    pub kind: SessionKind,
    /// When it was begun.
    pub at: Timestamp,
    /// When it was last used.
    pub last_seen: Timestamp,
    /// Whether it was ended.
    pub is_ended: bool,
}

async fn count(tx: &mut Tx, sql: String, values: Vec<crate::Value>) -> Result<i64> {
    tx.fetch_one(sql, values, |row| row.get(0)).await
}

/// How much there is. A channel fails after `failures` failures in a row; a robot counts that was heard `since`.
///
/// # Errors
/// As any statement.
pub async fn counts(
    tx: &mut Tx,
    _permit: &Permit<()>,
    (since, now): (Timestamp, Timestamp),
    failures: i32,
) -> Result<Counts> {
    let accounts = tx
        .fetch(
            "SELECT role, COUNT(*) FROM accounts WHERE deleted_at IS NULL GROUP BY role ORDER BY role",
            vec![],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .await?;
    let families = count(tx, "SELECT COUNT(*) FROM families WHERE deleted_at IS NULL".to_owned(), vec![]).await?;
    let heard =
        |table: &str| format!("EXISTS (SELECT 1 FROM {table} s WHERE s.family_id = f.id AND s.reported_at >= ?)");
    let robots = count(
        tx,
        format!(
            "SELECT COUNT(*) FROM families f WHERE f.deleted_at IS NULL AND (
             EXISTS (SELECT 1 FROM robots r WHERE r.family_id = f.id AND r.heard_at >= ?) OR {} OR {} OR {})",
            heard("home_status"),
            heard("health_status"),
            heard("active_status")
        ),
        params![since, since, since, since],
    )
    .await?;
    let alarms = tx
        .fetch(
            "SELECT a.severity, COUNT(*), COUNT(CASE WHEN a.acknowledged_at IS NULL THEN 1 END) FROM alarms a
             JOIN families f ON f.id = a.family_id AND f.deleted_at IS NULL
             WHERE a.open_rule IS NOT NULL GROUP BY a.severity ORDER BY a.severity",
            vec![],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .await?;
    let deliveries = count(tx, "SELECT COUNT(*) FROM deliveries WHERE due_at IS NOT NULL".to_owned(), vec![]).await?;
    let channels = tx
        .fetch(
            "SELECT h.channel, COUNT(*), COUNT(CASE WHEN h.failures >= ? THEN 1 END) FROM channel_health h
             JOIN accounts a ON a.id = h.account_id AND a.deleted_at IS NULL GROUP BY h.channel ORDER BY h.channel",
            params![failures],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .await?;
    let nodes = count(tx, "SELECT COUNT(*) FROM nodes WHERE leased_until > ?".to_owned(), params![now]).await?;
    let watching = count(
        tx,
        "SELECT COUNT(DISTINCT SUBSTR(place, 1, 16)) FROM stream_places WHERE believed_until > ?".to_owned(),
        params![now],
    )
    .await?;
    Ok(Counts { accounts, families, robots, alarms, deliveries, channels, nodes, watching })
}

/// The jobs that servers have led, and until when each holds its own.
///
/// # Errors
/// As any statement.
pub async fn leases(tx: &mut Tx, _permit: &Permit<()>) -> Result<Vec<Lease>> {
    tx.fetch("SELECT name, leased_until FROM job_leases ORDER BY name", vec![], |row| {
        Ok(Lease { name: row.get(0)?, until: row.get(1)? })
    })
    .await
}

/// Who signed in last, the newest first.
///
/// # Errors
/// As any statement.
pub async fn sign_ins(tx: &mut Tx, _permit: &Permit<()>, since: Timestamp, limit: u32) -> Result<Vec<SignIn>> {
    tx.fetch(
        "SELECT s.account_id, a.role, s.kind, s.created_at, s.last_seen, s.revoked_at FROM sessions s
         JOIN accounts a ON a.id = s.account_id AND a.deleted_at IS NULL
         WHERE s.created_at >= ? AND s.last_seen >= ? ORDER BY s.created_at DESC, s.id DESC LIMIT ?",
        // A session is used when it is begun: the index on `last_seen` leads to the new ones.
        params![since, since, limit],
        |row| {
            Ok(SignIn {
                account: row.get(0)?,
                role: row.get(1)?,
                kind: row.get(2)?,
                at: row.get(3)?,
                last_seen: row.get(4)?,
                is_ended: row.get::<Option<Timestamp>>(5)?.is_some(),
            })
        },
    )
    .await
}

/// The families of an account: whether it owns each, and whether it belongs to it or has only asked to.
///
/// # Errors
/// As any statement.
pub async fn families_of(tx: &mut Tx, permit: &Permit<AccountId>) -> Result<Vec<(FamilyId, bool, bool)>> {
    let account = *permit.resource();
    let mut families: Vec<(FamilyId, bool, bool)> = tx
        .fetch("SELECT id FROM families WHERE main_user = ? AND deleted_at IS NULL", params![account], |row| {
            Ok((row.get(0)?, true, true))
        })
        .await?;
    families.extend(
        tx.fetch(
            "SELECT m.family_id, m.approved_at FROM members m JOIN families f ON f.id = m.family_id AND f.deleted_at IS NULL
             WHERE m.user_id = ? ORDER BY m.family_id",
            params![account],
            |row| Ok((row.get(0)?, false, row.get::<Option<Timestamp>>(1)?.is_some())),
        )
        .await?,
    );
    Ok(families)
}

/// How many bytes the database takes, as far as its engine says.
///
/// # Errors
/// As any statement.
pub async fn size(tx: &mut Tx, _permit: &Permit<()>, dialect: Dialect) -> Result<Option<i64>> {
    let sql = match dialect {
        Dialect::Sqlite => "SELECT p.page_count * s.page_size FROM pragma_page_count() p, pragma_page_size() s",
        Dialect::MariaDb => {
            "SELECT CAST(SUM(data_length + index_length) AS SIGNED) FROM information_schema.tables
             WHERE table_schema = DATABASE()"
        }
    };
    tx.fetch_optional(sql, vec![], |row| row.get(0)).await.map(Option::flatten)
}
