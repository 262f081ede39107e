//! Sums reports up: hours that are over, and those for which a report came late.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{Result, Service};

/// How often it looks without being woken.
pub const INTERVAL: Duration = Duration::from_mins(1);

pub async fn run(service: Arc<Service>, stop: CancellationToken) -> Result<()> {
    let again = service.roll_up(&stop).await?;
    if again > 0 {
        tracing::debug!(again, "hours summed up again because of late reports");
    }
    Ok(())
}
