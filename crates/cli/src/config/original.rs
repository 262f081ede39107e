//! The layer of the original system's variables: an installation of it can be switched over with the environment it has.

use std::fmt::Write as _;
use std::net::Ipv6Addr;

use super::environment::Environment;
use super::problem::{Problem, Source};
use super::reader::Reader;
use super::value::{Raw, Value};

/// Variables that are settings of ours under another name, in the same unit.
pub const RENAMED: [(&str, &str); 12] = [
    ("IMAGE_URL", "images.public_url"),
    ("IMAGE_STORAGE", "images.storage"),
    ("MAX_IMAGE_SIZE", "images.max_mb"),
    ("CACHE_DURATION", "images.cache_seconds"),
    ("EXTERNAL_TIMEOUT", "assistant.timeout_seconds"),
    ("SESSION_EXPIRE_TIME", "sessions.idle_seconds"),
    ("EXTENDED_SESSION_EXPIRE_TIME", "sessions.main_idle_seconds"),
    ("REMEMBER_EXPIRE_TIME", "sessions.remembered_idle_seconds"),
    ("SESSION_CLEANUP_INTERVAL", "sessions.cleanup_seconds"),
    ("WEATHER_API_KEY", "weather.key"),
    ("NEWS_API_KEY", "news.newsdata_key"),
    ("DISASTER_API_KEY", "disasters.key"),
];

/// The port of MariaDB, when `DB_PORT` is not set.
const DEFAULT_PORT: &str = "3306";
/// The cookie's domain of the original's deployment.
const DEPLOYED_COOKIE_DOMAIN: &str = ".itdice.net";
/// The only character set that holds every text people write.
const CHARSET: &str = "utf8mb4";

/// A variable's text; an empty one counts as not set, as in files that name every variable.
fn text(environment: &Environment, name: &str, reader: &mut Reader) -> Option<String> {
    environment.text(name, name, reader).filter(|text| !text.is_empty())
}

fn wrong(reader: &mut Reader, name: &str, message: &str) {
    reader.report(Problem::Value {
        key: name.to_owned(),
        source: Source::Environment(name.to_owned()),
        message: message.to_owned(),
    });
}

/// Lays the original's variables over the file. `database` tells whether the `DB_` ones are looked at.
pub fn read(environment: &Environment, database: bool, reader: &mut Reader) {
    for (name, key) in RENAMED {
        if let Some(text) = text(environment, name, reader) {
            reader.set(key, Raw::Text(text), Source::Environment(name.to_owned()));
        }
    }
    read_mode(environment, reader);
    read_assistant(environment, reader);
    if database {
        read_database(environment, reader);
    }
}

/// `IS_DEV` and `IS_DEPLOY`. Only a true one says something; a deployed development server is a server on the open
/// network, so `IS_DEPLOY` wins.
fn read_mode(environment: &Environment, reader: &mut Reader) {
    let mut is_true = |name: &str| {
        let text = text(environment, name, reader)?;
        let value = bool::parse(&Raw::Text(text)).ok();
        if value.is_none() {
            wrong(reader, name, "expected 0, 1, true or false");
        }
        value
    };
    let development = is_true("IS_DEV") == Some(true);
    let deployed = is_true("IS_DEPLOY") == Some(true);
    if deployed {
        let source = Source::Environment("IS_DEPLOY".to_owned());
        reader.set("mode", Raw::Text("release".to_owned()), source.clone());
        reader.set("sessions.cookie_domain", Raw::Text(DEPLOYED_COOKIE_DOMAIN.to_owned()), source);
    } else if development {
        reader.set("mode", Raw::Text("development".to_owned()), Source::Environment("IS_DEV".to_owned()));
    }
}

/// `AI_HOST` (with its scheme) and `AI_PORT` name the existing AI server, which then goes on doing what it did; the host
/// counts only in a deployment, as before. Without them an `OPENAI_API_KEY` does it here.
fn read_assistant(environment: &Environment, reader: &mut Reader) {
    let deployed = text(environment, "IS_DEPLOY", reader).is_some_and(|text| bool::parse(&Raw::Text(text)) == Ok(true));
    let host = text(environment, "AI_HOST", reader).filter(|_| deployed);
    let port = text(environment, "AI_PORT", reader);
    let key = text(environment, "OPENAI_API_KEY", reader);
    if host.is_some() || port.is_some() {
        let name = if host.is_some() { "AI_HOST" } else { "AI_PORT" };
        let host = host.unwrap_or_else(|| "http://localhost".to_owned());
        let scheme = if host.contains("://") { "" } else { "http://" };
        let url = port.map_or_else(|| host.clone(), |port| format!("{}:{}", host.trim_end_matches('/'), port.trim()));
        let source = Source::Environment(name.to_owned());
        reader.set("assistant.provider", Raw::Text("remote".to_owned()), source.clone());
        reader.set("assistant.url", Raw::Text(format!("{scheme}{url}")), source);
    } else if let Some(key) = key {
        let source = Source::Environment("OPENAI_API_KEY".to_owned());
        reader.set("assistant.provider", Raw::Text("openai".to_owned()), source.clone());
        reader.set("assistant.key", Raw::Text(key), source);
    }
}

/// `DB_HOST` and its companions become one `mariadb://` URL.
fn read_database(environment: &Environment, reader: &mut Reader) {
    let charset = text(environment, "DB_CHARSET", reader);
    if charset.is_some_and(|charset| !charset.trim().eq_ignore_ascii_case(CHARSET)) {
        wrong(reader, "DB_CHARSET", "expected utf8mb4: another character set loses Korean text or emoji");
    }
    let host = text(environment, "DB_HOST", reader);
    let port = text(environment, "DB_PORT", reader);
    let user = text(environment, "DB_USER", reader);
    let password = text(environment, "DB_PASSWORD", reader);
    let schema = text(environment, "DB_SCHEMA", reader);
    let parts = [
        ("DB_HOST", &host),
        ("DB_PORT", &port),
        ("DB_USER", &user),
        ("DB_PASSWORD", &password),
        ("DB_SCHEMA", &schema),
    ];
    let set: Vec<&str> = parts.iter().filter(|(_, value)| value.is_some()).map(|(name, _)| *name).collect();
    if set.is_empty() {
        return;
    }
    let (Some(host), Some(user), Some(schema)) = (&host, &user, &schema) else {
        let needed = parts.iter().filter(|(name, _)| !["DB_PORT", "DB_PASSWORD"].contains(name));
        let missing: Vec<&str> = needed.filter(|(_, value)| value.is_none()).map(|(name, _)| *name).collect();
        let missing = missing.join(", ");
        reader.report(Problem::Together {
            keys: set.into_iter().map(str::to_owned).collect(),
            message: format!("set without {missing}; set all of them, or CAREBOT_DATABASE__URL instead"),
        });
        return;
    };
    let port = port.as_deref().unwrap_or(DEFAULT_PORT).trim();
    if port.parse::<u16>().is_err() {
        wrong(reader, "DB_PORT", "expected a port, a whole number from 0 to 65535");
        return;
    }
    let Some(hosts) = host.split(',').map(|host| with_port(host.trim(), port)).collect::<Option<Vec<_>>>() else {
        wrong(reader, "DB_HOST", "expected the name or address of a host (several with commas between them)");
        return;
    };
    let password = password.map(|password| format!(":{}", encoded(&password))).unwrap_or_default();
    let url = format!("mariadb://{}{password}@{}/{}", encoded(user), hosts.join(","), encoded(schema));
    reader.set("database.url", Raw::Text(url), Source::Environment(set.join(", ")));
}

/// The host as it stands in a URL; nothing if it can not stand there.
fn with_port(host: &str, port: &str) -> Option<String> {
    if host.parse::<Ipv6Addr>().is_ok() {
        return Some(format!("[{host}]:{port}"));
    }
    let name = |character: char| character.is_alphanumeric() || "-_.".contains(character);
    (!host.is_empty() && host.chars().all(name)).then(|| format!("{host}:{port}"))
}

/// Percent-encodes all but the unreserved characters of RFC 3986, section 2.3.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
