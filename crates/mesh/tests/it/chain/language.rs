//! A short language for entries and chains, so that a case fits on a line.
//!
//! ```text
//!   D web http sni=x gw=local meta=a direct     service-defaults
//!   P http gw=remote direct                     proxy-defaults
//!   R web a>api b>api/v2 c>                     service-router: path prefix > destination
//!   S web 50:web 50:api/v1                      service-splitter: weight : destination
//!   V web sub=v1 default=v1 to=api@dc2          service-resolver
//!         fail=*:api/v1 dcs=v1:dc2,dc3 targets=*:api@dc2+%east t=15 lb=maglev
//!   O tcp gw=local t=9                          what whoever asks wants otherwise
//! ```
//!
//! A destination is `service/subset@datacenter%peer`; every part may be left out.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_mesh::chain::{
    ChainFault, ChainNode, CompiledChain, Overrides, Request, VirtualIps, compile, gather,
};
use concord_mesh::entry::{Lookup, links};
use concord_model::entry::*;
use concord_model::intention::Destination;
use concord_model::{Datacenter, ServiceRef, Stamp, Timeout, TrustDomain};
use serde_json::json;

/// Stored entries, and what whoever asks wants otherwise.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) entries: BTreeMap<EntryName, Arc<Entry>>,
    pub(crate) overrides: Overrides,
}

#[derive(Default)]
struct Place {
    service: Option<String>,
    subset: String,
    datacenter: Option<String>,
    peer: Option<String>,
}

pub(crate) fn service(name: &str) -> ServiceRef {
    ServiceRef::local(name.parse().unwrap())
}

impl World {
    pub(crate) fn of(text: &str) -> Self {
        let mut world = Self::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            world.add(line);
        }
        world
    }

    pub(crate) fn add(&mut self, line: &str) {
        if let Some(wishes) = line.strip_prefix("O ") {
            self.overrides = overrides(wishes);
            return;
        }
        let entry = entry(line);
        self.entries.insert(entry.name(), Arc::new(entry));
    }

    pub(crate) fn request(&self, of: &str) -> Request {
        Request {
            service: service(of),
            datacenter: Datacenter::parse("dc1").unwrap(),
            trust_domain: TrustDomain::parse("td.consul").unwrap(),
            overrides: self.overrides,
            virtual_ips: VirtualIps::default(),
        }
    }

    pub(crate) fn chain(&self, of: &str) -> Result<CompiledChain, ChainFault> {
        compile(&gather(&service(of), |name| self.entries.get(name).cloned())?, &self.request(of))
    }
}

impl Lookup for World {
    fn rule_set(&self) -> u32 {
        u32::MAX
    }

    fn asks_for_tokens_of(&self, _: &str) -> Option<Destination> {
        None
    }

    fn entry(&self, name: &EntryName) -> Option<Arc<Entry>> {
        self.entries.get(name).cloned()
    }

    fn links_to(&self, service: &ServiceRef) -> Vec<EntryName> {
        let linked = self.entries.values().filter(|entry| links(entry).contains(service));
        linked.map(|entry| entry.name()).collect()
    }

    fn linked_by(&self, kind: EntryKind) -> Vec<ServiceRef> {
        self.entries.values().filter(|entry| entry.kind() == kind).flat_map(|entry| links(entry)).collect()
    }

    fn named(&self, kind: EntryKind) -> Vec<EntryName> {
        self.entries.keys().filter(|name| name.kind == kind).cloned().collect()
    }
}

pub(crate) fn entry(line: &str) -> Entry {
    let mut words = line.split_whitespace();
    let kind = words.next().unwrap();
    let name = if kind == "P" { "global" } else { words.next().unwrap() };
    let words: Vec<&str> = words.collect();
    match kind {
        "D" => defaults(name, &words),
        "P" => Entry::ProxyDefaults(record(EntryKind::ProxyDefaults, name, proxies(&words))),
        "R" => {
            let routes = words.iter().map(|word| route(word)).collect();
            Entry::ServiceRouter(record(EntryKind::ServiceRouter, name, ServiceRouter { routes }))
        }
        "S" => {
            let splits = words.iter().map(|word| split(word)).collect();
            Entry::ServiceSplitter(record(EntryKind::ServiceSplitter, name, ServiceSplitter { splits }))
        }
        "V" => Entry::ServiceResolver(record(EntryKind::ServiceResolver, name, resolver(&words))),
        other => panic!("no kind {other}"),
    }
}

fn record<T>(kind: EntryKind, name: &str, said: T) -> Record<T> {
    let scope = EntryName::parse(kind, name).unwrap().scope;
    Record { scope, said, meta: BTreeMap::new(), stamp: Stamp::default() }
}

fn word<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_json::from_value(json!(text)).unwrap()
}

fn seconds(text: &str) -> Timeout {
    Timeout::from_nanos(text.parse::<i64>().unwrap() * 1_000_000_000)
}

fn defaults(name: &str, words: &[&str]) -> Entry {
    let mut said = ServiceDefaults::default();
    let mut meta = BTreeMap::new();
    for one in words {
        match one.split_once('=') {
            None if *one == "direct" => said.transparent_proxy.dialed_directly = true,
            None => said.protocol = word(one),
            Some(("sni", sni)) => sni.clone_into(&mut said.external_sni),
            Some(("gw", mode)) => said.mesh_gateway.mode = word(mode),
            Some(("meta", key)) => drop(meta.insert(key.to_owned(), "1".to_owned())),
            Some((other, _)) => panic!("no setting {other}"),
        }
    }
    Entry::ServiceDefaults(Record { meta, ..record(EntryKind::ServiceDefaults, name, said) })
}

fn proxies(words: &[&str]) -> ProxyDefaults {
    let mut said = ProxyDefaults::default();
    for one in words {
        match one.split_once('=') {
            None if *one == "direct" => said.transparent_proxy.dialed_directly = true,
            None => said.config.insert("protocol".to_owned(), json!(one)),
            Some(("gw", mode)) => said.mesh_gateway.mode = word(mode),
            Some((other, _)) => panic!("no setting {other}"),
        }
    }
    said
}

fn place(text: &str) -> Place {
    let (text, peer) = text.split_once('%').map_or((text, None), |(a, b)| (a, Some(b.to_owned())));
    let (text, datacenter) = text.split_once('@').map_or((text, None), |(a, b)| (a, Some(b.to_owned())));
    let (name, subset) = text.split_once('/').unwrap_or((text, ""));
    let service = (!name.is_empty()).then(|| name.to_owned());
    Place { service, subset: subset.to_owned(), datacenter, peer }
}

fn route(text: &str) -> Route {
    let (path, to) = text.split_once('>').unwrap();
    let Place { service, subset, .. } = place(to);
    let http = HttpRouteMatch { path_prefix: format!("/{path}"), ..HttpRouteMatch::default() };
    let destination = RouteDestination {
        service: service.map(|name| name.parse().unwrap()),
        service_subset: subset,
        ..RouteDestination::default()
    };
    let destination = (!to.is_empty()).then_some(destination);
    Route { matching: Some(RouteMatch { http: Some(http) }), destination }
}

fn split(text: &str) -> Split {
    let (weight, to) = text.split_once(':').unwrap();
    let Place { service, subset, .. } = place(to);
    Split {
        weight: Weight::from_percents(weight.parse().unwrap()),
        service: service.map(|name| name.parse().unwrap()),
        service_subset: subset,
        ..Split::default()
    }
}

fn target(text: &str) -> ResolverTarget {
    let Place { service, subset, datacenter, peer } = place(text);
    ResolverTarget {
        service: service.map(|name| name.parse().unwrap()),
        service_subset: subset,
        datacenter: datacenter.map(|name| name.parse().unwrap()),
        peer: peer.map(|name| name.parse().unwrap()),
        ..ResolverTarget::default()
    }
}

fn resolver(words: &[&str]) -> ServiceResolver {
    let mut said = ServiceResolver::default();
    for one in words {
        let (what, value) = one.split_once('=').unwrap();
        let (key, rest) = value.split_once(':').unwrap_or((value, ""));
        let key = key.to_owned();
        match what {
            "sub" => {
                let filter = format!("Service.Meta.version == {value}");
                drop(said.subsets.insert(key, ResolverSubset { filter, only_passing: false }));
            }
            "default" => said.default_subset = key,
            "to" => said.redirect = Some(target(value)),
            "fail" => {
                let Place { service, subset: service_subset, .. } = place(rest);
                let service = service.map(|name| name.parse().unwrap());
                let own = ResolverFailover { service, service_subset, ..ResolverFailover::default() };
                said.failover.insert(key, own);
            }
            "dcs" => {
                let datacenters = rest.split(',').map(|name| name.parse().unwrap()).collect();
                said.failover.insert(key, ResolverFailover { datacenters, ..ResolverFailover::default() });
            }
            "targets" => {
                let targets = rest.split('+').map(target).collect();
                said.failover.insert(key, ResolverFailover { targets, ..ResolverFailover::default() });
            }
            "t" => said.connect_timeout = seconds(value),
            "rt" => said.request_timeout = seconds(value),
            "lb" => {
                said.load_balancer = Some(LoadBalancer { policy: word(value), ..LoadBalancer::default() });
            }
            other => panic!("no setting {other}"),
        }
    }
    said
}

fn overrides(text: &str) -> Overrides {
    let mut wishes = Overrides::default();
    for one in text.split_whitespace() {
        match one.split_once('=') {
            None => wishes.protocol = word(one),
            Some(("gw", mode)) => wishes.mesh_gateway = word(mode),
            Some(("t", text)) => wishes.connect_timeout = seconds(text),
            Some((other, _)) => panic!("no wish {other}"),
        }
    }
    wishes
}

/// A chain as text: `protocol start; node; node; target; target`. What is as usual is left out.
pub(crate) fn show(chain: &CompiledChain) -> String {
    let mut told = format!("{} {}", chain.protocol, short(&chain.start.key));
    if chain.default {
        told += " default";
    }
    if !chain.customization_hash.is_empty() {
        told += " customized";
    }
    for node in chain.nodes.values() {
        told += &format!("; {}", show_node(node));
    }
    for target in chain.targets.values() {
        let mut marks = Vec::new();
        let mode = target.mesh_gateway.as_str();
        marks.extend((!mode.is_empty()).then(|| format!("gw={mode}")));
        marks.extend(target.external.as_ref().map(|_| format!("sni={}", target.sni)));
        marks.extend(target.dialed_directly.then(|| "direct".to_owned()));
        marks.extend((!target.subset.filter.is_empty()).then(|| "filtered".to_owned()));
        told += &format!("; {}", [vec![short(&target.id)], marks].concat().join(" "));
    }
    told
}

fn show_node(node: &ChainNode) -> String {
    let lb = |own: &Option<LoadBalancer>| {
        own.as_ref().map_or_else(String::new, |own| format!(" lb={}", own.policy))
    };
    match node {
        ChainNode::Router(own) => {
            let path = |route: &Route| route.matching.clone().unwrap().http.unwrap().path_prefix;
            let routes =
                own.routes.iter().map(|one| format!("{}>{}", path(&one.definition), short(&one.next.key)));
            format!("router {} {}", short(&own.name), routes.collect::<Vec<_>>().join(" "))
        }
        ChainNode::Splitter(own) => {
            let splits = own.splits.iter().map(|one| format!("{}>{}", one.weight, short(&one.next.key)));
            format!(
                "splitter {} {}{}",
                short(&own.name),
                splits.collect::<Vec<_>>().join(" "),
                lb(&own.load_balancer)
            )
        }
        ChainNode::Resolver(own) => {
            let mut told = format!("resolver {}", short(&own.target));
            let timeout = own.connect_timeout.nanos() / 1_000_000_000;
            if timeout != 5 {
                told += &format!(" t={timeout}");
            }
            if !own.failover.is_empty() {
                let all: Vec<_> = own.failover.iter().map(|one| short(&one.target)).collect();
                told += &format!(" fail={}", all.join(","));
            }
            told + &lb(&own.load_balancer)
        }
    }
}

/// Ids without what is the same in all of them.
fn short(id: &str) -> String {
    id.replace(".default.default", "")
        .replace("resolver:", "")
        .replace("splitter:", "S:")
        .replace("router:", "R:")
        .replace(".dc1", "")
}
