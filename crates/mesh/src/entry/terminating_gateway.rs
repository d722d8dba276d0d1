//! `terminating-gateway`: how services of the mesh reach services outside of it.

use std::collections::BTreeSet;

use concord_model::ServiceRef;
use concord_model::entry::{EntryKind, LinkedService, Record, TerminatingGateway};

use super::fault::{Fault, Faults};
use super::gates::{SERVICES_MAX, services};
use super::gateway_fault::GatewayFault;
use super::graph::{GraphFault, Proposed};
use super::ingress_gateway::no_clash;
use super::limits::TEXT_BYTES_MAX;

pub(super) fn check(entry: &Record<TerminatingGateway>, faults: &mut Faults) {
    faults.meta("Meta", &entry.meta);
    let TerminatingGateway { services } = &entry.said;
    faults.at_most("Services", services.len(), SERVICES_MAX);
    let mut seen = BTreeSet::new();
    for (i, own) in services.iter().enumerate().take(SERVICES_MAX) {
        let at = format!("Services[{i}]");
        match &own.name {
            None => faults.push(format!("{at}.Name"), Fault::Required),
            Some(name) if !seen.insert(name) => {
                faults.push(format!("{at}.Name"), Fault::Repeated { source_text: name.to_string() });
            }
            Some(_) => {}
        }
        check_files(&at, own, faults);
        faults.local(&at, &own.partition, &own.namespace);
    }
}

fn check_files(at: &str, own: &LinkedService, faults: &mut Faults) {
    let LinkedService { ca_file, cert_file, key_file, sni, .. } = own;
    let own_certificate = !cert_file.is_empty() || !key_file.is_empty();
    if own_certificate && [ca_file, cert_file, key_file].iter().any(|file| file.is_empty()) {
        faults.push(at, GatewayFault::FilesMissing);
    }
    for (name, text) in [("CAFile", ca_file), ("CertFile", cert_file), ("KeyFile", key_file), ("SNI", sni)] {
        faults.no_longer(format!("{at}.{name}"), text, TEXT_BYTES_MAX);
    }
}

/// The name is no other gateway's.
pub(super) fn graph(proposed: Proposed<'_>) -> Result<(), GraphFault> {
    if proposed.to().is_none() { Ok(()) } else { no_clash(proposed, EntryKind::IngressGateway) }
}

pub(super) fn links(entry: &Record<TerminatingGateway>) -> Vec<ServiceRef> {
    services(entry.said.services.iter().filter_map(|own| own.name.as_ref()?.exact()))
}
