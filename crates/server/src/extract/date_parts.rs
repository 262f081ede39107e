//! A date as the contract takes it in a body: an object of year, month and day.

use carebot_model::Date;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::Value;

use super::field::Field;
use super::item::{Fault, Item};
use super::{scalars, schemas};

/// `{"year":1945,"month":3,"day":1}`: whole numbers, not yet known to be a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DateParts {
    /// The year.
    pub year: i64,
    /// The month, 1 to 12.
    pub month: i64,
    /// The day of the month, from 1.
    pub day: i64,
}

impl DateParts {
    /// The date; `None` if there is no such day.
    pub fn date(self) -> Option<Date> {
        Date::new(self.year, self.month, self.day)
    }
}

impl Field for DateParts {
    fn read(value: &Value, at: &[&'static str], items: &mut Vec<Item>) -> Option<Self> {
        if !value.is_object() {
            items.push(Fault::NOT_AN_OBJECT.at(at, value.clone()));
            return None;
        }
        let mut part = |name: &'static str| {
            let at: Vec<_> = at.iter().copied().chain([name]).collect();
            match value.get(name) {
                None => items.push(Fault::MISSING.at(&at, value.clone())),
                Some(part) => match scalars::int64(part) {
                    Ok(number) => return Some(number),
                    Err(fault) => items.push(fault.at(&at, part.clone())),
                },
            }
            None
        };
        // All three are looked at, so that all that is wrong is told at once.
        let (year, month, day) = (part("year"), part("month"), part("day"));
        Some(Self { year: year?, month: month?, day: day? })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        schemas::nullable(&generator.subschema_for::<Self>())
    }
}

impl JsonSchema for DateParts {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DateParts".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "A calendar date in its parts. Whole numbers may also be sent as text.",
            "properties": {
                "year": schemas::whole(i64::MIN, i64::MAX),
                "month": schemas::whole(i64::MIN, i64::MAX),
                "day": schemas::whole(i64::MIN, i64::MAX),
            },
            "required": ["year", "month", "day"],
            "examples": [{ "year": 1945, "month": 3, "day": 1 }]
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Result<DateParts, Value> {
        let mut items = Vec::new();
        DateParts::read(value, &["body", "birth_date"], &mut items).ok_or_else(|| json!(items))
    }

    #[test]
    fn three_whole_numbers_are_a_date_or_not() {
        let parts = read(&json!({"year": "1945", "month": 3.0, "day": true, "hour": 5})).expect("read");
        assert_eq!(parts, DateParts { year: 1945, month: 3, day: 1 });
        assert_eq!(parts.date().map(|date| date.to_string()).as_deref(), Some("1945-03-01"));
        let parts = read(&json!({"year": 1945, "month": 2, "day": 30})).expect("read");
        assert_eq!(parts.date(), None);
    }

    #[test]
    fn every_faulty_part_is_told() {
        let msg = "Field required";
        let input = json!({"year": null, "month": 1.5});
        assert_eq!(
            read(&input),
            Err(json!([
                {"type": "int_type", "loc": ["body", "birth_date", "year"],
                    "msg": "Input should be a valid integer", "input": null},
                {"type": "int_from_float", "loc": ["body", "birth_date", "month"],
                    "msg": "Input should be a valid integer, got a number with a fractional part", "input": 1.5},
                {"type": "missing", "loc": ["body", "birth_date", "day"], "msg": msg, "input": input},
            ]))
        );
    }

    #[test]
    fn only_an_object_has_parts() {
        for value in [json!("1945-03-01"), json!([1945, 3, 1]), json!(1)] {
            let items = read(&value).expect_err("refused");
            assert_eq!(items[0]["type"], "model_attributes_type");
            assert_eq!(items[0]["loc"], json!(["body", "birth_date"]));
            assert_eq!(items[0]["input"], value);
        }
    }
}
