//! What is reported about a family, one file per kind.
//!
//! # To add a kind
//! 1. Write its file here, with [`status_kind!`](crate::status_kind):
//!    ```
//!    carebot_model::status_kind! {
//!        /// What the pill box reports.
//!        Pills: name "pills", title "pills status", Title "Pills status", table "pills_status",
//!        reported true, thinned false, range ReportedAt, series [taken] {
//!            /// How many were taken.
//!            taken: i32 = int,
//!        }
//!    }
//!    ```
//! 2. Add a line to [`for_each_status_kind!`](crate::for_each_status_kind): routes, functions, tests and the document follow from it.
//!    Its numbers that are named in `series` can be read as a series of buckets.
//! 3. Add a migration that makes its table, beside the others in the database crate.

mod active;
mod health;
mod home;
mod mental;
mod mental_reports;
pub mod series;

pub use active::Active;
pub use health::Health;
pub use home::Home;
pub use mental::Mental;
pub use mental_reports::MentalReport;

use schemars::JsonSchema;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::{Date, FamilyId, RowId, Timestamp};

/// The one list of status kinds: calls `$apply!(Kind)` for each.
#[macro_export]
macro_rules! for_each_status_kind {
    ($apply:ident) => {
        $apply!(Home);
        $apply!(Health);
        $apply!(Active);
        $apply!(Mental);
        $apply!(MentalReport);
    };
}

/// A value on its way into a column.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldValue {
    /// A double.
    Real(Option<f64>),
    /// A whole number of 32 bits.
    Int(Option<i32>),
    /// Yes or no.
    Flag(Option<bool>),
    /// A text.
    Text(Option<String>),
    /// A point in time.
    Time(Option<Timestamp>),
    /// A calendar date.
    Date(Option<Date>),
}

/// Where the fields of a report come from: a row of the database or the body of a request.
///
/// The columns are asked for in the order of the kind's declaration.
pub trait FieldSource {
    /// What can go wrong.
    type Error;
    /// A finite double.
    fn real(&mut self, column: &'static str) -> Result<Option<f64>, Self::Error>;
    /// A whole number of 32 bits.
    fn int(&mut self, column: &'static str) -> Result<Option<i32>, Self::Error>;
    /// A number that is kept as a whole one of 32 bits, rounded half away from zero.
    fn rounded(&mut self, column: &'static str) -> Result<Option<i32>, Self::Error>;
    /// Yes or no.
    fn flag(&mut self, column: &'static str) -> Result<Option<bool>, Self::Error>;
    /// A text of at most 32 code points.
    fn short_text(&mut self, column: &'static str) -> Result<Option<String>, Self::Error>;
    /// A text of at most [`LONG_TEXT_BYTES`](crate::text::LONG_TEXT_BYTES) bytes.
    fn long_text(&mut self, column: &'static str) -> Result<Option<String>, Self::Error>;
    /// A point in time.
    fn time(&mut self, column: &'static str) -> Result<Option<Timestamp>, Self::Error>;
    /// A calendar date.
    fn date(&mut self, column: &'static str) -> Result<Option<Date>, Self::Error>;
}

/// Which times of a report a range is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeOn {
    /// `reported_at`.
    ReportedAt,
    /// `start_time` or `end_time`; sorted by `start_time`.
    Period,
}

/// The contract's sentences about a kind.
#[derive(Clone, Copy, Debug)]
pub struct Texts {
    /// After a creation.
    pub created: &'static str,
    /// After a retrieval.
    pub retrieved: &'static str,
    /// When there is none.
    pub none: &'static str,
    /// After a deletion.
    pub deleted: &'static str,
    /// When it could not be computed.
    pub not_created: &'static str,
}

/// A kind of report. Made by [`status_kind!`](crate::status_kind).
pub trait StatusKind: Clone + Send + Sync + Serialize + JsonSchema + std::fmt::Debug + PartialEq + 'static {
    /// The name in paths.
    const NAME: &'static str;
    /// The table.
    const TABLE: &'static str;
    /// The columns of its own, in order.
    const COLUMNS: &'static [&'static str];
    /// Whether a robot reports it (`POST`); the others are computed by the server.
    const REPORTED: bool;
    /// Whether a long range may be thinned out.
    const THINNED: bool;
    /// What a range is compared with.
    const RANGE: RangeOn;
    /// Those of its columns, all of numbers, that are summed up in series; empty if there is no series of it.
    const SERIES: &'static [&'static str];
    /// The contract's sentences.
    const TEXTS: Texts;

    /// Reads the fields from a source, in the order of [`StatusKind::COLUMNS`].
    fn read<S: FieldSource>(source: &mut S) -> Result<Self, S::Error>;
    /// The values, in the order of [`StatusKind::COLUMNS`].
    fn values(&self) -> Vec<FieldValue>;
    /// Writes the fields into a struct that is being serialised.
    fn serialize_fields<S: SerializeStruct>(&self, into: &mut S) -> Result<(), S::Error>;
}

/// Declares a status kind: its struct, constants and the reading and writing of its fields. Data only; what is done
/// with kinds is generic code over [`StatusKind`](crate::status::StatusKind).
#[macro_export]
macro_rules! status_kind {
    (
        $(#[$doc:meta])*
        $kind:ident: name $name:literal, title $title:literal, Title $capital:literal, table $table:literal,
        reported $reported:literal, thinned $thinned:literal, range $range:ident, series [$($number:ident),*] {
            $($(#[$fdoc:meta])* $field:ident: $type:ty = $read:ident),+ $(,)?
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, ::serde::Serialize, ::schemars::JsonSchema)]
        pub struct $kind { $($(#[$fdoc])* pub $field: Option<$type>),+ }

        impl $crate::status::StatusKind for $kind {
            const NAME: &'static str = $name;
            const TABLE: &'static str = $table;
            const COLUMNS: &'static [&'static str] = &[$(stringify!($field)),+];
            const REPORTED: bool = $reported;
            const THINNED: bool = $thinned;
            const RANGE: $crate::status::RangeOn = $crate::status::RangeOn::$range;
            const SERIES: &'static [&'static str] = &[$(stringify!($number)),*];
            const TEXTS: $crate::status::Texts = $crate::status::Texts {
                created: concat!($capital, " created successfully"),
                retrieved: concat!($capital, " retrieved successfully"),
                none: concat!("No ", $title, " found"),
                deleted: concat!($capital, " deleted successfully"),
                not_created: concat!("Failed to create ", $title),
            };

            fn read<S: $crate::status::FieldSource>(source: &mut S) -> ::std::result::Result<Self, S::Error> {
                Ok(Self { $($field: source.$read(stringify!($field))?),+ })
            }

            fn values(&self) -> Vec<$crate::status::FieldValue> {
                vec![$($crate::status::IntoField::field(&self.$field)),+]
            }

            fn serialize_fields<S: ::serde::ser::SerializeStruct>(&self, into: &mut S) -> ::std::result::Result<(), S::Error> {
                $(into.serialize_field(stringify!($field), &self.$field)?;)+
                Ok(())
            }
        }
    };
}

/// Turns a field into the value of its column.
pub trait IntoField {
    /// The value of the column.
    fn field(&self) -> FieldValue;
}

macro_rules! into_field {
    ($($type:ty => $variant:ident),+) => {
        $(impl IntoField for Option<$type> {
            fn field(&self) -> FieldValue {
                FieldValue::$variant(self.clone())
            }
        })+
    };
}
into_field!(f64 => Real, i32 => Int, bool => Flag, String => Text, Timestamp => Time, Date => Date);

/// A stored report.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
pub struct Report<K> {
    /// Its number.
    pub index: RowId,
    /// The family it is about.
    pub family_id: FamilyId,
    /// When it was sensed.
    pub reported_at: Timestamp,
    /// The fields of its kind.
    #[schemars(flatten)]
    pub fields: K,
}

impl<K: StatusKind> Serialize for Report<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_struct("Report", 3 + K::COLUMNS.len())?;
        row.serialize_field("index", &self.index)?;
        row.serialize_field("family_id", &self.family_id)?;
        row.serialize_field("reported_at", &self.reported_at)?;
        self.fields.serialize_fields(&mut row)?;
        row.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_one_flat_object_in_the_order_of_the_contract() {
        let report = Report {
            index: RowId(7),
            family_id: FamilyId::parse("F234567890123456").expect("an id"),
            reported_at: Timestamp::from_millis(1_735_732_800_500),
            fields: Home {
                temperature: Some(21.5),
                humidity: None,
                dust_level: Some(3.0),
                ethanol: None,
                others: Some("밖은 비".into()),
            },
        };
        assert_eq!(
            serde_json::to_string(&report).expect("JSON"),
            r#"{"index":7,"family_id":"F234567890123456","reported_at":"2025-01-01T12:00:00","temperature":21.5,"humidity":null,"dust_level":3.0,"ethanol":null,"others":"밖은 비"}"#
        );
    }

    #[test]
    fn every_kind_is_in_the_list_once() {
        let mut names = Vec::new();
        macro_rules! collect {
            ($kind:ident) => {
                names.push((<$kind as StatusKind>::NAME, <$kind as StatusKind>::TABLE));
            };
        }
        for_each_status_kind!(collect);
        assert_eq!(
            names,
            [
                ("home", "home_status"),
                ("health", "health_status"),
                ("active", "active_status"),
                ("mental", "mental_status"),
                ("mental-reports", "mental_reports"),
            ]
        );
    }
}
