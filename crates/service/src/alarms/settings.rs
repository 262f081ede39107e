//! What a family sets: the numbers of its rules, what is muted until when, and its ladders.
//!
//! Whoever changes something is named in an event, and a rule that was changed judges anew at once.

use carebot_database::journal::Journal;
use carebot_database::rules::Setting;
use carebot_database::{DbError, Tx, alarms, rules, transact};
use carebot_model::access::{Action, Actor};
use carebot_model::alarms::ladder::{BadLadder, Step};
use carebot_model::alarms::rules::{BadParameter, CRIT_SECONDS, WARN_SECONDS};
use carebot_model::alarms::threshold::GAP;
use carebot_model::alarms::{EventKind, Ladder, Parameters, Rule, RuleKind, Severity};
use carebot_model::{AccountId, FamilyId, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::RuleSet;
use super::climb::{ladder_of, store};
use crate::status::OLDEST;
use crate::{Change, Error, Result, Service};

/// There is no such rule.
pub const NO_RULE: &str = "Invalid value provided for rule";
/// The rule has no number of this name.
pub const NO_PARAMETER: &str = "This rule has no such parameter";
/// The emergency would begin before the warning.
pub const ORDER: &str = "The emergency must lie beyond the warning";
/// What a sentence about a number out of its bounds looks like: `heat: warn must be between 28 and 38 °C`.
pub const BOUNDS: &str = "^[a-z_]+: [a-z_]+ must be between [0-9.]+ and [0-9.]+ .+$";
/// Muting without a reason or an end.
pub const MUTE: &str = "Muting a rule needs a reason and an end within 30 days";
/// Muting what nobody can switch off.
pub const ALWAYS_ON: &str = "This rule can not be muted";
/// There is no such severity.
pub const NO_SEVERITY: &str = "Invalid value provided for severity";
/// What is no step.
pub const STEPS: &str = "A step has a rung (first, others or staff) and after_seconds";
/// Steps that leave out whom they must reach.
pub const INCOMPLETE: &str = "A critical alarm must reach first, others and staff; any other the first guardian";
/// Steps out of order.
pub const STEP_ORDER: &str = "Steps must come in the order of time, each rung once";
/// Steps that come too late.
pub const TOO_LATE: &str = "The last step must come within 900 seconds of a critical alarm, within a day of any other";

/// For how long a rule can be muted at most, in milliseconds: 30 days.
const LONGEST_MUTE: i64 = 30 * 24 * 3_600_000;
/// The longest reason, in characters.
const LONGEST_REASON: usize = 255;

/// A number of a rule in a family.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ParameterView {
    /// Its name.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// What it is.
    pub value: f64,
    /// What it is if nobody sets it.
    pub default: f64,
    /// The least it can be.
    pub least: f64,
    /// The most it can be.
    pub most: f64,
}

/// That a rule raises nothing but what is critical for now.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct MutedView {
    /// Until when.
    pub until: Timestamp,
    /// Who muted it.
    pub by: Option<AccountId>,
    /// Why.
    pub reason: String,
}

/// A rule of a family, as clients see it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RuleView {
    /// The rule.
    pub rule: Rule,
    /// How it judges.
    pub kind: RuleKind,
    /// Its numbers.
    pub parameters: Vec<ParameterView>,
    /// Where the figures come from.
    pub source: &'static str,
    /// Whether nobody can mute it.
    pub is_always_on: bool,
    /// Whether it is muted.
    pub muted: Option<MutedView>,
}

impl RuleView {
    fn new(numbers: &Parameters, setting: Option<&Setting>, now: Timestamp) -> Self {
        let rule = numbers.rule();
        let definition = rule.definition();
        let parameters = definition.parameters.iter().zip(numbers.iter()).map(|(parameter, (_, value))| {
            let carebot_model::alarms::rules::Parameter { name, unit, default, least, most } = *parameter;
            ParameterView { name, unit, value, default, least, most }
        });
        let muted = setting.and_then(|setting| setting.muted.clone()).filter(|(until, ..)| now < *until);
        Self {
            rule,
            kind: definition.kind,
            parameters: parameters.collect(),
            source: definition.source,
            is_always_on: rule.is_always_on(),
            muted: muted.filter(|_| !rule.is_always_on()).map(|(until, by, reason)| MutedView { until, by, reason }),
        }
    }
}

/// Numbers by name; none makes one the default again.
pub type Numbers = Vec<(String, Option<f64>)>;

/// Until when a rule is to be silent, and why.
#[derive(Clone, Debug)]
pub struct Mute {
    /// Until when.
    pub until: Option<Timestamp>,
    /// Why.
    pub reason: Option<String>,
}

/// What is to change about a rule.
#[derive(Clone, Debug)]
pub struct RuleChange {
    /// The rule's name.
    pub rule: String,
    /// Its numbers.
    pub numbers: Numbers,
    /// Whether it is muted.
    pub mute: Change<Mute>,
}

/// The steps of a family for a severity.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LadderView {
    /// The severity.
    pub severity: Severity,
    /// The steps.
    pub steps: Ladder,
    /// Whether these are the steps that everybody has who set none.
    pub is_default: bool,
}

/// The rule of a name that a family can set something about.
pub(super) fn rule_named(name: &str) -> Result<Rule> {
    // A drill is held, not set.
    Rule::parse(name).filter(|rule| *rule != Rule::Drill).ok_or(Error::Invalid(NO_RULE))
}

/// Numbers of a rule with some of them changed.
pub(super) fn changed(numbers: &Parameters, changes: &Numbers) -> Result<Parameters> {
    let rule = numbers.rule();
    let find = |name: &str| rule.definition().parameters.iter().find(|parameter| parameter.name == name);
    let changes = changes.iter().map(|(name, value)| {
        let value = value.or_else(|| find(name).map(|parameter| parameter.default));
        (name.as_str(), value.unwrap_or_default())
    });
    numbers.with(changes).map_err(|fault| match fault {
        BadParameter::Unknown(_) => Error::Invalid(NO_PARAMETER),
        BadParameter::Order => Error::Invalid(ORDER),
        BadParameter::OutOfBounds(name) => {
            let (least, most, unit) = find(name).map_or((0.0, 0.0, ""), |found| (found.least, found.most, found.unit));
            Error::OutOfBounds(format!("{rule}: {name} must be between {least} and {most} {unit}"))
        }
    })
}

fn checked(
    mute: Mute,
    rule: Rule,
    by: Option<AccountId>,
    now: Timestamp,
) -> Result<(Timestamp, Option<AccountId>, String)> {
    if rule.is_always_on() {
        return Err(Error::Invalid(ALWAYS_ON));
    }
    let until = mute.until.filter(|until| (1..=LONGEST_MUTE).contains(&until.since(now)));
    let reason = mute.reason.map(|reason| reason.trim().to_owned()).filter(|reason| !reason.is_empty());
    let (until, reason) = until.zip(reason).ok_or(Error::Invalid(MUTE))?;
    if reason.chars().count() > LONGEST_REASON {
        return Err(Error::TooLong("reason"));
    }
    Ok((until, by, reason))
}

/// The family went away in this moment.
fn gone(error: Error) -> Error {
    match error {
        Error::Internal(DbError::MissingParent) => Error::Forbidden,
        other => other,
    }
}

impl Service {
    /// A family's rules.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the family for operators.
    pub async fn list_rules(&self, actor: &Actor, family: &str) -> Result<Vec<RuleView>> {
        let permit = self.family(actor, family, Action::RuleRead).await?;
        let (family, now) = (*permit.resource(), self.now());
        let settings = rules::settings(&mut self.db.read(), family).await?;
        let set = RuleSet::new(family, &settings);
        let view = |rule: &Rule| {
            let setting = settings.iter().find(|setting| setting.rule == *rule);
            RuleView::new(set.of(*rule), setting, now)
        };
        Ok(Rule::ALL.iter().filter(|rule| **rule != Rule::Drill).map(view).collect())
    }

    /// Changes the numbers of a rule, mutes it, or lets it speak again; the new state.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the family for operators; [`Error::Invalid`], [`Error::OutOfBounds`],
    /// [`Error::TooLong`], and nothing is changed.
    pub async fn update_rule(&self, actor: &Actor, family: &str, change: RuleChange) -> Result<RuleView> {
        let permit = self.family(actor, family, Action::RuleUpdate).await?;
        let (family, by, now) = (*permit.resource(), actor.account(), self.now());
        let rule = rule_named(&change.rule)?;
        let mute = change.mute.try_map(|mute| checked(mute, rule, by, now))?;
        let (view, written) = transact!(self.db, tx => {
            let mut journal = Journal::open(&mut tx, family, now).await?;
            let stored = rules::settings(&mut tx, family).await?;
            let numbers = changed(RuleSet::new(family, &stored).of(rule), &change.numbers)?;
            let before = stored.into_iter().find(|setting| setting.rule == rule);
            let muted = mute.clone().after(before.and_then(|setting| setting.muted));
            let parameters: Map<String, Value> =
                numbers.changes().into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
            let setting = Setting { rule, parameters: Value::Object(parameters).to_string(), muted };
            rules::set(&mut tx, &permit, &setting, now).await?;
            look_again(&mut tx, family, &numbers, now).await?;
            journal.event(EventKind::Settings, &json!({"what": "rule", "rule": rule, "by": by}));
            Ok::<_, Error>((RuleView::new(&numbers, Some(&setting), now), journal.close(&mut tx).await?))
        })
        .map_err(gone)?;
        self.alarms.forget_rules(family);
        self.written(&written);
        self.alarms.rules.notify_one();
        tracing::info!(%family, %rule, "a rule was changed");
        Ok(view)
    }

    /// A family's ladders, one for each severity.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the family for operators.
    pub async fn list_ladders(&self, actor: &Actor, family: &str) -> Result<Vec<LadderView>> {
        let permit = self.family(actor, family, Action::RuleRead).await?;
        let mut ladders = Vec::new();
        for severity in Severity::ALL {
            let steps = ladder_of(&mut self.db.read(), *permit.resource(), *severity).await?;
            let is_default = steps == Ladder::default_of(*severity);
            ladders.push(LadderView { severity: *severity, steps, is_default });
        }
        Ok(ladders)
    }

    /// Sets the steps of a family for a severity; none makes them the default again. What is being climbed goes on with the
    /// new steps from its next one.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the family for operators; [`Error::Invalid`], and nothing is changed.
    pub async fn update_ladder(
        &self,
        actor: &Actor,
        family: &str,
        severity: &str,
        steps: Option<Vec<Step>>,
    ) -> Result<LadderView> {
        let permit = self.family(actor, family, Action::RuleUpdate).await?;
        let (family, by, now) = (*permit.resource(), actor.account(), self.now());
        let severity = Severity::parse(severity).ok_or(Error::Invalid(NO_SEVERITY))?;
        let ladder = steps.map(|steps| Ladder::new(severity, steps)).transpose().map_err(|fault| {
            Error::Invalid(match fault {
                BadLadder::Incomplete => INCOMPLETE,
                BadLadder::Order => STEP_ORDER,
                BadLadder::TooLate => TOO_LATE,
            })
        })?;
        let stored = ladder.as_ref().map(store);
        let written = transact!(self.db, tx => {
            let mut journal = Journal::open(&mut tx, family, now).await?;
            rules::set_ladder(&mut tx, &permit, severity, stored.as_deref(), now).await?;
            journal.event(EventKind::Settings, &json!({"what": "ladder", "severity": severity, "by": by}));
            Ok::<_, Error>(journal.close(&mut tx).await?)
        })
        .map_err(gone)?;
        self.written(&written);
        tracing::info!(%family, %severity, "a ladder was changed");
        let steps = ladder.unwrap_or_else(|| Ladder::default_of(severity));
        let is_default = steps == Ladder::default_of(severity);
        Ok(LadderView { severity, steps, is_default })
    }
}

/// Has a rule judge anew, from where new numbers may make it see something else.
async fn look_again(tx: &mut Tx, family: FamilyId, numbers: &Parameters, now: Timestamp) -> Result<(), DbError> {
    let rule = numbers.rule();
    let from = match rule.definition().kind {
        RuleKind::Threshold => {
            let state = rules::state(tx, family, rule).await?.state;
            let reach = numbers.millis(WARN_SECONDS).max(numbers.millis(CRIT_SECONDS)) + GAP;
            match (alarms::active_of(tx, family, rule).await?, state.last) {
                // What is active is judged from its beginning: it may never have been dangerous by these numbers.
                (Some(alarm), Some((last, _))) => alarm.sensed_at.max(now.plus_millis(-OLDEST)).min(last),
                (None, Some((last, _))) if !state.is_at_rest() || now.since(last) <= reach => last.min(now),
                _ => now,
            }
        }
        RuleKind::Silence | RuleKind::Inactivity | RuleKind::Decline => now,
        // These are judged where they happen.
        RuleKind::CriticalFlag | RuleKind::Phrase | RuleKind::Sos | RuleKind::Disaster => return Ok(()),
    };
    rules::mark(tx, family, rule, from, now).await
}
