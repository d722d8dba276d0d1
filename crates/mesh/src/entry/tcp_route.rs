//! `tcp-route`: which service connections at an API gateway reach.

use concord_model::ServiceRef;
use concord_model::entry::{Record, TcpRoute};

use super::fault::{Fault, Faults};
use super::gates::services;
use super::gateway_fault::GatewayFault;
use super::graph::{GraphFault, Proposed};
use super::http_route::check_parents;

pub(super) fn check(entry: &Record<TcpRoute>, faults: &mut Faults) {
    faults.meta("Meta", &entry.meta);
    let TcpRoute { parents, services, status: _ } = &entry.said;
    check_parents(parents, faults);
    if services.len() > 1 {
        faults.push("Services", GatewayFault::OneServiceOnly { len: services.len() });
    }
    if let Some(own) = services.first() {
        if own.name.is_none() {
            faults.push("Services[0].Name", Fault::Required);
        }
        faults.local("Services[0]", &own.partition, &own.namespace);
    }
}

/// What a route refers to may be missing: the status says so.
pub(super) fn graph(_: Proposed<'_>) -> Result<(), GraphFault> {
    Ok(())
}

pub(super) fn links(entry: &Record<TcpRoute>) -> Vec<ServiceRef> {
    services(entry.said.services.iter().filter_map(|own| own.name.as_ref()))
}
