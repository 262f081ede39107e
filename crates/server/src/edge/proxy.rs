//! Where a request really came from: `X-Forwarded-*` of trusted proxies, of nobody else.

use std::net::IpAddr;

use http::HeaderMap;

/// Networks of trusted proxies: address and length of the prefix in bits.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(pub Vec<(IpAddr, u8)>);

/// What is known of a request's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The client.
    pub client: IpAddr,
    /// `http` or `https`, as the client spoke it.
    pub scheme: &'static str,
    /// The host that the client asked for.
    pub host: Option<String>,
}

impl TrustedProxies {
    /// Whether a peer is one.
    pub fn contains(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.0.iter().any(|(network, bits)| match (network.to_canonical(), peer) {
            (IpAddr::V4(network), IpAddr::V4(peer)) => {
                same(u32::from(network).into(), u32::from(peer).into(), 32, *bits)
            }
            (IpAddr::V6(network), IpAddr::V6(peer)) => same(network.into(), peer.into(), 128, *bits),
            _ => false,
        })
    }

    /// The way of a request from a peer. Behind proxies the client is the last address that is none of them.
    pub fn way(&self, peer: IpAddr, tls: bool, headers: &HeaderMap, authority: Option<&str>) -> Way {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let host = text("host").or(authority).map(str::to_owned);
        let scheme = if tls { "https" } else { "http" };
        if self.0.is_empty() || !self.contains(peer) {
            return Way { client: peer.to_canonical(), scheme, host };
        }
        let chain: Vec<IpAddr> = headers
            .get_all("x-forwarded-for")
            .into_iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map_while(|address| address.trim().parse().ok())
            .collect();
        let client =
            chain.iter().rev().find(|address| !self.contains(**address)).or(chain.first()).copied().unwrap_or(peer);
        let scheme = match text("x-forwarded-proto") {
            Some("https") => "https",
            Some("http") => "http",
            _ => scheme,
        };
        let host = text("x-forwarded-host").map(str::to_owned).or(host);
        Way { client: client.to_canonical(), scheme, host }
    }
}

fn same(network: u128, peer: u128, width: u8, bits: u8) -> bool {
    let shift = u32::from(width - bits.min(width));
    shift == u32::from(width) || network >> shift == peer >> shift
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let proxies = TrustedProxies(vec![(ip("10.0.0.0"), 8)]);
        let said = headers(&[
            ("x-forwarded-for", "1.2.3.4, 203.0.113.7, 10.0.0.9"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "care.example"),
            ("host", "backend:8000"),
        ]);
        let believed = proxies.way(ip("10.1.2.3"), false, &said, None);
        assert_eq!(believed, Way { client: ip("203.0.113.7"), scheme: "https", host: Some("care.example".into()) });
        let doubted = proxies.way(ip("192.0.2.1"), false, &said, None);
        assert_eq!(doubted, Way { client: ip("192.0.2.1"), scheme: "http", host: Some("backend:8000".into()) });
    }

    #[test]
    fn networks_are_compared_by_their_prefix() {
        let proxies = TrustedProxies(vec![(ip("10.0.0.0"), 8), (ip("2001:db8::"), 32), (ip("192.0.2.7"), 32)]);
        for (address, trusted) in [
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("2001:db8:1::1", true),
            ("2001:db9::1", false),
            ("192.0.2.7", true),
            ("::ffff:10.0.0.1", true),
        ] {
            assert_eq!(proxies.contains(ip(address)), trusted, "{address}");
        }
    }
}
