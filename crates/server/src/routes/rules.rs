//! `/v1/rules`, `/v1/ladders`

use axum::extract::State;
use carebot_model::Timestamp;
use carebot_model::access::Action;
use carebot_model::alarms::Rung;
use carebot_model::alarms::ladder::Step;
use carebot_service::alarms::replay::{self, Replayed};
use carebot_service::alarms::settings::{self, LadderView, Mute, Numbers, RuleChange, RuleView};
use carebot_service::{Change, Error};
use http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::answer::{Answer, gives, lists};
use crate::app::App;
use crate::context::{Body, Caller, Path};
use crate::error::{Echo, types};
use crate::extract::{Fault, Field, Item, OrNull, field, schemas};
use crate::operation::{Api, Operation, get, patch, post};
use crate::routes::{filled, missing};

crate::form! {
    /// What is to change about a rule.
    pub struct UpdateRule {
        /// The rule, as `heat`.
        rule: String,
        /// Numbers by name, as `{"warn": 32}`; null makes one the default again.
        parameters: ByName,
        /// Until when the rule raises nothing but what is critical, and why: 30 days at most. Null ends it. Some rules can not be muted.
        mute: OrNull<Muting>,
    }
}

crate::form! {
    /// What is to be tried.
    pub struct TryRule {
        /// The rule, as `heat`.
        rule: String,
        /// Numbers by name, as `{"warn": 32}`; null is the default.
        parameters: ByName,
        /// How many days are gone through, 1 to 30; 30 if absent.
        days: i64,
    }
}

crate::form! {
    /// What is to change about a ladder.
    pub struct UpdateLadder {
        /// `info`, `warn` or `crit`.
        severity: String,
        /// Steps in the order of time, as `[{"rung": "first", "after_seconds": 0}]`; null makes them the default again.
        steps: OrNull<Vec<Value>>,
    }
}

const RULE: &str = "A rule is required";
const LADDER: &str = "Severity and steps are required";
const SOME_RULES: &str = "Rules retrieved successfully";
const SOME_LADDERS: &str = "Ladders retrieved successfully";

/// Numbers by name.
#[derive(Clone, Debug, PartialEq)]
pub struct ByName(Map<String, Value>, Numbers);

impl Serialize for ByName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Field for ByName {
    fn read(value: &Value, at: &[&'static str], items: &mut Vec<Item>) -> Option<Self> {
        let Some(object) = value.as_object() else {
            items.push(Fault::NOT_AN_OBJECT.at(at, value.clone()));
            return None;
        };
        let mut numbers = Numbers::new();
        for (name, value) in object {
            let number = if value.is_null() { None } else { Some(f64::read(value, at, items)?) };
            numbers.push((name.clone(), number));
        }
        Some(Self(object.clone(), numbers))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["object", "null"], "additionalProperties": schemas::real() })
    }
}

/// Until when, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Muting {
    until: Option<Timestamp>,
    reason: Option<String>,
}

impl Field for Muting {
    fn read(value: &Value, at: &[&'static str], items: &mut Vec<Item>) -> Option<Self> {
        if !value.is_object() {
            items.push(Fault::NOT_AN_OBJECT.at(at, value.clone()));
            return None;
        }
        Some(Self { until: field::part(value, at, "until", items), reason: field::part(value, at, "reason", items) })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        schemas::nullable(&generator.subschema_for::<Self>())
    }
}

impl JsonSchema for Muting {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Muting".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "Until when a rule is to be silent, and why.",
            "properties": {"until": Timestamp::schema(generator), "reason": {"type": "string", "maxLength": 255}},
            "required": ["until", "reason"],
        })
    }
}

/// A step, if that is one.
fn step(value: &Value) -> Option<Step> {
    let rung = Rung::parse(value["rung"].as_str()?)?;
    let after_seconds = value["after_seconds"].as_i64().and_then(|seconds| i32::try_from(seconds).ok())?;
    Some(Step { rung, after_seconds })
}

/// Refusals of a rule's numbers.
fn numbers(operation: Operation) -> Operation {
    operation
        .no_data(RULE)
        .invalid(settings::NO_RULE)
        .invalid(settings::NO_PARAMETER)
        .invalid(settings::ORDER)
        .refuses_like(400, types::INVALID_VALUE, settings::BOUNDS, "A number is not within its bounds")
        .of_family()
}

pub fn add(api: &mut Api) {
    api.add(
        get("/v1/rules/{family_id}", Action::RuleRead, "What raises an alarm in a family")
            .gives::<Vec<RuleView>>(200, SOME_RULES)
            .of_family(),
        list,
    );
    api.add(
        numbers(patch("/v1/rules/{family_id}", Action::RuleUpdate, "Change the numbers of a rule, or mute it"))
            .takes::<UpdateRule>()
            .gives::<RuleView>(200, "Rule updated successfully")
            .invalid(settings::MUTE)
            .invalid(settings::ALWAYS_ON)
            .bounded(),
        update,
    );
    api.add(
        numbers(post(
            "/v1/rules/{family_id}/try",
            Action::RuleRead,
            "What a rule would have alarmed in the last days with other numbers; nothing is changed",
        ))
        .takes::<TryRule>()
        .gives::<Replayed>(200, "Rule tried successfully")
        .invalid(replay::DAYS)
        .invalid(replay::NOT_TRIED)
        .refuses(429, types::TOO_MANY, replay::BUSY),
        try_out,
    );
    api.add(
        get("/v1/ladders/{family_id}", Action::RuleRead, "Who of a family is told after how long")
            .gives::<Vec<LadderView>>(200, SOME_LADDERS)
            .of_family(),
        ladders,
    );
    api.add(
        patch("/v1/ladders/{family_id}", Action::RuleUpdate, "Change who is told after how long")
            .takes::<UpdateLadder>()
            .gives::<LadderView>(200, "Ladder updated successfully")
            .no_data(LADDER)
            .invalid(settings::NO_SEVERITY)
            .invalid(settings::STEPS)
            .invalid(settings::INCOMPLETE)
            .invalid(settings::STEP_ORDER)
            .invalid(settings::TOO_LATE)
            .of_family(),
        update_ladder,
    );
}

async fn list(State(app): State<App>, caller: Caller, path: Path) -> Answer {
    lists(&app.service().list_rules(&caller, path.one()).await?, SOME_RULES, SOME_RULES)
}

async fn update(State(app): State<App>, caller: Caller, path: Path, Body(form): Body<UpdateRule>) -> Answer {
    let rule = filled(form.rule.as_ref());
    missing("body", &[("rule", rule.is_some())], RULE).echo(&form)?;
    let mute = match &form.mute {
        None => Change::Leave,
        Some(OrNull(None)) => Change::Unset,
        Some(OrNull(Some(mute))) => Change::Set(Mute { until: mute.until, reason: mute.reason.clone() }),
    };
    let numbers = form.parameters.as_ref().map(|by_name| by_name.1.clone()).unwrap_or_default();
    let change = RuleChange { rule: rule.unwrap_or_default().to_owned(), numbers, mute };
    let rule = app.service().update_rule(&caller, path.one(), change).await.echo(&form)?;
    gives(StatusCode::OK, "Rule updated successfully", &rule)
}

async fn try_out(State(app): State<App>, caller: Caller, path: Path, Body(form): Body<TryRule>) -> Answer {
    let rule = filled(form.rule.as_ref());
    missing("body", &[("rule", rule.is_some())], RULE).echo(&form)?;
    let numbers = form.parameters.as_ref().map(|by_name| by_name.1.clone()).unwrap_or_default();
    let tried = app.service().try_rule(&caller, path.one(), rule.unwrap_or_default(), &numbers, form.days).await;
    gives(StatusCode::OK, "Rule tried successfully", &tried.echo(&form)?)
}

async fn ladders(State(app): State<App>, caller: Caller, path: Path) -> Answer {
    lists(&app.service().list_ladders(&caller, path.one()).await?, SOME_LADDERS, SOME_LADDERS)
}

async fn update_ladder(State(app): State<App>, caller: Caller, path: Path, Body(form): Body<UpdateLadder>) -> Answer {
    let severity = filled(form.severity.as_ref());
    missing("body", &[("severity", severity.is_some()), ("steps", form.steps.is_some())], LADDER).echo(&form)?;
    let steps = form.steps.as_ref().and_then(|OrNull(steps)| steps.as_ref());
    let steps =
        steps.map(|steps| steps.iter().map(step).collect::<Option<Vec<_>>>().ok_or(Error::Invalid(settings::STEPS)));
    let steps = steps.transpose().echo(&form)?;
    let ladder = app.service().update_ladder(&caller, path.one(), severity.unwrap_or_default(), steps).await;
    gives(StatusCode::OK, "Ladder updated successfully", &ladder.echo(&form)?)
}
