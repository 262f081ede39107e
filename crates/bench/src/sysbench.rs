//! What sysbench gets out of the same MariaDB, without a server in front of it.

use std::process::{Command, Stdio};
use std::time::Duration;

use carebot_testkit::mariadb::Server;

use crate::process::CpuTime;
use crate::run::Sample;
use crate::{Failure, Result};

/// Rows of its table for reading.
const ROWS: usize = 100_000;

/// What sysbench does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Test {
    /// One row by its key.
    PointSelect,
    /// One row a transaction, keys handed out by the database.
    Insert,
    /// One row a transaction, keys made by the client, as ours are.
    InsertOwnKey,
}

impl Test {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::PointSelect, Self::Insert, Self::InsertOwnKey];

    /// As the tables call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PointSelect => "sysbench oltp_point_select",
            Self::Insert => "sysbench oltp_insert",
            Self::InsertOwnKey => "sysbench oltp_insert --auto_inc=off",
        }
    }

    const fn script(self) -> &'static str {
        match self {
            Self::PointSelect => "oltp_point_select",
            Self::Insert | Self::InsertOwnKey => "oltp_insert",
        }
    }

    const fn schema(self) -> &'static str {
        match self {
            Self::PointSelect => "sysbench_select",
            Self::Insert => "sysbench_insert",
            Self::InsertOwnKey => "sysbench_insert_own_key",
        }
    }

    fn command(self, server: &Server) -> Command {
        let rows = if self == Self::PointSelect { ROWS } else { 1_000 };
        let mut command = Command::new("sysbench");
        command
            .arg(self.script())
            .args(["--db-driver=mysql", "--mysql-host=127.0.0.1", "--mysql-ignore-errors=1062", "--tables=1"])
            .args([format!("--mysql-port={}", server.port()), format!("--mysql-user={}", server.user())])
            .args([format!("--mysql-password={}", server.password()), format!("--mysql-db={}", self.schema())])
            .args([
                format!("--table-size={rows}"),
                format!("--auto_inc={}", if self == Self::InsertOwnKey { "off" } else { "on" }),
            ])
            .stdin(Stdio::null());
        command
    }

    /// Makes its table.
    pub fn prepare(self, server: &Server) -> Result {
        server.execute(&format!("CREATE DATABASE {}", self.schema()))?;
        output(self.command(server).arg("prepare")).map(drop)
    }

    /// Runs it for a time, at least a second.
    pub fn run(self, server: &Server, threads: usize, time: Duration) -> Result<Sample> {
        let pid = server.pid().ok_or("MariaDB is not running")?;
        let before = CpuTime::now(pid)?;
        let mut command = self.command(server);
        command.args([
            format!("--threads={threads}"),
            format!("--time={}", time.as_secs_f64().ceil()),
            "--percentile=99".to_owned(),
        ]);
        let text = output(command.arg("run"))?;
        let cpu = before.elapsed()?;
        Ok(read(&text, cpu).ok_or_else(|| format!("sysbench answered something else than expected:\n{text}"))?)
    }
}

/// Whether it is installed.
pub fn is_there() -> bool {
    Command::new("sysbench").arg("--version").stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(text) } else { Err(Failure::from(format!("sysbench failed:\n{text}"))) }
}

/// `    queries:                             12345  (6172.07 per sec.)` and the latencies below it, in milliseconds.
fn read(text: &str, cpu: Duration) -> Option<Sample> {
    let line = |name: &str| text.lines().find_map(|line| line.trim().strip_prefix(name)).map(str::trim);
    let mut queries = line("queries:")?.split_whitespace();
    let count: f64 = queries.next()?.parse().ok()?;
    let per_second = queries.next()?.trim_start_matches('(').parse().ok()?;
    Some(Sample {
        per_second,
        // It knows one percentile at a time.
        p50: None,
        p99: Some(line("99th percentile:")?.parse::<f64>().ok()? * 1_000.0),
        server_cpu: None,
        database_cpu: Some(cpu.as_secs_f64() * 1e6 / count.max(1.0)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_answer_is_read() {
        let text = "SQL statistics:\n    transactions:   40   (20.00 per sec.)\n    queries:     40  (20.50 per sec.)\n\n\
                    Latency (ms):\n         min:  0.10\n         99th percentile:   2.30\n";
        let sample = read(text, Duration::from_millis(4)).expect("it is sysbench's");
        assert!((sample.per_second - 20.5).abs() < 1e-9);
        assert!((sample.database_cpu.expect("cpu") - 100.0).abs() < 1e-9);
        assert!((sample.p99.expect("p99") - 2_300.0).abs() < 1e-9);
        assert!(read("nothing", Duration::ZERO).is_none());
    }
}
