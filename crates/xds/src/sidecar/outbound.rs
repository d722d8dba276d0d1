//! What an upstream needs, by its discovery chain: a listener, the clusters that the chain leads to, and for a service
//! with requests a route configuration.
//!
//! ```text
//!   tcp:   listener ─► cluster of the first resolver
//!   http:  listener ─► routes (named like the upstream) ─► clusters, by match and weight
//!   a resolver with failover:  aggregate cluster ─► failover-target~0~…, failover-target~1~…
//! ```
//!
//! Clusters that two upstreams share are made once, with the stricter limits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use concord_model::chain::{ChainNode, ChainTarget, CompiledChain, ResolverNode};
use concord_model::entry::Protocol;
use concord_model::proxy::Settings;
use concord_model::sni;
use concord_proxycfg::{ChainStep, Leads, ListenerId, OutboundListener, ProxySnapshot, Target, TargetId};

use super::cluster::{self, Cluster, Destination, MeshSide};
use super::given::{self, Fault, Given};
use super::inbound::Incoming;
use super::observed::Observed;
use super::outcome::{Configuration, Unserved};
use super::{address, endpoint, listener, route};
use crate::names;
use crate::resource::ResourceType;

/// Adds the resources of all upstreams.
pub(super) fn add(snapshot: &ProxySnapshot, observed: &Observed, built: &mut Configuration) {
    let limits = Incoming::new(snapshot).tls_of_upstreams();
    let mesh = MeshSide { trust_domain: &snapshot.roots.trust_domain, limits };
    let mut clusters = BTreeMap::new();
    for own in snapshot.outbound() {
        match Upstream::read(snapshot, own) {
            Ok(upstream) => {
                if let Err(unserved) = upstream.add(&mut clusters, observed, built) {
                    built.unserved.push(unserved);
                }
            }
            Err(unserved) => built.unserved.push(unserved),
        }
    }
    for (name, cluster) in clusters {
        if let Cluster::Service(own) | Cluster::Given(own, _) = &cluster {
            add_instances(&name, own, built);
        }
        built.resources.insert(ResourceType::Cluster, cluster::outbound(name, cluster, &mesh));
    }
}

fn add_instances(name: &str, own: &Destination, built: &mut Configuration) {
    match own.instances.as_ref().map(|target| (&target.id, target.endpoints.as_ref())) {
        Some((id, Some(endpoints))) => {
            let resource = endpoint::assignment(name, id, endpoints, &mut built.unserved);
            built.resources.insert(ResourceType::Endpoint, resource);
        }
        Some((_, None)) => built.resources.insert_awaited(ResourceType::Endpoint, name.to_owned()),
        None => built.resources.insert(ResourceType::Endpoint, endpoint::none(name)),
    }
}

/// An upstream that Envoy can serve.
pub(super) struct Upstream<'a> {
    snapshot: &'a ProxySnapshot,
    listener: &'a OutboundListener,
    chain: &'a CompiledChain,
}

impl<'a> Upstream<'a> {
    fn read(snapshot: &'a ProxySnapshot, listener: &'a OutboundListener) -> Result<Self, Unserved> {
        let upstream = || listener.upstream.clone();
        let chain = match &listener.leads {
            Leads::Chain(chain) => chain,
            Leads::Refused(refusal) => {
                return Err(Unserved::Refused { upstream: upstream(), refusal: refusal.clone() });
            }
        };
        let chain = snapshot.chains.get(chain).expect("a snapshot has what its listeners name");
        let ChainStep::Compiled(chain) = &chain.start else {
            return Err(Unserved::NoChain { upstream: upstream() });
        };
        if let Some(error) = chain.targets.values().find_map(|target| unnamed(target, snapshot)) {
            return Err(Unserved::Name { upstream: upstream(), error });
        }
        Ok(Self { snapshot, listener, chain })
    }

    fn add(
        &self,
        clusters: &mut BTreeMap<String, Cluster>,
        observed: &Observed,
        built: &mut Configuration,
    ) -> Result<(), Unserved> {
        let listener = self.given(given::LISTENER, Given::listener, built)?;
        let cluster = self.given(given::CLUSTER, Given::cluster, built)?;
        let (needed, is_ours) = (self.first_cluster(), listener.is_none());
        if let Some(taken) = listener.as_ref().filter(|own| is_taken(ResourceType::Listener, own, built)) {
            return Err(self.unusable(given::LISTENER, Fault::Taken(taken.name.clone())));
        }
        if let Some(taken) = cluster.as_ref().filter(|own| is_taken(ResourceType::Cluster, own, built)) {
            return Err(self.unusable(given::CLUSTER, Fault::Taken(taken.name.clone())));
        }
        if let Some(own) = cluster.as_ref().filter(|own| is_ours && own.name != needed) {
            let found = own.name.clone();
            return Err(self.unusable(given::CLUSTER, Fault::Name { found, needed }));
        }
        let led_to = cluster.as_ref().map_or(needed, |own| own.name.clone());
        self.add_all_clusters(cluster, clusters, built);
        if self.chain.protocol.is_http() {
            let routes = route::configuration(self.listener, self.chain, &mut built.unserved);
            built.resources.insert(ResourceType::Route, routes);
        }
        let resource = match listener {
            Some(given) if self.chain.protocol.is_http() => given.resource(),
            Some(given) => given.resource().naming([led_to]),
            None if self.chain.protocol.is_http() => listener::requests(self.listener, self.chain, observed),
            None => listener::connections(self.listener, self.chain, &led_to, observed),
        };
        built.resources.insert(ResourceType::Listener, resource);
        Ok(())
    }

    /// What an operator has written under a key. It counts only while no entry says anything about the service.
    fn given(
        &self,
        key: &'static str,
        read: impl Fn(&Settings, &str) -> Result<Option<Given>, Fault>,
        built: &mut Configuration,
    ) -> Result<Option<Given>, Unserved> {
        let settings = &self.listener.settings;
        if self.chain.default {
            return read(settings, key).map_err(|fault| self.unusable(key, fault));
        }
        if !matches!(given::text(settings, key), Ok(None)) {
            built.unserved.push(Unserved::PassedOver { upstream: self.listener.upstream.clone(), key });
        }
        Ok(None)
    }

    fn unusable(&self, key: &'static str, fault: Fault) -> Unserved {
        Unserved::Given { of: ListenerId::Upstream(self.listener.upstream.clone()), key, fault }
    }

    /// Adds the clusters to which the chain leads. What an operator has written takes the place of the only one.
    fn add_all_clusters(
        &self,
        mut given: Option<Given>,
        clusters: &mut BTreeMap<String, Cluster>,
        built: &mut Configuration,
    ) {
        for node in self.chain.nodes.values() {
            let ChainNode::Resolver(node) = node else { continue };
            match given.take() {
                Some(given) => {
                    let destination = self.destination(&node.target, node, built);
                    clusters.insert(given.name.clone(), Cluster::Given(destination, Box::new(given)));
                }
                None => self.add_clusters(node, clusters, built),
            }
        }
    }

    /// The cluster of connections. A chain without requests begins with a resolver.
    fn first_cluster(&self) -> String {
        match self.chain.nodes.get(&self.chain.start.key) {
            Some(ChainNode::Resolver(node)) => names::cluster(self.chain, &node.target),
            Some(ChainNode::Router(_) | ChainNode::Splitter(_)) | None => String::new(),
        }
    }

    fn add_clusters(
        &self,
        node: &ResolverNode,
        clusters: &mut BTreeMap<String, Cluster>,
        built: &mut Configuration,
    ) {
        let base = names::cluster(self.chain, &node.target);
        if node.failover.is_empty() {
            self.add_cluster(base, &node.target, node, clusters, built);
            return;
        }
        let targets = std::iter::once(&node.target).chain(node.failover.iter().map(|one| &one.target));
        let mut members = Vec::new();
        for (at, target) in targets.enumerate() {
            let name = names::failover(at, &base);
            self.add_cluster(name.clone(), target, node, clusters, built);
            members.push(name);
        }
        clusters.insert(base, Cluster::Failover { members, connect_timeout: connect_timeout(node) });
    }

    fn add_cluster(
        &self,
        name: String,
        target: &str,
        node: &ResolverNode,
        clusters: &mut BTreeMap<String, Cluster>,
        built: &mut Configuration,
    ) {
        let destination = self.destination(target, node, built);
        match clusters.get_mut(&name) {
            Some(Cluster::Service(known)) => {
                known.limits = cluster::stricter(known.limits, destination.limits)
            }
            Some(Cluster::Failover { .. } | Cluster::Given(..)) => {}
            None => {
                clusters.insert(name, Cluster::Service(destination));
            }
        }
    }

    fn destination(&self, target: &str, node: &ResolverNode, built: &mut Configuration) -> Destination {
        let target = &self.chain.targets[target];
        let instances = self.instances(target);
        if instances.is_none() {
            let (upstream, target) = (self.listener.upstream.clone(), target.id.clone());
            built.unserved.push(Unserved::Peer { upstream, target });
        }
        Destination {
            instances,
            sni: target.sni.clone(),
            connect_timeout: connect_timeout(node),
            http2: matches!(self.chain.protocol, Protocol::Http2 | Protocol::Grpc),
            limits: self.listener.limits,
            passive: self.listener.passive_health_check,
            balancer: node.load_balancer.clone(),
        }
    }

    fn instances(&self, target: &ChainTarget) -> Option<Arc<Target>> {
        let id = TargetId::of_chain(target)?;
        Some(Arc::clone(&self.snapshot.targets.get(&id)?.value))
    }
}

/// Whether another resource has the name of what an operator has written.
fn is_taken(kind: ResourceType, own: &Given, built: &Configuration) -> bool {
    built.resources.find(kind, &own.name).is_some()
}

fn connect_timeout(node: &ResolverNode) -> Duration {
    address::positive(node.connect_timeout).unwrap_or(concord_proxycfg::CONNECT_TIMEOUT_ENVOY)
}

/// Why a target of this cluster has no name, if it has none.
fn unnamed(target: &ChainTarget, snapshot: &ProxySnapshot) -> Option<sni::SniError> {
    let datacenter = target.datacenter.as_ref()?;
    let subset = (!target.subset_name.is_empty()).then_some(target.subset_name.as_str());
    sni::service(&target.service, subset, datacenter, &snapshot.roots.trust_domain).err()
}
