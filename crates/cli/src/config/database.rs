//! Where the data is.

use std::fmt::Write as _;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use carebot_database::{DbUrl, Options};

use super::setting::section;
use super::value::{Raw, Rejected, Value, quoted};

/// The file of the default database, in the working directory.
const DEFAULT_PATH: &str = "carebot.db";
/// SQLite readers at least: one long answer must not make all others wait.
const FEWEST_READERS: usize = 2;

section! {
    /// Where the data is, and how connections to it are kept.
    pub struct Database in "database" {
        /// `sqlite:PATH` (a path is relative to the working directory) or
        /// `mariadb://user:password@host[:port][,host[:port]..]/schema[?tls=required&ca=PATH]`. Special characters of user
        /// and password are percent-encoded (`@` is `%40`). Several hosts hold the same data; the first that answers is used.
        url: DbUrl = default_url();
        /// Makes the SQLite file if it is missing. Otherwise a missing file is an error, so that a typing error never
        /// becomes an empty database. The default file is made in any case.
        create: bool = false;
        /// MariaDB: connections that are kept open.
        pool_size: usize = 10, in 1..=1_000, unit "connections";
        /// MariaDB: connections more than that under load, closed when they are no longer needed.
        pool_overflow: usize = 5, in 0..=1_000, unit "connections";
        /// MariaDB: a connection older than this is replaced. Keep it below the database's own `wait_timeout`.
        pool_recycle_seconds: u64 = 120, in 1..=86_400;
        /// MariaDB: asks a connection that lay idle whether it still lives before it is used.
        pool_check: bool = true;
        /// How long a request waits for a connection before it is answered with 503.
        acquire_timeout_seconds: u64 = 5, in 1..=600;
        /// MariaDB: how long a statement may take before the request is answered with 503, so that a database that has gone
        /// silent holds nobody for ever. Changes of the schema take as long as they need.
        statement_timeout_seconds: u64 = 10, in 1..=3_600;
        /// SQLite: threads that read; 0 is one for each processor core, at least 2.
        sqlite_readers: usize = 0, in 0..=256;
    }
}

fn default_url() -> DbUrl {
    DbUrl::Sqlite { path: PathBuf::from(DEFAULT_PATH) }
}

impl Database {
    /// Whether the URL is the built-in one, whose file is made when it is missing.
    pub fn is_default_url(&self) -> bool {
        self.url == default_url()
    }

    /// How many threads read a SQLite file on a machine with so many cores.
    pub fn readers(&self, cores: NonZero<usize>) -> usize {
        match self.sqlite_readers {
            0 => cores.get().max(FEWEST_READERS),
            readers => readers,
        }
    }

    /// How the database is opened on a machine with so many cores. A missing SQLite file is made if that was asked for or
    /// the URL is the default one.
    pub fn options(&self, cores: NonZero<usize>) -> Options {
        Options {
            create: self.create || self.is_default_url(),
            pool_size: self.pool_size,
            pool_overflow: self.pool_overflow,
            pool_recycle: Duration::from_secs(self.pool_recycle_seconds),
            pool_check: self.pool_check,
            acquire_timeout: Duration::from_secs(self.acquire_timeout_seconds),
            statement_timeout: Duration::from_secs(self.statement_timeout_seconds),
            sqlite_readers: self.readers(cores),
        }
    }
}

impl Value for DbUrl {
    const SECRET: bool = true;

    fn expected() -> String {
        "the URL of a database".to_owned()
    }

    fn parse(raw: &Raw) -> Result<Self, Rejected> {
        let text = raw.text()?;
        // The parser would name what follows the `?` as an unknown option, and here that is a part of the password.
        if text.split_once('?').is_some_and(|(_, options)| options.contains('@')) {
            return Err(Rejected::because(
                "special characters of user and password are percent-encoded (`?` is `%3F`)",
            ));
        }
        text.parse().map_err(|error: carebot_database::DbError| Rejected::because(error.to_string()))
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(&masked(self)))
    }
}

/// The URL with `***` for its password.
fn masked(url: &DbUrl) -> String {
    let target = match url {
        DbUrl::Sqlite { path } => return format!("sqlite:{}", path.display()),
        DbUrl::MariaDb(target) => target,
    };
    let hosts: Vec<String> = target
        .hosts
        .iter()
        .map(|(host, port)| if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
        .collect();
    let mut text = format!("mariadb://{}:***@{}/{}", target.user, hosts.join(","), target.schema);
    if target.tls {
        text += "?tls=required";
    }
    if let Some(ca) = &target.ca {
        let separator = if target.tls { '&' } else { '?' };
        // Writing to a String does not fail.
        let _ = write!(text, "{separator}ca={}", ca.display());
    }
    text
}
