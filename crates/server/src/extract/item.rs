//! What is said about a request that does not fit: the items of the contract's 422 in the array form.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

/// What stands in an answer or a log where a secret was.
pub const MASK: &str = "<PASSWORD>";

/// A step on the way to the faulty value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Loc {
    /// `body`, `query` or `path`, or the name of a field.
    Name(Cow<'static, str>),
    /// The character at which the JSON breaks, counted from 0.
    Position(usize),
}

/// What is wrong with a value, apart from where it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    kind: &'static str,
    msg: Cow<'static, str>,
    ctx: Option<Value>,
}

impl Fault {
    /// A fault that its type and sentence say all about.
    pub const fn new(kind: &'static str, msg: &'static str) -> Self {
        Self { kind, msg: Cow::Borrowed(msg), ctx: None }
    }

    /// A fault with particulars.
    pub fn with(kind: &'static str, msg: impl Into<Cow<'static, str>>, ctx: Value) -> Self {
        Self { kind, msg: msg.into(), ctx: Some(ctx) }
    }

    /// Nothing is there.
    pub const MISSING: Self = Self::new("missing", "Field required");
    /// Not an object.
    pub const NOT_AN_OBJECT: Self =
        Self::new("model_attributes_type", "Input should be a valid dictionary or object to extract fields from");

    /// The reason is also given on its own, as the contract does with JSON and dates.
    pub fn because(kind: &'static str, msg: impl Into<Cow<'static, str>>, reason: &str) -> Self {
        Self::with(kind, msg, json!({ "error": reason }))
    }

    /// The item that says so of `input`, found at `at` (`["body", "email"]`).
    pub fn at(self, at: &[&'static str], input: Value) -> Item {
        let loc = at.iter().map(|name| Loc::Name(Cow::Borrowed(name))).collect();
        Item { kind: self.kind, loc, msg: self.msg, input, ctx: self.ctx }
    }
}

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
pub struct Item {
    /// What kind of fault.
    #[schemars(rename = "type")]
    pub kind: &'static str,
    /// Where.
    pub loc: Vec<Loc>,
    /// A sentence for the programmer of the client.
    pub msg: Cow<'static, str>,
    /// What was found there; never a secret.
    pub input: Value,
    /// Particulars; left out where there are none.
    #[schemars(skip_serializing_if = "Option::is_none")]
    pub ctx: Option<Value>,
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut item = serializer.serialize_struct("Item", 4 + usize::from(self.ctx.is_some()))?;
        item.serialize_field("type", self.kind)?;
        item.serialize_field("loc", &self.loc)?;
        item.serialize_field("msg", &self.msg)?;
        item.serialize_field("input", &self.input)?;
        if let Some(ctx) = &self.ctx {
            item.serialize_field("ctx", ctx)?;
        }
        item.end()
    }
}

/// A request that does not fit, with everything that is wrong with it, in the order of the fields.
///
/// It serialises as the body of the answer: `{"detail":[..]}`, status 422.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Invalid {
    /// What is wrong; never empty.
    pub detail: Vec<Item>,
}

impl Invalid {
    /// A request with one fault.
    pub fn one(item: Item) -> Self {
        Self { detail: vec![item] }
    }

    /// `value`, unless something is wrong.
    pub fn unless<T>(items: Vec<Item>, value: T) -> Result<T, Self> {
        if items.is_empty() { Ok(value) } else { Err(Self { detail: items }) }
    }
}

impl fmt::Display for Invalid {
    /// Types and places, nothing of what was sent: fit for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.detail.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            f.write_str(item.kind)?;
            for (index, loc) in item.loc.iter().enumerate() {
                f.write_str(if index == 0 { " at " } else { "." })?;
                match loc {
                    Loc::Name(name) => f.write_str(name)?,
                    Loc::Position(position) => position.fmt(f)?,
                }
            }
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_has_the_key_order_of_the_contract() {
        let invalid = Invalid {
            detail: vec![
                Fault::MISSING.at(&["body", "birth_date", "day"], json!({"year": 1})),
                Fault::because("json_invalid", "JSON decode error", "Expecting value").at(&["body"], json!({})),
            ],
        };
        assert_eq!(
            String::from_utf8(crate::json::to_vec(&invalid)).expect("UTF-8"),
            concat!(
                r#"{"detail":[{"type":"missing","loc":["body","birth_date","day"],"msg":"Field required","input":{"year":1}},"#,
                r#"{"type":"json_invalid","loc":["body"],"msg":"JSON decode error","input":{},"ctx":{"error":"Expecting value"}}]}"#
            )
        );
    }

    #[test]
    fn a_log_line_names_places_but_not_what_was_sent() {
        let invalid = Invalid::one(Fault::MISSING.at(&["body", "email"], json!("a@example.com")));
        assert_eq!(invalid.to_string(), "missing at body.email");
    }
}
