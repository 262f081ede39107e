//! Reader threads: each has a connection, all take jobs from one queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::Result;
use crate::connector::error::DbError;

type Job = Box<dyn FnOnce(&Connection) + Send>;

/// A handle to the reader threads. They end when the last handle is gone.
#[derive(Clone, Debug)]
pub struct Readers {
    jobs: Sender<Job>,
    timeout: Duration,
    closed: Arc<AtomicBool>,
}

impl Readers {
    pub fn start(connections: Vec<Connection>, timeout: Duration) -> Result<Self> {
        let (jobs, queue) = crossbeam_channel::unbounded::<Job>();
        for (index, connection) in connections.into_iter().enumerate() {
            let queue: Receiver<Job> = queue.clone();
            std::thread::Builder::new()
                .name(format!("sqlite-read-{index}"))
                .spawn(move || {
                    for job in queue {
                        job(&connection);
                    }
                })
                .map_err(|error| DbError::Unavailable(format!("a thread could not be started: {error}")))?;
        }
        Ok(Self { jobs, timeout, closed: Arc::default() })
    }

    /// From now on nothing is read any more.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Runs a job on whichever reader is free first. One that nobody waits for any more is not begun.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(DbError::Unavailable("the database is closed".into()));
        }
        let (reply, answer) = oneshot::channel();
        let job = Box::new(move |connection: &Connection| {
            if !reply.is_closed() {
                // Nobody waits any more: nothing to tell.
                let _ = reply.send(job(connection));
            }
        });
        self.jobs.send(job).map_err(|_| DbError::Unavailable("the database is closed".into()))?;
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(DbError::Unavailable("a reader thread failed".into())),
            Err(_) => Err(DbError::Unavailable("no reader was free in time".into())),
        }
    }
}
