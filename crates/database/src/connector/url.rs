//! Where a database is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use crate::connector::error::DbError;

/// The address of a database: `sqlite:PATH` or `mariadb://user:password@host[:port][,host[:port]..]/schema`.
///
/// Shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub enum DbUrl {
    /// A file.
    Sqlite {
        /// Where it is.
        path: PathBuf,
    },
    /// One or several servers that hold the same data.
    MariaDb(Target),
}

/// A schema on one or several MariaDB servers.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// Hosts and ports, the preferred first.
    pub hosts: Vec<(String, u16)>,
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
    /// The schema.
    pub schema: String,
    /// `?tls=off|required`: required encrypts and checks the server's certificate.
    pub tls: bool,
    /// `&ca=PATH`: a certificate authority of your own.
    pub ca: Option<PathBuf>,
}

const FORM: &str = "a database URL is `sqlite:PATH` or `mariadb://user:password@host[:port][,host[:port]]/schema[?tls=required&ca=PATH]`";

fn wrong(what: &str) -> DbError {
    DbError::Configuration(format!("{what}; {FORM}"))
}

fn decoded(text: &str) -> Result<String, DbError> {
    percent_decode_str(text).decode_utf8().map(Into::into).map_err(|_| wrong("the URL is not UTF-8"))
}

impl FromStr for DbUrl {
    type Err = DbError;

    fn from_str(text: &str) -> Result<Self, DbError> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.contains('?') {
                return Err(wrong("the path of the SQLite file is missing or has a `?`"));
            }
            return Ok(Self::Sqlite { path: PathBuf::from(path) });
        }
        let rest = text
            .strip_prefix("mariadb://")
            .or_else(|| text.strip_prefix("mysql://"))
            .ok_or_else(|| wrong("the URL begins with neither `sqlite:` nor `mariadb://`"))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, schema) = rest.rsplit_once('/').ok_or_else(|| wrong("the schema is missing"))?;
        let (user_part, host_part) = authority.rsplit_once('@').ok_or_else(|| wrong("the user is missing"))?;
        let (user, password) = user_part.split_once(':').unwrap_or((user_part, ""));
        let mut hosts = Vec::new();
        for host in host_part.split(',') {
            hosts.push(parse_host(host.trim())?);
        }
        let (mut tls, mut ca) = (false, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("tls", "required") => tls = true,
                ("tls", "off") => tls = false,
                ("ca", path) if !path.is_empty() => ca = Some(PathBuf::from(decoded(path)?)),
                (key, _) => return Err(wrong(&format!("`{key}` is not an option of the URL or has no such value"))),
            }
        }
        let schema = decoded(schema)?;
        if schema.is_empty() || user.is_empty() {
            return Err(wrong("user and schema must not be empty"));
        }
        Ok(Self::MariaDb(Target { hosts, user: decoded(user)?, password: decoded(password)?, schema, tls, ca }))
    }
}

fn parse_host(text: &str) -> Result<(String, u16), DbError> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, rest)) => (v6, rest.strip_prefix(':')),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Ok(3306), str::parse).map_err(|_| wrong("a port is not a number from 0 to 65535"))?;
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c == '/') {
        return Err(wrong("a host is empty or malformed"));
    }
    Ok((host.to_owned(), port))
}

impl fmt::Display for DbUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { path } => write!(f, "sqlite:{}", path.display()),
            Self::MariaDb(target) => {
                write!(f, "mariadb://{}:***@", target.user)?;
                for (index, (host, port)) in target.hosts.iter().enumerate() {
                    write!(f, "{}{host}:{port}", if index > 0 { "," } else { "" })?;
                }
                write!(f, "/{}", target.schema)
            }
        }
    }
}

impl fmt::Debug for DbUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_hosts_and_escaped_passwords() {
        let url: DbUrl = "mariadb://care:p%40ss%2C@db1:3307,db2,[::1]:3308/bot".parse().expect("a URL");
        let DbUrl::MariaDb(target) = &url else { panic!("{url}") };
        assert_eq!(target.hosts, [("db1".into(), 3307), ("db2".into(), 3306), ("::1".into(), 3308)]);
        assert_eq!((target.password.as_str(), target.schema.as_str()), ("p@ss,", "bot"));
        assert_eq!(url.to_string(), "mariadb://care:***@db1:3307,db2:3306,::1:3308/bot");
    }

    #[test]
    fn what_is_wrong_is_said_with_the_right_form() {
        for text in [
            "",
            "carebot.db",
            "sqlite:",
            "mariadb://h/s",
            "mariadb://u@h",
            "mariadb://u@h:x/s",
            "mariadb://u@,/s",
            "mariadb://u@h/s?a=b",
        ] {
            let error = text.parse::<DbUrl>().expect_err(text).to_string();
            assert!(error.contains("a database URL is"), "{error}");
        }
    }
}
