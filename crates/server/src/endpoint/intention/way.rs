//! Where a request goes, for whoever asks for its explanation.

use std::collections::BTreeMap;

use concord_mesh::explain::request::{AskedRequest, Universe, judge};
use concord_mesh::explain::route::{Judged, Way, route};
use concord_model::ServiceRef;
use concord_model::intention::{Destination, ServiceIntentions};
use concord_rpc::RpcError;
use concord_rpc::request::{ExplainRequest, ReadChain};

use crate::endpoint::chain::read_chain;
use crate::reading::Reading;

/// A chain is shown to those who may read its service. What is decided at a target is shown to those who may read
/// the intention there.
pub(super) fn of(reading: &mut Reading<'_>, universe: Universe<'_>, request: &ExplainRequest) -> Way {
    let ExplainRequest { source, destination, asked } = request;
    if destination.peer.is_some() {
        return Way::Untold("the destination is in a peered cluster, which has its own routes".to_owned());
    }
    if !reading.caller.sees().service(&destination.name) {
        return Way::Untold(format!(
            "it is shown to who has service:read on {:?}",
            destination.name.as_str()
        ));
    }
    let question =
        ReadChain { service: destination.clone(), datacenter: None, overrides: Default::default() };
    let chain = match read_chain(reading, &question) {
        Ok(chain) => chain,
        Err(RpcError::Rejected(text)) => return Way::Untold(text),
        Err(error) => return Way::Untold(error.to_string()),
    };
    let mut known = BTreeMap::new();
    // All targets have the chain's protocol.
    let universe = Universe { protocol: chain.protocol, ..universe };
    let mut judge = |target: &ServiceRef, arrives: &AskedRequest| {
        let entries = known.entry(target.clone()).or_insert_with(|| intentions(reading, target));
        match entries {
            Some(entries) => judge(Universe { entries, ..universe }, source, target, arrives).into(),
            None => Judged::Hidden,
        }
    };
    match route(&chain, asked, &mut judge) {
        Some(routed) => Way::Told(Box::new(routed)),
        None => Way::Untold("no route takes a request whose path does not begin with /".to_owned()),
    }
}

/// The intentions to a target; `None` if the caller may not see them.
fn intentions(reading: &mut Reading<'_>, target: &ServiceRef) -> Option<Vec<ServiceIntentions>> {
    let shown = reading.caller.sees().intentions_to(&Destination::of(target));
    shown.then(|| reading.reader.intentions_to(target))
}
