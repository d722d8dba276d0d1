//! Which of the addresses of a node or an instance is told, and the name of an address.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use concord_model::catalog::{Node, ServiceInstance};
use hickory_proto::rr::RecordType;

/// Tags of addresses of one family (documented in Consul as `lan_ipv4` and `lan_ipv6`).
const LAN_V4: &str = "lan_ipv4";
const LAN_V6: &str = "lan_ipv6";

/// An address as it was registered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// An IP address.
    Ip(IpAddr),
    /// The name of a host.
    Host(String),
    /// There is none of the family that was asked for.
    Missing,
}

/// The address of a node.
pub(crate) fn of_node(node: &Node, kind: RecordType) -> Place {
    let tagged = |tag: &str| node.tagged_addresses.get(tag).map(String::as_str);
    place(chosen(&node.address, tagged(LAN_V4), tagged(LAN_V6), kind))
}

/// The address of an instance itself. `Missing` if it has none.
pub(crate) fn of_instance(service: &ServiceInstance, kind: RecordType) -> Place {
    let tags = &service.tagged_addresses;
    let tagged = |tag: &str| tags.get(tag).map(|tagged| tagged.address.as_str());
    place(chosen(&service.address, tagged(LAN_V4), tagged(LAN_V6), kind))
}

/// The address for a type of records: of its family, if there is one; of any, if any may be told.
fn chosen<'a>(own: &'a str, v4: Option<&'a str>, v6: Option<&'a str>, kind: RecordType) -> &'a str {
    let given = |tagged: Option<&'a str>| tagged.filter(|text| !text.is_empty());
    match kind {
        RecordType::A => given(v4).unwrap_or(own),
        RecordType::AAAA => given(v6).unwrap_or(own),
        _ => given(v6).or_else(|| given(v4)).unwrap_or(own),
    }
}

fn place(text: &str) -> Place {
    match text.parse() {
        Ok(address) => Place::Ip(address),
        Err(_) if text.is_empty() => Place::Missing,
        Err(_) => Place::Host(text.to_owned()),
    }
}

/// An address in hexadecimal, as names below `addr` have it.
pub(crate) fn hexadecimal(address: IpAddr) -> String {
    let mut text = String::with_capacity(32);
    let mut put = |bytes: &[u8]| {
        for byte in bytes {
            write!(text, "{byte:02x}").expect("a text takes everything");
        }
    };
    match address.to_canonical() {
        IpAddr::V4(own) => put(&own.octets()),
        IpAddr::V6(own) => put(&own.octets()),
    }
    text
}

/// The texts of a node's metadata (RFC 1464). A key that begins with `rfc1035-` is left out.
pub(crate) fn meta_texts(meta: &BTreeMap<String, String>) -> impl Iterator<Item = String> + '_ {
    const PLAIN: &str = "rfc1035-";
    meta.iter().map(|(key, value)| {
        let is_plain = key.get(..PLAIN.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(PLAIN));
        if is_plain { value.clone() } else { pair(key, value) }
    })
}

/// A key and a value: the sign between them, and blanks around the key, are quoted.
fn pair(key: &str, value: &str) -> String {
    let inner = key.trim_matches(' ');
    let (before, after) = match inner.is_empty() {
        true => (key.len(), 0),
        false => (key.len() - key.trim_start_matches(' ').len(), key.len() - key.trim_end_matches(' ').len()),
    };
    let inner = inner.replace('`', "``").replace('=', "`=");
    format!("{}{inner}{}={}", "` ".repeat(before), "` ".repeat(after), value.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_family_that_is_asked_for_is_told() {
        let (own, v4, v6) = ("10.0.0.1", Some("10.0.0.4"), Some("fd00::6"));
        let cases = [
            (None, None, RecordType::A, "10.0.0.1"),
            (v4, v6, RecordType::A, "10.0.0.4"),
            (v4, v6, RecordType::AAAA, "fd00::6"),
            (v4, v6, RecordType::ANY, "fd00::6"),
            (v4, None, RecordType::SRV, "10.0.0.4"),
            (Some(""), None, RecordType::A, "10.0.0.1"),
        ];
        for (v4, v6, kind, expected) in cases {
            assert_eq!(chosen(own, v4, v6, kind), expected, "{kind}");
        }
        assert_eq!(place("db.example"), Place::Host("db.example".to_owned()));
        assert_eq!(place(""), Place::Missing);
    }

    #[test]
    fn metadata_is_written_as_rfc_1464_says() {
        let cases = [
            ("key", "value", "key=value"),
            ("key", "a=b", "key=a=b"),
            ("ke=y", "v`", "ke`=y=v``"),
            (" k ", "v", "` k` =v"),
            ("  ", "v", "` ` =v"),
            ("k`", "", "k``="),
            ("rfc1035-x", "plain=`", "plain=`"),
            ("RFC1035-x", "plain", "plain"),
        ];
        for (key, value, expected) in cases {
            let meta = BTreeMap::from([(key.to_owned(), value.to_owned())]);
            assert_eq!(meta_texts(&meta).collect::<Vec<_>>(), [expected], "{key:?}");
        }
    }

    #[test]
    fn addresses_are_written_in_hexadecimal() {
        let of = |text: &str| hexadecimal(text.parse().expect("an address"));
        assert_eq!(of("10.0.0.1"), "0a000001");
        assert_eq!(of("::ffff:10.0.0.1"), "0a000001");
        assert_eq!(of("2001:db8::1"), "20010db8000000000000000000000001");
    }
}
