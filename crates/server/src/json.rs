//! JSON as the contract has it: no spaces, non-ASCII not escaped, doubles in the contract's shortest form.

use std::io;

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{CompactFormatter, Formatter};

/// Compact JSON whose doubles read `51.0`, `1e-05`, `10000000000.0`, `1e+16`; negative zero is `0.0`.
struct Wire;

impl Formatter for Wire {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        let size = value.abs();
        if size == 0.0 {
            writer.write_all(b"0.0")
        } else if (1e-4..1e16).contains(&size) {
            // Here the plain notation is the shortest, and the library writes it as the contract does.
            CompactFormatter.write_f64(writer, value)
        } else {
            write_with_exponent(writer, value)
        }
    }
}

/// Writes mantissa, `e`, a sign that is always there and an exponent of at least two digits.
///
/// The digits are the library's and not those of the standard library: where two shortest forms are equally near, the
/// library takes the even one, as the contract does.
fn write_with_exponent<W: ?Sized + io::Write>(writer: &mut W, value: f64) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(32);
    CompactFormatter.write_f64(&mut bytes, value)?;
    let text = String::from_utf8_lossy(&bytes);
    let (sign, size) = text.strip_prefix('-').map_or(("", &*text), |size| ("-", size));
    let Some((mantissa, exponent)) = size.split_once('e') else {
        return write_small(writer, sign, size);
    };
    let direction = if exponent.starts_with('-') { '-' } else { '+' };
    let digits = exponent.trim_start_matches(['-', '+']);
    write!(writer, "{sign}{mantissa}e{direction}{digits:0>2}")
}

/// Writes `0.0000123`, which the contract wants as `1.23e-05`.
fn write_small<W: ?Sized + io::Write>(writer: &mut W, sign: &str, size: &str) -> io::Result<()> {
    let digits = size.trim_start_matches(['0', '.']);
    let exponent = size.len() - "0.".len() - digits.len() + 1;
    let (first, rest) = digits.split_at(digits.len().min(1));
    let point = if rest.is_empty() { "" } else { "." };
    write!(writer, "{sign}{first}{point}{rest}e-{exponent:0>2}")
}

/// Appends the JSON of `value`.
///
/// # Panics
/// If a map in `value` has a key that is neither text nor a number; no type of this program has one.
pub fn write<T: Serialize + ?Sized>(into: &mut Vec<u8>, value: &T) {
    value
        .serialize(&mut Serializer::with_formatter(into, Wire))
        .expect("writing JSON to memory fails only for a map whose keys are not text");
}

/// The JSON of `value`.
///
/// # Panics
/// As [`write()`].
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    write(&mut bytes, value);
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn text<T: Serialize>(value: &T) -> String {
        String::from_utf8(to_vec(value)).expect("JSON is UTF-8")
    }

    #[test]
    fn doubles_are_written_as_the_contract_has_them() {
        for (value, expected) in [
            (51.0, "51.0"),
            (-51.5, "-51.5"),
            (0.0, "0.0"),
            (-0.0, "0.0"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.000_123, "0.000123"),
            (0.000_099_9, "9.99e-05"),
            (1e-5, "1e-05"),
            (1.234e-5, "1.234e-05"),
            (-9.9e-5, "-9.9e-05"),
            (-1.5e-7, "-1.5e-07"),
            (5e-324, "5e-324"),
            (1e-100, "1e-100"),
            (1e10, "10000000000.0"),
            (123_457.0, "123457.0"),
            (12.345_678_9, "12.3456789"),
            (1e15, "1000000000000000.0"),
            // Two shortest forms are equally near: the even one.
            (3_765_002_079_056_625.0 / 4.0, "941250519764156.2"),
            (9_007_199_254_740_993.0, "9007199254740992.0"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            (1e16, "1e+16"),
            (1e22, "1e+22"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (f64::MAX, "1.7976931348623157e+308"),
        ] {
            assert_eq!(text(&value), expected);
        }
        assert_eq!(text(&f64::NAN), "null");
    }

    #[test]
    fn text_is_not_escaped_more_than_it_must_be() {
        assert_eq!(
            text(&json!({"말": "할머니 👵🏻", "q": "\"\\\n\u{1}", "n": null, "x": [1, 2.0, true]})),
            r#"{"말":"할머니 👵🏻","q":"\"\\\n\u0001","n":null,"x":[1,2.0,true]}"#
        );
        let mut bytes = b"[".to_vec();
        write(&mut bytes, &1.0);
        assert_eq!(bytes, b"[1.0");
    }

    proptest! {
        #[test]
        fn a_double_comes_back_as_it_was(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let written = text(&value);
            // Negative zero comes back as zero.
            let same = if value == 0.0 { 0 } else { bits };
            prop_assert_eq!(written.parse::<f64>().expect("a number").to_bits(), same);
            prop_assert_eq!(serde_json::from_str::<f64>(&written).expect("JSON").to_bits(), same);
            prop_assert!(written.contains(['.', 'e']));
        }

        #[test]
        fn every_day_sizes_have_no_exponent(value in prop_oneof![-1e15..1e15, -1.0..1.0]) {
            prop_assume!(f64::abs(value) >= 1e-4);
            let written = text(&value);
            prop_assert!(!written.contains('e') && written.contains('.'), "{}", written);
            prop_assert_eq!(written.parse::<f64>().expect("a number").to_bits(), value.to_bits());
        }
    }
}
