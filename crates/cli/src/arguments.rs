//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands;
use crate::config::{Config, Loader};
use crate::failure::Result;

/// The backend of a companion robot for older people living alone.
#[derive(Debug, Parser)]
#[command(
    name = "carebot",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    max_term_width = 100,
    after_help = "To see it work:         carebot demo\n\
                  To run it in earnest:   carebot serve --database sqlite:carebot.db\n\
                  Help for a command:     carebot help serve\n\n\
                  Exit codes: 0 done, 1 failed, 2 wrong command line or configuration."
)]
pub struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Flags that every command understands.
#[derive(Debug, Args)]
pub struct Common {
    /// Configuration file; it must exist. Without this, `carebot.toml` in the working directory, if there is one
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub config: Option<PathBuf>,
    /// Sets any setting, above file and environment: `--set accounts.password_min_length=10`. Can be repeated
    #[arg(long, global = true, value_name = "NAME=VALUE", value_parser = setting, help_heading = "Global options")]
    pub set: Vec<(String, String)>,
    /// Tells more on standard error
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub verbose: bool,
}

/// Which database, for the commands that use one.
#[derive(Debug, Args)]
pub struct DatabaseFlags {
    /// `sqlite:PATH` or `mariadb://user:password@host[,host]/schema`. Others on this machine can see a password given
    /// here: rather set `CAREBOT_DATABASE__URL` or `database.url` in the file
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(commands::demo::Flags),
    Serve(commands::serve::Flags),
    Migrate(commands::migrate::Flags),
    Account(commands::account::Flags),
    Family(commands::family::Flags),
    Alarms(commands::alarms::Flags),
    Replay(commands::replay::Flags),
    Simulate(commands::simulate::Flags),
    Import(commands::import::Flags),
    Backup(commands::backup::Flags),
    Restore(commands::restore::Flags),
    Retention(commands::retention::Flags),
    Export(commands::export::Flags),
    Doctor(commands::doctor::Flags),
    Config(commands::config::Flags),
    Openapi(commands::openapi::Flags),
}

impl Arguments {
    /// Runs the command.
    pub fn run(self) -> Result {
        let common = self.common;
        match self.command {
            Command::Demo(flags) => commands::demo::run(&common, &flags),
            Command::Serve(flags) => commands::serve::run(&common, &flags),
            Command::Migrate(flags) => commands::migrate::run(&common, &flags),
            Command::Account(flags) => commands::account::run(&common, &flags),
            Command::Family(flags) => commands::family::run(&common, &flags),
            Command::Alarms(flags) => commands::alarms::run(&common, &flags),
            Command::Replay(flags) => commands::replay::run(&common, &flags),
            Command::Simulate(flags) => commands::simulate::run(&common, &flags),
            Command::Import(flags) => commands::import::run(&common, &flags),
            Command::Backup(flags) => commands::backup::run(&common, &flags),
            Command::Restore(flags) => commands::restore::run(&common, &flags),
            Command::Retention(flags) => commands::retention::run(&common, &flags),
            Command::Export(flags) => commands::export::run(&common, &flags),
            Command::Doctor(flags) => commands::doctor::run(&common, &flags),
            Command::Config(flags) => commands::config::run(&common, &flags),
            Command::Openapi(_) => commands::openapi::run(),
        }
    }
}

impl Common {
    /// Loads the configuration with a command's own flags on top.
    pub fn load(&self, flags: Vec<(&'static str, String)>) -> Result<Config> {
        Ok(self.loader().flags(flags).load()?)
    }

    /// The layers every command shares, for one that wants others as well.
    pub fn loader(&self) -> Loader {
        Config::loader().file(self.config.clone()).environment(std::env::vars_os()).flags(self.set.clone())
    }
}

impl DatabaseFlags {
    /// As settings.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        self.database.iter().map(|url| ("database.url", url.clone())).collect()
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err("write the dotted name of a setting, `=` and its value, such as `log.filter=debug`".to_owned()),
    }
}
