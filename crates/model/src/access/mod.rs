//! Who may do what.
//!
//! A caller is an [`Actor`]; towards a family or an account the actor stands in [`Relations`]; [`rules`] decides for each
//! [`Relation`] and [`Action`]; what is allowed becomes a [`Permit`], which data functions ask for.
//!
//! # To add a right
//! Add a variant to [`Action`]: the compiler then asks for its name and its rule. Accept the new matrix with
//! `CAREBOT_ACCEPT=1 cargo test -p carebot-model`.

mod action;
mod actor;
mod permit;
mod relation;
pub mod rules;

pub use action::Action;
pub use actor::{Actor, Membership, SessionInfo};
pub use permit::{Denied, Permit};
pub use relation::{Relation, Relations};
