//! API gateways: which routes and certificates each listener uses, and what is said of gateways and routes.
//!
//! This is a pure function of the entries. The leader stores its result: the `bound-api-gateway` entries, and the
//! conditions in the status of gateways and routes. The reasons and their order are Consul's.

mod condition;
mod services;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use concord_model::entry::{
    ApiGateway, ApiGatewayListener, BoundApiGateway, BoundListener, Condition, Entry, EntryKind, EntryName,
    GatewayProtocol, HttpRoute, Protocol, Record, Reference, Status, TcpRoute, Transition,
};
use concord_model::intention::Destination;
use concord_model::{ServiceRef, Timestamp};

use self::condition::{Conditions, Said};
pub use self::services::{
    GatewayService, Known, ServedBy, ServedKind, Traits, declares_destination, ingress_serves, services,
    terminating_serves,
};
use crate::chain::{ChainFault, Request, compile, gather};

/// The entries about API gateways.
#[derive(Clone, Debug, Default)]
pub struct GatewayEntries<'a> {
    /// The gateways.
    pub gateways: Vec<&'a Record<ApiGateway>>,
    /// The routes for requests.
    pub http_routes: Vec<&'a Record<HttpRoute>>,
    /// The routes for connections.
    pub tcp_routes: Vec<&'a Record<TcpRoute>>,
    /// The names of all certificates.
    pub certificates: BTreeSet<EntryName>,
}

/// What follows from the entries.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Settled {
    /// The conditions of each gateway and route, without the times at which they changed.
    pub statuses: BTreeMap<EntryName, Status>,
    /// What each gateway uses, by the name of its `bound-api-gateway` entry.
    pub bound: BTreeMap<EntryName, BoundApiGateway>,
}

/// Computes what follows from the entries. `chain` is the protocol of a service's chain, or why there is no chain.
pub fn settle(
    entries: &GatewayEntries<'_>,
    chain: impl Fn(&ServiceRef) -> Result<Protocol, String>,
) -> Settled {
    let mut gateways: BTreeMap<&str, Gateway<'_>> = BTreeMap::new();
    for entry in &entries.gateways {
        gateways.insert(entry.scope.name.as_str(), Gateway::new(entry, &entries.certificates));
    }
    let mut settled = Settled::default();
    let routes = entries.http_routes.iter().map(|entry| Route::http(entry));
    for route in routes.chain(entries.tcp_routes.iter().map(|entry| Route::tcp(entry))) {
        let (name, status) = route.bind(&mut gateways, &chain);
        settled.statuses.insert(name, status);
    }
    for gateway in gateways.into_values() {
        let scope = &gateway.entry.scope;
        settled.bound.insert(named(EntryKind::BoundApiGateway, scope), gateway.bound.clone());
        settled.statuses.insert(named(EntryKind::ApiGateway, scope), gateway.status());
    }
    settled
}

fn named(kind: EntryKind, scope: &Destination) -> EntryName {
    EntryName { kind, scope: scope.clone() }
}

/// A gateway and what it uses so far.
struct Gateway<'a> {
    entry: &'a Record<ApiGateway>,
    bound: BoundApiGateway,
    conditions: Conditions,
    accepted: bool,
}

impl<'a> Gateway<'a> {
    /// A gateway with its certificates, before any route.
    fn new(entry: &'a Record<ApiGateway>, certificates: &BTreeSet<EntryName>) -> Self {
        let bound = BoundApiGateway::default();
        let mut own = Self { entry, bound, conditions: Conditions::default(), accepted: true };
        for listener in &entry.said.listeners {
            let (found, missing): (Vec<_>, Vec<_>) =
                listener.tls.certificates.iter().partition(|named| stands(named, certificates));
            let about = own.reference().section(&listener.name);
            match missing.last() {
                Some(missing) => {
                    own.accepted = false;
                    own.conditions.say(Said::InvalidCertificateRef(&missing.name), about);
                }
                None => own.conditions.say(Said::ResolvedRefs, about),
            }
            let certificates = found.into_iter().cloned().collect();
            let name = listener.name.clone();
            own.bound.listeners.push(BoundListener { name, routes: Vec::new(), certificates });
        }
        let whole = if own.accepted { Said::GatewayAccepted } else { Said::InvalidCertificates };
        own.conditions.say(whole, Reference::default());
        own
    }

    fn reference(&self) -> Reference {
        Reference::new(EntryKind::ApiGateway.as_str(), self.entry.scope.name.as_str())
    }

    /// The conditions, after all routes.
    fn status(mut self) -> Status {
        for (listener, bound) in self.entry.said.listeners.iter().zip(&self.bound.listeners) {
            let about = self.reference().section(&listener.name);
            let several = listener.protocol == GatewayProtocol::Tcp && bound.routes.len() > 1;
            self.conditions.say(if several { Said::RouteConflict } else { Said::NoConflict }, about);
        }
        self.conditions.into_status()
    }

    /// Lets the listeners that a reference names use a route. Returns whether any does, and why one does not.
    fn take(&mut self, route: &Route<'_>, parent: &Reference) -> (bool, Option<String>) {
        let (mut any, mut refusal) = (false, None);
        for (at, listener) in self.entry.said.listeners.iter().enumerate() {
            if !parent.section_name.is_empty() && parent.section_name != listener.name {
                continue;
            }
            match self.fits(listener, route, parent) {
                Ok(true) => {
                    any = true;
                    let routes = &mut self.bound.listeners[at].routes;
                    let reference = route.reference();
                    if !routes.contains(&reference) {
                        routes.push(reference);
                    }
                }
                Ok(false) => {}
                Err(reason) => _ = refusal.get_or_insert(reason),
            }
        }
        if any {
            for service in &route.services {
                let routes = self.bound.services.entry(service.name.to_string()).or_default();
                let reference = route.reference();
                if !routes.contains(&reference) {
                    routes.push(reference);
                }
            }
        }
        (any, refusal)
    }

    /// Whether a listener can use a route. It is an error if the listener should.
    fn fits(
        &self,
        listener: &ApiGatewayListener,
        route: &Route<'_>,
        parent: &Reference,
    ) -> Result<bool, String> {
        let gateway = self.entry.scope.name.as_str();
        let refused = |reason: &str| Err(format!("failed to bind route to gateway {gateway}: {reason}"));
        if !self.accepted {
            return refused("gateway has not been accepted");
        }
        if !route.accepted {
            return refused("route has not been accepted");
        }
        if let Some(hosts) = route.hostnames
            && !meets(hosts, &listener.hostname)
        {
            return refused(&format!("listener {} has no hostname that matches the route", listener.name));
        }
        if listener.protocol == route.protocol {
            return Ok(true);
        }
        if parent.section_name.is_empty() {
            return Ok(false);
        }
        Err(format!(
            "failed to bind route {} to gateway {gateway}: listener {} is not a {} listener",
            route.name.as_str(),
            listener.name,
            route.protocol
        ))
    }
}

/// A route of either kind.
struct Route<'a> {
    name: EntryName,
    protocol: GatewayProtocol,
    parents: &'a [Reference],
    services: Vec<ServiceRef>,
    /// The hosts of a route for requests.
    hostnames: Option<&'a [String]>,
    accepted: bool,
}

impl<'a> Route<'a> {
    fn http(entry: &'a Record<HttpRoute>) -> Self {
        let HttpRoute { parents, rules, hostnames, status: _ } = &entry.said;
        let names = rules.iter().flat_map(|rule| &rule.services).filter_map(|own| own.name.clone());
        Self {
            name: named(EntryKind::HttpRoute, &entry.scope),
            protocol: GatewayProtocol::Http,
            parents,
            services: names.map(ServiceRef::local).collect(),
            hostnames: Some(hostnames),
            accepted: false,
        }
    }

    fn tcp(entry: &'a Record<TcpRoute>) -> Self {
        let TcpRoute { parents, services, status: _ } = &entry.said;
        let names = services.iter().filter_map(|own| own.name.clone());
        Self {
            name: named(EntryKind::TcpRoute, &entry.scope),
            protocol: GatewayProtocol::Tcp,
            parents,
            services: names.map(ServiceRef::local).collect(),
            hostnames: None,
            accepted: false,
        }
    }

    fn reference(&self) -> Reference {
        Reference::new(self.name.kind.as_str(), self.name.as_str())
    }

    /// Lets its gateways use the route, and returns its conditions.
    fn bind(
        mut self,
        gateways: &mut BTreeMap<&str, Gateway<'_>>,
        chain: &impl Fn(&ServiceRef) -> Result<Protocol, String>,
    ) -> (EntryName, Status) {
        let mut conditions = Conditions::default();
        let refused = self.refused(chain);
        self.accepted = refused.is_none();
        let said = match &refused {
            None => Said::RouteAccepted,
            Some(Refused::NoService) => Said::NoUpstreamServices,
            Some(Refused::Chain(reason)) => Said::InvalidChain(reason),
        };
        conditions.say(said, Reference::default());
        for parent in self.parents {
            let Some(gateway) = gateways.get_mut(parent.name.as_str()) else {
                conditions.say(Said::GatewayNotFound, parent.clone());
                continue;
            };
            match gateway.take(&self, parent) {
                (_, Some(reason)) => conditions.say(Said::FailedToBind(&reason), parent.clone()),
                (true, None) => conditions.say(Said::Bound, parent.clone()),
                (false, None) => {
                    let (route, gateway) = (self.name.as_str(), parent.name.as_str());
                    let section = &parent.section_name;
                    let reason = format!(
                        "failed to bind route {route} to gateway {gateway} with listener '{section}'"
                    );
                    conditions.say(Said::FailedToBind(&reason), parent.clone());
                }
            }
        }
        (self.name, conditions.into_status())
    }

    /// Why the route cannot be used: each of its services needs a chain of its protocol.
    fn refused(&self, chain: &impl Fn(&ServiceRef) -> Result<Protocol, String>) -> Option<Refused> {
        let wanted = if self.hostnames.is_some() { Protocol::Http } else { Protocol::Tcp };
        if self.services.is_empty() {
            return Some(Refused::NoService);
        }
        let wrong = |service| match chain(service) {
            Ok(own) if own == wanted => None,
            Ok(_) => Some("route protocol does not match targeted service protocol".to_owned()),
            Err(reason) => Some(reason),
        };
        self.services.iter().find_map(wrong).map(Refused::Chain)
    }
}

/// Why a route cannot be used.
enum Refused {
    /// It names no service.
    NoService,
    /// The chain of a service cannot be compiled, or has another protocol.
    Chain(String),
}

/// The protocol of a service's chain. It reads the entries that concern the chain, and no others.
pub fn protocol_of(
    service: &ServiceRef,
    entry: impl FnMut(&EntryName) -> Option<Arc<Entry>>,
) -> Result<Protocol, ChainFault> {
    compile(&gather(service, entry)?, &Request::anywhere(service)).map(|chain| chain.protocol)
}

/// Whether a certificate has an entry.
fn stands(named: &Reference, certificates: &BTreeSet<EntryName>) -> bool {
    let name = EntryKind::parse(&named.kind).map(|kind| EntryName::parse(kind, &named.name));
    name.is_some_and(|name| name.is_ok_and(|name| certificates.contains(&name)))
}

/// Whether any host of a route is one of a listener's. A listener without a host, and a route without one, take all.
fn meets(hosts: &[String], listener: &str) -> bool {
    if hosts.is_empty() || listener.is_empty() {
        return true;
    }
    match listener.strip_prefix('*') {
        Some(rest) => {
            let domain = rest.strip_prefix('.').unwrap_or(rest);
            hosts.iter().any(|host| host == domain || host.ends_with(rest))
        }
        None => hosts.iter().any(|host| host == listener),
    }
}

/// The status with the times at which its conditions changed: those of before, or `now` for what is new.
pub fn dated(status: Status, before: &Status, now: Timestamp) -> Status {
    let date = |condition: Condition| {
        let same = before.conditions.iter().find(|old| old.says_the_same(&condition));
        let last_transition_time = same.map_or(Transition(now), |old| old.last_transition_time);
        Condition { last_transition_time, ..condition }
    };
    Status { conditions: status.conditions.into_iter().map(date).collect() }
}
