//! Gives signs of life while the loops of alarms turn.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::Service;
use crate::alarms::deadman::Sign;

/// Between two signs of life, whether or not the first was taken.
const INTERVAL: Duration = Duration::from_mins(1);
/// How often it looks whether the loops turn again.
const LOOK: Duration = Duration::from_secs(1);

pub async fn run(service: Arc<Service>, stop: CancellationToken) {
    let mut turns = true;
    loop {
        let sign = tokio::select! {
            () = stop.cancelled() => return,
            sign = service.give_sign_of_life() => sign,
        };
        if let (true, Some(stuck)) = (turns, service.stuck_loop()) {
            tracing::error!(stuck, "a loop of alarms does not turn: no sign of life is given any more");
        }
        turns = service.stuck_loop().is_none();
        let pause = if sign == Sign::Withheld { LOOK } else { INTERVAL };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}
