//! Collects the news of the day, and removes old ones.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{Result, Service};

/// How often it looks whose turn it is; each source is asked once a day.
pub const INTERVAL: Duration = Duration::from_mins(10);

pub async fn run(service: Arc<Service>, stop: CancellationToken) -> Result<()> {
    let collected = service.collect_news(&stop).await?;
    if collected.answered > 0 {
        tracing::info!(sources = collected.answered, stored = collected.stored, "news collected");
    }
    Ok(())
}
