//! The session cookie.

use http::{HeaderMap, HeaderValue, header};

/// The attributes of the session cookie.
#[derive(Clone, Debug)]
pub struct CookieSettings {
    /// `Domain`, or none for this host alone.
    pub domain: Option<String>,
    /// Over https only.
    pub secure: bool,
    /// `lax`, `none` or `strict`.
    pub same_site: &'static str,
}

impl Default for CookieSettings {
    fn default() -> Self {
        Self { domain: None, secure: false, same_site: "lax" }
    }
}

/// The token that a request carries. Read leniently: some programs send the attributes along
/// (`session_id=..; Path=/; Secure`). Of several the last counts.
pub fn session(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut values = cookies.flat_map(|cookie| cookie.split(';')).filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        (name.trim() == "session_id").then(|| value.trim().trim_matches('"'))
    });
    values.next_back().filter(|value| !value.is_empty())
}

impl CookieSettings {
    /// The header that gives a browser its session.
    pub fn set(&self, token: &str) -> Option<HeaderValue> {
        self.header(&format!("session_id={token}"), "")
    }

    /// The same for a browser that is to keep it when it is closed: longer than any session lives.
    pub fn keep(&self, token: &str) -> Option<HeaderValue> {
        // As long as browsers keep a cookie at most: 400 days.
        self.header(&format!("session_id={token}"), "; Max-Age=34560000")
    }

    /// The header that takes it away, with the attributes it was given with.
    pub fn clear(&self) -> Option<HeaderValue> {
        self.header("session_id=\"\"", "; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0")
    }

    /// For a browser that came to a host: it drops a cookie of a domain to which that host does not belong, such as `localhost`
    /// at 127.0.0.1.
    pub fn at(&self, host: &str) -> Self {
        let belongs = |domain: &String| {
            let domain = domain.trim_start_matches('.');
            host.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.'))
        };
        Self { domain: self.domain.clone().filter(belongs), ..*self }
    }

    fn header(&self, pair: &str, extra: &str) -> Option<HeaderValue> {
        let domain = self.domain.as_ref().map(|domain| format!("; Domain={domain}")).unwrap_or_default();
        let secure = if self.secure { "; Secure" } else { "" };
        let text = format!("{pair}{extra}{domain}; HttpOnly; Path=/; SameSite={}{secure}", self.same_site);
        HeaderValue::from_str(&text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_read_with_and_without_its_attributes() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, HeaderValue::from_str(text).expect("a header"));
            session(&headers).map(str::to_owned)
        };
        assert_eq!(read("session_id=abc").as_deref(), Some("abc"));
        assert_eq!(read("session_id=abc; Path=/; Domain=localhost; Secure; HttpOnly;").as_deref(), Some("abc"));
        assert_eq!(read("a=b; session_id=\"abc\"").as_deref(), Some("abc"));
        assert_eq!(read("session_id="), None);
        assert_eq!(read("xsession_id=abc"), None);
    }

    #[test]
    fn a_cookie_has_a_domain_only_where_the_host_belongs_to_it() {
        let settings = CookieSettings { domain: Some(".example.com".into()), ..CookieSettings::default() };
        for host in ["example.com", "care.example.com"] {
            assert_eq!(settings.at(host).domain, settings.domain, "{host}");
        }
        for host in ["127.0.0.1", "badexample.com", "example.com.evil", ""] {
            assert_eq!(settings.at(host).domain, None, "{host}");
        }
    }

    #[test]
    fn a_cookie_is_cleared_with_the_attributes_it_was_set_with() {
        let settings = CookieSettings { domain: Some("example.com".into()), secure: true, same_site: "none" };
        let attributes = "; Domain=example.com; HttpOnly; Path=/; SameSite=none; Secure";
        let text = |value: Option<HeaderValue>| value.expect("a header").to_str().expect("text").to_owned();
        assert!(text(settings.set("abc")).ends_with(attributes));
        assert!(text(settings.clear()).ends_with(attributes));
    }
}
