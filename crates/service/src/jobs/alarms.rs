//! The loops of alarms: rules are judged, ladders climbed, notices handed out. Each is woken when something happens at this server,
//! and looks every [`TURN`] for what happened at another, or became due.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::alarms::judge::WATCHES;
use crate::{Result, Service};

/// How often each loop looks without being woken.
pub const TURN: Duration = Duration::from_millis(250);
/// How often this server says to the others that its loops turn.
const BEAT: Duration = Duration::from_secs(5);

/// Starts the loops.
pub fn start(service: &Arc<Service>, stop: &CancellationToken) -> Vec<tokio::task::JoinHandle<()>> {
    service.expect_loops();
    let turning = |job: fn(Arc<Service>) -> Turning, woken: fn(&Service) -> &Notify, name| {
        tokio::spawn(turn(Arc::clone(service), stop.clone(), name, job, woken))
    };
    vec![
        turning(
            |service| Box::pin(async move { service.judge_rules().await.map(drop) }),
            |service| &service.alarms.rules,
            "rules",
        ),
        turning(
            |service| Box::pin(async move { service.tend_alarms().await.map(drop) }),
            |service| &service.alarms.ladders,
            "ladders",
        ),
        turning(
            |service| Box::pin(async move { service.begin_handing_out().await }),
            |service| &service.alarms.deliveries,
            "deliveries",
        ),
        tokio::spawn(beat(Arc::clone(service), stop.clone())),
    ]
}

type Turning = std::pin::Pin<Box<dyn Future<Output = Result<()>> + Send>>;

async fn turn(
    service: Arc<Service>,
    stop: CancellationToken,
    name: &'static str,
    job: fn(Arc<Service>) -> Turning,
    woken: fn(&Service) -> &Notify,
) {
    loop {
        if let Err(error) = job(Arc::clone(&service)).await {
            tracing::error!(job = name, ?error, "a loop of alarms did not get through; it tries again");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(TURN) => {}
            () = woken(&service).notified() => {}
        }
    }
}

async fn beat(service: Arc<Service>, stop: CancellationToken) {
    let mut watches = tokio::time::interval(WATCHES);
    let mut beats = tokio::time::interval(BEAT);
    loop {
        let done = tokio::select! {
            () = stop.cancelled() => return,
            _ = beats.tick() => service.beat().await,
            _ = watches.tick() => service.give_watches().await,
        };
        if let Err(error) = done {
            tracing::error!(?error, "the loops of alarms could not be watched; it is tried again");
        }
    }
}
