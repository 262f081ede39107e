//! Who is told after how long, until somebody confirms.

use schemars::JsonSchema;
use serde::Serialize;

use super::Severity;
use crate::wire_enum;

wire_enum!(
    /// Whom a step reaches.
    Rung {
        /// The guardian that the family put first.
        First = "first",
        /// The other guardians.
        Others = "others",
        /// Care workers and staff of the institution.
        Staff = "staff",
    }
);

/// A step: whom it reaches, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Step {
    /// Whom it reaches.
    pub rung: Rung,
    /// Seconds after the alarm, or after the elder did not answer.
    pub after_seconds: i32,
}

/// The latest that the last step of a critical alarm may come, in seconds.
pub const CRIT_MOST: i32 = 900;
/// The latest that the last step of another alarm may come, in seconds.
pub const MOST: i32 = 86_400;

/// The steps of a family for a severity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Ladder(Vec<Step>);

/// Why steps are no ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadLadder {
    /// A critical alarm must reach every rung, another one the first guardian.
    Incomplete,
    /// Steps come in the order of time, each rung once.
    Order,
    /// The last step comes too late.
    TooLate,
}

impl Ladder {
    /// The steps if nobody set any: the last within a quarter of an hour.
    pub fn default_of(severity: Severity) -> Self {
        let step = |rung, after_seconds| Step { rung, after_seconds };
        Self(match severity {
            Severity::Crit => vec![step(Rung::First, 0), step(Rung::Others, 120), step(Rung::Staff, 600)],
            Severity::Warn => vec![step(Rung::First, 0), step(Rung::Others, 300), step(Rung::Staff, 900)],
            Severity::Info => vec![step(Rung::First, 0)],
        })
    }

    /// Checks steps.
    ///
    /// # Errors
    /// [`BadLadder`].
    pub fn new(severity: Severity, steps: Vec<Step>) -> Result<Self, BadLadder> {
        let mut rungs: Vec<Rung> = steps.iter().map(|step| step.rung).collect();
        rungs.sort_unstable();
        rungs.dedup();
        let complete = match severity {
            Severity::Crit => rungs == Rung::ALL,
            _ => rungs.contains(&Rung::First),
        };
        let in_order = rungs.len() == steps.len()
            && steps.is_sorted_by_key(|step| step.after_seconds)
            && steps.first().is_some_and(|step| step.after_seconds >= 0);
        let most = if severity == Severity::Crit { CRIT_MOST } else { MOST };
        match (complete, in_order, steps.last().is_none_or(|step| step.after_seconds <= most)) {
            (false, _, _) => Err(BadLadder::Incomplete),
            (_, false, _) => Err(BadLadder::Order),
            (_, _, false) => Err(BadLadder::TooLate),
            _ => Ok(Self(steps)),
        }
    }

    /// The steps, in the order of time.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// A step by its place.
    pub fn step(&self, place: i32) -> Option<Step> {
        usize::try_from(place).ok().and_then(|place| self.0.get(place)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_ladders_that_end_within_a_quarter_of_an_hour() {
        for severity in Severity::ALL {
            let ladder = Ladder::default_of(*severity);
            assert_eq!(Ladder::new(*severity, ladder.steps().to_vec()).as_ref(), Ok(&ladder));
            assert!(ladder.steps().last().is_some_and(|step| step.after_seconds <= 900));
        }
    }

    #[test]
    fn a_critical_alarm_can_not_be_kept_from_anybody_nor_come_late() {
        let step = |rung, after_seconds| Step { rung, after_seconds };
        let crit = |steps: &[Step]| Ladder::new(Severity::Crit, steps.to_vec());
        assert_eq!(crit(&[step(Rung::First, 0)]), Err(BadLadder::Incomplete));
        assert_eq!(crit(&[]), Err(BadLadder::Incomplete));
        let late = [step(Rung::First, 0), step(Rung::Others, 120), step(Rung::Staff, 901)];
        assert_eq!(crit(&late), Err(BadLadder::TooLate));
        let turned = [step(Rung::First, 60), step(Rung::Others, 30), step(Rung::Staff, 90)];
        assert_eq!(crit(&turned), Err(BadLadder::Order));
        let twice = [step(Rung::First, 0), step(Rung::First, 1), step(Rung::Others, 2), step(Rung::Staff, 3)];
        assert_eq!(crit(&twice), Err(BadLadder::Order));
        assert_eq!(Ladder::new(Severity::Warn, vec![step(Rung::Staff, 0)]), Err(BadLadder::Incomplete));
        assert!(crit(&[step(Rung::First, 0), step(Rung::Others, 0), step(Rung::Staff, 0)]).is_ok());
    }
}
