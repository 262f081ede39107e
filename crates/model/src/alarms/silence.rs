//! No report from the robot. This rule needs no data: it is what says that there is none.

use super::rules::{CRIT_SECONDS, WARN_SECONDS};
use super::{Parameters, Severity};
use crate::Timestamp;

/// After how long a robot that never reported is asked after, in milliseconds.
pub const NEVER: i64 = 24 * 3_600_000;

/// What is known of a family's robot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// When the family was made.
    pub made_at: Timestamp,
    /// When anything was last heard from the robot.
    pub heard_at: Option<Timestamp>,
    /// When this installation last came back after nobody could report to it.
    pub back_at: Option<Timestamp>,
}

/// What it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How bad it is, if it is.
    pub severity: Option<Severity>,
    /// Since when nothing was heard.
    pub since: Timestamp,
    /// When to look again, if nothing happens before.
    pub look_at: Option<Timestamp>,
}

/// Judges the silence of a robot.
///
/// A time to come, which only a clock that was set back can have made, counts as now.
pub fn judge(parameters: &Parameters, known: Known, now: Timestamp) -> Verdict {
    let Some(heard_at) = known.heard_at else {
        let due = known.made_at.plus_millis(NEVER);
        let is_due = now >= due;
        return Verdict {
            severity: is_due.then_some(Severity::Warn),
            since: known.made_at,
            look_at: (!is_due).then_some(due),
        };
    };
    let since = known.back_at.map_or(heard_at, |back| back.max(heard_at)).min(now);
    let (warn, crit) = (parameters.millis(WARN_SECONDS), parameters.millis(CRIT_SECONDS));
    let silent = now.since(since);
    let (severity, next) = if silent >= crit {
        (Some(Severity::Crit), None)
    } else if silent >= warn {
        (Some(Severity::Warn), Some(crit))
    } else {
        (None, Some(warn))
    };
    Verdict { severity, since, look_at: next.map(|after| since.plus_millis(after)) }
}
