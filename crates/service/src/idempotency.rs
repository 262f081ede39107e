//! Requests that may be sent again.

use carebot_database::idempotency::{self, Earlier, Keyed};
use carebot_database::{Tx, transact};
use carebot_model::access::Actor;
use carebot_model::{RowId, Timestamp};

use crate::{Error, Result, Service};

/// Why a request is refused whose key was used for another.
pub const USED: &str = "This Idempotency-Key was used for another request";

/// For how long requests that were carried out are remembered, in milliseconds: 30 days.
const KEPT: i64 = 30 * 24 * 3_600_000;

/// What a client says of a request besides its content.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// Its own key for it: with one it is carried out once, however often it is sent.
    pub key: Option<&'a str>,
    /// When what it tells of happened; now if absent.
    pub sensed_at: Option<Timestamp>,
}

/// A caller's request, if it has a key: which operation, and all that it says.
pub(crate) fn keyed(actor: &Actor, operation: &str, key: Option<&str>, content: &[Option<&str>]) -> Option<Keyed> {
    Some(Keyed::new(actor.account()?, operation, key?, content))
}

/// The row that a request made when it was carried out before. To be asked under the locks of whoever carries it out.
///
/// # Errors
/// [`Error::Conflict`] if it said something else then.
pub(crate) async fn earlier(tx: &mut Tx, keyed: Option<&Keyed>) -> Result<Option<RowId>> {
    let Some(keyed) = keyed else { return Ok(None) };
    match idempotency::earlier(tx, keyed).await? {
        None => Ok(None),
        Some(Earlier::Same(row)) => Ok(Some(row)),
        Some(Earlier::Other) => Err(Error::Conflict(USED)),
    }
}

impl Service {
    /// Forgets requests that nobody sends again; how many.
    ///
    /// # Errors
    /// As the database.
    pub async fn forget_requests(&self) -> Result<u64> {
        let (mut all, before) = (0, self.now().plus_millis(-KEPT));
        loop {
            let count = transact!(self.db, tx => { idempotency::forget(&mut tx, before).await })?;
            all += count;
            if count < 1_000 {
                return Ok(all);
            }
        }
    }
}
