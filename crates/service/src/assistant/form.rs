//! What a model's answers have in common: bounded texts and scores.

use serde_json::{Value, json};

/// The fault of an answer, told to the model so that it can repair it. It quotes nothing.
pub type Fault = String;

/// A text of the model: trimmed, of 1 to `most` characters, without control characters. Quotation marks become curly: the
/// existing web page turns every straight one into another kind and then fails to read the whole list.
pub fn text(name: &str, text: &str, most: usize) -> Result<String, Fault> {
    let clean: String = text
        .trim()
        .chars()
        .map(|character| match character {
            '\'' => '’',
            '"' => '”',
            '\n' | '\r' | '\t' => ' ',
            other => other,
        })
        .filter(|character| !character.is_control())
        .collect();
    match clean.chars().count() {
        0 => Err(format!("{name} is empty")),
        length if length > most => Err(format!("{name} is longer than {most} characters")),
        _ => Ok(clean),
    }
}

/// Several of them.
pub fn texts(
    name: &str,
    list: &[String],
    (fewest, longest): (usize, usize),
    most: usize,
) -> Result<Vec<String>, Fault> {
    if !(fewest..=longest).contains(&list.len()) {
        return Err(format!("{name} must have {fewest} to {longest} entries"));
    }
    list.iter().map(|entry| text(name, entry, most)).collect()
}

/// A score from 0 to 100.
pub fn score(name: &str, value: i64) -> Result<i32, Fault> {
    i32::try_from(value)
        .ok()
        .filter(|value| (0..=100).contains(value))
        .ok_or_else(|| format!("{name} must be a whole number from 0 to 100"))
}

/// The schema of an object, all of whose properties are required and no others allowed.
pub fn object(properties: &Value) -> Value {
    let required: Vec<String> = properties.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// The schema of a text.
pub fn string() -> Value {
    json!({"type": "string"})
}

/// The schema of a whole number.
pub fn integer() -> Value {
    json!({"type": "integer"})
}

/// The schema of a list.
pub fn list(of: &Value) -> Value {
    json!({"type": "array", "items": of})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_bounded_and_hold_nothing_that_breaks_the_page() {
        assert_eq!(text("x", " 좋다'고 \"웃음\"\n ", 20).as_deref(), Ok("좋다’고 ”웃음”"));
        assert!(text("x", " \u{0} ", 20).is_err());
        assert!(text("x", &"가".repeat(21), 20).is_err());
        assert_eq!((score("x", 0), score("x", 100)), (Ok(0), Ok(100)));
        assert!(score("x", 101).is_err() && score("x", -1).is_err() && score("x", i64::MAX).is_err());
    }
}
