//! The elder's mood on a day.

crate::status_kind! {
    /// The mood of a day, computed from the conversation.
    Mental: name "mental", title "mental status", Title "Mental status", table "mental_status",
    reported false, thinned false, range ReportedAt, series [score] {
        /// 0 (worst) to 100.
        score: i32 = int,
        /// Whether the score is 30 or less.
        is_critical: bool = flag,
        /// Details, a JSON text.
        description: String = long_text,
    }
}
