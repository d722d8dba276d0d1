//! Chains as they would be after a change, and what the rules ask about them.

use std::collections::BTreeSet;

use concord_model::ServiceRef;
use concord_model::entry::{EntryKind, Protocol};

use super::graph::{CHAIN_RULES, GraphFault, Proposed};
use super::protocol;
use crate::chain::{self, ChainFault, CompiledChain, Gathered, Request};

/// A service whose chain may change, with the chain that it would have.
pub(super) struct Turn<'a> {
    pub(super) proposed: Proposed<'a>,
    pub(super) service: &'a ServiceRef,
    pub(super) after: &'a Compiled,
}

/// A chain and the entries that it was compiled from.
pub(super) struct Compiled {
    pub(super) entries: Gathered,
    pub(super) chain: CompiledChain,
}

impl Turn<'_> {
    /// The chain that the service has; `None` if it cannot be compiled.
    pub(super) fn before(&self) -> Option<Compiled> {
        compiled(self.proposed.before(), self.service).ok()
    }

    /// Whether an entry of this kind depends on the service.
    pub(super) fn is_linked_by(&self, kind: EntryKind) -> bool {
        self.proposed.kept().links_to(self.service).iter().any(|from| from.kind == kind)
    }
}

/// The protocol of a service's chain.
pub(super) fn protocol_of(proposed: Proposed<'_>, service: &ServiceRef) -> Result<Protocol, GraphFault> {
    if !proposed.keeps(CHAIN_RULES) {
        return Ok(protocol::of(proposed, service));
    }
    Ok(compiled(proposed, service)?.chain.protocol)
}

/// The chain of a service, and the entries of which it is made.
pub(super) fn compiled(proposed: Proposed<'_>, service: &ServiceRef) -> Result<Compiled, ChainFault> {
    let entries = chain::gather(service, |name| proposed.find(name))?;
    let chain = chain::compile(&entries, &Request::anywhere(service))?;
    Ok(Compiled { entries, chain })
}

/// The services with a router, splitter or resolver, and those whose requests may reach one of them.
pub(super) fn routed(proposed: Proposed<'_>) -> BTreeSet<ServiceRef> {
    let kinds = [EntryKind::ServiceRouter, EntryKind::ServiceSplitter, EntryKind::ServiceResolver];
    let names = kinds.into_iter().flat_map(|kind| proposed.kept().named(kind));
    names.filter_map(|name| name.scope.service()).collect()
}
