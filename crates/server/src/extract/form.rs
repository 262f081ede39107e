//! Forms: what an operation reads from the body of its request.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::item::{Fault, Invalid, Item};

/// What an operation reads from a body. Made by [`form!`](crate::form).
///
/// Every field may be absent; whether one is required is for the operation to say. Serialised, a form is the contract's
/// "body as validated": every field in the order of declaration, null where absent, secrets masked.
pub trait Form: Sized + Serialize + JsonSchema {
    /// Whether a field is secret; then a body that is no object is not echoed either.
    const HAS_SECRET: bool;

    /// Reads all fields from an object; what does not fit is absent and told in `items`.
    fn read(object: &Map<String, Value>, items: &mut Vec<Item>) -> Self;

    /// Reads a body. Fields that are not declared are passed over.
    fn parse(body: &Value) -> Result<Self, Invalid> {
        let Some(object) = body.as_object() else {
            return Err(Invalid::one(not_an_object(body, Self::HAS_SECRET)));
        };
        let mut items = Vec::new();
        let form = Self::read(object, &mut items);
        Invalid::unless(items, form)
    }

    /// The "body as validated", for an answer that puts more beside it.
    fn echo(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(echo)) => echo,
            // A form is a struct of plain values: always an object. An echo is not worth failing for.
            _ => Map::new(),
        }
    }
}

fn not_an_object(body: &Value, has_secret: bool) -> Item {
    match body {
        Value::Null => Fault::MISSING.at(&["body"], Value::Null),
        _ if has_secret => Fault::NOT_AN_OBJECT.at(&["body"], Value::Null),
        other => Fault::NOT_AN_OBJECT.at(&["body"], other.clone()),
    }
}

/// Declares a form: a struct whose fields are all optional, and how it is read, echoed and described. Data only.
///
/// ```
/// use carebot_server::extract::{DateParts, Form, Secret};
///
/// carebot_server::form! {
///     /// A new account.
///     pub struct NewAccount {
///         /// The address to sign in with.
///         email: String,
///         /// At least eight characters.
///         password: Secret,
///         /// When the person was born.
///         birth_date: DateParts,
///     }
/// }
///
/// let body = serde_json::json!({"email": "mother@example.com", "password": "correct horse"});
/// let form = NewAccount::parse(&body).unwrap();
/// assert_eq!(form.email.as_deref(), Some("mother@example.com"));
/// assert_eq!(
///     serde_json::to_string(&form).unwrap(),
///     r#"{"email":"mother@example.com","password":"<PASSWORD>","birth_date":null}"#
/// );
/// ```
///
/// The types a field can have are those that implement [`Field`](crate::extract::Field).
#[macro_export]
macro_rules! form {
    (
        $(#[doc = $doc:literal])*
        $vis:vis struct $name:ident {
            $($(#[doc = $fdoc:literal])* $field:ident: $type:ty),+ $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, ::serde::Serialize)]
        $vis struct $name { $($(#[doc = $fdoc])* pub $field: ::std::option::Option<$type>),+ }

        impl $crate::extract::Form for $name {
            const HAS_SECRET: bool = false $(|| <$type as $crate::extract::Field>::SECRET)+;

            fn read(
                object: &::serde_json::Map<::std::string::String, ::serde_json::Value>,
                items: &mut ::std::vec::Vec<$crate::extract::Item>,
            ) -> Self {
                Self { $($field: $crate::extract::field::read(object, stringify!($field), items)),+ }
            }
        }

        impl ::schemars::JsonSchema for $name {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                let mut properties = ::serde_json::Map::new();
                $(
                    let schema = <$type as $crate::extract::Field>::schema(generator);
                    let described = $crate::extract::schemas::described(schema, &[$($fdoc),*]);
                    properties.insert(stringify!($field).to_owned(), described.to_value());
                )+
                $crate::extract::schemas::object(&[$($doc),*], &properties)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{DateParts, Secret};
    use super::*;

    crate::form! {
        /// Every kind of field.
        /// In two lines.
        struct Everything {
            /// A text.
            name: String,
            password: Secret,
            level: f64,
            score: i32,
            count: i64,
            is_on: bool,
            birth_date: DateParts,
            index_list: Vec<Value>,
        }
    }

    crate::form! {
        struct Plain { email: String }
    }

    fn kinds(body: &Value) -> Vec<(String, String)> {
        let invalid = Everything::parse(body).expect_err("refused");
        let place = |item: &Item| json!(item.loc).to_string();
        invalid.detail.iter().map(|item| (item.kind.to_owned(), place(item))).collect()
    }

    #[test]
    fn null_is_absent_and_unknown_fields_are_passed_over() {
        let form = Everything::parse(&json!({"name": null, "score": 3, "shoe_size": [42]})).expect("read");
        assert_eq!((form.name.as_deref(), form.score), (None, Some(3)));
        assert_eq!(form, Everything::parse(&json!({"score": "3"})).expect("read"));
    }

    #[test]
    fn all_faults_are_told_in_the_order_of_the_fields() {
        let body = json!({
            "index_list": 1, "birth_date": {"month": 1, "day": "x"}, "is_on": "maybe", "count": [], "score": 1.5,
            "level": "high", "password": 5, "name": 5
        });
        assert_eq!(
            kinds(&body),
            [
                ("string_type", r#"["body","name"]"#),
                ("string_type", r#"["body","password"]"#),
                ("float_parsing", r#"["body","level"]"#),
                ("int_from_float", r#"["body","score"]"#),
                ("int_type", r#"["body","count"]"#),
                ("bool_parsing", r#"["body","is_on"]"#),
                ("missing", r#"["body","birth_date","year"]"#),
                ("int_parsing", r#"["body","birth_date","day"]"#),
                ("list_type", r#"["body","index_list"]"#),
            ]
            .map(|(kind, place)| (kind.to_owned(), place.to_owned()))
        );
    }

    #[test]
    fn a_secret_is_in_no_echo_and_no_item() {
        let form = Everything::parse(&json!({"password": "hunter2"})).expect("read");
        let shown = format!("{form:?} {}", serde_json::to_string(&form).expect("JSON"));
        assert!(shown.contains("<PASSWORD>") && !shown.contains("hunter2"), "{shown}");
        assert_eq!(form.password.as_ref().map(Secret::expose), Some("hunter2"));
        for body in [
            json!({"password": ["hunter2"]}),
            json!([{"password": "hunter2"}]),
            json!("password=hunter2"),
            json!({"password": {"hunter2": 1}}),
        ] {
            let shown = json!(Everything::parse(&body).expect_err("refused")).to_string();
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        const { assert!(Everything::HAS_SECRET && !Plain::HAS_SECRET) };
    }

    #[test]
    fn a_body_that_is_no_object_is_echoed_when_nothing_in_it_is_secret() {
        assert_eq!(
            json!(Plain::parse(&json!(["a"])).expect_err("refused")),
            json!({"detail": [{"type": "model_attributes_type", "loc": ["body"],
                "msg": "Input should be a valid dictionary or object to extract fields from", "input": ["a"]}]})
        );
        assert_eq!(
            json!(Plain::parse(&Value::Null).expect_err("refused")),
            json!({"detail": [{"type": "missing", "loc": ["body"], "msg": "Field required", "input": null}]})
        );
    }

    #[test]
    fn the_echo_has_every_field_in_order() {
        let body = json!({"birth_date": {"day": 1, "month": 2, "year": 3}, "level": 1, "index_list": ["4", 1.0]});
        let form = Everything::parse(&body).expect("read");
        let expected = concat!(
            r#"{"name":null,"password":null,"level":1.0,"score":null,"count":null,"is_on":null,"#,
            r#""birth_date":{"year":3,"month":2,"day":1},"index_list":["4",1.0]}"#
        );
        assert_eq!(String::from_utf8(crate::json::to_vec(&form)).expect("UTF-8"), expected);
        assert_eq!(String::from_utf8(crate::json::to_vec(&form.echo())).expect("UTF-8"), expected);
    }

    #[test]
    fn the_schema_names_every_field_and_says_what_the_documentation_says() {
        let schema = schemars::schema_for!(Everything).to_value();
        assert_eq!(schema["description"], "Every kind of field.\nIn two lines.");
        assert_eq!(schema["properties"]["name"], json!({"type": ["string", "null"], "description": "A text."}));
        assert_eq!(schema["properties"]["birth_date"]["anyOf"][0]["$ref"], "#/$defs/DateParts");
        assert_eq!(schema["$defs"]["DateParts"]["required"], json!(["year", "month", "day"]));
        let names: Vec<_> = schema["properties"].as_object().expect("an object").keys().collect();
        assert_eq!(names, ["name", "password", "level", "score", "count", "is_on", "birth_date", "index_list"]);
    }
}
