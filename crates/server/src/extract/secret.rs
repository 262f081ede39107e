//! Texts that must not be shown.

use std::fmt;

use serde::{Serialize, Serializer};

use super::item::MASK;

/// A password or a session's token. It shows itself as `<PASSWORD>` in an echo, in a log and in a debugger.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself: for checking and hashing only.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no text; to the contract that is the same as none at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}
