//! E-mail, through the operator's SMTP server.
//!
//! Sources: RFC 5321 (SMTP), RFC 5322 and RFC 2047 (the message), RFC 3834 (automatic mail). Each mail has a connection of
//! its own: alarms are rare, and one that is given up in the middle must not leave a half-spoken dialogue to the next.

use std::fmt;
use std::time::{Duration, SystemTime};

use carebot_model::korea;
use lettre::Address;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, SinglePart};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;

use super::{BadSetting, Notice, Undelivered, name};
use crate::Key;

/// How long a server may take to say good-bye. The mail is its own by then.
const FAREWELL: Duration = Duration::from_secs(1);
/// The longest subject in characters.
const LONGEST_SUBJECT: usize = 200;

const AUTO_SUBMITTED: HeaderName = HeaderName::new_from_ascii_str("Auto-Submitted");
const X_PRIORITY: HeaderName = HeaderName::new_from_ascii_str("X-Priority");
const IMPORTANCE: HeaderName = HeaderName::new_from_ascii_str("Importance");
const CONTENT_LANGUAGE: HeaderName = HeaderName::new_from_ascii_str("Content-Language");

/// How the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Not at all: for a server on this machine.
    None,
    /// By `STARTTLS`, which the server must offer (port 587).
    Starttls,
    /// From the first byte (port 465): what RFC 8314 recommends.
    Tls,
}

/// In which language the words around a notice are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// Korean.
    #[default]
    Korean,
    /// English.
    English,
}

impl Language {
    const fn tag(self) -> &'static str {
        match self {
            Self::Korean => "ko",
            Self::English => "en",
        }
    }

    /// What the subject of an urgent mail begins with.
    const fn urgent(self) -> &'static str {
        match self {
            Self::Korean => "[긴급] ",
            Self::English => "[Urgent] ",
        }
    }

    /// The end of every mail; the time stands before it.
    const fn footer(self) -> &'static str {
        match self {
            Self::Korean => "(한국 시각)\n자동으로 보낸 메일입니다. 답장은 확인하지 않습니다.",
            Self::English => "(Korean time)\nThis mail was sent automatically. Nobody reads replies.",
        }
    }
}

/// Where mail is handed in.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name or address of the SMTP server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: Tls,
    /// The certificates, in PEM, of an authority of one's own that is trusted too.
    pub authority: Option<String>,
    /// The user name, where the server wants one.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Key>,
    /// The sender: `care@example.org`, or with a name `돌봄 <care@example.org>`.
    pub from: String,
    /// How long handing in a mail may take.
    pub timeout: Duration,
}

/// Hands mail in.
pub struct Mailer {
    settings: Settings,
    from: Mailbox,
    tls: Option<TlsParameters>,
    credentials: Option<Credentials>,
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Mailer {
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// If the sender is none, only one of user and password is there, or TLS cannot be set up.
    pub fn new(settings: Settings) -> Result<Self, BadSetting> {
        let bad = |what: &str| BadSetting(what.to_owned());
        let from: Mailbox = settings.from.parse().map_err(|_| bad("the sender of mail is no e-mail address"))?;
        if !AsRef::<str>::as_ref(&from.email).is_ascii() {
            return Err(bad("the e-mail address of the sender must be ASCII"));
        }
        let credentials = match (&settings.user, &settings.password) {
            (Some(user), Some(password)) => Some(Credentials::new(user.clone(), password.0.clone())),
            (None, None) => None,
            _ => return Err(bad("mail needs both a user and a password, or neither")),
        };
        let tls = match settings.tls {
            Tls::None => None,
            Tls::Starttls | Tls::Tls => {
                let mut tls = TlsParameters::builder(settings.host.clone());
                if let Some(authority) = &settings.authority {
                    let certificate = Certificate::from_pem(authority.as_bytes())
                        .map_err(|_| bad("the authority for mail is no certificate in PEM"))?;
                    tls = tls.add_root_certificate(certificate);
                }
                Some(tls.build().map_err(|error| BadSetting(format!("cannot set up TLS for mail: {error}")))?)
            }
        };
        Ok(Self { settings, from, tls, credentials })
    }

    /// Hands a notice in for one recipient. The server's "yes" means that it took the mail, not that anybody has it.
    ///
    /// # Errors
    /// [`Undelivered::Refused`] if the server will not have this mail; [`Undelivered::Later`] also if it refuses this program
    /// (its password, say): that the operator can mend, and the alarm waits.
    pub async fn send(&self, to: &str, notice: &Notice, language: Language) -> Result<(), Undelivered> {
        let address =
            to.parse().map_err(|_| Undelivered::Refused("the recipient's address is no e-mail address".into()))?;
        let message = self.message(address, notice, language)?;
        let handed_in = tokio::time::timeout(self.settings.timeout, async {
            let mut connection = self.connect().await.map_err(|error| Undelivered::later(self.reason(&error)))?;
            connection.send(message.envelope(), &message.formatted()).await.map_err(|error| self.failed(&error))?;
            Ok(connection)
        });
        let mut connection =
            handed_in.await.unwrap_or_else(|_| Err(Undelivered::later(self.told("did not answer in time"))))?;
        // Good manners only: the mail is handed in, whatever comes of it.
        let _ = tokio::time::timeout(FAREWELL, connection.quit()).await;
        Ok(())
    }

    /// Whether the server answers and speaks SMTP, encrypted if it shall. Nobody logs in, and nothing is sent.
    ///
    /// # Errors
    /// [`Undelivered::Later`] with what is in the way.
    pub async fn check(&self) -> Result<(), Undelivered> {
        let reached = tokio::time::timeout(self.settings.timeout, self.reach()).await;
        let reached = reached.map_err(|_| Undelivered::later(self.told("did not answer in time")))?;
        let mut connection = reached.map_err(|error| Undelivered::later(self.reason(&error)))?;
        let _ = tokio::time::timeout(FAREWELL, connection.quit()).await;
        Ok(())
    }

    /// A connection that is protected and logged in as far as it shall be.
    async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let mut connection = self.reach().await?;
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }

    /// A connection that is protected as far as it shall be.
    async fn reach(&self) -> Result<AsyncSmtpConnection, Error> {
        let Settings { host, port, timeout, .. } = &self.settings;
        let hello = ClientId::Domain(self.from.email.domain().to_owned());
        let from_the_first_byte = self.tls.clone().filter(|_| self.settings.tls == Tls::Tls);
        let server = (host.as_str(), *port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, Some(*timeout), &hello, from_the_first_byte, None).await?;
        if let (Tls::Starttls, Some(tls)) = (self.settings.tls, &self.tls) {
            connection.starttls(tls.clone(), &hello).await?;
        }
        Ok(connection)
    }

    /// The same notice makes the same mail every time, so that a second arrival can be known by its `Message-ID`.
    fn message(&self, to: Address, notice: &Notice, language: Language) -> Result<Message, Undelivered> {
        let domain = self.from.email.domain();
        // There is no such mail; but all of one alarm refer to it, and so lie together.
        let thread = format!("<topic.{}@{domain}>", name(&notice.topic, 32));
        let header = |name, value: &str| HeaderValue::new(name, value.to_owned());
        let at = Duration::from_millis(u64::try_from(notice.at.millis()).unwrap_or(0));
        let mut builder = Message::builder()
            .message_id(Some(format!("<{}@{domain}>", name(&notice.id, 64))))
            .date(SystemTime::UNIX_EPOCH + at)
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(subject(notice, language))
            .in_reply_to(thread.clone())
            .references(thread)
            .raw_header(header(CONTENT_LANGUAGE, language.tag()))
            .raw_header(header(AUTO_SUBMITTED, "auto-generated"));
        if notice.is_urgent {
            builder = builder.raw_header(header(X_PRIORITY, "1")).raw_header(header(IMPORTANCE, "high"));
        }
        builder
            .singlepart(SinglePart::plain(text(notice, language)))
            .map_err(|error| Undelivered::Refused(format!("no mail can be made: {error}")))
    }

    /// What a failure while a mail was handed in means.
    fn failed(&self, error: &Error) -> Undelivered {
        let reason = self.reason(error);
        // These mean the log-in (RFC 4954, RFC 4409), not the mail.
        let is_about_us = error.status().is_some_and(|code| matches!(u16::from(code), 530 | 534 | 535 | 538));
        // Of the client's own only one can come here: an address outside ASCII, and a server that cannot have it.
        if (error.is_permanent() && !is_about_us) || error.is_client() {
            Undelivered::Refused(reason)
        } else {
            Undelivered::later(reason)
        }
    }

    /// A failure in words. Of what the server said only its codes: it likes to repeat addresses.
    fn reason(&self, error: &Error) -> String {
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        if let Some(code) = error.status() {
            let said = cause.to_string();
            let enhanced = said.split_whitespace().next().filter(|word| is_enhanced(word));
            let space = if enhanced.is_some() { " " } else { "" };
            return self.told(&format!("answered {code}{space}{}", enhanced.unwrap_or_default()));
        }
        if error.is_timeout() {
            self.told("did not answer in time")
        } else if error.is_response() {
            self.told("answered something that cannot be understood")
        } else if error.is_client() {
            self.told(&format!("cannot be used: {cause}"))
        } else {
            self.told(&format!("cannot be reached: {cause}"))
        }
    }

    fn told(&self, what: &str) -> String {
        format!("the mail server {} {what}", self.settings.host)
    }
}

/// `5.1.1` (RFC 3463).
fn is_enhanced(word: &str) -> bool {
    let mut parts = word.split('.');
    let is_number = |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    parts.by_ref().take(3).filter(|part| is_number(part)).count() == 3 && parts.next().is_none()
}

/// One line.
fn subject(notice: &Notice, language: Language) -> String {
    let prefix = if notice.is_urgent { language.urgent() } else { "" };
    let visible = notice.title.replace(char::is_control, " ");
    let line = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    prefix.chars().chain(line.chars()).take(LONGEST_SUBJECT).collect()
}

fn text(notice: &Notice, language: Language) -> String {
    let link = notice.link.as_ref().map(|link| format!("{link}\n\n")).unwrap_or_default();
    let at = korea::civil(notice.at).strftime("%Y-%m-%d %H:%M");
    format!("{}\n\n{link}{at} {}\n", notice.body.trim_end(), language.footer())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_pass_for_codes() {
        for (word, is_one) in
            [("5.1.1", true), ("4.7.28", true), ("5.1", false), ("5.1.1.1", false), ("a.b.c", false), ("", false)]
        {
            assert_eq!(is_enhanced(word), is_one, "{word}");
        }
    }
}
