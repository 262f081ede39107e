use proptest::prelude::*;
use serde_json::json;

use super::*;

const NOON: i64 = 1_735_732_800_000;

fn reason(fault: &Fault) -> Value {
    let item = json!(fault.clone().at(&[], Value::Null));
    json!([item["type"], item["ctx"]["error"]])
}

#[test]
fn times_are_read_in_every_form_of_the_contract() {
    for (text, millis) in [
        ("2025-01-01", NOON - 43_200_000),
        ("2025-01-01T12:00", NOON),
        ("2025-01-01T12:00:00", NOON),
        ("2025-01-01 12:00:00", NOON),
        ("2025-01-01t12:00:00", NOON),
        ("2025-01-01_12:00:00", NOON),
        ("2025-01-01T12:00:00Z", NOON),
        ("2025-01-01T12:00z", NOON),
        ("2025-01-01T12:00:00.5", NOON + 500),
        ("2025-01-01T12:00:00,123Z", NOON + 123),
        ("2025-01-01T12:00:00.123456789123Z", NOON + 123),
        ("2025-01-01T12:00:00.9999", NOON + 999),
        ("2025-01-01T21:00:00+09:00", NOON),
        ("2025-01-01T21:00+0900", NOON),
        ("2025-01-01T02:30:00-09:30", NOON),
        ("2025-01-01T02:30:00\u{2212}09:30", NOON),
        ("2025-01-02T11:59:00+23:59", NOON),
        ("2025-01-01T12:00:00-00:00", NOON),
        ("1969-12-31T23:59:59.9999", -1),
        ("0", 0),
        ("-1", -1000),
        ("+1", 1000),
        ("2025", 2_025_000),
        ("20250101", 20_250_101_000),
        ("-5.5", -5500),
        ("-0.5", -500),
        (".5", 500),
        ("1.", 1000),
        ("1735732800", NOON),
        ("1735732800.5", NOON + 500),
        ("1735732800.123456789", NOON + 123),
        ("1735732800000", NOON),
        ("1735732800123.9", NOON + 123),
        ("-1735732800000", -NOON),
        ("-1735732800000.5", -NOON - 1),
        ("20000000000", 20_000_000_000_000),
        ("20000000000.5", 20_000_000_000),
        ("20000000001", 20_000_000_001),
        ("-20000000000", -20_000_000_000_000),
        ("-20000000001", -20_000_000_001),
        ("-62135596800000", Timestamp::MIN.millis()),
        ("0001-01-01", Timestamp::MIN.millis()),
        ("0001-01-01T00:00:00+09:00", Timestamp::MIN.millis()),
        ("9999-12-31", Timestamp::MAX.millis()),
        ("9999-12-31T23:59:59-09:00", Timestamp::MAX.millis()),
        ("253402300799999", Timestamp::MAX.millis()),
    ] {
        assert_eq!(timestamp(text).map(Timestamp::millis), Ok(millis), "{text}");
    }
}

#[test]
fn what_is_no_time_has_the_reason_of_the_contract() {
    for (text, expected) in [
        ("", TOO_SHORT),
        ("nan", TOO_SHORT),
        ("1e9", TOO_SHORT),
        ("-", TOO_SHORT),
        ("--1", TOO_SHORT),
        ("1.5.5", TOO_SHORT),
        ("5_000", TOO_SHORT),
        ("１２", TOO_SHORT),
        ("2025-01", TOO_SHORT),
        ("2025-01-0", TOO_SHORT),
        ("2025-01-01T", EXTRA),
        ("2025-01-01T12", EXTRA),
        ("2025-01-01T12:0", EXTRA),
        ("2025-01-01T12:00:", EXTRA),
        ("2025-01-01X12:00:00", EXTRA),
        ("2025-01-01T24:00", EXTRA),
        ("2025-01-01T12:00:60", EXTRA),
        ("2025-01-01T12:00:00.", EXTRA),
        ("2025-01-01T12:00:00 Z", EXTRA),
        // An unescaped plus sign arrives as a blank.
        ("2025-01-01T12:00:00 09:00", EXTRA),
        ("2025-01-01T12:00:00+09", EXTRA),
        ("2025-01-01T12:00:00+24:00", EXTRA),
        ("2025-01-01T12:00:00+09:60", EXTRA),
        ("2025-01-01T12:00:00+09:00:00", EXTRA),
        ("2025-01-01Z", EXTRA),
        ("2025-13-01", "month value is outside expected range of 1-12"),
        ("0000-13-01", "month value is outside expected range of 1-12"),
        ("2025-00-01", "month value is outside expected range of 1-12"),
        ("2025-02-30", "day value is outside expected range"),
        ("2025-01-00", "day value is outside expected range"),
        ("2025-01-32", "day value is outside expected range"),
        ("x025-01-01", "invalid character in year"),
        (" 2025-01-01", "invalid character in year"),
        ("안녕하세요 여러분 잘", "invalid character in year"),
        ("2025/01/01", "invalid date separator, expected `-`"),
        ("20250101T120000", "invalid date separator, expected `-`"),
        ("9223372036854775808", "invalid date separator, expected `-`"),
        ("2025-x1-01", "invalid character in month"),
        ("2025-01-x1", "invalid character in day"),
        ("253402300800000", TOO_LATE),
        ("9223372036854775807", TOO_LATE),
        ("-99999999999999999", TOO_EARLY),
    ] {
        let fault = timestamp(text).expect_err(text);
        assert_eq!(reason(&fault), json!(["datetime_from_date_parsing", expected]), "{text}");
    }
    for text in ["0000-01-01", "0000-01-01T00:00:00", "-62135596800001"] {
        let fault = timestamp(text).expect_err(text);
        assert_eq!(reason(&fault), json!(["datetime_parsing", YEAR_ZERO]), "{text}");
    }
    assert_eq!(
        json!(timestamp("2025-01").expect_err("short").at(&["query", "start"], "2025-01".into())),
        json!({"type": "datetime_from_date_parsing", "loc": ["query", "start"],
            "msg": "Input should be a valid datetime or date, input is too short", "input": "2025-01",
            "ctx": {"error": "input is too short"}})
    );
}

#[test]
fn dates_are_read_also_from_times_at_midnight() {
    for (text, expected) in [
        ("2025-01-01", "2025-01-01"),
        ("2025-01-01T00:00", "2025-01-01"),
        ("2025-01-01 00:00:00.000", "2025-01-01"),
        ("2025-01-01T00:00:00Z", "2025-01-01"),
        ("2025-01-01T00:00:00+09:00", "2025-01-01"),
        ("0", "1970-01-01"),
        ("-86400", "1969-12-31"),
        ("86400.0", "1970-01-02"),
        ("1735689600", "2025-01-01"),
        ("1735689600000", "2025-01-01"),
        ("9999-12-31", "9999-12-31"),
        ("-62135596800000", "0001-01-01"),
    ] {
        assert_eq!(date(text).map(|date| date.to_string()), Ok(expected.to_owned()), "{text}");
    }
    for text in ["2025-01-01T12:00", "2025-01-01T00:00:00.000001", "1", "1735732800", "20250101"] {
        let fault = date(text).expect_err(text);
        assert_eq!(
            json!(fault.at(&["query", "when"], text.into())),
            json!({"type": "date_from_datetime_inexact", "loc": ["query", "when"], "input": text,
                "msg": "Datetimes provided to dates should have zero time - e.g. be exact dates"})
        );
    }
}

#[test]
fn what_is_no_date_has_the_reason_of_the_contract() {
    for (text, expected) in [
        ("", TOO_SHORT),
        ("2025-13-01", "month value is outside expected range of 1-12"),
        ("2025-02-30", "day value is outside expected range"),
        ("2025-01-01T", TOO_SHORT),
        ("2025-01-01T12:0", TOO_SHORT),
        ("2025-01-01T12:00:", "invalid character in second"),
        ("2025-01-01T1x:00", "invalid character in hour"),
        ("2025-01-01T12-00", "invalid time separator, expected `:`"),
        ("2025-01-01T12:0x", "invalid character in minute"),
        ("2025-01-01T25:99", "hour value is outside expected range of 0-23"),
        ("2025-01-01T12:60", "minute value is outside expected range of 0-59"),
        ("2025-01-01T12:00:60", "second value is outside expected range of 0-59"),
        ("2025-01-01T12:00:00.x", "second fraction digits missing after `.`"),
        ("2025-01-01T12:00:00abc", "invalid timezone sign"),
        ("2025-01-01T12:00:00가", "invalid timezone sign"),
        ("2025-01-01T12:00:00+9", "invalid timezone hour"),
        ("2025-01-01T12:00:00+09:", "invalid timezone minute"),
        ("2025-01-01T12:00:00+99:99", "timezone minute value is outside expected range of 0-59"),
        ("2025-01-01T12:00:00+24:00", "timezone offset must be less than 24 hours"),
        ("2025-01-01T12:00:00Zabc", EXTRA),
        ("2025-01-01abc", "invalid datetime separator, expected `T`, `t`, `_` or space"),
        ("253402300800000", TOO_LATE),
    ] {
        let fault = date(text).expect_err(text);
        assert_eq!(reason(&fault), json!(["date_from_datetime_parsing", expected]), "{text}");
    }
    assert_eq!(reason(&date("0000-01-01").expect_err("no such year")), json!(["date_parsing", YEAR_ZERO]));
}

#[test]
fn a_body_may_have_times_as_texts_or_numbers() {
    for value in [json!("2025-01-01T12:00:00Z"), json!(1_735_732_800), json!(1_735_732_800.0), json!("1735732800000")] {
        assert_eq!(timestamp_from(&value).map(Timestamp::millis), Ok(NOON), "{value}");
    }
    assert_eq!(timestamp_from(&json!(1.5)).map(Timestamp::millis), Ok(1500));
    assert_eq!(reason(&timestamp_from(&json!(1e300)).expect_err("far")), json!(["datetime_parsing", TOO_LATE]));
    assert_eq!(reason(&timestamp_from(&json!(-1e300)).expect_err("far")), json!(["datetime_parsing", TOO_EARLY]));
    assert_eq!(reason(&timestamp_from(&json!(true)).expect_err("no time")), json!(["datetime_type", null]));
    assert_eq!(date_from(&json!(86400)).map(|date| date.to_string()), Ok("1970-01-02".to_owned()));
    assert_eq!(reason(&date_from(&json!([])).expect_err("no date")), json!(["date_type", null]));
    assert_eq!(reason(&date_from(&json!(u64::MAX)).expect_err("far")), json!(["date_from_datetime_parsing", TOO_LATE]));
}

proptest! {
    #[test]
    fn a_shown_time_is_read_again(millis in Timestamp::MIN.millis()..Timestamp::MAX.millis(), minutes in -1439_i64..1440) {
        let at = Timestamp::from_millis(millis).floor_second();
        prop_assert_eq!(timestamp(&at.to_string()), Ok(at));
        prop_assert_eq!(timestamp(&format!("{at}Z")), Ok(at));
        let sign = if minutes < 0 { '-' } else { '+' };
        let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
        let shown = format!("{at}{sign}{hours:02}:{rest:02}");
        prop_assert_eq!(timestamp(&shown), Ok(at.plus_millis(-minutes * 60_000)));
        prop_assert_eq!(date(&at.date().to_string()), Ok(at.date()));
    }

    #[test]
    fn no_text_does_harm(text in r"\PC{0,40}|[0-9+.:TZ ,-]{0,30}|[0-9]{4}-[0-9]{2}-[0-9]{2}.[0-9:.+Z-]{0,20}|-?[0-9]{1,22}") {
        let _ = (timestamp(&text), date(&text));
    }
}
