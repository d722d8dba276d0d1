//! The machine's addresses for templates in addresses. The program finds them.

use std::fmt;
use std::net::IpAddr;

use crate::address::Network;

/// The machine's addresses and its default route.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Interfaces {
    /// One per address of each interface, in the system's order.
    pub addresses: Vec<InterfaceAddress>,
    /// The interface of the default route; `None`: there is no default route.
    pub default: Option<String>,
    /// The error, if the system could not be queried.
    pub fault: Option<String>,
}

/// One address of an interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InterfaceAddress {
    /// The interface's name.
    pub name: String,
    /// The address.
    pub address: IpAddr,
    /// The length of the network prefix.
    pub bits: u8,
    /// The flags of the interface.
    pub flags: Flags,
}

/// The flags of an interface.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "the system's flags, one by one")]
pub struct Flags {
    /// It is up.
    pub up: bool,
    /// It supports broadcast.
    pub broadcast: bool,
    /// It is a loopback interface.
    pub loopback: bool,
    /// It is a point-to-point link.
    pub point_to_point: bool,
    /// It supports multicast.
    pub multicast: bool,
}

/// Special networks by the number of the RFC that defines them. 0 stands for networks that routers do not forward.
const SPECIAL: &[(u32, &[&str])] = &[
    (
        0,
        &[
            "0.0.0.0/8",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "240.0.0.0/4",
            "::/128",
            "::1/128",
            "::ffff:0:0/96",
            "2001:db8::/32",
            "2001:10::/28",
            "fe80::/10",
        ],
    ),
    (919, &["255.255.255.255/32"]),
    (1112, &["224.0.0.0/4"]),
    (1122, &["0.0.0.0/8", "127.0.0.0/8"]),
    (1918, &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]),
    (2544, &["198.18.0.0/15"]),
    (3849, &["2001:db8::/32"]),
    (3927, &["169.254.0.0/16"]),
    (4193, &["fc00::/7"]),
    (4291, &["::/128", "::1/128", "::/96", "::ffff:0:0/96", "fe80::/10", "fec0::/10", "ff00::/8"]),
    (5737, &["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"]),
    (6598, &["100.64.0.0/10"]),
    (
        6890,
        &[
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "240.0.0.0/4",
            "::/128",
            "::1/128",
            "64:ff9b::/96",
            "::ffff:0:0/96",
            "100::/64",
            "2001::/16",
            "2002::/16",
            "fc00::/7",
            "fe80::/10",
        ],
    ),
];

/// The networks that an RFC defines, if it is known here.
pub(crate) fn networks_of_rfc(number: u32) -> Option<Vec<Network>> {
    let (_, written) = SPECIAL.iter().find(|(own, _)| *own == number)?;
    Some(written.iter().map(|text| Network::parse(text).expect("the table holds networks")).collect())
}

/// The numbers of the known RFCs.
pub(crate) fn known_rfcs() -> impl Iterator<Item = u32> {
    SPECIAL.iter().map(|(number, _)| *number).filter(|number| *number != 0)
}

impl InterfaceAddress {
    pub(crate) fn is_of_rfc(&self, number: u32) -> bool {
        let networks = networks_of_rfc(number).unwrap_or_default();
        networks.iter().any(|network| network.contains(self.address))
    }

    /// Whether routers forward packets to this address.
    pub(crate) fn is_forwardable(&self) -> bool {
        !self.is_of_rfc(0)
    }
}

impl fmt::Display for InterfaceAddress {
    /// `10.0.0.5/24`; without the prefix length for a single address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = if self.address.is_ipv4() { 32 } else { 128 };
        if self.bits == own { self.address.fmt(f) } else { write!(f, "{}/{}", self.address, self.bits) }
    }
}

impl fmt::Display for Interfaces {
    /// The list of addresses, for a message about a template that finds nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(fault) = &self.fault {
            return write!(f, "the system does not tell its addresses: {fault}");
        }
        f.write_str("this machine has ")?;
        for (at, one) in self.addresses.iter().enumerate() {
            let down = if one.flags.up { "" } else { " (down)" };
            write!(f, "{}{} {one}{down}", if at == 0 { "" } else { ", " }, one.name)?;
        }
        if self.addresses.is_empty() {
            f.write_str("no addresses")?;
        }
        match &self.default {
            Some(name) => write!(f, "; the default route leaves by {name}"),
            None => f.write_str("; there is no default route"),
        }
    }
}
