//! Addresses, ports and networks in the form that configuration uses.

use std::fmt;
use std::net::IpAddr;

/// The port of a listener.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Port {
    /// The listener is disabled.
    Off,
    /// The system chooses a free port.
    Pick,
    /// This one.
    At(u16),
}

/// Where a listener listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ListenHost {
    /// At an IP address, with the listener's port.
    Ip(IpAddr),
    /// At a unix socket.
    Unix(String),
}

/// A network: an address and the length of its prefix.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Port {
    /// A number from a file; 0 and below disable the listener.
    pub fn try_new(number: i64) -> Option<Self> {
        if number <= 0 { Some(Self::Off) } else { u16::try_from(number).ok().map(Self::At) }
    }

    /// The port to bind: 0 lets the system choose; `None` if disabled.
    pub fn to_bind(self) -> Option<u16> {
        match self {
            Self::Off => None,
            Self::Pick => Some(0),
            Self::At(port) => Some(port),
        }
    }

    /// The same listener at a port that the system chooses. A disabled listener stays disabled.
    #[must_use]
    pub fn ephemeral(self) -> Self {
        match self {
            Self::Off => Self::Off,
            Self::Pick | Self::At(_) => Self::Pick,
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("-1"),
            Self::Pick => f.write_str("0"),
            Self::At(port) => port.fmt(f),
        }
    }
}

impl ListenHost {
    /// Parses an IP address, with or without brackets, or `unix:///path`; `unix:path` is the same.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return Some(path).filter(|path| !path.is_empty()).map(|path| Self::Unix(path.to_owned()));
        }
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        bare.parse().ok().map(Self::Ip)
    }

    /// Whether listening at both with the same port fails.
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ip(one), Self::Ip(two)) => one == two || one.is_unspecified() || two.is_unspecified(),
            (Self::Unix(one), Self::Unix(two)) => one == two,
            (Self::Ip(_), Self::Unix(_)) | (Self::Unix(_), Self::Ip(_)) => false,
        }
    }
}

impl fmt::Display for ListenHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix://{path}"),
        }
    }
}

impl Network {
    /// Parses `10.0.0.0/8`.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let bits: u8 = bits.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        (bits <= width).then_some(Self { address, bits })
    }

    /// The network that contains an address.
    pub(crate) fn of(address: IpAddr, bits: u8) -> Self {
        let mask = |width: u32| u128::MAX.checked_shl(width - u32::from(bits).min(width)).unwrap_or(0);
        let address = match address {
            IpAddr::V4(own) => {
                let bits = u128::from(own.to_bits()) & mask(32);
                IpAddr::V4(u32::try_from(bits & u128::from(u32::MAX)).expect("it was masked").into())
            }
            IpAddr::V6(own) => IpAddr::V6((own.to_bits() & mask(128)).into()),
        };
        Self { address, bits }
    }

    /// Whether an address is in the network. IPv4 addresses in IPv6 form count as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let prefix = |bits: u128, width: u32| bits.checked_shr(width - u32::from(self.bits)).unwrap_or(0);
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                prefix(own.to_bits().into(), 32) == prefix(other.to_bits().into(), 32)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                prefix(own.to_bits(), 128) == prefix(other.to_bits(), 128)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(network: &str, address: &str, inside: bool) {
        assert_eq!(Network::parse(network).unwrap().contains(address.parse().unwrap()), inside);
    }

    #[test]
    fn a_network_contains_what_shares_its_first_bits() {
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("10.0.0.0/8", "::ffff:10.0.0.1", true);
        check("0.0.0.0/0", "8.8.8.8", true);
        check("::/0", "2001::1", true);
        check("::/0", "8.8.8.8", false);
        check("127.0.0.1/32", "127.0.0.2", false);
        check("fd00::/8", "fd12::1", true);
    }

    #[test]
    fn places_are_addresses_or_sockets() {
        let read = |text: &str| ListenHost::parse(text).map(|place| place.to_string());
        for (text, expected) in [
            ("127.0.0.1", "127.0.0.1"),
            ("[::1]", "::1"),
            ("::", "::"),
            ("unix:///run/c.sock", "unix:///run/c.sock"),
            ("unix:/run/c.sock", "unix:///run/c.sock"),
            ("unix:c.sock", "unix://c.sock"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "localhost", "unix:", "unix://", "127.0.0.1:80", "[::1", "/run/c.sock"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn places_overlap_where_one_takes_the_other() {
        let meet =
            |one: &str, two: &str| ListenHost::parse(one).unwrap().overlaps(&ListenHost::parse(two).unwrap());
        assert!(meet("0.0.0.0", "127.0.0.1") && meet("unix:/a", "unix:///a") && meet("::1", "[::1]"));
        assert!(!meet("127.0.0.1", "127.0.0.2") && !meet("unix:/a", "unix:/b") && !meet("::", "unix:/a"));
    }

    #[test]
    fn other_texts_are_no_networks() {
        for text in ["10.0.0.0", "10.0.0.0/33", "x/8", "::/129", "/"] {
            assert!(Network::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn ports_of_zero_and_below_are_off() {
        assert_eq!(Port::try_new(0), Some(Port::Off));
        assert_eq!(Port::try_new(-1), Some(Port::Off));
        assert_eq!(Port::try_new(65_535), Some(Port::At(65_535)));
        assert_eq!(Port::try_new(65_536), None);
        assert_eq!((Port::Off.ephemeral(), Port::At(1).ephemeral()), (Port::Off, Port::Pick));
        assert_eq!(Port::Pick.to_bind(), Some(0));
    }
}
