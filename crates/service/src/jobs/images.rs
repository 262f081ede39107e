//! Tidies up behind pictures: deletes the objects of those that are gone, those that nothing has referred to for long, and
//! objects that no picture has.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::images::storage::SHARDS;
use crate::{Result, Service};

/// How often it looks without being woken.
pub const INTERVAL: Duration = Duration::from_mins(1);

/// For how long one folder of the store is looked through before the next one's turn comes, in milliseconds: once a day
/// every folder was. Told by the clock, so that servers that start often still come round.
const TURN: i64 = 300_000;

pub async fn run(service: Arc<Service>, stop: CancellationToken) -> Result<()> {
    while !stop.is_cancelled() && service.discard_unreferenced_images().await? > 0 {
        tokio::task::yield_now().await;
    }
    while !stop.is_cancelled() && service.delete_discarded_images().await? > 0 {
        tokio::task::yield_now().await;
    }
    if !stop.is_cancelled() {
        let turn = service.now().millis().div_euclid(TURN).rem_euclid(i64::from(SHARDS));
        service.tidy_images(u32::try_from(turn).unwrap_or_default()).await?;
    }
    Ok(())
}
