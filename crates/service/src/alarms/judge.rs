//! Rules that look at more than one report, or at the absence of any.
//!
//! A report that matters marks its rule in the transaction that stores it; nothing else is done in the robot's request. The
//! rule then reads the readings themselves, in the order in which they were made, from where it stood: what it knows could be
//! forgotten and would be found again. A reading that came late makes it go back to before that reading.

use std::time::Duration;

use carebot_database::journal::Journal;
use carebot_database::rules::Known;
use carebot_database::{DbError, Tx, alarms, rules, transact};
use carebot_model::alarms::rules::{AGAIN_SECONDS, CLEAR_SECONDS, CRIT_SECONDS, WARN_SECONDS};
use carebot_model::alarms::threshold::{Change, GAP, State};
use carebot_model::alarms::{Alarm, Cause, ClearReason, Parameters, Rule, RuleKind, Severity};
use carebot_model::alarms::{decline, inactivity, silence};
use carebot_model::{FamilyId, Timestamp};
use serde_json::json;

use super::readings::{Walk, read_page};
use super::{Danger, Loop, RuleSet};
use crate::{Result, Service};

/// How many rules are read at once.
const BATCH: u32 = 500;
/// How often a rule that is not at rest looks without being marked, in milliseconds: readings that are normal again mark nothing.
const RESTLESS: i64 = 10_000;
/// When a rule that found nothing to wait for looks again, in milliseconds.
const RARELY: i64 = 3_600_000;
/// How often it is asked whether a robot that never reported does now, in milliseconds: not more seldom than the shortest silence
/// that a family can set.
const UNHEARD: i64 = 300_000;
/// How far ahead it is looked for readings that were stored by a server with a wrong clock, in milliseconds: they are judged when their
/// time has come.
const FUTURE: i64 = 24 * 3_600_000;
/// How far back scores of the mood are looked at, in milliseconds: two weeks and a day.
pub(super) const SCORES: i64 = 15 * 24 * 3_600_000;
/// How often families are looked for that have no watches yet.
pub(crate) const WATCHES: Duration = Duration::from_mins(1);

/// The rules that need no report to look.
const WATCHING: [Rule; 2] = [Rule::Silence, Rule::Inactivity];

/// What a rule found out.
#[derive(Default)]
struct Found {
    state: State,
    look_at: Option<Timestamp>,
    /// The first reading of a time that has not come yet. A server that looks late, or by a clock that is ahead, must not pass over it.
    unseen: Option<Timestamp>,
}

impl Service {
    /// Judges every rule that is due; how many there were.
    ///
    /// # Errors
    /// As the database. What could not be judged stays due.
    pub async fn judge_rules(&self) -> Result<usize> {
        let now = self.now();
        let due = rules::due(&mut self.db.read(), now, BATCH).await?;
        self.alarms.turned(Loop::Rules, now);
        let (mut done, mut failure) = (0, None);
        for (family, rule, at) in due {
            if !self.looks_after(family, at, now).await? {
                continue;
            }
            match self.judge_rule(family, rule).await {
                Ok(()) => done += 1,
                Err(error) => {
                    tracing::error!(%family, %rule, ?error, "a rule could not be judged; it is tried again");
                    failure = Some(error);
                }
            }
        }
        failure.map_or(Ok(done), Err)
    }

    /// Gives every family that has none its watches: for reports that do not come.
    ///
    /// # Errors
    /// As the database.
    pub async fn give_watches(&self) -> Result<()> {
        let now = self.now();
        for rule in WATCHING {
            match transact!(self.db, tx => { rules::give_watches(&mut tx, rule, now).await }) {
                // Another server gives them at the same moment.
                Err(DbError::Duplicate { .. }) => {}
                given => {
                    if given? > 0 {
                        self.alarms.rules.notify_one();
                    }
                }
            }
        }
        Ok(())
    }

    async fn judge_rule(&self, family: FamilyId, rule: Rule) -> Result<()> {
        let now = self.now();
        let judged = transact!(self.db, tx => {
            let mut journal = Journal::open(&mut tx, family, now).await?;
            // What is marked from here on is not forgotten when the state is saved.
            rules::lock(&mut tx, family, rule).await?;
            let set = RuleSet::new(family, &rules::settings(&mut tx, family).await?);
            let found = match rule.definition().kind {
                RuleKind::Threshold => self.judge_threshold(&mut tx, &mut journal, set.of(rule), &set).await?,
                RuleKind::Silence => self.judge_silence(&mut tx, &mut journal, set.of(rule)).await?,
                RuleKind::Inactivity => self.judge_inactivity(&mut tx, &mut journal, set.of(rule), &set).await?,
                RuleKind::Decline => self.judge_mood(&mut tx, &mut journal, set.of(rule), &set).await?,
                // These are judged where they happen.
                RuleKind::CriticalFlag | RuleKind::Phrase | RuleKind::Sos | RuleKind::Disaster => {
                    Found::default()
                }
            };
            rules::save_state(&mut tx, family, rule, &found.state, found.look_at).await?;
            if let Some(at) = found.unseen {
                rules::mark(&mut tx, family, rule, at, at).await?;
            }
            journal.close(&mut tx).await
        });
        match judged {
            Ok(written) => {
                if written.entry_seq.is_some() {
                    self.written(&written);
                }
                Ok(())
            }
            // The family went away in this moment.
            Err(DbError::MissingParent) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn judge_threshold(
        &self,
        tx: &mut Tx,
        journal: &mut Journal,
        parameters: &Parameters,
        set: &RuleSet,
    ) -> Result<Found, DbError> {
        let (family, now, rule) = (journal.family(), journal.now(), parameters.rule());
        let known = rules::state(tx, family, rule).await?;
        let Start { mut state, after, goes_back } = Start::of(&known, parameters, now);
        if goes_back {
            // What began before that is not in doubt, and lasts until readings are normal.
            let before = alarms::active_of(tx, family, rule).await?.filter(|alarm| alarm.sensed_at <= after);
            state.level = before.map(|alarm| alarm.severity);
        }
        let is_muted = |severity| set.muted_until(rule, severity, now).is_some();
        // What a server with a wrong clock put into the future is judged when it has come.
        let mut walk = Walk::new(family, rule, after, now);
        // When the alarm of the danger that is looked at was over. People were told so: what is dangerous after that is another one, also if
        // it would have been the same had it come in time, or nobody saw in time that the first was over.
        let mut over_at: Option<Timestamp> = None;
        if state.level.is_some() && alarms::active_of(tx, family, rule).await?.is_none() {
            let before = alarms::latest_of(tx, family, rule).await?;
            over_at = Some(before.and_then(|alarm| over(&alarm, parameters)).unwrap_or(Timestamp::MIN));
        }
        while let Some(rows) = walk.next(tx).await? {
            for (at, value) in rows {
                match state.advance(parameters, at, value) {
                    Some(Change::Raised { severity, since, value }) if !is_muted(severity) => {
                        let there =
                            self.sustained(tx, journal, (rule, severity), (since, at), value, goes_back).await?;
                        over_at = there.and_then(|alarm| over(&alarm, parameters));
                    }
                    Some(Change::Raised { .. }) => {}
                    Some(Change::Cleared { since }) => {
                        over_at = None;
                        self.is_normal(tx, journal, rule, since).await?;
                    }
                    None => {
                        let is_over = over_at.is_some_and(|end| end < at);
                        // It is dangerous still, which changes nothing but that nobody has an alarm of it.
                        if let Some((severity, _)) = state.lasting().filter(|_| is_over)
                            && !is_muted(severity)
                        {
                            let there =
                                self.sustained(tx, journal, (rule, severity), (at, at), value, goes_back).await?;
                            over_at = there.and_then(|alarm| over(&alarm, parameters));
                        }
                    }
                }
            }
        }
        let active = alarms::active_of(tx, family, rule).await?;
        match (state.lasting(), active) {
            // Cleared too early, or muted when it began or became worse.
            (Some((severity, since)), active)
                if active.as_ref().map(|alarm| alarm.severity) < Some(severity) && !is_muted(severity) =>
            {
                self.again(tx, journal, parameters, (severity, since), &state).await?;
            }
            // Readings that came late show that it had not lasted.
            (None, Some(alarm)) if state.level.is_none() => {
                let since = state.last.map_or(now, |(at, _)| at);
                if alarm.last_sensed_at <= since {
                    self.is_normal(tx, journal, rule, since).await?;
                }
            }
            _ => {}
        }
        if !state.is_at_rest() {
            return Ok(Found { state, look_at: Some(now.plus_millis(RESTLESS)), unseen: None });
        }
        let to_come = read_page(tx, family, rule, now, now.plus_millis(FUTURE)).await?;
        Ok(Found { state, look_at: None, unseen: to_come.rows.first().map(|(at, _)| *at) })
    }

    /// It has lasted long enough. When readings are gone through again, what they raised then is there already, and given back.
    async fn sustained(
        &self,
        tx: &mut Tx,
        journal: &mut Journal,
        (rule, severity): (Rule, Severity),
        (since, at): (Timestamp, Timestamp),
        value: f64,
        goes_back: bool,
    ) -> Result<Option<Alarm>, DbError> {
        if goes_back {
            let there = alarms::during(tx, journal.family(), rule, since, at).await?;
            let there = there.filter(|alarm| alarm.severity >= severity);
            if there.is_some() {
                return Ok(there);
            }
        }
        let danger = Danger {
            sensed_at: since,
            complete_at: at,
            value: Some(value),
            inputs: json!({"since": since.millis(), "at": at.millis(), "value": value}),
            ..Danger::at(rule, severity, at, (Cause::Report, None))
        };
        self.raise(tx, journal, danger).await?;
        Ok(None)
    }

    async fn is_normal(&self, tx: &mut Tx, journal: &mut Journal, rule: Rule, since: Timestamp) -> Result<(), DbError> {
        let Some(mut alarm) = alarms::active_of(tx, journal.family(), rule).await? else { return Ok(()) };
        if alarm.sensed_at > since {
            // What is normal lies before it.
            return Ok(());
        }
        self.end_alarm(tx, journal, &mut alarm, (ClearReason::Normal, None, since)).await?;
        alarms::update(tx, &alarm).await
    }

    /// The danger lasts although the alarm was cleared, or was muted when it began or became worse: after a while it is raised
    /// again, as bad as it is now.
    async fn again(
        &self,
        tx: &mut Tx,
        journal: &mut Journal,
        parameters: &Parameters,
        (severity, since): (Severity, Timestamp),
        state: &State,
    ) -> Result<(), DbError> {
        let (now, rule) = (journal.now(), parameters.rule());
        let Some((at, value)) = state.last.filter(|(at, _)| now.since(*at) <= GAP && state.normal_since.is_none())
        else {
            return Ok(());
        };
        let before = alarms::latest_of(tx, journal.family(), rule).await?;
        if !is_time_again(before.as_ref(), parameters, now) {
            return Ok(());
        }
        let danger = Danger {
            sensed_at: since,
            complete_at: at,
            value: Some(value),
            inputs: json!({"since": since.millis(), "at": at.millis(), "value": value, "again": true}),
            ..Danger::at(rule, severity, at, (Cause::Report, None))
        };
        self.raise(tx, journal, danger).await.map(drop)
    }

    async fn judge_silence(
        &self,
        tx: &mut Tx,
        journal: &mut Journal,
        parameters: &Parameters,
    ) -> Result<Found, DbError> {
        let (family, now) = (journal.family(), journal.now());
        let Some(made_at) = rules::made_at(tx, family).await? else {
            return Ok(Found::default());
        };
        let Some(back_at) = self.back_at(tx, now).await? else {
            // An outage of this installation ends in this moment, and is not noted yet.
            let state = rules::state(tx, family, parameters.rule()).await?.state;
            return Ok(Found { state, look_at: Some(now.plus_millis(RESTLESS)), unseen: None });
        };
        let heard_at = rules::heard_at(tx, family, now).await?;
        let known = silence::Known { made_at, heard_at, back_at };
        let mut verdict = silence::judge(parameters, known, now);
        let without_outage = silence::judge(parameters, silence::Known { back_at: None, ..known }, now);
        if verdict.severity.is_none() && without_outage.severity.is_some() {
            // An outage of this installation is no sign of the robot: what was raised before lasts.
            verdict.severity = alarms::active_of(tx, family, parameters.rule()).await?.map(|alarm| alarm.severity);
        }
        let inputs = json!({"heard_at": heard_at.map(Timestamp::millis), "back_at": back_at.map(Timestamp::millis)});
        // That a robot never reported is said once.
        let once = heard_at.is_none();
        // The first report ever marks nothing. It is found before the silence after it can be one.
        let soon = now.plus_millis(UNHEARD);
        let look_at = if once { Some(verdict.look_at.map_or(soon, |at| at.min(soon))) } else { verdict.look_at };
        let verdict = Passing { severity: verdict.severity, look_at, seen_at: heard_at, once, inputs };
        self.judge_passing(tx, journal, parameters, verdict).await
    }

    async fn judge_inactivity(
        &self,
        tx: &mut Tx,
        journal: &mut Journal,
        parameters: &Parameters,
        set: &RuleSet,
    ) -> Result<Found, DbError> {
        const LATER: i64 = 3_600_000;
        let (family, now) = (journal.family(), journal.now());
        let known = rules::state(tx, family, parameters.rule()).await?.state.last.map(|(at, _)| at);
        let Some(seen_at) = rules::seen_at(tx, family, known, now).await? else {
            // Nobody was ever seen here: there is nothing to miss yet.
            return Ok(Found { look_at: Some(now.plus_millis(LATER)), ..Found::default() });
        };
        let inactivity::Verdict { severity, look_at } = inactivity::judge(parameters, seen_at, now);
        let muted = severity.and_then(|severity| set.muted_until(parameters.rule(), severity, now));
        let found = if let Some(until) = muted {
            Found { look_at: Some(look_at.map_or(until, |at| at.min(until))), ..Found::default() }
        } else {
            let inputs = json!({"seen_at": seen_at.millis()});
            let verdict = Passing { severity, look_at, seen_at: Some(seen_at), once: false, inputs };
            self.judge_passing(tx, journal, parameters, verdict).await?
        };
        // So that not everything has to be looked through again.
        let state = State { last: Some((seen_at, 0.0)), ..found.state };
        Ok(Found { state, ..found })
    }

    /// Raises, repeats or ends the alarm of a rule that judges by the passing of time.
    async fn judge_passing(
        &self,
        tx: &mut Tx,
        journal: &mut Journal,
        parameters: &Parameters,
        verdict: Passing,
    ) -> Result<Found, DbError> {
        let (now, rule) = (journal.now(), parameters.rule());
        let active = alarms::active_of(tx, journal.family(), rule).await?;
        let raises = match (course(verdict.severity, active.as_ref().map(|alarm| alarm.severity)), &active) {
            (Course::Leave, _) => false,
            (Course::End, _) => {
                self.is_normal_again(tx, journal, rule, verdict.seen_at.unwrap_or(now)).await?;
                false
            }
            (Course::Raise(_), Some(_)) => true,
            (Course::Raise(_), None) => {
                let before = alarms::latest_of(tx, journal.family(), rule).await?;
                // An alarm that somebody cleared since nothing was heard, not one of another time.
                let before = before.filter(|alarm| {
                    verdict.seen_at.is_none_or(|seen| alarm.cleared_at.is_some_and(|cleared| cleared >= seen))
                });
                match before {
                    Some(_) if verdict.once => false,
                    before => is_time_again(before.as_ref(), parameters, now),
                }
            }
        };
        if let Some(severity) = verdict.severity.filter(|_| raises) {
            let danger = Danger { inputs: verdict.inputs, ..Danger::at(rule, severity, now, (Cause::Time, None)) };
            self.raise(tx, journal, danger).await?;
        }
        // While it is bad, it is looked for its end; and for its beginning when it can first have come.
        let soon = verdict.severity.map(|_| now.plus_millis(RESTLESS)).filter(|_| !verdict.once);
        let look_at = match (verdict.look_at, soon) {
            (Some(look_at), Some(soon)) => Some(look_at.min(soon)),
            (look_at, soon) => look_at.or(soon),
        };
        let look_at = look_at.or(Some(now.plus_millis(RARELY)));
        let state = State { level: verdict.severity, ..State::default() };
        Ok(Found { state, look_at, unseen: None })
    }

    async fn is_normal_again(
        &self,
        tx: &mut Tx,
        journal: &mut Journal,
        rule: Rule,
        since: Timestamp,
    ) -> Result<(), DbError> {
        let Some(mut alarm) = alarms::active_of(tx, journal.family(), rule).await? else { return Ok(()) };
        self.end_alarm(tx, journal, &mut alarm, (ClearReason::Normal, None, since)).await?;
        alarms::update(tx, &alarm).await
    }

    async fn judge_mood(
        &self,
        tx: &mut Tx,
        journal: &mut Journal,
        parameters: &Parameters,
        set: &RuleSet,
    ) -> Result<Found, DbError> {
        let (family, now, rule) = (journal.family(), journal.now(), parameters.rule());
        let days = rules::scores(tx, family, now.plus_millis(-SCORES)).await?;
        let severity = decline::judge(parameters, &days);
        let active = alarms::active_of(tx, family, rule).await?;
        match course(severity, active.map(|alarm| alarm.severity)) {
            Course::End => self.is_normal_again(tx, journal, rule, now).await?,
            Course::Raise(severity) if set.muted_until(rule, severity, now).is_none() => {
                let newest = days.last().map(|(_, score)| f64::from(*score));
                let inputs =
                    json!({"days": days.iter().map(|(day, score)| (day.to_string(), score)).collect::<Vec<_>>()});
                let danger = Danger { value: newest, inputs, ..Danger::at(rule, severity, now, (Cause::Report, None)) };
                self.raise(tx, journal, danger).await?;
            }
            Course::Raise(_) | Course::Leave => {}
        }
        Ok(Found { state: State { level: severity, ..State::default() }, ..Found::default() })
    }
}

/// What a rule that judges by days or by the passing of time does about its alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// Nothing.
    Leave,
    /// It is raised, or becomes worse.
    Raise(Severity),
    /// It is over.
    End,
}

/// What follows from what was found, beside the alarm that is active. Live rules and rules that are only tried go through here.
pub(super) fn course(found: Option<Severity>, active: Option<Severity>) -> Course {
    match found {
        Some(found) if active < Some(found) => Course::Raise(found),
        None if active.is_some() => Course::End,
        _ => Course::Leave,
    }
}

/// What a rule that judges by the passing of time found.
struct Passing {
    severity: Option<Severity>,
    look_at: Option<Timestamp>,
    /// When the last sign came.
    seen_at: Option<Timestamp>,
    /// Whether it is said only once.
    once: bool,
    inputs: serde_json::Value,
}

/// From when on what is dangerous is not that of an alarm any more; nothing while it lasts. It is not over before readings were normal for
/// long enough, and what somebody cleared too early is not raised again for a while.
fn over(alarm: &Alarm, parameters: &Parameters) -> Option<Timestamp> {
    let pause = if alarm.clear_reason == Some(ClearReason::Person) { AGAIN_SECONDS } else { CLEAR_SECONDS };
    Some(alarm.ended_at.or(alarm.cleared_at)?.plus_millis(parameters.millis(pause)))
}

/// Whether an alarm that somebody cleared may be raised again by now.
fn is_time_again(before: Option<&Alarm>, parameters: &Parameters, now: Timestamp) -> bool {
    before
        .filter(|alarm| alarm.clear_reason == Some(ClearReason::Person))
        .and_then(|alarm| alarm.cleared_at)
        .is_none_or(|cleared| now.since(cleared) >= parameters.millis(AGAIN_SECONDS))
}

/// Where a rule begins to read.
struct Start {
    state: State,
    /// Readings after this.
    after: Timestamp,
    goes_back: bool,
}

impl Start {
    fn of(known: &Known, parameters: &Parameters, now: Timestamp) -> Self {
        let reach = parameters.millis(WARN_SECONDS).max(parameters.millis(CRIT_SECONDS)) + GAP;
        let last = known.state.last.map(|(at, _)| at);
        match (known.dirty_from, last) {
            // A reading that was made before the last one it has seen.
            (Some(dirty), Some(last)) if dirty <= last => {
                Self { state: State::default(), after: dirty.plus_millis(-reach - 1), goes_back: true }
            }
            // At rest it has nothing to remember: what lies far before the reading that it is to see does not matter.
            (Some(dirty), Some(last)) if known.state.is_at_rest() => {
                Self { state: known.state, after: last.max(dirty.plus_millis(-reach - 1)), goes_back: false }
            }
            // A reading whose time has come only now.
            (None, Some(last)) if known.state.is_at_rest() => {
                Self { state: known.state, after: last.max(now.plus_millis(-reach - 1)), goes_back: false }
            }
            (_, Some(last)) => Self { state: known.state, after: last, goes_back: false },
            (Some(dirty), None) => {
                Self { state: State::default(), after: dirty.plus_millis(-reach - 1), goes_back: true }
            }
            (None, None) => Self { state: State::default(), after: now.plus_millis(-reach), goes_back: true },
        }
    }
}
