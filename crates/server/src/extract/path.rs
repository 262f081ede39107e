//! Numbers in the path of a request, and as elements of a list.

use carebot_model::RowId;
use serde_json::Value;

use super::item::Invalid;
use super::scalars;

/// The number of a row in the path; `name` is the parameter's.
///
/// A number that no row can have is held at the nearest that fits, so that it names nothing (404) rather than being a
/// fault of form.
pub fn row(name: &'static str, text: &str) -> Result<RowId, Invalid> {
    scalars::whole_from_text(text)
        .map(|number| RowId(held(number)))
        .map_err(|fault| Invalid::one(fault.at(&["path", name], text.into())))
}

/// The row that an element of a list names: a whole number, or one as text. `None` for everything else, which names no row.
pub fn row_of_element(element: &Value) -> Option<RowId> {
    match element {
        Value::Number(_) | Value::String(_) => scalars::int64(element).ok().map(RowId),
        _ => None,
    }
}

/// The nearest number that fits.
pub(super) fn held(number: i128) -> i64 {
    i64::try_from(number).unwrap_or(if number < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_is_a_whole_number() {
        for (text, number) in [("7", 7), ("007", 7), ("+5", 5), (" 5 ", 5), ("5.0", 5), ("1_000", 1000), ("-1", -1)] {
            assert_eq!(row("message_id", text), Ok(RowId(number)), "{text}");
        }
        assert_eq!(row("message_id", &"9".repeat(60)), Ok(RowId(i64::MAX)));
        assert_eq!(row("message_id", &format!("-{}", "9".repeat(60))), Ok(RowId(i64::MIN)));
        for text in ["", "abc", "1.5", "1e3", "0x1", "null"] {
            assert_eq!(
                json!(row("message_id", text).expect_err("refused")),
                json!({"detail": [{"type": "int_parsing", "loc": ["path", "message_id"], "input": text,
                    "msg": "Input should be a valid integer, unable to parse string as an integer"}]})
            );
        }
    }

    #[test]
    fn an_element_names_a_row_as_number_or_text() {
        for element in [json!(4), json!("4"), json!(4.0)] {
            assert_eq!(row_of_element(&element), Some(RowId(4)), "{element}");
        }
        for element in [json!(null), json!(1.5), json!({}), json!([4]), json!("x"), json!(true), json!(1e300)] {
            assert_eq!(row_of_element(&element), None, "{element}");
        }
    }
}
