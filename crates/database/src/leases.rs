//! Leases: of several servers one does a job.
//!
//! A lease keeps servers from doing the same work at the same time; it is no proof against it (clocks differ, and a server can
//! be stopped for longer than its lease). What must not happen twice has a unique key besides.

use std::time::Duration;

use carebot_model::Timestamp;

use crate::connector::error::DbError;
use crate::{Db, Result, params};

/// How far clocks of servers may differ, in milliseconds. A lease that ends later than one taken now would is of a clock that was
/// wrong, and of nobody: a server that died with it would keep others from its job for as long as it was wrong.
const APART: i64 = 5 * 60_000;

/// Takes a lease that is free, has run out or is one's own, and holds it for `length` from now on; says whether it is held.
///
/// # Errors
/// As any statement.
pub async fn claim(db: &Db, name: &'static str, holder: i64, now: Timestamp, length: Duration) -> Result<bool> {
    let until = now.plus_millis(i64::try_from(length.as_millis()).unwrap_or(i64::MAX));
    let taken = db
        .execute(
            "UPDATE job_leases SET holder = ?, leased_until = ?
             WHERE name = ? AND (holder = ? OR leased_until < ? OR leased_until > ?)",
            params![holder, until, name, holder, now, until.plus_millis(APART)],
        )
        .await?;
    if taken == 1 {
        return Ok(true);
    }
    // Held by somebody else, or never taken before.
    let first = db
        .execute("INSERT INTO job_leases (name, holder, leased_until) VALUES (?, ?, ?)", params![name, holder, until])
        .await;
    match first {
        Ok(_) => Ok(true),
        Err(DbError::Duplicate { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Gives a lease back, if it is one's own.
///
/// # Errors
/// As any statement.
pub async fn release(db: &Db, name: &'static str, holder: i64) -> Result<()> {
    db.execute("DELETE FROM job_leases WHERE name = ? AND holder = ?", params![name, holder]).await.map(drop)
}

/// Gives back every lease that a holder has.
///
/// # Errors
/// As any statement.
pub async fn release_all(db: &Db, holder: i64) -> Result<()> {
    db.execute("DELETE FROM job_leases WHERE holder = ?", params![holder]).await.map(drop)
}
