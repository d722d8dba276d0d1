//! What entries about gateways, routes and exports have in common: hosts, references, changes of headers.

use std::collections::{BTreeSet, HashSet};

use concord_model::entry::{EntryKind, HeaderModifiers, Reference};
use concord_model::{Namespace, Partition, ServiceName, ServiceRef};

use super::fault::{Fault, Faults};
use super::gateway_fault::GatewayFault;
use super::limits::{HEADERS_MAX, TEXT_BYTES_MAX};

/// Listeners of one gateway: each needs a port of its machine.
pub const LISTENERS_MAX: usize = 1024;
/// Services of one listener, route or list of exports.
pub const SERVICES_MAX: usize = 4096;
/// Hosts of one service or route.
pub const HOSTS_MAX: usize = 1024;
/// Gateways or certificates to which one entry or listener refers.
pub const REFERENCES_MAX: usize = 256;
/// Bytes of a host name (RFC 1035 §2.3.4).
const HOST_BYTES_MAX: usize = 255;

fn shown(text: &str) -> String {
    text.chars().take(HOST_BYTES_MAX).collect()
}

impl Faults {
    /// Checks the name of a host, whose leftmost label may be `*`.
    pub(super) fn host(&mut self, at: impl Into<String>, host: &str) {
        let rest = host.strip_prefix("*.").unwrap_or(host);
        if host == "*" {
            return;
        }
        if rest.contains('*') {
            self.push(at, GatewayFault::WildcardInside { host: shown(host) });
        } else if !is_name(rest) {
            self.push(at, GatewayFault::NoHostName { host: shown(host) });
        }
    }

    /// Checks that nothing is in another partition or namespace.
    pub(super) fn local(&mut self, at: &str, partition: &Partition, namespace: &Namespace) {
        if !partition.is_default() || !namespace.is_default() {
            self.push(at, Fault::OtherTenancy);
        }
    }

    /// Checks references to entries of some kinds. Each may occur once.
    pub(super) fn references(&mut self, at: &str, all: &[Reference], kinds: (&[EntryKind], &'static str)) {
        let (kinds, allowed) = kinds;
        self.at_most(at, all.len(), REFERENCES_MAX);
        let mut seen = HashSet::new();
        for (i, own) in all.iter().enumerate().take(REFERENCES_MAX) {
            let at = format!("{at}[{i}]");
            if !kinds.iter().any(|kind| kind.as_str() == own.kind) {
                self.push(format!("{at}.Kind"), GatewayFault::OtherKind { kind: shown(&own.kind), allowed });
            }
            self.text(format!("{at}.Name"), &own.name, TEXT_BYTES_MAX);
            self.no_longer(format!("{at}.SectionName"), &own.section_name, TEXT_BYTES_MAX);
            self.local(&at, &own.partition, &own.namespace);
            if !seen.insert(own) {
                self.push(at, GatewayFault::ReferenceTwice { reference: own.to_string() });
            }
        }
    }

    /// Checks changes of headers.
    pub(super) fn modifiers(&mut self, at: &str, own: &HeaderModifiers) {
        let HeaderModifiers { add, set, remove } = own;
        for (name, headers) in [("Add", add), ("Set", set)] {
            let at = format!("{at}.{name}");
            self.at_most(&at, headers.len(), HEADERS_MAX);
            for (header, value) in headers.iter().take(HEADERS_MAX) {
                self.text(format!("{at} key"), header, TEXT_BYTES_MAX);
                self.no_longer(format!("{at} value"), value, TEXT_BYTES_MAX);
            }
        }
        let at = format!("{at}.Remove");
        self.at_most(&at, remove.len(), HEADERS_MAX);
        for (i, header) in remove.iter().enumerate().take(HEADERS_MAX) {
            self.text(format!("{at}[{i}]"), header, TEXT_BYTES_MAX);
        }
    }
}

/// Whether the text is a host name (RFC 1123 §2.1), with underscores allowed.
fn is_name(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(known);
    text.len() <= HOST_BYTES_MAX && text.strip_suffix('.').unwrap_or(text).split('.').all(label)
}

/// Services by their names, each once.
pub(super) fn services<'a>(names: impl Iterator<Item = &'a ServiceName>) -> Vec<ServiceRef> {
    let names: BTreeSet<_> = names.cloned().map(ServiceRef::local).collect();
    names.into_iter().collect()
}
