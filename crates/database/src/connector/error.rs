//! What can go wrong with a database.

use std::time::Duration;

/// An error of the database or of what is stored in it.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// A row with this key exists already. Holds the name of the constraint, never the value.
    #[error("a row with this key exists already ({constraint})")]
    Duplicate {
        /// The key or columns.
        constraint: String,
    },
    /// What the row refers to does not exist.
    #[error("what the row refers to does not exist")]
    MissingParent,
    /// The transaction lost against another one and was rolled back; it can be tried again.
    #[error("the transaction lost against another one: {0}")]
    Conflict(String),
    /// The database cannot be used at the moment; nothing was done.
    #[error("the database cannot be used: {0}")]
    Unavailable(String),
    /// The connection broke while a commit was on its way: it may have happened or not.
    #[error("the outcome of a commit is unknown: {0}")]
    OutcomeUnknown(String),
    /// A stored value is not what it must be.
    #[error("column `{column}` of row {row} holds what it must not ({found}) in: {statement}")]
    BadValue {
        /// The column's name.
        column: String,
        /// Which row of the result, from 0.
        row: usize,
        /// What kind of value was found; not the value.
        found: &'static str,
        /// The statement, which names the table.
        statement: String,
    },
    /// The URL or an option cannot be used.
    #[error("{0}")]
    Configuration(String),
    /// The schema of the database does not fit this program.
    #[error("{0}")]
    Schema(String),
    /// The engine refused a statement: a fault of this program.
    #[error("the database refused a statement: {0}")]
    Statement(String),
}

impl DbError {
    /// Whether the same row is there already because of a certain key (or column, which is how SQLite names it).
    pub fn is_duplicate(&self, key: &str) -> bool {
        matches!(self, Self::Duplicate { constraint } if constraint.contains(key))
    }
}

/// Whether a transaction that failed with this error may be run again as a whole.
pub trait Retryable {
    /// True only if nothing of the transaction can have been committed.
    fn retryable(&self) -> bool;
}

impl Retryable for DbError {
    fn retryable(&self) -> bool {
        matches!(self, Self::Conflict(_))
    }
}

/// Counts the attempts of a transaction and waits a little, with jitter, before another.
#[derive(Debug, Default)]
pub struct Attempts {
    made: u32,
}

impl Attempts {
    /// How often a transaction is run at most.
    pub const MOST: u32 = 8;

    /// Waits and answers true if there may be another attempt. The waits double from 2 ms to at most 128 ms, each between
    /// half and the whole of it.
    pub async fn again(&mut self) -> bool {
        self.made += 1;
        if self.made >= Self::MOST {
            return false;
        }
        let most = 2_u64 << self.made.min(6);
        let jitter = u64::from(crate::ambient::random_byte()) % (most / 2 + 1);
        tokio::time::sleep(Duration::from_millis(most / 2 + jitter)).await;
        true
    }
}
