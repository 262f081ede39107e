//! Points in time and dates as the contract takes them: ISO 8601 or a Unix number.
//!
//! `2025-01-01`, `2025-01-01T12:00`, `2025-01-01 12:00:00.5Z`, `2025-01-01T21:00:00+09:00`, `1735732800` (seconds),
//! `1735732800000` (milliseconds). An offset is applied; without one the time is UTC.

use std::borrow::Cow;

use carebot_model::{Date, Timestamp};
use jiff::civil;
use jiff::tz::Offset;
use schemars::{Schema, json_schema};
use serde_json::{Number, Value};

use super::item::Fault;

/// Beyond this (either way) a Unix number is milliseconds, up to it seconds: 2603-10-11 in seconds.
const WATERSHED: u64 = 20_000_000_000;
/// 9999-12-31T23:59:59Z in seconds.
const LATEST: i64 = 253_402_300_799;
/// 0000-01-01T00:00:00Z in seconds.
const EARLIEST: i64 = -62_167_219_200;

const TOO_SHORT: &str = "input is too short";
const EXTRA: &str = "unexpected extra characters at the end of the input";
const YEAR_ZERO: &str = "year 0 is out of range";
const TOO_LATE: &str = "dates after 9999 are not supported as unix timestamps";
const TOO_EARLY: &str = "dates before 0000 are not supported as unix timestamps";

/// Why a text is no time, in the contract's words.
type Reason = &'static str;

/// A date and a clock time, and how far its clock is ahead of UTC in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moment {
    civil: civil::DateTime,
    offset: i64,
}

impl Moment {
    fn timestamp(self) -> Timestamp {
        // Only the last two hours of the year 9999 are beyond; `Timestamp` is held at its end as well. From microseconds,
        // because the library's milliseconds are cut towards 1970 and these are rounded down.
        let utc = Offset::UTC
            .to_timestamp(self.civil)
            .map_or(Timestamp::MAX.millis(), |stamp| stamp.as_microsecond().div_euclid(1000));
        Timestamp::from_millis(utc - self.offset * 1000)
    }
}

/// A point in time from a text.
pub fn timestamp(text: &str) -> Result<Timestamp, Fault> {
    let moment = match (iso(text), number(text)) {
        (Ok(moment), _) => Ok(moment),
        (Err(_), Some(number)) => unix(number),
        (Err(_), None) => Err(why_no_date(text)),
    };
    let moment = moment
        .map_err(|reason| because("datetime_from_date_parsing", "Input should be a valid datetime or date", reason))?;
    not_year_zero(moment).map(Moment::timestamp)
}

/// A point in time from a JSON value: a text or a Unix number.
pub fn timestamp_from(value: &Value) -> Result<Timestamp, Fault> {
    match value {
        Value::String(text) => timestamp(text),
        Value::Number(number) => {
            let moment = unix(split(number))
                .map_err(|reason| because("datetime_parsing", "Input should be a valid datetime", reason))?;
            not_year_zero(moment).map(Moment::timestamp)
        }
        _ => Err(Fault::new("datetime_type", "Input should be a valid datetime")),
    }
}

/// A calendar date from a text: a date, or a time at midnight (its offset does not matter).
pub fn date(text: &str) -> Result<Date, Fault> {
    exact_date(iso(text).or_else(|reason| number(text).map_or(Err(reason), unix)))
}

/// A calendar date from a JSON value: a text, or a Unix number at midnight.
pub fn date_from(value: &Value) -> Result<Date, Fault> {
    match value {
        Value::String(text) => date(text),
        Value::Number(number) => exact_date(unix(split(number))),
        _ => Err(Fault::new("date_type", "Input should be a valid date")),
    }
}

fn not_year_zero(moment: Moment) -> Result<Moment, Fault> {
    if moment.civil.year() >= 1 {
        Ok(moment)
    } else {
        Err(because("datetime_parsing", "Input should be a valid datetime", YEAR_ZERO))
    }
}

fn exact_date(moment: Result<Moment, Reason>) -> Result<Date, Fault> {
    let civil = moment
        .map_err(|reason| because("date_from_datetime_parsing", "Input should be a valid date or datetime", reason))?
        .civil;
    let date = Date::new(civil.year().into(), civil.month().into(), civil.day().into())
        .ok_or_else(|| because("date_parsing", "Input should be a valid date in the format YYYY-MM-DD", YEAR_ZERO))?;
    if civil.time() == civil::Time::midnight() {
        Ok(date)
    } else {
        Err(Fault::new(
            "date_from_datetime_inexact",
            "Datetimes provided to dates should have zero time - e.g. be exact dates",
        ))
    }
}

fn because(kind: &'static str, sentence: &str, reason: Reason) -> Fault {
    let msg: Cow<'static, str> = format!("{sentence}, {reason}").into();
    Fault::because(kind, msg, reason)
}

/// Why a text that is no time is no date either: that is the reason the contract gives for a time.
fn why_no_date(text: &str) -> Reason {
    match Reader::new(text).date() {
        Err(reason) => reason,
        Ok(_) => EXTRA,
    }
}

/// A number of seconds or milliseconds since 1970 as its whole part and millionths of the same sign: `1735732800`,
/// `-5.5`, `.5`.
///
/// `None` if the text is no plain decimal number or its whole part has more than 64 bits.
fn number(text: &str) -> Option<(i64, i64)> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let whole = if whole.is_empty() { 0 } else { whole.parse::<i64>().ok()? };
    Some((sign * whole, sign * millionths(fraction.as_bytes())))
}

/// The first six digits of a fraction as millionths; the others are dropped.
fn millionths(digits: &[u8]) -> i64 {
    (0..6).fold(0, |sum, index| sum * 10 + digits.get(index).map_or(0, |digit| i64::from(digit - b'0')))
}

/// The whole part of a JSON number and its millionths, both held at 64 bits.
fn split(number: &Number) -> (i64, i64) {
    if let Some(whole) = number.as_i64() {
        return (whole, 0);
    }
    let real = number.as_f64().unwrap_or(f64::MAX);
    #[expect(clippy::cast_possible_truncation, reason = "the parts are whole, and a cast of a larger one saturates")]
    let parts = (real.trunc() as i64, (real.fract() * 1e6).trunc() as i64);
    parts
}

/// The moment of a Unix number, given as its whole part and millionths of the same sign; rounded down to milliseconds.
fn unix((whole, millionths): (i64, i64)) -> Result<Moment, Reason> {
    let size = whole.unsigned_abs();
    let is_millis = size > WATERSHED || (size == WATERSHED && millionths != 0);
    let millis = if is_millis {
        whole.saturating_add(millionths.div_euclid(1_000_000))
    } else {
        whole * 1000 + millionths.div_euclid(1000)
    };
    match millis.div_euclid(1000) {
        ..EARLIEST => Err(TOO_EARLY),
        EARLIEST..=LATEST => {
            // The last two hours of the year 9999 have no timestamp; `Timestamp` is held at its end as well.
            let civil = jiff::Timestamp::from_millisecond(millis)
                .map_or(Timestamp::MAX.civil(), |stamp| Offset::UTC.to_datetime(stamp));
            Ok(Moment { civil, offset: 0 })
        }
        _ => Err(TOO_LATE),
    }
}

/// A date, with or without a time of day and an offset, and nothing after it.
fn iso(text: &str) -> Result<Moment, Reason> {
    let mut reader = Reader::new(text);
    let date = reader.date()?;
    let Some(separator) = reader.next() else {
        return Ok(Moment { civil: date.at(0, 0, 0, 0), offset: 0 });
    };
    if !matches!(separator, b'T' | b't' | b'_' | b' ') {
        return Err("invalid datetime separator, expected `T`, `t`, `_` or space");
    }
    let time = reader.time()?;
    let offset = reader.offset()?;
    if reader.rest.is_empty() { Ok(Moment { civil: date.to_datetime(time), offset }) } else { Err(EXTRA) }
}

/// Reads a text piece by piece.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    const fn new(text: &'a str) -> Self {
        Self { rest: text.as_bytes() }
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn take(&mut self, expected: u8, reason: Reason) -> Result<(), Reason> {
        if self.next() == Some(expected) { Ok(()) } else { Err(reason) }
    }

    /// A number of exactly `count` digits.
    fn digits(&mut self, count: usize, reason: Reason) -> Result<i16, Reason> {
        let mut number = 0;
        for _ in 0..count {
            let digit = self.next().filter(u8::is_ascii_digit).ok_or(reason)?;
            number = number * 10 + i16::from(digit - b'0');
        }
        Ok(number)
    }

    /// A number of two digits.
    fn two(&mut self, reason: Reason) -> Result<i8, Reason> {
        // Two digits are at most 99.
        self.digits(2, reason).and_then(|number| i8::try_from(number).map_err(|_| reason))
    }

    fn date(&mut self) -> Result<civil::Date, Reason> {
        const SEPARATOR: Reason = "invalid date separator, expected `-`";
        if self.rest.len() < 10 {
            return Err(TOO_SHORT);
        }
        let year = self.digits(4, "invalid character in year")?;
        self.take(b'-', SEPARATOR)?;
        let month = self.two("invalid character in month")?;
        self.take(b'-', SEPARATOR)?;
        let day = self.two("invalid character in day")?;
        if !(1..=12).contains(&month) {
            return Err("month value is outside expected range of 1-12");
        }
        civil::Date::new(year, month, day).map_err(|_| "day value is outside expected range")
    }

    fn time(&mut self) -> Result<civil::Time, Reason> {
        if self.rest.len() < 5 {
            return Err(TOO_SHORT);
        }
        let hour = self.two("invalid character in hour")?;
        self.take(b':', "invalid time separator, expected `:`")?;
        let minute = self.two("invalid character in minute")?;
        if hour > 23 {
            return Err("hour value is outside expected range of 0-23");
        }
        if minute > 59 {
            return Err("minute value is outside expected range of 0-59");
        }
        let (mut second, mut nanos) = (0, 0);
        if let Some((b':', rest)) = self.rest.split_first() {
            self.rest = rest;
            second = self.two("invalid character in second")?;
            if second > 59 {
                return Err("second value is outside expected range of 0-59");
            }
            if let Some((b'.' | b',', rest)) = self.rest.split_first() {
                let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                if length == 0 {
                    return Err("second fraction digits missing after `.`");
                }
                nanos = millionths(&rest[..length]) * 1000;
                self.rest = &rest[length..];
            }
        }
        let nanos = i32::try_from(nanos).map_err(|_| EXTRA)?;
        civil::Time::new(hour, minute, second, nanos).map_err(|_| EXTRA)
    }

    /// How far the clock is ahead of UTC, in seconds; 0 if nothing is said.
    fn offset(&mut self) -> Result<i64, Reason> {
        const MINUS_SIGN: &[u8] = "\u{2212}".as_bytes();
        let sign = match self.rest.first() {
            None => return Ok(0),
            Some(b'Z' | b'z') => {
                self.next();
                return Ok(0);
            }
            Some(b'+') => 1,
            Some(b'-') => -1,
            Some(_) if self.rest.starts_with(MINUS_SIGN) => {
                self.rest = &self.rest[MINUS_SIGN.len() - 1..];
                -1
            }
            Some(_) => return Err("invalid timezone sign"),
        };
        self.next();
        let hours = self.two("invalid timezone hour")?;
        if self.rest.first() == Some(&b':') {
            self.next();
        }
        let minutes = self.two("invalid timezone minute")?;
        if minutes > 59 {
            return Err("timezone minute value is outside expected range of 0-59");
        }
        if hours > 23 {
            return Err("timezone offset must be less than 24 hours");
        }
        Ok(sign * (i64::from(hours) * 3600 + i64::from(minutes) * 60))
    }
}

/// What a query takes for a point in time.
pub fn timestamp_schema() -> Schema {
    json_schema!({
        "type": "string",
        "description": "A date, a date and time (UTC unless it has an offset), or a Unix number in seconds or milliseconds.",
        "pattern": concat!(
            r"^([0-9]{4}-[0-9]{2}-[0-9]{2}([Tt_ ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?([Zz]|[+\u2212-][0-9]{2}:?[0-9]{2})?)?",
            r"|[+-]?([0-9]+\.?[0-9]*|\.[0-9]+))$"
        ),
        "examples": ["2025-01-01", "2025-01-01T12:00:00Z", "2025-01-01T21:00:00+09:00", "1735732800"]
    })
}

/// What a query takes for a date.
pub fn date_schema() -> Schema {
    let mut schema = timestamp_schema();
    schema.insert("description".to_owned(), "A date; a time of day has to be midnight.".into());
    schema.insert("examples".to_owned(), serde_json::json!(["2025-01-01"]));
    schema
}

#[cfg(test)]
#[path = "datetime_tests.rs"]
mod tests;
