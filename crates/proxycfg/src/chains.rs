//! The discovery chains of a proxy's upstreams, those in use and those that wait for their targets, and the targets.
//!
//! A chain comes into use when the instances of all its targets are known. Until then the one before it stays, so that
//! no change of a chain leads requests to targets that seem to have no instances.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::chain::{Chain, ChainId};
use crate::listener::{Leads, Listener};
use crate::refusal::Refusal;
use crate::target::{Target, TargetId};

/// The discovery chains of a proxy's upstreams, and the known state of the watched targets.
#[derive(Debug, Default)]
pub(crate) struct Chains {
    known: BTreeMap<ChainId, Known>,
    targets: BTreeMap<TargetId, Arc<Target>>,
}

/// What is known of one chain.
#[derive(Debug, Default)]
struct Known {
    in_use: Option<Arc<Chain>>,
    next: Option<Arc<Chain>>,
    /// Why there is none. One that is in use stays.
    failed: Option<String>,
}

impl Chains {
    /// Expects these chains and forgets all others.
    pub(crate) fn expect(&mut self, ids: &BTreeSet<&ChainId>) {
        self.known.retain(|id, _| ids.contains(id));
        for id in ids {
            self.known.entry((*id).clone()).or_default();
        }
    }

    /// A chain has changed. Ignored if it is not expected.
    pub(crate) fn changed(&mut self, chain: Arc<Chain>) {
        let Some(known) = self.known.get_mut(&chain.id) else { return };
        known.failed = None;
        known.next = Some(chain).filter(|next| known.in_use.as_ref() != Some(next));
    }

    /// A chain cannot be read.
    pub(crate) fn failed(&mut self, id: &ChainId, reason: String) {
        if let Some(known) = self.known.get_mut(id) {
            known.failed = Some(reason);
        }
    }

    /// The targets of a chain, also if it is not in use yet.
    pub(crate) fn targets(&self, id: &ChainId) -> impl Iterator<Item = &TargetId> {
        let chains = self.known.get(id).into_iter().flat_map(|known| known.in_use.iter().chain(&known.next));
        chains.flat_map(|chain| chain.targets())
    }

    /// Watches a target from now on.
    pub(crate) fn expect_target(&mut self, id: &TargetId) {
        self.targets.insert(id.clone(), Arc::new(Target::unknown(id.clone())));
    }

    /// Does not watch a target any more.
    pub(crate) fn forget_target(&mut self, id: &TargetId) {
        self.targets.remove(id);
    }

    /// The instances of a target. Ignored if it is not watched.
    pub(crate) fn found(&mut self, target: Arc<Target>) {
        if let Some(known) = self.targets.get_mut(&target.id) {
            *known = target;
        }
    }

    /// The instances of a target cannot be read: if nothing is known of them, there are none.
    pub(crate) fn not_found(&mut self, id: TargetId) {
        if self.targets.get(&id).is_some_and(|known| known.endpoints.is_none()) {
            self.found(Arc::new(Target::new(id, Vec::new())));
        }
    }

    /// The targets that these chains name.
    pub(crate) fn targets_of(&self, chains: &[Arc<Chain>]) -> Vec<Arc<Target>> {
        let named = chains.iter().flat_map(|chain| chain.targets());
        let named: BTreeSet<&TargetId> = named.collect();
        named.into_iter().filter_map(|id| self.targets.get(id).cloned()).collect()
    }

    /// Takes chains into use whose targets are all known. Returns whether there were any.
    pub(crate) fn promote(&mut self) -> bool {
        let targets = &self.targets;
        let is_known = |id: &TargetId| targets.get(id).is_some_and(|target| target.endpoints.is_some());
        let mut any = false;
        for known in self.known.values_mut() {
            if known.next.as_ref().is_some_and(|next| next.targets().iter().all(&is_known)) {
                known.in_use = known.next.take();
                any = true;
            }
        }
        any
    }

    /// Whether each chain is in use, or cannot be read.
    pub(crate) fn are_settled(&self) -> bool {
        self.known.values().all(|known| known.in_use.is_some() || known.failed.is_some())
    }

    /// The chains in use.
    pub(crate) fn in_use(&self) -> Vec<Arc<Chain>> {
        self.known.values().filter_map(|known| known.in_use.clone()).collect()
    }

    /// A listener as far as its chain is known: as it is, refused for the reason why there is no chain, or `None` if
    /// the chain is still awaited.
    pub(crate) fn listener(&self, listener: &Arc<Listener>) -> Option<Arc<Listener>> {
        let (Listener::Outbound(own), Some(chain)) = (&**listener, listener.chain()) else {
            return Some(Arc::clone(listener));
        };
        let known = self.known.get(chain)?;
        if known.in_use.is_some() {
            return Some(Arc::clone(listener));
        }
        let reason = known.failed.clone()?;
        let mut refused = own.clone();
        refused.leads = Leads::Refused(Refusal::Chain { reason });
        Some(Arc::new(Listener::Outbound(refused)))
    }
}
