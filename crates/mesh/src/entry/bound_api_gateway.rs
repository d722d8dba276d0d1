//! `bound-api-gateway`: what an API gateway uses. Only the leader writes it.

use concord_model::entry::{BoundApiGateway, Record};
use concord_model::{ServiceName, ServiceRef};

use super::fault::Faults;
use super::gates::services;
use super::graph::{GraphFault, Proposed};

/// The leader computes it from valid entries.
pub(super) fn check(entry: &Record<BoundApiGateway>, faults: &mut Faults) {
    faults.meta("Meta", &entry.meta);
}

pub(super) fn graph(_: Proposed<'_>) -> Result<(), GraphFault> {
    Ok(())
}

pub(super) fn links(entry: &Record<BoundApiGateway>) -> Vec<ServiceRef> {
    let names: Vec<ServiceName> = entry.said.services.keys().filter_map(|name| name.parse().ok()).collect();
    services(names.iter())
}
