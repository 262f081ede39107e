//! The one error of the use cases.

use carebot_database::DbError;
use carebot_database::connector::error::Retryable;
use carebot_model::access::Denied;

/// Why a use case did not do what it was asked for.
///
/// The refusals carry the contract's sentence, made to be shown. What happened inside has no place in them: it is in
/// [`Error::Unavailable`] and [`Error::Internal`], which are logged and shown without their reason.
#[derive(Debug)]
pub enum Error {
    /// Something required is missing (422 `no data`): where, and the contract's sentence.
    NoData {
        /// `body` or `query`, then the names of what is missing.
        loc: Vec<&'static str>,
        /// The contract's sentence.
        message: &'static str,
    },
    /// A value that cannot be (400 `invalid value`).
    Invalid(&'static str),
    /// A number that is not within its bounds (400 `invalid value`): the sentence, which tells them.
    OutOfBounds(String),
    /// A text that is too long for its field (400 `invalid value`): the field.
    TooLong(&'static str),
    /// More than there may be (413 `too large`): the sentence, which tells how much.
    TooLarge(String),
    /// A wrong password or dead session (401 `unauthorized`).
    Unauthorized(&'static str),
    /// Not allowed (403 `can not access`).
    Forbidden,
    /// There is no such thing (404 `not found`).
    NotFound(&'static str),
    /// Something stands against it (409 `already exists`).
    Conflict(&'static str),
    /// Too many failures (429): try again after so many seconds.
    TooMany(u64),
    /// As much at once as one may (429): the sentence.
    Busy(&'static str),
    /// The assistant is not there (418).
    Teapot,
    /// Another service is needed, and is off or failed (500 `server error`).
    Failed(&'static str),
    /// Another service has nothing (404 `not found`, with an empty result).
    NothingFrom(&'static str),
    /// The database cannot be used at the moment (503); nothing was acknowledged.
    Unavailable(DbError),
    /// A fault of this program or of stored data (500).
    Internal(DbError),
}

impl Error {
    /// Whether it is about what was asked for, and whoever asked can do something about it.
    pub const fn is_refusal(&self) -> bool {
        !matches!(
            self,
            Self::Teapot | Self::Failed(_) | Self::NothingFrom(_) | Self::Unavailable(_) | Self::Internal(_)
        )
    }

    /// Whether the same request can succeed when it is sent again.
    pub const fn retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::TooMany(_) | Self::Busy(_))
    }
}

impl Retryable for Error {
    fn retryable(&self) -> bool {
        matches!(self, Self::Unavailable(error) if error.retryable())
    }
}

impl From<DbError> for Error {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Conflict(_)
            | DbError::Unavailable(_)
            | DbError::OutcomeUnknown(_)
            | DbError::Configuration(_)
            | DbError::Schema(_) => Self::Unavailable(error),
            DbError::Duplicate { .. } | DbError::MissingParent | DbError::BadValue { .. } | DbError::Statement(_) => {
                Self::Internal(error)
            }
        }
    }
}

impl From<Denied> for Error {
    fn from(_: Denied) -> Self {
        Self::Forbidden
    }
}
