//! Addresses that users gave: none of them may lead into this server's own network ("server-side request forgery", OWASP).
//!
//! An address is judged when it is entered, before every call, and once more where its host becomes a number: names are
//! resolved by [`Policy`] itself, and the connection goes to the very address that was judged. So a name that is public while it
//! is checked and private a moment later ("DNS rebinding") gains nothing. Redirects are not followed, and the proxy
//! that the environment may name is not used: it would resolve the name anew.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::Timeouts;

/// The longest address in bytes. Those of push services have about 200.
pub const LONGEST: usize = 2_048;

/// Which addresses may be called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Whether addresses of private networks and of this machine are allowed, and plain HTTP. For tests, and for
    /// installations whose users are all trusted.
    pub allow_private: bool,
}

/// Why an address is not allowed. The texts can be shown to whoever entered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// It is no URL.
    #[error("it is not a valid web address")]
    Malformed,
    /// It is longer than [`LONGEST`].
    #[error("it is too long")]
    TooLong,
    /// Another scheme than HTTPS.
    #[error("it must begin with https://")]
    NotHttps,
    /// It holds a user name or a password.
    #[error("it must not contain a user name or a password")]
    Credentials,
    /// It leads into a private or special network.
    #[error("it must not lead into a private network")]
    Private,
}

impl Policy {
    /// Judges an address as far as that goes without resolving its name: what a person gets to know on entering it.
    ///
    /// # Errors
    /// Why it is not allowed.
    pub fn check(&self, address: &str) -> Result<Url, BadAddress> {
        if address.len() > LONGEST {
            return Err(BadAddress::TooLong);
        }
        // The parser of browsers: `https://0x7f.1` and `https://2130706433` come out as `https://127.0.0.1`.
        let url = Url::parse(address).map_err(|_| BadAddress::Malformed)?;
        if url.scheme() != "https" && !(url.scheme() == "http" && self.allow_private) {
            return Err(BadAddress::NotHttps);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadAddress::Credentials);
        }
        let host = url.host_str().ok_or(BadAddress::Malformed)?;
        let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let is_allowed = match literal.parse::<IpAddr>() {
            Ok(ip) => self.allows(ip),
            Err(_) => self.allow_private || !is_local_name(host),
        };
        if is_allowed { Ok(url) } else { Err(BadAddress::Private) }
    }

    /// Whether an address may be connected to.
    pub fn allows(&self, ip: IpAddr) -> bool {
        self.allow_private || is_public(ip)
    }

    /// What a name resolves to, if every one of its addresses is allowed: one that leads inside as well as outside is meant
    /// to deceive.
    fn judge(self, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, BadAddress> {
        if found.iter().all(|address| self.allows(address.ip())) { Ok(found) } else { Err(BadAddress::Private) }
    }

    /// A client that connects to nothing else than what this allows. A number in place of a name is not resolved, so
    /// every URL must have been [checked](Self::check).
    pub(super) fn client(self, timeouts: Timeouts) -> reqwest::Result<reqwest::Client> {
        // Another part of the program may have installed it already; there is only this one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .connect_timeout(timeouts.connect)
            .timeout(timeouts.whole)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .https_only(!self.allow_private)
            .dns_resolver(Arc::new(Judging(self)))
            // The address is a secret.
            .referer(false)
            .tcp_nodelay(true)
            .user_agent(concat!("carebot/", env!("CARGO_PKG_VERSION")))
            .build()
    }
}

/// Resolves names, and gives nothing that is not allowed.
#[derive(Clone, Copy, Debug)]
struct Judging(Policy);

impl Resolve for Judging {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let addresses: Addrs = Box::new(policy.judge(found)?.into_iter());
            Ok(addresses)
        })
    }
}

/// Names that by definition lead to this machine or stay in its network (RFC 6761, RFC 6762, RFC 8375, ICANN 2024).
fn is_local_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    ["localhost", "local", "internal", "home.arpa"]
        .iter()
        .any(|zone| host.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

/// The networks of IPv4 that are not the public internet, with the lengths of their prefixes: IANA's "IPv4 Special-Purpose
/// Address Registry", multicast (RFC 5771) and the reserved class E, which holds the broadcast address.
const SPECIAL_V4: [(Ipv4Addr, u32); 15] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// Whether an address is one of the public internet.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    !SPECIAL_V4.iter().any(|(network, length)| (ip.to_bits() ^ network.to_bits()) >> (32 - length) == 0)
}

/// Of IPv6 only the global unicast addresses 2000::/3 are public, less the special ones among them (IANA's "IPv6 Special-Purpose
/// Address Registry"). Addresses that stand for one of IPv4 are as public as that one.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let embedded = |high: u16, low: u16| is_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match ip.segments() {
        // IPv4-compatible (`::` and `::1` among them), IPv4-mapped, translated by NAT64, and 6to4.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            embedded(high, low)
        }
        // Teredo: the server, and the client with every bit turned over.
        [0x2001, 0, server_high, server_low, _, _, high, low] => {
            embedded(server_high, server_low) && embedded(!high, !low)
        }
        // Protocol assignments (benchmarks, identifiers that are no addresses), and documentation.
        [0x2001, 0x1..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => first >> 13 == 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Policy = Policy { allow_private: false };
    const OPEN: Policy = Policy { allow_private: true };

    const PUBLIC: &str = "
        1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255
        169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.0.3.0 192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0
        198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 211.45.1.9 223.255.255.255
        2606:4700:4700::1111 2404:6800:4004:800::2004 2001:200::1 2001:db7::1 2003::1 3ffe::1 3fff:1000::1
        ::ffff:8.8.8.8 ::8.8.8.8 64:ff9b::808:808 2002:808:808::1 2001:0:808:808::f7f7:f7f7";

    const SPECIAL: &str = "
        0.0.0.0 0.1.2.3 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.1 127.255.255.254 169.254.0.1
        169.254.169.254 172.16.0.0 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1 192.168.255.255
        198.18.0.0 198.19.255.255 198.51.100.7 203.0.113.255 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
        :: ::1 ::2 fe80::1 febf::1 fc00::1 fd12:3456:789a::1 fec0::1 ff02::1 ff0e::1 2001:db8::1 3fff::1 3fff:fff:ffff::1
        100::1 5f00::1 4000::1 1fff::1 2001:2::1 2001:10::1 2001:20::1 2001:1ff::1 64:ff9b:1::1 ::ffff:0:808:808";

    /// Addresses of IPv6 that stand for a private one of IPv4.
    const DISGUISED: &str = "
        ::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:10.1.2.3 ::ffff:169.254.169.254 ::127.0.0.1 ::192.168.0.1 64:ff9b::7f00:1
        64:ff9b::a9fe:a9fe 64:ff9b::10.0.0.1 2002:7f00:1:: 2002:c0a8:101::1 2002:a00:1::1 2001:0:808:808::80ff:fffe
        2001:0:7f00:1::f7f7:f7f7 2001:0:a00:1::1";

    #[test]
    fn an_address_is_public_or_not() {
        let parsed = |text: &str| text.parse::<IpAddr>().expect("an address");
        for text in PUBLIC.split_whitespace() {
            assert!(STRICT.allows(parsed(text)), "{text}");
        }
        for text in SPECIAL.split_whitespace().chain(DISGUISED.split_whitespace()) {
            assert!(!STRICT.allows(parsed(text)), "{text}");
            assert!(OPEN.allows(parsed(text)), "{text}");
        }
    }

    #[test]
    fn what_a_person_enters_is_judged_in_every_spelling() {
        let long = format!("https://example.com/{}", "x".repeat(LONGEST));
        let cases = [
            ("https://hooks.example.com/alarm?key=1", None),
            ("https://hooks.example.com:8443/alarm", None),
            ("HTTPS://Hooks.Example.com", None),
            ("https://8.8.8.8/", None),
            ("https://[2606:4700:4700::1111]/", None),
            ("https://mylocalhost/", None),
            ("https://internal.example.com/", None),
            ("https://한국.example/", None),
            ("", Some(BadAddress::Malformed)),
            ("hooks.example.com/alarm", Some(BadAddress::Malformed)),
            ("https://", Some(BadAddress::Malformed)),
            ("https://exa mple.com/", Some(BadAddress::Malformed)),
            ("https://1.2.3.4.5/", Some(BadAddress::Malformed)),
            ("https://256.0.0.1/", Some(BadAddress::Malformed)),
            ("https://example.com:99999/", Some(BadAddress::Malformed)),
            (&long, Some(BadAddress::TooLong)),
            ("http://example.com/", Some(BadAddress::NotHttps)),
            ("ftp://example.com/", Some(BadAddress::NotHttps)),
            ("file:///etc/passwd", Some(BadAddress::NotHttps)),
            ("gopher://example.com/", Some(BadAddress::NotHttps)),
            ("data:text/plain,x", Some(BadAddress::NotHttps)),
            ("https://user@example.com/", Some(BadAddress::Credentials)),
            ("https://user:word@example.com/", Some(BadAddress::Credentials)),
            ("https://:word@example.com/", Some(BadAddress::Credentials)),
            ("https://example.com@127.0.0.1/", Some(BadAddress::Credentials)),
            ("https://localhost/", Some(BadAddress::Private)),
            ("https://LOCALHOST./", Some(BadAddress::Private)),
            ("https://robot.localhost/", Some(BadAddress::Private)),
            ("https://nas.local/", Some(BadAddress::Private)),
            ("https://metadata.google.internal/", Some(BadAddress::Private)),
            ("https://router.home.arpa/", Some(BadAddress::Private)),
            ("https://127.0.0.1/", Some(BadAddress::Private)),
            ("https://127.0.0.1./", Some(BadAddress::Private)),
            ("https://127.1/", Some(BadAddress::Private)),
            ("https://2130706433/", Some(BadAddress::Private)),
            ("https://0x7f000001/", Some(BadAddress::Private)),
            ("https://0x7f.0.0.1/", Some(BadAddress::Private)),
            ("https://0177.0.0.1/", Some(BadAddress::Private)),
            ("https://017700000001/", Some(BadAddress::Private)),
            ("https://127%2e0.0.1/", Some(BadAddress::Private)),
            ("https://１２７.０.０.１/", Some(BadAddress::Private)),
            ("https://0/", Some(BadAddress::Private)),
            ("https://169.254.169.254/latest/meta-data/", Some(BadAddress::Private)),
            ("https://192.168.0.1/", Some(BadAddress::Private)),
            ("https://[::1]/", Some(BadAddress::Private)),
            ("https://[::]/", Some(BadAddress::Private)),
            ("https://[::ffff:127.0.0.1]/", Some(BadAddress::Private)),
            ("https://[0:0:0:0:0:ffff:7f00:0001]:8443/", Some(BadAddress::Private)),
            ("https://[::127.0.0.1]/", Some(BadAddress::Private)),
            ("https://[fd00::1]/", Some(BadAddress::Private)),
            ("https://[fe80::1]/", Some(BadAddress::Private)),
        ];
        for (address, expected) in cases {
            assert_eq!(STRICT.check(address).err(), expected, "{address}");
        }
    }

    #[test]
    fn private_addresses_and_plain_http_can_be_allowed_and_nothing_else() {
        for address in ["http://localhost:8080/", "https://192.168.0.1/", "http://[::1]/x", "http://nas.local/"] {
            assert!(OPEN.check(address).is_ok(), "{address}");
        }
        assert_eq!(OPEN.check("ftp://127.0.0.1/"), Err(BadAddress::NotHttps));
        assert_eq!(OPEN.check("http://user@127.0.0.1/"), Err(BadAddress::Credentials));
    }

    #[test]
    fn one_private_address_among_public_ones_is_enough() {
        let addresses = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| SocketAddr::new(text.parse().expect("an address"), 0)).collect()
        };
        let public = addresses(&["8.8.8.8", "2606:4700:4700::1111"]);
        assert_eq!(STRICT.judge(public.clone()), Ok(public));
        for mixed in [&["8.8.8.8", "127.0.0.1"], &["fd00::1", "8.8.8.8"], &["8.8.8.8", "::ffff:10.0.0.1"]] {
            assert_eq!(STRICT.judge(addresses(mixed)), Err(BadAddress::Private), "{mixed:?}");
            assert!(OPEN.judge(addresses(mixed)).is_ok());
        }
    }

    /// `localhost` is refused by its name; here it stands for any name that turns out to lead inside.
    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_connected_to() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        listener.set_nonblocking(true).expect("a socket can be asked without waiting");
        let port = listener.local_addr().expect("an address").port();
        let sent = async |policy: Policy, scheme: &str| {
            let client = policy.client(Timeouts::default()).expect("a client");
            client.post(format!("{scheme}://localhost:{port}/secret")).send().await.expect_err("nobody answers")
        };
        let error = sent(STRICT, "https").await;
        assert_eq!(super::super::bad_address(&error), Some(BadAddress::Private), "{error:?}");
        assert_eq!(listener.accept().map(drop).map_err(|error| error.kind()), Err(std::io::ErrorKind::WouldBlock));
        // Where it is allowed, the same client does come.
        let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
        let (error, accepted) = tokio::join!(sent(OPEN, "http"), async { listener.accept().await.map(drop) });
        assert_eq!((super::super::bad_address(&error), accepted.is_ok()), (None, true));
    }
}
