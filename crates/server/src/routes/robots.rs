//! `/v1/robots`, and `/v1/status/batch`: what robots send besides single reports.

use std::borrow::Cow;

use axum::extract::{Request, State};
use carebot_model::access::Action;
use carebot_model::for_each_status_kind;
use carebot_model::status::{Active, Health, Home, Mental, MentalReport, StatusKind};
use carebot_model::{FamilyId, Timestamp};
use carebot_service::alarms::act::Prompt;
use carebot_service::ingest::{self, Incoming, Item, MANY, Processed, Reading, TOO_MANY};
use carebot_service::robots::{self, Heartbeat, Pulse};
use http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::answer::{Answer, gives, lists};
use crate::app::App;
use crate::context::{Body, Caller, RawQuery};
use crate::error::{ApiError, Echo, TOO_LONG, types};
use crate::extract::{
    self, Fault, Form, Invalid, Loc, Query, StatusForm, TooLong, body, datetime, field, id_schema, schemas,
};
use crate::operation::{Api, get, post};
use crate::routes::filled;

/// The longest batch, in bytes.
const LONGEST: usize = 4 << 20;
/// The longest key of a report, in characters.
const KEY: usize = 64;
const NO_KEY: &str = "key must have 1 to 64 visible characters";
const NO_OBJECT: &str = "A report must be an object";
const NO_JSON: &str = "This line is not JSON";
const LINES: &str = "application/x-ndjson";

crate::form! {
    /// A batch with more to say than its reports.
    pub struct Wrapped {
        /// The family of reports that name none; the caller's own if absent.
        family_id: String,
        /// The reports.
        reports: Vec<Value>,
    }
}

crate::form! {
    /// That a robot lives.
    pub struct Beat {
        /// The family; the caller's own if absent.
        family_id: String,
        /// The version of the robot's program, at most 64 characters.
        version: String,
        /// The robot's battery in percent.
        battery: f64,
        /// What the robot's clock shows.
        clock: Timestamp,
    }
}

pub fn add(api: &mut Api) {
    api.add(
        post("/v1/status/batch", Action::StatusReport, "Report what was gathered while the robot was offline")
            .takes::<Wrapped>()
            .body::<Batch>()
            .or_takes(LINES, "A report on each line.")
            .query("family_id", "The family of reports that name none.", id_schema().to_value())
            .gives::<Processed>(200, "Reports processed")
            .refuses(413, types::TOO_LARGE, TOO_MANY)
            .of_family(),
        batch,
    );
    api.add(
        post("/v1/robots/heartbeat", Action::RobotReport, "Say that the robot lives")
            .takes::<Beat>()
            .gives::<Pulse>(200, "Heartbeat noted")
            .of_family()
            .bounded()
            .invalid(robots::BATTERY),
        heartbeat,
    );
    api.add(
        get("/v1/robots/prompts", Action::RobotReport, "What the robot is to ask the elder now")
            .query("family_id", "The family; the caller's own if absent.", id_schema().to_value())
            .lists::<Prompt>("Prompts retrieved successfully", "No prompts found")
            .of_family(),
        prompts,
    );
}

/// The family that a query names.
fn family_in(raw: Option<&str>) -> Result<Option<FamilyId>, Invalid> {
    let mut query = Query::new(raw);
    let family = query.id("family_id", FamilyId::parse);
    query.finish()?;
    Ok(family)
}

async fn batch(State(app): State<App>, caller: Caller, RawQuery(raw): RawQuery, request: Request) -> Answer {
    let named = family_in(raw.as_deref())?;
    let (parts, stream) = request.into_parts();
    let time = app.settings().body_timeout;
    let bytes = body::read(stream, body::asks_first(&parts.headers), LONGEST, time).await?;
    ingest::may_report(&caller)?;
    let Batch { family, items } = Batch::read(body::content_type(&parts.headers), &bytes)?;
    let family = named.as_ref().map(FamilyId::as_str).or_else(|| filled(family.as_ref()));
    gives(StatusCode::OK, "Reports processed", &app.service().report_batch(&caller, family, items).await?)
}

async fn heartbeat(State(app): State<App>, caller: Caller, Body(form): Body<Beat>) -> Answer {
    let beat = Heartbeat { version: form.version.clone(), battery: form.battery, clock: form.clock };
    let pulse = app.service().heartbeat(&caller, filled(form.family_id.as_ref()), beat).await.echo(&form)?;
    gives(StatusCode::OK, "Heartbeat noted", &pulse)
}

async fn prompts(State(app): State<App>, caller: Caller, RawQuery(raw): RawQuery) -> Answer {
    let named = family_in(raw.as_deref())?;
    let family = ingest::named_or_own(&caller, named.as_ref().map(FamilyId::as_str))?;
    let prompts = app.service().prompts(&caller, &family).await?;
    lists(&prompts, "Prompts retrieved successfully", "No prompts found")
}

/// A batch as it came in.
struct Batch {
    family: Option<String>,
    items: Vec<Item>,
}

impl Batch {
    /// Reads lines, a list, or an object with a list. Of lines each is read by itself; a list is JSON as a whole or not.
    fn read(content_type: Option<&str>, bytes: &[u8]) -> Result<Self, ApiError> {
        let too_many = || carebot_service::Error::TooLarge(TOO_MANY.to_owned());
        if is_lines(content_type) {
            let lines: Vec<&[u8]> =
                bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()).collect();
            if lines.len() > MANY {
                return Err(too_many().into());
            }
            return Ok(Self { family: None, items: lines.into_iter().map(line).collect() });
        }
        let Wrapped { family_id, reports } = match body::parse(content_type, bytes)? {
            Value::Array(reports) => Wrapped { family_id: None, reports: Some(reports) },
            other => Wrapped::parse(&other)?,
        };
        let reports = reports.ok_or_else(|| Invalid::one(Fault::MISSING.at(&["body", "reports"], Value::Null)))?;
        if reports.len() > MANY {
            return Err(too_many().into());
        }
        Ok(Self { family: family_id, items: reports.iter().map(item).collect() })
    }
}

fn is_lines(content_type: Option<&str>) -> bool {
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    [LINES, "application/ndjson"].iter().any(|lines| essence.eq_ignore_ascii_case(lines))
}

fn line(bytes: &[u8]) -> Item {
    match serde_json::from_slice(bytes) {
        Ok(value) => item(&value),
        Err(_) => Err((None, NO_JSON.to_owned())),
    }
}

/// A report of a batch, or its key and what is wrong with it.
fn item(value: &Value) -> Item {
    let Some(object) = value.as_object() else { return Err((None, NO_OBJECT.to_owned())) };
    let is_visible = |key: &&str| {
        (1..=KEY).contains(&key.chars().count()) && !key.chars().any(|c| c.is_control() || c.is_whitespace())
    };
    let Some(key) = object.get("key").and_then(Value::as_str).filter(is_visible) else {
        return Err((None, NO_KEY.to_owned()));
    };
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default();
    let mut kinds = Vec::new();
    macro_rules! read_it {
        ($kind:ident) => {
            if $kind::REPORTED && kind == $kind::NAME {
                return incoming::<$kind>(object, key).map_err(|message| (Some(key.to_owned()), message));
            } else if $kind::REPORTED {
                kinds.push($kind::NAME);
            }
        };
    }
    for_each_status_kind!(read_it);
    Err((Some(key.to_owned()), format!("kind must be one of {}", kinds.join(", "))))
}

fn incoming<K: StatusKind>(object: &Map<String, Value>, key: &str) -> Result<Incoming, String> {
    let mut faults = Vec::new();
    let sensed_at: Option<Timestamp> = field::read(object, "sensed_at", &mut faults);
    let form = StatusForm::<K>::read(object, &mut faults);
    if !faults.is_empty() {
        let sentences: Vec<String> = faults.iter().map(sentence).collect();
        return Err(sentences.join("; "));
    }
    let sensed_at = sensed_at.ok_or_else(|| sentence(&Fault::MISSING.at(&["body", "sensed_at"], Value::Null)))?;
    let fields = form.fields().map_err(|TooLong(name)| format!("{name}: {TOO_LONG}"))?.clone();
    let family = filled(form.family_id.as_ref()).map(str::to_owned);
    Ok(Incoming { key: key.to_owned(), family, sensed_at, reading: Reading::new(fields) })
}

/// What is wrong with a field, in a sentence.
fn sentence(item: &extract::Item) -> String {
    let names = item.loc.iter().skip(1).filter_map(|loc| match loc {
        Loc::Name(name) => Some(&**name),
        Loc::Position(_) => None,
    });
    format!("{}: {}", names.collect::<Vec<_>>().join("."), item.msg)
}

impl JsonSchema for Batch {
    fn schema_name() -> Cow<'static, str> {
        "Batch".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let time = schemas::number_or(&datetime::timestamp_schema());
        let mut kinds = Vec::new();
        macro_rules! describe {
            ($kind:ident) => {
                if $kind::REPORTED {
                    let fields = generator.subschema_for::<StatusForm<$kind>>();
                    kinds.push(json!({"allOf": [fields, {
                        "type": "object",
                        "properties": {
                            "kind": {"const": $kind::NAME},
                            "key": {"type": "string", "minLength": 1, "maxLength": KEY, "description": "The robot's own key: sent again with the same one, a report of the kind is not stored again."},
                            "sensed_at": time,
                        },
                        "required": ["kind", "key", "sensed_at"],
                    }]}));
                }
            };
        }
        for_each_status_kind!(describe);
        kinds.push(json!({"description": "Anything else is answered as refused, and hinders no other report."}));
        let list = json!({"type": "array", "maxItems": MANY, "items": {"anyOf": kinds}});
        let family = schemas::described(schemas::text(), &["The family of reports that name none."]);
        schemars::json_schema!({"anyOf": [
            list,
            {"type": "object", "properties": {"family_id": family, "reports": list}, "required": ["reports"]},
        ]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(value: &Value) -> (Option<String>, String) {
        item(value).expect_err("refused")
    }

    #[test]
    fn a_report_is_read_whatever_its_kind() {
        for value in [
            json!({"kind": "home", "key": "a", "sensed_at": "2026-03-02T09:00:00Z", "temperature": 21.5}),
            json!({"kind": "health", "key": "열쇠-1", "sensed_at": "2026-03-02T09:00:00.250", "heart_rate": "72.5"}),
            json!({"kind": "active", "key": "x".repeat(64), "sensed_at": 1_772_442_000_250_i64, "family_id": ""}),
        ] {
            let incoming = item(&value).unwrap_or_else(|(_, message)| panic!("{message}"));
            assert_eq!((Some(&*incoming.key), incoming.family), (value["key"].as_str(), None));
        }
        let at = |time: &str| {
            let value = json!({"kind": "home", "key": "a", "sensed_at": time});
            item(&value).expect("read").sensed_at.millis()
        };
        assert_eq!(at("2026-03-02T18:00:00.250+09:00"), at("2026-03-02T09:00:00.250"));
        assert_eq!(at("2026-03-02T09:00:00.250") % 1_000, 250);
    }

    #[test]
    fn what_is_wrong_with_a_report_is_told_in_a_sentence() {
        let at = "2026-03-02T09:00:00Z";
        for (value, key, message) in [
            (json!(5), None, NO_OBJECT),
            (json!({"kind": "home"}), None, NO_KEY),
            (json!({"kind": "home", "key": 7}), None, NO_KEY),
            (json!({"kind": "home", "key": ""}), None, NO_KEY),
            (json!({"kind": "home", "key": "a b"}), None, NO_KEY),
            (json!({"kind": "home", "key": "x".repeat(65)}), None, NO_KEY),
            (json!({"key": "a", "sensed_at": at}), Some("a"), "kind must be one of home, health, active"),
            (json!({"kind": "mental", "key": "a"}), Some("a"), "kind must be one of home, health, active"),
            (json!({"kind": "home", "key": "a"}), Some("a"), "sensed_at: Field required"),
            (
                json!({"kind": "health", "key": "a", "sensed_at": "soon", "heart_rate": []}),
                Some("a"),
                "sensed_at: Input should be a valid datetime or date, input is too short; heart_rate: Input should be a valid number",
            ),
            (
                json!({"kind": "active", "key": "a", "sensed_at": at, "action": "가".repeat(33)}),
                Some("a"),
                "action: Text is too long",
            ),
        ] {
            assert_eq!(refusal(&value), (key.map(str::to_owned), message.to_owned()), "{value}");
        }
    }

    #[test]
    fn a_batch_is_lines_a_list_or_an_object_with_a_list() {
        let report = r#"{"kind":"home","key":"a","sensed_at":"2026-03-02T09:00:00Z"}"#;
        let count = |content_type: &str, text: &str| {
            let batch = Batch::read(Some(content_type), text.as_bytes()).map_err(drop)?;
            Ok::<_, ()>(batch.items.iter().map(Result::is_ok).collect::<Vec<_>>())
        };
        let lines = format!("{report}\r\n\n{{\n{report}");
        for kind in ["application/x-ndjson", "Application/NDJSON; charset=utf-8"] {
            assert_eq!(count(kind, &lines), Ok(vec![true, false, true]));
        }
        assert_eq!(count("application/json", &format!("[{report},5]")), Ok(vec![true, false]));
        assert_eq!(count("application/json", &format!(r#"{{"reports":[{report}]}}"#)), Ok(vec![true]));
        assert_eq!(count(LINES, ""), Ok(vec![]));
        for broken in ["", "5", "{}", r#"{"reports":null}"#, r#"{"reports":5}"#, &lines] {
            assert_eq!(count("application/json", broken), Err(()), "{broken}");
        }
        let many = "{}\n".repeat(MANY + 1);
        assert!(Batch::read(Some(LINES), many.as_bytes()).is_err());
    }
}
