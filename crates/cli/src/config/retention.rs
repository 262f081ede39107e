//! How long reports are kept.

use carebot_service::series;

use super::setting::section;

section! {
    /// How long reports are kept. Before a report is deleted its hour is summed up, and the sums of hours and days are kept for
    /// ever. In a database that had reports in it before (an import, an older version) nothing is deleted until an operator agrees:
    /// `carebot retention confirm`. See `series.md`.
    pub struct Retention in "retention" {
        /// Reports of the air in the home are deleted after so many days; 0 keeps them for ever. Not fewer than 35.
        home_days: u32 = 90, in 0..=36_500, unit "days";
        /// Reports of the heart rate are deleted after so many days; 0 keeps them for ever. Not fewer than 35.
        health_days: u32 = 90, in 0..=36_500, unit "days";
        /// Sums of five minutes, of every kind, are deleted after so many days; 0 keeps them for ever.
        five_minutes_days: u32 = 365, in 0..=36_500, unit "days";
    }
}

impl Retention {
    /// The fewest days: rules are tried out over the last 30, and late reports are a week old at most.
    pub const LEAST: u32 = 35;

    /// What the use cases need to know.
    pub fn for_service(&self) -> series::Retention {
        series::Retention {
            home_days: self.home_days,
            health_days: self.health_days,
            five_minutes_days: self.five_minutes_days,
        }
    }
}
