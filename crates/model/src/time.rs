//! Points in time and calendar dates.

use std::borrow::Cow;
use std::fmt;

use jiff::civil;
use jiff::tz::Offset;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

/// A point in time: unix milliseconds, UTC.
///
/// On the wire it is the contract's naive second, rounded down (`2025-01-01T12:00:00`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest: 0001-01-01T00:00:00Z.
    pub const MIN: Self = Self(-62_135_596_800_000);
    /// The latest: 9999-12-30T22:00:00Z, the last second that every offset can still show.
    pub const MAX: Self = Self(253_402_207_200_000);

    /// From unix milliseconds; values beyond [`Timestamp::MIN`] and [`Timestamp::MAX`] are held there.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Unix milliseconds.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The start of this whole second.
    #[must_use]
    pub fn floor_second(self) -> Self {
        Self::from_millis(self.0.div_euclid(1000) * 1000)
    }

    /// The last millisecond of this whole second: a closed range that ends here covers the second.
    #[must_use]
    pub fn end_of_second(self) -> Self {
        Self::from_millis(self.0.div_euclid(1000) * 1000 + 999)
    }

    /// This time and `millis` more (or fewer, if negative).
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Self {
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this time; negative if it is later.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }

    /// The UTC calendar date and clock time.
    pub fn civil(self) -> civil::DateTime {
        let stamp = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        Offset::UTC.to_datetime(stamp)
    }

    /// The UTC calendar date.
    pub fn date(self) -> Date {
        Date(self.civil().date())
    }

    /// Writes `YYYY-MM-DDTHH:MM:SS` into a buffer of 19 bytes.
    pub fn write(self, buffer: &mut [u8; 19]) -> &str {
        let at = self.civil();
        let (year, month, day) = (at.year().unsigned_abs(), at.month().unsigned_abs(), at.day().unsigned_abs());
        *buffer = *b"0000-00-00T00:00:00";
        let mut two = |position: usize, value: u8| {
            buffer[position] = b'0' + value / 10;
            buffer[position + 1] = b'0' + value % 10;
        };
        two(0, u8::try_from(year / 100).unwrap_or(99));
        two(2, u8::try_from(year % 100).unwrap_or(99));
        two(5, month);
        two(8, day);
        two(11, at.hour().unsigned_abs());
        two(14, at.minute().unsigned_abs());
        two(17, at.second().unsigned_abs());
        std::str::from_utf8(buffer).unwrap_or_default()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.write(&mut [0; 19]))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} (+{} ms)", self.0.rem_euclid(1000))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.write(&mut [0; 19]))
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "UTC, without a zone, whole seconds",
            "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$",
            "examples": ["2025-01-01T12:00:00"]
        })
    }
}

/// A calendar date, years 1 to 9999; `1945-03-01` on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date(civil::Date);

impl Date {
    /// A date of the proleptic Gregorian calendar; `None` if there is no such day.
    pub fn new(year: i64, month: i64, day: i64) -> Option<Self> {
        let year = i16::try_from(year).ok().filter(|year| *year >= 1)?;
        civil::Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok().map(Self)
    }

    /// Reads `YYYY-MM-DD`, as it is stored.
    pub fn parse(text: &str) -> Option<Self> {
        let (year, rest) = text.split_once('-')?;
        let (month, day) = rest.split_once('-')?;
        if year.len() != 4 || month.len() != 2 || day.len() != 2 {
            return None;
        }
        Self::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
    }

    /// The calendar date as jiff knows it.
    pub const fn civil(self) -> civil::Date {
        self.0
    }
}

impl From<civil::Date> for Date {
    fn from(date: civil::Date) -> Self {
        Self(date)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.0.year(), self.0.month(), self.0.day())
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Date {
    fn schema_name() -> Cow<'static, str> {
        "Date".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date", "examples": ["1945-03-01"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_as_a_naive_second_rounded_down() {
        assert_eq!(Timestamp::from_millis(1_735_732_800_999).to_string(), "2025-01-01T12:00:00");
        assert_eq!(Timestamp::from_millis(-1).to_string(), "1969-12-31T23:59:59");
        assert_eq!(Timestamp::MIN.to_string(), "0001-01-01T00:00:00");
    }

    #[test]
    fn a_second_is_covered_from_its_first_to_its_last_millisecond() {
        let at = Timestamp::from_millis(1_500);
        assert_eq!((at.floor_second().millis(), at.end_of_second().millis()), (1_000, 1_999));
    }

    #[test]
    fn dates_are_read_as_stored_and_refused_when_there_is_no_such_day() {
        assert_eq!(Date::parse("1945-03-01").map(|date| date.to_string()).as_deref(), Some("1945-03-01"));
        for text in ["1945-02-30", "0000-01-01", "45-03-01", "1945-3-1", "", "가나다라-01-01"] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }
}
