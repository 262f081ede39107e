//! Where a value came from, and what is wrong with it.

use std::fmt;
use std::path::PathBuf;

/// Where an effective value came from. Later variants win over earlier ones.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Nobody set it: the built-in default.
    Default,
    /// A line of the configuration file.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// Line in it, from 1.
        line: usize,
    },
    /// An environment variable, by its name (several, if one value is made of several).
    Environment(String),
    /// A flag of the command line.
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File { path, line } => write!(formatter, "file {}, line {line}", path.display()),
            Self::Environment(name) => write!(formatter, "environment {name}"),
            Self::Flag => formatter.write_str("flag"),
        }
    }
}

/// One thing that is wrong with the configuration, in words that say what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The configuration file can not be read, or is not TOML.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// What is wrong with it, and where in it.
        message: String,
    },
    /// No setting has this name.
    UnknownKey {
        /// The name as it was written.
        key: String,
        /// Where it was written.
        source: Source,
        /// The name that was probably meant, spelled for the same source.
        nearest: String,
    },
    /// A setting has a value that it can not have.
    Value {
        /// The setting.
        key: String,
        /// Where its value was written.
        source: Source,
        /// What it is and what was expected; never the value of a secret.
        message: String,
    },
    /// Settings that are right one by one do not go together.
    Together {
        /// The settings concerned.
        keys: Vec<String>,
        /// Why they do not go together and what to do.
        message: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, message } => write!(formatter, "{}: {message}", path.display()),
            Self::UnknownKey { key, source, nearest } => {
                write!(formatter, "unknown setting `{key}` ({source}): did you mean `{nearest}`?")
            }
            Self::Value { key, source, message } => write!(formatter, "{key} ({source}): {message}"),
            Self::Together { keys, message } => write!(formatter, "{}: {message}", keys.join(", ")),
        }
    }
}

/// Everything that is wrong with the configuration, at once. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", list(.problems))]
pub struct ConfigError {
    /// The problems, in the order of the layers they were found in.
    pub problems: Vec<Problem>,
}

fn list(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(|problem| format!("\n  {problem}")).collect();
    let count = match problems.len() {
        1 => "a problem".to_owned(),
        many => format!("{many} problems"),
    };
    format!("the configuration has {count}:{}", lines.concat())
}
