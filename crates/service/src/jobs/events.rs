//! Deletes events that have been kept long enough.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{Result, Service};

/// How often it looks.
pub const INTERVAL: Duration = Duration::from_hours(6);

pub async fn run(service: Arc<Service>, stop: CancellationToken) -> Result<()> {
    let count = service.delete_old_events(&stop).await?;
    if count > 0 {
        tracing::info!(count, "old events deleted");
    }
    Ok(())
}
