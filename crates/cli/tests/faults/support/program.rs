//! The program as a process of its own.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;

use tempfile::TempDir;

use super::{PATIENCE, until};

/// The program that is tested.
pub const CAREBOT: &str = env!("CARGO_BIN_EXE_carebot");

/// What every server of these tests is set to: whoever knows a family is in it, nobody is slowed down, and a busy machine refuses
/// nobody.
const SETTINGS: &[&str] = &[
    "families.join=open",
    "metrics.listen=off",
    "throttle.address_failures=100000",
    "log.format=pretty",
    "database.acquire_timeout_seconds=60",
    "database.statement_timeout_seconds=60",
];
/// As impatient as a server is without being set to anything.
pub const IMPATIENT: [&str; 2] = ["database.acquire_timeout_seconds=5", "database.statement_timeout_seconds=10"];

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    child: Child,
    pub address: SocketAddr,
    folder: TempDir,
}

impl Program {
    /// Starts `carebot serve` on a free port and waits until it answers.
    pub async fn start(database: &str, settings: &[&str]) -> Self {
        Self::start_as(Command::new(CAREBOT), database, settings).await
    }

    /// As [`Program::start`], with a command before the program that ends in it, such as a shell that sets a limit.
    pub async fn start_as(command: Command, database: &str, settings: &[&str]) -> Self {
        let mut starting = Self::spawn(command, database, settings);
        let (line, heard) = mpsc::channel();
        let stdout = starting.child.stdout.take().expect("its output is a pipe");
        std::thread::spawn(move || {
            let mut first = String::new();
            let read = BufReader::new(stdout).read_line(&mut first);
            // A test that gave up listens no more.
            let _ = line.send(read.map(|_| first));
        });
        let heard = tokio::task::spawn_blocking(move || heard.recv_timeout(PATIENCE)).await.expect("it does not panic");
        let line = heard.expect("the server says something or ends").expect("its output can be read");
        let address = line.trim().rsplit("://").next().and_then(|address| address.parse().ok());
        starting.address = address.unwrap_or_else(|| panic!("the server said {line:?}\n{}", starting.log()));
        starting
    }

    fn spawn(mut command: Command, database: &str, settings: &[&str]) -> Self {
        let folder = TempDir::with_prefix("carebot-faults-").expect("a folder");
        let log = File::create(folder.path().join("log")).expect("a log");
        command.args(["serve", "--listen", "127.0.0.1:0", "--create"]);
        for setting in SETTINGS.iter().chain(settings) {
            command.args(["--set", setting]);
        }
        // Not the developer's own configuration.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("CAREBOT_") || name.starts_with("DB_") || name.starts_with("IS_") {
                command.env_remove(&*name);
            }
        }
        let child = command
            .env("CAREBOT_DATABASE__URL", database)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the program starts");
        Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)), folder }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard error.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Kills it as a power cut of the process would, and waits until it is dead.
    pub fn kill9(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it was ours");
    }

    /// Asks it to stop.
    pub fn ask_to_stop(&self) {
        signal("TERM", self.pid());
    }

    /// Waits for its end.
    pub async fn end(&mut self) -> ExitStatus {
        let mut status = None;
        until("the server has ended", async || {
            status = self.child.try_wait().expect("it is ours");
            status.is_some()
        })
        .await;
        status.expect("it has ended")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the end of the server's log:\n{}", lines[lines.len().saturating_sub(30)..].join("\n"));
        }
    }
}

/// Sends a signal by name to a process.
pub fn signal(name: &str, pid: u32) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status();
    assert!(sent.expect("there is a shell").success(), "SIG{name} can not be sent");
}
