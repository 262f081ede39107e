//! Sessions.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{AccountId, RowId, Timestamp, wire_enum};

wire_enum!(
    /// Who holds a session.
    SessionKind {
        /// A person in a browser.
        Person = "person",
        /// A robot: a session becomes one when it reports. It is ended only by logging out, by idling or when that is
        /// asked for by name, because a fall reported with a dead session would be refused.
        Robot = "robot",
    }
);

/// A session without its token, as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Session {
    /// Its number.
    pub id: RowId,
    /// The account that signed in.
    pub account_id: AccountId,
    /// Who holds it.
    pub kind: SessionKind,
    /// What its owner calls it, at most 64 code points; first the program's user agent.
    pub label: Option<String>,
    /// Whether the account was an elder's when it signed in: decides how long it may idle.
    pub is_main: bool,
    /// Whether it is to be remembered: decides how long it may idle.
    pub is_remembered: bool,
    /// When it signed in.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_seen: Timestamp,
    /// When it was ended by somebody else, if it was.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used after it had been ended: its program has to sign in again.
    pub refused_at: Option<Timestamp>,
}

/// How long a session may idle, in milliseconds; the limit itself is still allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleLimits {
    /// Guardians, operators: 30 minutes by default.
    pub normal: i64,
    /// Elders: 3 days by default.
    pub main: i64,
    /// Remembered sessions of anybody: 30 days by default.
    pub remembered: i64,
}

impl Default for IdleLimits {
    fn default() -> Self {
        Self { normal: 1_800_000, main: 259_200_000, remembered: 2_592_000_000 }
    }
}

impl IdleLimits {
    /// The last use of a session is written at most once in this many milliseconds, and a session lives this much
    /// longer than its limit so that the missing writes never end it early.
    pub const WRITE_INTERVAL: i64 = 60_000;

    /// The limit that holds for a session.
    pub const fn limit(&self, is_main: bool, is_remembered: bool) -> i64 {
        if is_remembered {
            self.remembered
        } else if is_main {
            self.main
        } else {
            self.normal
        }
    }

    /// Whether a session last seen at `last_seen` (as written) is dead at `now`.
    pub const fn is_expired(&self, is_main: bool, is_remembered: bool, last_seen: Timestamp, now: Timestamp) -> bool {
        now.since(last_seen) > self.limit(is_main, is_remembered) + Self::WRITE_INTERVAL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_never_ended_before_its_limit() {
        let limits = IdleLimits::default();
        let seen = Timestamp::from_millis(0);
        let after = |seconds: i64| Timestamp::from_millis(seconds * 1000);
        assert!(!limits.is_expired(false, false, seen, after(1_800)));
        assert!(!limits.is_expired(false, false, seen, after(1_860)));
        assert!(limits.is_expired(false, false, seen, after(1_861)));
        assert!(!limits.is_expired(true, false, seen, after(259_200)));
        assert!(limits.is_expired(true, false, seen, after(259_261)));
        assert!(!limits.is_expired(false, true, seen, after(2_592_000)));
        assert!(limits.is_expired(true, true, seen, after(2_592_061)));
    }
}
