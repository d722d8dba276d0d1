//! Gateways and what they serve, and the services that peered clusters may use.

use std::collections::{BTreeMap, BTreeSet};

use concord_mesh::gateway::GatewayService;
use concord_model::catalog::SERVER_SERVICE;
use concord_model::entry::{Entry, EntryKind, EntryName, ExportedService};
use concord_model::intention::{Destination, ServiceIntentions};
use concord_model::proxy::ServiceKind;
use concord_model::{Pattern, PeerName, ServiceRef};
use concord_rpc::RpcError;
use concord_rpc::request::{
    Export, GatewayIntentions, GatewayServiceHealth, ListExports, ListGatewayServices, ServedInstances,
};
use concord_state::ServiceScope;

use crate::endpoint::catalog::health;
use crate::endpoint::intention::visible;
use crate::reading::Reading;

pub(crate) fn list_gateway_services(
    reading: &mut Reading<'_>,
    request: &ListGatewayServices,
) -> Result<Vec<GatewayService>, RpcError> {
    Ok(served(reading, &request.gateway))
}

/// The services that a gateway serves and the caller may see. `*` shows no more than a name would.
fn served(reading: &mut Reading<'_>, gateway: &ServiceRef) -> Vec<GatewayService> {
    let all = reading.reader.gateway_services(gateway);
    reading.keep(all, |own| reading.caller.sees().service(&own.service.name))
}

pub(crate) fn gateway_service_health(
    reading: &mut Reading<'_>,
    request: &GatewayServiceHealth,
) -> Result<Vec<ServedInstances>, RpcError> {
    let with_instances = |served: GatewayService, reading: &mut Reading<'_>| {
        let all = reading.reader.health_service(&served.service);
        let seen = reading.keep(all, |row| reading.caller.sees().instance(&row.node.name, &row.service));
        ServedInstances { instances: seen.iter().map(|row| health(row)).collect(), served }
    };
    let all = served(reading, &request.gateway);
    Ok(all.into_iter().map(|own| with_instances(own, reading)).collect())
}

pub(crate) fn gateway_intentions(
    reading: &mut Reading<'_>,
    request: &GatewayIntentions,
) -> Result<Vec<ServiceIntentions>, RpcError> {
    let mut heads = BTreeMap::new();
    for own in served(reading, &request.gateway) {
        let to = reading.reader.heads_to(&own.service);
        heads.extend(to.into_iter().map(|head| (head.destination.clone(), head)));
    }
    let heads: BTreeMap<Destination, _> = heads;
    Ok(heads.values().filter_map(|head| visible(reading, head)).collect())
}

/// The exported services by name: `*` stands for the ordinary services that have instances, without the servers
/// themselves.
pub(crate) fn list_exports(reading: &mut Reading<'_>, _: &ListExports) -> Result<Vec<Export>, RpcError> {
    let entry = reading.reader.entry(&EntryName::only(EntryKind::ExportedServices));
    let mut exports: BTreeMap<ServiceRef, BTreeSet<PeerName>> = BTreeMap::new();
    let Some(Entry::ExportedServices(entry)) = entry.as_deref() else { return Ok(Vec::new()) };
    for row in &entry.said.services {
        for service in named(reading, row) {
            let peers = row.consumers.iter().filter_map(|consumer| consumer.peer.clone());
            exports.entry(service).or_default().extend(peers);
        }
    }
    Ok(exports.into_iter().map(|(service, peers)| Export { service, peers }).collect())
}

fn named(reading: &mut Reading<'_>, row: &ExportedService) -> Vec<ServiceRef> {
    let services = match &row.name {
        Some(Pattern::Exact(name)) => vec![ServiceRef::local(name.clone())],
        Some(Pattern::Any) => ordinary(reading),
        None => Vec::new(),
    };
    services.into_iter().filter(|service| service.name.as_str() != SERVER_SERVICE).collect()
}

fn ordinary(reading: &mut Reading<'_>) -> Vec<ServiceRef> {
    let all = reading.reader.all_traits(&ServiceScope::default());
    let ordinary = all.iter().filter(|row| row.traits.kinds.contains(&ServiceKind::Typical));
    ordinary.map(|row| row.service.clone()).collect()
}
