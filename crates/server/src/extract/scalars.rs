//! What a JSON value or a text is taken for: the contract's lenient reading of numbers and booleans.
//!
//! Numbers are read from numeric texts and booleans, booleans from a list of words and from 0 and 1. Texts are read
//! from texts only.

use serde_json::{Number, Value, json};

use super::item::Fault;

const STRING: Fault = Fault::new("string_type", "Input should be a valid string");
const LIST: Fault = Fault::new("list_type", "Input should be a valid list");
const REAL: Fault = Fault::new("float_type", "Input should be a valid number");
const REAL_TEXT: Fault =
    Fault::new("float_parsing", "Input should be a valid number, unable to parse string as a number");
const FINITE: Fault = Fault::new("finite_number", "Input should be a finite number");
const WHOLE: Fault = Fault::new("int_type", "Input should be a valid integer");
const WHOLE_TEXT: Fault =
    Fault::new("int_parsing", "Input should be a valid integer, unable to parse string as an integer");
const FRACTION: Fault =
    Fault::new("int_from_float", "Input should be a valid integer, got a number with a fractional part");
const FLAG: Fault = Fault::new("bool_type", "Input should be a valid boolean");
const FLAG_TEXT: Fault = Fault::new("bool_parsing", "Input should be a valid boolean, unable to interpret input");

/// A text; nothing else is taken for one.
pub fn text(value: &Value) -> Result<String, Fault> {
    value.as_str().map(str::to_owned).ok_or(STRING)
}

/// A list, whatever its elements are.
pub fn list(value: &Value) -> Result<Vec<Value>, Fault> {
    value.as_array().cloned().ok_or(LIST)
}

/// A finite double, from a number, a numeric text or a boolean.
pub fn real(value: &Value) -> Result<f64, Fault> {
    let number = match value {
        Value::Number(number) => number.as_f64().ok_or(REAL)?,
        Value::Bool(flag) => f64::from(u8::from(*flag)),
        Value::String(text) => real_from_text(text)?,
        _ => return Err(REAL),
    };
    if number.is_finite() { Ok(number) } else { Err(FINITE) }
}

/// A double from a text as `1.5`, `+.5`, `1e5`, `1_000`, with blanks around it; also `inf` and `nan`.
fn real_from_text(text: &str) -> Result<f64, Fault> {
    without_underscores(text.trim()).and_then(|digits| digits.parse().ok()).ok_or(REAL_TEXT)
}

/// A whole number of `LOW..=HIGH`, from a number without a fraction, a text of digits or a boolean.
fn whole_within(value: &Value, low: i64, high: i64) -> Result<i64, Fault> {
    within(whole(value)?, low, high)
}

/// A whole number of 32 bits.
pub fn int32(value: &Value) -> Result<i32, Fault> {
    let number = whole_within(value, i32::MIN.into(), i32::MAX.into())?;
    i32::try_from(number).map_err(|_| WHOLE)
}

/// A whole number of 64 bits.
pub fn int64(value: &Value) -> Result<i64, Fault> {
    whole_within(value, i64::MIN, i64::MAX)
}

/// A number that is kept as a whole one of 32 bits: rounded, half away from zero.
pub fn rounded(value: &Value) -> Result<i32, Fault> {
    let number = within(saturate(real(value)?.round()), i32::MIN.into(), i32::MAX.into())?;
    i32::try_from(number).map_err(|_| WHOLE)
}

fn within(number: i128, low: i64, high: i64) -> Result<i64, Fault> {
    if number > i128::from(high) {
        let msg = format!("Input should be less than or equal to {high}");
        return Err(Fault::with("less_than_equal", msg, json!({ "le": high })));
    }
    match i64::try_from(number) {
        Ok(number) if number >= low => Ok(number),
        _ => {
            let msg = format!("Input should be greater than or equal to {low}");
            Err(Fault::with("greater_than_equal", msg, json!({ "ge": low })))
        }
    }
}

/// A whole number; beyond 128 bits it is held at the nearest that fits.
fn whole(value: &Value) -> Result<i128, Fault> {
    match value {
        Value::Number(number) => whole_from_number(number),
        Value::Bool(flag) => Ok((*flag).into()),
        Value::String(text) => whole_from_text(text),
        _ => Err(WHOLE),
    }
}

fn whole_from_number(number: &Number) -> Result<i128, Fault> {
    if let Some(number) = number.as_i128() {
        return Ok(number);
    }
    let real = number.as_f64().ok_or(WHOLE)?;
    if real.fract() == 0.0 { Ok(saturate(real)) } else { Err(FRACTION) }
}

#[expect(clippy::cast_possible_truncation, reason = "the number has no fraction, and a cast of a larger one saturates")]
fn saturate(whole: f64) -> i128 {
    whole as i128
}

/// A whole number from a text as `12`, `+5`, `007`, `1_000`, `5.00`, with blanks around it; beyond 128 bits it is held at
/// the nearest that fits.
pub fn whole_from_text(text: &str) -> Result<i128, Fault> {
    let text = text.trim();
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let digits = match digits.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') => whole,
        Some(_) => return Err(WHOLE_TEXT),
        None => digits,
    };
    let digits = without_underscores(digits).ok_or(WHOLE_TEXT)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(WHOLE_TEXT);
    }
    // Digits alone fail to parse only when there are too many of them.
    let size = digits.parse().unwrap_or(i128::MAX);
    Ok(if negative { -size } else { size })
}

/// The text without single underscores between its characters; `None` if one stands elsewhere.
fn without_underscores(text: &str) -> Option<String> {
    if text.starts_with('_') || text.ends_with('_') || text.contains("__") {
        return None;
    }
    Some(text.replace('_', ""))
}

/// A boolean: itself, 0 or 1, or a word as `yes`, `off`, `T` in any letter case.
pub fn flag(value: &Value) -> Result<bool, Fault> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) => flag_from_text(text),
        Value::Number(number) => match number.as_f64() {
            Some(0.0) => Ok(false),
            Some(1.0) => Ok(true),
            // A number that is no small whole one is not even a candidate.
            Some(other) if other.fract() == 0.0 && other.abs() < 9.2e18 => Err(FLAG_TEXT),
            _ => Err(FLAG),
        },
        _ => Err(FLAG),
    }
}

/// The words that mean yes, each followed by the one that means no.
const WORDS: [(&str, &str); 6] = [("true", "false"), ("on", "off"), ("yes", "no"), ("t", "f"), ("y", "n"), ("1", "0")];

fn flag_from_text(text: &str) -> Result<bool, Fault> {
    for (yes, no) in WORDS {
        if text.eq_ignore_ascii_case(yes) {
            return Ok(true);
        }
        if text.eq_ignore_ascii_case(no) {
            return Ok(false);
        }
    }
    Err(FLAG_TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_read_from_the_forms_the_contract_takes() {
        for (value, expected) in [
            (json!(12), 12),
            (json!(-0.0), 0),
            (json!(2.0), 2),
            (json!(1e3), 1000),
            (json!(true), 1),
            (json!(false), 0),
            (json!("12"), 12),
            (json!("+5"), 5),
            (json!("007"), 7),
            (json!(" 5 \n"), 5),
            (json!("\u{a0}5"), 5),
            (json!("-0"), 0),
            (json!("-5.00"), -5),
            (json!("1_000"), 1000),
            (json!("1_0.0"), 10),
            (json!("2147483647"), i32::MAX),
            (json!(-2_147_483_648.0), i32::MIN),
        ] {
            assert_eq!(int32(&value), Ok(expected), "{value}");
        }
        for text in [
            "", "  ", "a", "5.5", "5.", ".0", "1e3", "_1", "1_", "1__0", "--5", "+-5", "- 5", "0x10", "٣", "５",
            "5.0_0", "5.0.0", "True", "\u{1c}5", "+", "-", "+_5",
        ] {
            assert_eq!(int32(&json!(text)), Err(WHOLE_TEXT), "{text}");
        }
        assert_eq!(int32(&json!(1.5)), Err(FRACTION));
        assert_eq!(int32(&json!([])), Err(WHOLE));
        assert_eq!(int32(&json!({})), Err(WHOLE));
    }

    #[test]
    fn whole_numbers_have_bounds() {
        let digits = "9".repeat(5000);
        for value in [json!(2_147_483_648_i64), json!(1e300), json!(digits), json!(u64::MAX)] {
            let fault = int32(&value).expect_err("too large");
            let expected = "Input should be less than or equal to 2147483647";
            assert_eq!(fault, Fault::with("less_than_equal", expected, json!({"le": 2_147_483_647})));
        }
        for value in [json!(-2_147_483_649_i64), json!(-1e300), json!(format!("-{digits}"))] {
            let fault = int32(&value).expect_err("too small");
            let expected = "Input should be greater than or equal to -2147483648";
            assert_eq!(fault, Fault::with("greater_than_equal", expected, json!({"ge": -2_147_483_648_i64})));
        }
        assert_eq!(int64(&json!(i64::MAX)), Ok(i64::MAX));
        assert_eq!(int64(&json!("-9223372036854775808")), Ok(i64::MIN));
        assert!(int64(&json!(u64::MAX)).is_err());
    }

    #[test]
    fn doubles_are_read_from_numbers_texts_and_booleans() {
        for (value, expected) in [
            (json!(1), 1.0),
            (json!(u64::MAX), 18_446_744_073_709_551_615.0),
            (json!(1.25), 1.25),
            (json!(true), 1.0),
            (json!("1.5"), 1.5),
            (json!(" 1.5 "), 1.5),
            (json!("1E5"), 100_000.0),
            (json!("+1"), 1.0),
            (json!(".5"), 0.5),
            (json!("5."), 5.0),
            (json!("1_000.5"), 1000.5),
        ] {
            assert_eq!(real(&value), Ok(expected), "{value}");
        }
        for text in ["", "abc", "0x10", "1__0", "_1", "1_", "１", ".", "e5", "1e", "1 2"] {
            assert_eq!(real(&json!(text)), Err(REAL_TEXT), "{text}");
        }
        for text in ["inf", "-Infinity", "nan", "NaN", "1e400"] {
            assert_eq!(real(&json!(text)), Err(FINITE), "{text}");
        }
        assert_eq!(real(&json!([1])), Err(REAL));
    }

    #[test]
    fn rounding_goes_away_from_zero() {
        for (value, expected) in [(72.5, 73), (72.4, 72), (-72.5, -73), (0.5, 1), (2_147_483_647.4, i32::MAX)] {
            assert_eq!(rounded(&json!(value)), Ok(expected), "{value}");
        }
        assert_eq!(rounded(&json!("72.6")), Ok(73));
        assert_eq!(
            rounded(&json!(2_147_483_647.5)).expect_err("too large"),
            int32(&json!(1e10)).expect_err("too large")
        );
        assert!(rounded(&json!(-1e300)).is_err());
    }

    #[test]
    fn booleans_are_read_from_words_and_from_0_and_1() {
        for (yes, no) in WORDS {
            for (word, expected) in [(yes, true), (no, false)] {
                assert_eq!(flag(&json!(word)), Ok(expected));
                assert_eq!(flag(&json!(word.to_uppercase())), Ok(expected));
            }
        }
        for (value, expected) in
            [(json!(true), true), (json!(1), true), (json!(0), false), (json!(1.0), true), (json!(-0.0), false)]
        {
            assert_eq!(flag(&value), Ok(expected), "{value}");
        }
        for value in [json!("2"), json!(""), json!(" true "), json!("1.0"), json!(2), json!(-1), json!(2.0)] {
            assert_eq!(flag(&value), Err(FLAG_TEXT), "{value}");
        }
        for value in [json!(0.5), json!(1e30), json!([]), json!({})] {
            assert_eq!(flag(&value), Err(FLAG), "{value}");
        }
    }

    #[test]
    fn texts_and_lists_are_taken_as_they_are() {
        assert_eq!(text(&json!("할머니")), Ok("할머니".to_owned()));
        for value in [json!(1), json!(true), json!([]), json!({})] {
            assert_eq!(text(&value), Err(STRING), "{value}");
        }
        assert_eq!(list(&json!([1, "4", null, {}])), Ok(vec![json!(1), json!("4"), json!(null), json!({})]));
        for value in [json!(1), json!("[]"), json!({})] {
            assert_eq!(list(&value), Err(LIST), "{value}");
        }
    }
}
