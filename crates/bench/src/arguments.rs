//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::Result;
use crate::scene::Engine;

/// What `--help` says.
pub const HELP: &str = "\
The benchmark of carebot. Build it with --release, on a quiet machine:

    cargo run --release -p carebot-bench -- --write docs/performance.md

  --engine sqlite|mariadb|both   which engines (both)
  --seconds N                    length of one measurement; each is repeated in every round (1)
  --rounds N                     rounds; the medians of all are reported (5)
  --clients N                    connections that ask at once (32)
  --no-million                   only small tables: no preparation worth mentioning
  --quick                        a look, not a measurement: --no-million --seconds 0.3 --rounds 2
  --only TEXT                    only workloads whose name holds TEXT, such as latest; no comparisons
  --against PROGRAM              instead of all that: is this build cheaper than another one? PROGRAM is a copy of this
                                 program as it was before a change; both serve in turn, a tenth of a second each
  --alarms                       instead of all that: 5,000 open streams, and alarms of 1,000 robots, on SQLite; for
                                 docs/reliability.md
  --series                       instead of all that: series and long polls of a year of one elder, 5.3 million reports (with
                                 --no-million: a million); for docs/series.md
  --pages                        instead of all that: the pages for people, and the board of 200 homes
  --write FILE                   put the tables between the markers of this file as well

MariaDB must be installed for its half, and sysbench for the comparison with it
(Debian: apt-get install mariadb-server-core mariadb-client-core sysbench).";

/// Instead of a database: no server of ours but the HTTP library alone.
pub const BARE: &str = "none";

/// What was asked for.
pub enum Command {
    /// The text above.
    Help,
    /// To be a server: this program calls itself so.
    Server {
        /// Where to listen.
        listen: SocketAddr,
        /// The URL of the database, or [`BARE`].
        database: String,
    },
    /// To measure.
    Bench(Arguments),
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Requests, and everything they are compared with.
    Requests,
    /// Open streams, and how long it takes until somebody has a notice.
    Alarms,
    /// Series and long polls.
    Series,
    /// The pages for people.
    Pages,
}

/// How to measure.
#[derive(Clone, Debug)]
pub struct Arguments {
    /// Which engines.
    pub engines: Vec<Engine>,
    /// Length of one measurement.
    pub window: Duration,
    /// How often everything is measured.
    pub rounds: usize,
    /// Connections that ask at once.
    pub clients: usize,
    /// Whether there are tables of a million rows.
    pub million: bool,
    /// Part of the name of the workloads that are wanted, if not all are.
    pub only: Option<String>,
    /// What is measured.
    pub subject: Subject,
    /// Another build of this program to be compared with.
    pub against: Option<PathBuf>,
    /// The document that gets the tables.
    pub write: Option<PathBuf>,
}

impl Arguments {
    /// Reads the command line without the program's name.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Command> {
        let mut arguments = Self {
            engines: vec![Engine::Sqlite, Engine::MariaDb],
            window: Duration::from_secs(1),
            rounds: 5,
            clients: 32,
            million: true,
            only: None,
            subject: Subject::Requests,
            against: None,
            write: None,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value; see --help"));
            match word.as_str() {
                "-h" | "--help" => return Ok(Command::Help),
                "server" => return Ok(Command::Server { listen: value()?.parse()?, database: value()? }),
                "--engine" => {
                    arguments.engines = match value()?.as_str() {
                        "sqlite" => vec![Engine::Sqlite],
                        "mariadb" => vec![Engine::MariaDb],
                        "both" => vec![Engine::Sqlite, Engine::MariaDb],
                        other => return Err(format!("there is no engine `{other}`; sqlite, mariadb or both").into()),
                    }
                }
                "--seconds" => arguments.window = Duration::try_from_secs_f64(value()?.parse()?)?,
                "--rounds" => arguments.rounds = value()?.parse::<usize>()?.max(1),
                "--clients" => arguments.clients = value()?.parse::<usize>()?.max(1),
                "--no-million" => arguments.million = false,
                "--quick" => {
                    arguments.million = false;
                    arguments.window = Duration::from_millis(300);
                    arguments.rounds = 2;
                }
                "--only" => arguments.only = Some(value()?),
                "--alarms" => arguments.subject = Subject::Alarms,
                "--series" => arguments.subject = Subject::Series,
                "--pages" => arguments.subject = Subject::Pages,
                "--against" => arguments.against = Some(value()?.into()),
                "--write" => arguments.write = Some(value()?.into()),
                other => return Err(format!("there is no `{other}`; see --help").into()),
            }
        }
        Ok(Command::Bench(arguments))
    }

    /// Whether a workload of this name is wanted.
    pub fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command> {
        Arguments::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn flags_are_read_and_typing_errors_refused() {
        let Ok(Command::Bench(arguments)) = parse("--engine mariadb --seconds 0.5 --clients 8 --no-million") else {
            panic!("a benchmark was asked for");
        };
        assert_eq!(arguments.engines, [Engine::MariaDb]);
        assert_eq!((arguments.window, arguments.clients, arguments.rounds), (Duration::from_millis(500), 8, 5));
        assert!(!arguments.million);
        assert!(matches!(parse("server 127.0.0.1:1 sqlite:x"), Ok(Command::Server { .. })));
        for wrong in ["--engine postgres", "--seconds", "--seconds x", "--secnods 1"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
