//! The OpenAPI document as a judge: every answer that a test gets must be one that the document promises.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use http::Method;
use jsonschema::Validator;
use serde_json::{Value, json};

use super::Reply;

/// An operation of the document.
#[derive(Clone, Debug)]
pub struct Operation {
    /// `GET`.
    pub method: String,
    /// `/families/{family_id}`.
    pub path: String,
    /// The action that the policy decides about.
    pub action: String,
    /// All that the document says of it.
    pub description: Value,
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

struct Document {
    operations: Vec<Operation>,
    components: Value,
    /// By operation and status; where an answer has no body, nothing.
    validators: Mutex<HashMap<(String, u16, String), Expected>>,
}

/// What an operation promises for a status.
#[derive(Clone)]
enum Expected {
    Undocumented,
    Empty,
    Body { media: String, validator: Arc<Validator> },
}

static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
    let mut document = carebot_server::openapi::document();
    let paths = document["paths"].take();
    let mut operations = Vec::new();
    for (path, methods) in paths.as_object().expect("paths") {
        for (method, description) in methods.as_object().expect("methods") {
            operations.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                action: description["x-carebot-action"].as_str().expect("an action").to_owned(),
                description: description.clone(),
            });
        }
    }
    Document { operations, components: document["components"].take(), validators: Mutex::default() }
});

/// Every operation of the document.
pub fn operations() -> &'static [Operation] {
    &DOCUMENT.operations
}

/// Which operation answers a request, if there is one. A piece that is named wins over one that is a parameter.
fn find(method: &Method, path: &str) -> Option<&'static Operation> {
    let pieces: Vec<&str> = path.split('/').collect();
    let fits = |operation: &&Operation| {
        let template: Vec<&str> = operation.path.split('/').collect();
        operation.method == method.as_str()
            && template.len() == pieces.len()
            && template
                .iter()
                .zip(&pieces)
                .all(|(want, piece)| want == piece || (want.starts_with('{') && !piece.is_empty()))
    };
    operations().iter().filter(fits).min_by_key(|operation| operation.path.matches('{').count())
}

impl Document {
    /// Follows a reference of the document itself.
    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/components")) {
            Some(pointer) => self.components.pointer(pointer).expect("what is referred to is there"),
            None => value,
        }
    }

    fn validator(&self, schema: &Value) -> Validator {
        let whole = json!({"components": self.components, "allOf": [schema]});
        jsonschema::draft202012::new(&whole).unwrap_or_else(|error| panic!("{error}: {schema}"))
    }

    fn expected(&self, operation: &Operation, status: u16, media: &str) -> Expected {
        let key = (operation.to_string(), status, media.to_owned());
        let mut validators = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        validators
            .entry(key)
            .or_insert_with(|| {
                let Some(answer) = operation.description["responses"].get(status.to_string()) else {
                    return Expected::Undocumented;
                };
                let content = self.resolve(answer)["content"].as_object();
                let sent = content.and_then(|content| content.get_key_value(media));
                match sent.or_else(|| content.and_then(|content| content.iter().next())) {
                    None => Expected::Empty,
                    Some((media, content)) => {
                        let validator = Arc::new(self.validator(&content["schema"]));
                        Expected::Body { media: media.clone(), validator }
                    }
                }
            })
            .clone()
    }
}

/// Asserts that an answer is one that the document promises. Answers to what is no operation are not looked at.
#[track_caller]
pub(super) fn check(method: &Method, path: &str, reply: &Reply) {
    let Some(operation) = find(method, path) else { return };
    let status = reply.status;
    match DOCUMENT.expected(operation, status, reply.header("content-type")) {
        Expected::Undocumented => panic!("{operation}: status {status} is not in the document: {}", reply.text()),
        Expected::Empty => assert!(reply.body.is_empty(), "{operation}: {status} has a body: {}", reply.text()),
        Expected::Body { media, validator } => {
            if let Some(kind) = media.strip_suffix('*') {
                // Bytes of that kind, of which the document says no more.
                assert!(reply.header("content-type").starts_with(kind), "{operation}: {status} is no {media}");
                return note(operation, reply);
            }
            assert_eq!(reply.header("content-type"), media, "{operation}: {status}");
            if media != "application/json" {
                return note(operation, reply);
            }
            let json = reply.json();
            let faults: Vec<String> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
            let promised = &operation.description["responses"][status.to_string()];
            assert!(faults.is_empty(), "{operation}: {status} is not as promised: {faults:?}\n{json}\n{promised}");
        }
    }
    for header in ["carebot-thinned", "carebot-truncated", "retry-after"] {
        if reply.headers.contains_key(header) {
            let answer = DOCUMENT.resolve(&operation.description["responses"][status.to_string()]);
            let promised = answer["headers"].as_object().into_iter().flatten();
            let mut names = promised.map(|(name, _)| name.to_lowercase());
            assert!(
                names.any(|name| name == header),
                "{operation}: {status} has {header}, which is not in the document"
            );
        }
    }
    note(operation, reply);
}

impl Operation {
    /// Asserts that a body is one that the document asks for.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn check_body(&self, body: &Value) {
        let request = &self.description["requestBody"];
        match request["content"].get("application/json") {
            // What is no JSON is put together by the test.
            None => assert!(body.is_null(), "{self} takes no JSON"),
            Some(content) => {
                let validator = DOCUMENT.validator(&content["schema"]);
                let faults: Vec<String> = validator.iter_errors(body).map(|error| error.to_string()).collect();
                assert!(faults.is_empty(), "{self} does not take {body}: {faults:?}");
            }
        }
    }
}

/// Writes what was answered into the file that `CAREBOT_SEEN` names, to see which answers no test has met.
fn note(operation: &Operation, reply: &Reply) {
    use std::io::Write;
    let Some(path) = std::env::var_os("CAREBOT_SEEN") else { return };
    let json: Value = serde_json::from_slice(&reply.unpacked()).unwrap_or_default();
    let message = json["message"].as_str().or_else(|| json["detail"]["message"].as_str()).unwrap_or("-");
    let mut file = std::fs::File::options().append(true).create(true).open(path).expect("the file can be written");
    writeln!(file, "{operation}\t{}\t{message}", reply.status).expect("the file can be written");
}
