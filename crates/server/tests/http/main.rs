//! What goes over the wire, on both engines. One file per noun, as in `src/routes/`; and what concerns all of them.
//!
//! Requests go through the whole server, without a socket where that makes no difference. Every answer of every test is
//! also checked against the OpenAPI document (`carebot_testkit::app`).
//!
//! # To add an operation
//! Its tests go into its noun's file, a valid request for it into the list in `access/cases.rs`; accept the new line of
//! `access.txt` with `CAREBOT_ACCEPT=1`.

mod access;

mod accounts;
mod auth;
mod families;
mod members;

/// What nearly every test needs.
mod prelude {
    pub use carebot_model::accounts::Role;
    pub use carebot_testkit::app::{ANYONE, House, PASSWORD, Person, Reply, TestApp};
    pub use carebot_testkit::both_engines;
    pub use serde_json::{Value, json};
}
