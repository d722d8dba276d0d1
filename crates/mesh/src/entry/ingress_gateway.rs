//! `ingress-gateway`: how traffic from outside reaches services of the mesh.

use std::collections::BTreeSet;

use concord_model::chain::ChainNode;
use concord_model::entry::{
    Entry, EntryKind, EntryName, GatewayTls, IngressGateway, IngressListener, IngressService,
    ListenerProtocol, Protocol, Record, SecretSource,
};
use concord_model::{Pattern, ServiceName, ServiceRef};

use super::ejection::check_passive;
use super::fault::{Fault, Faults};
use super::gates::{HOSTS_MAX, LISTENERS_MAX, SERVICES_MAX, services};
use super::gateway_fault::GatewayFault;
use super::graph::{GraphFault, Proposed};
use super::limits::TEXT_BYTES_MAX;
use super::mesh::check_versions;
use super::trial::{Compiled, Turn, protocol_of};

pub(super) fn check(entry: &Record<IngressGateway>, faults: &mut Faults) {
    faults.meta("Meta", &entry.meta);
    let IngressGateway { tls, listeners, defaults } = &entry.said;
    check_tls("TLS", tls, faults);
    if let Some(sds) = &tls.sds
        && sds.cluster_name.is_empty()
        && !sds.cert_resource.is_empty()
    {
        faults.push("TLS.SDS.ClusterName", GatewayFault::NoCluster);
    }
    if let Some(check) = defaults.and_then(|limits| limits.passive_health_check) {
        check_passive("Defaults.PassiveHealthCheck", &check, faults);
    }
    faults.at_most("Listeners", listeners.len(), LISTENERS_MAX);
    let mut ports = BTreeSet::new();
    for (i, listener) in listeners.iter().enumerate().take(LISTENERS_MAX) {
        let at = format!("Listeners[{i}]");
        if listener.port == 0 {
            faults.push(format!("{at}.Port"), Fault::NoPort);
        } else if !ports.insert(listener.port) {
            faults.push(format!("{at}.Port"), GatewayFault::PortTwice { port: listener.port });
        }
        check_listener(&at, listener, tls, faults);
    }
}

fn check_tls(at: &str, tls: &GatewayTls, faults: &mut Faults) {
    let GatewayTls { enabled: _, sds, tls_min_version, tls_max_version, cipher_suites } = tls;
    check_versions(at, "TLS", (*tls_min_version, *tls_max_version, cipher_suites), faults);
    if let Some(sds) = sds {
        check_source(&format!("{at}.SDS"), sds, faults);
    }
}

fn check_source(at: &str, sds: &SecretSource, faults: &mut Faults) {
    faults.no_longer(format!("{at}.ClusterName"), &sds.cluster_name, TEXT_BYTES_MAX);
    faults.no_longer(format!("{at}.CertResource"), &sds.cert_resource, TEXT_BYTES_MAX);
}

fn check_listener(at: &str, listener: &IngressListener, gateway: &GatewayTls, faults: &mut Faults) {
    let IngressListener { port: _, protocol, tls, services } = listener;
    if let Some(tls) = tls {
        check_tls(&format!("{at}.TLS"), tls, faults);
    }
    let sources = Sources::of(gateway, tls.as_ref());
    sources.check(at, faults);
    let bytes = *protocol == ListenerProtocol::Tcp;
    let services_at = format!("{at}.Services");
    if services.is_empty() {
        faults.push(&services_at, Fault::NoneOf { what: "service", owner: "listener" });
    } else if bytes && services.len() > 1 {
        faults.push(&services_at, GatewayFault::SeveralOnTcp);
    }
    faults.at_most(&services_at, services.len(), SERVICES_MAX);
    let (mut seen, mut hosts) = (BTreeSet::new(), BTreeSet::new());
    for (i, service) in services.iter().enumerate().take(SERVICES_MAX) {
        let at = format!("{services_at}[{i}]");
        check_name(&at, service, bytes, &mut seen, faults);
        check_hosts(&at, service, bytes, &mut hosts, faults);
        check_service(&at, service, bytes, sources, faults);
        if gateway.enabled && service.hosts.iter().any(|host| host == "*") {
            faults.push(format!("{at}.Hosts"), GatewayFault::AnyHostWithTls);
        }
    }
}

/// Which parts of the sources of certificates are there.
#[derive(Clone, Copy)]
struct Sources {
    gateway_cluster: bool,
    gateway_resource: bool,
    listener_cluster: bool,
    listener_resource: bool,
}

impl Sources {
    fn of(gateway: &GatewayTls, listener: Option<&GatewayTls>) -> Self {
        let given = |tls: &GatewayTls| {
            let parts = |sds: &SecretSource| (!sds.cluster_name.is_empty(), !sds.cert_resource.is_empty());
            tls.sds.as_ref().map(parts).unwrap_or_default()
        };
        let (gateway_cluster, gateway_resource) = given(gateway);
        let (listener_cluster, listener_resource) = listener.map(given).unwrap_or_default();
        Self { gateway_cluster, gateway_resource, listener_cluster, listener_resource }
    }

    fn check(self, at: &str, faults: &mut Faults) {
        if self.gateway_cluster && !self.gateway_resource && !self.listener_resource {
            faults.push("TLS.SDS.CertResource", GatewayFault::NoResource);
        }
        if self.listener_cluster && !self.listener_resource {
            faults.push(format!("{at}.TLS.SDS.CertResource"), GatewayFault::NoResource);
        }
        if self.listener_resource && !self.listener_cluster && !self.gateway_cluster {
            faults.push(format!("{at}.TLS.SDS.ClusterName"), GatewayFault::NoCluster);
        }
    }
}

fn check_name<'a>(
    at: &str,
    service: &'a IngressService,
    bytes: bool,
    seen: &mut BTreeSet<&'a Pattern<ServiceName>>,
    faults: &mut Faults,
) {
    let at = format!("{at}.Name");
    match &service.name {
        None => faults.push(at, Fault::Required),
        Some(Pattern::Any) if bytes => faults.push(at, Fault::Wildcard),
        Some(name) if !seen.insert(name) => {
            faults.push(at, Fault::Repeated { source_text: name.to_string() });
        }
        Some(_) => {}
    }
}

fn check_hosts<'a>(
    at: &str,
    service: &'a IngressService,
    bytes: bool,
    taken: &mut BTreeSet<&'a str>,
    faults: &mut Faults,
) {
    let at = format!("{at}.Hosts");
    let hosts = &service.hosts;
    if bytes && !hosts.is_empty() {
        faults.push(&at, GatewayFault::OnlyForRequests);
    }
    if !hosts.is_empty() && service.name.as_ref().is_some_and(Pattern::is_any) {
        faults.push(&at, GatewayFault::HostsOfAll);
    }
    faults.at_most(&at, hosts.len(), HOSTS_MAX);
    for (i, host) in hosts.iter().enumerate().take(HOSTS_MAX) {
        let at = format!("{at}[{i}]");
        if !taken.insert(host) {
            faults.push(&at, GatewayFault::HostTwice { host: host.chars().take(255).collect() });
        }
        faults.host(at, host);
    }
}

fn check_service(at: &str, service: &IngressService, bytes: bool, sources: Sources, faults: &mut Faults) {
    faults.local(at, &service.partition, &service.namespace);
    let changes =
        [("RequestHeaders", &service.request_headers), ("ResponseHeaders", &service.response_headers)];
    for (name, changes) in changes {
        let Some(changes) = changes else { continue };
        let at = format!("{at}.{name}");
        if bytes && !changes.is_empty() {
            faults.push(&at, GatewayFault::OnlyForRequests);
        }
        faults.modifiers(&at, changes);
    }
    if let Some(check) = &service.passive_health_check {
        check_passive(&format!("{at}.PassiveHealthCheck"), check, faults);
    }
    faults.meta(&format!("{at}.Meta"), &service.meta);
    let Some(sds) = service.tls.as_ref().and_then(|tls| tls.sds.as_ref()) else { return };
    check_source(&format!("{at}.TLS.SDS"), sds, faults);
    if sds.cert_resource.is_empty() {
        return;
    }
    if service.hosts.is_empty() {
        faults.push(format!("{at}.Hosts"), GatewayFault::CertificateWithoutHosts);
    }
    if sds.cluster_name.is_empty() && !sources.listener_cluster && !sources.gateway_cluster {
        faults.push(format!("{at}.TLS.SDS.ClusterName"), GatewayFault::NoCluster);
    }
}

/// The name is no other gateway's, and the services have the protocols of their listeners.
pub(super) fn graph(proposed: Proposed<'_>) -> Result<(), GraphFault> {
    let Some(Entry::IngressGateway(to)) = proposed.to() else { return Ok(()) };
    no_clash(proposed, EntryKind::TerminatingGateway)?;
    for (service, expected) in named(&to.said) {
        let protocol = protocol_of(proposed, &service)?;
        if protocol != expected {
            return Err(GraphFault::OtherListenerProtocol { service, protocol, expected });
        }
    }
    Ok(())
}

pub(super) fn links(entry: &Record<IngressGateway>) -> Vec<ServiceRef> {
    let listeners = entry.said.listeners.iter();
    services(listeners.flat_map(|listener| &listener.services).filter_map(|own| own.name.as_ref()?.exact()))
}

/// Refuses a name that a gateway of another kind has.
pub(super) fn no_clash(proposed: Proposed<'_>, other: EntryKind) -> Result<(), GraphFault> {
    let Some(name) = proposed.name() else { return Ok(()) };
    let clashing = EntryName { kind: other, scope: name.scope.clone() };
    match proposed.see(&clashing, |_| ()) {
        Some(()) => Err(GraphFault::GatewayClash { name: name.clone(), other }),
        None => Ok(()),
    }
}

/// Whether the gateways keep the protocol of a service when its chain changes. A listener for bytes takes every service
/// without router and splitter, as long as the gateway itself is not written.
pub(super) fn stay(turn: &Turn<'_>) -> Result<(), GraphFault> {
    let links = turn.proposed.kept().links_to(turn.service);
    let gateways = links.iter().filter(|from| from.kind == EntryKind::IngressGateway);
    for expected in gateways.flat_map(|name| expected_by(turn.proposed, name, turn.service)) {
        if !takes(expected, turn.after) && turn.before().is_some_and(|before| takes(expected, &before)) {
            let (service, protocol) = (turn.service.clone(), turn.after.chain.protocol);
            return Err(GraphFault::OtherListenerProtocol { service, protocol, expected });
        }
    }
    Ok(())
}

/// Whether a listener for a protocol takes a service.
fn takes(expected: Protocol, own: &Compiled) -> bool {
    let chain = &own.chain;
    let resolved = matches!(chain.nodes.get(&chain.start.key), Some(ChainNode::Resolver(_)));
    chain.protocol == expected || (expected == Protocol::Tcp && resolved)
}

/// The protocols that a gateway's listeners need of a service.
fn expected_by(proposed: Proposed<'_>, gateway: &EntryName, service: &ServiceRef) -> Vec<Protocol> {
    let said = proposed.see(gateway, |entry| match entry {
        Entry::IngressGateway(entry) => named(&entry.said),
        _ => Vec::new(),
    });
    let all = said.unwrap_or_default().into_iter();
    all.filter(|(own, _)| own == service).map(|(_, expected)| expected).collect()
}

/// The named services, each with the protocol of its listener.
fn named(said: &IngressGateway) -> Vec<(ServiceRef, Protocol)> {
    let mut all = Vec::new();
    for listener in &said.listeners {
        let names = listener.services.iter().filter_map(|own| own.name.as_ref()?.exact());
        all.extend(names.map(|name| (ServiceRef::local(name.clone()), of_listener(listener.protocol))));
    }
    all
}

fn of_listener(protocol: ListenerProtocol) -> Protocol {
    match protocol {
        ListenerProtocol::Tcp => Protocol::Tcp,
        ListenerProtocol::Http => Protocol::Http,
        ListenerProtocol::Http2 => Protocol::Http2,
        ListenerProtocol::Grpc => Protocol::Grpc,
    }
}
