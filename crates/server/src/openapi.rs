//! The OpenAPI 3.1 document, made from the operations.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::operation::{Operation, Shape, answer_schema};

/// The document of every operation of this server.
pub fn document() -> Value {
    let (api, _) = crate::routes::api();
    from_operations(&api)
}

/// The document as it is served.
pub fn document_bytes() -> Vec<u8> {
    crate::json::to_vec(&document())
}

fn from_operations(operations: &[Operation]) -> Value {
    let mut settings = SchemaSettings::draft2020_12().for_serialize();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations {
        let entry = describe(operation, &mut generator);
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(operation.method.as_str().to_ascii_lowercase(), entry);
        }
    }
    let schemas = generator.take_definitions(true);
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "carebot",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The backend of a companion robot for older people living alone. Sign in with `POST /auth/login`; the session travels in the cookie `session_id`. A refusal is `{\"detail\": {type, message, ..}}`, a request that does not fit `{\"detail\": [..]}` with status 422.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"session": {"type": "apiKey", "in": "cookie", "name": "session_id"}},
        },
        // A session is never needed to be answered: who has none is refused in the contract's shape.
        "security": [{}, {"session": []}],
    });
    write_out(&mut document);
    document
}

/// Whatever is allowed is written `{}`: some programs that read documents do not know that `true` says the same.
fn write_out(value: &mut Value) {
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(write_out),
        Value::Object(fields) => {
            for (name, field) in fields {
                let inside = match (name.as_str(), &mut *field) {
                    ("properties", Value::Object(properties)) => properties.values_mut().collect(),
                    ("items" | "schema", schema) => vec![schema],
                    _ => Vec::new(),
                };
                for schema in inside.into_iter().filter(|schema| **schema == Value::Bool(true)) {
                    *schema = json!({});
                }
                write_out(field);
            }
        }
        _ => {}
    }
}

fn describe(operation: &Operation, generator: &mut schemars::SchemaGenerator) -> Value {
    let mut parameters: Vec<Value> = operation
        .path_parameters()
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": Operation::path_schema(name)}))
        .collect();
    parameters.extend(operation.parameters.iter().map(|parameter| {
        json!({"name": parameter.name, "in": parameter.place, "required": false, "description": parameter.description, "schema": parameter.schema})
    }));
    let mut responses = Map::new();
    for (status, shapes) in &operation.answers {
        responses.insert(status.to_string(), describe_answers(operation, *status, shapes, generator));
    }
    let mut entry = json!({
        "operationId": operation_id(operation),
        "tags": [operation.tag],
        "summary": operation.summary,
        "x-carebot-action": operation.action.name(),
        "parameters": parameters,
        "responses": responses,
    });
    if let (Some(body), Some(entry)) = (&operation.body, entry.as_object_mut()) {
        let mut content = json!({(operation.media): {"schema": body(generator)}});
        if let Some((media, description)) = operation.other_media {
            content[media] = json!({"schema": {"type": "string", "description": description}});
        }
        entry.insert("requestBody".into(), json!({"required": true, "content": content}));
    }
    entry
}

fn describe_answers(
    operation: &Operation,
    status: u16,
    shapes: &[Shape],
    generator: &mut schemars::SchemaGenerator,
) -> Value {
    let mut texts: Vec<&str> = shapes
        .iter()
        .map(|shape| match shape {
            Shape::Success { message, .. } | Shape::Refusal { message, .. } => message,
            Shape::RefusalLike { description, .. } | Shape::Raw { description, .. } => description,
            Shape::Invalid => "The request does not fit",
        })
        .collect();
    texts.dedup();
    let mut by_media: BTreeMap<&str, Vec<&Shape>> = BTreeMap::new();
    for shape in shapes {
        let media = if let Shape::Raw { media, .. } = shape { media } else { "application/json" };
        by_media.entry(media).or_default().push(shape);
    }
    let mut answer = json!({ "description": texts.join("; ") });
    for (media, shapes) in by_media.into_iter().filter(|(media, _)| !media.is_empty()) {
        let schema = answer_schema(&shapes, status, generator);
        answer["content"][media] = json!({ "schema": schema });
    }
    if status < 300 && !operation.headers.is_empty() {
        let headers = operation.headers.iter().map(|(name, description)| {
            ((*name).to_owned(), json!({"description": description, "schema": {"type": "string", "enum": ["true"]}}))
        });
        answer["headers"] = Value::Object(headers.collect());
    }
    if matches!(status, 429 | 503) {
        answer["headers"] = json!({"Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer"}}});
    }
    answer
}

fn operation_id(operation: &Operation) -> String {
    let path = operation.path.trim_matches('/').replace(['{', '}'], "").replace(['/', '-', '.'], "_");
    format!("{}_{}", operation.method.as_str().to_ascii_lowercase(), if path.is_empty() { "root" } else { &path })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The checked-in document is what clients are made from. Accept a change with `CAREBOT_ACCEPT=1`.
    #[test]
    fn the_document_is_the_checked_in_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
        let now = serde_json::to_string_pretty(&document()).expect("JSON") + "\n";
        if std::env::var_os("CAREBOT_ACCEPT").is_some() {
            std::fs::write(path, &now).expect("the document is written");
        }
        let accepted = std::fs::read_to_string(path).expect("the document is there");
        assert!(now == accepted, "the OpenAPI document changed; accept it with CAREBOT_ACCEPT=1");
    }

    #[test]
    fn every_operation_of_the_contract_is_there() {
        let (operations, _) = crate::routes::api();
        let is_ours = |path: &str| path.starts_with("/v1/") || path.ends_with("/series");
        let contract = operations.iter().filter(|operation| !is_ours(operation.path) && operation.tag != "server");
        assert_eq!(contract.count(), 76);
    }
}
