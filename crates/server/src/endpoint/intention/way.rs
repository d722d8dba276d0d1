//! Where traffic goes, and what is decided there, for whoever asks for an explanation.
//!
//! A chain is shown to those who may read its service. What is decided at a target is shown to those who may read
//! the intentions there.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_mesh::chain::CompiledChain;
use concord_mesh::explain::Explanation;
use concord_mesh::explain::reached::Reached;
use concord_mesh::explain::request::{AskedRequest, RequestExplanation, Universe, explain_request, judge};
use concord_mesh::explain::route::{Judged, Way, route, targets};
use concord_mesh::intention::{DefaultPolicy, Table};
use concord_mesh::protocol::{Unsaid, disagreement, of_proxies, protocol_by};
use concord_model::ServiceRef;
use concord_model::entry::{EntryKind, EntryName, Protocol, Weight};
use concord_model::intention::{Destination, ServiceIntentions};
use concord_rpc::RpcError;
use concord_rpc::request::{ExplainIntention, ExplainRequest, ReadChain};

use crate::endpoint::chain::read_chain;
use crate::reading::Reading;

/// Where traffic goes, and the explanations of the services that it reaches.
pub(super) struct Told<T> {
    pub(super) way: Way,
    pub(super) reached: Vec<T>,
}

impl<T> Told<T> {
    fn untold(why: impl Into<String>) -> Self {
        Self { way: Way::Untold(why.into()), reached: Vec::new() }
    }
}

/// Where connections go. `verdicts` explains a pair.
pub(super) fn of_connection(
    reading: &mut Reading<'_>,
    (table, default): (&Table, DefaultPolicy),
    request: &ExplainIntention,
    explained: &dyn Fn(&ServiceRef) -> Explanation,
) -> Told<Explanation> {
    let ExplainIntention { source, destination } = request;
    let chain = match chain_to(reading, destination) {
        Ok(chain) => chain,
        Err(why) => return Told::untold(why),
    };
    let mut reached = Reached::default();
    let mut judge = |target: &ServiceRef, share: Weight| {
        if !shows_intentions(reading, target) {
            return Judged::Hidden;
        }
        match reached.at(target.clone(), share, || explained(target)) {
            Some(explained) => explained.verdict.clone().into(),
            None => table.decide(source, target, default).into(),
        }
    };
    match targets(&chain, &mut judge) {
        Some(routed) => Told { way: Way::Told(Box::new(routed)), reached: reached.into_explained() },
        None => Told::untold(BROKEN),
    }
}

/// Where a request goes. `universe` has no intentions and no protocol yet.
pub(super) fn of_request(
    reading: &mut Reading<'_>,
    universe: Universe<'_>,
    request: &ExplainRequest,
) -> Told<RequestExplanation> {
    let ExplainRequest { source, destination, asked } = request;
    let chain = match chain_to(reading, destination) {
        Ok(chain) => chain,
        Err(why) => return Told::untold(why),
    };
    let (mut known, mut reached) = (BTreeMap::new(), Reached::default());
    let mut decide = |target: &ServiceRef, arrives: &AskedRequest, share: Weight| {
        let facts = known.entry(target.clone()).or_insert_with(|| Facts::of(reading, &chain, target));
        let Some(Facts { entries, protocol, note }) = facts else { return Judged::Hidden };
        let universe = Universe { entries, protocol: *protocol, ..universe };
        let explain = || RequestExplanation {
            protocol_note: note.clone(),
            ..explain_request(universe, source, target, arrives)
        };
        match reached.at((target.clone(), arrives.clone()), share, explain) {
            Some(explained) => explained.verdict.clone().into(),
            None => judge(universe, source, target, arrives).into(),
        }
    };
    match route(&chain, asked, &mut decide) {
        Some(routed) => Told { way: Way::Told(Box::new(routed)), reached: reached.into_explained() },
        None if asked.target.starts_with('/') => Told::untold(BROKEN),
        None => Told::untold("no route takes a request whose path does not begin with /"),
    }
}

/// Compiled chains never are; a chain from a newer server might be.
const BROKEN: &str = "its discovery chain is not whole";

/// The chain of a destination, or why it is not told.
fn chain_to(reading: &mut Reading<'_>, destination: &ServiceRef) -> Result<Arc<CompiledChain>, String> {
    if destination.peer.is_some() {
        return Err("the destination is in a peered cluster, which has its own routes".to_owned());
    }
    if !reading.caller.sees().service(&destination.name) {
        return Err(format!("it is shown to who has service:read on {:?}", destination.name.as_str()));
    }
    let question =
        ReadChain { service: destination.clone(), datacenter: None, overrides: Default::default() };
    read_chain(reading, &question).map_err(|error| match error {
        RpcError::Rejected(text) => text,
        error => error.to_string(),
    })
}

fn shows_intentions(reading: &Reading<'_>, target: &ServiceRef) -> bool {
    reading.caller.sees().intentions_to(&Destination::of(target))
}

/// What decides at a target.
struct Facts {
    entries: Vec<ServiceIntentions>,
    protocol: Protocol,
    note: Option<String>,
}

impl Facts {
    /// `None` if the caller may not see it.
    fn of(reading: &mut Reading<'_>, chain: &CompiledChain, target: &ServiceRef) -> Option<Self> {
        if !shows_intentions(reading, target) {
            return None;
        }
        let (protocol, note) = protocol_at(reading, chain, target)?;
        Some(Self { entries: reading.reader.intentions_to(target), protocol, note })
    }
}

/// The protocol of the requests that the proxy of a target judges; `None` if the caller may not see it.
///
/// All targets have the chain's protocol, which the caller sees. Only where the chain says `tcp` the proxy may have that
/// of all proxies, and what decides this are the target's own defaults.
fn protocol_at(
    reading: &mut Reading<'_>,
    chain: &CompiledChain,
    target: &ServiceRef,
) -> Option<(Protocol, Option<String>)> {
    let all = reading.reader.entry(&EntryName::only(EntryKind::ProxyDefaults));
    if chain.protocol.is_http() || of_proxies(all.as_deref()).protocol == chain.protocol {
        return Some((chain.protocol, None));
    }
    let shown = reading.caller.sees().service(&target.name);
    shown.then(|| own_protocol(reading, target))
}

/// The protocol of the requests that the proxy of a service judges, and why its chain has another one.
pub(super) fn own_protocol(reading: &mut Reading<'_>, service: &ServiceRef) -> (Protocol, Option<String>) {
    let own = reading.reader.entry(&EntryName::of_service(EntryKind::ServiceDefaults, service));
    let all = reading.reader.entry(&EntryName::only(EntryKind::ProxyDefaults));
    let (own, all) = (own.as_deref(), all.as_deref());
    let spoken = protocol_by(service, own, all, Unsaid::IsInherited);
    (spoken.protocol, disagreement(service, own, all))
}
