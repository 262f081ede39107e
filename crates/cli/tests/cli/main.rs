//! The program as its users meet it: run as a process, spoken to over HTTP, stopped with signals.

mod support;

mod accounts;
mod alarms;
mod backup;
mod configuration;
mod demo;
mod doctor;
mod import;
mod migrate;
mod replay;
mod serve;
mod simulation;
mod tls;
