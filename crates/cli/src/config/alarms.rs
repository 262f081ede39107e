//! Alarms, and where they go.

use std::path::PathBuf;

use carebot_database::DbUrl;
use carebot_external::Key;
use carebot_external::channels::addresses::Policy;
use carebot_external::ping::Ping;
use carebot_service::alarms::heads::Receiver;

use super::Config;
use super::secret::{Secret, SecretUrl};
use super::server::PublicUrl;
use super::setting::section;
use super::value::{Raw, Rejected, Value, quoted};

/// The key of the timelines where there is no SQLite file that it could lie beside, in the working directory.
const KEY_FILE: &str = "carebot.timeline-key";
/// What its name ends in beside a SQLite file.
const KEY_SUFFIX: &str = ".timeline-key";
/// What push services are told without any better contact. They want one, and some look at its form.
const NOBODY: &str = "mailto:nobody@example.com";

section! {
    /// Alarms: who is reached how, what the timelines are signed with, and who notices when this server falls silent. See `alarms.md`.
    pub struct Alarms in "alarms" {
        /// The file with the key that entries of timelines are hashed with; made at the first start, for its owner only. Keep a copy
        /// of it apart from the database: whoever has both can forge, and without it nothing can be verified. Several servers on one
        /// database need the same key.
        key_file: Option<PathBuf> = None, default "the SQLite file's name and `.timeline-key`, beside it; `carebot.timeline-key` in the working directory with MariaDB";
        /// An address that is called every minute while, and only while, the loops of alarms turn, such as
        /// `https://hc-ping.com/..`. Whoever listens there tells somebody when the calls end. Only its host is ever shown.
        dead_man_url: Option<SecretUrl> = None;
        /// An address that keeps how the timelines end, besides the log: a cut end then shows. Called at most every 10 seconds for
        /// each family; it may lie in a private network. Only its host is ever shown.
        head_webhook_url: Option<SecretUrl> = None;
        /// The secret that those calls are signed with: `whsec_` and 24 to 64 bytes in base64.
        head_webhook_secret: Option<Secret> = None;
        /// The address of the family's page, which notices link to.
        public_url: Option<PublicUrl> = None, default "`server.public_url`";
        /// Whom the push services of browsers can turn to: `mailto:` and an address, or a page of yours with `https:`.
        contact: Option<Contact> = None, default "the address of `mail.from`, else the page notices link to";
        /// Lets webhooks and push services that people enter lie in private networks and on this machine, and be plain http. Only where
        /// everybody who has an account is trusted.
        allow_private_addresses: bool = false;
        /// How many notices are handed over at the same time. Half of these places are kept for dangers to life.
        at_once: usize = 64, in 1..=10_000, unit "notices";
    }
}

/// `mailto:` or `https:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact(String);

impl Value for Contact {
    fn expected() -> String {
        "`mailto:` and an e-mail address, or a URL with `https:`".to_owned()
    }

    fn parse(raw: &Raw) -> Result<Self, Rejected> {
        let text = raw.text()?;
        let is_mail = text.strip_prefix("mailto:").is_some_and(|address| address.contains('@'));
        let is_page = text.starts_with("https://") && reqwest::Url::parse(text).is_ok();
        if is_mail || is_page { Ok(Self(text.to_owned())) } else { Err(Rejected::default()) }
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(&self.0))
    }
}

impl Alarms {
    /// Which addresses of webhooks and push services are called.
    pub const fn policy(&self) -> Policy {
        Policy { allow_private: self.allow_private_addresses }
    }

    /// Where signs of life go.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn dead_man(&self) -> Result<Option<Ping>, String> {
        let ping = self.dead_man_url.as_ref().map(|url| Ping::new(&Key(url.reveal().to_owned())));
        ping.transpose().map_err(|error| format!("alarms.dead_man_url: {error}"))
    }

    /// Who keeps the heads of timelines.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn heads(&self) -> Result<Option<Receiver>, String> {
        let both = self.head_webhook_url.as_ref().zip(self.head_webhook_secret.as_ref());
        let receiver =
            both.map(|(url, secret)| Receiver::new(Key(url.reveal().to_owned()), &Key(secret.reveal().to_owned())));
        receiver.transpose().map_err(|bad| format!("alarms.head_webhook_url: {bad}"))
    }
}

impl Config {
    /// The file with the key of the timelines.
    pub fn timeline_key_file(&self) -> PathBuf {
        match (&self.alarms.key_file, &self.database.url) {
            (Some(path), _) => path.clone(),
            (None, DbUrl::Sqlite { path }) => {
                let mut name = path.clone().into_os_string();
                name.push(KEY_SUFFIX);
                name.into()
            }
            (None, DbUrl::MariaDb(_)) => KEY_FILE.into(),
        }
    }

    /// Whether the key of the timelines lies wherever the program happened to be started.
    pub const fn timeline_key_is_anywhere(&self) -> bool {
        self.alarms.key_file.is_none() && matches!(self.database.url, DbUrl::MariaDb(_))
    }

    /// What notices link to.
    pub fn alarms_url(&self) -> Option<&str> {
        self.alarms.public_url.as_ref().or(self.server.public_url.as_ref()).map(PublicUrl::as_str)
    }

    /// Whom push services can turn to, if anybody was named.
    pub fn named_contact(&self) -> Option<String> {
        let set = self.alarms.contact.as_ref().map(|contact| contact.0.clone());
        let sender = self.mail.from.as_ref().map(|from| format!("mailto:{}", from.address()));
        let page = self.alarms_url().filter(|url| url.starts_with("https:")).map(str::to_owned);
        set.or(sender).or(page)
    }

    /// What push services are told.
    pub fn push_contact(&self) -> String {
        self.named_contact().unwrap_or_else(|| NOBODY.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

    fn load(flags: &[(&str, &str)]) -> Config {
        Config::loader().without_file().flags(flags.iter().copied()).load().expect("a right configuration")
    }

    fn refused(flags: &[(&str, &str)]) -> String {
        let refused = Config::loader().without_file().flags(flags.iter().copied()).load();
        refused.expect_err("a wrong configuration").to_string()
    }

    #[test]
    fn the_key_lies_beside_the_database_and_never_in_it() {
        for (database, file, is_anywhere) in [
            ("sqlite:carebot.db", "carebot.db.timeline-key", false),
            ("sqlite:/var/lib/carebot/c.db", "/var/lib/carebot/c.db.timeline-key", false),
            ("mariadb://u:p@h/s", "carebot.timeline-key", true),
        ] {
            let config = load(&[("database.url", database)]);
            assert_eq!(config.timeline_key_file(), PathBuf::from(file), "{database}");
            assert_eq!(config.timeline_key_is_anywhere(), is_anywhere, "{database}");
            let set = load(&[("database.url", database), ("alarms.key_file", "/etc/carebot/key")]);
            assert_eq!(set.timeline_key_file(), PathBuf::from("/etc/carebot/key"));
            assert!(!set.timeline_key_is_anywhere());
        }
    }

    #[test]
    fn of_secret_addresses_only_the_host_is_shown() {
        let config = load(&[
            ("alarms.dead_man_url", "https://hc.example:8443/s3cr3t?s=s3cr3t"),
            ("alarms.head_webhook_url", "http://10.0.0.7/s3cr3t"),
            ("alarms.head_webhook_secret", SECRET),
        ]);
        let shown = format!("{}{config:?}", config.to_toml_masked());
        assert!(!shown.contains("s3cr3t") && !shown.contains(&SECRET[6..]), "{shown}");
        assert!(shown.contains("dead_man_url = \"https://hc.example:8443/***\""), "{shown}");
        let (ping, heads) = (config.alarms.dead_man(), config.alarms.heads());
        assert_eq!(ping.expect("right").expect("set").host(), "hc.example");
        assert!(!format!("{:?}", heads.expect("right").expect("set")).contains("s3cr3t"));
        for url in ["hc.example/s3cr3t", "ftp://hc.example/s3cr3t", "https://hc.example:port/s3cr3t"] {
            let error = refused(&[("alarms.dead_man_url", url)]);
            assert!(error.contains("alarms.dead_man_url") && !error.contains("s3cr3t"), "{error}");
        }
    }

    #[test]
    fn heads_need_a_secret_that_is_one() {
        let url = ("alarms.head_webhook_url", "https://h.example/s3cr3t");
        for flags in [
            vec![url],
            vec![("alarms.head_webhook_secret", SECRET)],
            vec![url, ("alarms.head_webhook_secret", "geheim")],
            vec![url, ("alarms.head_webhook_secret", "whsec_Z2VoZWlt")],
        ] {
            let error = refused(&flags);
            assert!(error.contains("alarms.head_webhook_"), "{error}");
            assert!(!error.contains("s3cr3t") && !error.contains("geheim") && !error.contains("Z2Vo"), "{error}");
        }
    }

    #[test]
    fn push_services_are_told_whom_to_turn_to() {
        let mail = [("mail.host", "smtp.example.org"), ("mail.from", "돌봄 <care@example.org>")];
        let server = ("server.public_url", "https://care.example.org");
        assert_eq!(load(&[]).named_contact(), None);
        assert!(load(&[]).push_contact().starts_with("mailto:"));
        assert_eq!(load(&[("server.public_url", "http://care.example.org")]).named_contact(), None);
        assert_eq!(load(&[server]).push_contact(), "https://care.example.org");
        assert_eq!(load(&[&mail[..], &[server]].concat()).push_contact(), "mailto:care@example.org");
        let set = ("alarms.contact", "mailto:admin@example.org");
        assert_eq!(load(&[&mail[..], &[server, set]].concat()).push_contact(), "mailto:admin@example.org");
        for wrong in ["admin@example.org", "mailto:", "http://care.example.org", "https://"] {
            assert!(refused(&[("alarms.contact", wrong)]).contains("alarms.contact"), "{wrong}");
        }
    }

    #[test]
    fn notices_link_to_the_page_that_was_named() {
        let server = ("server.public_url", "https://care.example.org/");
        assert_eq!(load(&[]).alarms_url(), None);
        assert_eq!(load(&[server]).alarms_url(), Some("https://care.example.org"));
        let own = ("alarms.public_url", "https://family.example.org");
        assert_eq!(load(&[server, own]).alarms_url(), Some("https://family.example.org"));
    }
}
