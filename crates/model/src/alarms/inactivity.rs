//! No sign of life in waking hours: nothing done, nothing said, no pulse measured.

use super::rules::{CRIT_SECONDS, WAKING_FROM, WAKING_UNTIL, WARN_SECONDS};
use super::{Parameters, Severity};
use crate::Timestamp;
use crate::korea::AHEAD_MS;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// What it means that the last sign of life was at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How bad it is, if it is.
    pub severity: Option<Severity>,
    /// When to look again, if nothing happens before.
    pub look_at: Option<Timestamp>,
}

/// The hours in which somebody is expected to be up, as milliseconds of the Korean day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waking {
    from: i64,
    until: i64,
}

impl Waking {
    fn of(parameters: &Parameters) -> Self {
        // Hours are told in the same way as seconds: by thousands.
        Self {
            from: parameters.millis(WAKING_FROM) * HOUR / 1_000,
            until: parameters.millis(WAKING_UNTIL) * HOUR / 1_000,
        }
    }

    /// Waking milliseconds since the beginning of the calendar.
    fn until(self, at: Timestamp) -> i64 {
        let local = at.millis() + AHEAD_MS;
        let (day, within) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        day * (self.until - self.from) + within.clamp(self.from, self.until) - self.from
    }

    /// The first time at which so many waking milliseconds have passed.
    fn at(self, waking: i64) -> Timestamp {
        let length = self.until - self.from;
        let (day, within) = (waking.div_euclid(length), waking.rem_euclid(length));
        // What ends with a day's last waking moment is reached that evening, not the next morning.
        let (day, within) = if within == 0 { (day - 1, length) } else { (day, within) };
        Timestamp::from_millis(day * DAY + self.from + within - AHEAD_MS)
    }
}

/// Judges how long nothing was seen of somebody.
pub fn judge(parameters: &Parameters, seen_at: Timestamp, now: Timestamp) -> Verdict {
    let waking = Waking::of(parameters);
    let seen = waking.until(seen_at.min(now));
    let passed = waking.until(now) - seen;
    let (warn, crit) = (parameters.millis(WARN_SECONDS), parameters.millis(CRIT_SECONDS));
    let (severity, next) = if passed >= crit {
        (Some(Severity::Crit), None)
    } else if passed >= warn {
        (Some(Severity::Warn), Some(crit))
    } else {
        (None, Some(warn))
    };
    Verdict { severity, look_at: next.map(|after| waking.at(seen + after)) }
}
