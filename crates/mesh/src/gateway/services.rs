//! The services that ingress and terminating gateways serve: a pure function of their entries, of the other entries and
//! of what is known of the services in the catalog.
//!
//! A service that an entry names is served whether it has instances or not. `*` stands for the services that the gateway
//! can serve: an ingress gateway those that take mesh traffic and have the listener's protocol, a terminating gateway
//! those with an instance without the mesh's TLS. Both also serve the destinations outside of the mesh that
//! `service-defaults` declare. A row of a service's own wins over `*`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use concord_model::catalog::SERVER_SERVICE;
use concord_model::entry::{
    Entry, EntryKind, EntryName, IngressGateway, IngressListener, LinkedService, ListenerProtocol, Record,
    TerminatingGateway,
};
use concord_model::proxy::ServiceKind;
use concord_model::{Pattern, ServiceName, ServiceRef, Stamp};
use serde::{Deserialize, Serialize};

use crate::protocol::{Unsaid, protocol_by};

/// What the instances of a service have in common.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Traits {
    /// The kinds of its instances; empty if it has none.
    pub kinds: BTreeSet<ServiceKind>,
    /// Whether an instance does not use the mesh's TLS itself.
    pub plain: bool,
    /// Whether something takes mesh traffic for it.
    pub connected: bool,
}

/// Entries and catalog, as far as the question needs them.
pub trait Known {
    /// What is known of a service; `None` if it has no instance and nothing takes mesh traffic for it.
    fn traits(&mut self, service: &ServiceRef) -> Option<Traits>;
    /// All services of this cluster of which something is known.
    fn services(&mut self) -> Vec<(ServiceRef, Traits)>;
    /// The services outside of the mesh that `service-defaults` declare.
    fn destinations(&mut self) -> Vec<ServiceRef>;
    /// One entry.
    fn entry(&mut self, name: &EntryName) -> Option<Arc<Entry>>;
}

/// A service that a gateway serves.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct GatewayService {
    /// The gateway.
    pub gateway: ServiceRef,
    /// The service.
    pub service: ServiceRef,
    /// How the gateway serves it.
    pub by: ServedBy,
    /// Whether `*` stands for it.
    pub from_wildcard: bool,
    /// What the service is.
    pub kind: ServedKind,
    /// When the gateway's entry changed.
    pub stamp: Stamp,
}

/// How a gateway serves a service.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServedBy {
    /// A listener of an ingress gateway.
    Listener {
        /// Its port.
        port: u16,
        /// Its protocol.
        protocol: ListenerProtocol,
        /// The hosts by which the service is requested; none: its usual names.
        hosts: Vec<String>,
    },
    /// A link of a terminating gateway.
    Link(LinkedService),
}

/// What a service is to a gateway.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServedKind {
    /// Nothing is known of it yet.
    #[default]
    Unknown,
    /// It has instances.
    Service,
    /// `service-defaults` declare it as outside of the mesh.
    Destination,
}

/// The services that a gateway serves, by its entry: in the order of their names, then of the ports. An entry of another
/// kind serves none.
pub fn services(gateway: &Entry, known: &mut dyn Known) -> Vec<GatewayService> {
    match gateway {
        Entry::IngressGateway(entry) => of_ingress(entry, known),
        Entry::TerminatingGateway(entry) => of_terminating(entry, known),
        _ => Vec::new(),
    }
}

/// Whether an ingress gateway serves a service.
pub fn ingress_serves(gateway: &Record<IngressGateway>, service: &ServiceRef, known: &mut dyn Known) -> bool {
    let own = Pattern::Exact(service.name.clone());
    let names = |listener: &IngressListener, name| listener.services.iter().any(|row| row.name == name);
    let listeners = &gateway.said.listeners;
    let here = service.peer.is_none();
    if listeners.iter().any(|listener| names(listener, Some(own.clone()))) {
        return here;
    }
    let mut wild = listeners.iter().filter(|listener| names(listener, Some(Pattern::Any))).peekable();
    if !here || wild.peek().is_none() {
        return false;
    }
    let enters = known.traits(service).is_some_and(|traits| enters(service, &traits));
    (enters || is_destination(service, known)) && wild.any(|listener| speaks(listener, service, known))
}

/// Whether a terminating gateway serves a service.
pub fn terminating_serves(
    gateway: &Record<TerminatingGateway>,
    service: &ServiceRef,
    known: &mut dyn Known,
) -> bool {
    let names =
        |name: &Pattern<ServiceName>| gateway.said.services.iter().any(|row| row.name.as_ref() == Some(name));
    if service.peer.is_some() {
        return false;
    }
    names(&Pattern::Exact(service.name.clone()))
        || names(&Pattern::Any)
            && (known.traits(service).is_some_and(|traits| leaves(service, &traits))
                || is_destination(service, known))
}

fn of_ingress(entry: &Record<IngressGateway>, known: &mut dyn Known) -> Vec<GatewayService> {
    let mut found = BTreeMap::new();
    for listener in &entry.said.listeners {
        for row in &listener.services {
            let by = ServedBy::Listener {
                port: listener.port,
                protocol: listener.protocol,
                hosts: row.hosts.clone(),
            };
            let of = Row { entry, port: listener.port, by };
            match &row.name {
                Some(Pattern::Exact(name)) => of.named(ServiceRef::local(name.clone()), known, &mut found),
                Some(Pattern::Any) => {
                    let fits = |service: &ServiceRef, known: &mut dyn Known| speaks(listener, service, known);
                    of.wild(enters, fits, known, &mut found);
                }
                None => {}
            }
        }
    }
    found.into_values().collect()
}

fn of_terminating(entry: &Record<TerminatingGateway>, known: &mut dyn Known) -> Vec<GatewayService> {
    let mut found = BTreeMap::new();
    for row in &entry.said.services {
        let of = Row { entry, port: 0, by: ServedBy::Link(row.clone()) };
        match &row.name {
            Some(Pattern::Exact(name)) => of.named(ServiceRef::local(name.clone()), known, &mut found),
            Some(Pattern::Any) => of.wild(leaves, |_, _| true, known, &mut found),
            None => {}
        }
    }
    found.into_values().collect()
}

/// The services found so far, by name and port.
type Found = BTreeMap<(ServiceRef, u16), GatewayService>;

/// A row of a gateway's entry.
struct Row<'a, T> {
    entry: &'a Record<T>,
    port: u16,
    by: ServedBy,
}

impl<T> Row<'_, T> {
    /// The row names a service. It wins over `*`, wherever it stands.
    fn named(&self, service: ServiceRef, known: &mut dyn Known, found: &mut Found) {
        let kind = kind_of(&service, known);
        found.insert((service.clone(), self.port), self.served(service, false, kind));
    }

    /// The row stands for all services that the gateway can serve.
    fn wild(
        &self,
        can: fn(&ServiceRef, &Traits) -> bool,
        fits: impl Fn(&ServiceRef, &mut dyn Known) -> bool,
        known: &mut dyn Known,
        found: &mut Found,
    ) {
        let all = known.services().into_iter().filter(|(service, traits)| can(service, traits));
        let all: Vec<_> = all.map(|(service, _)| (service, ServedKind::Service)).collect();
        let outside = known.destinations().into_iter().map(|service| (service, ServedKind::Destination));
        for (service, kind) in all.into_iter().chain(outside) {
            if !found.contains_key(&(service.clone(), self.port)) && fits(&service, known) {
                found.insert((service.clone(), self.port), self.served(service, true, kind));
            }
        }
    }

    fn served(&self, service: ServiceRef, from_wildcard: bool, kind: ServedKind) -> GatewayService {
        let modify = self.entry.stamp.modify;
        GatewayService {
            gateway: self.entry.scope.service().unwrap_or_else(|| service.clone()),
            service,
            by: self.by.clone(),
            from_wildcard,
            kind,
            // The rows of an entry are made anew when it changes.
            stamp: Stamp { create: modify, modify },
        }
    }
}

/// Whether `*` of an ingress gateway may stand for a service.
fn enters(service: &ServiceRef, traits: &Traits) -> bool {
    is_ordinary(service, traits) && traits.connected
}

/// Whether `*` of a terminating gateway stands for a service.
fn leaves(service: &ServiceRef, traits: &Traits) -> bool {
    is_ordinary(service, traits) && traits.plain
}

/// Neither a proxy, nor a gateway, nor the servers themselves.
fn is_ordinary(service: &ServiceRef, traits: &Traits) -> bool {
    traits.kinds.contains(&ServiceKind::Typical) && service.name.as_str() != SERVER_SERVICE
}

/// Whether a service has the protocol of a listener.
fn speaks(listener: &IngressListener, service: &ServiceRef, known: &mut dyn Known) -> bool {
    let own = known.entry(&EntryName::of_service(EntryKind::ServiceDefaults, service));
    let all = known.entry(&EntryName::only(EntryKind::ProxyDefaults));
    // The listener hands requests to the chain of the service.
    let spoken = protocol_by(service, own.as_deref(), all.as_deref(), Unsaid::IsTcp);
    spoken.protocol.as_str() == listener.protocol.as_str()
}

fn kind_of(service: &ServiceRef, known: &mut dyn Known) -> ServedKind {
    if known.traits(service).is_some_and(|traits| !traits.kinds.is_empty()) {
        ServedKind::Service
    } else if is_destination(service, known) {
        ServedKind::Destination
    } else {
        ServedKind::Unknown
    }
}

fn is_destination(service: &ServiceRef, known: &mut dyn Known) -> bool {
    let own = known.entry(&EntryName::of_service(EntryKind::ServiceDefaults, service));
    own.as_deref().is_some_and(declares_destination)
}

/// Whether an entry declares a service outside of the mesh.
pub fn declares_destination(entry: &Entry) -> bool {
    matches!(entry, Entry::ServiceDefaults(own) if own.said.destination.is_some())
}
