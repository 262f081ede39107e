//! Sessions and their cookie.

use super::general::Mode;
use super::setting::section;
use super::value::{Raw, Rejected, Value, choice, quoted};

/// Ten years: longer than any robot stands in a home.
const LONGEST_SECONDS: u64 = 315_360_000;

section! {
    /// How long a session lives, and the cookie that carries it.
    ///
    /// A session ends when it was not used for longer than its idle time; every use starts the time anew. Robots sign in as
    /// the main user of their family.
    ///
    /// The three settings of the cookie depend on `mode` unless they are set. **Development** is for plain http on
    /// localhost: `Domain=localhost; SameSite=Lax`, not `Secure`; open pages and server as `localhost`, not as `127.0.0.1`,
    /// where browsers drop a cookie of the domain `localhost`. **Release** is for https: host-only (no `Domain`, so that only
    /// this very host gets it), `Secure; SameSite=None`, which lets pages of the allowed origins on other sites sign in. If
    /// pages and server live under one registrable domain, `lax` is the better choice. Browsers drop `SameSite=None` without
    /// `Secure`, so that pair is refused. With release mode on plain http (a trial in a home network) set
    /// `cookie_secure = false`; `SameSite` is then `lax` unless it is set. If several hosts of one domain share the cookie,
    /// set `cookie_domain` to the domain they share.
    pub struct Sessions in "sessions" {
        /// Idle time of a session that neither of the next two settings is about.
        idle_seconds: u64 = 1_800, in 1..=LONGEST_SECONDS;
        /// Idle time of a main user's session.
        main_idle_seconds: u64 = 259_200, in 1..=LONGEST_SECONDS;
        /// Idle time of a session that was asked to be remembered, whoever's it is.
        remembered_idle_seconds: u64 = 2_592_000, in 1..=LONGEST_SECONDS;
        /// Time between two rounds that delete ended sessions from the database.
        cleanup_seconds: u64 = 600, in 1..=86_400;
        /// How long the server remembers a session and its memberships without asking the database; 0 turns that off. With
        /// several servers on one database this is how long a logout on one may go unnoticed by another.
        cache_ms: u64 = 2_000, in 0..=60_000;
        /// Domain of the cookie: a domain name, or `host-only` for no `Domain` at all.
        cookie_domain: Option<CookieDomain> = None, default "`localhost` in development, `host-only` in release";
        /// Whether the cookie is sent over https only.
        cookie_secure: Option<bool> = None, default "`false` in development, `true` in release";
        /// On which requests from pages of other sites browsers send the cookie.
        cookie_same_site: Option<SameSite> = None,
            default "`lax` in development and where `cookie_secure` is `false`, `none` in release";
    }
}

impl Sessions {
    /// The cookie's `Domain` in a mode, if it gets one.
    pub(super) fn cookie_domain_in(&self, mode: Mode) -> Option<&str> {
        match (&self.cookie_domain, mode) {
            (Some(CookieDomain::Domain(domain)), _) => Some(domain),
            (None, Mode::Development) => Some("localhost"),
            (Some(CookieDomain::HostOnly), _) | (None, Mode::Release) => None,
        }
    }

    /// Whether the cookie is `Secure` in a mode.
    pub(super) fn cookie_secure_in(&self, mode: Mode) -> bool {
        self.cookie_secure.unwrap_or(mode == Mode::Release)
    }

    /// The cookie's `SameSite` in a mode. `None` only goes with `Secure`.
    pub(super) fn cookie_same_site_in(&self, mode: Mode) -> SameSite {
        self.cookie_same_site.unwrap_or(match mode {
            Mode::Release if self.cookie_secure_in(mode) => SameSite::None,
            Mode::Release | Mode::Development => SameSite::Lax,
        })
    }
}

choice! {
    /// On which requests from pages of other sites browsers send a cookie.
    pub enum SameSite {
        /// On all.
        None = "none",
        /// Only when somebody follows a link.
        Lax = "lax",
        /// Never.
        Strict = "strict",
    }
}

/// Which hosts get the cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CookieDomain {
    /// The host that set it.
    HostOnly,
    /// This domain and what is below it.
    Domain(String),
}

impl Value for CookieDomain {
    fn expected() -> String {
        "a domain name such as `example.org`, or `host-only`".to_owned()
    }

    fn parse(raw: &Raw) -> Result<Self, Rejected> {
        let text = raw.text()?.to_ascii_lowercase();
        if text == "host-only" {
            return Ok(Self::HostOnly);
        }
        // It goes into a header as it is.
        let label = |label: &str| {
            !label.is_empty()
                && label.chars().all(|character| character.is_ascii_alphanumeric() || character == '-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if text.strip_prefix('.').unwrap_or(&text).split('.').all(label) {
            Ok(Self::Domain(text))
        } else {
            Err(Rejected::default())
        }
    }

    fn to_toml(&self) -> Option<String> {
        Some(match self {
            Self::HostOnly => quoted("host-only"),
            Self::Domain(domain) => quoted(domain),
        })
    }
}
