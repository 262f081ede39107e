//! The contract of the connector: every function, on both engines. One file per noun, as in `src/`.
//!
//! A test is written once, in `both_engines!`, and gets a database of its own.

mod accounts;
mod authentication;
mod catalogue;
mod chats;
mod connector;
mod contacts;
mod deletion;
mod disasters;
mod families;
mod idempotency;
mod images;
mod import;
mod journal;
mod leases;
mod listing;
mod members;
mod messages;
mod migrate;
mod notifications;
mod parity;
mod presence;
mod rollups;
mod row_ids;
mod scans;
mod status;
mod tools;
mod weather;

/// What nearly every test needs.
mod prelude {
    pub use carebot_database::listing::Range;
    pub use carebot_database::{DbError, params, transact};
    pub use carebot_model::accounts::Role;
    pub use carebot_model::wire::Order;
    pub use carebot_model::{AccountId, Date, FamilyId, MemberId, RowId, Timestamp};
    pub use carebot_testkit::fixtures::{TEXTS, blank, new_account, permit, sample};
    pub use carebot_testkit::{TestDb, both_engines, only_mariadb, only_sqlite};

    /// The same id with the letter case of all but the first letter turned around: another id.
    pub fn other_case(id: &str) -> String {
        id.chars()
            .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
            .collect()
    }
}
