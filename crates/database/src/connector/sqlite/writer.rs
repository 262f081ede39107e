//! The writer thread: everything that waits is committed together.
//!
//! One outer transaction holds a batch. An appended row is one statement in it (atomic by itself); a transaction of
//! several statements is a savepoint, so that one that fails rolls back alone. Callers are answered after the commit of
//! the outer transaction, which waits for the disk once for all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{error, execute};
use crate::Result;
use crate::connector::Append;
use crate::connector::error::DbError;

/// The most jobs in one commit, and the longest a batch is filled before it is committed.
const BATCH: usize = 1024;
const BATCH_TIME: Duration = Duration::from_millis(20);
/// The most jobs that wait; more are refused at once.
const QUEUE: usize = 16_384;
/// A transaction whose program says nothing for so long is rolled back: nobody else can write meanwhile.
const SILENCE: Duration = Duration::from_secs(10);

type Reply = oneshot::Sender<Result<()>>;
type Work = Box<dyn FnOnce(&Connection) + Send>;

enum Job {
    Append { row: Append, reply: Reply, claim: Arc<Claim> },
    Session { commands: Receiver<Command>, started: oneshot::Sender<Result<()>> },
    Close(oneshot::Sender<()>),
}

enum Command {
    Run(Work),
    Commit(Reply),
}

/// Who has an appended row: the caller, who may still give it up, or the thread. One of both takes it, never both.
#[derive(Default)]
struct Claim(AtomicU8);

impl Claim {
    const BEGUN: u8 = 1;
    const GIVEN_UP: u8 = 2;

    fn take(&self, what: u8) -> bool {
        self.0.compare_exchange(0, what, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[derive(Debug)]
pub struct Writer {
    jobs: Sender<Job>,
    timeout: Duration,
}

fn closed<T>(_: T) -> DbError {
    DbError::Unavailable("the database is closed".into())
}

impl Writer {
    pub fn start(connection: Connection, timeout: Duration) -> Result<Self> {
        let (jobs, queue) = crossbeam_channel::bounded(QUEUE);
        std::thread::Builder::new()
            .name("sqlite-write".into())
            .spawn(move || run(&connection, &queue))
            .map_err(|error| DbError::Unavailable(format!("a thread could not be started: {error}")))?;
        Ok(Self { jobs, timeout })
    }

    fn send(&self, job: Job) -> Result<()> {
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => DbError::Unavailable("too many writes are waiting".into()),
            TrySendError::Disconnected(_) => closed(()),
        })
    }

    pub async fn append(&self, row: Append) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        let claim = Arc::new(Claim::default());
        self.send(Job::Append { row, reply, claim: Arc::clone(&claim) })?;
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(answer) => answer.map_err(closed)?,
            Err(_) if claim.take(Claim::GIVEN_UP) => {
                Err(DbError::Unavailable("the writer was not free in time".into()))
            }
            Err(_) => Err(DbError::OutcomeUnknown("the disk did not answer in time".into())),
        }
    }

    pub async fn begin(&self) -> Result<Session> {
        let (commands, queue) = crossbeam_channel::unbounded();
        let (started, begun) = oneshot::channel();
        self.send(Job::Session { commands: queue, started })?;
        match tokio::time::timeout(self.timeout, begun).await {
            Ok(begun) => begun.map_err(closed)??,
            Err(_) => return Err(DbError::Unavailable("the writer was not free in time".into())),
        }
        Ok(Session { commands })
    }

    pub async fn close(&self) {
        let (reply, answer) = oneshot::channel();
        if self.send(Job::Close(reply)).is_ok() {
            // An answer that does not come means that the thread is gone already.
            let _ = answer.await;
        }
    }
}

/// A transaction of several statements. Dropping it rolls back.
pub struct Session {
    commands: Sender<Command>,
}

impl Session {
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let work = Box::new(move |connection: &Connection| {
            // Nobody waits any more: the session is about to be dropped.
            let _ = reply.send(work(connection));
        });
        self.commands.send(Command::Run(work)).map_err(|_| Self::lost())?;
        answer.await.map_err(|_| Self::lost())?
    }

    pub async fn commit(self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Commit(reply)).map_err(|_| Self::lost())?;
        answer.await.map_err(closed)?
    }

    /// The thread sees that the commands end.
    pub fn rollback(self) {
        drop(self);
    }

    fn lost() -> DbError {
        DbError::Unavailable("the transaction was ended because it took too long or the disk failed".into())
    }
}

fn run(connection: &Connection, queue: &Receiver<Job>) {
    while let Ok(first) = queue.recv() {
        if let Some(close) = batch(connection, queue, first) {
            // A checkpoint leaves one file behind instead of three; if it fails the next start does it.
            let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            // Nobody waits any more: closed all the same.
            let _ = close.send(());
            return;
        }
    }
}

/// Runs a batch; the answer to a request to close, if one came.
fn batch(connection: &Connection, queue: &Receiver<Job>, first: Job) -> Option<oneshot::Sender<()>> {
    let begun = connection.execute_batch("BEGIN IMMEDIATE").map_err(error);
    let deadline = Instant::now() + BATCH_TIME;
    // Bad news wait as well: a key that is there already may be that of a row whose commit then fails.
    let mut waiting: Vec<(Reply, Result<()>)> = Vec::new();
    let mut close = None;
    let mut next = Some(first);
    let mut count = 0;
    while let Some(job) = next {
        let alive = begun.as_ref().map_err(duplicate).and_then(|()| still_open(connection));
        match (job, alive) {
            (Job::Close(reply), _) => {
                close = Some(reply);
                break;
            }
            (Job::Append { reply, .. }, Err(error)) => answer(reply, Err(error)),
            (Job::Session { started, .. }, Err(error)) => answer(started, Err(error)),
            (Job::Append { row, reply, claim }, Ok(())) => {
                if !reply.is_closed() && claim.take(Claim::BEGUN) {
                    waiting.push((reply, insert(connection, &row)));
                }
            }
            (Job::Session { commands, started }, Ok(())) => {
                if started.send(Ok(())).is_ok() {
                    waiting.extend(session(connection, &commands).map(|reply| (reply, Ok(()))));
                }
            }
        }
        count += 1;
        next = if count < BATCH && Instant::now() < deadline { queue.try_recv().ok() } else { None };
    }
    if begun.is_ok() {
        let committed = still_open(connection).and_then(|()| connection.execute_batch("COMMIT").map_err(error));
        if committed.is_err() && !connection.is_autocommit() {
            // Rolling back cannot fail in a way that would keep anything.
            let _ = connection.execute_batch("ROLLBACK");
        }
        for (reply, result) in waiting {
            answer(reply, committed.as_ref().map_err(duplicate).and(result));
        }
    }
    close
}

/// Some errors (a full disk among them) make SQLite roll the whole transaction back by itself.
fn still_open(connection: &Connection) -> Result<()> {
    if connection.is_autocommit() {
        Err(DbError::Unavailable("SQLite rolled the transaction back".into()))
    } else {
        Ok(())
    }
}

fn insert(connection: &Connection, row: &Append) -> Result<()> {
    let marks = vec!["?"; row.values.len()].join(",");
    let sql = format!("INSERT INTO {} ({}) VALUES ({marks})", row.table, row.columns);
    execute(connection, &sql, &row.values).map(drop)
}

/// Serves a transaction of several statements; who waits for its commit, if it wants one.
fn session(connection: &Connection, commands: &Receiver<Command>) -> Option<Reply> {
    let opened = connection.execute_batch("SAVEPOINT tx");
    let wants = loop {
        match commands.recv_timeout(SILENCE) {
            Ok(Command::Run(work)) if opened.is_ok() && !connection.is_autocommit() => work(connection),
            // Dropping the work tells its caller.
            Ok(Command::Run(_)) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break None,
            Ok(Command::Commit(reply)) => break Some(reply),
        }
    };
    let ended = match wants {
        Some(_) => connection.execute_batch("RELEASE tx"),
        None => connection.execute_batch("ROLLBACK TO tx; RELEASE tx"),
    };
    match (wants, ended) {
        (Some(reply), Err(failure)) => {
            answer(reply, Err(error(failure)));
            None
        }
        (wants, _) => wants,
    }
}

fn answer(reply: Reply, result: Result<()>) {
    // Nobody waits any more: nothing to tell.
    let _ = reply.send(result);
}

fn duplicate(error: &DbError) -> DbError {
    DbError::Unavailable(error.to_string())
}
