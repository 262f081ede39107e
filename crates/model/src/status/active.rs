//! What the elder does.

crate::status_kind! {
    /// What the robot sees the elder do; a fall is critical.
    Active: name "active", title "active status", Title "Active status", table "active_status",
    reported true, thinned false, range ReportedAt, series [score] {
        /// The robot's own score.
        score: i32 = int,
        /// What was seen, at most 32 code points.
        action: String = short_text,
        /// Whether it is dangerous.
        is_critical: bool = flag,
        /// Details, a text that holds a dictionary.
        description: String = long_text,
        /// A picture.
        image_url: String = long_text,
    }
}
