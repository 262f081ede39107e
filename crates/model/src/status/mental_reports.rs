//! The elder's mood over a period.

use crate::{Date, Timestamp};

crate::status_kind! {
    /// The mood over a period, computed from the daily scores.
    MentalReport: name "mental-reports", title "mental reports", Title "Mental reports", table "mental_reports",
    reported false, thinned false, range Period, series [] {
        /// Where the period starts.
        start_time: Timestamp = time,
        /// Where the period ends.
        end_time: Timestamp = time,
        /// The mean of the daily scores, 0 to 100.
        average_score: i32 = int,
        /// How many days were critical.
        critical_days: i32 = int,
        /// The day with the highest score.
        best_day: Date = date,
        /// The day with the lowest score.
        worst_day: Date = date,
        /// Whether something should be done.
        improvement_needed: bool = flag,
        /// A summary for people.
        summary: String = long_text,
    }
}
