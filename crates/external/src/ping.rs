//! Signs of life: calls an address that expects to be called, and that tells somebody when the calls end. ("Dead man's switch",
//! "heartbeat monitor": healthchecks.io, Uptime Kuma and many others.)

use std::fmt;
use std::time::Duration;

use reqwest::Url;

use crate::{Key, ProviderError, Result, http};

/// Calls one address of the operator's choice. Its path is a secret: who knows it can give signs of life for us.
#[derive(Clone)]
pub struct Ping {
    http: reqwest::Client,
    url: Url,
}

impl fmt::Debug for Ping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ping of {}", self.host())
    }
}

impl Ping {
    /// Nothing is called yet.
    ///
    /// # Errors
    /// [`ProviderError::Unreachable`] if the address is none, or TLS cannot be set up.
    pub fn new(address: &Key) -> Result<Self> {
        let url = Url::parse(&address.0).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let url = url.ok_or_else(|| ProviderError::Unreachable("its address is no web address".into()))?;
        Ok(Self { http: http::client()?, url })
    }

    /// The host that is called, which may be shown.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Gives a sign of life, once.
    ///
    /// # Errors
    /// Why nobody took it within `patience`; without the address.
    pub async fn send(&self, patience: Duration) -> Result<()> {
        let status = self.http.get(self.url.clone()).timeout(patience).send().await?.status();
        if status.is_success() {
            return Ok(());
        }
        let reason = status.canonical_reason().unwrap_or("a status without a name").to_owned();
        Err(ProviderError::Refused { status: status.as_u16(), reason })
    }
}
