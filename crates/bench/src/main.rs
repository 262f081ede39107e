//! The benchmark of carebot: one command, real servers, real disks, on both engines.
//!
//! ```text
//! cargo run --release -p carebot-bench -- --write docs/performance.md
//! ```
//!
//! The servers are processes of their own (this program starts itself again, see [`child`]), so that their processor time
//! can be told from that of the load generator. Machines are noisy and the load generator takes its share of the same
//! cores; therefore the measure that counts is **processor time per request**, taken from the kernel's own
//! accounting, and everything is measured in rounds (A B C .. A B C ..), of which the medians are reported.
//!
//! * [`arguments`]: the command line.
//! * [`scene`]: a database with data in it and a server on it; [`seed`] fills it, [`child`] is the server's process.
//! * [`work`]: what is asked of a server; [`load`] asks it, [`process`] reads what it cost.
//! * [`sysbench`] and [`raw_sqlite`]: what the engines do without a server in front of them, for comparison.
//! * [`run`]: the rounds; [`report`] and [`machine`]: what comes out.
//! * [`alarms`]: streams that are open, and how long it takes until somebody has a notice.
//! * [`series`]: sums over a year, and the page that asks for the year again and again.
//! * [`pages`]: the pages for people. [`single`]: one connection that asks, for both.
//! * [`compare`]: two builds against each other, for whoever makes something faster on a machine that is not quiet.
//!
//! # To add a workload
//! A variant of [`work::Work`] with its request, its check and its targets.

mod alarms;
mod arguments;
mod child;
mod compare;
mod load;
mod machine;
mod pages;
mod process;
mod raw_sqlite;
mod report;
mod run;
mod scene;
mod seed;
mod series;
mod single;
mod sysbench;
mod work;

use std::process::ExitCode;

use arguments::{Arguments, Command};

/// The same as the program `carebot` has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What can go wrong in a benchmark ends it, with a sentence for the person at the terminal.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The result of anything here.
type Result<T = (), E = Failure> = std::result::Result<T, E>;

fn main() -> ExitCode {
    let done = match Arguments::parse(std::env::args().skip(1)) {
        Ok(Command::Help) => {
            println!("{}", arguments::HELP);
            Ok(())
        }
        Ok(Command::Server { listen, database }) if database == arguments::BARE => child::serve_bare(listen),
        Ok(Command::Server { listen, database }) => child::serve(listen, &database),
        Ok(Command::Bench(arguments)) => run::run(&arguments),
        Err(failure) => Err(failure),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("carebot-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}
