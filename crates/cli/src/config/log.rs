//! Messages of the program.

use tracing_subscriber::EnvFilter;

use super::setting::section;
use super::value::{Raw, Rejected, Value, choice, quoted};

section! {
    /// Messages of the program, written to standard error.
    pub struct Log in "log" {
        /// How messages are written: `pretty` for people, `json` for collectors.
        format: Option<LogFormat> = None, default "`pretty` in development, `json` in release";
        /// Which messages are written: a level (`error`, `warn`, `info`, `debug`, `trace`), or levels by part of the program
        /// such as `info,carebot_database=debug`.
        filter: LogFilter = LogFilter::default();
    }
}

choice! {
    /// How messages are written.
    pub enum LogFormat {
        /// For people.
        Pretty = "pretty",
        /// One JSON object a line.
        Json = "json",
    }
}

/// Which messages are written, in the language of `tracing_subscriber::EnvFilter`; always a valid one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// As text, for `EnvFilter::new`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for LogFilter {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl Value for LogFilter {
    fn expected() -> String {
        "a level or a list of `part=level`".to_owned()
    }

    fn parse(raw: &Raw) -> Result<Self, Rejected> {
        let text = raw.text()?;
        if text.is_empty() {
            return Err(Rejected::default());
        }
        EnvFilter::try_new(text).map_err(|error| Rejected::because(error.to_string()))?;
        Ok(Self(text.to_owned()))
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(&self.0))
    }
}
