//! Deletes sessions that have idled too long, and forgets requests that nobody sends again.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{Result, Service};

pub async fn run(service: Arc<Service>, _stop: CancellationToken) -> Result<()> {
    let count = service.delete_expired_sessions().await?;
    if count > 0 {
        tracing::debug!(count, "expired sessions deleted");
    }
    let count = service.forget_requests().await?;
    if count > 0 {
        tracing::debug!(count, "old keys of requests forgotten");
    }
    Ok(())
}
