//! Deletes reports that have been kept long enough, once their sums are stored.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{Result, Service};

/// How often it looks.
pub const INTERVAL: Duration = Duration::from_hours(1);

pub async fn run(service: Arc<Service>, stop: CancellationToken) -> Result<()> {
    let purged = service.delete_old_reports(&stop).await?;
    if purged.is_held {
        tracing::info!("reports are not deleted by age until an operator agrees: see `carebot retention status`");
    } else if purged.reports > 0 {
        tracing::info!(count = purged.reports, "old reports deleted; their sums are kept");
    }
    Ok(())
}
