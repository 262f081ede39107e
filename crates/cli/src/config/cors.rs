//! Which web pages may call.

use reqwest::Url;

use super::general::Mode;
use super::setting::section;
use super::value::{Raw, Rejected, Value, quoted};

/// Where the existing pages are served while they are worked on.
const DEVELOPMENT_ORIGINS: [&str; 4] =
    ["http://localhost:3000", "http://localhost:8080", "http://127.0.0.1:3000", "http://127.0.0.1:8080"];

section! {
    /// Which web pages may call. The server's own origin always may; robots and programs send no origin and are not
    /// concerned. In development `http://localhost` and `http://127.0.0.1` with the ports 3000 and 8080 may call as well.
    pub struct Cors in "cors" {
        /// Further origins whose pages may call, and may send the session cookie. No wildcards.
        origins: Vec<Origin> = Vec::new();
        /// How long browsers remember the answer to a preflight request.
        max_age_seconds: u64 = 7_200, in 0..=86_400;
    }
}

impl Cors {
    /// The origins besides the server's own whose pages may call in a mode, each once.
    pub(super) fn allowed_in(&self, mode: Mode) -> Vec<String> {
        let mut allowed: Vec<String> = match mode {
            Mode::Development => DEVELOPMENT_ORIGINS.map(str::to_owned).to_vec(),
            Mode::Release => Vec::new(),
        };
        for origin in &self.origins {
            if !allowed.iter().any(|known| known == origin.as_str()) {
                allowed.push(origin.as_str().to_owned());
            }
        }
        allowed
    }
}

/// An origin as browsers write it: lower case, without the port that the scheme implies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// As in the header `Origin`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for Origin {
    fn expected() -> String {
        "an origin `scheme://host[:port]` such as `https://family.example.org`".to_owned()
    }

    fn parse(raw: &Raw) -> Result<Self, Rejected> {
        let text = raw.text()?;
        if text.contains('*') {
            return Err(Rejected::because("wildcards are not allowed, because the session cookie goes with the call"));
        }
        let url = Url::parse(text).map_err(|_| Rejected::default())?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Rejected::because("an origin has no user"));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(Rejected::because("an origin ends after the host and port"));
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(Rejected::default)?;
        let origin = url.origin();
        Ok(Self(if origin.is_tuple() {
            origin.ascii_serialization()
        } else {
            // Pages inside an app come from schemes such as `capacitor://localhost`.
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            format!("{}://{}{port}", url.scheme(), host.to_ascii_lowercase())
        }))
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(&self.0))
    }
}
