//! The neighbours of a service: why it is shown beside another one, and what the intentions say about the pair.

use std::collections::{BTreeMap, BTreeSet};

use concord_model::ServiceRef;
use concord_model::entry::{ApiGateway, Entry, EntryKind, IngressGateway, Protocol};
use concord_model::intention::Decision;
use concord_model::{Datacenter, Pattern};
use serde::{Deserialize, Serialize};

use crate::chain::CompiledChain;
use crate::entry::links;
use crate::intention::{DefaultPolicy, Verdict};

/// The metadata key by which tools say that they wrote a record.
const EXTERNAL_SOURCE: &str = "external-source";

/// Why a service is a neighbour of another one.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NeighbourSource {
    /// A proxy is registered with it as an upstream, or a gateway serves it.
    ProxyRegistration,
    /// An intention that names both allows it.
    SpecificIntention,
    /// An intention with a wildcard allows it.
    WildcardIntention,
    /// No intention forbids it.
    DefaultAllow,
    /// It has no instances, but a router, splitter or resolver.
    RoutingConfig,
}

impl NeighbourSource {
    /// The text in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ProxyRegistration => "proxy-registration",
            Self::SpecificIntention => "specific-intention",
            Self::WildcardIntention => "wildcard-intention",
            Self::DefaultAllow => "default-allow",
            Self::RoutingConfig => "routing-config",
        }
    }
}

/// What the intentions say about a pair.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct PairDecision {
    /// Whether the connection is allowed.
    pub allowed: bool,
    /// Whether requests decide: the connection alone does not show them, so it counts as not allowed.
    pub by_request: bool,
    /// The tool that wrote the intention, if it said so.
    pub external_source: String,
    /// Whether the intention names both services.
    pub exact: bool,
    /// Whether pairs without an intention are allowed.
    pub default_allow: bool,
}

impl PairDecision {
    /// The decision that a verdict stands for.
    pub fn of(verdict: &Verdict, default: DefaultPolicy) -> Self {
        let default_allow = default.action.allows();
        let Some(rule) = verdict.rule() else {
            return Self { allowed: verdict.allowed, default_allow, ..Self::default() };
        };
        let legacy = rule.legacy.as_ref().and_then(|legacy| legacy.meta.get(EXTERNAL_SOURCE));
        Self {
            allowed: verdict.allowed,
            by_request: matches!(rule.decision, Decision::Requests(_)) || rule.connection().is_none(),
            external_source: rule.meta.get(EXTERNAL_SOURCE).or(legacy).cloned().unwrap_or_default(),
            exact: rule.source.name != Pattern::Any && rule.destination.name != Pattern::Any,
            default_allow,
        }
    }

    /// Why the pair are neighbours if only the intentions say so; `None` if they are not.
    pub fn source(&self) -> Option<NeighbourSource> {
        let any = self.allowed || self.by_request;
        any.then_some(match (self.exact, self.default_allow) {
            (true, _) => NeighbourSource::SpecificIntention,
            (false, true) => NeighbourSource::DefaultAllow,
            (false, false) => NeighbourSource::WildcardIntention,
        })
    }
}

/// The services whose requests may be led to a service by routers, splitters and resolvers, and the service itself.
/// Whether they do is said by their chains ([`reaches`]).
pub fn leading_to<'a>(
    service: &ServiceRef,
    entries: impl IntoIterator<Item = &'a Entry>,
) -> BTreeSet<ServiceRef> {
    let mut from: BTreeMap<ServiceRef, Vec<ServiceRef>> = BTreeMap::new();
    for entry in entries {
        let Some(own) = entry.name().scope.service() else { continue };
        for to in links(entry) {
            from.entry(to).or_default().push(own.clone());
        }
    }
    let (mut all, mut todo) = (BTreeSet::new(), vec![service.clone()]);
    while let Some(next) = todo.pop() {
        if all.insert(next.clone()) {
            todo.extend(from.get(&next).into_iter().flatten().cloned());
        }
    }
    all
}

/// Whether a chain leads to the instances of a service in this datacenter.
pub fn reaches(chain: &CompiledChain, service: &ServiceRef, datacenter: &Datacenter) -> bool {
    let here = |other: &Option<Datacenter>| other.as_ref().is_none_or(|other| other == datacenter);
    chain.targets.values().any(|target| target.service == *service && here(&target.datacenter))
}

/// The kinds of entries by which requests for one service are led to another one.
pub const ROUTING_KINDS: [EntryKind; 3] =
    [EntryKind::ServiceRouter, EntryKind::ServiceSplitter, EntryKind::ServiceResolver];

/// The protocol by which the traffic of an ingress gateway is measured: requests if all its listeners have them.
pub fn protocol_of_ingress(gateway: &IngressGateway) -> Protocol {
    let listeners = gateway.listeners.iter();
    measured(listeners.map(|listener| !matches!(listener.protocol.as_str(), "tcp")))
}

/// The same of an API gateway.
pub fn protocol_of_api_gateway(gateway: &ApiGateway) -> Protocol {
    measured(gateway.listeners.iter().map(|listener| listener.protocol.as_str() == "http"))
}

fn measured(requests: impl ExactSizeIterator<Item = bool>) -> Protocol {
    let any = requests.len() > 0;
    if requests.fold(any, |all, own| all && own) { Protocol::Http } else { Protocol::Tcp }
}
