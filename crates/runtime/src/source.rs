//! The source of a connection, for limits.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// Connections of one source are counted together. A source is an IPv4 address, an IPv6 /64 network (which one host
/// may own completely), or all clients of unix sockets.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Source(Option<IpAddr>);

impl Source {
    /// All clients of unix sockets.
    pub const UNIX: Self = Self(None);

    /// The source of an address.
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
