//! Reads disaster messages and hands them to the families they are for.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{Result, Service};

pub async fn run(service: Arc<Service>, stop: CancellationToken) -> Result<()> {
    let round = service.receive_disasters(&stop).await?;
    if round.stored > 0 || round.delivered > 0 {
        tracing::info!(messages = round.stored, notifications = round.delivered, "disaster messages handed out");
    }
    Ok(())
}
