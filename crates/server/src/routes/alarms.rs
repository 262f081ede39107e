//! `/v1/alarms`, `/v1/drills`

use axum::extract::State;
use carebot_model::access::Action;
use carebot_model::alarms::{AlarmView, Answer as Answered};
use carebot_model::{FamilyId, RowId};
use carebot_service::Error;
use carebot_service::alarms::act::{self, EntryView};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::answer::{Answer, corrected, gives, lists};
use crate::app::App;
use crate::context::{Body, Caller, Path, RawQuery, SensedAt};
use crate::error::Echo;
use crate::extract::{Query, path};
use crate::operation::{Api, Operation, get, post};
use crate::routes::accounts::Created;
use crate::routes::{filled, missing};

crate::form! {
    /// How an alarm came to its end.
    pub struct ClearAlarm {
        /// What there was, at most 1,000 characters.
        comment: String,
    }
}

crate::form! {
    /// Something to be written into the timeline of an alarm.
    pub struct CommentAlarm {
        /// The text, at most 1,000 characters.
        text: String,
    }
}

crate::form! {
    /// For how long nobody is to be told, and why.
    pub struct SnoozeAlarm {
        /// For how long: a critical alarm at most 900 s and once, another at most a day.
        seconds: i64,
        /// Why, at most 1,000 characters.
        reason: String,
    }
}

crate::form! {
    /// What the elder said when the robot asked.
    pub struct AnswerAlarm {
        /// `fine`, `help` or `silent`.
        answer: String,
        /// The words. They are not kept, only that there were some.
        said: String,
    }
}

crate::form! {
    /// A call for help.
    pub struct CallForHelp {
        /// The family; the caller's own if absent.
        family_id: String,
        /// The words. They are not kept, only that there were some.
        said: String,
    }
}

crate::form! {
    /// A test of the alarm.
    pub struct HoldDrill {
        /// The family.
        family_id: String,
    }
}

/// An alarm and all that happened to it.
#[derive(Serialize, JsonSchema)]
pub struct Timeline {
    /// The alarm.
    pub alarm: AlarmView,
    /// What happened, in order. Nobody can change it unseen.
    pub entries: Vec<EntryView>,
}

const MISSING: &str = "Alarm not found";
const SOME: &str = "Alarms retrieved successfully";
const NONE: &str = "No alarms found";
const FAMILY: &str = "Family ID is required";
const SNOOZE: &str = "Seconds and a reason are required";
const ANSWER: &str = "An answer is required";
const TEXT: &str = "A text is required";

/// Something that is done about an alarm.
fn of_alarm(path: &'static str, action: Action, summary: &'static str, done: &'static str) -> Operation {
    post(path, action, summary).row().gives::<AlarmView>(200, done).not_found(MISSING)
}

pub fn add(api: &mut Api) {
    api.add(
        get("/v1/alarms/{family_id}", Action::AlarmRead, "A family's alarms, the newest first")
            .query(
                "active",
                "Only those that last.",
                json!({"type": "string", "enum": ["true", "false"], "default": "false"}),
            )
            .query("before", "Only those with a smaller number, for the next page.", json!({"type": "integer"}))
            .query("limit", "How many.", json!({"type": "integer", "minimum": 1, "maximum": 500, "default": 100}))
            .lists::<AlarmView>(SOME, NONE)
            .of_family(),
        list,
    );
    api.add(
        get("/v1/alarms/{alarm_id}/timeline", Action::AlarmRead, "An alarm and all that happened to it")
            .row()
            .gives::<Timeline>(200, "Timeline retrieved successfully")
            .forbidden()
            .not_found(MISSING),
        timeline,
    );
    add_acts(api);
    add_calls(api);
}

/// What is done about an alarm.
fn add_acts(api: &mut Api) {
    api.add(
        of_alarm(
            "/v1/alarms/{alarm_id}/ack",
            Action::AlarmHandle,
            "See to an alarm: nobody else is disturbed",
            "Alarm acknowledged successfully",
        ),
        acknowledge,
    );
    api.add(
        of_alarm(
            "/v1/alarms/{alarm_id}/clear",
            Action::AlarmHandle,
            "Say that the danger is over",
            "Alarm cleared successfully",
        )
        .takes::<ClearAlarm>()
        .bounded()
        .conflict(act::OVER),
        clear,
    );
    api.add(
        of_alarm(
            "/v1/alarms/{alarm_id}/comment",
            Action::AlarmHandle,
            "Write something into an alarm's timeline",
            "Comment added successfully",
        )
        .takes::<CommentAlarm>()
        .no_data(TEXT)
        .invalid(act::NO_TEXT)
        .bounded(),
        comment,
    );
    api.add(
        of_alarm("/v1/alarms/{alarm_id}/snooze", Action::AlarmHandle, "Put an alarm off", "Alarm put off successfully")
            .takes::<SnoozeAlarm>()
            .no_data(SNOOZE)
            .invalid(act::NO_REASON)
            .invalid(act::SNOOZE_BOUNDS)
            .bounded()
            .conflict(act::OVER)
            .conflict(act::SNOOZED),
        snooze,
    );
    api.add(
        of_alarm(
            "/v1/alarms/{alarm_id}/answer",
            Action::AlarmAnswer,
            "Tell what the elder answered",
            "Answer taken successfully",
        )
        .takes::<AnswerAlarm>()
        .no_data(ANSWER)
        .invalid(act::NO_ANSWER)
        .bounded(),
        answer,
    );
}

/// What raises an alarm.
fn add_calls(api: &mut Api) {
    api.add(
        post("/v1/alarms/sos", Action::AlarmCall, "Call for help")
            .takes::<CallForHelp>()
            .gives::<Created<RowId>>(201, "Help called successfully")
            .no_data(FAMILY)
            .of_family()
            .bounded()
            .called(),
        call,
    );
    api.add(
        post(
            "/v1/drills",
            Action::RuleUpdate,
            "Hold a drill: an alarm that goes the whole way and says that it is none",
        )
        .takes::<HoldDrill>()
        .gives::<Created<RowId>>(201, "Drill begun successfully")
        .no_data(FAMILY)
        .of_family()
        .conflict(act::DRILL_HELD),
        drill,
    );
}

async fn list(State(app): State<App>, caller: Caller, path: Path, RawQuery(raw): RawQuery) -> Answer {
    let mut query = Query::new(raw.as_deref());
    let only_active = query.choice("active", &[true, false]).unwrap_or(false);
    let (before, limit) = (query.row("before"), query.whole("limit", 1, 500).unwrap_or(100));
    query.finish()?;
    let alarms = app.service().list_alarms(&caller, path.one(), only_active, before, limit).await?;
    lists(&alarms, SOME, NONE)
}

async fn timeline(State(app): State<App>, caller: Caller, path: Path) -> Answer {
    let id = path::row("alarm_id", path.one())?;
    let (alarm, entries) = app.service().alarm_timeline(&caller, id).await?;
    gives(StatusCode::OK, "Timeline retrieved successfully", &Timeline { alarm, entries })
}

async fn acknowledge(State(app): State<App>, caller: Caller, path: Path) -> Answer {
    let id = path::row("alarm_id", path.one())?;
    let alarm = app.service().acknowledge_alarm(&caller, id).await?;
    gives(StatusCode::OK, "Alarm acknowledged successfully", &alarm)
}

async fn clear(State(app): State<App>, caller: Caller, path: Path, Body(form): Body<ClearAlarm>) -> Answer {
    let id = path::row("alarm_id", path.one())?;
    let alarm = app.service().clear_alarm(&caller, id, form.comment.as_deref()).await.echo(&form)?;
    gives(StatusCode::OK, "Alarm cleared successfully", &alarm)
}

async fn comment(State(app): State<App>, caller: Caller, path: Path, Body(form): Body<CommentAlarm>) -> Answer {
    let id = path::row("alarm_id", path.one())?;
    let text = filled(form.text.as_ref());
    missing("body", &[("text", text.is_some())], TEXT).echo(&form)?;
    let alarm = app.service().comment_alarm(&caller, id, text.unwrap_or_default()).await.echo(&form)?;
    gives(StatusCode::OK, "Comment added successfully", &alarm)
}

async fn snooze(State(app): State<App>, caller: Caller, path: Path, Body(form): Body<SnoozeAlarm>) -> Answer {
    let id = path::row("alarm_id", path.one())?;
    let reason = filled(form.reason.as_ref());
    missing("body", &[("seconds", form.seconds.is_some()), ("reason", reason.is_some())], SNOOZE).echo(&form)?;
    let (seconds, reason) = (form.seconds.unwrap_or_default(), reason.unwrap_or_default());
    let alarm = app.service().snooze_alarm(&caller, id, seconds, reason).await.echo(&form)?;
    gives(StatusCode::OK, "Alarm put off successfully", &alarm)
}

async fn answer(State(app): State<App>, caller: Caller, path: Path, Body(form): Body<AnswerAlarm>) -> Answer {
    let id = path::row("alarm_id", path.one())?;
    let name = filled(form.answer.as_ref());
    missing("body", &[("answer", name.is_some())], ANSWER).echo(&form)?;
    let answer = Answered::parse(name.unwrap_or_default()).ok_or(Error::Invalid(act::NO_ANSWER)).echo(&form)?;
    let alarm = app.service().answer_alarm(&caller, id, answer, form.said.as_deref()).await.echo(&form)?;
    gives(StatusCode::OK, "Answer taken successfully", &alarm)
}

async fn call(State(app): State<App>, caller: Caller, sensed_at: SensedAt, Body(form): Body<CallForHelp>) -> Answer {
    let own = caller.own_family();
    let family = filled(form.family_id.as_ref()).or_else(|| own.as_ref().map(FamilyId::as_str));
    missing("body", &[("family_id", family.is_some())], FAMILY).echo(&form)?;
    let (family, said) = (family.unwrap_or_default(), form.said.as_deref());
    let (id, is_corrected) = app.service().call_for_help(&caller, family, said, sensed_at.0).await.echo(&form)?;
    Ok(corrected(gives(StatusCode::CREATED, "Help called successfully", &Created { id })?, is_corrected))
}

async fn drill(State(app): State<App>, caller: Caller, Body(form): Body<HoldDrill>) -> Answer {
    let family = filled(form.family_id.as_ref());
    missing("body", &[("family_id", family.is_some())], FAMILY).echo(&form)?;
    let id = app.service().hold_drill(&caller, family.unwrap_or_default()).await.echo(&form)?;
    gives(StatusCode::CREATED, "Drill begun successfully", &Created { id })
}
