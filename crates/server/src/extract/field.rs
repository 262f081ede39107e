//! A field of a request body.

use carebot_model::Timestamp;
use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

use super::item::{Fault, Item, MASK};
use super::{datetime, scalars, schemas, secret::Secret};

/// A type that a field of a body can have.
pub trait Field: Sized {
    /// Whether it must never be shown.
    const SECRET: bool = false;

    /// Whether null is a value of its own, and not the same as absent.
    const TAKES_NULL: bool = false;

    /// Reads a value, found at `at`, that is not null unless null is taken; if it does not fit, says so in `items`.
    fn read(value: &Value, at: &[&'static str], items: &mut Vec<Item>) -> Option<Self>;

    /// What is taken, null included.
    fn schema(generator: &mut SchemaGenerator) -> Schema;
}

/// Reads the field `name` of a body; null is the same as absent, unless the type says otherwise.
pub fn read<F: Field>(object: &serde_json::Map<String, Value>, name: &'static str, items: &mut Vec<Item>) -> Option<F> {
    let value = object.get(name).filter(|value| F::TAKES_NULL || !value.is_null())?;
    F::read(value, &["body", name], items)
}

/// Reads the field `name` of an object within a body; null is the same as absent.
pub fn part<F: Field>(object: &Value, at: &[&'static str], name: &'static str, items: &mut Vec<Item>) -> Option<F> {
    let value = object.get(name).filter(|value| !value.is_null())?;
    let at: Vec<_> = at.iter().copied().chain([name]).collect();
    F::read(value, &at, items)
}

/// The value, or `None` and an item about it.
pub fn settle<T>(result: Result<T, Fault>, input: &Value, at: &[&'static str], items: &mut Vec<Item>) -> Option<T> {
    result.map_err(|fault| items.push(fault.at(at, input.clone()))).ok()
}

macro_rules! fields {
    ($($type:ty: $read:path, $schema:expr;)+) => {
        $(impl Field for $type {
            fn read(value: &Value, at: &[&'static str], items: &mut Vec<Item>) -> Option<Self> {
                settle($read(value), value, at, items)
            }

            fn schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        })+
    };
}

fields! {
    String: scalars::text, schemas::text();
    f64: scalars::real, schemas::real();
    i32: scalars::int32, schemas::nullable(&schemas::whole(i32::MIN.into(), i32::MAX.into()));
    i64: scalars::int64, schemas::nullable(&schemas::whole(i64::MIN, i64::MAX));
    bool: scalars::flag, schemas::flag();
    Vec<Value>: scalars::list, schemas::list();
    Timestamp: datetime::timestamp_from, schemas::number_or(&datetime::timestamp_schema());
}

impl Field for Secret {
    const SECRET: bool = true;

    fn read(value: &Value, at: &[&'static str], items: &mut Vec<Item>) -> Option<Self> {
        scalars::text(value).map(Self::new).map_err(|fault| items.push(fault.at(at, MASK.into()))).ok()
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        schemas::secret()
    }
}
