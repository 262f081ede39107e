//! `carebot simulate`: days of many homes in minutes, with everything that can break breaking.
//!
//! What runs is the real thing: the use cases, the rules, the outbox, the embedded database on disk. Only the clock, the
//! robots, the people and the channels are simulated, and a seed decides all of it: the same seed is the same run.

mod faults;
mod phones;
mod report;
mod world;

use std::path::PathBuf;

use clap::Args;

use self::faults::Profile;
use self::report::Report;
use self::world::World;
use crate::arguments::Common;
use crate::failure::{Failure, Result};
use crate::output::Progress;
use crate::{logging, output};

/// Simulates homes, people and failures, and counts what became of every alarm
#[derive(Debug, Args)]
#[command(
    long_about = "Simulates robots that report falls, gas and calls for help, guardians who confirm or do not, and servers that are \
                  killed at any write, lose the answer of a commit, run out of disk, have their clock jump and their providers fail. \
                  The servers are the real ones, on a real embedded database; the clock is simulated, so that days pass in minutes.\n\n\
                  Counted is what became of every alarm. It ends with 1 if one was lost, or if people were disturbed twice by the same \
                  step more often than one time in a thousand. The same seed is the same run.",
    after_help = "Examples:\n  carebot simulate\n  carebot simulate --criticals 100000 --seed 42\n  carebot simulate --no-faults --servers 1"
)]
pub struct Flags {
    /// Decides everything that is left to chance; printed at the beginning
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// How many critical things happen
    #[arg(long, value_name = "NUMBER", default_value_t = 2_000)]
    criticals: u32,
    /// How many homes there are
    #[arg(long, value_name = "NUMBER", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    homes: u32,
    /// How many servers work on the database
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=4))]
    servers: u32,
    /// Nothing breaks
    #[arg(long)]
    no_faults: bool,
    /// Where the database is made; a folder of the system's temporary ones if absent. It is removed at the end
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// The database is left for whoever wants to look what happened
    #[arg(long)]
    keep: bool,
}

/// Runs the command.
pub fn run(common: &Common, flags: &Flags) -> Result {
    if common.config.is_some() || !common.set.is_empty() {
        return Err(Failure::usage("a simulation takes no configuration").next("Its flags are all there is to set."));
    }
    logging::for_simulation(common.verbose);
    let seed = flags.seed.unwrap_or_else(report::any_seed);
    output::line(&format!(
        "seed {seed}: {} criticals in {} homes, {} servers, {}",
        flags.criticals,
        flags.homes,
        flags.servers,
        if flags.no_faults { "no faults" } else { "with faults" }
    ));
    output::line(&format!("again: {}", again(flags, seed)));
    // One thread, and one thing at a time: otherwise no run would be like another.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("the simulation could not be started: {error}")))?;
    let report = runtime.block_on(async {
        let profile = if flags.no_faults { Profile::NONE } else { Profile::USUAL };
        let mut world = World::new(flags, seed, profile).await?;
        let mut progress = Progress::new();
        world.run(&mut |told, of| progress.show(|| format!("{told} of {of}"))).await?;
        progress.clear();
        let report = world.report().await?;
        world.end(flags.keep).await;
        Ok::<Report, Failure>(report)
    })?;
    for line in report.lines() {
        output::line(&line);
    }
    if report.is_good() {
        Ok(())
    } else {
        Err(Failure::new("an alarm was lost, or people were disturbed too often").next(again(flags, seed)))
    }
}

fn again(flags: &Flags, seed: u64) -> String {
    let Flags { criticals, homes, servers, no_faults, .. } = flags;
    let faults = if *no_faults { " --no-faults" } else { "" };
    format!("carebot simulate --seed {seed} --criticals {criticals} --homes {homes} --servers {servers}{faults}")
}
