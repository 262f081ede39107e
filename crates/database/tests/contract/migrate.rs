use std::time::Duration;

use carebot_database::ambient::Clock as _;
use carebot_database::migrate::{self, MIGRATIONS};
use carebot_database::{Db, DbUrl, Options, Value};
use carebot_testkit::Engine;

use crate::catalogue::tables;
use crate::prelude::*;

async fn open(url: &DbUrl) -> Db {
    Db::open(url, &Options { create: true, ..Options::default() }).await.unwrap()
}

async fn run(t: &TestDb, db: &Db) -> Result<Vec<i64>, DbError> {
    let done = migrate::run(db, &*t.clock, &*t.rng).await?;
    Ok(done.into_iter().map(|migration| migration.version).collect())
}

fn all() -> Vec<i64> {
    MIGRATIONS.iter().map(|migration| migration.version).collect()
}

async fn pending(db: &Db) -> Vec<i64> {
    migrate::status(db).await.unwrap().pending.into_iter().map(|migration| migration.version).collect()
}

/// The whole schema, as the engine tells it.
async fn schema(t: &TestDb) -> Vec<(String, Vec<crate::catalogue::Column>)> {
    let mut schema = Vec::new();
    for table in tables(t).await {
        let columns = crate::catalogue::columns(t, &table).await;
        schema.push((table, columns));
    }
    schema
}

fn schema_error<T: std::fmt::Debug>(result: Result<T, DbError>) -> String {
    match result {
        Err(DbError::Schema(text)) => text,
        other => panic!("an error of the schema, but {other:?}"),
    }
}

both_engines! {
    async fn an_empty_database_is_migrated_once(t: TestDb) {
        let db = open(&t.another()).await;
        assert_eq!(pending(&db).await, all());
        let text = schema_error(migrate::check(&db).await);
        assert!(text.contains("`carebot migrate`"), "it says what to do: {text}");

        assert_eq!(run(&t, &db).await.unwrap(), all());
        migrate::check(&db).await.unwrap();
        assert_eq!(run(&t, &db).await.unwrap(), Vec::<i64>::new(), "the second time nothing is done");
        let status = migrate::status(&db).await.unwrap();
        assert!(status.pending.is_empty());
        assert_eq!(status.applied.len(), MIGRATIONS.len());
        for (applied, migration) in status.applied.iter().zip(MIGRATIONS) {
            assert_eq!((applied.version, applied.name.as_str()), (migration.version, migration.name));
            assert_eq!(applied.checksum, migration.checksum());
            assert_eq!(applied.finished_at, Some(t.now()));
        }
    }

    async fn asking_changes_nothing(t: TestDb) {
        let url = t.another();
        let db = open(&url).await;
        migrate::status(&db).await.unwrap();
        assert!(migrate::check(&db).await.is_err());
        let sql = match t.engine {
            Engine::Sqlite => "SELECT COUNT(*) FROM sqlite_master",
            Engine::MariaDb => "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()",
        };
        assert_eq!(db.read().fetch_one(sql, vec![], |row| row.get::<i64>(0)).await.unwrap(), 0);
    }

    async fn servers_that_start_at_once_migrate_once(t: TestDb) {
        let url = t.another();
        let mut servers = Vec::new();
        for _ in 0..4 {
            servers.push(open(&url).await);
        }
        let tasks: Vec<_> = servers.iter().map(|db| {
            let (t, db) = (t.clone(), db.clone());
            tokio::spawn(async move { run(&t, &db).await })
        }).collect();
        let mut done = Vec::new();
        for task in tasks {
            done.extend(task.await.unwrap().expect("both of them succeed"));
        }
        assert_eq!(done, all(), "by one of them, once");
        for db in servers {
            migrate::check(&db).await.unwrap();
        }
    }

    async fn a_newer_schema_is_refused(t: TestDb) {
        t.db.execute(
            "INSERT INTO schema_migrations (version, name, checksum, steps, finished_at) VALUES (999, 'from_the_future', '', 1, 1)",
            vec![],
        ).await.unwrap();
        let texts = [
            schema_error(migrate::status(&t.db).await),
            schema_error(migrate::check(&t.db).await),
            schema_error(run(&t, &t.db).await),
        ];
        for text in texts {
            assert!(text.contains("newer than this program") && text.contains("999") && text.contains("from_the_future"), "{text}");
        }
    }

    async fn a_migration_with_another_text_is_refused(t: TestDb) {
        t.db.execute("UPDATE schema_migrations SET checksum = 'another' WHERE version = 1", vec![]).await.unwrap();
        for text in [schema_error(migrate::check(&t.db).await), schema_error(run(&t, &t.db).await)] {
            assert!(text.contains("another text"), "{text}");
        }
    }

    async fn a_lock_holds_and_one_that_was_left_behind_does_not_for_ever(t: TestDb) {
        let url = t.another();
        let db = open(&url).await;
        run(&t, &db).await.unwrap();
        // As if the first migration had been interrupted, and its server were still at it.
        let until = t.now().plus_millis(60_000);
        db.execute("UPDATE schema_lock SET holder = 7, locked_until = ? WHERE id = 1", params![until]).await.unwrap();
        // On SQLite a migration is done as a whole or not at all, and only the first can be done twice.
        let (undone, again) = match t.engine {
            Engine::Sqlite => ("DELETE FROM schema_migrations WHERE version = 1", vec![1]),
            Engine::MariaDb => ("UPDATE schema_migrations SET finished_at = NULL", all()),
        };
        db.execute(undone, vec![]).await.unwrap();
        let waiting = tokio::spawn({
            let (t, db) = (t.clone(), db.clone());
            async move { run(&t, &db).await }
        });
        let mut waiting = waiting;
        assert!(tokio::time::timeout(Duration::from_millis(300), &mut waiting).await.is_err(), "it waits");
        t.clock.advance(60_001);
        assert_eq!(waiting.await.unwrap().unwrap(), again);
        let (holder, until): (i64, Timestamp) = db.read()
            .fetch_one("SELECT holder, locked_until FROM schema_lock", vec![], |row| Ok((row.get(0)?, row.get(1)?)))
            .await.unwrap();
        assert_ne!(holder, 7);
        assert!(until < t.clock.now(), "the lock is given back");
    }

    async fn the_tables_are_the_designed_ones(t: TestDb) {
        let expected = [
            "accounts", "active_status", "alarm_entries", "alarm_notifications", "alarm_stubs", "alarms", "backgrounds",
            "channel_health", "chat_keywords", "chat_sessions", "chat_turns", "contact_channels", "contacts", "deliveries",
            "disaster_deliveries", "disaster_listening", "disaster_messages", "discarded_images", "events", "families",
            "family_heads", "health_status", "home_status", "idempotency_keys", "image_references", "images",
            "import_progress", "import_rows", "installation", "invitations", "job_leases", "ladders", "members", "mental_bases",
            "mental_reports", "mental_status", "messages", "news", "news_links", "news_rounds", "nodes", "notifications",
            "password_resets", "push_subscriptions", "robots", "rollup_late", "rollup_progress", "rollups", "rule_states", "rules", "schema_lock",
            "schema_migrations", "sessions",
            "settings", "signals", "stream_places", "weather_cells",
        ];
        assert_eq!(tables(&t).await, expected);
    }
}

only_mariadb! {
    /// The engine commits at every change of a table: a migration can end between any two of them.
    async fn an_interrupted_migration_goes_on_where_it_stood(t: TestDb) {
        let whole = schema(&t).await;
        let steps: i64 = t.db.read()
            .fetch_one("SELECT steps FROM schema_migrations WHERE version = 1", vec![], |row| row.get(0)).await.unwrap();
        assert!(steps > 20, "{steps}");
        // The last table is not there yet; of the two steps before, the second was done and not noted.
        t.db.execute("DROP TABLE news", vec![]).await.unwrap();
        t.db.execute("UPDATE schema_migrations SET finished_at = NULL, steps = ? WHERE version = 1", params![steps - 3]).await.unwrap();
        let elder = t.elder().await;

        assert_eq!(pending(&t.db).await, all()[..1]);
        assert!(schema_error(migrate::check(&t.db).await).contains("`carebot migrate`"));
        assert_eq!(run(&t, &t.db).await.unwrap(), all()[..1]);
        migrate::check(&t.db).await.unwrap();
        assert_eq!(schema(&t).await, whole);
        assert!(carebot_database::accounts::get(&mut t.db.read(), elder).await.unwrap().is_some(), "what is there stays");
        let nodes: i64 = t.db.read().fetch_one("SELECT COUNT(*) FROM nodes", vec![], |row| row.get(0)).await.unwrap();
        assert_eq!(nodes, RowId::NODES);
    }

    async fn every_statement_can_be_repeated(t: TestDb) {
        let whole = schema(&t).await;
        t.db.execute("UPDATE schema_migrations SET finished_at = NULL, steps = 0", vec![]).await.unwrap();
        assert_eq!(run(&t, &t.db).await.unwrap(), all());
        assert_eq!(schema(&t).await, whole);
        let nodes: i64 = t.db.read().fetch_one("SELECT COUNT(*) FROM nodes", vec![], |row| row.get(0)).await.unwrap();
        assert_eq!(nodes, RowId::NODES, "no row is inserted twice");
    }
}

only_sqlite! {
    async fn a_migration_that_fails_leaves_nothing_of_itself(t: TestDb) {
        let db = open(&t.another()).await;
        db.execute("CREATE VIEW messages AS SELECT 1 AS one", vec![]).await.unwrap();
        let error = run(&t, &db).await.unwrap_err();
        assert!(matches!(error, DbError::Statement(_)), "{error:?}");
        let tables: Vec<String> = db.read()
            .fetch("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name", Vec::<Value>::new(), |row| row.get(0))
            .await.unwrap();
        assert_eq!(tables, ["schema_lock", "schema_migrations"]);
        assert_eq!(pending(&db).await, all());
        db.execute("DROP VIEW messages", vec![]).await.unwrap();
        assert_eq!(run(&t, &db).await.unwrap(), all(), "and the lock was given back");
    }
}
