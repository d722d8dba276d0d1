//! `service-defaults`: settings for a service and its calls.

use std::collections::BTreeSet;
use std::net::IpAddr;

use concord_model::ServiceRef;
use concord_model::entry::{
    Entry, MutualTlsMode, OutsideDestination, Record, ServiceDefaults, UpstreamDefaults, UpstreamOverride,
};

use super::chains;
use super::ejection::check_passive;
use super::fault::{Fault, Faults};
use super::graph::{GraphFault, Proposed};
use super::proxy_defaults::may_be;

/// Overrides of a service's upstreams: one per called service.
pub const OVERRIDES_MAX: usize = 4096;
/// Addresses of a destination outside of the mesh.
pub const ADDRESSES_MAX: usize = 1024;
/// Bytes of a host name (RFC 1035 §2.3.4).
const HOST_BYTES_MAX: usize = 255;

pub(super) fn check(entry: &Record<ServiceDefaults>, faults: &mut Faults) {
    faults.meta("Meta", &entry.meta);
    let ServiceDefaults { upstream_config, destination, expose, envoy_extensions: _, .. } = &entry.said;
    faults.expose(expose);
    if upstream_config.is_some() && destination.is_some() {
        faults.push("UpstreamConfig and Destination", Fault::Exclusive);
    }
    if let Some(config) = upstream_config {
        check_upstreams(config, faults);
    }
    if let Some(destination) = destination {
        check_destination(destination, faults);
    }
}

fn check_upstreams(config: &UpstreamDefaults, faults: &mut Faults) {
    let UpstreamDefaults { overrides, defaults } = config;
    if let Some(defaults) = defaults {
        if defaults.name.is_some() {
            faults.push("UpstreamConfig.Defaults.Name", Fault::MustBeEmpty);
        }
        if defaults.peer.is_some() {
            faults.push("UpstreamConfig.Defaults.Peer", Fault::MustBeEmpty);
        }
        check_upstream("UpstreamConfig.Defaults", defaults, faults);
    }
    faults.at_most("UpstreamConfig.Overrides", overrides.len(), OVERRIDES_MAX);
    let mut seen = BTreeSet::new();
    for (i, own) in overrides.iter().enumerate().take(OVERRIDES_MAX) {
        let at = format!("UpstreamConfig.Overrides[{i}]");
        match &own.name {
            None => faults.push(format!("{at}.Name"), Fault::Required),
            Some(name) if !seen.insert((name, &own.peer)) => {
                faults.push(&at, Fault::Repeated { source_text: name.to_string() });
            }
            Some(_) => {}
        }
        check_upstream(&at, own, faults);
    }
}

fn check_upstream(at: &str, own: &UpstreamOverride, faults: &mut Faults) {
    if !own.partition.is_default() || !own.namespace.is_default() {
        faults.push(at, Fault::OtherTenancy);
    }
    if let Some(check) = &own.passive_health_check {
        check_passive(&format!("{at}.PassiveHealthCheck"), check, faults);
    }
}

fn check_destination(destination: &OutsideDestination, faults: &mut Faults) {
    let OutsideDestination { addresses, port } = destination;
    if addresses.is_empty() {
        faults.push("Destination.Addresses", Fault::NoneOf { what: "address", owner: "Destination" });
    }
    faults.at_most("Destination.Addresses", addresses.len(), ADDRESSES_MAX);
    let mut seen = BTreeSet::new();
    for (i, address) in addresses.iter().enumerate().take(ADDRESSES_MAX) {
        let at = format!("Destination.Addresses[{i}]");
        if !seen.insert(address) {
            let shown = address.chars().take(HOST_BYTES_MAX).collect();
            faults.push(at, Fault::Repeated { source_text: shown });
        } else if !is_host(address) {
            faults.push(at, Fault::NoHost);
        }
    }
    if *port == 0 {
        faults.push("Destination.Port", Fault::NoPort);
    }
}

/// Whether the text is an address or a host name without a wildcard (RFC 1123 §2.1).
fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    text.parse::<IpAddr>().is_ok()
        || (text.len() <= HOST_BYTES_MAX && text.strip_suffix('.').unwrap_or(text).split('.').all(label))
}

pub(super) fn graph(proposed: Proposed<'_>) -> Result<(), GraphFault> {
    let mode = |entry: Option<&Entry>| match entry {
        Some(Entry::ServiceDefaults(entry)) => entry.said.mutual_tls_mode,
        _ => MutualTlsMode::Unset,
    };
    may_be(mode(proposed.to()), mode(proposed.from().as_deref()), proposed)?;
    chains::stay(proposed)
}

pub(super) fn links(_: &Record<ServiceDefaults>) -> Vec<ServiceRef> {
    Vec::new()
}
