//! Which pages may call from a browser.

use std::collections::HashSet;

/// Origins that may call.
#[derive(Debug)]
pub struct Origins {
    allowed: HashSet<String>,
}

impl Origins {
    /// The given ones, and the server's public URL.
    pub fn new(origins: &[String], public_url: Option<&str>) -> Self {
        let public = public_url.and_then(|url| {
            let (scheme, rest) = url.split_once("://")?;
            Some(format!("{scheme}://{}", rest.split('/').next().unwrap_or_default()))
        });
        Self { allowed: origins.iter().cloned().chain(public).map(|origin| origin.to_ascii_lowercase()).collect() }
    }

    /// Whether a page of this origin may call: it is listed, or it is this server itself, which the request reached as
    /// `scheme://host`.
    pub fn allow(&self, origin: &str, scheme: &str, host: Option<&str>) -> bool {
        let origin = origin.to_ascii_lowercase();
        self.allowed.contains(&origin)
            || host.is_some_and(|host| origin == format!("{scheme}://{}", host.to_ascii_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_origins_and_the_servers_own_may_call() {
        let origins = Origins::new(&["http://localhost:3000".into()], Some("https://care.example/base"));
        assert!(origins.allow("http://localhost:3000", "http", None));
        assert!(origins.allow("https://care.example", "http", None));
        assert!(origins.allow("http://10.0.0.5:8000", "http", Some("10.0.0.5:8000")));
        assert!(!origins.allow("https://10.0.0.5:8000", "http", Some("10.0.0.5:8000")));
        for other in ["null", "http://localhost:3001", "https://care.example.evil", ""] {
            assert!(!origins.allow(other, "http", Some("localhost:8000")), "{other}");
        }
    }
}
