//! Operations: what a route is, what it takes and everything it can answer, said once beside its handler.
//!
//! From this list come the router, the OpenAPI document, the metrics' names and the test that walks every operation with
//! every relation.

use std::collections::BTreeMap;

use axum::Router;
use axum::handler::Handler;
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter};
use carebot_model::access::Action;
use http::Method;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::error::{method_not_allowed, types};
use crate::extract::{Form, Invalid, id_schema};

/// Makes a schema with the document's generator.
type MakeSchema = Box<dyn Fn(&mut SchemaGenerator) -> Value + Send + Sync>;

/// A parameter in the query or a header.
pub struct Parameter {
    pub name: &'static str,
    /// `query` or `header`.
    pub place: &'static str,
    pub description: &'static str,
    pub schema: Value,
}

/// One way an operation answers a status.
pub enum Shape {
    /// `{"message": .., "result": ..}`; the schema of the result, if there is one.
    Success { message: &'static str, result: Option<MakeSchema> },
    /// `{"detail": {..}}`.
    Refusal { kind: &'static str, message: &'static str },
    /// A refusal whose sentence tells a figure: a pattern for it, and what to say of it.
    RefusalLike { kind: &'static str, pattern: &'static str, description: &'static str },
    /// `{"detail": [..]}`.
    Invalid,
    /// Anything else: media type, description and schema.
    Raw { media: &'static str, description: &'static str, schema: Option<MakeSchema> },
}

/// What is known of an operation.
pub struct Operation {
    pub method: Method,
    pub path: &'static str,
    pub action: Action,
    pub tag: &'static str,
    pub summary: &'static str,
    pub body: Option<MakeSchema>,
    /// The media type of the body.
    pub media: &'static str,
    /// Another one that it takes, and what stands in it.
    pub other_media: Option<(&'static str, &'static str)>,
    pub parameters: Vec<Parameter>,
    pub answers: BTreeMap<u16, Vec<Shape>>,
    /// Headers that a success can carry.
    pub headers: Vec<(&'static str, &'static str)>,
}

/// An operation of a method.
pub fn operation(method: Method, path: &'static str, action: Action, summary: &'static str) -> Operation {
    let tag = match path.split('/').nth(1).unwrap_or_default() {
        "v1" => path.split('/').nth(2).unwrap_or_default(),
        tag => tag,
    };
    let changes = !matches!(method, Method::GET);
    let mut made = Operation {
        method,
        path,
        action,
        tag,
        summary,
        body: None,
        media: "application/json",
        other_media: None,
        parameters: Vec::new(),
        answers: BTreeMap::new(),
        headers: Vec::new(),
    };
    if changes {
        // A request from a page of another origin.
        made = made.forbidden();
    }
    made.refuses(500, types::SERVER_ERROR, "Internal server error").refuses(
        503,
        types::UNAVAILABLE,
        "The service is temporarily unavailable",
    )
}

pub fn get(path: &'static str, action: Action, summary: &'static str) -> Operation {
    operation(Method::GET, path, action, summary)
}

pub fn post(path: &'static str, action: Action, summary: &'static str) -> Operation {
    operation(Method::POST, path, action, summary)
}

pub fn patch(path: &'static str, action: Action, summary: &'static str) -> Operation {
    operation(Method::PATCH, path, action, summary)
}

pub fn delete(path: &'static str, action: Action, summary: &'static str) -> Operation {
    operation(Method::DELETE, path, action, summary)
}

impl Operation {
    fn answer(mut self, status: u16, shape: Shape) -> Self {
        self.answers.entry(status).or_default().push(shape);
        self
    }

    /// Under which heading it stands in the document.
    pub const fn tag(mut self, tag: &'static str) -> Self {
        self.tag = tag;
        self
    }

    /// Takes a form.
    pub fn takes<F: Form>(mut self) -> Self {
        self.body = Some(Box::new(|generator| generator.subschema_for::<F>().to_value()));
        self.answer(422, Shape::Invalid).refuses(413, types::TOO_LARGE, "The body of the request is too large").refuses(
            408,
            types::TIMEOUT,
            "The body of the request did not arrive in time",
        )
    }

    /// Takes a form with a file.
    pub fn takes_file(mut self, name: &'static str, description: &'static str) -> Self {
        self.media = "multipart/form-data";
        self.body = Some(Box::new(move |_| {
            json!({
                "type": "object",
                "properties": {(name): {"type": "string", "format": "binary", "description": description}},
                "required": [name],
            })
        }));
        self.answer(422, Shape::Invalid).refuses(413, types::TOO_LARGE, "The body of the request is too large").refuses(
            408,
            types::TIMEOUT,
            "The body of the request did not arrive in time",
        )
    }

    /// Takes a body of another schema than that of a form.
    pub fn body<T: JsonSchema>(mut self) -> Self {
        self.body = Some(Box::new(|generator| generator.subschema_for::<T>().to_value()));
        self
    }

    /// Takes the same also as a text of another media type.
    pub const fn or_takes(mut self, media: &'static str, description: &'static str) -> Self {
        self.other_media = Some((media, description));
        self
    }

    /// Has a header that it looks at.
    pub fn header(mut self, name: &'static str, description: &'static str, schema: Value) -> Self {
        self.parameters.push(Parameter { name, place: "header", description, schema });
        self
    }

    /// Takes a key with which it is carried out once, however often it is sent.
    pub fn keyed(self) -> Self {
        let text = "The client's own key for this request: sent again with the same one, it is not carried out again.";
        self.header("Idempotency-Key", text, json!({"type": "string", "pattern": "^[!-~]{1,255}$"}))
            .invalid(crate::context::KEY)
    }

    /// Takes the time at which something was sensed, which can be too old.
    pub fn sensed(self) -> Self {
        let text = "When it was sensed, at most 7 days ago; now if absent. What lies more than 5 minutes ahead, and what is \
                    critical and older, is stored as of now.";
        self.timed(text).invalid(carebot_service::status::TOO_OLD)
    }

    /// Takes the time at which somebody called or something happened, which is never too old.
    pub fn called(self) -> Self {
        self.timed("When it happened; now if absent, more than 7 days ago or more than 5 minutes ahead.")
    }

    fn timed(mut self, description: &'static str) -> Self {
        self.headers
            .push(("Carebot-Corrected", "`true` if it was stored as of now because the robot's clock is wrong"));
        self.header("Carebot-Sensed-At", description, crate::extract::datetime::timestamp_schema().to_value())
    }

    /// Has a parameter in the query.
    pub fn query(mut self, name: &'static str, description: &'static str, schema: Value) -> Self {
        self.parameters.push(Parameter { name, place: "query", description, schema });
        if self.answers.get(&422).is_none_or(|shapes| !shapes.iter().any(|shape| matches!(shape, Shape::Invalid))) {
            self = self.answer(422, Shape::Invalid);
        }
        self
    }

    /// Has `start`, `end` and `order`.
    pub fn range(self) -> Self {
        let time = || crate::extract::datetime::timestamp_schema().to_value();
        self.query("start", "From this second. UTC, or with an offset.", time())
            .query("end", "To the end of this second; now if absent.", time())
            .query("order", "By time.", json!({"type": "string", "enum": ["asc", "desc"], "default": "asc"}))
    }

    /// Has the number of a row in its path.
    pub fn row(self) -> Self {
        self.answer(422, Shape::Invalid)
    }

    /// Succeeds with a message alone.
    pub fn says(self, status: u16, message: &'static str) -> Self {
        self.answer(status, Shape::Success { message, result: None })
    }

    /// Succeeds with a message and a result.
    pub fn gives<T: JsonSchema>(self, status: u16, message: &'static str) -> Self {
        let result: MakeSchema = Box::new(|generator| generator.subschema_for::<T>().to_value());
        self.answer(status, Shape::Success { message, result: Some(result) })
    }

    /// A list: a message for rows and one for none.
    pub fn lists<T: JsonSchema>(self, some: &'static str, none: &'static str) -> Self {
        self.gives::<Vec<T>>(200, some).gives::<Vec<T>>(200, none)
    }

    /// Answers something that is no envelope.
    pub fn raw(self, status: u16, media: &'static str, description: &'static str) -> Self {
        self.answer(status, Shape::Raw { media, description, schema: None })
    }

    /// Answers a JSON value that is no envelope.
    pub fn json<T: JsonSchema>(self, status: u16, description: &'static str) -> Self {
        let schema: MakeSchema = Box::new(|generator| generator.subschema_for::<T>().to_value());
        self.answer(status, Shape::Raw { media: "application/json", description, schema: Some(schema) })
    }

    pub fn refuses(self, status: u16, kind: &'static str, message: &'static str) -> Self {
        self.answer(status, Shape::Refusal { kind, message })
    }

    /// Refuses with a sentence that tells a figure.
    pub fn refuses_like(
        self,
        status: u16,
        kind: &'static str,
        pattern: &'static str,
        description: &'static str,
    ) -> Self {
        self.answer(status, Shape::RefusalLike { kind, pattern, description })
    }

    pub fn no_data(self, message: &'static str) -> Self {
        self.refuses(422, types::NO_DATA, message)
    }

    pub fn invalid(self, message: &'static str) -> Self {
        self.refuses(400, types::INVALID_VALUE, message)
    }

    /// Has texts that can be too long.
    pub fn bounded(self) -> Self {
        self.invalid(crate::error::TOO_LONG)
    }

    pub fn unauthorized(self, message: &'static str) -> Self {
        self.refuses(401, types::UNAUTHORIZED, message)
    }

    pub fn forbidden(self) -> Self {
        if self.answers.contains_key(&403) {
            return self;
        }
        self.refuses(403, types::CAN_NOT_ACCESS, "You do not have permission")
    }

    pub fn not_found(self, message: &'static str) -> Self {
        self.refuses(404, types::NOT_FOUND, message)
    }

    /// Is about a family: the system learns that there is none.
    pub fn of_family(self) -> Self {
        self.forbidden().not_found("Family not found")
    }

    pub fn conflict(self, message: &'static str) -> Self {
        self.refuses(409, types::ALREADY_EXISTS, message)
    }

    /// Checks a password, and so slows down who guesses.
    pub fn throttled(self) -> Self {
        self.refuses(429, types::TOO_MANY, "Too many failed attempts, try again later")
    }

    /// Depends on another service that can be off.
    pub fn fails(self, message: &'static str) -> Self {
        self.refuses(500, types::SERVER_ERROR, message)
    }

    /// A list that can be cut, and whether it can be thinned.
    pub fn bounded_list(mut self, thinned: bool) -> Self {
        self.headers.push(if thinned {
            ("Carebot-Thinned", "`true` if only the newest rows are whole and of the rest some were left out")
        } else {
            ("Carebot-Truncated", "`true` if there are older rows that were left out")
        });
        self
    }

    /// Says how old it is what it gives.
    pub fn aged(mut self) -> Self {
        self.headers.push(("Carebot-Age", "How many seconds ago it was issued what this is from, if that is known"));
        self
    }

    /// The names of the parameters in the path.
    pub fn path_parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    /// The schema of a parameter in the path.
    pub fn path_schema(name: &str) -> Value {
        match name {
            "message_id" | "notification_id" | "image_id" | "session_id" | "alarm_id" | "subscription_id" => {
                json!({"type": "integer"})
            }
            "master_region" | "file_name" => json!({"type": "string"}),
            _ => id_schema().to_value(),
        }
    }
}

/// Which operation answered, for metrics and logs.
#[derive(Clone, Copy, Debug)]
pub struct Answered(pub usize);

/// Marks every answer of a route. Not generic over the handler, so that it is compiled once and not once per operation.
fn tagged(route: MethodRouter<App>, index: Answered) -> MethodRouter<App> {
    route.layer(axum::middleware::map_response(move |mut response: Response| async move {
        response.extensions_mut().insert(index);
        response
    }))
}

/// The operations and their router, while they are put together.
#[derive(Default)]
pub struct Api {
    pub operations: Vec<Operation>,
    routes: BTreeMap<&'static str, MethodRouter<App>>,
}

impl Api {
    /// Adds an operation and the function that serves it.
    pub fn add<H, T>(&mut self, operation: Operation, handler: H)
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(operation.method.clone()).unwrap_or(MethodFilter::GET);
        let one = tagged(axum::routing::on(filter, handler), Answered(self.operations.len()));
        let mut route = self.routes.remove(operation.path).unwrap_or_default().merge(one);
        if operation.method == Method::GET {
            // The contract has no HEAD; without this, GET would answer it.
            route = route.on(MethodFilter::HEAD, method_not_allowed);
        }
        self.routes.insert(operation.path, route);
        self.operations.push(operation);
    }

    /// Serves a method of a path that has operations, without being one: it is in no document.
    pub fn beside<H, T>(&mut self, path: &'static str, filter: MethodFilter, handler: H)
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let route = self.routes.remove(path).unwrap_or_default().on(filter, handler);
        self.routes.insert(path, route);
    }

    /// The router of everything that was added.
    pub fn router(&mut self) -> Router<App> {
        std::mem::take(&mut self.routes)
            .into_iter()
            .fold(Router::new(), |router, (path, route)| router.route(path, route))
    }
}

/// The schema of every answer of a status, one of several shapes.
pub fn answer_schema(shapes: &[&Shape], status: u16, generator: &mut SchemaGenerator) -> Value {
    let mut any: Vec<Value> = Vec::new();
    for shape in shapes {
        let schema = match shape {
            Shape::Success { message, result } => {
                let mut properties = Map::from_iter([("message".to_owned(), json!({"const": message}))]);
                let mut required = vec!["message"];
                if let Some(result) = result {
                    properties.insert("result".to_owned(), result(generator));
                    required.push("result");
                }
                json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
            }
            Shape::Refusal { kind, message } => {
                // Each refusal is one schema of the document, referred to by every operation that has it.
                let name = refusal_name(kind, message);
                let schema = refusal_schema(kind, &json!({ "const": message }), status);
                generator.definitions_mut().entry(name.clone()).or_insert(schema);
                json!({ "$ref": format!("#/components/schemas/{name}") })
            }
            Shape::RefusalLike { kind, pattern, .. } => {
                refusal_schema(kind, &json!({"type": "string", "pattern": pattern}), status)
            }
            Shape::Invalid => generator.subschema_for::<Invalid>().to_value(),
            Shape::Raw { schema, .. } => schema.as_ref().map_or(json!({}), |schema| schema(generator)),
        };
        if !any.contains(&schema) {
            any.push(schema);
        }
    }
    if any.len() == 1 { any.remove(0) } else { json!({ "anyOf": any }) }
}

/// `NotFound.FamilyNotFound`: the type and the beginning of the sentence.
fn refusal_name(kind: &str, message: &str) -> String {
    let camel = |text: &str| -> String {
        text.split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(|word| word[..1].to_ascii_uppercase() + &word[1..])
            .collect()
    };
    let mut name = format!("{}.{}", camel(kind), camel(message));
    name.truncate(96);
    name
}

fn refusal_schema(kind: &str, message: &Value, status: u16) -> Value {
    let mut properties = json!({
        "type": {"const": kind},
        "loc": {"type": "array", "items": {"type": "string"}},
        "message": message,
        "input": {},
        "result": {},
    });
    if status >= 500
        && let Some(properties) = properties.as_object_mut()
    {
        properties.insert("request_id".to_owned(), json!({"type": "string"}));
    }
    json!({
        "type": "object",
        "properties": {"detail": {"type": "object", "properties": properties, "required": ["type", "message"], "additionalProperties": false}},
        "required": ["detail"],
        "additionalProperties": false,
    })
}
