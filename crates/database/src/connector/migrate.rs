//! The schema, and how it came to be.
//!
//! Migrations are files `migrations/NNNN_name.sql`, in order, never changed once released (their checksum is stored). They
//! are written once for both engines with `{{words}}` for types; this, and a lock that also holds in a Galera cluster
//! (where the engines' own locks do not), is why they are not left to a library.
//!
//! MariaDB commits at every change of a table, so a migration there is not one transaction: every statement must be
//! repeatable (`IF NOT EXISTS`), and how far it got is stored after each.
//!
//! # To add a migration
//! Write the next file and add its line to `MIGRATIONS`.

use std::time::Duration;

use carebot_model::Timestamp;

use crate::ambient::{Clock, Rng};
use crate::connector::error::DbError;
use crate::connector::{Db, Dialect};
use crate::{Result, params, transact};

/// One migration of this program.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Its number, from 1.
    pub version: i64,
    /// Its name.
    pub name: &'static str,
    text: &'static str,
}

/// Every migration of this program, in order.
pub const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "foundation", text: include_str!("../../migrations/0001_foundation.sql") },
    Migration { version: 2, name: "conversations", text: include_str!("../../migrations/0002_conversations.sql") },
    Migration { version: 3, name: "images", text: include_str!("../../migrations/0003_images.sql") },
    Migration { version: 4, name: "outside", text: include_str!("../../migrations/0004_outside.sql") },
    Migration { version: 5, name: "import", text: include_str!("../../migrations/0005_import.sql") },
    Migration { version: 6, name: "alarms", text: include_str!("../../migrations/0006_alarms.sql") },
    Migration { version: 7, name: "rollups", text: include_str!("../../migrations/0007_rollups.sql") },
    Migration { version: 8, name: "alarm_rounds", text: include_str!("../../migrations/0008_alarm_rounds.sql") },
    Migration { version: 9, name: "invitations", text: include_str!("../../migrations/0009_invitations.sql") },
    Migration { version: 10, name: "password_resets", text: include_str!("../../migrations/0010_password_resets.sql") },
    Migration { version: 11, name: "spoken", text: include_str!("../../migrations/0011_spoken.sql") },
    Migration { version: 12, name: "places", text: include_str!("../../migrations/0012_places.sql") },
];

/// What has been done to a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The migration's number.
    pub version: i64,
    /// Its name.
    pub name: String,
    /// The checksum of its text when it was applied.
    pub checksum: String,
    /// When it was finished; `None` if it was interrupted.
    pub finished_at: Option<Timestamp>,
}

/// The state of a database's schema.
#[derive(Clone, Debug)]
pub struct Status {
    /// What was applied, in order.
    pub applied: Vec<Applied>,
    /// What is still to be applied.
    pub pending: Vec<Migration>,
}

/// Stands among the migrations while a backup is restored, so that nobody takes what is there for the whole.
const RESTORE: i64 = 1_000_000;
/// How long another server's migration may take between two steps before its lock counts as left behind.
const LOCK: Duration = Duration::from_mins(1);
/// How often the lock is asked for.
const POLL: Duration = Duration::from_millis(200);

impl Migration {
    /// SHA-256 of its text, in hexadecimal.
    pub fn checksum(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, self.text.as_bytes());
        carebot_model::text::hexadecimal(digest.as_ref())
    }

    /// Its statements in the engine's language.
    fn statements(&self, dialect: Dialect) -> Result<Vec<String>> {
        let mut statements = Vec::new();
        let (mut current, mut wanted) = (String::new(), true);
        for line in self.text.lines() {
            let trimmed = line.trim();
            if let Some(engine) = trimmed.strip_prefix("-- only:") {
                wanted = engine.trim() == dialect.name();
            } else if !trimmed.starts_with("--") && !trimmed.is_empty() {
                current.push_str(line);
                current.push('\n');
                if trimmed.ends_with(';') {
                    let statement = std::mem::take(&mut current);
                    if std::mem::replace(&mut wanted, true) {
                        statements.push(translate(statement.trim_end().trim_end_matches(';'), dialect)?);
                    }
                }
            }
        }
        Ok(statements)
    }
}

fn translate(statement: &str, dialect: Dialect) -> Result<String> {
    let mut parts = statement.split("{{");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (word, rest) = part.split_once("}}").unwrap_or((part, ""));
        let word =
            dialect.word(word).ok_or_else(|| DbError::Schema(format!("a migration has an unknown word `{word}`")))?;
        text.push_str(&word);
        text.push_str(rest);
    }
    Ok(text)
}

/// Where a database stands. A database without any table has nothing applied.
///
/// # Errors
/// [`DbError::Schema`] if it is newer than this program or was migrated with another text; else as any statement.
pub async fn status(db: &Db) -> Result<Status> {
    let exists = match db.dialect() {
        Dialect::Sqlite => "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'schema_migrations'",
        Dialect::MariaDb => {
            "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'schema_migrations'"
        }
    };
    let mut tx = db.read();
    let applied = if tx.fetch_one(exists, vec![], |row| row.get::<i64>(0)).await? == 0 {
        Vec::new()
    } else {
        tx.fetch("SELECT version, name, checksum, finished_at FROM schema_migrations ORDER BY version", vec![], |row| {
            Ok(Applied { version: row.get(0)?, name: row.get(1)?, checksum: row.get(2)?, finished_at: row.get(3)? })
        })
        .await?
    };
    for done in &applied {
        if done.version == RESTORE {
            return Err(DbError::Schema(
                "a restore into this database did not come to its end, so much may be missing; restore into a new SQLite file \
                 or an empty schema"
                    .into(),
            ));
        }
        let Some(known) = MIGRATIONS.iter().find(|migration| migration.version == done.version) else {
            return Err(DbError::Schema(format!(
                "the database is newer than this program: it has migration {} ({}), this program ends at {}; \
                 install the version that made it or a later one",
                done.version,
                done.name,
                MIGRATIONS.len()
            )));
        };
        if known.checksum() != done.checksum {
            return Err(DbError::Schema(format!(
                "migration {} ({}) was applied with another text than this program has; do not use this database with it",
                done.version, done.name
            )));
        }
    }
    let is_done = |version| applied.iter().any(|done| done.version == version && done.finished_at.is_some());
    let pending = MIGRATIONS.iter().copied().filter(|migration| !is_done(migration.version)).collect();
    Ok(Status { applied, pending })
}

/// Whether the schema is exactly what this program needs.
///
/// # Errors
/// [`DbError::Schema`] with what to do if not; else as any statement.
pub async fn check(db: &Db) -> Result<()> {
    let status = status(db).await?;
    match status.pending.first() {
        None => Ok(()),
        Some(next) => Err(DbError::Schema(format!(
            "the database is older than this program (migration {} is missing); run `carebot migrate`",
            next.version
        ))),
    }
}

/// Applies what is missing, and says what was applied. Two servers that start at once wait for each other.
///
/// # Errors
/// As [`status`]; [`DbError::Unavailable`] if another server holds the lock for too long.
pub async fn run(db: &Db, clock: &dyn Clock, rng: &dyn Rng) -> Result<Vec<Migration>> {
    run_to(db, clock, rng, i64::MAX).await
}

/// As [`run`], up to and with a version; for what was written by an older program.
///
/// # Errors
/// As [`run`].
pub async fn run_to(db: &Db, clock: &dyn Clock, rng: &dyn Rng, last: i64) -> Result<Vec<Migration>> {
    // Nothing is written to a database that this program must not touch, nor to one that is up to date.
    if status(db).await?.pending.iter().all(|migration| migration.version > last) {
        return Ok(Vec::new());
    }
    let db = &db.patient();
    bookkeeping(db).await?;
    let mut bytes = [0; 8];
    rng.fill(&mut bytes);
    let holder = i64::from_le_bytes(bytes) >> 11;
    lock(db, clock, holder).await?;
    let done = apply_pending(db, clock, holder, last).await;
    let unlocked =
        db.execute("UPDATE schema_lock SET locked_until = 0 WHERE id = 1 AND holder = ?", params![holder]).await;
    let done = done?;
    unlocked?;
    Ok(done)
}

/// Marks a database as one that a backup is being restored into: until [`end_restore`] nothing else accepts it.
///
/// # Errors
/// [`DbError::Duplicate`] if it is marked already; else as any statement.
pub async fn begin_restore(db: &Db) -> Result<()> {
    let sql = "INSERT INTO schema_migrations (version, name, checksum, steps, finished_at) VALUES (?, 'restore', '', 0, NULL)";
    db.execute(sql, params![RESTORE]).await.map(drop)
}

/// Takes the mark away: everything is there.
///
/// # Errors
/// As any statement.
pub async fn end_restore(db: &Db) -> Result<()> {
    db.execute("DELETE FROM schema_migrations WHERE version = ?", params![RESTORE]).await.map(drop)
}

async fn bookkeeping(db: &Db) -> Result<()> {
    let tables = [
        "CREATE TABLE IF NOT EXISTS schema_migrations (
           version {{bigint}} NOT NULL PRIMARY KEY, name {{text:64}} NOT NULL, checksum {{text:64}} NOT NULL,
           steps {{bigint}} NOT NULL, finished_at {{time}}) {{clustered}}",
        "CREATE TABLE IF NOT EXISTS schema_lock (
           id {{bigint}} NOT NULL PRIMARY KEY, holder {{bigint}} NOT NULL, locked_until {{time}} NOT NULL) {{clustered}}",
    ];
    for table in tables {
        db.execute(&translate(table, db.dialect())?, vec![]).await?;
    }
    match db.execute("INSERT INTO schema_lock (id, holder, locked_until) VALUES (1, 0, 0)", vec![]).await {
        Ok(_) | Err(DbError::Duplicate { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// A lock with an end: what a crashed server leaves behind does not stop the next for ever.
async fn lock(db: &Db, clock: &dyn Clock, holder: i64) -> Result<()> {
    let lock = i64::try_from(LOCK.as_millis()).unwrap_or(i64::MAX);
    let tries = LOCK.as_millis() * 2 / POLL.as_millis();
    for _ in 0..tries {
        let now = clock.now();
        let taken = db
            .execute(
                "UPDATE schema_lock SET holder = ?, locked_until = ? WHERE id = 1 AND (locked_until < ? OR holder = ?)",
                params![holder, now.plus_millis(lock), now, holder],
            )
            .await;
        match taken {
            Ok(0) | Err(DbError::Conflict(_)) => tokio::time::sleep(POLL).await,
            Ok(_) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Err(DbError::Unavailable("another server has been changing the schema for two minutes".into()))
}

async fn apply_pending(db: &Db, clock: &dyn Clock, holder: i64, last: i64) -> Result<Vec<Migration>> {
    // Asked again under the lock: another server may have done it.
    let mut pending = status(db).await?.pending;
    pending.retain(|migration| migration.version <= last);
    for migration in &pending {
        let statements = migration.statements(db.dialect())?;
        match db.dialect() {
            Dialect::Sqlite => apply_whole(db, clock, migration, &statements).await?,
            Dialect::MariaDb => apply_stepwise(db, clock, holder, migration, &statements).await?,
        }
    }
    Ok(pending)
}

async fn apply_whole(db: &Db, clock: &dyn Clock, migration: &Migration, statements: &[String]) -> Result<()> {
    let steps = i64::try_from(statements.len()).unwrap_or(i64::MAX);
    transact!(db, tx => {
        for statement in statements {
            tx.execute(statement.clone(), vec![]).await?;
        }
        tx.execute(
            "INSERT INTO schema_migrations (version, name, checksum, steps, finished_at) VALUES (?, ?, ?, ?, ?)",
            params![migration.version, migration.name, migration.checksum(), steps, clock.now()],
        )
        .await?;
        Ok::<_, DbError>(())
    })
}

async fn apply_stepwise(
    db: &Db,
    clock: &dyn Clock,
    holder: i64,
    migration: &Migration,
    statements: &[String],
) -> Result<()> {
    let started = db
        .execute(
            "INSERT INTO schema_migrations (version, name, checksum, steps, finished_at) VALUES (?, ?, ?, 0, NULL)",
            params![migration.version, migration.name, migration.checksum()],
        )
        .await;
    match started {
        Ok(_) | Err(DbError::Duplicate { .. }) => {}
        Err(error) => return Err(error),
    }
    let done = db
        .read()
        .fetch_one("SELECT steps FROM schema_migrations WHERE version = ?", params![migration.version], |row| {
            row.get::<i64>(0)
        })
        .await?;
    for (step, statement) in (1_i64..).zip(statements).skip(usize::try_from(done).unwrap_or_default()) {
        lock(db, clock, holder).await?;
        db.execute(statement, vec![]).await?;
        db.execute("UPDATE schema_migrations SET steps = ? WHERE version = ?", params![step, migration.version])
            .await?;
    }
    db.execute(
        "UPDATE schema_migrations SET finished_at = ? WHERE version = ?",
        params![clock.now(), migration.version],
    )
    .await
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_one_two_three() {
        for (expected, migration) in (1..).zip(MIGRATIONS) {
            assert_eq!(migration.version, expected);
        }
    }

    #[test]
    fn every_word_is_known_to_both_engines_and_no_placeholder_is_left() {
        for migration in MIGRATIONS {
            for dialect in [Dialect::Sqlite, Dialect::MariaDb] {
                let statements = migration.statements(dialect).expect("known words");
                assert!(statements.iter().all(|statement| !statement.contains("{{") && !statement.contains("}}")));
                assert!(!statements.is_empty());
            }
        }
    }

    #[test]
    fn every_foreign_key_cascades() {
        for migration in MIGRATIONS {
            let keys = migration.text.matches("FOREIGN KEY").count();
            assert_eq!(keys, migration.text.matches("ON DELETE CASCADE").count(), "{}", migration.name);
        }
    }
}
