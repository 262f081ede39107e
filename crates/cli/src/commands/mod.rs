//! A file per command: its flags and what it does.

pub mod migrate;
pub mod serve;
