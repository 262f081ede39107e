//! What SQLite does on one thread, without a server in front of it; set as the server's connections are.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::Result;
use crate::load::{Tally, count};
use crate::process::own_thread;
use crate::run::Sample;

/// Rows of the table for reading, as sysbench's.
const ROWS: i64 = 100_000;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Test {
    /// One row by its key.
    PointSelect,
    /// One row a transaction, each waiting for the disk.
    Insert,
}

impl Test {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::PointSelect, Self::Insert];

    /// As the tables call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PointSelect => "SQLite alone, one row by key",
            Self::Insert => "SQLite alone, one durable row a transaction",
        }
    }
}

/// A database for this alone.
pub struct Raw {
    connection: Connection,
    next: i64,
}

impl Raw {
    /// Makes and fills it.
    pub fn make(folder: &Path) -> Result<Self> {
        let connection = Connection::open(folder.join("raw.db"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", -8192)?;
        connection.pragma_update(None, "mmap_size", 256 << 20)?;
        connection.execute_batch(&format!(
            "CREATE TABLE points (id INTEGER PRIMARY KEY, k INTEGER NOT NULL, c TEXT NOT NULL);
             CREATE TABLE rows (id INTEGER PRIMARY KEY, k INTEGER NOT NULL, c TEXT NOT NULL);
             INSERT INTO points
               WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {ROWS})
               SELECT n, n * 7919 % {ROWS}, hex(randomblob(60)) FROM numbers;"
        ))?;
        Ok(Self { connection, next: 0 })
    }

    /// Does it for a time.
    pub fn run(&mut self, test: Test, time: Duration) -> Result<Sample> {
        let (started, cpu) = (Instant::now(), own_thread()?);
        let mut latencies = Vec::with_capacity(1 << 18);
        let mut before = started;
        while before < started + time {
            self.next += 1;
            self.once(test)?;
            let after = Instant::now();
            latencies.push(u32::try_from((after - before).as_nanos() / 100).unwrap_or(u32::MAX));
            before = after;
        }
        latencies.sort_unstable();
        let tally = Tally { latencies, wrong: 0, took: started.elapsed() };
        Ok(Sample {
            per_second: tally.per_second(),
            // Tenths of a microsecond: it is quick.
            p50: Some(tally.percentile(500) / 10.0),
            p99: Some(tally.percentile(990) / 10.0),
            server_cpu: None,
            database_cpu: Some(
                own_thread()?.saturating_sub(cpu).as_secs_f64() * 1e6 / count(tally.latencies.len()).max(1.0),
            ),
        })
    }

    fn once(&self, test: Test) -> Result {
        match test {
            Test::PointSelect => {
                let mut statement = self.connection.prepare_cached("SELECT c FROM points WHERE id = ?")?;
                let row: String = statement.query_row([self.next * 7_919 % ROWS + 1], |row| row.get(0))?;
                std::hint::black_box(row);
            }
            Test::Insert => {
                let mut statement = self.connection.prepare_cached("INSERT INTO rows (k, c) VALUES (?, ?)")?;
                statement.execute((self.next, "a reading of a robot that says how warm the room is"))?;
            }
        }
        Ok(())
    }
}
