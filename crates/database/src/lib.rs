//! The database connector of carebot: one set of functions on SQLite and MariaDB.
//!
//! It is a library of its own: any Rust service can open a database by URL and call the functions.
//!
//! ```no_run
//! # async fn example() -> Result<(), carebot_database::DbError> {
//! use carebot_database::{Db, Options, status};
//! use carebot_model::access::{Action, Permit, Relation, Relations};
//! use carebot_model::{FamilyId, status::Home};
//!
//! let db = Db::open(&"mariadb://carebot:secret@localhost/carebot".parse()?, &Options::default()).await?;
//! let family = FamilyId::parse("F234567890123456").expect("an id");
//! // The program acts for its operator, and says so.
//! let permit = Permit::ask(Relations::of(Relation::System), Action::StatusRead, family).expect("operators may read");
//! let newest = status::latest::<Home>(&mut db.read(), &permit).await?;
//! # let _ = newest; Ok(()) }
//! ```
//!
//! * [`connector`]: `Db`, `Tx`, `Row`, `Value`, the [`transact!`] macro, [`DbError`], migrations.
//! * One module per noun, the same names as in every other crate: [`accounts`], [`authentication`], [`chats`], [`families`], [`images`], [`members`], [`messages`],
//!   [`notifications`], [`status`], [`tools`]; [`rollups`], which sums reports up; and [`deletion`], which empties what was deleted in bounded steps.
//! * [`import`]: moving an existing installation over.
//! * [`ambient`]: clock, randomness and row numbers, which come in as arguments everywhere.
//!
//! # To add a function
//! Write it once in the noun's module, in the SQL that both engines understand, against `&mut Tx`; times and ids are
//! made by the caller. Add its test to `tests/`, where every test runs on both engines.
#![deny(missing_docs)]

pub mod accounts;
pub mod alarms;
pub mod ambient;
pub mod authentication;
pub mod backup;
pub mod board;
pub mod chats;
pub mod connector;
pub mod contacts;
pub mod deletion;
pub mod deliveries;
pub mod disasters;
pub mod families;
pub mod idempotency;
pub mod images;
pub mod import;
pub mod invitations;
pub mod journal;
pub mod leases;
pub mod listing;
pub mod members;
pub mod messages;
pub mod notifications;
pub mod overview;
pub mod presence;
pub mod resets;
pub mod rollups;
pub mod rules;
pub mod status;
pub mod tools;
pub mod weather;

pub use connector::error::DbError;
pub use connector::migrate;
pub use connector::row::Row;
pub use connector::tx::Tx;
pub use connector::url::DbUrl;
pub use connector::value::Value;
pub use connector::{Db, Options};

/// What every function of this crate returns.
pub type Result<T, E = DbError> = std::result::Result<T, E>;
