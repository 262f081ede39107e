//! The program `carebot`: the server, a demonstration, and what its operator needs.
//!
//! * [`arguments`]: the command line; each command's own flags stand in its file.
//! * [`commands`]: a file per command.
//! * [`config`]: the configuration, which commands get ready made.
//! * [`setup`]: from the configuration to a running service.
//! * [`logging`] and [`signals`]: what every long-running command has.
//! * [`client`]: the other side of the HTTP interface.
//! * [`archive`]: the files that backups and exports are; [`timeline_key`]: the file that timelines are verified with.
//! * [`failure`], [`output`] and [`secret`]: what a person at the terminal reads and types.
//!
//! # To add a command
//! Its file in `commands/`, with its flags and a function `run`, and a line each in the list and in `run` of [`arguments`].

mod archive;
mod arguments;
mod client;
mod commands;
mod config;
mod failure;
mod logging;
mod output;
mod secret;
mod setup;
mod signals;
mod timeline_key;

use std::process::ExitCode;

use clap::Parser;

/// Faster than the system's under many threads, and gives memory back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Somebody else can only have installed the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments = arguments::Arguments::parse();
    match arguments.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.show();
            failure.code()
        }
    }
}
