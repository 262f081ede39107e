//! The parent process of a server, which sees to it that the server does not outlive us.

use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// Parent of the server. `$1` is the server's folder, `$2` its log, the rest the command.
///
/// It prints the server's process id, then sends it the signals named on its standard input and says so. At the end of
/// that input its owner is gone: it kills the server and removes the folder. It ends when the server does, and
/// then nothing is left of it: the watcher is told to go, or is waited for while it still removes the folder.
const KEEPER: &str = r#"
folder=$1; log=$2; shift 2
exec 3<&0
"$@" </dev/null >>"$log" 2>&1 3<&- &
server=$!
echo "$server"
(
    while read -r signal <&3; do kill -s "$signal" "$server"; echo sent; done
    trap '' TERM
    kill -s KILL "$server"
    while kill -0 "$server"; do sleep 0.05; done
    rm -rf -- "$folder"
) 2>/dev/null &
watcher=$!
exec 3<&- 0</dev/null
wait "$server"
kill "$watcher" 2>/dev/null
wait "$watcher"
"#;

/// The living half of a server.
#[derive(Debug)]
pub(super) struct Running {
    keeper: Child,
    /// The pipe that keeps the server alive. None only while it is being dropped.
    commands: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
    pid: u32,
}

impl Running {
    /// Starts a keeper and, under it, the server; it need not accept connections yet.
    /// The folder is removed when this process dies before the server.
    pub(super) fn start(server: &Command, folder: &Path, log: &Path) -> io::Result<Self> {
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .args([folder, log])
            .arg(server.get_program())
            .args(server.get_args())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // A Ctrl-C in the terminal is for us; the keeper still has to clean up after us.
            .process_group(0)
            .spawn()?;
        let commands = keeper.stdin.take();
        let mut replies = BufReader::new(keeper.stdout.take().expect("standard output is piped"));
        let mut line = String::new();
        replies.read_line(&mut line)?;
        let pid = line.trim().parse().map_err(|_| io::Error::other("the shell `sh` did not start mariadbd"))?;
        Ok(Self { keeper, commands, replies, pid })
    }

    /// Process id of the server itself.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether the server has ended, for whatever reason.
    pub(super) fn has_ended(&mut self) -> io::Result<bool> {
        Ok(self.keeper.try_wait()?.is_some())
    }

    /// Sends a signal; it is on its way when this returns. `BrokenPipe` when the server has ended.
    pub(super) fn send(&mut self, signal: &str) -> io::Result<()> {
        let pipe = self.commands.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(pipe, "{signal}")?;
        let mut reply = String::new();
        match self.replies.read_line(&mut reply)? {
            0 => Err(io::ErrorKind::BrokenPipe.into()),
            _ => Ok(()),
        }
    }

    /// Whether every thread of the server stands still.
    pub(super) fn is_frozen(&self) -> io::Result<bool> {
        for thread in fs::read_dir(format!("/proc/{}/task", self.pid))? {
            // A thread that is gone by now was not frozen; the folder itself is missing only when the server has died.
            let state = fs::read_to_string(thread?.path().join("stat")).unwrap_or_default();
            // "<id> (<name>) <state> ..": the name may hold anything, so the last parenthesis counts.
            if !state.rsplit(')').next().is_some_and(|rest| rest.starts_with(" T")) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Closing the pipe kills the server. An error of `wait` has nobody to go to; the keeper works on without us.
        drop(self.commands.take());
        let _ = self.keeper.wait();
    }
}
