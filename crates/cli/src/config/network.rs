//! IP networks, for the list of trusted proxies.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::value::{Raw, Rejected, Value, quoted};

/// An IP network: the addresses that share the first bits of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// The first address of the network: every bit after the prefix is zero.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits count: 0 to 32 (IPv4) or 128 (IPv6).
    pub fn prefix(&self) -> u8 {
        self.prefix
    }
}

/// The address with all bits but the first `prefix` cleared.
fn first_bits(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}

impl FromStr for Network {
    type Err = Rejected;

    fn from_str(text: &str) -> Result<Self, Rejected> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| Rejected::default())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            Some(prefix) => prefix
                .parse()
                .ok()
                .filter(|prefix| *prefix <= most)
                .ok_or_else(|| Rejected::because(format!("the number after `/` goes from 0 to {most}")))?,
        };
        Ok(Self { address: first_bits(address, prefix), prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix)
    }
}

impl Value for Network {
    fn expected() -> String {
        "an IP address or a network such as `10.0.0.0/8`".to_owned()
    }

    fn parse(raw: &Raw) -> Result<Self, Rejected> {
        raw.text()?.parse()
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}
