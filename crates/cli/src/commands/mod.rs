//! A file per command: its flags and what it does.

pub mod account;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod family;
pub mod migrate;
pub mod openapi;
pub mod replay;
pub mod serve;
