//! Why a provider gave nothing.

/// Why a provider gave nothing. The texts are for the operator's log: they hold no key, and nothing of what people said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// No connection, or it broke.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// No complete answer within the limit of time.
    #[error("did not answer in time")]
    TimedOut,
    /// An answer that says no: the HTTP status, and the provider's own code or word for it.
    #[error("answered {status}: {reason}")]
    Refused {
        /// The HTTP status; 200 for providers that put their errors into one.
        status: u16,
        /// The provider's own code or word.
        reason: String,
    },
    /// The key is wrong, unknown or expired: trying again is useless until an operator looks.
    #[error("does not accept the key: {0}")]
    Key(String),
    /// The provider's own limit of calls is used up.
    #[error("says that its limit of calls is used up: {0}")]
    Quota(String),
    /// An answer that is not what the provider's documentation promises.
    #[error("answered something that cannot be understood: {0}")]
    Malformed(String),
    /// The provider works and has nothing for what was asked.
    #[error("has nothing for this")]
    Nothing,
    /// As many calls as may run at once are running.
    #[error("is not asked: as many calls as may run at once are running")]
    Busy,
    /// It failed too often and is left alone for a while.
    #[error("is not asked for a while: it failed too often")]
    Resting,
}

impl ProviderError {
    /// Whether the same call can succeed a moment later.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::TimedOut | Self::Busy | Self::Resting => true,
            Self::Refused { status, .. } => matches!(status, 408 | 425 | 429 | 500..=599),
            Self::Key(_) | Self::Quota(_) | Self::Malformed(_) | Self::Nothing => false,
        }
    }

    /// Whether the same call is worth a try of its own soon: the provider was asked, and may only have stumbled.
    pub(crate) const fn is_worth_a_try(&self) -> bool {
        self.is_transient() && !matches!(self, Self::Busy | Self::Resting)
    }

    /// Whether it says something about the provider's health: one that refuses nonsense is in good health.
    pub(crate) const fn is_illness(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::TimedOut | Self::Malformed(_) | Self::Key(_) | Self::Quota(_) => true,
            Self::Refused { status, .. } => matches!(status, 408 | 429 | 500..=599),
            Self::Nothing | Self::Busy | Self::Resting => false,
        }
    }
}

impl From<reqwest::Error> for ProviderError {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::TimedOut;
        }
        // The URL can hold a key.
        let error = error.without_url();
        let mut reason = error.to_string();
        let mut inner = std::error::Error::source(&error);
        while let Some(cause) = inner {
            reason = cause.to_string();
            inner = cause.source();
        }
        Self::Unreachable(reason)
    }
}
