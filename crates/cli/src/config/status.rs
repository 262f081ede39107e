//! Bounds of long reports.

use super::setting::section;

section! {
    /// Bounds of long reports.
    pub struct Status in "status" {
        /// Most rows in the answer to one range of reports. A longer range of home or health reports is thinned (header
        /// `Carebot-Thinned: true`), one of another kind stops (header `Carebot-Truncated: true`).
        row_limit: usize = 10_000, in 1..=1_000_000, unit "rows";
        /// How many of the newest rows come whole when the rest is thinned. Not more than `row_limit`.
        newest_whole: usize = 1_000, in 0..=1_000_000, unit "rows";
        /// How much memory thinned ranges may take that are kept for pages which ask for them again and again; a year of a
        /// family takes about 2 MiB. One family's may take a quarter of it at most. 0 keeps none.
        cache_mb: usize = 64, in 0..=65_536, unit "MiB";
    }
}
