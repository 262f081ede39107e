//! Keys of other people's services.

use std::fmt;

use super::value::{Raw, Rejected, Value, quoted};

/// What a secret looks like where it is shown.
const MASK: &str = "***";

/// A key or password; never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself, for whoever uses it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Value for Secret {
    const SECRET: bool = true;

    fn expected() -> String {
        "a key".to_owned()
    }

    fn parse(raw: &Raw) -> Result<Self, Rejected> {
        let text = raw.text()?;
        if text.is_empty() { Err(Rejected::default()) } else { Ok(Self(text.to_owned())) }
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(MASK))
    }
}
