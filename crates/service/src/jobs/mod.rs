//! Background jobs: each is repeatable, takes no input and finds its work in the database, so that a restart and the normal
//! way are one way.
//!
//! # To add a job
//! Its file here, and a line in [`start`].

mod alarms;
mod conversations;
mod deadman;
mod deletion;
mod disasters;
mod events;
mod heads;
mod images;
mod news;
mod node;
mod retention;
mod rollups;
mod sessions;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{Result, Service};

/// The running jobs.
#[derive(Debug)]
pub struct Jobs {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

/// Starts every job.
pub fn start(service: &Arc<Service>) -> Jobs {
    let stop = CancellationToken::new();
    let mut tasks = vec![
        tokio::spawn(run(
            "sessions",
            Arc::clone(service),
            stop.clone(),
            service.settings().session_cleanup,
            sessions::run,
        )),
        tokio::spawn(run(
            "conversations",
            Arc::clone(service),
            stop.clone(),
            conversations::INTERVAL,
            conversations::run,
        )),
        tokio::spawn(run("deletion", Arc::clone(service), stop.clone(), deletion::INTERVAL, deletion::run)),
        tokio::spawn(run("images", Arc::clone(service), stop.clone(), images::INTERVAL, images::run)),
        tokio::spawn(run("node", Arc::clone(service), stop.clone(), node::INTERVAL, node::run)),
    ];
    tasks.push(tokio::spawn(run("news", Arc::clone(service), stop.clone(), news::INTERVAL, news::run)));
    if !service.collects_news() {
        tracing::info!("no source of news is configured: every category stays empty; see docs/outside.md");
    }
    if let Some(interval) = service.disasters_interval() {
        tasks.push(tokio::spawn(run("disasters", Arc::clone(service), stop.clone(), interval, disasters::run)));
    }
    tasks.extend(alarms::start(service, &stop));
    tasks.push(tokio::spawn(deadman::run(Arc::clone(service), stop.clone())));
    if service.sends_heads() {
        tasks.push(tokio::spawn(heads::run(Arc::clone(service), stop.clone())));
    }
    tasks.push(tokio::spawn(run("events", Arc::clone(service), stop.clone(), events::INTERVAL, events::run)));
    tasks.push(tokio::spawn(run("streams", Arc::clone(service), stop.clone(), streams::INTERVAL, streams::run)));
    tasks.push(tokio::spawn(run("rollups", Arc::clone(service), stop.clone(), rollups::INTERVAL, rollups::run)));
    tasks.push(tokio::spawn(run("retention", Arc::clone(service), stop.clone(), retention::INTERVAL, retention::run)));
    Jobs { stop, tasks }
}

impl Jobs {
    /// Lets every job finish the step it is at.
    pub async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a background job failed");
            }
        }
    }
}

/// Runs a job now, whenever it is woken and after every interval, until it is stopped. A failure is logged and the
/// next round tries again.
async fn run<F>(
    name: &'static str,
    service: Arc<Service>,
    stop: CancellationToken,
    interval: Duration,
    job: impl Fn(Arc<Service>, CancellationToken) -> F,
) where
    F: Future<Output = Result<()>>,
{
    // What deletes waits: a machine that has just started may not know the time yet.
    if matches!(name, "retention" | "sessions" | "events") {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(interval) => {}
        }
    }
    loop {
        if let Err(error) = job(Arc::clone(&service), stop.clone()).await {
            tracing::warn!(job = name, ?error, "a background job did not get through; it tries again");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(interval) => {}
            () = service.deleted.notified(), if name == "deletion" => {}
            () = service.node_due.notified(), if name == "node" => {}
            () = service.discarded.notified(), if name == "images" => {}
            () = service.late_come.notified(), if name == "rollups" => {}
            () = service.streams.begun(), if name == "streams" => {}
        }
    }
}
