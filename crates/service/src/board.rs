//! The board of somebody who looks after many homes: each in a line, the one that needs him most on top.

use std::collections::HashMap;

use carebot_database::alarms;
use carebot_database::board::{self, Glance};
use carebot_model::access::{Action, Actor, Permit};
use carebot_model::alarms::{Alarm, AlarmState, AlarmView, Severity};
use carebot_model::{FamilyId, Timestamp};

use crate::access::general;
use crate::{Result, Service};

/// After how long without a word a robot counts as silent, in milliseconds: four reports missed.
pub const SILENT: i64 = 20 * 60_000;

/// How much a home needs somebody, the most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Concern {
    /// Something critical that nobody has confirmed.
    Emergency,
    /// Something critical that somebody sees to.
    Attended,
    /// A warning.
    Warning,
    /// Nothing is heard of the robot: how things are is not known.
    Silent,
    /// Nothing.
    None,
}

/// A home as a line of the board.
#[derive(Clone, Debug)]
pub struct BoardRow {
    /// The family.
    pub family: FamilyId,
    /// What it is called.
    pub name: Option<String>,
    /// What its elder is called.
    pub elder: Option<String>,
    /// How much it needs somebody.
    pub concern: Concern,
    /// Its worst open alarm.
    pub worst: Option<AlarmView>,
    /// How many alarms are open, drills included.
    pub open: usize,
    /// When anything was last heard of the robot.
    pub heard_at: Option<Timestamp>,
    /// When the elder was last seen to do something.
    pub moved_at: Option<Timestamp>,
    /// The last temperature, and when it was measured.
    pub temperature: Option<(f64, Timestamp)>,
    /// The last heart rate, and when it was measured.
    pub heart_rate: Option<(i32, Timestamp)>,
}

/// What stands first of a home's alarms: no drill, nobody has confirmed it, the worst, the newest.
fn rank(alarm: &Alarm) -> (bool, Severity, bool, Timestamp) {
    let is_real = alarm.rule != carebot_model::alarms::Rule::Drill;
    (is_real, alarm.severity, alarm.acknowledged_at.is_none(), alarm.raised_at)
}

impl BoardRow {
    fn new(glance: Glance, alarms: &[Alarm], now: Timestamp) -> Self {
        let worst = alarms.iter().max_by_key(|alarm| rank(alarm)).map(AlarmView::from);
        let Glance { family, name, elder, alive_at, home, temperature, health, heart_rate, active } = glance;
        let received = [home, health, active].map(|times| times.map(|(received, _)| received));
        let heard_at = received.into_iter().flatten().chain(alive_at).max();
        let is_silent = heard_at.is_none_or(|at| now.since(at) > SILENT);
        let concern = match worst.as_ref().filter(|alarm| !alarm.is_drill) {
            Some(AlarmView { severity: Severity::Crit, state: AlarmState::Active, .. }) => Concern::Emergency,
            Some(AlarmView { severity: Severity::Crit, .. }) => Concern::Attended,
            Some(AlarmView { severity: Severity::Warn, .. }) => Concern::Warning,
            _ if is_silent => Concern::Silent,
            _ => Concern::None,
        };
        Self {
            family,
            name,
            elder,
            concern,
            worst,
            open: alarms.len(),
            heard_at,
            moved_at: active.map(|(_, sensed)| sensed),
            temperature: temperature.zip(home.map(|(_, sensed)| sensed)),
            heart_rate: heart_rate.zip(health.map(|(_, sensed)| sensed)),
        }
    }

    /// What it is sorted by among homes of the same concern.
    fn called(&self) -> (&str, &str) {
        (self.elder.as_deref().unwrap_or_default(), self.name.as_deref().unwrap_or_default())
    }
}

impl Service {
    /// All homes that somebody belongs to, those that need somebody most first.
    ///
    /// # Errors
    /// [`Error::Forbidden`](crate::Error::Forbidden).
    pub async fn board(&self, actor: &Actor) -> Result<Vec<BoardRow>> {
        general(actor, Action::EventReadAll)?;
        let may = |family: FamilyId| {
            let relations = actor.relations_to_family(family);
            // A line tells something of each.
            for action in [Action::FamilyRead, Action::StatusRead] {
                Permit::ask(relations, action, ())?;
            }
            Permit::ask(relations, Action::AlarmRead, family)
        };
        let permits: Vec<Permit<FamilyId>> = actor.families().map(may).collect::<Result<_, _>>()?;
        let now = self.now();
        let glances = board::glances(&mut self.db.read(), &permits).await?;
        let mut open: HashMap<FamilyId, Vec<Alarm>> = HashMap::new();
        for alarm in alarms::open_of(&mut self.db.read(), &permits).await? {
            open.entry(alarm.family).or_default().push(alarm);
        }
        let mut rows: Vec<BoardRow> = glances
            .into_iter()
            .map(|glance| {
                let alarms = open.remove(&glance.family).unwrap_or_default();
                BoardRow::new(glance, &alarms, now)
            })
            .collect();
        rows.sort_by(|one, other| {
            (one.concern, one.called(), one.family).cmp(&(other.concern, other.called(), other.family))
        });
        Ok(rows)
    }
}
