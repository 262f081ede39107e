//! What is dangerous becomes an alarm.

use carebot_database::journal::Journal;
use carebot_database::{DbError, Tx, alarms, deliveries, notifications, rules};
use carebot_model::access::{Action, Permit, Relation, Relations};
use carebot_model::alarms::rules::ASK_SECONDS;
use carebot_model::alarms::{Alarm, Cause, EntryKind, EventKind, Rule, SAME, Severity, text};
use carebot_model::notifications::{Grade, NewNotification};
use carebot_model::text::LongText;
use carebot_model::{FamilyId, RowId, Timestamp};
use serde_json::{Value, json};

use super::climb::is_climbed;
use super::tell;
use crate::Service;

/// How lately a robot's program must have read what it is to ask, in milliseconds, for the elder to be asked.
pub(crate) const LISTENING: i64 = 60_000;

/// Something dangerous.
#[derive(Clone, Debug)]
pub(crate) struct Danger {
    /// The rule that says so.
    pub rule: Rule,
    /// How bad it is.
    pub severity: Severity,
    /// When it was sensed, or began.
    pub sensed_at: Timestamp,
    /// When the last reading that it took was made.
    pub complete_at: Timestamp,
    /// The reading.
    pub value: Option<f64>,
    /// What it was seen in.
    pub cause: Cause,
    /// The number of that row.
    pub cause_id: Option<RowId>,
    /// A picture.
    pub image_url: Option<String>,
    /// A notification that says it already.
    pub adopts: Option<RowId>,
    /// What the rule judged by.
    pub inputs: Value,
}

impl Danger {
    /// Something that was sensed at one moment.
    pub fn at(rule: Rule, severity: Severity, at: Timestamp, cause: (Cause, Option<RowId>)) -> Self {
        Self {
            rule,
            severity,
            sensed_at: at,
            complete_at: at,
            value: None,
            cause: cause.0,
            cause_id: cause.1,
            image_url: None,
            adopts: None,
            inputs: json!({}),
        }
    }
}

/// Permission for what the server itself tells a family.
pub(crate) fn own_notice(family: FamilyId) -> Result<Permit<FamilyId>, DbError> {
    Permit::ask(Relations::of(Relation::System), Action::NotificationCreate, family)
        .map_err(|_| DbError::Statement("the server may not tell a family anything".into()))
}

impl Service {
    /// Raises an alarm, or adds to the one that is active; its number. Nobody is told twice of the same thing, and what became
    /// worse is told anew. So is what happened again, unless the ladder is being climbed for what happened before.
    pub(crate) async fn raise(&self, tx: &mut Tx, journal: &mut Journal, danger: Danger) -> Result<RowId, DbError> {
        match alarms::active_of(tx, journal.family(), danger.rule).await? {
            Some(alarm) => self.add_to(tx, journal, alarm, danger).await,
            None => self.begin(tx, journal, danger).await,
        }
    }

    async fn begin(&self, tx: &mut Tx, journal: &mut Journal, danger: Danger) -> Result<RowId, DbError> {
        let (family, now) = (journal.family(), journal.now());
        let ask_until = self.may_ask(tx, family, &danger, now).await?;
        let mut alarm = Alarm {
            id: self.fresh_id(now)?,
            family,
            rule: danger.rule,
            severity: danger.severity,
            sensed_at: danger.sensed_at,
            last_sensed_at: danger.complete_at,
            run_at: danger.complete_at,
            raised_at: now,
            late_by: now.since(danger.complete_at).max(0),
            occurrences: 1,
            value: danger.value,
            cause: danger.cause,
            cause_id: danger.cause_id,
            image_url: danger.image_url.clone(),
            notification: None,
            acknowledged_at: None,
            acknowledged_by: None,
            cleared_at: None,
            cleared_by: None,
            clear_reason: None,
            ended_at: None,
            snoozed_until: None,
            snoozed_by: None,
            ask_until,
            answer: None,
            episode: 1,
            danger_episode: 1,
            rounds: 0,
            climb_from: ask_until.unwrap_or(now),
            next_step: 0,
            next_at: None,
            handed_at: None,
        };
        alarms::create(tx, &alarm).await?;
        self.show(tx, journal, &mut alarm, danger.adopts).await?;
        self.sensed(journal, &alarm, &danger);
        let body = json!({"severity": alarm.severity, "notification": alarm.notification, "late_by_ms": alarm.late_by});
        self.enter(journal, &alarm, EntryKind::Raised, &body);
        if let Some(until) = ask_until {
            self.enter(journal, &alarm, EntryKind::Asked, &json!({"until": until.millis()}));
        }
        let notify = self.climb(tx, journal, &mut alarm).await?;
        alarms::update(tx, &alarm).await?;
        tell(journal, &alarm, "raised", &notify);
        tracing::info!(%family, alarm = alarm.id.0, rule = %alarm.rule, severity = %alarm.severity, late_by_ms = alarm.late_by, "an alarm was raised");
        Ok(alarm.id)
    }

    async fn add_to(
        &self,
        tx: &mut Tx,
        journal: &mut Journal,
        mut alarm: Alarm,
        danger: Danger,
    ) -> Result<RowId, DbError> {
        let now = journal.now();
        let is_worse = danger.severity > alarm.severity;
        // The same thing told twice is no news; the same again after somebody saw to the first is, or put it off, or when
        // nobody would be told of it for a while.
        let is_same = danger.complete_at.since(alarm.run_at).abs() <= SAME;
        let is_again = alarm.rule.is_momentary()
            && !is_same
            && (alarm.acknowledged_at.is_some()
                || alarm.snoozed_until.is_some_and(|until| now < until)
                || is_climbed(tx, &alarm).await?);
        if !is_same {
            alarm.run_at = alarm.run_at.max(danger.complete_at);
        }
        alarm.occurrences += 1;
        alarm.last_sensed_at = alarm.last_sensed_at.max(danger.complete_at);
        if alarm.image_url.is_none() {
            alarm.image_url.clone_from(&danger.image_url);
        }
        self.sensed(journal, &alarm, &danger);
        if !is_worse && !is_again {
            if let Some(notification) = danger.adopts {
                alarms::shows(tx, notification, &alarm).await?;
            }
            self.enter(journal, &alarm, EntryKind::Repeated, &json!({"occurrences": alarm.occurrences}));
            alarms::update(tx, &alarm).await?;
            tell(journal, &alarm, "repeated", &[]);
            return Ok(alarm.id);
        }
        let before = alarm.severity;
        alarm.severity = alarm.severity.max(danger.severity);
        alarm.value = danger.value.or(alarm.value);
        alarm.late_by = now.since(danger.complete_at).max(0);
        self.begin_episode(tx, &mut alarm, now).await?;
        alarm.danger_episode = alarm.episode;
        alarm.rounds = 0;
        // What became worse waits for nobody's answer.
        alarm.ask_until = None;
        self.show(tx, journal, &mut alarm, danger.adopts).await?;
        let (kind, what) = if is_worse { (EntryKind::Risen, "risen") } else { (EntryKind::Raised, "raised") };
        let body =
            json!({"from": before, "to": alarm.severity, "episode": alarm.episode, "notification": alarm.notification});
        self.enter(journal, &alarm, kind, &body);
        let notify = self.climb(tx, journal, &mut alarm).await?;
        alarms::update(tx, &alarm).await?;
        tell(journal, &alarm, what, &notify);
        tracing::info!(family = %alarm.family, alarm = alarm.id.0, rule = %alarm.rule, severity = %alarm.severity, "an alarm was raised again");
        Ok(alarm.id)
    }

    /// Has the ladder climbed from its start again: whatever silenced the alarm before does not count any more.
    pub(super) async fn begin_episode(&self, tx: &mut Tx, alarm: &mut Alarm, now: Timestamp) -> Result<(), DbError> {
        deliveries::cancel(tx, alarm.id, now).await?;
        alarm.episode += 1;
        (alarm.acknowledged_at, alarm.acknowledged_by) = (None, None);
        (alarm.snoozed_until, alarm.snoozed_by) = (None, None);
        alarm.handed_at = None;
        alarm.climb_from = now;
        alarm.next_step = 0;
        Ok(())
    }

    /// What was sensed, how it came in, and how it was judged.
    fn sensed(&self, journal: &mut Journal, alarm: &Alarm, danger: &Danger) {
        let body = json!({
            "at": danger.sensed_at.millis(),
            "complete_at": danger.complete_at.millis(),
            "cause": danger.cause,
            "row": danger.cause_id,
            "value": danger.value,
        });
        self.enter(journal, alarm, EntryKind::Sensed, &body);
        let body = json!({"at": journal.now().millis()});
        self.enter(journal, alarm, EntryKind::Received, &body);
        let body = json!({"rule": danger.rule, "severity": danger.severity, "inputs": danger.inputs});
        self.enter(journal, alarm, EntryKind::Judged, &body);
    }

    /// Until when the elder is asked before others are told. Only if a program that reads what is to be asked was seen just now,
    /// and the robot was heard: a question that nobody hears only costs time.
    async fn may_ask(
        &self,
        tx: &mut Tx,
        family: FamilyId,
        danger: &Danger,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, DbError> {
        if !danger.rule.asks_first() || now.since(danger.complete_at) > LISTENING {
            return Ok(None);
        }
        let is_lately = |at: Option<Timestamp>| at.is_some_and(|at| (0..=LISTENING).contains(&now.since(at)));
        let prompts_at = rules::robot(tx, family).await?.and_then(|robot| robot.prompts_at);
        if !is_lately(prompts_at) || !is_lately(rules::heard_at(tx, family, now).await?) {
            return Ok(None);
        }
        let set = super::RuleSet::new(family, &rules::settings(tx, family).await?);
        let wait = set.of(danger.rule).millis(ASK_SECONDS);
        Ok((wait > 0).then(|| now.plus_millis(wait)))
    }

    /// Has existing clients see the alarm: by a notification that says it already, or by one of its own.
    async fn show(
        &self,
        tx: &mut Tx,
        journal: &mut Journal,
        alarm: &mut Alarm,
        adopts: Option<RowId>,
    ) -> Result<(), DbError> {
        let now = journal.now();
        let id = if let Some(id) = adopts {
            id
        } else {
            let grade = match alarm.severity {
                Severity::Crit => Grade::Crit,
                Severity::Warn => Grade::Warn,
                Severity::Info => Grade::Info,
            };
            let new = NewNotification {
                grade,
                description: LongText::parse(text::notification(alarm)),
                image_url: alarm.image_url.clone().and_then(LongText::parse),
            };
            let permit = own_notice(alarm.family)?;
            let id = notifications::create(tx, &permit, self.fresh_id(now)?, &new, now).await?;
            journal.event(EventKind::Notification, &json!({"index": id, "grade": grade, "alarm_id": alarm.id}));
            id
        };
        alarms::shows(tx, id, alarm).await?;
        alarm.notification = Some(id);
        Ok(())
    }
}
