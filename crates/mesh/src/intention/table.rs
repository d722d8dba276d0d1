//! All intentions of a cluster, for lists, matches and decisions about any pair.

use std::collections::HashMap;
use std::sync::Arc;

use concord_model::ServiceRef;
use concord_model::intention::{Destination, JwtRequirement, ServiceIntentions, Source};

use super::policy::{Compiled, Policy, decide, destinations};
use super::{DefaultPolicy, Intention, Verdict};

/// All intentions of a cluster.
///
/// Changing one entry compiles only that entry. Clones share the compiled entries.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Iterated only where the result is sorted afterwards.
    entries: HashMap<Destination, Arc<Compiled>>,
}

impl Table {
    /// Compiles all entries. Of two entries for one destination the later one counts, as in the store.
    pub fn compile<'a>(entries: impl IntoIterator<Item = &'a ServiceIntentions>) -> Self {
        let mut table = Self::default();
        for entry in entries {
            table.set(entry);
        }
        table
    }

    /// Replaces the entry of its destination.
    pub fn set(&mut self, entry: &ServiceIntentions) {
        self.entries.insert(entry.destination.clone(), Arc::new(Compiled::of_entry(entry)));
    }

    /// Removes the entry of a destination. Returns whether there was one.
    pub fn remove(&mut self, destination: &Destination) -> bool {
        self.entries.remove(destination).is_some()
    }

    /// The policy of one destination. It shares the compiled entries.
    pub fn policy(&self, destination: &ServiceRef) -> Policy {
        if destination.peer.is_some() {
            return Policy::default();
        }
        let parts = destinations(destination);
        Policy::from_parts(parts.iter().filter_map(|key| self.entries.get(key)).cloned().collect())
    }

    /// Whether `source` may connect to `destination`, and which rule decides.
    pub fn decide(&self, source: &ServiceRef, destination: &ServiceRef, default: DefaultPolicy) -> Verdict {
        if destination.peer.is_some() {
            return default.verdict();
        }
        let keys = destinations(destination);
        decide(keys.iter().filter_map(|key| self.entries.get(key)).map(Arc::as_ref), source, default)
    }

    /// The intention with exactly these patterns.
    pub fn exact(&self, source: &Source, destination: &Destination) -> Option<&Arc<Intention>> {
        self.entries.get(destination)?.exactly(source)
    }

    /// The intentions of one entry, in order of precedence.
    pub fn of_destination(&self, destination: &Destination) -> &[Arc<Intention>] {
        self.entries.get(destination).map_or(&[], |compiled| compiled.rules())
    }

    /// The token that an entry demands of every request to its destination.
    pub fn jwt(&self, destination: &Destination) -> Option<&Arc<JwtRequirement>> {
        self.entries.get(destination)?.jwt()
    }

    /// All intentions that cover a destination, in order of precedence.
    pub fn matching_destination(&self, destination: &ServiceRef) -> Vec<Arc<Intention>> {
        self.policy(destination).rules()
    }

    /// All intentions that cover a source, whatever their destination, highest precedence first.
    pub fn matching_source(&self, source: &ServiceRef) -> Vec<Arc<Intention>> {
        sorted(self.entries.values().flat_map(|entry| entry.covering(source)))
    }

    /// All intentions, highest precedence first.
    pub fn list(&self) -> Vec<Arc<Intention>> {
        sorted(self.entries.values().flat_map(|entry| entry.rules()))
    }

    /// The number of intentions.
    pub fn len(&self) -> usize {
        self.entries.values().map(|entry| entry.rules().len()).sum()
    }

    /// Whether there are no intentions.
    pub fn is_empty(&self) -> bool {
        self.entries.values().all(|entry| entry.rules().is_empty())
    }
}

fn sorted<'a>(rules: impl Iterator<Item = &'a Arc<Intention>>) -> Vec<Arc<Intention>> {
    let mut rules: Vec<_> = rules.cloned().collect();
    rules.sort_by(|a, b| a.order(b));
    rules
}
