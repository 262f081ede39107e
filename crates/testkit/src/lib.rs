//! For tests only: a private database on either engine, a settable clock, repeatable randomness, people to test with.
//!
//! * `app` (a feature): a running server, called with or without a socket.
//! * [`database`]: [`TestDb`], and [`both_engines!`](crate::both_engines), which runs a test on both engines.
//! * [`fixtures`]: accounts, families and reports, made in a line.
//! * [`mariadb`]: a private MariaDB server.
//! * [`provider`]: a server that plays somebody else's service.
#![deny(missing_docs)]

#[cfg(feature = "app")]
pub mod app;
pub mod database;
pub mod fixtures;
pub mod mariadb;
pub mod provider;

pub use database::{Engine, SeededRng, TestDb};
