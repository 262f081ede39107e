//! Figures for Prometheus.

use std::net::{Ipv4Addr, SocketAddr};

use super::setting::section;
use super::value::{Raw, Rejected, Value, quoted};

section! {
    /// Figures for Prometheus, on an address of their own because they are not for everybody.
    pub struct Metrics in "metrics" {
        /// Address and port of `/metrics`; `off` serves none.
        listen: MetricsListen = MetricsListen::At(SocketAddr::from((Ipv4Addr::LOCALHOST, 9100)));
    }
}

/// Where figures are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsListen {
    /// At this address.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

impl MetricsListen {
    /// The address, if figures are served.
    pub fn address(self) -> Option<SocketAddr> {
        match self {
            Self::At(address) => Some(address),
            Self::Off => None,
        }
    }
}

impl Value for MetricsListen {
    fn expected() -> String {
        "an address and port such as `127.0.0.1:9100`, or `off`".to_owned()
    }

    fn parse(raw: &Raw) -> Result<Self, Rejected> {
        match raw {
            Raw::Boolean(false) => Ok(Self::Off),
            Raw::Text(text) if text.trim().eq_ignore_ascii_case("off") => Ok(Self::Off),
            _ => SocketAddr::parse(raw).map(Self::At),
        }
    }

    fn to_toml(&self) -> Option<String> {
        Some(self.address().map_or_else(|| quoted("off"), |address| quoted(&address.to_string())))
    }
}
