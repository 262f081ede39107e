//! Climbing the ladder: who is told when.

use carebot_database::deliveries::{self, Delivery, Fate};
use carebot_database::journal::Journal;
use carebot_database::{DbError, Tx, alarms, contacts, rules, transact};
use carebot_model::alarms::ladder::Step;
use carebot_model::alarms::{Alarm, Answer, ClearReason, EXPIRES, EntryKind, Ladder, Rung, Severity};
use carebot_model::members::Position;
use carebot_model::{AccountId, FamilyId, RowId, Timestamp};
use serde_json::json;

use super::{Loop, tell};
use crate::{Result, Service};

/// How many alarms are read at once.
const BATCH: u32 = 200;
/// After how long a critical alarm that nobody acknowledged climbs again, in milliseconds; doubled each time.
const ROUND: i64 = 15 * 60_000;
/// The longest of these pauses.
const LONGEST_ROUND: i64 = 24 * 3_600_000;

/// The steps a family set for a severity, or the default.
pub(super) async fn ladder_of(tx: &mut Tx, family: FamilyId, severity: Severity) -> Result<Ladder, DbError> {
    let stored = rules::ladder(tx, family, severity).await?;
    let Some(text) = stored else { return Ok(Ladder::default_of(severity)) };
    Ok(parse(severity, &text).unwrap_or_else(|| {
        tracing::warn!(%family, %severity, "the ladder that is stored does not fit; the default counts");
        Ladder::default_of(severity)
    }))
}

/// The steps as they are stored: `[["first", 0], ["others", 120]]`.
fn parse(severity: Severity, text: &str) -> Option<Ladder> {
    let pairs: Vec<(String, i32)> = serde_json::from_str(text).ok()?;
    let steps = pairs
        .into_iter()
        .map(|(rung, after_seconds)| Rung::parse(&rung).map(|rung| Step { rung, after_seconds }))
        .collect::<Option<Vec<_>>>()?;
    Ladder::new(severity, steps).ok()
}

/// The steps as they are stored.
pub(super) fn store(ladder: &Ladder) -> String {
    let pairs: Vec<_> = ladder.steps().iter().map(|step| (step.rung.name(), step.after_seconds)).collect();
    json!(pairs).to_string()
}

/// Whether every step of an alarm's ladder was taken: nobody is told any more before the next round, if there is one.
pub(super) async fn is_climbed(tx: &mut Tx, alarm: &Alarm) -> Result<bool, DbError> {
    Ok(ladder_of(tx, alarm.family, alarm.severity).await?.step(alarm.next_step).is_none())
}

/// Whether an alarm is over, and somebody knows, be it an operator: what is still on its way to the family goes on, and nothing
/// begins anew.
async fn is_fading(tx: &mut Tx, alarm: &Alarm) -> Result<bool, DbError> {
    let is_told = |fate: &Fate| fate.ended.as_deref() == Some("handed");
    Ok(alarm.cleared_at.is_some() && deliveries::of_alarm(tx, alarm).await?.iter().any(is_told))
}

/// Whom the rung of a step reaches. Without guardians, the first of those who are there is the first; the first is left to a
/// step of its own that is still to come.
fn on_rung(ladder: &Ladder, place: i32, rung: Rung, watchers: &[(AccountId, Position)]) -> Vec<AccountId> {
    let (guardians, staff): (Vec<_>, Vec<_>) =
        watchers.iter().partition(|(_, position)| *position == Position::Guardian);
    let first = guardians.first().or(staff.first()).map(|(account, _)| *account);
    let later = usize::try_from(place).map_or(&[][..], |place| ladder.steps().get(place..).unwrap_or_default());
    let is_first_later = later.iter().any(|step| step.rung == Rung::First);
    let is_now = |account: &AccountId| !is_first_later || Some(*account) != first;
    let on = match rung {
        Rung::First => return first.into_iter().collect(),
        Rung::Others => guardians,
        Rung::Staff => staff,
    };
    on.into_iter().map(|(account, _)| account).filter(is_now).collect()
}

impl Service {
    /// Does every step of an alarm's ladder that is due, and notes when the next thing is to be done. Whoever calls stores the
    /// alarm. Those who are told now.
    pub(super) async fn climb(
        &self,
        tx: &mut Tx,
        journal: &mut Journal,
        alarm: &mut Alarm,
    ) -> Result<Vec<AccountId>, DbError> {
        let now = journal.now();
        let mut told = Vec::new();
        let planned = alarm.next_at.take();
        if !alarm.wants_people() {
            if alarm.rule.is_momentary() && alarm.cleared_at.is_none() {
                alarm.next_at = alarm.acknowledged_at.map(|at| at.plus_millis(EXPIRES));
            }
            return Ok(told);
        }
        if let Some(waits) = alarm.snoozed_until.max(alarm.ask_until.filter(|_| alarm.answer.is_none()))
            && now < waits
        {
            alarm.next_at = Some(waits);
            return Ok(told);
        }
        let ladder = ladder_of(tx, alarm.family, alarm.severity).await?;
        let watchers = contacts::watchers(tx, alarm.family).await?;
        // Who was first is not told again as one of the others, whoever is first by now.
        let mut asked: Vec<AccountId> = Vec::new();
        if alarm.next_step > 0 {
            let fates = deliveries::of_alarm(tx, alarm).await?;
            let is_told = |fate: &Fate| fate.ended.as_deref() != Some("cancelled");
            asked.extend(fates.into_iter().filter(is_told).map(|fate| fate.delivery.account));
        }
        let was_climbed = ladder.step(alarm.next_step).is_none();
        while let Some(step) = ladder.step(alarm.next_step) {
            let due = alarm.climb_from.plus_millis(i64::from(step.after_seconds) * 1_000);
            if now < due {
                alarm.next_at = Some(due);
                return Ok(told);
            }
            let mut whom = on_rung(&ladder, alarm.next_step, step.rung, &watchers);
            let is_last = ladder.step(alarm.next_step + 1).is_none();
            if is_last && !self.reaches_any(tx, alarm, &watchers, now).await? {
                // Nobody looks after this family, or nobody can be told: better a stranger than nobody.
                whom.extend(contacts::operators(tx).await?);
            }
            whom.retain(|account| !asked.contains(account));
            asked.extend(&whom);
            let place = alarm.next_step;
            let new = self.take_step(tx, journal, alarm, (place, step, &whom)).await?;
            told.extend(&new);
            alarm.next_step += 1;
            if new.is_empty() {
                hurry(alarm, &ladder, now);
            }
        }
        if alarm.severity == Severity::Crit {
            // Nobody has confirmed it: from the start again, ever more seldom.
            let round = next_round(alarm, now);
            alarm.next_at = planned.filter(|at| was_climbed && now < *at && *at <= round).or(Some(round));
        }
        Ok(told)
    }

    /// Has people told; those of them who were not told on this step before.
    async fn take_step(
        &self,
        tx: &mut Tx,
        journal: &mut Journal,
        alarm: &Alarm,
        (place, step, whom): (i32, Step, &[AccountId]),
    ) -> Result<Vec<AccountId>, DbError> {
        let now = journal.now();
        let mut new = Vec::new();
        let body = json!({"episode": alarm.episode, "step": place, "rung": step.rung, "to": whom});
        self.enter(journal, alarm, EntryKind::Step, &body);
        for account in whom {
            let delivery = Delivery {
                id: self.fresh_id(now)?,
                family: alarm.family,
                alarm: alarm.id,
                episode: alarm.episode,
                step: place,
                account: *account,
                created_at: now,
                attempts: 0,
                tried_at: None,
            };
            if deliveries::send(tx, &delivery, now).await? {
                new.push(*account);
            }
        }
        Ok(new)
    }

    /// Nobody can be reached on the steps so far: the next one comes at once.
    pub(super) async fn hurry_on(
        &self,
        tx: &mut Tx,
        journal: &mut Journal,
        alarm: &mut Alarm,
    ) -> Result<Vec<AccountId>, DbError> {
        let ladder = ladder_of(tx, alarm.family, alarm.severity).await?;
        hurry(alarm, &ladder, journal.now());
        self.climb(tx, journal, alarm).await
    }

    /// Has operators told on the last step that was taken, when it turned out that nobody of the family can be: all but some.
    pub(super) async fn tell_operators(
        &self,
        tx: &mut Tx,
        journal: &mut Journal,
        alarm: &Alarm,
        but: &[AccountId],
    ) -> Result<Vec<AccountId>, DbError> {
        let last = alarm.next_step - 1;
        let Some(step) = ladder_of(tx, alarm.family, alarm.severity).await?.step(last) else { return Ok(Vec::new()) };
        let mut operators = contacts::operators(tx).await?;
        operators.retain(|operator| !but.contains(operator));
        if operators.is_empty() {
            return Ok(Vec::new());
        }
        self.take_step(tx, journal, alarm, (last, step, &operators)).await
    }

    /// Does what is due about alarms; how many there were.
    ///
    /// # Errors
    /// As the database. What could not be done stays due.
    pub async fn tend_alarms(&self) -> Result<usize> {
        let now = self.now();
        let due = alarms::due(&mut self.db.read(), now, BATCH).await?;
        self.alarms.turned(Loop::Ladders, now);
        let (mut done, mut failure) = (0, None);
        for (id, family, at) in due {
            if !self.looks_after(family, at, now).await? {
                continue;
            }
            match self.tend_alarm(id, family).await {
                Ok(()) => done += 1,
                Err(error) => {
                    tracing::error!(%family, alarm = id.0, ?error, "an alarm could not be looked after; it is tried again");
                    failure = Some(error);
                }
            }
        }
        failure.map_or(Ok(done), Err)
    }

    async fn tend_alarm(&self, id: RowId, family: FamilyId) -> Result<()> {
        let now = self.now();
        let written = transact!(self.db, tx => {
            let mut journal = Journal::open(&mut tx, family, now).await?;
            let Some(mut alarm) = alarms::get(&mut tx, id).await? else { return Ok::<_, DbError>(None) };
            if alarm.next_at.is_none_or(|at| now < at) {
                // Somebody else was faster.
                return Ok(None);
            }
            self.tend(&mut tx, &mut journal, &mut alarm).await?;
            alarms::update(&mut tx, &alarm).await?;
            journal.close(&mut tx).await.map(Some)
        })?;
        if let Some(written) = written {
            self.written(&written);
        }
        Ok(())
    }

    async fn tend(&self, tx: &mut Tx, journal: &mut Journal, alarm: &mut Alarm) -> Result<(), DbError> {
        let now = journal.now();
        let expires = alarm.acknowledged_at.is_some_and(|at| now.since(at) >= EXPIRES);
        if alarm.rule.is_momentary() && alarm.cleared_at.is_none() && expires {
            return self.end_alarm(tx, journal, alarm, (ClearReason::Expired, None, now)).await;
        }
        if alarm.ask_until.is_some_and(|until| now >= until) && alarm.answer.is_none() {
            alarm.answer = Some(Answer::Silent);
            self.enter(journal, alarm, EntryKind::Answered, &json!({"answer": Answer::Silent, "by": "nobody"}));
        }
        if alarm.wants_people() && is_climbed(tx, alarm).await? && !is_fading(tx, alarm).await? {
            self.begin_episode(tx, alarm, now).await?;
            // Nobody is waited for again before the first step: what was still on its way has just been given up for this.
            hurry(alarm, &ladder_of(tx, alarm.family, alarm.severity).await?, now);
            alarm.rounds += 1;
        }
        let notify = self.climb(tx, journal, alarm).await?;
        if !notify.is_empty() {
            tell(journal, alarm, "step", &notify);
        }
        Ok(())
    }

    /// Ends an alarm, and whatever is no use any more about it. Whoever calls stores it.
    pub(super) async fn end_alarm(
        &self,
        tx: &mut Tx,
        journal: &mut Journal,
        alarm: &mut Alarm,
        (reason, by, ended_at): (ClearReason, Option<AccountId>, Timestamp),
    ) -> Result<(), DbError> {
        let now = journal.now();
        (alarm.cleared_at, alarm.cleared_by, alarm.clear_reason) = (Some(now), by, Some(reason));
        alarm.ended_at = Some(ended_at);
        if !alarm.wants_people() {
            deliveries::cancel(tx, alarm.id, now).await?;
            alarm.next_at = None;
        }
        self.enter(
            journal,
            alarm,
            EntryKind::Cleared,
            &json!({"reason": reason, "by": by, "ended_at": ended_at.millis()}),
        );
        tell(journal, alarm, "cleared", &[]);
        tracing::info!(family = %alarm.family, alarm = alarm.id.0, rule = %alarm.rule, %reason, "an alarm is over");
        Ok(())
    }
}

/// When a critical alarm that was climbed just now climbs again.
pub(super) fn next_round(alarm: &Alarm, now: Timestamp) -> Timestamp {
    let times = u32::try_from(alarm.rounds).unwrap_or_default().min(16);
    now.plus_millis((ROUND << times).min(LONGEST_ROUND))
}

/// Moves the ladder so that its next step is due now; those behind keep their distances.
fn hurry(alarm: &mut Alarm, ladder: &Ladder, now: Timestamp) {
    if let Some(next) = ladder.step(alarm.next_step) {
        let at_once = now.plus_millis(-i64::from(next.after_seconds) * 1_000);
        alarm.climb_from = alarm.climb_from.min(at_once);
    }
}
