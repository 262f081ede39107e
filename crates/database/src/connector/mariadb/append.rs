//! Group commit: rows that wait at the same time become one INSERT, which is one commit.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::{Lease, Pool};
use crate::Result;
use crate::connector::Append;
use crate::connector::error::DbError;
use crate::connector::value::Value;

/// The most rows in one statement. Each number of rows is a prepared statement of its own.
const ROWS: usize = 64;
/// The most rows that wait; more are refused at once.
const QUEUE: usize = 16_384;

type Reply = oneshot::Sender<Result<()>>;

struct Waiting {
    row: Append,
    reply: Reply,
}

enum Job {
    Append(Waiting),
    Close(oneshot::Sender<()>),
}

#[derive(Debug)]
pub struct Appender {
    jobs: mpsc::Sender<Job>,
    timeout: Duration,
}

impl Appender {
    pub fn start(pool: Arc<Pool>, timeout: Duration) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        tokio::spawn(run(pool, queue));
        Self { jobs, timeout }
    }

    pub async fn append(&self, row: Append) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.jobs.try_send(Job::Append(Waiting { row, reply })).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => DbError::Unavailable("too many writes are waiting".into()),
            mpsc::error::TrySendError::Closed(_) => DbError::Unavailable("the database is closed".into()),
        })?;
        // Connecting and inserting have their own limits within this one.
        match tokio::time::timeout(self.timeout * 2, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(DbError::Unavailable("the database is closed".into())),
            Err(_) => Err(DbError::OutcomeUnknown("the database did not answer in time".into())),
        }
    }

    pub async fn close(&self) {
        let (reply, answer) = oneshot::channel();
        if self.jobs.send(Job::Close(reply)).await.is_ok() {
            // An answer that does not come means that the task is gone already.
            let _ = answer.await;
        }
    }
}

async fn run(pool: Arc<Pool>, mut queue: mpsc::Receiver<Job>) {
    let mut jobs = Vec::new();
    let mut lease = None;
    loop {
        if queue.recv_many(&mut jobs, ROWS * 4).await == 0 {
            return;
        }
        let mut close = None;
        let mut tables: HashMap<&'static str, Vec<Waiting>> = HashMap::new();
        for job in jobs.drain(..) {
            match job {
                Job::Append(waiting) if !waiting.reply.is_closed() => {
                    tables.entry(waiting.row.table).or_default().push(waiting);
                }
                Job::Append(_) => {}
                Job::Close(reply) => close = Some(reply),
            }
        }
        for (_, mut rows) in tables {
            while !rows.is_empty() {
                let rest = rows.split_off(rows.len().min(ROWS));
                lease = store(&pool, lease.take(), std::mem::replace(&mut rows, rest)).await;
            }
        }
        if let Some(close) = close {
            // Nobody waits any more: closed all the same.
            let _ = close.send(());
            return;
        }
        if queue.is_empty() {
            // Nothing waits: others may have the connection.
            lease = None;
        }
    }
}

/// Stores rows of one table and answers each; the connection, if it is still in order.
async fn store(pool: &Arc<Pool>, lease: Option<Lease>, rows: Vec<Waiting>) -> Option<Lease> {
    let mut lease = match lease {
        Some(lease) => lease,
        None => match pool.lease().await {
            Ok(lease) => lease,
            Err(error) => {
                for waiting in rows {
                    answer(waiting.reply, Err(DbError::Unavailable(error.to_string())));
                }
                return None;
            }
        },
    };
    match insert(&mut lease, &rows).await {
        Ok(()) => {
            for waiting in rows {
                answer(waiting.reply, Ok(()));
            }
            Some(lease)
        }
        // The connection broke: it may have been committed or not. The keys are ours, so sending again is safe.
        Err(DbError::Unavailable(_)) => {
            drop(lease);
            match pool.fresh().await {
                Ok(lease) => one_by_one(lease, rows, true).await,
                Err(error) => {
                    for waiting in rows {
                        answer(waiting.reply, Err(DbError::OutcomeUnknown(error.to_string())));
                    }
                    None
                }
            }
        }
        // One of them is bad and the statement was rolled back: each alone, so that only the bad one fails.
        Err(_) => one_by_one(lease, rows, false).await,
    }
}

async fn one_by_one(mut lease: Lease, rows: Vec<Waiting>, again: bool) -> Option<Lease> {
    for waiting in rows {
        let mut result = insert(&mut lease, std::slice::from_ref(&waiting)).await;
        for _ in 0..3 {
            if matches!(result, Err(DbError::Conflict(_))) {
                result = insert(&mut lease, std::slice::from_ref(&waiting)).await;
            }
        }
        answer(
            waiting.reply,
            match result {
                Err(error) if again && error.is_duplicate("PRIMARY") => Ok(()),
                Err(DbError::Unavailable(text)) => Err(DbError::OutcomeUnknown(text)),
                result => result,
            },
        );
    }
    Some(lease)
}

async fn insert(lease: &mut Lease, rows: &[Waiting]) -> Result<()> {
    let Some(first) = rows.first().map(|waiting| &waiting.row) else { return Ok(()) };
    let marks = format!("({})", vec!["?"; first.values.len()].join(","));
    let sql = format!(
        "INSERT INTO {} ({}) VALUES {}",
        first.table,
        first.columns,
        vec![marks.as_str(); rows.len()].join(",")
    );
    let values: Vec<Value> = rows.iter().flat_map(|waiting| waiting.row.values.iter().cloned()).collect();
    lease.execute(&sql, values).await.map(drop)
}

fn answer(reply: Reply, result: Result<()>) {
    // Nobody waits any more: nothing to tell.
    let _ = reply.send(result);
}
