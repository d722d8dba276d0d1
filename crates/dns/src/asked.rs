//! What a name in our domain asks for. Consul's documentation calls these forms "lookups".
//!
//! ```text
//! [<tag>.]<service>.service[.<place>]   _<service>._<tag>[.service][.<place>]   <node>.node[.<place>]
//! <service>.connect[.<place>]           <service>.ingress[.<place>]             <service>.virtual[.<peer>]
//! <query>.query[.<dc>]                  <address in hexadecimal>.addr
//!
//! place: <dc> | <dc>.dc | <peer>.peer
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::{Name, RecordType};

/// What a name asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Asked {
    /// Instances of a service.
    Service(ServiceAsked),
    /// A node.
    Node {
        /// Its name.
        node: String,
        /// Where it is.
        place: Place,
    },
    /// The virtual address of a service.
    Virtual {
        /// The service.
        service: String,
        /// The peered cluster that it comes from.
        peer: Option<String>,
    },
    /// The address that is written in the name.
    Address(IpAddr),
    /// A prepared query. There are none yet.
    Query,
    /// Nothing that could be.
    Nothing,
}

/// Which instances.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ServiceAsked {
    /// The service.
    pub(crate) service: String,
    /// Only instances with this tag.
    pub(crate) tag: Option<String>,
    /// Which of them.
    pub(crate) through: Through,
    /// Where it is.
    pub(crate) place: Place,
}

/// Which instances of a service.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Through {
    /// Its own.
    Itself,
    /// Those that accept mesh traffic for it.
    Mesh,
    /// Those of the ingress gateways that serve it.
    Ingress,
}

/// Where something is: at most one of the two is named.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Place {
    /// The datacenter; `None`: ours.
    pub(crate) datacenter: Option<String>,
    /// The peered cluster; `None`: ours.
    pub(crate) peer: Option<String>,
}

/// What the labels before our domain ask for. They are in lower case.
pub(crate) fn asked(labels: &[String], kind: RecordType) -> Asked {
    // The last word of these counts, so that services may have such names.
    let is_word = |label: &str| {
        matches!(label, "service" | "connect" | "virtual" | "ingress" | "node" | "query" | "addr")
            // Questions for SRV may leave `service` out.
            || kind == RecordType::SRV && label.starts_with('_')
    };
    let Some(at) = labels.iter().rposition(|label| is_word(label)) else { return Asked::Nothing };
    let (before, after) = (&labels[..at], &labels[at + 1..]);
    match labels[at].as_str() {
        "service" => service(before, after),
        "connect" => through(before, after, Through::Mesh),
        "ingress" => through(before, after, Through::Ingress),
        "virtual" => virtual_address(before, after),
        "node" => node(before, after),
        "query" if !before.is_empty() && after.len() <= 1 => Asked::Query,
        "query" => Asked::Nothing,
        "addr" => address(before),
        _ => service(&labels[..=at], after),
    }
}

fn service(before: &[String], after: &[String]) -> Asked {
    let Some(place) = place(after) else { return Asked::Nothing };
    let underscored = |label: &String| label.strip_prefix('_').map(str::to_owned);
    let (service, tag) = match before {
        [] => return Asked::Nothing,
        // RFC 2782; the protocol tcp is no tag.
        [name, tag] if let (Some(name), Some(tag)) = (underscored(name), underscored(tag)) => {
            (name, Some(tag).filter(|tag| tag != "tcp"))
        }
        [name] => (name.clone(), None),
        [tags @ .., name] => (name.clone(), Some(tags.join("."))),
    };
    let tag = tag.filter(|tag| !tag.is_empty());
    Asked::Service(ServiceAsked { service, tag, through: Through::Itself, place })
}

fn through(before: &[String], after: &[String], through: Through) -> Asked {
    match (before.last(), place(after)) {
        // Consul ignores the peer and answers with our own instances.
        (Some(service), Some(place)) if place.peer.is_none() => {
            Asked::Service(ServiceAsked { service: service.clone(), tag: None, through, place })
        }
        _ => Asked::Nothing,
    }
}

/// What stands alone after `virtual` is a peer: virtual addresses mean something in one datacenter only.
fn virtual_address(before: &[String], after: &[String]) -> Asked {
    match (before.last(), place(after), after) {
        (Some(service), Some(_), [peer]) => {
            Asked::Virtual { service: service.clone(), peer: Some(peer.clone()) }
        }
        (Some(service), Some(place), _) => Asked::Virtual { service: service.clone(), peer: place.peer },
        _ => Asked::Nothing,
    }
}

/// The name of a node may have dots.
fn node(before: &[String], after: &[String]) -> Asked {
    match place(after) {
        Some(place) if !before.is_empty() => Asked::Node { node: before.join("."), place },
        _ => Asked::Nothing,
    }
}

fn place(labels: &[String]) -> Option<Place> {
    match labels {
        [] => Some(Place::default()),
        [datacenter] => Some(Place { datacenter: Some(datacenter.clone()), peer: None }),
        [_, _] | [_, _, _, _] => {
            let mut own = Place::default();
            for pair in labels.chunks(2) {
                match pair {
                    [name, word] if word == "dc" => own.datacenter = Some(name.clone()),
                    [name, word] if word == "peer" => own.peer = Some(name.clone()),
                    _ => return None,
                }
            }
            (own.datacenter.is_none() || own.peer.is_none()).then_some(own)
        }
        _ => None,
    }
}

/// The address in hexadecimal: 8 or 32 digits. What stands behind `addr` is not looked at, as in Consul.
fn address(before: &[String]) -> Asked {
    let [digits] = before else { return Asked::Nothing };
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Asked::Nothing;
    }
    let address = match digits.len() {
        8 => u32::from_str_radix(digits, 16).map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
        32 => u128::from_str_radix(digits, 16).map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
        _ => return Asked::Nothing,
    };
    address.map_or(Asked::Nothing, Asked::Address)
}

/// The address that a name in the tree of addresses stands for (RFC 1035 §3.5, RFC 3596 §2.5).
pub(crate) fn reversed(name: &Name) -> Option<IpAddr> {
    let labels: Vec<String> =
        name.iter().rev().map(|label| String::from_utf8_lossy(label).to_ascii_lowercase()).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    match labels.as_slice() {
        ["arpa", "in-addr", rest @ ..] if rest.len() == 4 => {
            // As text, so that leading zeros and other numbers are refused.
            rest.join(".").parse::<Ipv4Addr>().ok().map(IpAddr::V4)
        }
        ["arpa", "ip6", rest @ ..] if rest.len() == 32 && rest.iter().all(|digit| digit.len() == 1) => {
            u128::from_str_radix(&rest.concat(), 16).ok().map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Vec<String> {
        text.split('.').filter(|label| !label.is_empty()).map(str::to_owned).collect()
    }

    fn of(service: &str, tag: Option<&str>, through: Through, place: Place) -> Asked {
        let (service, tag) = (service.to_owned(), tag.map(str::to_owned));
        Asked::Service(ServiceAsked { service, tag, through, place })
    }

    fn datacenter(name: &str) -> Place {
        Place { datacenter: Some(name.to_owned()), peer: None }
    }

    fn peer(name: &str) -> Place {
        Place { datacenter: None, peer: Some(name.to_owned()) }
    }

    #[track_caller]
    fn check(text: &str, expected: &Asked) {
        assert_eq!(asked(&labels(text), RecordType::A), *expected, "{text}");
    }

    #[test]
    fn services_are_asked_for_in_all_forms() {
        let (here, itself) = (Place::default, Through::Itself);
        check("web.service", &of("web", None, itself, here()));
        check("v1.web.service", &of("web", Some("v1"), itself, here()));
        check("a.b.web.service", &of("web", Some("a.b"), itself, here()));
        check("web.service.dc2", &of("web", None, itself, datacenter("dc2")));
        check("web.service.dc2.dc", &of("web", None, itself, datacenter("dc2")));
        check("web.service.east.peer", &of("web", None, itself, peer("east")));
        check("web.service.a.dc.b.dc", &of("web", None, itself, datacenter("b")));
        check("_web._v1.service", &of("web", Some("v1"), itself, here()));
        check("_web._tcp.service.dc2", &of("web", None, itself, datacenter("dc2")));
        check("_web.service", &of("_web", None, itself, here()));
        check("service.service", &of("service", None, itself, here()));
        check("web.connect", &of("web", None, Through::Mesh, here()));
        check("x.web.connect.dc2", &of("web", None, Through::Mesh, datacenter("dc2")));
        check("web.ingress", &of("web", None, Through::Ingress, here()));
        for text in [
            "",
            "web",
            "service",
            "service.dc1",
            "web.service.a.b.c",
            "web.service.a.x",
            "web.service.a.dc.b.peer",
            "web.service.a.b.c.d.e",
            "connect",
            "web.connect.east.peer",
            "ingress",
            "_web._tcp",
        ] {
            check(text, &Asked::Nothing);
        }
    }

    #[test]
    fn srv_may_leave_the_word_service_out() {
        let srv = |text: &str| asked(&labels(text), RecordType::SRV);
        assert_eq!(srv("_web._tcp"), of("web", None, Through::Itself, Place::default()));
        assert_eq!(srv("_web._v1.dc2"), of("web", Some("v1"), Through::Itself, datacenter("dc2")));
        assert_eq!(srv("_web"), of("_web", None, Through::Itself, Place::default()));
        assert_eq!(srv("web"), Asked::Nothing);
    }

    #[test]
    fn nodes_addresses_and_virtual_addresses_are_asked_for() {
        let node = |node: &str, place| Asked::Node { node: node.to_owned(), place };
        check("n1.node", &node("n1", Place::default()));
        check("n1.example.node.dc1", &node("n1.example", datacenter("dc1")));
        check("n1.node.east.peer", &node("n1", peer("east")));
        check("node", &Asked::Nothing);
        let virtual_of =
            |peer: Option<&str>| Asked::Virtual { service: "web".to_owned(), peer: peer.map(str::to_owned) };
        check("web.virtual", &virtual_of(None));
        check("web.virtual.east", &virtual_of(Some("east")));
        check("web.virtual.east.peer", &virtual_of(Some("east")));
        check("web.virtual.dc1.dc", &virtual_of(None));
        check("virtual", &Asked::Nothing);
        check("0a000001.addr.dc1", &Asked::Address("10.0.0.1".parse().expect("an address")));
        check("20010db8000000000000000000000001.addr", &Asked::Address("2001:db8::1".parse().expect("one")));
        for text in ["0a00001.addr", "0a00000g.addr", "+a000001.addr", "x.0a000001.addr", "addr"] {
            check(text, &Asked::Nothing);
        }
        check("q.query", &Asked::Query);
        check("q.query.dc1", &Asked::Query);
        check("query", &Asked::Nothing);
        check("q.query.a.dc", &Asked::Nothing);
    }

    #[test]
    fn names_in_the_tree_of_addresses_are_read() {
        let of = |text: &str| reversed(&Name::from_ascii(text).expect("a name"));
        assert_eq!(of("1.0.0.10.in-addr.arpa."), "10.0.0.1".parse().ok());
        assert_eq!(of("1.0.0.10.IN-ADDR.ARPA."), "10.0.0.1".parse().ok());
        let six = format!("1.{}8.b.d.0.1.0.0.2.ip6.arpa.", "0.".repeat(23));
        assert_eq!(of(&six), "2001:db8::1".parse().ok());
        for text in [
            "arpa.",
            "0.0.10.in-addr.arpa.",
            "01.0.0.10.in-addr.arpa.",
            "256.0.0.10.in-addr.arpa.",
            "x.arpa.",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
