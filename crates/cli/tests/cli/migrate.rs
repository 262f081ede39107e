//! `carebot migrate`.

use carebot_database::{Db, DbUrl, Options};

use crate::support::{Place, mariadb_schema};

/// Runs a statement on a database, past the program.
fn execute(url: &str, sql: &str) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    runtime.block_on(async {
        let url: DbUrl = url.parse().expect("a URL");
        let db = Db::open(&url, &Options::default()).await.expect("the database opens");
        db.execute(sql, vec![]).await.expect("the statement runs");
        db.close().await;
    });
}

#[test]
fn status_tells_what_is_pending_and_what_was_applied() {
    let place = Place::new();
    place.write("carebot.db", "");
    for database in ["sqlite:carebot.db".to_owned(), mariadb_schema()] {
        let migrate = |flags: &[&str]| place.run(&[&["migrate", "--database", &database], flags].concat());
        let status = migrate(&["--status"]);
        assert!(status.out.starts_with("pending 0001 foundation"), "{}", status.out);
        assert!(status.failed(1).contains("`carebot migrate` applies"));
        let serve = place.run(&[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--metrics",
            "off",
            "--no-migrate",
            "--database",
            &database,
        ]);
        assert!(serve.failed(1).contains("run `carebot migrate`"));
        let accounts = place.run(&["account", "list", "--database", &database]);
        assert!(accounts.failed(1).contains("run `carebot migrate`"));

        assert!(migrate(&[]).succeeded().starts_with("applied 0001 foundation"));
        assert_eq!(migrate(&[]).succeeded(), "nothing to do: the schema is up to date\n");
        let status = migrate(&["--status"]).succeeded();
        assert!(status.starts_with("applied 0001 foundation  20") && !status.contains("pending"), "{status}");
    }
}

#[test]
fn a_newer_database_is_refused_by_every_command() {
    let place = Place::new();
    let sqlite = format!("sqlite:{}", place.path().join("carebot.db").display());
    for database in [sqlite, mariadb_schema()] {
        place.run(&["migrate", "--create", "--database", &database]).succeeded();
        execute(
            &database,
            "INSERT INTO schema_migrations (version, name, checksum, steps, finished_at) VALUES (9999, 'later', 'x', 1, 1)",
        );
        let commands: [&[&str]; 5] = [
            &["serve", "--listen", "127.0.0.1:0", "--metrics", "off"],
            &["serve", "--listen", "127.0.0.1:0", "--metrics", "off", "--no-migrate"],
            &["migrate"],
            &["migrate", "--status"],
            &["account", "list"],
        ];
        for command in commands {
            let error = place.run(&[command, &["--database", &database]].concat()).failed(1);
            assert!(
                error.contains("newer than this program") && error.contains("9999 (later)"),
                "{command:?}: {error}"
            );
        }
    }
}

#[test]
fn a_database_is_only_made_when_that_is_asked_for() {
    let place = Place::new();
    let error = place.run(&["migrate", "--database", "sqlite:a.db"]).failed(1);
    assert!(error.contains("there is no database at a.db") && error.contains("--create"), "{error}");
    for looks in [["account", "list"], ["family", "list"], ["migrate", "--status"]] {
        place.run(&looks).failed(1);
    }
    assert_eq!(place.path().read_dir().expect("the folder").count(), 0);
}
