//! Where a request goes: the route that takes it, and what becomes of it there, each with the entry it comes from.
//!
//! Unlike permissions, routes decide nothing about rights: a header with several lines is one value, joined by commas,
//! a missing header or parameter matches no value, inverted or not, and the first route that matches is taken.

mod matching;

use concord_model::chain::{
    ChainFailover, ChainNode, ChainTarget, CompiledChain, NextNode, Origin, ResolverNode,
};
use concord_model::entry::{RouteDestination, Weight};

use super::request::AskedRequest;

/// Where a request goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Routed<'a> {
    /// The route; `None` if nobody has written one that takes the request.
    pub route: Option<&'a Origin>,
    /// What the route says: timeouts, retries, changes of path and headers.
    pub says: Option<&'a RouteDestination>,
    /// The parts among which the requests of this route are split; one, if they are not.
    pub parts: Vec<Part<'a>>,
}

/// A part of the requests of a route.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Part<'a> {
    /// Its share.
    pub weight: Weight,
    /// What leads to it: splits, redirects, default subsets.
    pub origins: Vec<&'a Origin>,
    /// What is said about connections: timeouts, load balancing, and the resolver that says it.
    pub resolver: &'a ResolverNode,
    /// Where it goes.
    pub target: &'a ChainTarget,
    /// Where it goes if no instance of that is healthy, in order.
    pub failover: Vec<(&'a ChainFailover, &'a ChainTarget)>,
}

/// Finds where a request goes. `None` if the chain is not whole, which compiled ones are.
pub fn route<'a>(chain: &'a CompiledChain, asked: &AskedRequest) -> Option<Routed<'a>> {
    let Some(ChainNode::Router(router)) = chain.nodes.get(&chain.start.key) else {
        return Some(Routed { route: None, says: None, parts: parts(chain, &chain.start)? });
    };
    let taken = router.routes.iter().find(|route| matching::takes(&route.definition, asked))?;
    let says = taken.definition.destination.as_ref();
    Some(Routed { route: taken.origin.as_ref(), says, parts: parts(chain, &taken.next)? })
}

fn parts<'a>(chain: &'a CompiledChain, next: &'a NextNode) -> Option<Vec<Part<'a>>> {
    let via: Vec<_> = next.via.iter().collect();
    match chain.nodes.get(&next.key)? {
        // Splitters of splitters have become one, so what follows is a resolver.
        ChainNode::Splitter(splitter) => {
            let part = |split: &'a concord_model::chain::ChainSplit| {
                let own = split.origins.iter().chain(&split.next.via);
                part(chain, &split.next, split.weight, via.iter().copied().chain(own).collect())
            };
            splitter.splits.iter().map(part).collect()
        }
        ChainNode::Resolver(_) => Some(vec![part(chain, next, Weight::WHOLE, via)?]),
        ChainNode::Router(_) => None,
    }
}

fn part<'a>(
    chain: &'a CompiledChain,
    next: &NextNode,
    weight: Weight,
    origins: Vec<&'a Origin>,
) -> Option<Part<'a>> {
    let ChainNode::Resolver(resolver) = chain.nodes.get(&next.key)? else { return None };
    let target = chain.targets.get(&resolver.target)?;
    let failover = resolver.failover.iter().map(|step| Some((step, chain.targets.get(&step.target)?)));
    Some(Part { weight, origins, resolver, target, failover: failover.collect::<Option<_>>()? })
}
