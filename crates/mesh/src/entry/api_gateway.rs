//! `api-gateway`: a gateway whose traffic is distributed by routes.

use std::collections::{BTreeMap, BTreeSet};

use concord_model::ServiceRef;
use concord_model::entry::{ApiGateway, ApiGatewayListener, EntryKind, GatewayProtocol, Record};

use super::fault::{Fault, Faults};
use super::gates::LISTENERS_MAX;
use super::gateway_fault::GatewayFault;
use super::graph::{GraphFault, Proposed};
use super::limits::TEXT_BYTES_MAX;
use super::mesh::check_versions;

/// The kinds of certificates.
const CERTIFICATES: (&[EntryKind], &str) = (
    &[EntryKind::FileSystemCertificate, EntryKind::InlineCertificate],
    "'file-system-certificate' or 'inline-certificate'",
);

pub(super) fn check(entry: &Record<ApiGateway>, faults: &mut Faults) {
    faults.meta("Meta", &entry.meta);
    let ApiGateway { listeners, tls, status: _ } = &entry.said;
    if tls.is_some() {
        faults.push("TLS", GatewayFault::Later { what: "TLS of all listeners" });
    }
    if listeners.is_empty() {
        faults.push("Listeners", Fault::NoneOf { what: "listener", owner: "entry" });
    }
    faults.at_most("Listeners", listeners.len(), LISTENERS_MAX);
    let (mut names, mut ports) = (BTreeSet::new(), BTreeMap::new());
    for (i, listener) in listeners.iter().enumerate().take(LISTENERS_MAX) {
        let at = format!("Listeners[{i}]");
        if !names.insert(&listener.name) {
            let source_text = listener.name.chars().take(64).collect();
            faults.push(format!("{at}.Name"), Fault::Repeated { source_text });
        }
        let other: &mut &ApiGatewayListener = ports.entry(listener.port).or_insert(listener);
        if (&other.hostname, other.protocol) != (&listener.hostname, listener.protocol) {
            let other = other.name.chars().take(64).collect();
            faults.push(format!("{at}.Port"), GatewayFault::Unmergeable { other });
        }
        check_listener(&at, listener, faults);
    }
}

fn check_listener(at: &str, listener: &ApiGatewayListener, faults: &mut Faults) {
    let ApiGatewayListener { name, hostname, port, protocol, tls, r#override, default } = listener;
    faults.no_longer(format!("{at}.Name"), name, TEXT_BYTES_MAX);
    if !is_listener_name(name) {
        let name = name.chars().take(64).collect();
        faults.push(format!("{at}.Name"), GatewayFault::ListenerName { name });
    }
    if *protocol == GatewayProtocol::Tcp && !hostname.is_empty() {
        faults.push(format!("{at}.Hostname"), GatewayFault::OnlyForRequests);
    }
    if hostname == "*" {
        // An ingress gateway may take every host so; here that is a listener without a host.
        faults.push(format!("{at}.Hostname"), GatewayFault::WildcardInside { host: hostname.clone() });
    } else if !hostname.is_empty() {
        faults.host(format!("{at}.Hostname"), hostname);
    }
    if *port == 0 {
        faults.push(format!("{at}.Port"), Fault::NoPort);
    }
    if *protocol == GatewayProtocol::Unset {
        faults.push(format!("{at}.Protocol"), GatewayFault::NoGatewayProtocol);
    }
    faults.references(&format!("{at}.TLS.Certificates"), &tls.certificates, CERTIFICATES);
    check_versions(&format!("{at}.TLS"), "", (tls.min_version, tls.max_version, &tls.cipher_suites), faults);
    for (name, policy) in [("Override", r#override), ("Default", default)] {
        if policy.is_some() {
            let what = "tokens at API gateways";
            faults.push(format!("{at}.{name}"), GatewayFault::Enterprise { what });
        }
    }
}

/// Parts of lower-case letters, digits and inner dashes, divided by dots.
fn is_listener_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let part = |part: &str| {
        let bytes = part.as_bytes();
        let ends = bytes.first().zip(bytes.last());
        ends.is_some_and(|(first, last)| plain(*first) && plain(*last))
            && bytes.iter().all(|byte| plain(*byte) || *byte == b'-')
    };
    text.split('.').all(part)
}

/// What a gateway refers to may be missing: the status says so.
pub(super) fn graph(_: Proposed<'_>) -> Result<(), GraphFault> {
    Ok(())
}

pub(super) fn links(_: &Record<ApiGateway>) -> Vec<ServiceRef> {
    Vec::new()
}
