//! Rules for single fields, shared by all definitions. Each adds its errors to a list.

use std::collections::BTreeMap;
use std::net::IpAddr;

use concord_model::{NameError, Namespace, Partition};

use crate::fault::{Fault, Problem};
use crate::limits::{
    META_KEY_BYTES_MAX, META_PAIRS_MAX, META_RESERVED_PREFIX, META_VALUE_BYTES_MAX, WEIGHT_MAX,
};

/// Parses a name. On an error returns `None`.
pub(crate) fn name<T>(field: &str, text: &str, faults: &mut Vec<Fault>) -> Option<T>
where
    T: std::str::FromStr<Err = NameError>,
{
    match text.parse() {
        Ok(name) => Some(name),
        Err(error) => {
            faults.push(Fault::rule(field, format!("{field}: {error}")));
            None
        }
    }
}

/// Parses a name unless the text is empty.
pub(crate) fn optional_name<T>(field: &str, text: &str, faults: &mut Vec<Fault>) -> Option<T>
where
    T: std::str::FromStr<Err = NameError>,
{
    if text.is_empty() { None } else { name(field, text, faults) }
}

/// A port from 0 to 65535.
pub(crate) fn port(field: &str, value: i64, faults: &mut Vec<Fault>) -> u16 {
    u16::try_from(value).unwrap_or_else(|_| {
        faults.push(Fault::rule(field, format!("{field}: {value} is not a port; use 0 to 65535")));
        0
    })
}

/// Whether an address stands for all addresses, so that nobody can connect to it.
pub(crate) fn is_any_address(address: &str) -> bool {
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified())
}

/// Checks metadata: number, lengths, characters of keys, no reserved prefix. Errors have Consul's wording.
pub(crate) fn meta(field: &str, meta: &BTreeMap<String, String>, faults: &mut Vec<Fault>) {
    if meta.len() > META_PAIRS_MAX {
        let text = format!("{field} cannot contain more than {META_PAIRS_MAX} key/value pairs");
        faults.push(Fault::rule(field, text));
    }
    for (key, value) in meta {
        let problem = if key.is_empty() {
            "Key cannot be blank".to_owned()
        } else if !key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            "Key contains invalid characters; letters, digits, '-' and '_' are allowed".to_owned()
        } else if key.len() > META_KEY_BYTES_MAX {
            format!("Key is too long (limit: {META_KEY_BYTES_MAX} characters)")
        } else if key.starts_with(META_RESERVED_PREFIX) {
            format!("Key prefix '{META_RESERVED_PREFIX}' is reserved for internal use")
        } else if value.len() > META_VALUE_BYTES_MAX {
            format!("Value is too long (limit: {META_VALUE_BYTES_MAX} characters)")
        } else {
            continue;
        };
        let shown: String = key.chars().take(META_KEY_BYTES_MAX).collect();
        faults.push(Fault::rule(field, format!("{field}: couldn't load metadata pair '{shown}': {problem}")));
    }
}

/// A weight in range.
pub(crate) fn weight(field: &str, value: i64, min: i64, faults: &mut Vec<Fault>) -> u32 {
    if !(min..=WEIGHT_MAX).contains(&value) {
        faults.push(Fault::rule(field, format!("{field} must be from {min} to {WEIGHT_MAX}")));
    }
    u32::try_from(value).unwrap_or_default()
}

/// Checks the namespace and partition in a body: only `default` or none is allowed so far.
pub(crate) fn tenancy(namespace: &str, partition: &str, faults: &mut Vec<Fault>) {
    enterprise("Namespace", namespace, faults);
    enterprise("Partition", partition, faults);
}

/// Refuses another namespace or partition in one field, with the words of the community edition.
pub(crate) fn enterprise(field: &str, value: &str, faults: &mut Vec<Fault>) {
    if !value.is_empty() && value != concord_model::name::DEFAULT {
        let feature = if field.contains("Partition") || field.contains("partition") {
            "Partitions"
        } else {
            "Namespaces"
        };
        let problem =
            Problem::Enterprise { field: field.to_owned(), value: value.chars().take(64).collect(), feature };
        faults.push(Fault { field: field.to_owned(), problem });
    }
}

/// The only namespace so far.
pub(crate) fn namespace() -> Namespace {
    Namespace::default()
}

/// The only partition so far.
pub(crate) fn partition() -> Partition {
    Partition::default()
}

/// Refuses a part of Consul that is not built yet, if it is used.
pub(crate) fn not_available(field: &str, used: bool, what: &str, faults: &mut Vec<Fault>) {
    if used {
        faults.push(Fault::not_available(field, what));
    }
}

/// `host:port`, IPv6 addresses in brackets.
pub(super) fn host_port(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}
