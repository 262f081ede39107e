//! The elder's body.

crate::status_kind! {
    /// What the robot measures of the elder's body.
    Health: name "health", title "health status", Title "Health status", table "health_status",
    reported true, thinned true, range ReportedAt, series [heart_rate] {
        /// Heart rate in beats per minute.
        heart_rate: i32 = rounded,
    }
}
