//! JSON schemas of what the lenient reading takes, so that the document says no less than the parser does.

use schemars::{Schema, json_schema};
use serde_json::{Map, Value, json};

/// What a whole number in a text looks like.
const WHOLE_TEXT: &str = r"^\s*[+-]?[0-9]+(_[0-9]+)*(\.0+)?\s*$";
/// What a number in a text looks like.
const REAL_TEXT: &str =
    r"^\s*[+-]?([0-9]+(_[0-9]+)*\.?([0-9]+(_[0-9]+)*)?|\.[0-9]+(_[0-9]+)*)([eE][+-]?[0-9]+(_[0-9]+)*)?\s*$";
/// The words for yes and no.
const FLAG_TEXT: &str =
    "^([tT][rR][uU][eE]|[fF][aA][lL][sS][eE]|[oO][nN]|[oO][fF][fF]|[yY][eE][sS]|[nN][oO]|[tTfFyYnN01])$";

/// A text or null.
pub fn text() -> Schema {
    json_schema!({ "type": ["string", "null"] })
}

/// A text of at most `length` code points, or null.
pub fn text_up_to(length: usize) -> Schema {
    json_schema!({ "type": ["string", "null"], "maxLength": length })
}

/// A text that is not shown, or null.
pub fn secret() -> Schema {
    json_schema!({ "type": ["string", "null"], "format": "password" })
}

/// A list of anything, or null.
pub fn list() -> Schema {
    json_schema!({ "type": ["array", "null"], "items": true })
}

/// A number, or what is read as one.
pub fn real() -> Schema {
    any_of(&[
        json!({ "type": "number" }),
        json!({ "type": "string", "pattern": REAL_TEXT }),
        json!({ "type": ["boolean", "null"] }),
    ])
}

/// A number between the bounds, or what is read as one.
pub fn real_within(low: i64, high: i64) -> Schema {
    any_of(&[
        json!({ "type": "number", "minimum": low, "maximum": high }),
        json!({ "type": "string", "pattern": REAL_TEXT }),
        json!({ "type": ["boolean", "null"] }),
    ])
}

/// A whole number between the bounds, or what is read as one; not null.
pub fn whole(low: i64, high: i64) -> Schema {
    any_of(&[
        json!({ "type": "integer", "minimum": low, "maximum": high }),
        json!({ "type": "string", "pattern": WHOLE_TEXT }),
        json!({ "type": "boolean" }),
    ])
}

/// Yes or no, or what is read as one.
pub fn flag() -> Schema {
    any_of(&[
        json!({ "type": ["boolean", "null"] }),
        json!({ "enum": [0, 1] }),
        json!({ "type": "string", "pattern": FLAG_TEXT }),
    ])
}

/// A schema, or a number, or null.
pub fn number_or(schema: &Schema) -> Schema {
    any_of(&[schema.as_value().clone(), json!({ "type": ["number", "null"] })])
}

/// A schema, or null.
pub fn nullable(schema: &Schema) -> Schema {
    any_of(&[schema.as_value().clone(), json!({ "type": "null" })])
}

fn any_of(schemas: &[Value]) -> Schema {
    json_schema!({ "anyOf": schemas })
}

/// The same schema with the lines of a doc comment as its description.
pub fn described(mut schema: Schema, lines: &[&str]) -> Schema {
    let text = lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join("\n");
    if !text.is_empty() {
        schema.insert("description".to_owned(), text.into());
    }
    schema
}

/// An object of which nothing is required and where more may stand than is read.
pub fn object(lines: &[&str], properties: &Map<String, Value>) -> Schema {
    described(json_schema!({ "type": "object", "properties": properties, "additionalProperties": true }), lines)
}
