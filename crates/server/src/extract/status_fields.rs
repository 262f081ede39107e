//! The fields of a report, read from a body, and described.

use std::convert::Infallible;

use carebot_model::status::FieldSource;
use carebot_model::text::LONG_TEXT_BYTES;
use carebot_model::{Date, Timestamp};
use schemars::Schema;
use serde_json::{Map, Value};

use super::item::{Fault, Invalid, Item};
use super::{datetime, field, scalars, schemas};

/// The most code points of a short text.
const SHORT_TEXT_CHARS: usize = 32;

/// A text that is too long for its column, and that the contract does not cut: the column's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is too long")]
pub struct TooLong(pub &'static str);

/// Reads a report's fields from a body.
///
/// What does not fit is absent and remembered, so that all of it can be told at once.
#[derive(Debug)]
pub struct JsonFields<'a> {
    object: &'a Map<String, Value>,
    items: Vec<Item>,
    too_long: Option<TooLong>,
}

impl<'a> JsonFields<'a> {
    /// Reads from the object that a body is.
    pub const fn new(object: &'a Map<String, Value>) -> Self {
        Self { object, items: Vec::new(), too_long: None }
    }

    /// Everything that does not fit, in the order of reading; otherwise the first text that is too long, if any.
    pub fn finish(self) -> Result<Option<TooLong>, Invalid> {
        Invalid::unless(self.items, self.too_long)
    }

    /// What [`JsonFields::finish`] is made of.
    pub(super) fn into_parts(self) -> (Vec<Item>, Option<TooLong>) {
        (self.items, self.too_long)
    }

    fn read<T>(&mut self, column: &'static str, read: fn(&Value) -> Result<T, Fault>) -> Option<T> {
        let value = self.object.get(column).filter(|value| !value.is_null())?;
        field::settle(read(value), value, &["body", column], &mut self.items)
    }

    fn text(&mut self, column: &'static str, fits: fn(&str) -> bool) -> Option<String> {
        let text = self.read(column, scalars::text)?;
        if !fits(&text) {
            self.too_long.get_or_insert(TooLong(column));
        }
        Some(text)
    }
}

impl FieldSource for JsonFields<'_> {
    type Error = Infallible;

    fn real(&mut self, column: &'static str) -> Result<Option<f64>, Infallible> {
        Ok(self.read(column, scalars::real))
    }

    fn int(&mut self, column: &'static str) -> Result<Option<i32>, Infallible> {
        Ok(self.read(column, scalars::int32))
    }

    fn rounded(&mut self, column: &'static str) -> Result<Option<i32>, Infallible> {
        Ok(self.read(column, scalars::rounded))
    }

    fn flag(&mut self, column: &'static str) -> Result<Option<bool>, Infallible> {
        Ok(self.read(column, scalars::flag))
    }

    fn short_text(&mut self, column: &'static str) -> Result<Option<String>, Infallible> {
        Ok(self.text(column, |text| text.chars().nth(SHORT_TEXT_CHARS).is_none()))
    }

    fn long_text(&mut self, column: &'static str) -> Result<Option<String>, Infallible> {
        Ok(self.text(column, |text| text.len() <= LONG_TEXT_BYTES))
    }

    fn time(&mut self, column: &'static str) -> Result<Option<Timestamp>, Infallible> {
        Ok(self.read(column, datetime::timestamp_from))
    }

    fn date(&mut self, column: &'static str) -> Result<Option<Date>, Infallible> {
        Ok(self.read(column, datetime::date_from))
    }
}

/// Instead of reading a report's fields, notes what each of them takes: their schemas come out in their order.
#[derive(Debug, Default)]
pub struct FieldSchemas {
    /// Name and schema of each field.
    pub properties: Vec<(&'static str, Schema)>,
}

impl FieldSchemas {
    #[expect(clippy::unnecessary_wraps, reason = "the shape that the source's methods answer in")]
    fn note<T>(&mut self, column: &'static str, schema: Schema) -> Result<Option<T>, Infallible> {
        self.properties.push((column, schema));
        Ok(None)
    }
}

impl FieldSource for FieldSchemas {
    type Error = Infallible;

    fn real(&mut self, column: &'static str) -> Result<Option<f64>, Infallible> {
        self.note(column, schemas::real())
    }

    fn int(&mut self, column: &'static str) -> Result<Option<i32>, Infallible> {
        self.note(column, schemas::nullable(&schemas::whole(i32::MIN.into(), i32::MAX.into())))
    }

    fn rounded(&mut self, column: &'static str) -> Result<Option<i32>, Infallible> {
        self.note(column, schemas::real_within(i32::MIN.into(), i32::MAX.into()))
    }

    fn flag(&mut self, column: &'static str) -> Result<Option<bool>, Infallible> {
        self.note(column, schemas::flag())
    }

    fn short_text(&mut self, column: &'static str) -> Result<Option<String>, Infallible> {
        self.note(column, schemas::text_up_to(SHORT_TEXT_CHARS))
    }

    fn long_text(&mut self, column: &'static str) -> Result<Option<String>, Infallible> {
        self.note(column, schemas::text_up_to(LONG_TEXT_BYTES))
    }

    fn time(&mut self, column: &'static str) -> Result<Option<Timestamp>, Infallible> {
        self.note(column, schemas::number_or(&datetime::timestamp_schema()))
    }

    fn date(&mut self, column: &'static str) -> Result<Option<Date>, Infallible> {
        self.note(column, schemas::number_or(&datetime::date_schema()))
    }
}
