//! Why a command did not do what it was asked for, in words for the person at the terminal.

use std::fmt;
use std::process::ExitCode;

use carebot_database::DbError;
use carebot_service::Error;

use crate::config::ConfigError;
use crate::output;

/// What every command returns.
pub type Result<T = (), E = Failure> = std::result::Result<T, E>;

/// What happened and what to do next. Never holds a secret.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    what: String,
    next: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It was tried and did not work.
    Failed,
    /// The command line or the configuration is wrong; nothing was tried.
    Usage,
    /// Everything was said already.
    Quiet,
}

impl Failure {
    /// It was tried and did not work.
    pub fn new(what: impl Into<String>) -> Self {
        Self { kind: Kind::Failed, what: what.into(), next: None }
    }

    /// The command line or the configuration is wrong.
    pub fn usage(what: impl Into<String>) -> Self {
        Self { kind: Kind::Usage, what: what.into(), next: None }
    }

    /// The command has told everything already; only the exit code is left.
    pub const fn quiet() -> Self {
        Self { kind: Kind::Quiet, what: String::new(), next: None }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// Says in front what it is about.
    #[must_use]
    pub fn about(mut self, subject: &str) -> Self {
        self.what = format!("{subject}: {}", self.what);
        self
    }

    /// Tells it on standard error.
    pub fn show(&self) {
        if self.kind != Kind::Quiet {
            output::note(&format!("error: {self}"));
        }
    }

    /// 1 if something failed, 2 if command line or configuration are wrong.
    pub fn code(&self) -> ExitCode {
        match self.kind {
            Kind::Failed | Kind::Quiet => ExitCode::from(1),
            Kind::Usage => ExitCode::from(2),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.what)?;
        if let Some(next) = &self.next {
            write!(formatter, "\n  {next}")?;
        }
        Ok(())
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::usage(error.to_string())
            .next("`carebot config reference` lists every setting; `carebot config check` tries again.")
    }
}

/// What MariaDB's number means for an operator, and what he can do.
fn mariadb_advice(text: &str) -> Option<&'static str> {
    let (_, number) = text.split_once("MariaDB error ")?;
    let number: String = number.chars().take_while(char::is_ascii_digit).collect();
    match number.as_str() {
        "1044" => Some("The user may not use this schema: GRANT ALL ON schema.* TO the user in MariaDB."),
        "1045" => {
            Some("MariaDB refuses the user or password: check database.url (special characters are percent-encoded).")
        }
        "1049" => Some(
            "The schema does not exist: CREATE DATABASE .. CHARACTER SET utf8mb4 in MariaDB, or check database.url.",
        ),
        "1040" | "1203" => {
            Some("MariaDB has too many connections: raise max_connections there, or lower database.pool_size.")
        }
        "1290" | "1792" | "1836" => Some("MariaDB is read-only: name the host that takes writes in database.url."),
        _ => None,
    }
}

/// Whether MariaDB is there and will not let us in, however often it is asked: user, password or schema is wrong.
pub fn is_refused(error: &DbError) -> bool {
    let text = error.to_string();
    ["1044", "1045", "1049"].iter().any(|number| text.contains(&format!("MariaDB error {number}")))
}

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        let text = error.to_string();
        let next = match &error {
            DbError::Unavailable(reason) => Some(
                mariadb_advice(reason)
                    .unwrap_or("Check that the database runs, and that it can be reached as database.url says."),
            ),
            DbError::Conflict(_) | DbError::OutcomeUnknown(_) => Some("Try again."),
            DbError::Statement(_) | DbError::BadValue { .. } | DbError::Duplicate { .. } | DbError::MissingParent => {
                Some("`carebot doctor` checks whether this is a carebot database and whether its schema is right.")
            }
            // These say themselves what to do.
            DbError::Configuration(_) | DbError::Schema(_) => None,
        };
        let failure = Self::new(text);
        match next {
            Some(next) => failure.next(next),
            None => failure,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::NoData { message, .. }
            | Error::Invalid(message)
            | Error::Unauthorized(message)
            | Error::NotFound(message)
            | Error::Conflict(message)
            | Error::Failed(message)
            | Error::NothingFrom(message)
            | Error::Busy(message) => Self::new(message),
            Error::TooLarge(message) | Error::OutOfBounds(message) => Self::new(message),
            Error::TooLong(field) => Self::new(format!("The value of `{field}` is too long")),
            Error::Forbidden => Self::new("this is not allowed"),
            Error::TooMany(seconds) => Self::new("too many failures").next(format!("Try again in {seconds} s.")),
            Error::Teapot => Self::new("the assistant is not there"),
            Error::Unavailable(error) | Error::Internal(error) => error.into(),
        }
    }
}
