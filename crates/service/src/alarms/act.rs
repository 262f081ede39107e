//! What people do about an alarm.

use carebot_database::journal::{self, Entry, Journal};
use carebot_database::{DbError, Tx, alarms, deliveries, families, transact};
use carebot_model::access::{Action, Actor, Permit};
use carebot_model::alarms::{
    Alarm, AlarmView, Answer, Cause, ClearReason, EntryKind, Rule, SNOOZE, SNOOZE_CRIT, Severity,
};
use carebot_model::{AccountId, FamilyId, RowId, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::climb::is_climbed;
use super::{Danger, tell};
use crate::status::sensed;
use crate::{Error, Result, Service};

const MISSING: Error = Error::NotFound("Alarm not found");
/// Nothing can be done about it any more.
pub const OVER: &str = "This alarm is over";
/// A comment that says nothing.
pub const NO_TEXT: &str = "A comment needs a text";
/// Nobody is silenced without a reason.
pub const NO_REASON: &str = "Putting an alarm off needs a reason";
/// For too short or too long.
pub const SNOOZE_BOUNDS: &str =
    "An alarm can be put off for a minute at least, a critical one for 15 minutes at most, another for a day";
/// Critical, and put off before.
pub const SNOOZED: &str = "A critical alarm can be put off once; acknowledge it instead";
/// One drill at a time.
pub const DRILL_HELD: &str = "A drill is being held; clear it first";
/// Nothing that an elder answers.
pub const NO_ANSWER: &str = "Invalid value provided for answer";
/// The longest comment or reason, in characters.
pub const LONGEST: usize = 1_000;
/// The shortest time an alarm can be put off, in milliseconds.
const SNOOZE_LEAST: i64 = 60_000;

/// An entry of a timeline, as clients see it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct EntryView {
    /// Its number in the family.
    pub seq: i64,
    /// When it happened.
    pub at: Timestamp,
    /// The same in unix milliseconds.
    pub at_ms: i64,
    /// What happened.
    pub kind: EntryKind,
    /// More about it: ids and figures.
    pub body: Value,
    /// Its keyed hash, in hexadecimal.
    pub hash: String,
}

impl From<Entry> for EntryView {
    fn from(entry: Entry) -> Self {
        Self {
            seq: entry.seq,
            at: entry.at,
            at_ms: entry.at.millis(),
            kind: entry.kind,
            body: serde_json::from_str(&entry.body).unwrap_or(Value::Null),
            hash: carebot_model::text::hexadecimal(&entry.hash),
        }
    }
}

/// What a robot is to ask the elder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Prompt {
    /// The alarm it is about; the answer goes to `POST /v1/alarms/{id}/answer`.
    pub alarm_id: RowId,
    /// The rule that raised it.
    pub rule: Rule,
    /// What to say.
    pub text: &'static str,
    /// How long the answer is waited for, in seconds.
    pub seconds_left: i64,
}

fn bounded<'a>(name: &'static str, text: Option<&'a str>) -> Result<Option<&'a str>> {
    match text.map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) if text.chars().count() > LONGEST => Err(Error::TooLong(name)),
        text => Ok(text),
    }
}

/// Whether there are words. They are the elder's own and not kept.
fn is_said(words: Option<&str>) -> bool {
    words.is_some_and(|words| !words.trim().is_empty())
}

impl Service {
    /// A family's alarms, the newest first.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the family for operators.
    pub async fn list_alarms(
        &self,
        actor: &Actor,
        family: &str,
        only_active: bool,
        before: Option<RowId>,
        limit: u32,
    ) -> Result<Vec<AlarmView>> {
        let permit = self.family(actor, family, Action::AlarmRead).await?;
        let rows = alarms::list(&mut self.db.read(), &permit, only_active, before, limit.clamp(1, 500)).await?;
        Ok(rows.iter().map(AlarmView::from).collect())
    }

    /// An alarm with its timeline.
    ///
    /// # Errors
    /// [`Error::NotFound`] before [`Error::Forbidden`].
    pub async fn alarm_timeline(&self, actor: &Actor, id: RowId) -> Result<(AlarmView, Vec<EntryView>)> {
        let (alarm, permit) = self.alarm_for(actor, id, Action::AlarmRead).await?;
        let entries = journal::timeline(&mut self.db.read(), &permit, id).await?;
        Ok((AlarmView::from(&alarm), entries.into_iter().map(EntryView::from).collect()))
    }

    async fn alarm_for(&self, actor: &Actor, id: RowId, action: Action) -> Result<(Alarm, Permit<FamilyId>)> {
        let alarm = alarms::get(&mut self.db.read(), id).await?.ok_or(MISSING)?;
        if families::get(&mut self.db.read(), alarm.family).await?.is_none() {
            return Err(MISSING);
        }
        let permit = Permit::ask(actor.relations_to_family(alarm.family), action, alarm.family)?;
        Ok((alarm, permit))
    }

    /// Acknowledges an alarm: nobody else is disturbed. Again is no fault, and changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] before [`Error::Forbidden`].
    pub async fn acknowledge_alarm(&self, actor: &Actor, id: RowId) -> Result<AlarmView> {
        let (alarm, _) = self.alarm_for(actor, id, Action::AlarmHandle).await?;
        let (by, now) = (actor.account(), self.now());
        let (alarm, written) = transact!(self.db, tx => {
            let (mut journal, alarm) = self.locked(&mut tx, &alarm, now).await?;
            let mut alarm = alarm.ok_or(MISSING)?;
            self.acknowledge(&mut tx, &mut journal, &mut alarm, by).await?;
            Ok::<_, Error>((alarm, journal.close(&mut tx).await?))
        })?;
        self.written(&written);
        Ok(AlarmView::from(&alarm))
    }

    /// Acknowledges an alarm in a transaction, and stores it.
    async fn acknowledge(
        &self,
        tx: &mut Tx,
        journal: &mut Journal,
        alarm: &mut Alarm,
        by: Option<AccountId>,
    ) -> Result<(), DbError> {
        if alarm.acknowledged_at.is_some() {
            return Ok(());
        }
        let now = journal.now();
        (alarm.acknowledged_at, alarm.acknowledged_by) = (Some(now), by);
        (alarm.snoozed_until, alarm.snoozed_by) = (None, None);
        let cancelled = deliveries::cancel(tx, alarm.id, now).await?;
        self.climb(tx, journal, alarm).await?;
        alarms::mark_shown_read(tx, alarm).await?;
        alarms::update(tx, alarm).await?;
        self.enter(journal, alarm, EntryKind::Acknowledged, &json!({"by": by, "cancelled": cancelled}));
        tell(journal, alarm, "acknowledged", &[]);
        tracing::info!(family = %alarm.family, alarm = alarm.id.0, "an alarm was acknowledged");
        Ok(())
    }

    /// A guardian has read notifications: the alarms that they show are acknowledged. The elder's own account, which is the robot's
    /// screen, acknowledges nothing by it.
    pub(crate) async fn acknowledge_shown(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        family: FamilyId,
        notifications: &[RowId],
        now: Timestamp,
    ) -> Result<Option<journal::Written>, DbError> {
        let may = Permit::ask(actor.relations_to_family(family), Action::AlarmHandle, ()).is_ok();
        if !may || actor.own_family() == Some(family) {
            return Ok(None);
        }
        if alarms::shown_by(tx, family, notifications).await?.is_empty() {
            return Ok(None);
        }
        let mut journal = Journal::open(tx, family, now).await?;
        for id in alarms::shown_by(tx, family, notifications).await? {
            if let Some(mut alarm) = alarms::get(tx, id).await? {
                self.acknowledge(tx, &mut journal, &mut alarm, actor.account()).await?;
            }
        }
        journal.close(tx).await.map(Some)
    }

    /// Says that the danger is over. If it is not, the alarm is raised again after a while.
    ///
    /// # Errors
    /// [`Error::NotFound`] before [`Error::Forbidden`]; [`Error::TooLong`]; [`Error::Conflict`] if it is over already.
    pub async fn clear_alarm(&self, actor: &Actor, id: RowId, comment: Option<&str>) -> Result<AlarmView> {
        let (alarm, _) = self.alarm_for(actor, id, Action::AlarmHandle).await?;
        let comment = bounded("comment", comment)?;
        let (by, now) = (actor.account(), self.now());
        let (alarm, written) = transact!(self.db, tx => {
            let (mut journal, alarm) = self.locked(&mut tx, &alarm, now).await?;
            let mut alarm = alarm.ok_or(MISSING)?;
            if alarm.cleared_at.is_some() {
                return Err(Error::Conflict(OVER));
            }
            if let Some(text) = comment {
                self.enter(&mut journal, &alarm, EntryKind::Commented, &json!({"by": by, "text": text}));
            }
            self.acknowledge(&mut tx, &mut journal, &mut alarm, by).await?;
            self.end_alarm(&mut tx, &mut journal, &mut alarm, (ClearReason::Person, by, now)).await?;
            alarms::update(&mut tx, &alarm).await?;
            Ok((alarm, journal.close(&mut tx).await?))
        })?;
        self.written(&written);
        Ok(AlarmView::from(&alarm))
    }

    /// Writes something about an alarm into its timeline.
    ///
    /// # Errors
    /// [`Error::NotFound`] before [`Error::Forbidden`]; [`Error::Invalid`] without a text; [`Error::TooLong`].
    pub async fn comment_alarm(&self, actor: &Actor, id: RowId, text: &str) -> Result<AlarmView> {
        let (alarm, _) = self.alarm_for(actor, id, Action::AlarmHandle).await?;
        let text = bounded("text", Some(text))?.ok_or(Error::Invalid(NO_TEXT))?;
        let (by, now) = (actor.account(), self.now());
        let (alarm, written) = transact!(self.db, tx => {
            let (mut journal, alarm) = self.locked(&mut tx, &alarm, now).await?;
            let alarm = alarm.ok_or(MISSING)?;
            self.enter(&mut journal, &alarm, EntryKind::Commented, &json!({"by": by, "text": text}));
            tell(&mut journal, &alarm, "commented", &[]);
            Ok::<_, Error>((alarm, journal.close(&mut tx).await?))
        })?;
        self.written(&written);
        Ok(AlarmView::from(&alarm))
    }

    /// Puts an alarm off: nobody is told until the time has passed. A critical one at most for [`SNOOZE_CRIT`], and again only
    /// when its ladder has begun anew; another can be put off for longer or shorter meanwhile.
    ///
    /// # Errors
    /// [`Error::NotFound`] before [`Error::Forbidden`]; [`Error::Invalid`] without a reason or out of bounds; [`Error::TooLong`];
    /// [`Error::Conflict`] if it is over, or was put off already.
    pub async fn snooze_alarm(&self, actor: &Actor, id: RowId, seconds: i64, reason: &str) -> Result<AlarmView> {
        let (alarm, _) = self.alarm_for(actor, id, Action::AlarmHandle).await?;
        let reason = bounded("reason", Some(reason))?.ok_or(Error::Invalid(NO_REASON))?;
        let (by, now) = (actor.account(), self.now());
        let (alarm, written) = transact!(self.db, tx => {
            let (mut journal, alarm) = self.locked(&mut tx, &alarm, now).await?;
            let mut alarm = alarm.ok_or(MISSING)?;
            if alarm.cleared_at.is_some() {
                return Err(Error::Conflict(OVER));
            }
            let most = if alarm.severity == Severity::Crit { SNOOZE_CRIT } else { SNOOZE };
            let length = seconds.checked_mul(1_000).filter(|length| (SNOOZE_LEAST..=most).contains(length));
            let length = length.ok_or(Error::Invalid(SNOOZE_BOUNDS))?;
            if alarm.severity == Severity::Crit && alarm.snoozed_until.is_some() {
                return Err(Error::Conflict(SNOOZED));
            }
            let until = now.plus_millis(length);
            let before = alarm.snoozed_until.replace(until).filter(|before| now < *before);
            alarm.snoozed_by = by;
            // The ladder stands still meanwhile.
            alarm.climb_from = alarm.climb_from.plus_millis(until.since(before.unwrap_or(now)));
            deliveries::hold_back(&mut tx, alarm.id, before, until).await?;
            self.climb(&mut tx, &mut journal, &mut alarm).await?;
            alarms::update(&mut tx, &alarm).await?;
            self.enter(&mut journal, &alarm, EntryKind::Snoozed, &json!({"by": by, "until": until.millis(), "reason": reason}));
            tell(&mut journal, &alarm, "snoozed", &[]);
            Ok((alarm, journal.close(&mut tx).await?))
        })?;
        self.written(&written);
        Ok(AlarmView::from(&alarm))
    }

    /// Calls for help, however long what was said is, and whenever that was; the alarm, and whether the time had to be corrected.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the family for operators.
    pub async fn call_for_help(
        &self,
        actor: &Actor,
        family: &str,
        said: Option<&str>,
        sensed_at: Option<Timestamp>,
    ) -> Result<(RowId, bool)> {
        let permit = self.family(actor, family, Action::AlarmCall).await?;
        let inputs = json!({"by": actor.account(), "said": is_said(said)});
        let (at, is_corrected) = sensed(sensed_at, true, self.now())?;
        let id = self.raise_alone(*permit.resource(), (Rule::Sos, Severity::Crit, Some(at)), inputs).await?;
        Ok((id, is_corrected))
    }

    /// Holds a drill: an alarm that goes the whole way and says everywhere that it is none.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the family for operators; [`Error::Conflict`] while one is held.
    pub async fn hold_drill(&self, actor: &Actor, family: &str) -> Result<RowId> {
        let permit = self.family(actor, family, Action::RuleUpdate).await?;
        let family = *permit.resource();
        if alarms::active_of(&mut self.db.read(), family, Rule::Drill).await?.is_some() {
            return Err(Error::Conflict(DRILL_HELD));
        }
        self.raise_alone(family, (Rule::Drill, Severity::Crit, None), json!({"by": actor.account()})).await
    }

    /// Raises an alarm that nothing else is stored with.
    async fn raise_alone(
        &self,
        family: FamilyId,
        (rule, severity, sensed_at): (Rule, Severity, Option<Timestamp>),
        inputs: Value,
    ) -> Result<RowId> {
        let now = self.now();
        let raised = transact!(self.db, tx => {
            let mut journal = Journal::open(&mut tx, family, now).await?;
            let danger = Danger { inputs: inputs.clone(), ..Danger::at(rule, severity, sensed_at.unwrap_or(now), (Cause::Person, None)) };
            let id = self.raise(&mut tx, &mut journal, danger).await?;
            Ok::<_, DbError>((id, journal.close(&mut tx).await?))
        });
        let (id, written) = raised.map_err(|error| match error {
            // The family went away in this moment.
            DbError::MissingParent => Error::Forbidden,
            other => other.into(),
        })?;
        self.written(&written);
        Ok(id)
    }

    /// What the elder said when the robot asked. That all is well ends the alarm only while nobody else was told: later it is
    /// for those who were to decide.
    ///
    /// # Errors
    /// [`Error::NotFound`] before [`Error::Forbidden`].
    pub async fn answer_alarm(
        &self,
        actor: &Actor,
        id: RowId,
        answer: Answer,
        said: Option<&str>,
    ) -> Result<AlarmView> {
        let (alarm, _) = self.alarm_for(actor, id, Action::AlarmAnswer).await?;
        // What was said is the elder's own; that something was said is enough for the timeline.
        let said = is_said(said);
        let now = self.now();
        let (alarm, written) = transact!(self.db, tx => {
            let (mut journal, alarm) = self.locked(&mut tx, &alarm, now).await?;
            let mut alarm = alarm.ok_or(MISSING)?;
            let nobody_told = alarm.next_step == 0 && alarm.episode == 1 && alarm.ask_until.is_some();
            self.enter(&mut journal, &alarm, EntryKind::Answered, &json!({"answer": answer, "said": said, "by": actor.account()}));
            if alarm.cleared_at.is_none() {
                let before = alarm.answer.replace(answer);
                if answer == Answer::Fine && nobody_told {
                    self.end_alarm(&mut tx, &mut journal, &mut alarm, (ClearReason::Elder, actor.account(), now)).await?;
                } else {
                    let notify = if nobody_told && alarm.snoozed_until.is_none() {
                        alarm.climb_from = now;
                        self.climb(&mut tx, &mut journal, &mut alarm).await?
                    } else if answer == Answer::Help && alarm.wants_people() {
                        self.tell_of_help(&mut tx, &mut journal, &mut alarm, before).await?
                    } else {
                        Vec::new()
                    };
                    tell(&mut journal, &alarm, "answered", &notify);
                }
                alarms::update(&mut tx, &alarm).await?;
            }
            Ok::<_, Error>((alarm, journal.close(&mut tx).await?))
        })?;
        self.written(&written);
        Ok(AlarmView::from(&alarm))
    }

    /// The elder asks for help although somebody was told before. Whoever was told is told again at once, and nobody later than
    /// planned; if everybody was told, the ladder begins anew. The same answer again meanwhile is no news.
    async fn tell_of_help(
        &self,
        tx: &mut Tx,
        journal: &mut Journal,
        alarm: &mut Alarm,
        before: Option<Answer>,
    ) -> Result<Vec<AccountId>, DbError> {
        let (now, from) = (journal.now(), alarm.climb_from);
        let is_climbed = is_climbed(tx, alarm).await?;
        if !is_climbed && before == Some(Answer::Help) {
            return Ok(Vec::new());
        }
        self.begin_episode(tx, alarm, now).await?;
        alarm.rounds = 0;
        if !is_climbed {
            alarm.climb_from = from.min(now);
        }
        self.climb(tx, journal, alarm).await
    }

    /// What the robot is to ask the elder now. Who reads this is known to listen: from now on falls are asked about first.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the family for operators.
    pub async fn prompts(&self, actor: &Actor, family: &str) -> Result<Vec<Prompt>> {
        let permit = self.family(actor, family, Action::RobotReport).await?;
        let now = self.now();
        // An operator who looks is no robot.
        if actor.own_family() == Some(*permit.resource()) {
            self.listens(*permit.resource()).await?;
        }
        let asking = alarms::asking(&mut self.db.read(), &permit, now).await?;
        let prompt = |alarm: &Alarm| Prompt {
            alarm_id: alarm.id,
            rule: alarm.rule,
            text: "괜찮으세요?",
            seconds_left: alarm.ask_until.map_or(0, |until| until.since(now) / 1_000),
        };
        Ok(asking.iter().map(prompt).collect())
    }

    /// A page has shown somebody an alarm that he is told of.
    pub(crate) async fn note_shown(&self, id: RowId, family: FamilyId, account: AccountId) -> Result<()> {
        let now = self.now();
        let written = transact!(self.db, tx => {
            let mut journal = Journal::open(&mut tx, family, now).await?;
            let Some(alarm) = alarms::get(&mut tx, id).await? else { return Ok::<_, DbError>(None) };
            if deliveries::shown(&mut tx, id, account, now).await? == 0 {
                return Ok(None);
            }
            self.enter(&mut journal, &alarm, EntryKind::Delivered, &json!({"to": account, "channel": "stream"}));
            journal.close(&mut tx).await.map(Some)
        })?;
        if let Some(written) = written {
            self.written(&written);
        }
        Ok(())
    }
}
