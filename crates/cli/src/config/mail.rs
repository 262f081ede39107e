//! The mail server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use carebot_external::Key;
use carebot_external::channels::mail::{Mailer, Settings, Tls};

use super::secret::Secret;
use super::setting::section;
use super::value::{Raw, Rejected, Value, choice, quoted};

section! {
    /// The mail server that alarms are handed in at. Without a host there is no mail.
    pub struct Mail in "mail" {
        /// The name or address of the SMTP server, such as `smtp.example.org`.
        host: Option<String> = None;
        /// Its port; 0 is the usual one.
        port: u32 = 0, in 0..=65_535, default "587 with `starttls`, 465 with `tls`, 25 with `none`";
        /// How the connection is encrypted: `starttls` (begun in clear, then encrypted or given up), `tls` from the first byte, or
        /// `none`, for a server on this machine.
        tls: Encryption = Encryption::Starttls;
        /// A PEM file with the certificate of an authority of your own that vouches for the server.
        ca_file: Option<PathBuf> = None;
        /// The user name, if the server wants one.
        user: Option<String> = None;
        /// The user's password.
        password: Option<Secret> = None;
        /// A file with the user's password, instead of `password`; its first line counts.
        password_file: Option<PathBuf> = None;
        /// The sender: `care@example.org`, or with a name `돌봄 <care@example.org>`.
        from: Option<Sender> = None;
        /// How long handing in a mail may take.
        timeout_seconds: u64 = 15, in 1..=45;
    }
}

choice! {
    /// How the connection is encrypted.
    pub enum Encryption {
        /// Begun in clear, then encrypted or given up.
        Starttls = "starttls",
        /// From the first byte.
        Tls = "tls",
        /// Not at all.
        None = "none",
    }
}

/// An e-mail address, perhaps with a name before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender(String);

impl Sender {
    /// The address without the name.
    pub fn address(&self) -> &str {
        address(&self.0)
    }
}

fn address(text: &str) -> &str {
    text.rsplit_once('<').and_then(|(_, rest)| rest.strip_suffix('>')).unwrap_or(text).trim()
}

impl Value for Sender {
    fn expected() -> String {
        "an e-mail address such as `care@example.org` or `돌봄 <care@example.org>`".to_owned()
    }

    fn parse(raw: &Raw) -> Result<Self, Rejected> {
        let text = raw.text()?;
        let parts = address(text).split_once('@');
        let is_one = parts.is_some_and(|(user, domain)| {
            let is_plain = |part: &str| !part.is_empty() && !part.contains(['@', '<', '>', ' ']) && part.is_ascii();
            is_plain(user) && is_plain(domain)
        });
        if is_one && !text.contains(char::is_control) { Ok(Self(text.to_owned())) } else { Err(Rejected::default()) }
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(&self.0))
    }
}

fn read(setting: &str, path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path)
        .map_err(|error| format!("mail.{setting}: {} can not be read: {error}", path.display()))
}

impl Mail {
    /// The port that counts.
    fn port(&self) -> u16 {
        match (u16::try_from(self.port).unwrap_or(0), self.tls) {
            (0, Encryption::Starttls) => 587,
            (0, Encryption::Tls) => 465,
            (0, Encryption::None) => 25,
            (port, _) => port,
        }
    }

    /// `smtp.example.org:587`, if there is mail.
    pub fn server(&self) -> Option<String> {
        self.host.as_ref().map(|host| format!("{host}:{}", self.port()))
    }

    /// Whether the password would be sent for everybody to read.
    pub fn is_in_clear(&self) -> bool {
        let is_near = self.host.as_deref().is_some_and(|host| ["localhost", "127.0.0.1", "::1"].contains(&host));
        self.tls == Encryption::None && self.user.is_some() && !is_near
    }

    /// What hands mail in, if there is any; reads the files.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn for_service(&self) -> Result<Option<Mailer>, String> {
        let (Some(host), Some(from)) = (&self.host, &self.from) else { return Ok(None) };
        let password = match (&self.password, &self.password_file) {
            (Some(password), _) => Some(password.reveal().to_owned()),
            (None, Some(path)) => {
                let text = read("password_file", path)?;
                Some(text.lines().next().unwrap_or_default().to_owned()).filter(|line| !line.is_empty())
            }
            (None, None) => None,
        };
        let settings = Settings {
            host: host.clone(),
            port: self.port(),
            tls: match self.tls {
                Encryption::Starttls => Tls::Starttls,
                Encryption::Tls => Tls::Tls,
                Encryption::None => Tls::None,
            },
            authority: self.ca_file.as_deref().map(|path| read("ca_file", path)).transpose()?,
            user: self.user.clone(),
            password: password.map(Key),
            from: from.0.clone(),
            timeout: Duration::from_secs(self.timeout_seconds),
        };
        Mailer::new(settings).map(Some).map_err(|bad| format!("mail: {bad}"))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    const SERVER: [(&str, &str); 2] = [("mail.host", "smtp.example.org"), ("mail.from", "돌봄 <care@example.org>")];

    fn load(flags: &[(&str, &str)]) -> Config {
        let flags = [&SERVER, flags].concat();
        Config::loader().without_file().flags(flags).load().expect("a right configuration")
    }

    fn refused(flags: &[(&str, &str)]) -> String {
        let refused = Config::loader().without_file().flags(flags.iter().copied()).load();
        refused.expect_err("a wrong configuration").to_string()
    }

    #[test]
    fn without_a_host_there_is_no_mail() {
        let config = Config::loader().without_file().load().expect("defaults are right");
        assert!(config.mail.for_service().expect("nothing is wrong").is_none());
        assert_eq!(config.mail.server(), None);
    }

    #[test]
    fn the_port_follows_from_the_encryption() {
        for (flags, server) in [
            (&[][..], "smtp.example.org:587"),
            (&[("mail.tls", "tls")], "smtp.example.org:465"),
            (&[("mail.tls", "none")], "smtp.example.org:25"),
            (&[("mail.tls", "none"), ("mail.port", "2525")], "smtp.example.org:2525"),
        ] {
            assert_eq!(load(flags).mail.server().as_deref(), Some(server));
            assert!(load(flags).mail.for_service().expect("right").is_some());
        }
    }

    #[test]
    fn a_password_in_a_file_is_its_first_line_and_none_is_shown() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let file = folder.path().join("password");
        std::fs::write(&file, "geheim\nmore\n").expect("it is written");
        let path = file.to_str().expect("UTF-8");
        for password in [("mail.password_file", path), ("mail.password", "geheim")] {
            let config = load(&[("mail.user", "care"), password]);
            let mailer = config.mail.for_service().expect("right").expect("there is mail");
            let shown = format!("{mailer:?}{config:?}{}", config.to_toml_masked());
            assert!(!shown.contains("geheim"), "{shown}");
        }
        let missing = load(&[("mail.user", "care"), ("mail.password_file", "/nowhere")]).mail.for_service();
        assert!(missing.expect_err("it is not there").contains("mail.password_file: /nowhere"));
        std::fs::write(&file, "\n").expect("it is written");
        let empty = load(&[("mail.user", "care"), ("mail.password_file", path)]).mail.for_service();
        assert!(empty.is_err(), "a user without a password");
    }

    #[test]
    fn half_of_it_is_refused() {
        let user = ("mail.user", "care");
        for flags in [
            vec![SERVER[0]],
            vec![user, ("mail.password", "geheim")],
            [&SERVER[..], &[user]].concat(),
            [&SERVER[..], &[("mail.password", "geheim")]].concat(),
            [&SERVER[..], &[user, ("mail.password", "geheim"), ("mail.password_file", "/etc/p")]].concat(),
        ] {
            let error = refused(&flags);
            assert!(error.contains("mail.") && !error.contains("geheim"), "{error}");
        }
        for from in ["care", "care@", "@example.org", "돌봄@example.org", "a@b <c>", "care@example.org\nBcc: x@y.z"] {
            assert!(refused(&[SERVER[0], ("mail.from", from)]).contains("mail.from"), "{from}");
        }
    }

    #[test]
    fn a_password_on_the_open_net_is_noticed() {
        let user = [("mail.user", "care"), ("mail.password", "geheim"), ("mail.tls", "none")];
        assert!(load(&user).mail.is_in_clear());
        assert!(!load(&[&user[..], &[("mail.host", "localhost")]].concat()).mail.is_in_clear());
        assert!(!load(&user[..2]).mail.is_in_clear());
    }
}
