//! What the tests of faults share: the program as a process, a client that speaks HTTP byte by byte, people, load, and a
//! look into the database past the program.

pub mod http;
pub mod load;
pub mod people;
pub mod place;
pub mod program;

use std::time::{Duration, Instant};

/// How long anything may take before a test fails. Far above what it takes, for a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_mins(3);

/// Waits until a condition holds; how long that took.
///
/// # Panics
/// When it does not within [`PATIENCE`].
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
        // Another process gets on; there is nothing to wait on but time.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    started.elapsed()
}
