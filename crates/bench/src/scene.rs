//! Databases with data in them, each with a server on it.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use carebot_database::{Db, DbUrl, Options};
use carebot_testkit::mariadb::Server as MariaDb;

use crate::load::Connection;
use crate::process::Memory;
use crate::seed::{self, Seeded};
use crate::{Failure, Result};

/// How long a server may take to start or to stop before something is wrong.
const PATIENCE: Duration = Duration::from_mins(1);

/// The two engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Engine {
    /// An embedded file.
    Sqlite,
    /// A server beside ours.
    MariaDb,
}

impl Engine {
    /// As people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::MariaDb => "MariaDB",
        }
    }
}

/// What lies in the table of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Data {
    /// A thousand reports of one family.
    Thousand,
    /// A thousand reports of each of a thousand families.
    Spread,
    /// A million reports of one family.
    OneFamily,
    /// A year of one family, a report every six seconds.
    Year,
}

impl Data {
    /// As the tables call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Thousand => "1,000",
            Self::Spread => "1,000,000 of 1,000 families",
            Self::OneFamily => "1,000,000 of one family",
            Self::Year => "5,256,000 of one family",
        }
    }

    /// As a file or schema is called.
    const fn file(self) -> &'static str {
        match self {
            Self::Thousand => "thousand",
            Self::Spread => "spread",
            Self::OneFamily => "one_family",
            Self::Year => "year",
        }
    }

    /// Families, and reports of each.
    pub const fn size(self) -> (usize, usize) {
        match self {
            Self::Thousand => (1, 1_000),
            Self::Spread => (1_000, 1_000),
            Self::OneFamily => (1, 1_000_000),
            Self::Year => (1, 5_256_000),
        }
    }

    /// Time between two reports of a family in milliseconds.
    pub const fn interval(self) -> i64 {
        match self {
            Self::Year => 6_000,
            _ => 10_000,
        }
    }
}

/// A database with data in it.
pub struct Scene {
    /// On which engine.
    pub engine: Engine,
    /// What lies in it.
    pub data: Data,
    /// Who there is to ask.
    pub seeded: Seeded,
    /// The database, for what is not measured.
    pub db: Db,
    url: String,
}

impl Scene {
    /// Makes and fills a database: a file in the folder, or a schema of the server; `suffix` tells several of the same data
    /// apart.
    pub async fn make(
        engine: Engine,
        data: Data,
        suffix: &str,
        folder: &Path,
        mariadb: Option<&MariaDb>,
    ) -> Result<Self> {
        let name = format!("{}{suffix}", data.file());
        let url = match (engine, mariadb) {
            (Engine::MariaDb, Some(server)) => {
                server.execute(&format!("CREATE DATABASE {name}"))?;
                server.url(&name)
            }
            (Engine::MariaDb, None) => return Err("there is no MariaDB".into()),
            (Engine::Sqlite, _) => format!("sqlite:{}", folder.join(format!("{name}.db")).display()),
        };
        let parsed: DbUrl = url.parse()?;
        let db = Db::open(&parsed, &Options { create: true, acquire_timeout: PATIENCE, ..Options::default() }).await?;
        let seeded = seed::fill(&db, data).await?;
        // Closing puts SQLite's log into the file.
        db.close().await;
        let db = Db::open(&parsed, &Options { acquire_timeout: PATIENCE, ..Options::default() }).await?;
        Ok(Self { engine, data, seeded, db, url })
    }

    /// Starts a server on it: this program, or another build of it.
    pub fn start_server(&self, program: &Path, folder: &Path) -> Result<Running> {
        let log = folder.join(format!("server-{:?}-{}.log", self.engine, self.data.file()));
        Running::start(program, &self.url, &log)
    }
}

/// A server under test. Dropping it kills it.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
    /// Its standard input: it stops when that ends. `None` only while it stops.
    life: Option<ChildStdin>,
    started: Instant,
}

impl Running {
    /// Starts a server on a database, or with [`BARE`](crate::arguments::BARE) the HTTP library alone.
    pub fn start(program: &Path, url: &str, log: &Path) -> Result<Self> {
        // Somebody else may take the port before the server does; then the server ends and the benchmark says so.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let started = Instant::now();
        let mut child = Command::new(program)
            .args(["server", &address.to_string(), url])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::options().create(true).append(true).open(log)?)
            .spawn()?;
        let life = child.stdin.take();
        Ok(Self { address, child, life, started })
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What memory it has.
    pub fn memory(&self) -> Result<Memory> {
        Memory::of(self.pid())
    }

    /// Waits for the first 200 of a path; how long after the start of the process that was.
    pub async fn first_answer(&mut self, path: &str) -> Result<Duration> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes();
        loop {
            let asked = async { Connection::open(self.address).await?.ask(&request).await };
            if matches!(asked.await, Ok((200, _))) {
                return Ok(self.started.elapsed());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(
                    format!("a server ended while it was starting ({status}); its log is with the databases").into()
                );
            }
            if self.started.elapsed() > PATIENCE {
                return Err("a server does not start".into());
            }
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
    }

    /// Stops it in good order.
    pub async fn stop(mut self) -> Result {
        drop(self.life.take());
        let asked = Instant::now();
        while self.child.try_wait()?.is_none() {
            if asked.elapsed() > PATIENCE {
                return Err(Failure::from("a server does not stop"));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
