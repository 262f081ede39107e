//! Looks after live streams while there are any.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::streams::ROUND;
use crate::{Result, Service};

/// It is woken when somebody begins to follow.
pub const INTERVAL: Duration = Duration::from_hours(1);
/// How long it waits when the database cannot be asked.
const PAUSE: Duration = Duration::from_secs(1);

pub async fn run(service: Arc<Service>, stop: CancellationToken) -> Result<()> {
    let mut rounds = tokio::time::interval(ROUND);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut fails = false;
    while service.streams.is_busy() && !stop.is_cancelled() {
        let looked = service.look_after_streams().await;
        if let Err(error) = &looked
            && !fails
        {
            tracing::warn!(?error, "streams get nothing from other servers until the database can be asked again");
        }
        fails = looked.is_err();
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(PAUSE), if fails => {}
            _ = rounds.tick(), if !fails => {}
        }
    }
    Ok(())
}
