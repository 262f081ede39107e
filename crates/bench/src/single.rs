//! One connection that asks one question after the other.

use std::time::{Duration, Instant};

use carebot_testkit::mariadb::Server as MariaDb;

use crate::Result;
use crate::load::{Connection, count};
use crate::process::CpuTime;
use crate::scene::{Engine, Running};
use crate::seed::User;

/// The head of the tables.
pub const HEAD: &str =
    "| engine | what | p50 ms | p95 ms | server's CPU ms | database's CPU ms | KiB |\n|---|---|---|---|---|---|---|\n";

/// What asking for something took.
pub struct Took {
    /// Each, sorted.
    latencies: Vec<Duration>,
    /// Processor time of the server for each.
    server: Duration,
    /// And of MariaDB.
    database: Option<Duration>,
    /// Bytes of an answer.
    bytes: usize,
}

impl Took {
    /// A line of the table.
    pub fn line(&self, engine: Engine, what: &str) -> String {
        let at = |hundredths: usize| {
            self.latencies.get(self.latencies.len() * hundredths / 100).copied().unwrap_or_default()
        };
        let millis = |duration: Duration| format!("{:.1}", duration.as_secs_f64() * 1_000.0);
        format!(
            "| {} | {what} | {} | {} | {} | {} | {:.0} |\n",
            engine.name(),
            millis(at(50)),
            millis(at(95)),
            millis(self.server),
            self.database.map_or_else(|| "-".to_owned(), millis),
            count(self.bytes) / 1_024.0
        )
    }
}

/// Asks so often for paths as somebody; what is done before each question is not measured.
pub async fn ask<F>(
    (server, mariadb): (&Running, Option<&MariaDb>),
    user: &User,
    times: usize,
    path: impl Fn(usize) -> F,
) -> Result<Took>
where
    F: Future<Output = Result<String>>,
{
    let mut connection = Connection::open(server.address).await?;
    let mut took = Took { latencies: Vec::new(), server: Duration::ZERO, database: None, bytes: 0 };
    let database_pid = mariadb.and_then(MariaDb::pid);
    for number in 0..times {
        let path = path(number).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\ncookie: session_id={}\r\n\r\n", user.token);
        let (cpu, stored) = (CpuTime::now(server.pid())?, database_pid.map(CpuTime::now).transpose()?);
        let asked = Instant::now();
        let (status, body) = connection.ask(request.as_bytes()).await?;
        took.latencies.push(asked.elapsed());
        if status != 200 {
            return Err(format!("{path} was answered with {status}: {body}").into());
        }
        took.server += cpu.elapsed()?;
        if let Some(stored) = stored {
            took.database = Some(took.database.unwrap_or_default() + stored.elapsed()?);
        }
        took.bytes = body.len();
    }
    let times = u32::try_from(times)?;
    took.server /= times;
    took.database = took.database.map(|all| all / times);
    took.latencies.sort_unstable();
    Ok(took)
}
