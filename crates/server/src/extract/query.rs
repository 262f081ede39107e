//! The query of a request.

use std::fmt::Display;

use carebot_model::wire::Order;
use carebot_model::{Date, RowId, Timestamp};
use percent_encoding::percent_decode;
use schemars::{Schema, json_schema};
use serde_json::{Map, Value, json};

use super::datetime;
use super::item::{Fault, Invalid, Item};
use super::{path, scalars};

/// The length of the ids that a query can ask for.
const ID_LENGTH: usize = 16;
/// The characters of such an id.
pub const ID_PATTERN: &str = "^[a-zA-Z0-9]+$";

/// A query that is being read: the methods give what was asked for, or note what is wrong, which
/// [`Query::finish`] then tells.
///
/// ```
/// use carebot_model::FamilyId;
/// use carebot_server::extract::Query;
///
/// let mut query = Query::new(Some("familyId=F234567890123456&uploader=mine"));
/// let family = query.id("familyId", FamilyId::parse);
/// query.finish().unwrap();
/// assert_eq!(family, FamilyId::parse("F234567890123456"));
/// ```
#[derive(Debug, Default)]
pub struct Query {
    values: Vec<(String, String)>,
    items: Vec<Item>,
}

impl Query {
    /// Splits a raw query into names and values, in which `%20` and `+` are blanks. Bytes that are not UTF-8 become
    /// replacement characters; a name without `=` has the empty value.
    pub fn new(raw: Option<&str>) -> Self {
        let pairs = raw.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let values = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Self { values: values.collect(), items: Vec::new() }
    }

    /// The value of a name as text; if it stands several times, the last one.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.iter().rev().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Reads a value with any function that tells its fault.
    pub fn read<T>(&mut self, name: &'static str, read: impl FnOnce(&str) -> Result<T, Fault>) -> Option<T> {
        let text = self.text(name)?;
        match read(text) {
            Ok(value) => Some(value),
            Err(fault) => {
                let item = fault.at(&["query", name], text.into());
                self.items.push(item);
                None
            }
        }
    }

    /// A point in time.
    pub fn time(&mut self, name: &'static str) -> Option<Timestamp> {
        self.read(name, datetime::timestamp)
    }

    /// A calendar date.
    pub fn date(&mut self, name: &'static str) -> Option<Date> {
        self.read(name, datetime::date)
    }

    /// A whole number between two others, both included.
    pub fn whole(&mut self, name: &'static str, least: u32, most: u32) -> Option<u32> {
        self.read(name, |text| {
            let number = scalars::whole_from_text(text)?;
            if number < i128::from(least) {
                let msg = format!("Input should be greater than or equal to {least}");
                return Err(Fault::with("greater_than_equal", msg, json!({ "ge": least })));
            }
            u32::try_from(number).ok().filter(|number| *number <= most).ok_or_else(|| {
                let msg = format!("Input should be less than or equal to {most}");
                Fault::with("less_than_equal", msg, json!({ "le": most }))
            })
        })
    }

    /// The number of a row. One that no row can have names nothing.
    pub fn row(&mut self, name: &'static str) -> Option<RowId> {
        self.read(name, |text| scalars::whole_from_text(text).map(|number| RowId(path::held(number))))
    }

    /// One of a list of names, in this letter case: `query.choice("uploader", Uploader::ALL)`.
    pub fn choice<T: Copy + Display>(&mut self, name: &'static str, all: &[T]) -> Option<T> {
        self.read(name, |text| {
            all.iter().copied().find(|value| value.to_string() == text).ok_or_else(|| not_one_of(all))
        })
    }

    /// An id of 16 letters and digits, made by `parse`, which takes every such text.
    pub fn id<T>(&mut self, name: &'static str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        self.read(name, |text| {
            id_fault(text).map_or(Ok(()), Err)?;
            parse(text).ok_or_else(not_an_id)
        })
    }

    /// Whether everything that was read fits.
    pub fn finish(self) -> Result<(), Invalid> {
        Invalid::unless(self.items, ())
    }
}

fn decode(text: &str) -> String {
    let blanks = text.replace('+', " ");
    percent_decode(blanks.as_bytes()).decode_utf8_lossy().into_owned()
}

/// `'asc' or 'desc'`, `'a', 'b' or 'c'`.
fn not_one_of<T: Display>(all: &[T]) -> Fault {
    let quoted: Vec<_> = all.iter().map(|value| format!("'{value}'")).collect();
    let expected = match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    };
    Fault::with("enum", format!("Input should be {expected}"), json!({ "expected": expected }))
}

fn id_fault(text: &str) -> Option<Fault> {
    let length = text.chars().count();
    if length < ID_LENGTH {
        let msg = "String should have at least 16 characters";
        Some(Fault::with("string_too_short", msg, json!({ "min_length": ID_LENGTH })))
    } else if length > ID_LENGTH {
        let msg = "String should have at most 16 characters";
        Some(Fault::with("string_too_long", msg, json!({ "max_length": ID_LENGTH })))
    } else if text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        None
    } else {
        Some(not_an_id())
    }
}

fn not_an_id() -> Fault {
    let msg = format!("String should match pattern '{ID_PATTERN}'");
    Fault::with("string_pattern_mismatch", msg, json!({ "pattern": ID_PATTERN }))
}

/// What [`Query::id`] takes.
pub fn id_schema() -> Schema {
    json_schema!({ "type": "string", "minLength": ID_LENGTH, "maxLength": ID_LENGTH, "pattern": ID_PATTERN })
}

/// The query of a list that is bounded and sorted by time: `start`, `end` and `order`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeQuery {
    /// From when, that moment included.
    pub start: Option<Timestamp>,
    /// Until when, that whole second included.
    pub end: Option<Timestamp>,
    /// The direction; oldest first where none is asked for.
    pub order: Order,
    start_text: Option<String>,
    end_text: Option<String>,
}

impl RangeQuery {
    /// Reads the raw query of a request.
    pub fn parse(raw: Option<&str>) -> Result<Self, Invalid> {
        let mut query = Query::new(raw);
        let range = Self {
            start: query.time("start"),
            end: query.time("end"),
            order: query.choice("order", Order::ALL).unwrap_or(Order::Ascending),
            start_text: query.text("start").map(str::to_owned),
            end_text: query.text("end").map(str::to_owned),
        };
        query.finish()?;
        Ok(range)
    }

    /// `{"start","end","order"}` as an answer echoes it: the times as they were sent, the order as the contract has it.
    pub fn echo(&self) -> Map<String, Value> {
        let mut echo = self.period_echo();
        let order = match self.order {
            Order::Ascending => "Order.ASC",
            Order::Descending => "Order.DESC",
        };
        echo.insert("order".to_owned(), order.into());
        echo
    }

    /// `{"start","end"}`, for operations without an order.
    pub fn period_echo(&self) -> Map<String, Value> {
        [("start", &self.start_text), ("end", &self.end_text)]
            .into_iter()
            .map(|(name, text)| (name.to_owned(), json!(text)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use carebot_model::FamilyId;
    use carebot_model::backgrounds::Uploader;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_and_values_are_decoded_and_the_last_one_counts() {
        let query = Query::new(Some("a=1&b=%EA%B0%80+%2B%20%zz&a=2&&c&=d&e=f=g&%61%20=x&bad=%FF"));
        assert_eq!(query.text("a"), Some("2"));
        assert_eq!(query.text("b"), Some("가 + %zz"));
        assert_eq!(query.text("c"), Some(""));
        assert_eq!(query.text("e"), Some("f=g"));
        assert_eq!(query.text("a "), Some("x"));
        assert_eq!(query.text("bad"), Some("\u{fffd}"));
        assert_eq!(query.text("z"), None);
        assert_eq!(Query::new(None).text("a"), None);
    }

    #[test]
    fn a_range_is_read_and_echoed() {
        let range = RangeQuery::parse(Some("start=2025-01-01T21:00:00%2B09:00&end=1735732800000&order=desc&x=1"))
            .expect("read");
        assert_eq!(range.start.map(Timestamp::millis), Some(1_735_732_800_000));
        assert_eq!((range.end, range.order), (range.start, Order::Descending));
        assert_eq!(
            Value::Object(range.echo()),
            json!({"start": "2025-01-01T21:00:00+09:00", "end": "1735732800000", "order": "Order.DESC"})
        );
        let range = RangeQuery::parse(None).expect("read");
        assert_eq!((range.start, range.end, range.order), (None, None, Order::Ascending));
        assert_eq!(json!(range.echo()).to_string(), r#"{"start":null,"end":null,"order":"Order.ASC"}"#);
        assert_eq!(json!(range.period_echo()).to_string(), r#"{"start":null,"end":null}"#);
    }

    #[test]
    fn the_times_of_both_front_ends_are_read() {
        for (raw, shown) in [
            ("start=2025-02-07T07:31:46Z", "2025-02-07T07:31:46"),
            ("start=2020-01-01T00:00:00", "2020-01-01T00:00:00"),
            ("start=2025-02-07T16:31:46.123Z", "2025-02-07T16:31:46"),
            ("start=2025-02-07T23:59:59", "2025-02-07T23:59:59"),
        ] {
            let range = RangeQuery::parse(Some(raw)).expect(raw);
            assert_eq!(range.start.map(|at| at.to_string()).as_deref(), Some(shown));
        }
    }

    #[test]
    fn all_faults_of_a_range_are_told() {
        let invalid = RangeQuery::parse(Some("start=&end=2025-01-01T20:00:00+09:00&order=ASC")).expect_err("refused");
        assert_eq!(
            json!(invalid),
            json!({"detail": [
                {"type": "datetime_from_date_parsing", "loc": ["query", "start"],
                    "msg": "Input should be a valid datetime or date, input is too short", "input": "",
                    "ctx": {"error": "input is too short"}},
                {"type": "datetime_from_date_parsing", "loc": ["query", "end"],
                    "msg": "Input should be a valid datetime or date, unexpected extra characters at the end of the input",
                    "input": "2025-01-01T20:00:00 09:00",
                    "ctx": {"error": "unexpected extra characters at the end of the input"}},
                {"type": "enum", "loc": ["query", "order"], "msg": "Input should be 'asc' or 'desc'", "input": "ASC",
                    "ctx": {"expected": "'asc' or 'desc'"}},
            ]})
        );
    }

    #[test]
    fn a_choice_is_one_of_its_names() {
        let mut query = Query::new(Some("uploader=mine"));
        assert_eq!(query.choice("uploader", Uploader::ALL), Some(Uploader::Mine));
        assert_eq!(query.choice("order", Order::ALL), None);
        query.finish().expect("fits");

        let mut query = Query::new(Some("uploader=&order"));
        assert_eq!(query.choice("uploader", Uploader::ALL), None);
        assert_eq!(query.choice("order", Order::ALL), None);
        let invalid = query.finish().expect_err("refused");
        assert_eq!(
            json!(invalid.detail[0]),
            json!({"type": "enum", "loc": ["query", "uploader"], "msg": "Input should be 'all' or 'mine'", "input": "",
                "ctx": {"expected": "'all' or 'mine'"}})
        );
        assert_eq!(json!(invalid.detail[1].loc), json!(["query", "order"]));
        assert_eq!(json!(not_one_of(&["a", "b", "c"]).at(&[], Value::Null))["ctx"]["expected"], "'a', 'b' or 'c'");
    }

    #[test]
    fn an_id_has_sixteen_letters_and_digits() {
        let mut query = Query::new(Some("familyId=F234567890123456"));
        assert_eq!(query.id("familyId", FamilyId::parse), FamilyId::parse("F234567890123456"));
        for (text, kind, msg, ctx) in [
            ("", "string_too_short", "String should have at least 16 characters", json!({"min_length": 16})),
            (
                "가나다라마바사아자차카타파하거",
                "string_too_short",
                "String should have at least 16 characters",
                json!({"min_length": 16}),
            ),
            (
                "F2345678901234567",
                "string_too_long",
                "String should have at most 16 characters",
                json!({"max_length": 16}),
            ),
            (
                "F23456789012345-",
                "string_pattern_mismatch",
                "String should match pattern '^[a-zA-Z0-9]+$'",
                json!({"pattern": "^[a-zA-Z0-9]+$"}),
            ),
            (
                "가나다라마바사아자차카타파하거너",
                "string_pattern_mismatch",
                "String should match pattern '^[a-zA-Z0-9]+$'",
                json!({"pattern": "^[a-zA-Z0-9]+$"}),
            ),
        ] {
            let mut query = Query::new(Some(&format!("familyId={text}")));
            assert_eq!(query.id("familyId", FamilyId::parse), None);
            assert_eq!(
                json!(query.finish().expect_err("refused").detail),
                json!([{"type": kind, "loc": ["query", "familyId"], "msg": msg, "input": text, "ctx": ctx}])
            );
        }
    }

    proptest! {
        #[test]
        fn no_query_does_harm(raw in r"\PC{0,60}|(start|end|order|when|familyId)(=|&|%|[0-9a-fT:+-]){0,40}") {
            let _ = RangeQuery::parse(Some(&raw));
            let mut query = Query::new(Some(&raw));
            let _ = (query.date("when"), query.id("familyId", FamilyId::parse));
            let _ = query.finish();
        }
    }
}
