//! Where a caller comes from, as far as limits go.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// Whose connections count together: an IPv4 address, an IPv6 network of 64 bits (which one host
/// can have all to itself), or everybody on a unix socket.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Source(Option<IpAddr>);

impl Source {
    /// Everybody on a unix socket.
    pub const UNIX: Self = Self(None);

    /// Of an address.
    pub fn of(address: IpAddr) -> Self {
        Self(Some(match address.to_canonical() {
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
            v4 @ IpAddr::V4(_) => v4,
        }))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("a unix socket"),
            Some(IpAddr::V4(address)) => address.fmt(f),
            Some(IpAddr::V6(network)) => write!(f, "{network}/64"),
        }
    }
}
