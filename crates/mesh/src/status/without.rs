//! The stored entries without one of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use concord_model::ServiceRef;
use concord_model::entry::{Entry, EntryKind, EntryName};
use concord_model::intention::Destination;

use crate::entry::{Lookup, links};

/// The stored entries without one of them.
pub(super) struct Without<'a> {
    kept: &'a dyn Lookup,
    gone: &'a EntryName,
}

impl<'a> Without<'a> {
    pub(super) fn of(kept: &'a dyn Lookup, gone: &'a EntryName) -> Self {
        Self { kept, gone }
    }
}

impl Lookup for Without<'_> {
    fn rule_set(&self) -> u32 {
        self.kept.rule_set()
    }

    fn asks_for_tokens_of(&self, provider: &str) -> Option<Destination> {
        let found = self.kept.asks_for_tokens_of(provider);
        found.filter(|destination| EntryName::intentions(destination) != *self.gone)
    }

    fn entry(&self, name: &EntryName) -> Option<Arc<Entry>> {
        self.kept.entry(name).filter(|_| name != self.gone)
    }

    fn links_to(&self, service: &ServiceRef) -> Vec<EntryName> {
        let mut all = self.kept.links_to(service);
        all.retain(|name| name != self.gone);
        all
    }

    fn linked_by(&self, kind: EntryKind) -> Vec<ServiceRef> {
        if kind != self.gone.kind {
            return self.kept.linked_by(kind);
        }
        // Another entry of the kind may name the same services.
        let others = self.named(kind).into_iter().filter_map(|name| self.kept.entry(&name));
        let linked: BTreeSet<_> = others.flat_map(|entry| links(&entry)).collect();
        linked.into_iter().collect()
    }

    fn named(&self, kind: EntryKind) -> Vec<EntryName> {
        let mut all = self.kept.named(kind);
        all.retain(|name| name != self.gone);
        all
    }
}
