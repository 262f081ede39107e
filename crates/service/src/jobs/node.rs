//! Prolongs the lease of this server's node number.

use std::sync::Arc;
use std::time::Duration;

use carebot_database::ambient::RowIds;
use tokio_util::sync::CancellationToken;

use crate::{Result, Service};

/// Well within the lease.
pub const INTERVAL: Duration = RowIds::RENEWAL;

pub async fn run(service: Arc<Service>, _stop: CancellationToken) -> Result<()> {
    service.renew_node().await
}
