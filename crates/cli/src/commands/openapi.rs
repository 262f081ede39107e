//! `carebot openapi`: the document of the HTTP interface.

use clap::Args;

use crate::failure::{Failure, Result};
use crate::output;

/// Prints the OpenAPI document of the HTTP interface
#[derive(Debug, Args)]
#[command(
    long_about = "Prints the OpenAPI 3.1 document of the HTTP interface, made from the program itself. A running server \
                  gives the same at /openapi.json.",
    after_help = "Example:\n  carebot openapi > openapi.json"
)]
pub struct Flags {}

/// Runs the command.
pub fn run() -> Result {
    let text = serde_json::to_string_pretty(&carebot_server::openapi::document())
        .map_err(|error| Failure::new(format!("the document can not be written: {error}")))?;
    output::line(&text);
    Ok(())
}
