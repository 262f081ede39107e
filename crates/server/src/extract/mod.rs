//! The edge where requests become values.
//!
//! Pure functions: a body, a query or a piece of a path goes in; a value, or everything that is wrong with it as the
//! contract's 422 in the array form ([`Invalid`]), comes out. Numbers and booleans are read as leniently as the existing
//! server reads them, so that its clients find no difference.
//!
//! # To read a body
//! Declare what the operation reads with [`form!`](crate::form), read the bytes with [`body::read`] and parse them with
//! [`body::form`]. Every field is optional: whether one is required is the operation's to say, in the contract's other
//! 422. A report's form is [`StatusForm`]. Serialised, a form is the echo of the request, without its secrets.
//!
//! # To read a query or a path
//! Ask a [`Query`] for each value, then [`finish`](Query::finish) it; a list bounded by time has [`RangeQuery`]. The
//! number of a row in a path is [`path::row`].

pub mod body;
mod date_parts;
pub mod datetime;
pub mod field;
mod form;
mod item;
mod json_fault;
mod or_null;
pub mod path;
mod query;
mod scalars;
pub mod schemas;
mod secret;
mod status_fields;
mod status_form;
pub mod upload;

pub use body::BodyError;
pub use date_parts::DateParts;
pub use field::Field;
pub use form::Form;
pub use item::{Fault, Invalid, Item, Loc, MASK};
pub use or_null::OrNull;
pub use query::{ID_PATTERN, Query, RangeQuery, id_schema};
pub use secret::Secret;
pub use status_fields::{JsonFields, TooLong};
pub use status_form::StatusForm;

#[cfg(test)]
mod tests;
