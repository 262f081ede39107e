//! A private MariaDB server for tests: its own folder, its own port, gone when the test is.
//!
//! Most tests take [`shared`], one server per test process, and create a schema of their own on it:
//!
//! ```no_run
//! let server = carebot_testkit::mariadb::shared();
//! server.execute("CREATE DATABASE example").expect("the schema is created");
//! let url = server.url("example");
//! # drop(url);
//! ```
//!
//! A test that kills, restarts or freezes the database starts a server for itself with [`Server::start`].
//!
//! The program `mariadbd` is looked for in the variable `CAREBOT_TEST_MARIADBD`, on the `PATH` and in `/usr/sbin`;
//! with the variable the tests run against any other version. The default character set is latin1 on
//! purpose: nothing may depend on what the server's configuration happens to be.
//!
//! How the server is bound to our life: a small shell script is its parent, reads commands from a pipe whose other
//! end only this process holds, and kills the server when the pipe closes. The kernel closes it however
//! this process ends, by `kill -9` too.

use std::{
    fs::{self, File},
    io::{self, Read},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use tempfile::TempDir;

mod installation;
mod keeper;

use installation::Installation;
pub(crate) use installation::has_memory;
use keeper::Running;

/// Name of the test user; it may do everything and connects from 127.0.0.1.
const USER: &str = "carebot";

/// How long a server may take until it accepts connections. Far above the usual half second, for a
/// machine that is busy with something else.
const START_DEADLINE: Duration = Duration::from_mins(2);

/// How long a server may take to shut down in good order before it is an error.
const STOP_DEADLINE: Duration = Duration::from_mins(2);

/// How a server is started. `Options::default()` is right for all but tests of faults and speed.
#[derive(Debug, Clone)]
pub struct Options {
    /// Keep the data on a disk and flush the log at every commit (`innodb_flush_log_at_trx_commit=1`).
    /// Otherwise the data lies in memory where possible and a commit is only handed to the operating
    /// system: it survives the death of the server, not of the machine.
    pub durable: bool,
    /// Size of InnoDB's buffer pool in MiB, at least 5.
    pub buffer_pool_mib: u32,
    /// Size of InnoDB's redo log in MiB, at least 4. A benchmark wants more than a test.
    pub redo_log_mib: u32,
    /// Further options for `mariadbd`, such as `--max-connections=5`; they win over ours.
    pub arguments: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { durable: false, buffer_pool_mib: 64, redo_log_mib: 32, arguments: Vec::new() }
    }
}

/// A running (or killed, or stopped) private server. Dropping it kills the server and removes its folder.
#[derive(Debug)]
pub struct Server {
    installation: Installation,
    options: Options,
    port: u16,
    password: String,
    /// None while the server is not running.
    running: Mutex<Option<Running>>,
    // Last: fields are dropped in order, and the server must be dead before its folder goes.
    folder: TempDir,
}

impl Server {
    /// Starts a server on a free port of 127.0.0.1 and waits until it accepts connections.
    ///
    /// Takes about half a second; the very first time on a machine one second more, for the empty
    /// database that is then kept as a template in Cargo's target folder.
    ///
    /// # Errors
    /// When the server does not start; the text holds the end of its log.
    ///
    /// # Panics
    /// When MariaDB is not installed: a test that needs it must fail, not be left out.
    pub fn start(options: Options) -> io::Result<Self> {
        let installation = Installation::find().unwrap_or_else(|reason| {
            panic!("The tests need MariaDB: {reason}. `./test` installs it (packages mariadb-server-core and mariadb-client-core).")
        });
        let folder = installation::new_folder(options.durable)?;
        installation.copy_template(&folder.path().join("data"))?;
        let password = random_hex()?;
        fs::write(
            folder.path().join("init.sql"),
            // One statement a line: the server reads it so. The accounts that the installation makes have no password.
            format!(
                "DROP USER IF EXISTS ''@'localhost', 'root'@'127.0.0.1', 'root'@'::1';\n\
                 CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{password}';\n\
                 GRANT ALL PRIVILEGES ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\n"
            ),
        )?;
        let mut server = Self { installation, options, port: 0, password, running: Mutex::new(None), folder };

        // Another process may take the port between our look and the server's: then take another one.
        let mut attempts_left = 5;
        loop {
            server.port = free_port()?;
            match server.restart() {
                Ok(()) => return Ok(server),
                Err(error) if attempts_left == 0 || error.kind() != io::ErrorKind::AddrInUse => return Err(error),
                Err(_) => attempts_left -= 1,
            }
        }
    }

    /// Connection URL of a schema: `mariadb://carebot:<password>@127.0.0.1:<port>/<schema>`.
    /// The schema is not created.
    pub fn url(&self, schema: &str) -> String {
        format!("mariadb://{USER}:{}@127.0.0.1:{}/{schema}", self.password, self.port)
    }

    /// TCP port on 127.0.0.1; the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Name of the user that may do everything.
    pub fn user(&self) -> &'static str {
        USER
    }

    /// Password of [`Server::user`]: 32 hexadecimal digits, random for each server.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Folder of the server; it holds `data/` and the log `error.log`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Process id of `mariadbd`; None while it is not running.
    pub fn pid(&self) -> Option<u32> {
        self.lock().as_ref().map(Running::pid)
    }

    /// Kills the server as a power cut of the process would (`SIGKILL`) and waits until it is dead.
    /// Does nothing when it is not running. Not for the [`shared`] server: others are using it.
    pub fn kill9(&self) -> io::Result<()> {
        self.end("KILL", "be killed")
    }

    /// Shuts the server down in good order (`SIGTERM`) and waits for the end of it.
    /// Does nothing when it is not running. Not for the [`shared`] server: others are using it.
    pub fn stop(&self) -> io::Result<()> {
        self.end("TERM", "stop")
    }

    /// Freezes the server (`SIGSTOP`): connections stay open and nothing is answered, as with a network that
    /// swallows everything. [`Server::resume`] ends it; stopping, killing and dropping work on a frozen server too.
    /// Needs Linux's `/proc`.
    pub fn pause(&self) -> io::Result<()> {
        let mut guard = self.lock();
        let running = guard.as_mut().ok_or_else(not_running)?;
        running.send("STOP")?;
        while !running.is_frozen()? {
            pause_briefly();
        }
        Ok(())
    }

    /// Lets a frozen server go on (`SIGCONT`).
    pub fn resume(&self) -> io::Result<()> {
        self.lock().as_mut().ok_or_else(not_running)?.send("CONT")
    }

    /// Starts the server again on the same port and folder and waits until it accepts connections.
    /// One that still runs is shut down in good order first.
    ///
    /// # Errors
    /// When it does not start; the text holds the end of its log.
    pub fn restart(&self) -> io::Result<()> {
        self.stop()?;
        let pid_file = self.folder.path().join("pid");
        match fs::remove_file(&pid_file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut running = self.spawn(&pid_file)?;
        self.wait_until_ready(&mut running, &pid_file)?;
        *self.lock() = Some(running);
        Ok(())
    }

    /// Runs SQL as the test user with the `mariadb` client program and gives its output: one row a line, columns
    /// separated by tabs, without a heading. For arranging a test; what is tested goes through the connector.
    ///
    /// # Errors
    /// When the program is missing or the server refuses the SQL; the text is the server's.
    pub fn execute(&self, sql: &str) -> io::Result<String> {
        let output = Command::new(self.installation.client())
            .args(["--no-defaults", "--host=127.0.0.1", "--protocol=tcp", "--batch", "--skip-column-names"])
            .args([format!("--port={}", self.port), format!("--user={USER}"), format!("--execute={sql}")])
            .arg("--default-character-set=utf8mb4")
            // Not an argument: those are visible to everyone on the machine.
            .env("MYSQL_PWD", &self.password)
            .stdin(Stdio::null())
            .output()?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
        }
    }

    /// Starts `mariadbd` under its keeper; it need not accept connections yet.
    fn spawn(&self, pid_file: &Path) -> io::Result<Running> {
        let folder = self.folder.path();
        let at = |option: &str, path: PathBuf| format!("--{option}={}", path.display());
        let mut command = Command::new(&self.installation.mariadbd);
        command
            // `--no-defaults` must be the first: the machine's own configuration is none of ours.
            .arg("--no-defaults")
            .arg(at("basedir", self.installation.basedir.clone()))
            .arg(at("datadir", folder.join("data")))
            .arg(at("tmpdir", folder.to_owned()))
            .arg(at("pid-file", pid_file.to_owned()))
            .arg(at("init-file", folder.join("init.sql")))
            .args(installation::user_option())
            // Relative to the data: a socket's path may have 107 bytes, a temporary folder's more.
            .args(["--socket=socket", "--bind-address=127.0.0.1", "--skip-networking=0", "--skip-name-resolve"])
            .arg(format!("--port={}", self.port))
            .arg(format!("--innodb-flush-log-at-trx-commit={}", if self.options.durable { 1 } else { 2 }))
            .arg(format!("--innodb-buffer-pool-size={}M", self.options.buffer_pool_mib))
            .arg(format!("--innodb-log-file-size={}M", self.options.redo_log_mib))
            .args(["--innodb-buffer-pool-load-at-startup=0", "--innodb-buffer-pool-dump-at-shutdown=0"])
            .args(["--character-set-server=latin1", "--max-connections=500", "--performance-schema=0"])
            .args(&self.options.arguments);
        Running::start(&command, folder, &self.log_path())
    }

    /// Waits until the server shakes hands. The pid file tells our server from another one on the same port.
    fn wait_until_ready(&self, running: &mut Running, pid_file: &Path) -> io::Result<()> {
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            if running.has_ended()? {
                return Err(self.failure("mariadbd ended while it was starting"));
            }
            let is_ours = fs::read_to_string(pid_file).is_ok_and(|pid| pid.trim() == running.pid().to_string());
            if is_ours && shakes_hands(self.port) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(self.failure("mariadbd does not accept connections"));
            }
            pause_briefly();
        }
    }

    /// Sends a signal that ends the server and waits for the end.
    fn end(&self, signal: &str, what: &str) -> io::Result<()> {
        let mut guard = self.lock();
        let Some(running) = guard.as_mut() else { return Ok(()) };
        // A frozen server takes note of a signal only once it goes on.
        for signal in [signal, "CONT"] {
            match running.send(signal) {
                // It has ended by itself, and its keeper with it.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                result => result?,
            }
        }
        let deadline = Instant::now() + STOP_DEADLINE;
        while !running.has_ended()? {
            if Instant::now() > deadline {
                return Err(self.failure(&format!("mariadbd would not {what}")));
            }
            pause_briefly();
        }
        *guard = None;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        // A test that panicked while it held the lock has left a valid state: it is changed by single assignments.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("error.log")
    }

    /// An error with the end of the server's log; its kind says whether the port was taken.
    fn failure(&self, what: &str) -> io::Error {
        let log = fs::read(self.log_path()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(20)..].join("\n");
        let taken = end.contains("Can't start server: Bind on TCP/IP port");
        let kind = if taken { io::ErrorKind::AddrInUse } else { io::ErrorKind::Other };
        io::Error::new(kind, format!("{what}; the end of its log:\n{end}"))
    }
}

/// The server that all tests of this process use, started by the first that asks.
///
/// # Panics
/// When MariaDB is not installed or does not start.
pub fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| {
        Server::start(Options::default()).unwrap_or_else(|error| panic!("MariaDB for the tests: {error}"))
    })
}

/// Whether something on the port greets as MariaDB does: a packet of which the first byte is the protocol version 10.
fn shakes_hands(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else { return false };
    let mut greeting = [0; 5];
    stream.set_read_timeout(Some(Duration::from_secs(5))).is_ok()
        && stream.read_exact(&mut greeting).is_ok()
        && greeting[4] == 10
}

/// A port that nobody listens on, below the range from which the kernel gives ports to outgoing connections: in that
/// range a client that reconnects while the server is down could be given the server's own port.
fn free_port() -> io::Result<u16> {
    for _ in 0..1_000 {
        let [high, low] = random()?;
        let port = 16_384 + u16::from_be_bytes([high, low]) % 16_384;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no free port between 16384 and 32767"))
}

fn not_running() -> io::Error {
    io::Error::other("the server is not running")
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn random_hex() -> io::Result<String> {
    Ok(format!("{:032x}", u128::from_ne_bytes(random()?)))
}

#[expect(clippy::disallowed_methods, reason = "another process comes up or goes; there is nothing to wait on but it")]
fn pause_briefly() {
    std::thread::sleep(Duration::from_millis(5));
}
