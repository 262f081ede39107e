//! What happens when something breaks: the real program, as a process, on both engines.
//!
//! The promise is always the same: what was answered with 201 is there, once, whatever died in between; who cannot be
//! served is told so (503) and not sent away (403); afterwards everything works again without anybody's help.

mod alarms;
mod database_away;
mod deletion;
#[cfg(target_os = "linux")]
mod disk_full;
mod hostile;
mod killed;
mod shutdown;
mod slow_clients;
mod support;
mod two_servers;
