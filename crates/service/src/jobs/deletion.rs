//! Empties deleted accounts and families, in steps small enough that nobody waits for them.

use std::sync::Arc;
use std::time::Duration;

use carebot_database::deletion;
use tokio_util::sync::CancellationToken;

use crate::{Result, Service};

/// How often it looks without being woken, for what another server or a crash left.
pub const INTERVAL: Duration = Duration::from_mins(1);

pub async fn run(service: Arc<Service>, stop: CancellationToken) -> Result<()> {
    while !stop.is_cancelled() && deletion::step(&service.db).await? {
        // Between two steps the writer belongs to the others.
        tokio::task::yield_now().await;
    }
    // Pictures among what was deleted have left their objects.
    service.discarded.notify_one();
    Ok(())
}
