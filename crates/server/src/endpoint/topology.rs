//! The neighbours of a service: by registered upstreams and gateways, and by what the intentions allow.
//!
//! Only transparent proxies and services that speak the mesh's TLS themselves call services that they have not registered
//! as upstreams, so only those have neighbours by intentions.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_mesh::chain::{Overrides, Request, VirtualIps, compile, gather};
use concord_mesh::intention::{Policy, Table, Verdict};
use concord_mesh::protocol::{Unsaid, protocol_by};
use concord_mesh::topology::{
    NeighbourSource, PairDecision, ROUTING_KINDS, leading_to, protocol_of_api_gateway, protocol_of_ingress,
    reaches,
};
use concord_model::catalog::{SERVER_SERVICE, ServiceInstance};
use concord_model::entry::{Entry, EntryKind, EntryName, Protocol};
use concord_model::proxy::ServiceKind;
use concord_model::{ServiceRef, TrustDomain};
use concord_rpc::RpcError;
use concord_rpc::request::{Neighbour, ReadTopology, Topology, TopologyKind};
use concord_state::{Placed, ServiceHealth as HealthRow, ServiceScope, ServiceTraits};

use crate::endpoint::catalog::health;
use crate::reading::Reading;

/// The neighbours found so far, and why they are such.
type Sides = BTreeMap<ServiceRef, (NeighbourSource, PairDecision)>;

pub(crate) fn read_topology(reading: &mut Reading<'_>, request: &ReadTopology) -> Result<Topology, RpcError> {
    let ReadTopology { service, kind } = request;
    let proxies = match kind {
        TopologyKind::Typical => reading.reader.connect_instances(service),
        TopologyKind::IngressGateway | TopologyKind::ApiGateway => Vec::new(),
    };
    let transparent = |placed: &Arc<Placed>| is_transparent(&placed.service);
    let upstreams = upstreams(reading, service, *kind, &proxies);
    let mut upstreams: Vec<_> =
        upstreams.into_iter().filter_map(|(other, why)| upstream(reading, other, why)).collect();
    upstreams.sort_by_key(|own| own.source == NeighbourSource::RoutingConfig);
    let downstreams = downstreams(reading, service);
    Ok(Topology {
        protocol: protocol_of(reading, service, *kind),
        transparent: !proxies.is_empty() && proxies.iter().all(transparent),
        upstreams,
        downstreams: downstreams
            .into_iter()
            .filter_map(|(other, why)| downstream(reading, other, why))
            .collect(),
    })
}

fn protocol_of(reading: &mut Reading<'_>, service: &ServiceRef, kind: TopologyKind) -> Protocol {
    let mut entry = |kind| reading.reader.entry(&EntryName::of_service(kind, service));
    let entry = match kind {
        TopologyKind::Typical => entry(EntryKind::ServiceDefaults),
        TopologyKind::IngressGateway => entry(EntryKind::IngressGateway),
        TopologyKind::ApiGateway => entry(EntryKind::ApiGateway),
    };
    match (kind, entry.as_deref()) {
        (TopologyKind::Typical, own) => {
            let all = reading.reader.entry(&EntryName::only(EntryKind::ProxyDefaults));
            protocol_by(service, own, all.as_deref(), Unsaid::IsTcp).protocol
        }
        (_, Some(Entry::IngressGateway(entry))) => protocol_of_ingress(&entry.said),
        (_, Some(Entry::ApiGateway(entry))) => protocol_of_api_gateway(&entry.said),
        _ => Protocol::Unset,
    }
}

fn is_transparent(instance: &ServiceInstance) -> bool {
    instance.proxy.as_ref().is_some_and(|proxy| proxy.mode == "transparent")
}

// === Upstreams ===

/// What a service calls.
fn upstreams(
    reading: &mut Reading<'_>,
    service: &ServiceRef,
    kind: TopologyKind,
    proxies: &[Arc<Placed>],
) -> Sides {
    let table = Table::compile(&reading.reader.intentions_from(service));
    let default = reading.config.intention_default;
    let decide = |other: &ServiceRef| table.decide(service, other, default);
    let mut sides = Sides::new();
    for other in registered_upstreams(reading, service, kind, proxies) {
        add_registered(reading, &mut sides, other, decide);
    }
    if proxies.iter().any(|placed| is_transparent(&placed.service) || placed.service.native) {
        let mut candidates = by_traits(reading, &[ServiceKind::Typical]);
        let addresses = reading.reader.virtual_addresses();
        let here = addresses.iter().map(|row| &row.service).filter(|own| own.peer.is_none());
        candidates.extend(here.cloned());
        add_allowed(reading, &mut sides, service, candidates, decide);
    }
    sides
}

fn registered_upstreams(
    reading: &mut Reading<'_>,
    service: &ServiceRef,
    kind: TopologyKind,
    proxies: &[Arc<Placed>],
) -> Vec<ServiceRef> {
    match kind {
        TopologyKind::Typical => {
            let all = proxies.iter().flat_map(|placed| placed.service.upstreams(&placed.node.datacenter));
            all.filter(|upstream| upstream.peer.is_none()).collect()
        }
        TopologyKind::IngressGateway => {
            let all = reading.reader.gateway_services(service);
            all.into_iter().map(|own| own.service).collect()
        }
        TopologyKind::ApiGateway => bound(reading, service),
    }
}

/// The services that an API gateway uses.
fn bound(reading: &mut Reading<'_>, gateway: &ServiceRef) -> Vec<ServiceRef> {
    let entry = reading.reader.entry(&EntryName::of_service(EntryKind::BoundApiGateway, gateway));
    entry.as_deref().map(concord_mesh::entry::links).unwrap_or_default()
}

/// An upstream with its instances. One without instances is shown if entries say where its requests go.
fn upstream(
    reading: &mut Reading<'_>,
    service: ServiceRef,
    (source, decision): (NeighbourSource, PairDecision),
) -> Option<Neighbour> {
    let all = instances(reading, &service);
    if !all.iter().any(|row| row.service.service == service.name) && is_routed(reading, &service) {
        sees(reading, &service)?;
        let source = NeighbourSource::RoutingConfig;
        return Some(Neighbour { service, source, decision, instances: Vec::new() });
    }
    shown(reading, service, source, decision, all)
}

fn is_routed(reading: &mut Reading<'_>, service: &ServiceRef) -> bool {
    let mut stands = |kind| reading.reader.entry(&EntryName::of_service(kind, service)).is_some();
    // Each kind is read, so that each of them wakes a query that waits.
    ROUTING_KINDS.map(&mut stands).contains(&true)
}

// === Downstreams ===

/// What calls a service.
fn downstreams(reading: &mut Reading<'_>, service: &ServiceRef) -> Sides {
    let policy = Policy::compile(service, &reading.reader.intentions_to(service));
    let default = reading.config.intention_default;
    let decide = |other: &ServiceRef| policy.decide(other, default);
    let mut sides = Sides::new();
    for other in registered_downstreams(reading, service) {
        add_registered(reading, &mut sides, other, decide);
    }
    let candidates = by_traits(reading, &[ServiceKind::Typical, ServiceKind::IngressGateway]);
    add_allowed(reading, &mut sides, service, candidates, decide);
    sides
}

fn registered_downstreams(reading: &mut Reading<'_>, service: &ServiceRef) -> Vec<ServiceRef> {
    let mut all = Vec::new();
    for named in led_here(reading, service) {
        all.extend(reading.reader.upstream_uses(&named).iter().map(|used| used.caller.clone()));
        all.extend(reading.reader.ingress_gateways(&named));
    }
    let bound = reading.reader.entry_rows(EntryKind::BoundApiGateway);
    let using = bound.iter().filter(|row| row.whole().is_some_and(|entry| uses(entry, service)));
    all.extend(using.filter_map(|row| row.name().scope.service()));
    all
}

fn uses(gateway: &Entry, service: &ServiceRef) -> bool {
    concord_mesh::entry::links(gateway).contains(service)
}

/// The services whose chains lead to a service.
fn led_here(reading: &mut Reading<'_>, service: &ServiceRef) -> Vec<ServiceRef> {
    let rows: Vec<_> = ROUTING_KINDS.into_iter().flat_map(|kind| reading.reader.entry_rows(kind)).collect();
    let entries = rows.iter().filter_map(|row| row.whole());
    let leading = leading_to(service, entries);
    leading.into_iter().filter(|named| leads(reading, named, service)).collect()
}

fn leads(reading: &mut Reading<'_>, named: &ServiceRef, service: &ServiceRef) -> bool {
    let datacenter = reading.config.datacenter.clone();
    let request = Request {
        service: named.clone(),
        datacenter: datacenter.clone(),
        // Where a chain leads does not depend on the trust domain.
        trust_domain: TrustDomain::parse("any.consul").expect("a domain"),
        overrides: Overrides::default(),
        virtual_ips: VirtualIps::default(),
    };
    let gathered = gather(named, |name| reading.reader.entry(name));
    let chain = gathered.and_then(|gathered| compile(&gathered, &request));
    chain.is_ok_and(|chain| reaches(&chain, service, &datacenter))
}

/// A downstream with its instances. One that only intentions allow is shown if it can make use of that.
fn downstream(
    reading: &mut Reading<'_>,
    service: ServiceRef,
    (source, decision): (NeighbourSource, PairDecision),
) -> Option<Neighbour> {
    let all = instances(reading, &service);
    let free = all.iter().any(|row| is_transparent(&row.service) || row.service.native);
    if !free && source != NeighbourSource::ProxyRegistration {
        return None;
    }
    shown(reading, service, source, decision, all)
}

// === Both ===

fn add_registered(
    reading: &Reading<'_>,
    sides: &mut Sides,
    other: ServiceRef,
    decide: impl Fn(&ServiceRef) -> Verdict,
) {
    let decision = PairDecision::of(&decide(&other), reading.config.intention_default);
    sides.insert(other, (NeighbourSource::ProxyRegistration, decision));
}

/// Adds the candidates that the intentions allow.
fn add_allowed(
    reading: &Reading<'_>,
    sides: &mut Sides,
    service: &ServiceRef,
    candidates: Vec<ServiceRef>,
    decide: impl Fn(&ServiceRef) -> Verdict,
) {
    for other in candidates {
        if other == *service || other.name.as_str() == SERVER_SERVICE || sides.contains_key(&other) {
            continue;
        }
        let decision = PairDecision::of(&decide(&other), reading.config.intention_default);
        if let Some(source) = decision.source() {
            sides.insert(other, (source, decision));
        }
    }
}

/// The services with an instance of one of these kinds.
fn by_traits(reading: &mut Reading<'_>, kinds: &[ServiceKind]) -> Vec<ServiceRef> {
    let all = reading.reader.all_traits(&ServiceScope::default());
    let fits = |row: &&Arc<ServiceTraits>| kinds.iter().any(|kind| row.traits.kinds.contains(kind));
    all.iter().filter(fits).map(|row| row.service.clone()).collect()
}

/// The instances of a service and its proxies, each once.
fn instances(reading: &mut Reading<'_>, service: &ServiceRef) -> Vec<Arc<HealthRow>> {
    let own = reading.reader.health_service(service).into_iter();
    let all = own.chain(reading.reader.health_connect(service));
    let once: BTreeMap<_, _> =
        all.map(|row| ((row.node.name.clone(), row.service.id.clone()), row)).collect();
    once.into_values().collect()
}

/// A neighbour with what the caller may see of it; `None` if that is nothing. Neither sidecars nor gateways between
/// networks and out of the mesh are neighbours.
fn shown(
    reading: &Reading<'_>,
    service: ServiceRef,
    source: NeighbourSource,
    decision: PairDecision,
    all: Vec<Arc<HealthRow>>,
) -> Option<Neighbour> {
    let mut own = all.iter().filter(|row| row.service.service == service.name);
    if own.any(|row| !is_neighbour(row.service.kind)) {
        return None;
    }
    if !all.is_empty() {
        sees(reading, &service)?;
    }
    let seen = reading.keep(all, |row| reading.caller.sees().instance(&row.node.name, &row.service));
    let instances: Vec<_> = seen.iter().map(|row| health(row)).collect();
    (!instances.is_empty()).then_some(Neighbour { service, source, decision, instances })
}

/// Whether the caller may be told of a service: whoever sees only its proxies is not told whose they are.
fn sees(reading: &Reading<'_>, service: &ServiceRef) -> Option<()> {
    let sees = reading.caller.sees().service(&service.name);
    if !sees {
        reading.hide();
    }
    sees.then_some(())
}

fn is_neighbour(kind: ServiceKind) -> bool {
    matches!(kind, ServiceKind::Typical | ServiceKind::IngressGateway | ServiceKind::ApiGateway)
}
