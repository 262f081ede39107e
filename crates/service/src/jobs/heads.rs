//! Sends heads of timelines to whoever keeps them: at once when there is a first one, and then what came meanwhile, a round every
//! [`ROUND`]. [`Service::finish`](crate::Service::finish) sends the last.

use std::sync::Arc;
use std::time::Duration;

use carebot_external::channels::Undelivered;
use tokio_util::sync::CancellationToken;

use crate::Service;

/// The least time between two heads of the same chain.
const ROUND: Duration = Duration::from_secs(10);
/// The longest pause when the receiver does not take them.
const LONGEST: Duration = Duration::from_mins(10);

pub async fn run(service: Arc<Service>, stop: CancellationToken) {
    let mut pause = ROUND;
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => break,
            () = service.alarms.heads.come.notified() => {}
        }
        let sent = tokio::select! {
            () = stop.cancelled() => break,
            sent = service.send_heads() => sent,
        };
        pause = match sent {
            Ok(_) => ROUND,
            Err(undelivered) => {
                tracing::warn!(%undelivered, "heads of timelines are not taken; they are sent later");
                let after = if let Undelivered::Later { after, .. } = undelivered { after } else { None };
                // Those that wait are news again.
                service.alarms.heads.come.notify_one();
                (pause * 2).max(after.unwrap_or_default()).min(LONGEST)
            }
        };
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
        }
    }
}
