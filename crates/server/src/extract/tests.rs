//! The contract's table of automatic refusals, row by row, and that no bytes do harm.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use carebot_model::FamilyId;
use carebot_model::backgrounds::Uploader;
use carebot_model::status::{Active, Health, Home, MentalReport};

crate::form! {
    /// One field of every type.
    struct Sample {
        email: String,
        level: f64,
        score: i32,
        is_on: bool,
        birth_date: DateParts,
        index_list: Vec<Value>,
    }
}

crate::form! {
    struct LogIn { email: String, password: Secret }
}

/// Type, place, sentence, input and particulars of the only item.
fn refusal<T: std::fmt::Debug>(result: Result<T, Invalid>) -> Value {
    let invalid = result.expect_err("refused");
    assert_eq!(invalid.detail.len(), 1, "{invalid:?}");
    json!(invalid.detail[0])
}

fn body(text: &str) -> Value {
    refusal(body::form::<Sample>(Some("application/json"), text.as_bytes()))
}

fn query<T>(raw: &str, read: impl FnOnce(&mut Query) -> Option<T>) -> Value {
    let mut query = Query::new(Some(raw));
    assert!(read(&mut query).is_none(), "{raw}");
    refusal(query.finish())
}

#[test]
fn every_row_about_bodies() {
    let missing = json!({"type": "missing", "loc": ["body"], "msg": "Field required", "input": null});
    assert_eq!(body(""), missing);
    assert_eq!(body("null"), missing);

    let object = "Input should be a valid dictionary or object to extract fields from";
    assert_eq!(body("[1]"), json!({"type": "model_attributes_type", "loc": ["body"], "msg": object, "input": [1]}));
    assert_eq!(
        refusal(body::form::<Sample>(Some("application/x-www-form-urlencoded"), b"email=a%40b.c")),
        json!({"type": "model_attributes_type", "loc": ["body"], "msg": object, "input": "email=a%40b.c"})
    );
    assert_eq!(
        body(r#"{"email": }"#),
        json!({"type": "json_invalid", "loc": ["body", 10], "msg": "JSON decode error", "input": {},
            "ctx": {"error": "Expecting value"}})
    );
    for (text, kind, field, msg, input) in [
        (r#"{"email":5}"#, "string_type", "email", "Input should be a valid string", json!(5)),
        (
            r#"{"level":"x"}"#,
            "float_parsing",
            "level",
            "Input should be a valid number, unable to parse string as a number",
            json!("x"),
        ),
        (
            r#"{"score":"x"}"#,
            "int_parsing",
            "score",
            "Input should be a valid integer, unable to parse string as an integer",
            json!("x"),
        ),
        (
            r#"{"score":1.5}"#,
            "int_from_float",
            "score",
            "Input should be a valid integer, got a number with a fractional part",
            json!(1.5),
        ),
        (
            r#"{"is_on":"maybe"}"#,
            "bool_parsing",
            "is_on",
            "Input should be a valid boolean, unable to interpret input",
            json!("maybe"),
        ),
        (r#"{"index_list":"1,2"}"#, "list_type", "index_list", "Input should be a valid list", json!("1,2")),
        (r#"{"level":"inf"}"#, "finite_number", "level", "Input should be a finite number", json!("inf")),
    ] {
        assert_eq!(body(text), json!({"type": kind, "loc": ["body", field], "msg": msg, "input": input}), "{text}");
    }
    assert_eq!(
        body(r#"{"birth_date":{"year":1945,"month":3}}"#),
        json!({"type": "missing", "loc": ["body", "birth_date", "day"], "msg": "Field required",
            "input": {"year": 1945, "month": 3}})
    );
}

#[test]
fn every_row_about_queries_and_paths() {
    for (raw, reason) in [
        ("start=2025", None),
        ("start=2025-1-1", Some("input is too short")),
        ("start=2025-01-01T20:00:00+09:00", Some("unexpected extra characters at the end of the input")),
    ] {
        let mut read = Query::new(Some(raw));
        let start = read.time("start");
        let Some(reason) = reason else {
            assert!(start.is_some() && read.finish().is_ok(), "{raw}");
            continue;
        };
        let item = refusal(read.finish());
        assert_eq!(item["type"], "datetime_from_date_parsing");
        assert_eq!(item["msg"], format!("Input should be a valid datetime or date, {reason}"));
        assert_eq!(item["ctx"], json!({"error": reason}));
    }
    assert_eq!(
        query("when=2025-13-01", |query| query.date("when")),
        json!({"type": "date_from_datetime_parsing", "loc": ["query", "when"], "input": "2025-13-01",
            "msg": "Input should be a valid date or datetime, month value is outside expected range of 1-12",
            "ctx": {"error": "month value is outside expected range of 1-12"}})
    );
    assert_eq!(query("when=2025-01-01T09:00", |query| query.date("when"))["type"], "date_from_datetime_inexact");
    for raw in ["uploader=ALL", "uploader=", "uploader=others"] {
        assert_eq!(query(raw, |query| query.choice("uploader", Uploader::ALL))["ctx"]["expected"], "'all' or 'mine'");
    }
    for (raw, kind) in [
        ("familyId=", "string_too_short"),
        ("familyId=F2345678901234567", "string_too_long"),
        ("familyId=F23456789012345%20", "string_pattern_mismatch"),
    ] {
        assert_eq!(query(raw, |query| query.id("familyId", FamilyId::parse))["type"], kind, "{raw}");
    }
    assert_eq!(refusal(path::row("message_id", "abc"))["loc"], json!(["path", "message_id"]));
}

#[test]
fn no_secret_comes_back() {
    for (content_type, bytes) in [
        (Some("text/plain"), r#"{"email":"a@b.c","password":"hunter2"}"#),
        (None, r#"["hunter2"]"#),
        (None, r#""hunter2""#),
        (None, r#"{"password":["hunter2"]}"#),
        (None, r#"{"email":5,"password":"hunter2"}"#),
        (None, r#"{"password":"hunter2""#),
    ] {
        let invalid = body::form::<LogIn>(content_type, bytes.as_bytes()).expect_err("refused");
        let shown = format!("{} {invalid:?} {invalid}", json!(invalid));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

/// Whatever comes out serialises, and what was read fits the form's own echo.
fn exercise<F: Form + PartialEq + std::fmt::Debug>(content_type: Option<&str>, bytes: &[u8]) {
    match body::form::<F>(content_type, bytes) {
        Ok(form) => {
            let echo = crate::json::to_vec(&form);
            if !F::HAS_SECRET {
                assert_eq!(body::form::<F>(None, &echo).as_ref(), Ok(&form));
            }
        }
        Err(invalid) => {
            assert!(!invalid.detail.is_empty());
            let answer = crate::json::to_vec(&invalid);
            serde_json::from_slice::<Value>(&answer).expect("JSON");
        }
    }
}

fn exercise_all(content_type: Option<&str>, bytes: &[u8]) {
    exercise::<Sample>(content_type, bytes);
    exercise::<LogIn>(content_type, bytes);
    exercise::<StatusForm<Home>>(content_type, bytes);
    exercise::<StatusForm<Health>>(content_type, bytes);
    exercise::<StatusForm<Active>>(content_type, bytes);
}

/// Values of every JSON type, with the numbers and words that are near to something.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-3_i32..3).prop_map(|half| Value::from(f64::from(half) / 2.0)),
        "[-+0-9._eE ]{0,12}".prop_map(Value::from),
        "true|No|on|Y|inf|NaN|1e999|2025-01-01T00:00Z|1_0.0".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("year|month|day|[a-z]{1,3}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_do_harm(bytes: Vec<u8>) {
        exercise_all(None, &bytes);
        exercise_all(Some("text/plain"), &bytes);
    }

    #[test]
    fn no_broken_json_does_harm(
        text in r#"[{\[]?("(email|score|level)":|[\[\]{},:" \\un0-9eE.+-]|true|null|NaN|가|"[a-z]{0,3}"){0,20}[}\]]?"#
    ) {
        exercise_all(None, text.as_bytes());
    }

    #[test]
    fn no_value_in_a_known_field_does_harm(
        values in prop::collection::hash_map(
            "email|password|level|score|is_on|birth_date|index_list|family_id|temperature|others|heart_rate|action|is_critical",
            json_value(),
            0..8,
        )
    ) {
        let object = Value::Object(values.into_iter().collect());
        exercise_all(None, object.to_string().as_bytes());
        let _ = StatusForm::<MentalReport>::parse(&object);
    }

    #[test]
    fn no_report_loses_a_bit(values in prop::array::uniform4(prop::num::f64::NORMAL | prop::num::f64::ZERO)) {
        let fields = Home {
            temperature: Some(values[0]), humidity: Some(values[1]), dust_level: Some(values[2]), ethanol: Some(values[3]),
            others: None,
        };
        let sent = crate::json::to_vec(&fields);
        let form = body::form::<StatusForm<Home>>(None, &sent).expect("read");
        prop_assert_eq!(form.fields().expect("fits"), &fields);
    }
}
