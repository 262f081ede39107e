//! Messages of the program, to standard error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{Config, LogFormat};
use crate::output;

/// The parts of this program, for `--verbose`.
const PARTS: [&str; 4] = ["carebot", "carebot_server", "carebot_service", "carebot_database"];

/// For the server: as configured, and with `verbose` this program's own messages of level `debug` as well.
pub fn for_server(config: &Config, verbose: bool) {
    start(&filter(config.log.filter.as_str(), verbose), config.log_format());
}

/// For the other commands: only what goes wrong, because they answer on standard output.
pub fn for_command(verbose: bool) {
    start(&filter("warn", verbose), LogFormat::Pretty);
}

/// For simulations, in which everything goes wrong all the time: nothing, unless it is asked for.
pub fn for_simulation(verbose: bool) {
    start(&filter("off", verbose), LogFormat::Pretty);
}

fn filter(base: &str, verbose: bool) -> String {
    let mut filter = base.to_owned();
    if verbose {
        filter.extend(PARTS.map(|part| format!(",{part}=debug")));
    }
    filter
}

fn start(filter: &str, format: LogFormat) {
    let builder = fmt().with_env_filter(EnvFilter::new(filter)).with_writer(std::io::stderr);
    match format {
        LogFormat::Pretty => builder.with_ansi(output::is_terminal()).with_target(false).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
}
