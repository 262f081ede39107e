//! Reader threads: each has a connection, all take jobs from one queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::queue::Queue;
use crate::Result;
use crate::connector::error::DbError;

type Job = Box<dyn FnOnce(&Connection) + Send>;

/// A handle to the reader threads. They end when the last handle is gone.
#[derive(Clone, Debug)]
pub struct Readers {
    jobs: Arc<Jobs>,
    timeout: Duration,
    closed: Arc<AtomicBool>,
}

/// The end of the queue that jobs are put in at: without it the threads end.
#[derive(Debug)]
struct Jobs(Arc<Queue<Job>>);

impl Drop for Jobs {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Readers {
    pub fn start(connections: Vec<Connection>, timeout: Duration) -> Result<Self> {
        let jobs = Jobs(Arc::new(Queue::new()));
        for (index, connection) in connections.into_iter().enumerate() {
            let queue = Arc::clone(&jobs.0);
            std::thread::Builder::new()
                .name(format!("sqlite-read-{index}"))
                .spawn(move || {
                    while let Some(job) = queue.pop() {
                        job(&connection);
                    }
                })
                .map_err(|error| DbError::Unavailable(format!("a thread could not be started: {error}")))?;
        }
        Ok(Self { jobs: Arc::new(jobs), timeout, closed: Arc::default() })
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
        self.jobs.0.push(job);
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(DbError::Unavailable("a reader thread failed".into())),
            Err(_) => Err(DbError::Unavailable("no reader was free in time".into())),
        }
    }
}
