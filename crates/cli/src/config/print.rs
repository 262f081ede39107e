//! The effective configuration as text.

use std::fmt::Write as _;

use super::value::{Value, quoted};
use super::{Config, Mode, Source};

/// Comments begin here, if the line is not longer.
const COMMENT_COLUMN: usize = 52;

impl Config {
    /// The effective values as TOML, secrets masked, every line with where it came from. What depends on the mode is
    /// written as it comes out; what is not set at all is a comment.
    pub fn to_toml_masked(&self) -> String {
        let mut text = String::new();
        let mut section = "";
        for (setting, value) in self.written() {
            if setting.section != section {
                section = setting.section;
                let _ = writeln!(text, "\n[{section}]");
            }
            let key = setting.key();
            let (line, source) = match (value, self.by_mode(&key)) {
                (Some(value), _) => (format!("{} = {value}", setting.name), self.source(&key).to_string()),
                (None, Some(value)) => (format!("{} = {value}", setting.name), self.mode_source()),
                (None, None) => (format!("# {} is not set", setting.name), self.source(&key).to_string()),
            };
            let _ = writeln!(text, "{line:COMMENT_COLUMN$} # {source}");
        }
        text
    }

    /// The value that follows from the mode where a setting is not set.
    fn by_mode(&self, key: &str) -> Option<String> {
        match key {
            "server.docs" => self.docs().to_toml(),
            "sessions.cookie_domain" => Some(quoted(self.cookie_domain().unwrap_or("host-only"))),
            "sessions.cookie_secure" => self.cookie_secure().to_toml(),
            "sessions.cookie_same_site" => self.cookie_same_site().to_toml(),
            "log.format" => self.log_format().to_toml(),
            _ => None,
        }
    }

    fn mode_source(&self) -> String {
        match self.mode() {
            Mode::Development => format!("{} in development", Source::Default),
            Mode::Release => format!("{} in release", Source::Default),
        }
    }
}
