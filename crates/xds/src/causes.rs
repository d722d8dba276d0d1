//! Which entries a proxy's configuration comes from: of a resource ([`of_resource`]), so that a refused one can be told
//! by the entry that has to be mended, and of the whole ([`parts`]), so that an entry can be followed to its proxies.

use std::collections::BTreeSet;

use concord_model::ServiceRef;
use concord_model::chain::{
    ChainNode, ChainRoute, ChainSplit, ChainTarget, CompiledChain, Origin, ResolverNode,
};
use concord_model::entry::{EntryKind, EntryName};
use concord_proxycfg::{ChainId, ChainStep, Leads, OutboundListener, ProxySnapshot, UpstreamId};

use crate::names;
use crate::resource::ResourceType;

/// What a resource is made from.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Cause {
    /// A configuration entry.
    Entry {
        /// The entry.
        name: EntryName,
        /// The field, if it is known; else empty.
        field: String,
    },
    /// The proxy's registration, with what entries add to it.
    Registration {
        /// The upstream whose settings they are; `None`: those of the proxy itself.
        upstream: Option<UpstreamId>,
    },
    /// The certificate authority.
    Authority,
}

/// What a resource of a sidecar is made from. Empty if the sidecar has no resource with this name.
pub fn of_resource(snapshot: &ProxySnapshot, kind: ResourceType, name: &str) -> Vec<Cause> {
    let mut causes = BTreeSet::new();
    match kind {
        ResourceType::Secret => _ = causes.insert(Cause::Authority),
        ResourceType::Listener | ResourceType::Route if is_public(name) => causes.extend(public(snapshot)),
        ResourceType::Cluster | ResourceType::Endpoint if name == names::LOCAL_APP => {
            causes.insert(Cause::Registration { upstream: None });
        }
        ResourceType::Cluster | ResourceType::Endpoint if key_server(snapshot, name).is_some() => {
            causes.extend(key_server(snapshot, name));
        }
        ResourceType::Listener => {
            let is_it = |own: &OutboundListener| {
                own.bind.as_ref().is_some_and(|bind| names::upstream_listener(&own.upstream, bind) == name)
            };
            for (own, chain) in upstreams(snapshot).filter(|(own, _)| is_it(own)) {
                causes.insert(registered(own));
                causes.extend(origins(chain).map(of_origin));
            }
        }
        ResourceType::Route => {
            for (_, chain) in upstreams(snapshot).filter(|(own, _)| own.upstream.as_str() == name) {
                causes.extend(origins(chain).map(of_origin));
            }
        }
        ResourceType::Cluster | ResourceType::Endpoint => {
            for (own, chain) in upstreams(snapshot) {
                let mut found = of_cluster(chain, name).peekable();
                if found.peek().is_some() {
                    causes.insert(registered(own));
                    causes.extend(found.flatten().map(of_origin));
                }
            }
        }
    }
    without_vague(causes)
}

/// A part of a snapshot to which an entry can belong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Part {
    /// What is merged into the registration.
    Registration,
    /// The intentions.
    Intentions,
    /// The entry itself.
    Entry,
    /// A chain.
    Chain(ChainId),
}

/// The parts of a snapshot that an entry concerns, also if the snapshot is older than the entry.
pub fn parts(snapshot: &ProxySnapshot, entry: &EntryName) -> Vec<Part> {
    let chains = |concerns: &dyn Fn(&CompiledChain) -> bool| {
        let named = compiled(snapshot)
            .filter(|(_, chain)| concerns(chain) || origins(chain).any(|origin| origin.entry == *entry));
        named.map(|(id, _)| Part::Chain(id.clone())).collect::<Vec<_>>()
    };
    match entry.kind {
        EntryKind::ServiceIntentions => {
            let concerns = entry.as_str() == "*" || is_of(entry, &snapshot.proxy.service);
            concerns.then_some(Part::Intentions).into_iter().collect()
        }
        EntryKind::Mesh => vec![Part::Entry],
        EntryKind::JwtProvider => {
            snapshot.entries.contains_key(entry).then_some(Part::Entry).into_iter().collect()
        }
        EntryKind::ProxyDefaults => [vec![Part::Registration], chains(&|_| true)].concat(),
        EntryKind::ServiceDefaults => {
            let own = is_of(entry, &snapshot.proxy.service).then_some(Part::Registration);
            own.into_iter().chain(chains(&|chain| leads_to(chain, entry))).collect()
        }
        EntryKind::ServiceResolver => chains(&|chain| leads_to(chain, entry)),
        EntryKind::ServiceRouter | EntryKind::ServiceSplitter => {
            chains(&|chain| is_of(entry, &chain.service))
        }
        // A sidecar is not configured by these.
        EntryKind::IngressGateway
        | EntryKind::TerminatingGateway
        | EntryKind::ExportedServices
        | EntryKind::InlineCertificate
        | EntryKind::FileSystemCertificate
        | EntryKind::ApiGateway
        | EntryKind::BoundApiGateway
        | EntryKind::HttpRoute
        | EntryKind::TcpRoute => Vec::new(),
    }
}

/// The resources that are made from these parts.
pub fn resources_of(snapshot: &ProxySnapshot, parts: &[Part]) -> Resources {
    let mut found = Resources { all: parts.contains(&Part::Registration), names: BTreeSet::new() };
    if parts.iter().any(|part| matches!(part, Part::Intentions | Part::Entry)) {
        found.names.insert((ResourceType::Route, names::PUBLIC_LISTENER.to_owned()));
        let bind = snapshot.inbound().map(|own| names::public_listener(&own.bind));
        found.names.extend(bind.map(|name| (ResourceType::Listener, name)));
    }
    for (own, chain) in upstreams(snapshot) {
        let is_it =
            |part: &Part| matches!((part, &own.leads), (Part::Chain(id), Leads::Chain(own)) if id == own);
        if !found.all && parts.iter().any(is_it) {
            found.names.extend(of_upstream(own, chain));
        }
    }
    found
}

/// Names of resources.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    /// Whether it is all but the secrets.
    all: bool,
    names: BTreeSet<(ResourceType, String)>,
}

impl Resources {
    /// Whether this resource is one of them.
    pub fn has(&self, kind: ResourceType, name: &str) -> bool {
        (self.all && kind != ResourceType::Secret) || self.names.contains(&(kind, name.to_owned()))
    }
}

/// The resources of an upstream.
fn of_upstream(own: &OutboundListener, chain: &CompiledChain) -> Vec<(ResourceType, String)> {
    let mut found = vec![(ResourceType::Route, own.upstream.as_str().to_owned())];
    let bind = own.bind.as_ref().map(|bind| names::upstream_listener(&own.upstream, bind));
    found.extend(bind.map(|name| (ResourceType::Listener, name)));
    for node in chain.nodes.values() {
        let ChainNode::Resolver(resolver) = node else { continue };
        let base = names::cluster(chain, &resolver.target);
        let members = (0..=resolver.failover.len()).map(|at| names::failover(at, &base));
        for name in members.chain([base.clone()]) {
            found.push((ResourceType::Cluster, name.clone()));
            found.push((ResourceType::Endpoint, name));
        }
    }
    found
}

fn is_public(name: &str) -> bool {
    name == names::PUBLIC_LISTENER || name.starts_with(&format!("{}:", names::PUBLIC_LISTENER))
}

fn public(snapshot: &ProxySnapshot) -> impl Iterator<Item = Cause> {
    let intentions = snapshot.intentions.entries.iter().map(|own| EntryName::intentions(&own.destination));
    intentions.chain(snapshot.entries.keys()).map(whole).chain([Cause::Registration { upstream: None }])
}

fn key_server(snapshot: &ProxySnapshot, name: &str) -> Option<Cause> {
    let mut providers = snapshot.entries.keys().filter(|entry| entry.kind == EntryKind::JwtProvider);
    providers.find(|entry| names::key_server(entry.as_str()) == name).map(whole)
}

fn compiled(snapshot: &ProxySnapshot) -> impl Iterator<Item = (&ChainId, &CompiledChain)> {
    snapshot.chains.values().filter_map(|chain| match &chain.start {
        ChainStep::Compiled(compiled) => Some((&chain.id, &**compiled)),
        ChainStep::Resolve(_) => None,
    })
}

fn upstreams(snapshot: &ProxySnapshot) -> impl Iterator<Item = (&OutboundListener, &CompiledChain)> {
    snapshot.outbound().filter_map(|own| {
        let Leads::Chain(id) = &own.leads else { return None };
        match &snapshot.chains.get(id)?.start {
            ChainStep::Compiled(chain) => Some((own, &**chain)),
            ChainStep::Resolve(_) => None,
        }
    })
}

/// What each node that needs the cluster comes from.
fn of_cluster<'a>(chain: &'a CompiledChain, name: &'a str) -> impl Iterator<Item = Vec<Origin>> + 'a {
    chain.nodes.values().filter_map(move |node| {
        let ChainNode::Resolver(resolver) = node else { return None };
        let target = target_of(chain, resolver, name)?;
        let origins = of_node(node).into_iter().chain(of_target(target));
        Some(origins.chain(chain.protocol_origin.clone()).collect())
    })
}

/// The target of the node's cluster with this name.
fn target_of<'a>(chain: &'a CompiledChain, node: &ResolverNode, name: &str) -> Option<&'a ChainTarget> {
    let base = names::cluster(chain, &node.target);
    let all = std::iter::once(&node.target).chain(node.failover.iter().map(|step| &step.target));
    let mut named = all.enumerate().map(|(at, target)| (names::failover(at, &base), target));
    let target = match name == base {
        true => &node.target,
        false => named.find(|(own, _)| own == name)?.1,
    };
    chain.targets.get(target)
}

/// What the steps of a chain come from, with the fields of the entries. An entry can be there several times.
fn origins(chain: &CompiledChain) -> impl Iterator<Item = Origin> {
    let nodes = chain.nodes.values().flat_map(of_node);
    chain.start.via.iter().cloned().chain(nodes).chain(chain.protocol_origin.clone())
}

/// What a target comes from, besides the resolvers that lead to it.
fn of_target(target: &ChainTarget) -> impl Iterator<Item = Origin> {
    target.mesh_gateway_origin.clone().into_iter().chain(target.external.clone())
}

/// What a node and the ways from it come from.
fn of_node(node: &ChainNode) -> Vec<Origin> {
    match node {
        ChainNode::Router(node) => {
            let of = |route: &ChainRoute| {
                route.origin.clone().into_iter().chain(route.next.via.clone()).collect::<Vec<_>>()
            };
            node.routes.iter().flat_map(of).collect()
        }
        ChainNode::Splitter(node) => {
            let of = |split: &ChainSplit| [split.origins.clone(), split.next.via.clone()].concat();
            node.splits.iter().flat_map(of).collect()
        }
        ChainNode::Resolver(node) => {
            let own = node.entry.clone().map(|entry| Origin { entry, field: String::new() });
            own.into_iter().chain(node.failover.iter().flat_map(|one| one.origins.clone())).collect()
        }
    }
}

fn registered(own: &OutboundListener) -> Cause {
    Cause::Registration { upstream: Some(own.upstream.clone()) }
}

fn whole(name: EntryName) -> Cause {
    Cause::Entry { name, field: String::new() }
}

fn of_origin(origin: Origin) -> Cause {
    Cause::Entry { name: origin.entry, field: origin.field }
}

/// An entry without a field says nothing beside the same entry with one.
fn without_vague(causes: BTreeSet<Cause>) -> Vec<Cause> {
    let is_told = |name: &EntryName| {
        causes.iter().any(
            |own| matches!(own, Cause::Entry { name: other, field } if other == name && !field.is_empty()),
        )
    };
    let is_kept =
        |own: &&Cause| !matches!(own, Cause::Entry { name, field } if field.is_empty() && is_told(name));
    causes.iter().filter(is_kept).cloned().collect()
}

fn leads_to(chain: &CompiledChain, entry: &EntryName) -> bool {
    is_of(entry, &chain.service) || chain.targets.values().any(|target| is_of(entry, &target.service))
}

fn is_of(entry: &EntryName, service: &ServiceRef) -> bool {
    service.peer.is_none() && entry.as_str() == service.name.as_str()
}
