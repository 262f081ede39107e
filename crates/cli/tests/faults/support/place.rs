//! A database of a test's own, and a look into it past the program.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use carebot_database::{Db, Options};
use carebot_testkit::Engine;
use carebot_testkit::mariadb::{self, Server};
use tempfile::TempDir;

/// Where the data is.
#[derive(Debug)]
pub struct Place {
    pub engine: Engine,
    pub url: String,
    _folder: Option<TempDir>,
}

impl Place {
    /// An empty database; on MariaDB a schema on the server that the tests share.
    pub fn new(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => {
                let folder = TempDir::with_prefix("carebot-faults-").expect("a folder");
                let url = format!("sqlite:{}", folder.path().join("carebot.db").display());
                Self { engine, url, _folder: Some(folder) }
            }
            Engine::MariaDb => Self::on(mariadb::shared()),
        }
    }

    /// An empty schema.
    pub fn on(server: &Server) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let schema = format!("faults_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        server.execute(&format!("CREATE DATABASE {schema}")).expect("the schema is made");
        Self { engine: Engine::MariaDb, url: server.url(&schema), _folder: None }
    }

    /// A file that somebody else removes.
    pub fn file(path: &Path) -> Self {
        Self { engine: Engine::Sqlite, url: format!("sqlite:{}", path.display()), _folder: None }
    }

    /// Opens it beside the program.
    pub async fn open(&self) -> Db {
        let url = self.url.parse().expect("a URL");
        Db::open(&url, &Options::default()).await.expect("the database can be opened")
    }

    /// Everything that [`Load`](super::load::Load) wrote and how often it is there, after a look at whether the database is
    /// sound.
    pub async fn written(&self) -> HashMap<String, i64> {
        let db = self.open().await;
        if self.engine == Engine::Sqlite {
            for check in ["PRAGMA integrity_check", "PRAGMA quick_check"] {
                let found =
                    db.read().fetch(check, vec![], |row| row.get::<String>(0)).await.expect("it can be checked");
                assert_eq!(found, ["ok"]);
            }
        }
        let mut all = HashMap::new();
        for (table, column) in [("home_status", "others"), ("messages", "content"), ("notifications", "description")] {
            let sql = format!("SELECT COUNT(*) FROM {table} WHERE {column} IS NOT NULL");
            let count = db.read().fetch_one(sql, vec![], |row| row.get::<i64>(0)).await.expect("rows can be counted");
            let sql = format!("SELECT {column}, COUNT(*) FROM {table} WHERE {column} IS NOT NULL GROUP BY {column}");
            let rows = db.read().fetch(sql, vec![], |row| Ok((row.get::<String>(0)?, row.get::<i64>(1)?))).await;
            let rows = rows.expect("the table can be read");
            // More may have come between the two.
            assert!(count <= rows.iter().map(|(_, count)| count).sum(), "{count} rows of {table}");
            all.extend(rows);
        }
        db.close().await;
        all
    }
}
