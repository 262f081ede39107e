//! A file per command: its flags and what it does.

pub mod account;
pub mod alarms;
pub mod backup;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod export;
pub mod family;
pub mod import;
pub mod migrate;
pub mod openapi;
pub mod replay;
pub mod restore;
pub mod retention;
pub mod serve;
pub mod simulate;
