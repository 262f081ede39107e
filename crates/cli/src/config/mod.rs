//! What the program can be told: a section a file, a setting an entry of its section.
//!
//! Values come in layers; a later one wins:
//!
//! 1. the defaults that stand in the sections,
//! 2. `carebot.toml`,
//! 3. the variables of the original system (`DB_HOST` ..),
//! 4. the environment, `CAREBOT_SECTION__FIELD`,
//! 5. flags of the command line.
//!
//! The environment is an argument, so that loading is a function of what it is given (and of the file).
//!
//! # To add a setting
//!
//! Write one entry in its section's file: the doc comment, the name, type, default and range. The file's key, the
//! environment variable, the check and `docs/configuration.md` follow from it; accept the changed document with
//! `CAREBOT_ACCEPT=1 cargo test -p carebot-cli reference`. What is only wrong together with other settings is checked in
//! [`Config::check`].
//!
//! # To add a section
//!
//! A file like the others, and one line in the list below.

mod accounts;
mod alarms;
mod assistant;
mod cors;
mod database;
mod disasters;
mod environment;
mod families;
mod file;
mod general;
mod images;
mod load;
mod log;
mod mail;
mod metrics;
mod network;
mod news;
mod original;
mod print;
mod problem;
mod reader;
mod reference;
mod retention;
mod secret;
mod server;
mod sessions;
mod setting;
mod status;
mod throttle;
mod tls;
mod value;
mod weather;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use accounts::Accounts;
pub use alarms::Alarms;
pub use assistant::Assistant;
pub use cors::Cors;
pub use database::Database;
pub use disasters::Disasters;
pub use families::{Families, Join};
pub use general::{General, Mode};
pub use images::Images;
pub use load::Loader;
pub use log::{Log, LogFormat};
pub use mail::Mail;
pub use metrics::Metrics;
pub use news::News;
pub use problem::{ConfigError, Problem, Source};
pub use reference::reference_markdown;
pub use retention::Retention;
pub use server::Server;
pub use sessions::{SameSite, Sessions};
pub use status::Status;
pub use throttle::Throttle;
pub use tls::Tls;
pub use weather::Weather;

use reader::Reader;
use setting::{Section, Setting};

/// The sections in the order of the reference, the struct that holds them, and what is done with each of them.
macro_rules! sections {
    ($( $(#[doc = $doc:literal])+ $field:ident: $Section:ty ),+ $(,)?) => {
        /// The effective configuration. Made by a [`Loader`].
        #[derive(Debug, Clone, Default)]
        pub struct Config {
            $( $(#[doc = $doc])+ pub $field: $Section, )+
            /// Where every value that is not a default came from, by dotted name.
            sources: BTreeMap<String, Source>,
        }

        impl Config {
            fn read(reader: &mut Reader) -> Self {
                Self {
                    $( $field: Section::read(reader), )+
                    sources: BTreeMap::new(),
                }
            }

            /// Every section's settings with their values in TOML, secrets masked.
            fn written(&self) -> Vec<(Setting, Option<String>)> {
                let mut all = Vec::new();
                $( all.extend(<$Section>::settings().into_iter().zip(self.$field.written())); )+
                all
            }
        }

        /// Every setting there is, in the order of the sections.
        fn all_settings() -> Vec<Setting> {
            let mut all = Vec::new();
            $( all.extend(<$Section>::settings()); )+
            all
        }

        /// Name and doc comment of every section.
        fn all_sections() -> Vec<(&'static str, &'static [&'static str])> {
            vec![$( (<$Section>::NAME, <$Section>::ABOUT) ),+]
        }
    };
}

sections! {
    /// What stands above all sections.
    general: General,
    /// How the program listens and what it accepts.
    server: Server,
    /// Encryption by the program itself.
    tls: Tls,
    /// Figures for Prometheus.
    metrics: Metrics,
    /// Where the data is.
    database: Database,
    /// Rules for accounts.
    accounts: Accounts,
    /// Sessions and their cookie.
    sessions: Sessions,
    /// Slowing down those who guess passwords.
    throttle: Throttle,
    /// Rules for families.
    families: Families,
    /// Which web pages may call.
    cors: Cors,
    /// Bounds of long reports.
    status: Status,
    /// How long reports are kept.
    retention: Retention,
    /// Pictures that people upload.
    images: Images,
    /// Who talks with the elder.
    assistant: Assistant,
    /// The weather.
    weather: Weather,
    /// News.
    news: News,
    /// Disaster messages.
    disasters: Disasters,
    /// Alarms.
    alarms: Alarms,
    /// The mail server.
    mail: Mail,
    /// Messages of the program.
    log: Log,
}

impl Config {
    /// Starts loading: see [`Loader`].
    pub fn loader() -> Loader {
        Loader::default()
    }

    /// Whether the program is developed with, or in earnest.
    pub fn mode(&self) -> Mode {
        self.general.mode
    }

    /// Where the value of a setting, given by its dotted name, came from.
    pub fn source(&self, key: &str) -> &Source {
        self.sources.get(key).unwrap_or(&Source::Default)
    }

    /// Whether the documentation page is served: as set, or in development only.
    pub fn docs(&self) -> bool {
        self.server.docs.unwrap_or(self.mode() == Mode::Development)
    }

    /// How messages are written: as set, or pretty in development and JSON in release.
    pub fn log_format(&self) -> LogFormat {
        self.log.format.unwrap_or(match self.mode() {
            Mode::Development => LogFormat::Pretty,
            Mode::Release => LogFormat::Json,
        })
    }

    /// The cookie's `Domain`, if it gets one: as set, or `localhost` in development and none in release.
    pub fn cookie_domain(&self) -> Option<&str> {
        self.sessions.cookie_domain_in(self.mode())
    }

    /// Whether the cookie is `Secure`: as set, or in release only.
    pub fn cookie_secure(&self) -> bool {
        self.sessions.cookie_secure_in(self.mode())
    }

    /// The cookie's `SameSite`: as set, or `Lax` in development and `None` in release.
    pub fn cookie_same_site(&self) -> SameSite {
        self.sessions.cookie_same_site_in(self.mode())
    }

    /// The origins besides the server's own whose pages may call, as browsers write them.
    pub fn allowed_origins(&self) -> Vec<String> {
        self.cors.allowed_in(self.mode())
    }

    /// Whether browsers would drop the session cookie, because nothing here tells of https: no certificate, no proxy.
    pub fn is_http_for_robots_only(&self) -> bool {
        self.cookie_secure()
            && self.tls.files().is_none()
            && self.server.trusted_proxies.is_empty()
            && self.server.public_url.is_none()
    }

    /// Everything that is wrong with settings that are right one by one; empty if nothing is.
    ///
    /// A [`Loader`] has checked this already. To be asked again by whoever changes a loaded configuration.
    pub fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut together = |keys: &[&str], message: &str| {
            let named =
                keys.iter().map(|key| format!("{key} ({})", self.source(key))).collect::<Vec<_>>().join(" and ");
            problems.push(Problem::Together {
                keys: keys.iter().map(|key| (*key).to_owned()).collect(),
                message: format!("{message} [{named}]"),
            });
        };
        if self.tls.certificate.is_some() != self.tls.key.is_some() {
            together(&["tls.certificate", "tls.key"], "set both or neither");
        }
        if self.cookie_same_site() == SameSite::None && !self.cookie_secure() {
            together(
                &["sessions.cookie_same_site", "sessions.cookie_secure"],
                "browsers drop a cookie with SameSite=None that is not Secure; use `lax`, or set cookie_secure to true",
            );
        }
        let bucket = self.images.is_in_bucket();
        if self.images.s3_access_key.is_some() != self.images.s3_secret_key.is_some() {
            together(&["images.s3_access_key", "images.s3_secret_key"], "set both or neither");
        }
        if self.images.s3_endpoint.as_ref().is_some_and(|url| url.as_str().starts_with("http:"))
            && !self.images.s3_allow_http
        {
            together(
                &["images.s3_endpoint", "images.s3_allow_http"],
                "over plain http everybody on the way can read pictures; use https, or set s3_allow_http to true",
            );
        }
        if !bucket && (self.images.s3_endpoint.is_some() || self.images.s3_access_key.is_some()) {
            together(
                &["images.storage", "images.s3_endpoint"],
                "S3 without a bucket does nothing; set storage to `s3://bucket/prefix`",
            );
        }
        if self.status.newest_whole > self.status.row_limit {
            together(
                &["status.newest_whole", "status.row_limit"],
                "the newest rows that come whole can not be more than the row limit",
            );
        }
        for (key, days) in
            [("retention.home_days", self.retention.home_days), ("retention.health_days", self.retention.health_days)]
        {
            if (1..Retention::LEAST).contains(&days) {
                together(&[key], "rules are tried out over the last 30 days; use 35 or more, or 0 for ever");
            }
        }
        if self.metrics.listen.address() == Some(self.server.listen) && self.server.listen.port() != 0 {
            together(
                &["metrics.listen", "server.listen"],
                "two services can not share an address; give metrics another one, or `off`",
            );
        }
        if self.assistant.provider == assistant::Provider::Off && self.assistant.key.is_some() {
            together(
                &["assistant.key", "assistant.provider"],
                "a key without a provider does nothing; set provider to openai",
            );
        }
        let (alarms, mail) = (&self.alarms, &self.mail);
        if alarms.head_webhook_url.is_some() != alarms.head_webhook_secret.is_some() {
            together(&["alarms.head_webhook_url", "alarms.head_webhook_secret"], "set both or neither");
        }
        if let Err(bad) = alarms.heads() {
            together(&["alarms.head_webhook_url", "alarms.head_webhook_secret"], &bad);
        }
        let has_password = mail.password.is_some() || mail.password_file.is_some();
        if mail.host.is_some() && mail.from.is_none() {
            together(&["mail.host", "mail.from"], "mail needs a sender; set from to an address of yours");
        }
        if mail.host.is_none() && (mail.user.is_some() || has_password) {
            together(&["mail.user", "mail.host"], "a user without a mail server does nothing; set host");
        }
        if mail.host.is_some() && mail.user.is_some() != has_password {
            together(
                &["mail.user", "mail.password"],
                "set both (or password_file in place of the password), or neither",
            );
        }
        if mail.password.is_some() && mail.password_file.is_some() {
            together(&["mail.password", "mail.password_file"], "set one of them");
        }
        problems
    }
}
