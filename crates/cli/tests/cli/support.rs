//! Runs the program and talks with it.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take on a machine that is busy with something else.
const DEADLINE: Duration = Duration::from_mins(2);

/// A working directory of its own, in which the program is run.
#[derive(Debug)]
pub struct Place {
    folder: TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Place {
    /// Empty, and with an environment that configures nothing.
    pub fn new() -> Self {
        Self {
            folder: TempDir::with_prefix("carebot cli ").expect("a temporary folder can be made"),
            variables: Vec::new(),
        }
    }

    /// Sets an environment variable for the programs that are run here.
    pub fn with_variable(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file; its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).expect("a file can be written");
        path
    }

    fn command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_carebot"));
        command.args(arguments).current_dir(self.path()).env_clear();
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[impl AsRef<OsStr>]) -> Ran {
        self.run_with_input(arguments, "")
    }

    /// As [`Place::run`], with something on standard input.
    pub fn run_with_input(&self, arguments: &[impl AsRef<OsStr>], input: &str) -> Ran {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let mut stdin = child.stdin.take().expect("standard input is a pipe");
        // A program that fails early does not read it.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        Ran::new(child.wait_with_output().expect("the program ends"))
    }

    /// Starts the program and lets it run.
    pub fn start(&self, arguments: &[impl AsRef<OsStr>]) -> Program {
        self.start_with_input(arguments, "")
    }

    /// As [`Place::start`], with something on standard input.
    pub fn start_with_input(&self, arguments: &[impl AsRef<OsStr>], input: &str) -> Program {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let mut stdin = child.stdin.take().expect("standard input is a pipe");
        stdin.write_all(input.as_bytes()).expect("the input is taken");
        Program::new(child)
    }

    /// Starts a server on a free port, with further flags, and waits until it answers.
    pub fn serve(&self, flags: &[&str]) -> Server {
        let always = ["serve", "--listen", "127.0.0.1:0", "--metrics", "off"];
        Server::ready(self.start(&[always.as_slice(), flags].concat()))
    }

    /// Makes an account at the command line; its password.
    pub fn account(&self, database: &str, email: &str, role: &str) -> String {
        let made = self.run(&[
            "account",
            "create",
            "--email",
            email,
            "--role",
            role,
            "--generate-password",
            "--database",
            database,
        ]);
        let made = made.succeeded();
        made.lines().find_map(|line| line.strip_prefix("password ")).expect("the password is shown").to_owned()
    }
}

/// A program that has ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    fn new(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// What it wrote, if all went well.
    #[track_caller]
    pub fn succeeded(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self.out
    }

    /// What it complained about, if it ended with a code and without the noise of a program that broke down.
    #[track_caller]
    pub fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        for noise in ["panicked", "RUST_BACKTRACE", "Error {", "Some(", "Err("] {
            assert!(!self.err.contains(noise), "{}", self.err);
        }
        self.err
    }
}

/// Collects the lines of a pipe, so that one can be waited for and none blocks the program.
#[derive(Debug)]
struct Lines {
    receiver: Receiver<String>,
    seen: Vec<String>,
}

impl Lines {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { receiver, seen: Vec::new() }
    }

    fn wait_for(&mut self, part: &str) -> Option<String> {
        while let Ok(line) = self.receiver.recv_timeout(DEADLINE) {
            self.seen.push(line.clone());
            if line.contains(part) {
                return Some(line);
            }
        }
        None
    }

    fn rest(&mut self) -> String {
        self.seen.extend(self.receiver.iter());
        self.seen.join("\n")
    }
}

/// A running program; killed when it is dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    out: Lines,
    err: Lines,
}

impl Program {
    fn new(mut child: Child) -> Self {
        let out = Lines::of(child.stdout.take().expect("standard output is a pipe"));
        let err = Lines::of(child.stderr.take().expect("standard error is a pipe"));
        Self { child, out, err }
    }

    /// Waits for a line of standard output that has this in it.
    #[track_caller]
    pub fn wait_for_output(&mut self, part: &str) -> String {
        let line = self.out.wait_for(part);
        line.unwrap_or_else(|| panic!("no `{part}` in:\n{}\n{}", self.out.seen.join("\n"), self.end_of_log()))
    }

    /// Waits for a line of standard error that has this in it.
    #[track_caller]
    pub fn wait_for_log(&mut self, part: &str) -> String {
        let line = self.err.wait_for(part);
        line.unwrap_or_else(|| panic!("no `{part}` in:\n{}", self.err.seen.join("\n")))
    }

    fn end_of_log(&mut self) -> String {
        // It must not go on writing while its last words are read.
        let _ = self.child.kill();
        self.err.rest()
    }

    /// The lines of standard output up to now.
    pub fn output(&self) -> &[String] {
        &self.out.seen
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", self.child.id())).status();
        assert!(sent.expect("a shell runs").success());
    }

    /// Waits for the end; exit code, standard output and standard error.
    pub fn ended(mut self) -> Ran {
        let code = self.child.wait().expect("the program ends").code();
        Ran { code, out: self.out.rest(), err: self.err.rest() }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that answers.
#[derive(Debug)]
pub struct Server {
    pub program: Program,
    pub url: String,
}

impl Server {
    /// Waits until it says that it answers.
    #[track_caller]
    pub fn ready(mut program: Program) -> Self {
        let line = program.wait_for_output("carebot listens on ");
        let url = line.trim_start_matches("carebot listens on ").to_owned();
        Self { program, url }
    }

    /// `host:port`.
    pub fn authority(&self) -> &str {
        self.url.split_once("//").expect("a URL").1
    }

    /// Asks it to stop and waits until it has.
    #[track_caller]
    pub fn stop(self) {
        self.program.signal("TERM");
        self.program.ended().succeeded();
    }
}

/// What happens over HTTP, one thing after the other.
#[derive(Debug)]
pub struct Browser {
    runtime: tokio::runtime::Runtime,
    http: reqwest::Client,
    url: String,
    cookie: Option<String>,
}

impl Browser {
    /// For the server at a URL.
    pub fn new(url: &str) -> Self {
        Self::with(url, |builder| builder)
    }

    /// As [`Browser::new`], with settings of its own.
    pub fn with(url: &str, set: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder) -> Self {
        // Every test of this process installs the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        let http = set(reqwest::Client::builder().no_proxy().timeout(DEADLINE)).build().expect("a client can be made");
        Self { runtime, http, url: url.to_owned(), cookie: None }
    }

    /// Sends a request; what went wrong on the way is an error.
    pub fn try_get(&self, path: &str) -> reqwest::Result<(u16, Value)> {
        self.send(self.http.get(format!("{}/{path}", self.url)))
    }

    fn send(&self, mut request: reqwest::RequestBuilder) -> reqwest::Result<(u16, Value)> {
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        self.runtime.block_on(async {
            let response = request.send().await?;
            let status = response.status().as_u16();
            let bytes = response.bytes().await?;
            Ok((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
        })
    }

    /// Reads; the status and the body.
    #[track_caller]
    pub fn get(&self, path: &str) -> (u16, Value) {
        self.try_get(path).expect("the server answers")
    }

    /// Writes; the status and the body.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send(self.http.post(format!("{}/{path}", self.url)).json(body)).expect("the server answers")
    }

    /// Signed in as another browser is.
    pub fn with_cookie_of(mut self, other: &Self) -> Self {
        self.cookie.clone_from(&other.cookie);
        self
    }

    /// Uploads a file; the status and the body.
    #[track_caller]
    pub fn upload(&self, path: &str, name: &str, content: &[u8]) -> (u16, Value) {
        let head = format!("--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
        let body = [head.as_bytes(), content, b"\r\n--edge--\r\n"].concat();
        let request = self.http.post(format!("{}/{path}", self.url));
        self.send(request.header("content-type", "multipart/form-data; boundary=edge").body(body))
            .expect("the server answers")
    }

    /// Reads what is no JSON; the status and the bytes.
    #[track_caller]
    pub fn bytes(&self, path: &str) -> (u16, Vec<u8>) {
        let mut request = self.http.get(format!("{}/{path}", self.url));
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        self.runtime.block_on(async {
            let response = request.send().await.expect("the server answers");
            (response.status().as_u16(), response.bytes().await.expect("a body").to_vec())
        })
    }

    /// Signs in; the account, or the status of the refusal.
    #[track_caller]
    pub fn sign_in(&mut self, email: &str, password: &str) -> Result<Value, u16> {
        let (status, body) = self.post("auth/login", &json!({"email": email, "password": password}));
        if status != 200 {
            return Err(status);
        }
        self.cookie = Some(format!("session_id={}", body["result"]["session_id"].as_str().expect("a session")));
        Ok(body["result"]["user_data"].clone())
    }
}

/// An empty schema on the MariaDB server of this process, as a URL.
pub fn mariadb_schema() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let server = carebot_testkit::mariadb::shared();
    let schema = format!("cli_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    server.execute(&format!("CREATE DATABASE {schema}")).expect("a schema can be made");
    server.url(&schema)
}
