//! Moving an existing installation over: one with every kind of fault is made on MariaDB and copied to both engines.

mod again;
mod broken;
mod copied;
mod faults;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use carebot_database::import::{self, Counts, ImportError, Outcome, Report, Settings, Source};
use carebot_model::authentication::IdleLimits;
use carebot_testkit::mariadb::{self, Server};
use serde_json::Value as Json;

use crate::prelude::*;

/// An existing installation, and a user of its database who may only read it.
pub struct Existing {
    pub schema: String,
    reader: String,
}

/// The hash of `grandma-1945`, cost 4.
pub const BCRYPT: &str = "$2b$04$abcdefghijklmnopqrstuu1dIKBpnysVCsoqIxfhC3o5WgM9ZZBc2";

impl Existing {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let existing = Self { schema: format!("existing_{number}"), reader: format!("reader_{number}") };
        let Self { schema, reader } = &existing;
        let server = Self::server();
        server
            .execute(&format!(
                "CREATE DATABASE {schema}; CREATE USER {reader} IDENTIFIED BY 'p@ss'; GRANT SELECT ON {schema}.* TO {reader}"
            ))
            .unwrap();
        let sql = include_str!("import/existing.sql").replace("$2b$04$BCRYPT", BCRYPT);
        existing.execute(&sql);
        existing
    }

    fn server() -> &'static Server {
        mariadb::shared()
    }

    /// Changes the installation, as it does itself.
    pub fn execute(&self, sql: &str) -> String {
        Self::server()
            .execute(&format!("USE {}; SET SESSION sql_mode = '', time_zone = '+00:00'; {sql}", self.schema))
            .unwrap()
    }

    pub fn url(&self) -> String {
        format!("mariadb://{}:p%40ss@127.0.0.1:{}/{}", self.reader, Self::server().port(), self.schema)
    }

    pub async fn open(&self) -> Source {
        Source::open(&self.url().parse().unwrap()).await.unwrap()
    }

    /// What the engine says of the content of every table.
    pub fn checksums(&self) -> String {
        let tables = self.execute("SHOW TABLES");
        let tables: Vec<&str> = tables.split_whitespace().collect();
        self.execute(&format!("CHECKSUM TABLE {}", tables.join(", ")))
    }

    /// Takes the right to read away, and the connections with it.
    pub fn lock(&self) {
        let Self { schema, reader } = self;
        Self::server().execute(&format!("REVOKE SELECT ON {schema}.* FROM {reader}; KILL USER {reader}")).unwrap();
    }

    pub fn unlock(&self) {
        let Self { schema, reader } = self;
        Self::server().execute(&format!("GRANT SELECT ON {schema}.* TO {reader}")).unwrap();
    }
}

/// A file in memory.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    pub fn json(&self) -> Vec<Json> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

pub fn settings(t: &TestDb, page: u32) -> Settings<'_> {
    Settings { dry_run: false, idle: IdleLimits::default(), page, clock: &*t.clock, rng: &*t.rng }
}

/// What an import did.
pub struct Ran {
    pub outcome: Result<Outcome, ImportError>,
    pub lines: Lines,
}

impl Ran {
    #[track_caller]
    pub fn tables(self) -> BTreeMap<&'static str, Counts> {
        let outcome = self.outcome.unwrap();
        assert!(outcome.is_complete);
        outcome.tables.into_iter().map(|counts| (counts.table, counts)).collect()
    }
}

/// Imports with a report of its own, and asks `watch` after every page.
pub async fn import_with(
    existing: &Existing,
    t: &TestDb,
    settings: Settings<'_>,
    mut watch: impl FnMut(&Counts) -> ControlFlow<()> + Send,
) -> Ran {
    let source = existing.open().await;
    let lines = Lines::default();
    let mut report = Report::new(Box::new(lines.clone()), []);
    let outcome = import::run(&source, Some(&t.db), settings, &mut report, &mut watch).await;
    source.close().await;
    Ran { outcome, lines }
}

pub async fn import(existing: &Existing, t: &TestDb) -> Ran {
    import_with(existing, t, settings(t, 300), |_| ControlFlow::Continue(())).await
}

pub fn account(id: &str) -> AccountId {
    AccountId::parse(id).unwrap()
}

pub fn family(id: &str) -> FamilyId {
    FamilyId::parse(id).unwrap()
}

/// Everything that was taken over, as the engine has it, without what is only about the import and its time.
pub async fn everything(t: &TestDb) -> Vec<(&'static str, i64, i64)> {
    let mut all = Vec::new();
    for (table, sum) in [
        ("accounts", "LENGTH(COALESCE(email_key, '')) + LENGTH(password_hash)"),
        ("families", "LENGTH(family_name)"),
        ("members", "LENGTH(COALESCE(nickname, '')) * (1 + (approved_at IS NULL)) + sort_order"),
        ("settings", "is_alarm_enabled + 2 * is_camera_enabled + 4 * is_microphone_enabled + 8 * is_driving_enabled"),
        ("sessions", "last_seen / 1000"),
        ("home_status", "reported_at / 1000 + id"),
        ("health_status", "reported_at / 1000 + id"),
        ("active_status", "reported_at / 1000 + id"),
        ("mental_status", "reported_at / 1000 + id + LENGTH(description)"),
        ("mental_reports", "reported_at / 1000 + id"),
        ("messages", "created_at / 1000 + id + 7 * is_read + LENGTH(COALESCE(content, ''))"),
        ("notifications", "created_at / 1000 + id + 7 * is_read"),
        ("backgrounds", "id"),
        ("chat_sessions", "last_active / 1000"),
        ("chat_turns", "created_at / 1000 + id"),
        ("chat_keywords", "created_at / 1000 + LENGTH(keywords)"),
        ("news", "id + LENGTH(title)"),
        ("news_links", "1"),
    ] {
        let sql = format!("SELECT COUNT(*), CAST(COALESCE(SUM({sum}), 0) AS SIGNED) FROM {table}");
        let (count, sum) = t.db.read().fetch_one(sql, vec![], |row| Ok((row.get(0)?, row.get(1)?))).await.unwrap();
        all.push((table, count, sum));
    }
    all
}
