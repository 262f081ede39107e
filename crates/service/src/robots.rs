//! That robots live, and what becomes of one whose session was ended.

use carebot_database::journal::Journal;
use carebot_database::rules::{self, Robot};
use carebot_database::{DbError, alarms, authentication, families, notifications, transact};
use carebot_model::access::{Action, Actor};
use carebot_model::alarms::EventKind;
use carebot_model::notifications::{Grade, NewNotification};
use carebot_model::text::LongText;
use carebot_model::{AccountId, FamilyId, RowId, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::alarms::{LISTENING, own_notice};
use crate::ingest::named_or_own;
use crate::status::AHEAD;
use crate::{Error, Result, Service};

/// How often at most a family is told that a session of its robot is refused, in milliseconds.
pub(crate) const TOLD: i64 = 600_000;

/// Why a heartbeat is refused.
pub const BATTERY: &str = "A battery is between 0 and 100 percent";

/// That a robot lives, and what it says of itself.
#[derive(Clone, Debug, Default)]
pub struct Heartbeat {
    /// The version of its program.
    pub version: Option<String>,
    /// Its battery in percent.
    pub battery: Option<f64>,
    /// What its clock shows.
    pub clock: Option<Timestamp>,
}

/// What a robot is answered when it says that it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Pulse {
    /// The time here, unix milliseconds.
    pub now: i64,
    /// How many prompts wait for it.
    pub prompts: usize,
}

impl Service {
    /// Notes that a family's robot was heard just now, and what it said of itself.
    pub(crate) async fn note_heard(&self, family: FamilyId, robot: Robot) -> Result<()> {
        let robot = Robot { heard_at: Some(self.now()), ..robot };
        let noted = transact!(self.db, tx => { rules::note_robot(&mut tx, family, &robot).await });
        noted.map_err(|error| match error {
            // The family went away between the permit and the row.
            DbError::MissingParent => Error::Forbidden,
            other => other.into(),
        })
    }

    /// Notes that a robot reads what it is to ask: from now on falls are asked about first.
    pub(crate) async fn listens(&self, family: FamilyId) -> Result<()> {
        self.note_heard(family, Robot { prompts_at: Some(self.now()), ..Robot::default() }).await
    }

    /// Notes that a robot follows a stream and so is listening: if it was heard by a request lately. That a stream is taken is no
    /// sign of life: the connection of a robot that hangs goes on to take it.
    pub(crate) async fn follows(&self, family: FamilyId) -> Result<()> {
        let now = self.now();
        let heard_at = rules::heard_at(&mut self.db.read(), family, now).await?;
        if !heard_at.is_some_and(|at| (0..=LISTENING).contains(&now.since(at))) {
            return Ok(());
        }
        let robot = Robot { prompts_at: Some(now), ..Robot::default() };
        match transact!(self.db, tx => { rules::note_robot(&mut tx, family, &robot).await }) {
            // The family went away in this moment.
            Err(DbError::MissingParent) => Ok(()),
            noted => Ok(noted?),
        }
    }

    /// Notes that a robot lives. This is no reading of its prompts: who reads them is known to listen.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the family for operators; [`Error::TooLong`] version; [`Error::Invalid`]
    /// battery.
    pub async fn heartbeat(&self, actor: &Actor, family: Option<&str>, beat: Heartbeat) -> Result<Pulse> {
        const VERSION: usize = 64;
        let permit = self.family(actor, &named_or_own(actor, family)?, Action::RobotReport).await?;
        let Heartbeat { version, battery, clock } = beat;
        if version.as_ref().is_some_and(|version| version.chars().nth(VERSION).is_some()) {
            return Err(Error::TooLong("version"));
        }
        let battery = battery.map(percent).transpose()?;
        self.note_robot(actor).await?;
        let (family, now) = (*permit.resource(), self.now());
        if let Some(ahead_ms) = clock.map(|clock| clock.since(now)).filter(|ahead| ahead.abs() > AHEAD) {
            tracing::info!(%family, ahead_ms, "the clock of a robot is wrong");
        }
        self.note_heard(family, Robot { version, battery, ..Robot::default() }).await?;
        let prompts = alarms::asking(&mut self.db.read(), &permit, now).await?.len();
        Ok(Pulse { now: now.millis(), prompts })
    }

    /// A robot's session that was ended is being used. That is logged, noted at the session, and, if it is something that a
    /// family relies on, shown to the family.
    pub(crate) async fn refuse(&self, session: RowId, account: AccountId, asks: Option<Action>) -> Result<()> {
        let now = self.now();
        let what = asks.map(Action::name);
        tracing::warn!(session = session.0, %account, what, "a robot's session that was ended is still being used; the robot has to sign in again");
        transact!(self.db, tx => { authentication::note_refused(&mut tx, session, now).await })?;
        let Some(action) = asks.filter(|action| is_relied_on(*action)) else { return Ok(()) };
        if !self.refusals.claim(session, now) {
            return Ok(());
        }
        let told = self.tell_refused(session, account, action, now).await;
        if told.is_err() {
            self.refusals.unclaim(&session);
        }
        told
    }

    async fn tell_refused(&self, session: RowId, account: AccountId, action: Action, now: Timestamp) -> Result<()> {
        let Some(family) = families::id_by_main_user(&mut self.db.read(), account).await? else { return Ok(()) };
        let (id, permit) = (self.next_id(now)?, own_notice(family)?);
        let new = NewNotification { grade: Grade::Warn, description: LongText::parse(refusal()), image_url: None };
        let written = transact!(self.db, tx => {
            let mut journal = Journal::open(&mut tx, family, now).await?;
            // Another server may have said so.
            if authentication::was_refusal_told(&mut tx, family, session, now.plus_millis(-TOLD)).await? {
                return Ok(None);
            }
            let robot = Robot { refused_at: Some(now), ..Robot::default() };
            rules::note_robot(&mut tx, family, &robot).await?;
            notifications::create(&mut tx, &permit, id, &new, now).await?;
            journal.event(EventKind::Refused, &json!({"session_id": session, "what": action}));
            journal.event(EventKind::Notification, &json!({"index": id, "grade": new.grade}));
            journal.close(&mut tx).await.map(Some)
        });
        match written {
            Ok(written) => {
                if let Some(written) = &written {
                    self.written(written);
                }
            }
            // The family went away in this moment.
            Err(DbError::MissingParent) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

fn percent(battery: f64) -> Result<i32> {
    if !(0.0..=100.0).contains(&battery) {
        return Err(Error::Invalid(BATTERY));
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is at most 100")]
    let percent = battery.round() as i32;
    Ok(percent)
}

/// What a robot does that its family relies on: that it is refused is shown.
const fn is_relied_on(action: Action) -> bool {
    matches!(
        action,
        Action::StatusReport
            | Action::RobotReport
            | Action::NotificationCreate
            | Action::MessageSendAs
            | Action::ImageUpload
            | Action::AlarmCall
            | Action::AlarmAnswer
    )
}

/// What existing clients show of a refusal, in the form of warnings.
fn refusal() -> String {
    json!({
        "DST_SE_NM": "로봇 연결 거부",
        "EMRG_STEP_NM": "주의",
        "MSG_CN": "로봇의 로그인 세션이 종료되어 로봇이 보내는 정보를 받지 못하고 있습니다. 로봇에서 다시 로그인해 주세요.",
        "RCPTN_RGN_NM": "우리 집",
    })
    .to_string()
}
