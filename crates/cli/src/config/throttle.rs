//! Slowing down those who guess passwords.

use std::num::NonZero;

use super::server::or_cores;
use super::setting::section;

section! {
    /// Slowing down those who guess passwords. Too many failures within the window are answered with 429 and `Retry-After`.
    pub struct Throttle in "throttle" {
        /// Failures for one account within the window before attempts on it are delayed.
        account_failures: u32 = 10, in 1..=1_000_000, unit "failures";
        /// Failures from one address within the window before its attempts are delayed. Many homes can share an address.
        address_failures: u32 = 50, in 1..=1_000_000, unit "failures";
        /// How long a failure counts.
        window_seconds: u64 = 900, in 1..=86_400;
        /// The longest delay that one is told to keep.
        max_delay_seconds: u64 = 60, in 1..=3_600;
        /// Passwords hashed at the same time, each with 19 MiB of memory; 0 is one for each processor core.
        hash_concurrency: usize = 0, in 0..=256;
    }
}

impl Throttle {
    /// How many passwords are hashed at the same time on a machine with so many cores.
    pub fn hash_slots(&self, cores: NonZero<usize>) -> usize {
        or_cores(self.hash_concurrency, cores)
    }
}
