//! Keys of other people's services, and addresses that are keys.

use std::fmt;

use reqwest::Url;

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

/// An address whose path lets anybody in who knows it: shown by its host only.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(Url);

impl SecretUrl {
    /// The whole address, for whoever calls it.
    pub fn reveal(&self) -> &str {
        self.0.as_str()
    }

    /// `https://hc.example:8443/***`.
    fn shown(&self) -> String {
        format!("{}/{MASK}", self.0.origin().ascii_serialization())
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl Value for SecretUrl {
    const SECRET: bool = true;

    fn expected() -> String {
        "a URL with `https://` or `http://`".to_owned()
    }

    fn parse(raw: &Raw) -> Result<Self, Rejected> {
        let url = Url::parse(raw.text()?).map_err(|_| Rejected::default())?;
        let is_one = matches!(url.scheme(), "http" | "https") && url.has_host();
        if is_one { Ok(Self(url)) } else { Err(Rejected::default()) }
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(&self.shown()))
    }
}
