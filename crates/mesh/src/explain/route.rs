//! Where a request goes: the route that takes it, and what becomes of it there, each with the entry it comes from.
//!
//! Unlike permissions, routes decide nothing about rights: a header with several lines is one value, joined by commas,
//! a missing header or parameter matches no value, inverted or not, and the first route that matches is taken.
//!
//! Intentions are asked where the request arrives, and about the request as it arrives: the route may have led it to
//! another service, with another path and other headers. So each target has a verdict of its own.

mod arrival;
mod matching;

use concord_model::ServiceRef;
use concord_model::chain::{ChainNode, ChainTarget, CompiledChain, NextNode, Origin, ResolverNode};
use concord_model::entry::{RouteDestination, Split, Weight};
use serde::{Deserialize, Serialize};

use self::arrival::Arrival;
use super::asked::AskedRequest;
use crate::intention::Verdict;
use crate::request::RequestVerdict;

/// The most parts that are told; all are counted. Real splits have a handful.
pub const PARTS_TOLD_MAX: usize = 64;
/// The most targets of a part that are told; all are counted.
pub const TARGETS_TOLD_MAX: usize = 16;

/// Where a request goes, or why this is not told.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Where it goes.
    Told(Box<Routed>),
    /// Why this is not told, in one sentence.
    Untold(String),
}

/// Where a request goes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Routed {
    /// What decides the protocol of all targets; `None` if nobody does.
    pub protocol: Option<Origin>,
    /// The route; `None` if nobody has written one that takes the request.
    pub route: Option<Origin>,
    /// What the route says: timeouts, retries, changes of path and headers.
    pub says: Option<RouteDestination>,
    /// The target of the request line as it arrives.
    pub arrives_as: String,
    /// The parts among which the requests of this route are split; one, if they are not. At most [`PARTS_TOLD_MAX`].
    pub parts: Vec<Part>,
    /// How many parts there are.
    pub parts_count: usize,
}

/// A part of the requests of a route.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Part {
    /// Its share.
    pub weight: Weight,
    /// What leads to it: splits, redirects, default subsets.
    pub origins: Vec<Origin>,
    /// What is said about connections: timeouts, load balancing, and the resolver that says it.
    pub resolver: ResolverNode,
    /// Where it goes: first the target, then the targets of its failover, in order. At most [`TARGETS_TOLD_MAX`].
    pub legs: Vec<Leg>,
}

/// One target of a part.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Leg {
    /// What leads from the part to it: the failover, then redirects and default subsets.
    pub origins: Vec<Origin>,
    /// The target.
    pub target: ChainTarget,
    /// What is decided there.
    pub judged: Judged,
}

/// What is decided about a request where it arrives.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judged {
    /// The verdict.
    Verdict {
        /// Whether the request is allowed.
        allowed: bool,
        /// The reason, in one sentence.
        reason: String,
    },
    /// Whoever asks may not see the intentions of the target.
    Hidden,
    /// The target is in a peered cluster, which decides by its own intentions.
    ByPeer,
    /// The route sets a header to a value that is not known before the request is sent.
    Unclear,
}

impl Judged {
    /// Whether the request is known to be allowed or denied.
    pub fn allowed(&self) -> Option<bool> {
        match self {
            Self::Verdict { allowed, .. } => Some(*allowed),
            Self::Hidden | Self::ByPeer | Self::Unclear => None,
        }
    }
}

impl From<RequestVerdict> for Judged {
    fn from(verdict: RequestVerdict) -> Self {
        Self::Verdict { allowed: verdict.allowed, reason: verdict.reason() }
    }
}

impl From<Verdict> for Judged {
    fn from(verdict: Verdict) -> Self {
        Self::Verdict { allowed: verdict.allowed, reason: verdict.reason() }
    }
}

impl Routed {
    /// All targets that are told.
    pub fn legs(&self) -> impl Iterator<Item = &Leg> {
        self.parts.iter().flat_map(|part| &part.legs)
    }
}

/// Decides about a request as it arrives at a service of this cluster, by way of a part with this share.
pub type Judge<'a> = dyn FnMut(&ServiceRef, &AskedRequest, Weight) -> Judged + 'a;

/// Finds where a request goes.
///
/// `None` if the chain is not whole, which compiled ones are.
pub fn route(chain: &CompiledChain, asked: &AskedRequest, judge: &mut Judge<'_>) -> Option<Routed> {
    let (taken, next) = match chain.nodes.get(&chain.start.key) {
        Some(ChainNode::Router(router)) => {
            let taken = router.routes.iter().find(|route| matching::takes(&route.definition, asked))?;
            (Some(taken), &taken.next)
        }
        _ => (None, &chain.start),
    };
    let arrival = Arrival::by(asked, taken.map(|taken| &taken.definition));
    let mut walk = Walk { chain, arrival: Some(&arrival), judge };
    let parts = walk.parts(next, PARTS_TOLD_MAX)?;
    let parts_count = walk.count(next);
    Some(Routed {
        protocol: chain.protocol_origin.clone(),
        route: taken.and_then(|taken| taken.origin.clone()),
        says: taken.and_then(|taken| taken.definition.destination.clone()),
        arrives_as: arrival.target().to_owned(),
        parts,
        parts_count,
    })
}

/// Finds where connections go, about whose requests nothing is known: each route may take them, up to one that takes
/// all requests. A part is told with its share of the requests of its route.
///
/// `None` if the chain is not whole, which compiled ones are.
pub fn targets(
    chain: &CompiledChain,
    judge: &mut dyn FnMut(&ServiceRef, Weight) -> Judged,
) -> Option<Routed> {
    let mut judge = |service: &ServiceRef, _: &AskedRequest, weight| judge(service, weight);
    let mut walk = Walk { chain, arrival: None, judge: &mut judge };
    let (mut parts, mut parts_count) = (Vec::new(), 0);
    for (route, next) in ways(chain) {
        let own = walk.parts(next, PARTS_TOLD_MAX - parts.len())?;
        parts.extend(own.into_iter().map(|mut part: Part| {
            part.origins.splice(0..0, route.cloned());
            part
        }));
        parts_count += walk.count(next);
    }
    let protocol = chain.protocol_origin.clone();
    Some(Routed { protocol, route: None, says: None, arrives_as: String::new(), parts, parts_count })
}

/// The routes that may take a request, with what they come from.
fn ways(chain: &CompiledChain) -> Vec<(Option<&Origin>, &NextNode)> {
    let Some(ChainNode::Router(router)) = chain.nodes.get(&chain.start.key) else {
        return vec![(None, &chain.start)];
    };
    let last = router.routes.iter().position(|route| matching::takes_all(&route.definition));
    let taken = router.routes.iter().take(last.map_or(usize::MAX, |last| last + 1));
    taken.map(|route| (route.origin.as_ref(), &route.next)).collect()
}

/// The way below a route: of one request, or of connections if nothing is known of their requests.
struct Walk<'a> {
    chain: &'a CompiledChain,
    arrival: Option<&'a Arrival<'a>>,
    judge: &'a mut Judge<'a>,
}

impl Walk<'_> {
    /// The first parts, at most so many.
    fn parts(&mut self, next: &NextNode, max: usize) -> Option<Vec<Part>> {
        let via = next.via.clone();
        // Splitters of splitters have become one, so what follows a splitter is a resolver.
        let Some(ChainNode::Splitter(splitter)) = self.chain.nodes.get(&next.key) else {
            let whole = (max > 0).then(|| self.part(next, Weight::WHOLE, via, None));
            return whole.into_iter().collect();
        };
        let told = splitter.splits.iter().take(max).map(|split| {
            let origins = via.iter().chain(&split.origins).chain(&split.next.via).cloned().collect();
            self.part(&split.next, split.weight, origins, Some(&split.definition))
        });
        told.collect()
    }

    /// How many parts there are.
    fn count(&self, next: &NextNode) -> usize {
        match self.chain.nodes.get(&next.key) {
            Some(ChainNode::Splitter(splitter)) => splitter.splits.len(),
            _ => 1,
        }
    }

    fn part(
        &mut self,
        next: &NextNode,
        weight: Weight,
        origins: Vec<Origin>,
        split: Option<&Split>,
    ) -> Option<Part> {
        let Some(ChainNode::Resolver(resolver)) = self.chain.nodes.get(&next.key) else { return None };
        let arrives = match self.arrival {
            Some(arrival) => arrival.through(split),
            None => Some(AskedRequest::default()),
        };
        let failover = resolver.failover.iter().map(|step| (&step.target, step.origins.clone()));
        let legs = std::iter::once((&resolver.target, Vec::new())).chain(failover).take(TARGETS_TOLD_MAX);
        let legs = legs.map(|(id, origins)| {
            let target = self.chain.targets.get(id)?.clone();
            let judged = match (&target.service.peer, &arrives) {
                (Some(_), _) => Judged::ByPeer,
                (None, Some(arrives)) => (self.judge)(&target.service, arrives, weight),
                (None, None) => Judged::Unclear,
            };
            Some(Leg { origins, target, judged })
        });
        let legs = legs.collect::<Option<_>>()?;
        Some(Part { weight, origins, resolver: resolver.clone(), legs })
    }
}
