//! The form of a report: whose it is, and the fields of its kind.

use std::borrow::Cow;

use carebot_model::status::StatusKind;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::field;
use super::form::Form;
use super::item::Item;
use super::schemas;
use super::status_fields::{FieldSchemas, JsonFields, TooLong};

/// What a robot sends when it reports.
///
/// ```
/// use carebot_model::status::Health;
/// use carebot_server::extract::{Form, StatusForm};
///
/// let body = serde_json::json!({"family_id": "F234567890123456", "heart_rate": 72.5});
/// let form = StatusForm::<Health>::parse(&body).unwrap();
/// assert_eq!(form.family_id.as_deref(), Some("F234567890123456"));
/// assert_eq!(form.fields().unwrap().heart_rate, Some(73));
/// assert_eq!(serde_json::to_string(&form).unwrap(), r#"{"family_id":"F234567890123456","heart_rate":73}"#);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct StatusForm<K> {
    /// The family, not yet known to be one.
    pub family_id: Option<String>,
    fields: K,
    too_long: Option<TooLong>,
}

impl<K: StatusKind> StatusForm<K> {
    /// The fields, ready to be stored; or the text that is too long for that, which is the contract's 400
    /// `invalid value`.
    pub fn fields(&self) -> Result<&K, TooLong> {
        match self.too_long {
            None => Ok(&self.fields),
            Some(too_long) => Err(too_long),
        }
    }
}

impl<K: StatusKind> Form for StatusForm<K> {
    const HAS_SECRET: bool = false;

    fn read(object: &Map<String, Value>, items: &mut Vec<Item>) -> Self {
        let family_id = field::read(object, "family_id", items);
        let mut source = JsonFields::new(object);
        let Ok(fields) = K::read(&mut source);
        let (faults, too_long) = source.into_parts();
        items.extend(faults);
        Self { family_id, fields, too_long }
    }
}

impl<K: StatusKind> Serialize for StatusForm<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut form = serializer.serialize_struct("StatusForm", 1 + K::COLUMNS.len())?;
        form.serialize_field("family_id", &self.family_id)?;
        self.fields.serialize_fields(&mut form)?;
        form.end()
    }
}

impl<K: StatusKind> JsonSchema for StatusForm<K> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}Form", K::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let kind = K::json_schema(generator);
        let text =
            |schema: Option<&Value>| schema.and_then(|schema| schema.get("description")?.as_str()).map(str::to_owned);
        let mut source = FieldSchemas::default();
        let Ok(_) = K::read(&mut source);
        let family = schemas::described(schemas::text(), &["The family the report is about."]);
        let mut properties = Map::from_iter([("family_id".to_owned(), family.to_value())]);
        for (name, schema) in source.properties {
            let doc = text(kind.get("properties").and_then(|properties| properties.get(name)));
            let schema = doc.iter().fold(schema, |schema, doc| schemas::described(schema, &[doc]));
            properties.insert(name.to_owned(), schema.to_value());
        }
        schemas::object(&[&text(Some(kind.as_value())).unwrap_or_default()], &properties)
    }
}

#[cfg(test)]
mod tests {
    use carebot_model::status::{Active, Health, Home, MentalReport};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_is_read_with_the_lenience_of_the_contract() {
        let body = json!({"family_id": "F234567890123456", "temperature": "21.5", "humidity": true, "dust_level": null,
            "others": "{\"co2\": 400}", "unknown": 1});
        let form = StatusForm::<Home>::parse(&body).expect("read");
        let fields = form.fields().expect("fits");
        assert_eq!((fields.temperature, fields.humidity, fields.dust_level), (Some(21.5), Some(1.0), None));
        assert_eq!(
            String::from_utf8(crate::json::to_vec(&form)).expect("UTF-8"),
            r#"{"family_id":"F234567890123456","temperature":21.5,"humidity":1.0,"dust_level":null,"ethanol":null,"others":"{\"co2\": 400}"}"#
        );
    }

    #[test]
    fn all_faults_are_told_the_family_first() {
        let body = json!({"image_url": 5, "score": "high", "is_critical": "maybe", "family_id": 7, "action": []});
        let invalid = StatusForm::<Active>::parse(&body).expect_err("refused");
        let told: Vec<_> = invalid.detail.iter().map(|item| json!([item.kind, item.loc[1]])).collect();
        assert_eq!(
            json!(told),
            json!([
                ["string_type", "family_id"],
                ["int_parsing", "score"],
                ["string_type", "action"],
                ["bool_parsing", "is_critical"],
                ["string_type", "image_url"]
            ])
        );
    }

    #[test]
    fn a_heart_rate_is_rounded_half_away_from_zero() {
        for (sent, kept) in [(72.5, 73), (72.49, 72), (-0.5, -1), (2_147_483_647.0, i32::MAX)] {
            let form = StatusForm::<Health>::parse(&json!({"heart_rate": sent})).expect("read");
            assert_eq!(form.fields().expect("fits").heart_rate, Some(kept));
        }
        let invalid = StatusForm::<Health>::parse(&json!({"heart_rate": 3e9})).expect_err("refused");
        assert_eq!(
            json!(invalid.detail),
            json!([{"type": "less_than_equal", "loc": ["body", "heart_rate"],
                "msg": "Input should be less than or equal to 2147483647", "input": 3e9, "ctx": {"le": i32::MAX}}])
        );
    }

    #[test]
    fn a_text_that_is_too_long_fits_the_form_but_cannot_be_stored() {
        let form = |body: Value| StatusForm::<Active>::parse(&body).expect("read");
        assert!(form(json!({"action": "가".repeat(32)})).fields().is_ok());
        let long = form(json!({"action": "가".repeat(33), "description": "a".repeat(65_536)}));
        assert_eq!(long.fields(), Err(TooLong("action")));
        assert_eq!(long.echo()["action"], "가".repeat(33));
        assert!(form(json!({"description": "a".repeat(65_535)})).fields().is_ok());
        assert_eq!(form(json!({"image_url": "가".repeat(21_846)})).fields(), Err(TooLong("image_url")));
    }

    #[test]
    fn times_and_dates_are_read_too() {
        let body = json!({"start_time": "2025-01-01T21:00:00+09:00", "end_time": 1_735_732_800, "best_day": "2025-01-01",
            "worst_day": "2025-01-01T01:00"});
        let invalid = StatusForm::<MentalReport>::parse(&body).expect_err("refused");
        assert_eq!(json!(invalid.detail[0].loc), json!(["body", "worst_day"]));
        assert_eq!(invalid.detail.len(), 1);
    }

    #[test]
    fn the_schema_is_as_lenient_as_the_reading() {
        let schema = schemars::schema_for!(StatusForm<Health>).to_value();
        assert_eq!(schema["title"], "HealthForm");
        assert_eq!(schema["description"], "What the robot measures of the elder's body.");
        assert_eq!(schema["properties"]["heart_rate"]["description"], "Heart rate in beats per minute.");
        assert_eq!(schema["properties"]["heart_rate"]["anyOf"][0]["type"], "number");
        let schema = schemars::schema_for!(StatusForm<Active>).to_value();
        let names: Vec<_> = schema["properties"].as_object().expect("an object").keys().collect();
        assert_eq!(names, ["family_id", "score", "action", "is_critical", "description", "image_url"]);
        assert_eq!(schema["properties"]["action"]["maxLength"], 32);
    }
}
