//! Fields in which null says something else than absence.

use schemars::{Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::Value;

use super::field::Field;
use super::item::Item;

/// What is to be set; null unsets it. An absent field leaves it as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct OrNull<T>(pub Option<T>);

impl<T: Field> Field for OrNull<T> {
    const SECRET: bool = T::SECRET;
    const TAKES_NULL: bool = true;

    fn read(value: &Value, at: &[&'static str], items: &mut Vec<Item>) -> Option<Self> {
        if value.is_null() {
            return Some(Self(None));
        }
        T::read(value, at, items).map(|value| Self(Some(value)))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        // Every field takes null.
        T::schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Form;
    use super::*;

    crate::form! {
        struct Change { phone: OrNull<String>, name: String }
    }

    #[test]
    fn null_is_told_from_absence() {
        let phone = |body: Value| Change::parse(&body).expect("read").phone;
        assert_eq!(phone(json!({})), None);
        assert_eq!(phone(json!({"phone": null, "name": null})), Some(OrNull(None)));
        assert_eq!(phone(json!({"phone": "010-0000-0000"})), Some(OrNull(Some("010-0000-0000".to_owned()))));
        let invalid = json!(Change::parse(&json!({"phone": 5})).expect_err("refused"));
        assert_eq!(invalid["detail"][0]["loc"], json!(["body", "phone"]));
    }
}
