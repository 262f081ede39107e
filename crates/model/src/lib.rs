//! The types every layer of carebot speaks, and the access policy.
//!
//! Nothing here does IO, looks at a clock or draws a random number: a value that got in is valid, and a decision
//! depends on its arguments alone. One file per noun; the same noun has the same file name in every other crate.
//!
//! * [`id`], [`time`], [`text`], [`wire`]: identifiers, points in time, bounded texts and closed lists of names.
//! * [`accounts`], [`families`], [`members`], [`authentication`], [`messages`], [`notifications`], [`settings`],
//!   [`backgrounds`], [`images`], [`news`], [`regions`]: the nouns.
//! * [`status`]: what a robot reports, one file per kind. To add a kind: its file there, one line in
//!   [`for_each_status_kind!`](crate::for_each_status_kind), one migration in the database crate.
//! * [`access`]: who may do what, as one exhaustive function.
#![deny(missing_docs)]

pub mod access;
pub mod accounts;
pub mod alarms;
pub mod authentication;
pub mod backgrounds;
pub mod chats;
pub mod crisis;
pub mod disasters;
pub mod families;
pub mod id;
pub mod images;
pub mod korea;
pub mod members;
pub mod messages;
pub mod mix;
pub mod news;
pub mod notifications;
pub mod regions;
pub mod settings;
pub mod status;
pub mod text;
pub mod time;
pub mod weather;
pub mod wire;

pub use id::{AccountId, FamilyId, MemberId, RowId};
pub use time::{Date, Timestamp};
