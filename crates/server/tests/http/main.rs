//! What goes over the wire, on both engines. One file per noun, as in `src/routes/`; and what concerns all of them.
//!
//! Requests go through the whole server, without a socket where that makes no difference. Every answer of every test is
//! also checked against the OpenAPI document (`carebot_testkit::app`).
//!
//! # To add an operation
//! Its tests go into its noun's file, a valid request for it into the list in `access/cases.rs`; accept the new line of
//! `access.txt` with `CAREBOT_ACCEPT=1`.

/// Waits for what happens by itself, on a socket or in a task that nobody waits for. It must within two minutes.
macro_rules! until {
    ($what:expr, $is_so:expr) => {{
        let begun = std::time::Instant::now();
        while !$is_so {
            assert!(begun.elapsed() < std::time::Duration::from_mins(2), "it does not happen that {}", $what);
            // Not without a pause: whoever does it needs the processor.
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }};
}

mod access;
mod clients;
mod edge;
mod hostile;
mod logs;
mod races;
mod ranges;
mod sign_in;
mod socket;
mod texts;

mod accounts;
mod alarm_wire;
mod alarms;
mod assistant;
mod auth;
mod chats;
mod contacts;
mod disasters;
mod events;
mod families;
mod images;
mod ingest;
mod members;
mod messages;
mod news;
mod notify;
mod outward;
mod pages;
mod pages_alarms;
mod pages_people;
mod polls;
mod rules;
mod series;
mod server;
mod sessions;
mod status;
mod tools;
mod weather;

/// What nearly every test needs.
mod prelude {
    pub use carebot_model::accounts::Role;
    pub use carebot_testkit::app::{ANYONE, House, PASSWORD, Person, Reply, TestApp};
    pub use carebot_testkit::both_engines;
    pub use serde_json::{Value, json};
}
