//! How the program listens and what it accepts.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZero;

use reqwest::Url;

use super::network::Network;
use super::setting::section;
use super::value::{Raw, Rejected, Value, quoted};

section! {
    /// How the program listens and what it accepts.
    pub struct Server in "server" {
        /// Address and port to listen on. `0.0.0.0:8000` is every IPv4 address of the machine, `[::]:8000` every address;
        /// port 0 lets the system choose a free one.
        listen: SocketAddr = SocketAddr::from((Ipv4Addr::LOCALHOST, 8000));
        /// The address people reach the server under, such as `https://care.example.org`. It is what absolute links are
        /// made of; a request's `Host` header is never trusted for that.
        public_url: Option<PublicUrl> = None;
        /// Proxies in front of this server, as addresses or networks. `X-Forwarded-For`, `X-Forwarded-Proto` and
        /// `X-Forwarded-Host` are believed when they come from one of these, and from nobody else.
        trusted_proxies: Vec<Network> = Vec::new();
        /// Longest request body. Anything longer is refused with 413.
        body_limit_bytes: usize = 1_048_576, in 1_024..=1_073_741_824;
        /// How long a client may take to send the head of a request.
        header_timeout_seconds: u64 = 10, in 1..=3_600;
        /// How long a client may take to send the body of a request.
        body_timeout_seconds: u64 = 30, in 1..=3_600;
        /// How long a client may leave untaken what is sent to it. Then it is cut off.
        write_timeout_seconds: u64 = 30, in 1..=3_600;
        /// How many live streams of events may be open at once. Each needs a file descriptor: see `ulimit -n`.
        event_streams: usize = 10_000, in 0..=1_000_000;
        /// How long requests that are under way may still take when the server is asked to stop.
        shutdown_grace_seconds: u64 = 20, in 0..=3_600;
        /// Whether the documentation page `/docs` is served.
        docs: Option<bool> = None, default "`true` in development, `false` in release";
        /// Threads that work on requests; 0 is one for each processor core.
        workers: usize = 0, in 0..=1_024;
    }
}

impl Server {
    /// How many threads work on requests on a machine with so many cores.
    pub fn worker_threads(&self, cores: NonZero<usize>) -> usize {
        or_cores(self.workers, cores)
    }
}

/// A number of threads where 0 means one for each core.
pub(super) fn or_cores(threads: usize, cores: NonZero<usize>) -> usize {
    if threads == 0 { cores.get() } else { threads }
}

/// The address people reach the server under: `http` or `https`, a host, perhaps a port and a path; no trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// As text to which a path that begins with `/` can be appended.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for PublicUrl {
    fn expected() -> String {
        "a URL such as `https://care.example.org`".to_owned()
    }

    fn parse(raw: &Raw) -> Result<Self, Rejected> {
        let url = Url::parse(raw.text()?).map_err(|_| Rejected::default())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Rejected::because("it begins with `https://` or `http://`"));
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(Rejected::because("it has no user, no `?` and no `#`"));
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(&self.0))
    }
}
