//! Values that go into statements.

use carebot_model::status::FieldValue;
use carebot_model::text::{Cut, LongText};
use carebot_model::{AccountId, Date, FamilyId, MemberId, RowId, Timestamp};

/// A value for a placeholder.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// NULL.
    Null,
    /// A whole number; booleans are 0 and 1, times unix milliseconds.
    Int(i64),
    /// A double.
    Real(f64),
    /// A text; dates are `YYYY-MM-DD`.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// Makes the `Vec<Value>` of a statement's parameters.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { vec![$($crate::Value::from($value)),*] };
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}
impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}
impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}
impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Int(value.into())
    }
}
impl From<f64> for Value {
    fn from(value: f64) -> Self {
        // Zero has no sign: SQLite keeps none, and of MariaDB only some versions do.
        Self::Real(value + 0.0)
    }
}
impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}
impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}
impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Blob(value.to_vec())
    }
}
impl From<Timestamp> for Value {
    fn from(value: Timestamp) -> Self {
        Self::Int(value.millis())
    }
}
impl From<RowId> for Value {
    fn from(value: RowId) -> Self {
        Self::Int(value.0)
    }
}
impl From<Date> for Value {
    fn from(value: Date) -> Self {
        Self::Text(value.to_string())
    }
}
impl From<&LongText> for Value {
    fn from(value: &LongText) -> Self {
        value.as_str().into()
    }
}
impl<const N: usize> From<&Cut<N>> for Value {
    fn from(value: &Cut<N>) -> Self {
        value.as_str().into()
    }
}

macro_rules! from_name {
    ($($type:ty: $method:ident),+) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Self {
                value.$method().into()
            }
        })+
    };
}
from_name!(
    AccountId: as_str,
    FamilyId: as_str,
    MemberId: as_str,
    carebot_model::accounts::Role: name,
    carebot_model::accounts::Gender: name,
    carebot_model::members::Position: name,
    carebot_model::authentication::SessionKind: name,
    carebot_model::notifications::Grade: name,
    carebot_model::news::Category: name,
    carebot_model::images::Format: name,
    carebot_model::images::Source: name,
    carebot_model::alarms::Severity: name,
    carebot_model::alarms::Cause: name,
    carebot_model::alarms::ClearReason: name,
    carebot_model::alarms::Answer: name,
    carebot_model::alarms::EntryKind: name,
    carebot_model::alarms::EventKind: name,
    carebot_model::alarms::Channel: name,
    carebot_model::alarms::Rule: name,
    carebot_model::alarms::text::Language: name
);

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<FieldValue> for Value {
    fn from(value: FieldValue) -> Self {
        match value {
            FieldValue::Real(value) => value.into(),
            FieldValue::Int(value) => value.into(),
            FieldValue::Flag(value) => value.into(),
            FieldValue::Text(value) => value.into(),
            FieldValue::Time(value) => value.into(),
            FieldValue::Date(value) => value.into(),
        }
    }
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        use rusqlite::types::{ToSqlOutput, ValueRef};
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Blob(value) => ValueRef::Blob(value),
        }))
    }
}

impl From<Value> for mysql_async::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::NULL,
            Value::Int(value) => Self::Int(value),
            Value::Real(value) => Self::Double(value),
            Value::Text(value) => Self::Bytes(value.into_bytes()),
            Value::Blob(value) => Self::Bytes(value),
        }
    }
}
