//! Builds the nodes of a chain from the entries: the router, the splitters, and the resolvers with their targets.

mod resolver;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use concord_model::ServiceRef;
use concord_model::chain::{
    ChainNode, ChainRoute, ChainSplit, CompiledChain, NextNode, Origin, RouterNode, SplitterNode,
};
use concord_model::entry::{
    EntryKind, EntryName, HttpRouteMatch, Protocol, Record, Route, RouteDestination, RouteMatch,
    ServiceRouter, Split,
};

use super::customization::Customized;
use super::fault::ChainFault;
use super::gather::Gathered;
use super::limits::STEPS_MAX;
use super::request::Request;
use super::target::{Targets, node_name};
use crate::protocol::Spoken;

/// A chain before it is reduced.
#[derive(Default)]
pub(super) struct Assembled {
    pub(super) start: NextNode,
    pub(super) nodes: BTreeMap<String, ChainNode>,
    targets: Targets,
    /// The protocol of the services that were met.
    protocol: Option<Spoken>,
    customized: Customized,
    /// Whether there is a router or splitter.
    routes: bool,
}

/// Builds the nodes.
pub(super) fn assemble(entries: &Gathered, request: &Request) -> Result<Assembled, ChainFault> {
    let mut assembler = Assembler {
        entries,
        request,
        made: Assembled::default(),
        splitters: BTreeSet::new(),
        todo: VecDeque::new(),
        steps: 0,
    };
    let start = assembler.start()?;
    while let Some(service) = assembler.todo.pop_front() {
        assembler.splitter(&service)?;
    }
    Ok(Assembled { start, ..assembler.made })
}

struct Assembler<'a> {
    entries: &'a Gathered,
    request: &'a Request,
    made: Assembled,
    /// The services with a splitter that were met.
    splitters: BTreeSet<ServiceRef>,
    /// Those of them that have no node yet.
    todo: VecDeque<ServiceRef>,
    steps: usize,
}

impl Assembler<'_> {
    fn start(&mut self) -> Result<NextNode, ChainFault> {
        let (entries, own) = (self.entries, self.request.service.clone());
        match entries.router() {
            Some(_) if self.bytes_only() => {
                self.made.customized.protocol = true;
                self.splitter_or_resolver(own)
            }
            Some(router) => self.router(router),
            None => self.splitter_or_resolver(own),
        }
    }

    /// Whether the override turns routers and splitters off.
    fn bytes_only(&self) -> bool {
        let protocol = self.request.overrides.protocol;
        protocol != Protocol::Unset && !protocol.is_http()
    }

    fn router(&mut self, router: &Record<ServiceRouter>) -> Result<NextNode, ChainFault> {
        let own = self.request.service.clone();
        self.made.routes = true;
        self.agree(&own)?;
        let entry = EntryName::of_service(EntryKind::ServiceRouter, &own);
        let mut routes = Vec::with_capacity(router.said.routes.len() + 1);
        for (i, route) in router.said.routes.iter().enumerate() {
            let next = self.route(route.destination.as_ref())?;
            let origin = Some(Origin { entry: entry.clone(), field: format!("Routes[{i}]") });
            routes.push(ChainRoute { definition: route.clone(), next, origin });
        }
        let next = self.splitter_or_resolver(own.clone())?;
        routes.push(ChainRoute { definition: everything_to(&own), next, origin: None });
        Ok(self.record(ChainNode::Router(RouterNode { name: node_name(&own), routes })))
    }

    fn route(&mut self, destination: Option<&RouteDestination>) -> Result<NextNode, ChainFault> {
        let mut service = self.request.service.clone();
        let Some(destination) = destination else { return self.splitter_or_resolver(service) };
        if let Some(name) = &destination.service {
            service.name = name.clone();
        }
        match destination.service_subset.as_str() {
            "" => self.splitter_or_resolver(service),
            subset => self.resolver(service, subset),
        }
    }

    fn splitter_or_resolver(&mut self, service: ServiceRef) -> Result<NextNode, ChainFault> {
        match self.splitter_key(&service) {
            Some(key) => Ok(NextNode { key, via: Vec::new() }),
            None => self.resolver(service, ""),
        }
    }

    /// The key of a service's splitter, if it has one. Its node is built later.
    fn splitter_key(&mut self, service: &ServiceRef) -> Option<String> {
        self.entries.splitter(service)?;
        if self.bytes_only() {
            self.made.customized.protocol = true;
            return None;
        }
        if self.splitters.insert(service.clone()) {
            self.todo.push_back(service.clone());
        }
        Some(format!("splitter:{}", node_name(service)))
    }

    fn splitter(&mut self, own: &ServiceRef) -> Result<(), ChainFault> {
        let entries = self.entries;
        let Some(splitter) = entries.splitter(own) else { return Ok(()) };
        self.made.routes = true;
        let entry = EntryName::of_service(EntryKind::ServiceSplitter, own);
        let mut node = SplitterNode { name: node_name(own), splits: Vec::new(), load_balancer: None };
        for (i, split) in splitter.said.splits.iter().enumerate() {
            let next = self.split(own, split)?;
            if node.load_balancer.is_none()
                && let Some(ChainNode::Resolver(below)) = self.made.nodes.get(&next.key)
            {
                let hashes = below.load_balancer.as_ref().filter(|own| own.policy.is_hash_based());
                node.load_balancer = hashes.cloned();
            }
            let origins = vec![Origin { entry: entry.clone(), field: format!("Splits[{i}]") }];
            node.splits.push(ChainSplit { definition: split.clone(), weight: split.weight, next, origins });
        }
        self.record(ChainNode::Splitter(node));
        Ok(())
    }

    /// Requests that a splitter keeps do not meet it again.
    fn split(&mut self, own: &ServiceRef, split: &Split) -> Result<NextNode, ChainFault> {
        let name = split.service.clone().unwrap_or_else(|| own.name.clone());
        let service = ServiceRef { name, ..own.clone() };
        let subset = split.service_subset.as_str();
        let splits_again = service != *own && subset.is_empty();
        match splits_again.then(|| self.splitter_key(&service)).flatten() {
            Some(key) => Ok(NextNode { key, via: Vec::new() }),
            None => self.resolver(service, subset),
        }
    }

    fn record(&mut self, node: ChainNode) -> NextNode {
        let key = node.key();
        self.made.nodes.insert(key.clone(), node);
        NextNode { key, via: Vec::new() }
    }

    /// Notes the protocol of a service. All must have the same one.
    fn agree(&mut self, service: &ServiceRef) -> Result<(), ChainFault> {
        let spoken = self.entries.protocol(service);
        let protocol = spoken.protocol;
        let other = self.made.protocol.get_or_insert(spoken).protocol;
        if other == protocol {
            return Ok(());
        }
        let (chain, service) = (self.request.service.clone(), Box::new(service.clone()));
        Err(ChainFault::InconsistentProtocols { chain, service, protocol, other })
    }

    fn step(&mut self) -> Result<(), ChainFault> {
        self.steps += 1;
        if self.steps <= STEPS_MAX {
            return Ok(());
        }
        Err(ChainFault::TooLarge { chain: self.request.service.clone(), what: "steps", max: STEPS_MAX })
    }
}

/// The last route: every request goes to the service itself.
fn everything_to(own: &ServiceRef) -> Route {
    let http = HttpRouteMatch { path_prefix: "/".to_owned(), ..HttpRouteMatch::default() };
    let destination = RouteDestination {
        service: Some(own.name.clone()),
        namespace: Some(own.namespace.clone()),
        partition: Some(own.partition.clone()),
        ..RouteDestination::default()
    };
    Route { matching: Some(RouteMatch { http: Some(http) }), destination: Some(destination) }
}

// === impl Assembled ===

impl Assembled {
    /// The chain.
    pub(super) fn finish(self, entries: &Gathered, request: &Request) -> Result<CompiledChain, ChainFault> {
        let Self { start, nodes, targets, protocol, mut customized, routes } = self;
        let Spoken { protocol, origin } = protocol.unwrap_or_default();
        if routes && !protocol.is_http() {
            return Err(ChainFault::NoRequests { chain: request.service.clone(), protocol });
        }
        let targets = targets.finish();
        let own = entries.service(&request.service);
        let extensions = entries.proxies().map(|all| all.envoy_extensions.clone());
        let mut extensions = extensions.unwrap_or_default();
        extensions.extend(own.iter().flat_map(|own| own.said.envoy_extensions.clone()));
        let wanted = request.overrides.protocol;
        let overridden = wanted != Protocol::Unset && wanted != protocol;
        customized.protocol |= overridden;
        let (protocol, origin) = if overridden { (wanted, None) } else { (protocol, origin) };
        let default = match &nodes[&start.key] {
            ChainNode::Resolver(node) => node.default && targets[&node.target].service == request.service,
            ChainNode::Router(_) | ChainNode::Splitter(_) => false,
        };
        Ok(CompiledChain {
            service: request.service.clone(),
            datacenter: request.datacenter.clone(),
            customization_hash: customized.hash(&request.overrides),
            default,
            protocol,
            protocol_origin: origin,
            service_meta: own.map(|own| own.meta.clone()).unwrap_or_default(),
            envoy_extensions: extensions,
            start,
            nodes,
            targets,
            auto_virtual_ips: request.virtual_ips.auto.clone(),
            manual_virtual_ips: request.virtual_ips.manual.clone(),
        })
    }
}
