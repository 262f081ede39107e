//! A low mood, judged by days.

use super::rules::{CRIT, WARN, WARN_DAYS};
use super::{Parameters, Severity};
use crate::Date;

/// What the scores of some days mean: the newest day decides, with the days right before it. Of each day the last score counts.
///
/// `days` are in order, the newest last.
pub fn judge(parameters: &Parameters, days: &[(Date, i32)]) -> Option<Severity> {
    let (warn, crit) = (parameters.find(WARN)?, parameters.find(CRIT)?);
    let (_, newest) = days.last()?;
    if f64::from(*newest) <= crit {
        return Some(Severity::Crit);
    }
    let mut running = 0_i64;
    let mut expected = None;
    for (day, score) in days.iter().rev() {
        let follows = expected.is_none_or(|expected| expected == *day);
        if !follows || f64::from(*score) > warn {
            break;
        }
        running += 1;
        expected = day.civil().yesterday().ok().map(Date::from);
    }
    (running * 1_000 >= parameters.millis(WARN_DAYS)).then_some(Severity::Warn)
}
