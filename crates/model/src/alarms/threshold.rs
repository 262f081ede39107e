//! A reading beyond a bound for some time, judged in event time.
//!
//! Only readings change the state, never the passing of time: what nobody measured did not happen. When readings pause for
//! longer than [`GAP`], nothing is known about the time between, and what had lasted before begins anew; an alarm that is
//! raised stays raised, because no news is no good news.

use super::rules::{CLEAR_SECONDS, CRIT, CRIT_SECONDS, HYSTERESIS, Side, WARN, WARN_SECONDS};
use super::{Parameters, Severity};
use crate::Timestamp;

/// The longest pause between two readings that still follow each other, in milliseconds: a healthy robot reports every five
/// minutes, and one report may be lost.
pub const GAP: i64 = 660_000;

/// What a rule knows of the readings it has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct State {
    /// How bad it is, once it has lasted long enough.
    pub level: Option<Severity>,
    /// Since when readings are beyond the warning's bound.
    pub warn_since: Option<Timestamp>,
    /// Since when they are beyond the emergency's bound.
    pub crit_since: Option<Timestamp>,
    /// Since when they are normal, while it is not over yet.
    pub normal_since: Option<Timestamp>,
    /// The last reading.
    pub last: Option<(Timestamp, f64)>,
}

/// What a reading changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// It has lasted long enough, or became worse.
    Raised {
        /// How bad it is.
        severity: Severity,
        /// Since when it lasts.
        since: Timestamp,
        /// The reading.
        value: f64,
    },
    /// It has been normal long enough.
    Cleared {
        /// The first of the normal readings.
        since: Timestamp,
    },
}

fn is_beyond(side: Side, bound: f64, value: f64) -> bool {
    match side {
        Side::Above => value > bound,
        Side::AtOrAbove => value >= bound,
        Side::AtOrBelow => value <= bound,
    }
}

/// Whether a reading matters to a rule that is at rest.
pub fn is_noticeable(parameters: &Parameters, value: f64) -> bool {
    let Some((_, side)) = parameters.rule().definition().reading else { return false };
    let beyond = |name| parameters.find(name).is_some_and(|bound| is_beyond(side, bound, value));
    beyond(WARN) || beyond(CRIT)
}

impl State {
    /// Whether nothing is going on: only a noticeable reading can change that.
    pub const fn is_at_rest(&self) -> bool {
        self.level.is_none() && self.warn_since.is_none() && self.crit_since.is_none()
    }

    /// How dangerous it was at the last reading, and since when, if it is known to be: no more than what it has reached, and less if it
    /// has fallen since. Nothing between the bounds at which it begins and ends.
    pub fn lasting(&self) -> Option<(Severity, Timestamp)> {
        let level = self.level?;
        let crit = self.crit_since.map(|since| (Severity::Crit, since));
        let (severity, since) = crit.or(self.warn_since.map(|since| (Severity::Warn, since)))?;
        Some((severity.min(level), since))
    }

    /// Takes a reading. Readings come in the order of their times; one that is older than the last is left out.
    pub fn advance(&mut self, parameters: &Parameters, at: Timestamp, value: f64) -> Option<Change> {
        let (_, side) = parameters.rule().definition().reading?;
        if let Some((last, _)) = self.last {
            if at < last {
                return None;
            }
            if at.since(last) > GAP {
                (self.warn_since, self.crit_since, self.normal_since) = (None, None, None);
            }
        }
        self.last = Some((at, value));
        let beyond = |name| parameters.find(name).is_some_and(|bound| is_beyond(side, bound, value));
        let hold = |since: &mut Option<Timestamp>, holds: bool| {
            *since = if holds { since.or(Some(at)) } else { None };
        };
        let is_crit = beyond(CRIT);
        hold(&mut self.crit_since, is_crit);
        hold(&mut self.warn_since, is_crit || beyond(WARN));
        let lasted = |since: Option<Timestamp>, name| since.filter(|since| at.since(*since) >= parameters.millis(name));
        let reached = lasted(self.crit_since, CRIT_SECONDS)
            .map(|since| (Severity::Crit, since))
            .or_else(|| lasted(self.warn_since, WARN_SECONDS).map(|since| (Severity::Warn, since)));
        if let Some((severity, since)) = reached
            && self.level < Some(severity)
        {
            (self.level, self.normal_since) = (Some(severity), None);
            return Some(Change::Raised { severity, since, value });
        }
        self.settle(parameters, side, at, value)
    }

    /// Whether it is over.
    fn settle(&mut self, parameters: &Parameters, side: Side, at: Timestamp, value: f64) -> Option<Change> {
        self.level?;
        let margin = parameters.find(HYSTERESIS).unwrap_or_default();
        let bound = parameters.find(WARN)?;
        let edge = if side == Side::AtOrBelow { bound + margin } else { bound - margin };
        if is_beyond(side, edge, value) {
            self.normal_since = None;
            return None;
        }
        let since = *self.normal_since.get_or_insert(at);
        if at.since(since) < parameters.millis(CLEAR_SECONDS) {
            return None;
        }
        (self.level, self.normal_since) = (None, None);
        Some(Change::Cleared { since })
    }
}
