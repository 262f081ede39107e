//! Alarms: from a reading to a person.
//!
//! What is judged here is pure: rules get readings and times and say what they mean, ladders say who is told when. What is
//! stored and sent is the business of the service.
//!
//! * [`rules`]: every rule with its parameters, their bounds and where the figures come from.
//! * [`threshold`], [`silence`], [`inactivity`], [`decline`]: how the kinds of rules judge.
//! * [`ladder`]: who is told after how long.
//! * [`text`]: what people read.

pub mod decline;
pub mod inactivity;
pub mod ladder;
pub mod rules;
pub mod silence;
pub mod text;
pub mod threshold;

use schemars::JsonSchema;
use serde::Serialize;

use crate::{AccountId, FamilyId, RowId, Timestamp, wire_enum};

pub use ladder::{Ladder, Rung};
pub use rules::{Parameters, Rule, RuleKind};

wire_enum!(
    /// How bad it is.
    Severity {
        /// Worth knowing.
        Info = "info",
        /// Somebody should look today.
        Warn = "warn",
        /// Somebody must look now.
        Crit = "crit",
    }
);

wire_enum!(
    /// Whether the danger lasts, and whether somebody has seen to it.
    AlarmState {
        /// The danger lasts, and nobody has confirmed it.
        Active = "active",
        /// The danger lasts, and somebody sees to it.
        ActiveAcknowledged = "active_acknowledged",
        /// The danger is over, and nobody has confirmed it.
        Cleared = "cleared",
        /// The danger is over, and somebody saw to it.
        ClearedAcknowledged = "cleared_acknowledged",
    }
);

wire_enum!(
    /// What an alarm was raised by.
    Cause {
        /// A report of the robot.
        Report = "report",
        /// A notification, which the alarm then adopts.
        Notification = "notification",
        /// A message of the elder.
        Message = "message",
        /// Something said to the robot.
        Chat = "chat",
        /// Somebody pressed a button.
        Person = "person",
        /// The passing of time.
        Time = "time",
    }
);

wire_enum!(
    /// Why an alarm is over.
    ClearReason {
        /// The readings are normal again.
        Normal = "normal",
        /// Somebody said so.
        Person = "person",
        /// The elder told the robot that all is well.
        Elder = "elder",
        /// It was acknowledged and nothing more came for a day.
        Expired = "expired",
    }
);

wire_enum!(
    /// What the elder answered the robot.
    Answer {
        /// All is well.
        Fine = "fine",
        /// Help is needed.
        Help = "help",
        /// Nothing was to be heard.
        Silent = "silent",
    }
);

wire_enum!(
    /// What is written into the timeline of an alarm.
    EntryKind {
        /// Something was sensed, or said.
        Sensed = "sensed",
        /// It came in.
        Received = "received",
        /// A rule judged it: the rule, its parameters and its inputs.
        Judged = "judged",
        /// The alarm was raised.
        Raised = "raised",
        /// It became worse.
        Risen = "risen",
        /// It happened again while the alarm was open.
        Repeated = "repeated",
        /// The elder was asked.
        Asked = "asked",
        /// The elder answered, or did not.
        Answered = "answered",
        /// A step of the ladder was reached.
        Step = "step",
        /// A channel took a notice for somebody.
        Handed = "handed",
        /// A channel did not take it.
        Failed = "failed",
        /// It was shown to somebody.
        Delivered = "delivered",
        /// Somebody acknowledged the alarm.
        Acknowledged = "acknowledged",
        /// Somebody put it off: until when, and why.
        Snoozed = "snoozed",
        /// Somebody wrote something about it.
        Commented = "commented",
        /// It is over.
        Cleared = "cleared",
    }
);

wire_enum!(
    /// A way to a person.
    Channel {
        /// A notification of the browser or phone.
        Push = "push",
        /// An e-mail.
        Email = "email",
        /// A call of an address, through which gateways for text messages and telephone are reached.
        Webhook = "webhook",
        /// A page that is open and reads the stream of events.
        Stream = "stream",
        /// The robot in the elder's home.
        Robot = "robot",
    }
);

wire_enum!(
    /// What an event is about.
    EventKind {
        /// A report became critical, or relevant to a rule.
        Report = "report",
        /// A message was sent.
        Message = "message",
        /// A notification was made.
        Notification = "notification",
        /// An alarm changed.
        Alarm = "alarm",
        /// Settings changed.
        Settings = "settings",
        /// Who belongs to the family changed.
        Membership = "membership",
        /// The robot was refused: its session was ended.
        Refused = "refused",
    }
);

/// When the same thing sensed again is still the same: the robot's programs report one fall in two ways, and write one cry for
/// help to several people. Milliseconds.
pub const SAME: i64 = 60_000;

/// From how long after it was sensed an alarm counts as late, in milliseconds.
pub const LATE: i64 = 120_000;

/// How long after the acknowledgement an alarm that has no end of its own is over, in milliseconds.
pub const EXPIRES: i64 = 24 * 3_600_000;

/// For how long a critical alarm can be put off, in milliseconds.
pub const SNOOZE_CRIT: i64 = 15 * 60_000;

/// For how long another alarm can be put off, in milliseconds.
pub const SNOOZE: i64 = 24 * 3_600_000;

/// An alarm of a family.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    /// Its number.
    pub id: RowId,
    /// The family.
    pub family: FamilyId,
    /// The rule that raised it; one alarm at a time is active for each.
    pub rule: Rule,
    /// How bad it is. It only rises.
    pub severity: Severity,
    /// When what raised it was sensed, or began.
    pub sensed_at: Timestamp,
    /// When it was sensed last.
    pub last_sensed_at: Timestamp,
    /// When the first of those was sensed that count as the [same](SAME). Repetitions do not move it.
    pub run_at: Timestamp,
    /// When it was raised.
    pub raised_at: Timestamp,
    /// How long before it was raised the last reading that it needed was made, in milliseconds.
    pub late_by: i64,
    /// How often it was sensed.
    pub occurrences: i32,
    /// The reading that raised it.
    pub value: Option<f64>,
    /// What raised it.
    pub cause: Cause,
    /// The number of its row.
    pub cause_id: Option<RowId>,
    /// A picture.
    pub image_url: Option<String>,
    /// The notification that existing clients see.
    pub notification: Option<RowId>,
    /// When somebody acknowledged it.
    pub acknowledged_at: Option<Timestamp>,
    /// Who.
    pub acknowledged_by: Option<AccountId>,
    /// When it was found to be over.
    pub cleared_at: Option<Timestamp>,
    /// Who said so, if a person did.
    pub cleared_by: Option<AccountId>,
    /// Why it is over.
    pub clear_reason: Option<ClearReason>,
    /// When what raised it was over.
    pub ended_at: Option<Timestamp>,
    /// Until when it is put off.
    pub snoozed_until: Option<Timestamp>,
    /// Who put it off.
    pub snoozed_by: Option<AccountId>,
    /// Until when the elder may answer the robot's question before anybody else is told.
    pub ask_until: Option<Timestamp>,
    /// What the elder answered.
    pub answer: Option<Answer>,
    /// Counts on whenever its ladder is climbed from the start again.
    pub episode: i32,
    /// The episode with which the last new danger began; those after it only repeat it.
    pub danger_episode: i32,
    /// How many rounds of its ladder nobody confirmed since anything new was told.
    pub rounds: i32,
    /// From when on its ladder is climbed.
    pub climb_from: Timestamp,
    /// The step of the ladder that comes next.
    pub next_step: i32,
    /// When something is to be done about it, if anything is.
    pub next_at: Option<Timestamp>,
    /// Since when somebody knows of this episode: a channel had taken a notice for somebody of the family, or nothing was on its
    /// way to the family any more and an operator had been told.
    pub handed_at: Option<Timestamp>,
}

impl Alarm {
    /// Its state.
    pub const fn state(&self) -> AlarmState {
        match (self.cleared_at.is_some(), self.acknowledged_at.is_some()) {
            (false, false) => AlarmState::Active,
            (false, true) => AlarmState::ActiveAcknowledged,
            (true, false) => AlarmState::Cleared,
            (true, true) => AlarmState::ClearedAcknowledged,
        }
    }

    /// Whether it came in so long after it was sensed that it has to be said.
    pub const fn is_late(&self) -> bool {
        self.late_by >= LATE
    }

    /// Whether people still have to be told: nobody confirmed it, and it lasts, or is over without anybody having been told.
    pub const fn wants_people(&self) -> bool {
        self.acknowledged_at.is_none()
            && (self.cleared_at.is_none() || (self.handed_at.is_none() && !self.is_settled()))
    }

    /// Whether a person, the elder included, said that it is over.
    pub const fn is_settled(&self) -> bool {
        matches!(self.clear_reason, Some(ClearReason::Person | ClearReason::Elder | ClearReason::Expired))
    }
}

/// An alarm as clients see it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct AlarmView {
    /// Its number.
    pub id: RowId,
    /// The family.
    pub family_id: FamilyId,
    /// The rule that raised it.
    pub rule: Rule,
    /// How bad it is.
    pub severity: Severity,
    /// Its state.
    pub state: AlarmState,
    /// Whether it is only a drill.
    pub is_drill: bool,
    /// Whether it came in long after it was sensed.
    pub is_late: bool,
    /// What it says, in Korean and English.
    pub text: text::Bilingual,
    /// When what raised it was sensed, or began.
    pub sensed_at: Timestamp,
    /// When it was sensed last.
    pub last_sensed_at: Timestamp,
    /// When it was raised.
    pub raised_at: Timestamp,
    /// How often it was sensed.
    pub occurrences: i32,
    /// The reading that raised it, in the rule's unit.
    pub value: Option<f64>,
    /// A picture.
    pub image_url: Option<String>,
    /// The notification that existing clients see.
    pub notification: Option<RowId>,
    /// When somebody acknowledged it.
    pub acknowledged_at: Option<Timestamp>,
    /// Who.
    pub acknowledged_by: Option<AccountId>,
    /// When it was found to be over.
    pub cleared_at: Option<Timestamp>,
    /// Who said so, if a person did.
    pub cleared_by: Option<AccountId>,
    /// Why it is over.
    pub clear_reason: Option<ClearReason>,
    /// Until when it is put off.
    pub snoozed_until: Option<Timestamp>,
    /// Until when the elder may answer before anybody else is told.
    pub ask_until: Option<Timestamp>,
    /// What the elder answered.
    pub answer: Option<Answer>,
}

impl From<&Alarm> for AlarmView {
    fn from(alarm: &Alarm) -> Self {
        Self {
            id: alarm.id,
            family_id: alarm.family,
            rule: alarm.rule,
            severity: alarm.severity,
            state: alarm.state(),
            is_drill: alarm.rule == Rule::Drill,
            is_late: alarm.is_late(),
            text: text::of(alarm),
            sensed_at: alarm.sensed_at,
            last_sensed_at: alarm.last_sensed_at,
            raised_at: alarm.raised_at,
            occurrences: alarm.occurrences,
            value: alarm.value,
            image_url: alarm.image_url.clone(),
            notification: alarm.notification,
            acknowledged_at: alarm.acknowledged_at,
            acknowledged_by: alarm.acknowledged_by,
            cleared_at: alarm.cleared_at,
            cleared_by: alarm.cleared_by,
            clear_reason: alarm.clear_reason,
            snoozed_until: alarm.snoozed_until,
            ask_until: alarm.ask_until,
            answer: alarm.answer,
        }
    }
}
