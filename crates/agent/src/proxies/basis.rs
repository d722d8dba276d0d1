//! Follows what a proxy's snapshot is made from, for whoever wants to know which entries it contains.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_model::entry::EntryName;
use concord_proxycfg::{Chain, ChainId, Event, ProxySnapshot, WatchKey};
use concord_rpc::{Basis, MergedEntries};

/// What the machine of a proxy is told.
#[derive(Clone, Debug)]
pub(crate) struct News {
    /// The index of the answer; 0 if there was none.
    pub(super) index: u64,
    pub(super) event: Event,
    /// The entries that are merged with the registration, if it is told with them.
    pub(super) merged: Option<Arc<[EntryName]>>,
}

impl News {
    /// Without entries that are merged.
    pub(super) fn of(index: u64, event: Event) -> Self {
        Self { index, event, merged: None }
    }
}

/// What was told to the machine of one proxy.
#[derive(Debug)]
pub(super) struct Followed {
    /// All but the chains.
    basis: Basis,
    /// Each chain as it was told last. The machine may take it into use later.
    chains: BTreeMap<ChainId, (u64, Arc<Chain>)>,
    /// What the caller knows.
    said: Option<Arc<Basis>>,
    /// Whether something has changed that the caller may not know.
    is_news: bool,
}

impl Followed {
    /// Follows from the beginning.
    pub(super) fn new(basis: Basis) -> Self {
        Self { basis, chains: BTreeMap::new(), said: None, is_news: true }
    }

    /// The registration is merged with these.
    pub(super) fn merged(&mut self, merged: Option<MergedEntries>) {
        if self.basis.registration != merged {
            self.basis.registration = merged;
            self.is_news = true;
        }
    }

    /// The machine is told of an answer with this index.
    pub(super) fn told(&mut self, index: u64, event: &Event) {
        let before = match event {
            Event::IntentionsChanged { .. } => std::mem::replace(&mut self.basis.intentions, index),
            Event::EntryChanged { name, .. } => {
                self.basis.entries.insert(name.as_ref().clone(), index).unwrap_or_default()
            }
            Event::ChainChanged { question, chain } => {
                let told = (index, Arc::clone(chain));
                self.chains.insert(question.chain.clone(), told).map_or(0, |(index, _)| index)
            }
            Event::ProxyChanged(_)
            | Event::ProxyDescribed(_)
            | Event::Gone
            | Event::RootsChanged(_)
            | Event::LeafChanged { .. }
            | Event::EndpointsChanged { .. }
            | Event::EndpointsFailed(_)
            | Event::ChainFailed { .. } => return,
        };
        self.is_news |= before != index;
    }

    /// The machine watches this no longer.
    pub(super) fn stopped(&mut self, key: &WatchKey) {
        match key {
            WatchKey::Entry(name) => self.is_news |= self.basis.entries.remove(&**name).is_some(),
            WatchKey::Chain(question) => self.is_news |= self.chains.remove(&question.chain).is_some(),
            WatchKey::Roots | WatchKey::Leaf(_) | WatchKey::Intentions(_) | WatchKey::Endpoints(_) => {}
        }
    }

    /// A snapshot was published: a chain that waited may be in use now.
    pub(super) fn published(&mut self) {
        let waits =
            |said: &Arc<Basis>| self.chains.iter().any(|(id, (index, _))| said.chains.get(id) != Some(index));
        self.is_news |= self.said.as_ref().is_some_and(waits);
    }

    /// Whether there may be something to say.
    pub(super) fn has_news(&self) -> bool {
        self.is_news
    }

    /// What this snapshot is made from, unless the caller knows.
    pub(super) fn news(&mut self, snapshot: Option<&ProxySnapshot>) -> Option<Arc<Basis>> {
        if !std::mem::take(&mut self.is_news) {
            return None;
        }
        let is_used = |id: &ChainId, told: &Arc<Chain>| {
            let used = snapshot.and_then(|snapshot| snapshot.chains.get(id));
            used.is_some_and(|used| used.says_the_same_as(told))
        };
        let used = self.chains.iter().filter(|(id, (_, told))| is_used(id, told));
        let chains = used.map(|(id, (index, _))| (id.clone(), *index)).collect();
        let basis = Basis { chains, ..self.basis.clone() };
        (self.said.as_deref() != Some(&basis)).then(|| Arc::clone(self.said.insert(Arc::new(basis))))
    }
}
