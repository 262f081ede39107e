//! Rows that come out of statements.

use carebot_model::status::FieldSource;
use carebot_model::{AccountId, Date, FamilyId, MemberId, RowId, Timestamp};

use crate::Result;
use crate::connector::error::DbError;
use crate::connector::value::Value;

enum Inner<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    MariaDb(&'a mysql_async::Row),
}

/// A row of a result, valid while it is looked at.
pub struct Row<'a> {
    inner: Inner<'a>,
    statement: &'a str,
    ordinal: usize,
}

/// A value as it lies in a row.
#[derive(Clone, Copy, Debug)]
pub enum Cell<'a> {
    /// NULL.
    Null,
    /// A whole number.
    Int(i64),
    /// A double.
    Real(f64),
    /// Text or bytes.
    Bytes(&'a [u8]),
    /// Something this connector never stores.
    Other,
}

impl Cell<'_> {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Int(_) => "a whole number",
            Self::Real(_) => "a double",
            Self::Bytes(_) => "a text",
            Self::Other => "an unknown type",
        }
    }
}

/// What a cell can become.
pub trait FromCell: Sized {
    /// `None` if the cell does not hold it.
    fn from_cell(cell: Cell<'_>) -> Option<Self>;
}

impl<'a> Row<'a> {
    pub(crate) const fn sqlite(row: &'a rusqlite::Row<'a>, statement: &'a str, ordinal: usize) -> Self {
        Self { inner: Inner::Sqlite(row), statement, ordinal }
    }

    pub(crate) const fn mariadb(row: &'a mysql_async::Row, statement: &'a str, ordinal: usize) -> Self {
        Self { inner: Inner::MariaDb(row), statement, ordinal }
    }

    fn cell(&self, index: usize) -> Cell<'_> {
        match self.inner {
            Inner::Sqlite(row) => match row.get_ref(index) {
                Ok(rusqlite::types::ValueRef::Null) => Cell::Null,
                Ok(rusqlite::types::ValueRef::Integer(value)) => Cell::Int(value),
                Ok(rusqlite::types::ValueRef::Real(value)) => Cell::Real(value),
                Ok(rusqlite::types::ValueRef::Text(bytes) | rusqlite::types::ValueRef::Blob(bytes)) => {
                    Cell::Bytes(bytes)
                }
                Err(_) => Cell::Other,
            },
            Inner::MariaDb(row) => match row.as_ref(index) {
                Some(mysql_async::Value::NULL) => Cell::Null,
                Some(mysql_async::Value::Int(value)) => Cell::Int(*value),
                Some(mysql_async::Value::UInt(value)) => i64::try_from(*value).map_or(Cell::Other, Cell::Int),
                Some(mysql_async::Value::Double(value)) => Cell::Real(*value),
                Some(mysql_async::Value::Float(value)) => Cell::Real(f64::from(*value)),
                Some(mysql_async::Value::Bytes(bytes)) => Cell::Bytes(bytes),
                _ => Cell::Other,
            },
        }
    }

    /// The value of a column, by position from 0.
    ///
    /// # Errors
    /// [`DbError::BadValue`] with the column's name if it does not hold this type.
    pub fn get<T: FromCell>(&self, index: usize) -> Result<T> {
        let cell = self.cell(index);
        T::from_cell(cell).ok_or_else(|| DbError::BadValue {
            column: self.column(index),
            row: self.ordinal,
            found: cell.kind(),
            statement: self.statement.to_owned(),
        })
    }

    /// The value of a column whatever it is; bytes that are no text only if `is_bytes`.
    ///
    /// # Errors
    /// [`DbError::BadValue`] with the column's name if it holds something that this connector never stores.
    pub fn value(&self, index: usize, is_bytes: bool) -> Result<Value> {
        match self.cell(index) {
            Cell::Null => Ok(Value::Null),
            Cell::Int(value) => Ok(Value::Int(value)),
            Cell::Real(value) => Ok(Value::Real(value)),
            Cell::Bytes(bytes) if is_bytes => Ok(Value::Blob(bytes.to_vec())),
            Cell::Bytes(_) | Cell::Other => self.get(index).map(Value::Text),
        }
    }

    fn column(&self, index: usize) -> String {
        let name = match self.inner {
            Inner::Sqlite(row) => row.as_ref().column_name(index).ok().map(str::to_owned),
            Inner::MariaDb(row) => row.columns_ref().get(index).map(|column| column.name_str().into_owned()),
        };
        name.unwrap_or_else(|| format!("#{index}"))
    }

    /// The fields of a report, starting at a column.
    pub const fn fields(&self, first: usize) -> RowFields<'_, 'a> {
        RowFields { row: self, next: first }
    }
}

impl FromCell for i64 {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Int(value) => Some(value),
            _ => None,
        }
    }
}
impl FromCell for i32 {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        i64::from_cell(cell)?.try_into().ok()
    }
}
impl FromCell for u32 {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        i64::from_cell(cell)?.try_into().ok()
    }
}
impl FromCell for u64 {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        i64::from_cell(cell)?.try_into().ok()
    }
}
impl FromCell for f64 {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Real(value) => Some(value),
            Cell::Int(value) => i32::try_from(value).ok().map(Self::from),
            _ => None,
        }
    }
}
impl FromCell for bool {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Int(0) => Some(false),
            Cell::Int(1) => Some(true),
            _ => None,
        }
    }
}
impl FromCell for String {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Bytes(bytes) => std::str::from_utf8(bytes).ok().map(str::to_owned),
            _ => None,
        }
    }
}
impl FromCell for Vec<u8> {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Bytes(bytes) => Some(bytes.to_vec()),
            _ => None,
        }
    }
}
impl<const N: usize> FromCell for [u8; N] {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Bytes(bytes) => bytes.try_into().ok(),
            _ => None,
        }
    }
}
impl FromCell for Timestamp {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        i64::from_cell(cell).map(Self::from_millis)
    }
}
impl FromCell for RowId {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        i64::from_cell(cell).map(Self)
    }
}

macro_rules! from_text {
    ($($type:ty: $parse:path),+ $(,)?) => {
        $(impl FromCell for $type {
            fn from_cell(cell: Cell<'_>) -> Option<Self> {
                match cell {
                    Cell::Bytes(bytes) => std::str::from_utf8(bytes).ok().and_then($parse),
                    _ => None,
                }
            }
        })+
    };
}
from_text!(
    AccountId: AccountId::parse,
    FamilyId: FamilyId::parse,
    MemberId: MemberId::parse,
    Date: Date::parse,
    carebot_model::accounts::Role: carebot_model::accounts::Role::parse,
    carebot_model::accounts::Gender: carebot_model::accounts::Gender::parse,
    carebot_model::members::Position: carebot_model::members::Position::parse,
    carebot_model::authentication::SessionKind: carebot_model::authentication::SessionKind::parse,
    carebot_model::notifications::Grade: carebot_model::notifications::Grade::parse,
    carebot_model::news::Category: carebot_model::news::Category::parse,
    carebot_model::alarms::Severity: carebot_model::alarms::Severity::parse,
    carebot_model::alarms::Cause: carebot_model::alarms::Cause::parse,
    carebot_model::alarms::ClearReason: carebot_model::alarms::ClearReason::parse,
    carebot_model::alarms::Answer: carebot_model::alarms::Answer::parse,
    carebot_model::alarms::EntryKind: carebot_model::alarms::EntryKind::parse,
    carebot_model::alarms::EventKind: carebot_model::alarms::EventKind::parse,
    carebot_model::alarms::Channel: carebot_model::alarms::Channel::parse,
    carebot_model::alarms::Rule: carebot_model::alarms::Rule::parse,
    carebot_model::alarms::text::Language: carebot_model::alarms::text::Language::parse,
    carebot_model::images::Format: carebot_model::images::Format::parse,
);

impl<T: FromCell> FromCell for Option<T> {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Null => Some(None),
            cell => T::from_cell(cell).map(Some),
        }
    }
}

/// Reads the fields of a report from a row, column by column.
pub struct RowFields<'r, 'a> {
    row: &'r Row<'a>,
    next: usize,
}

impl RowFields<'_, '_> {
    fn take<T: FromCell>(&mut self) -> Result<T> {
        self.next += 1;
        self.row.get(self.next - 1)
    }
}

impl FieldSource for RowFields<'_, '_> {
    type Error = DbError;
    fn real(&mut self, _: &'static str) -> Result<Option<f64>> {
        self.take()
    }
    fn int(&mut self, _: &'static str) -> Result<Option<i32>> {
        self.take()
    }
    fn rounded(&mut self, _: &'static str) -> Result<Option<i32>> {
        self.take()
    }
    fn flag(&mut self, _: &'static str) -> Result<Option<bool>> {
        self.take()
    }
    fn short_text(&mut self, _: &'static str) -> Result<Option<String>> {
        self.take()
    }
    fn long_text(&mut self, _: &'static str) -> Result<Option<String>> {
        self.take()
    }
    fn time(&mut self, _: &'static str) -> Result<Option<Timestamp>> {
        self.take()
    }
    fn date(&mut self, _: &'static str) -> Result<Option<Date>> {
        self.take()
    }
}
