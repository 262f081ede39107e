//! `carebot config`: what is configured, and what can be.

use clap::{Args, Subcommand};

use crate::arguments::Common;
use crate::config::reference_markdown;
use crate::failure::Result;
use crate::output;

/// Checks, prints or explains the configuration
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  \
                  carebot config check --config /etc/carebot/carebot.toml\n  \
                  carebot config print"
)]
pub struct Flags {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tells what is wrong with file, environment and flags
    #[command(
        after_help = "Example:\n  carebot config check --config carebot.toml\n\nExit code: 0 when nothing is wrong, else 2."
    )]
    Check,
    /// Prints what is in force and where each value comes from, as TOML with passwords masked
    #[command(after_help = "Example:\n  carebot config print --set mode=development")]
    Print,
    /// Prints every setting with its meaning and default, as Markdown
    #[command(after_help = "Example:\n  carebot config reference | less")]
    Reference,
}

/// Runs the command.
pub fn run(common: &Common, flags: &Flags) -> Result {
    match flags.command {
        Command::Check => check(common),
        Command::Print => {
            output::write(common.load(Vec::new())?.to_toml_masked().trim_start());
            Ok(())
        }
        Command::Reference => {
            output::write(&reference_markdown());
            Ok(())
        }
    }
}

fn check(common: &Common) -> Result {
    let config = common.load(Vec::new())?;
    if let Some(warning) = config.images_warning() {
        output::note(warning);
    }
    output::line(&format!("The configuration is right ({} mode).", config.mode().as_str()));
    Ok(())
}
