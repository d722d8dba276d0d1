//! Sections: the parts of a snapshot, which are sent to a proxy one by one (D15, D37).
//!
//! A stream begins with [`ProxySnapshot::beginning`]. Then sections follow, each complete in itself. The sections of
//! one change have the same version, and all but the last say that more follow. A proxy applies them as they arrive,
//! and uses the result once no more follow.
//!
//! Sections name each other. A section is sent before those that name it, and removed after them:
//!
//! ```text
//! Proxy, Roots │ Entry │ Intentions, Leaf │ Target │ Chain │ Listener │ Listener gone │ Chain gone │ Target gone, Entry gone
//!    new or changed, with the named before the naming            what nothing names any more, from the naming to the named
//! ```
//!
//! So after each section, every listener finds its chain and every chain its targets. A section that would break this
//! is refused ([`ApplyError`]), and the snapshot does not change.

use std::sync::Arc;

use concord_model::ca::CaRoots;
use concord_model::entry::{Entry, EntryName};
use serde::{Deserialize, Serialize};

use super::{IntentionSection, Leaf, Named, ProxySnapshot, Sections, Versioned};
use crate::chain::{Chain, ChainId};
use crate::limits::SECTIONS_MAX;
use crate::listener::{Listener, ListenerId};
use crate::registration::ProxySection;
use crate::target::{Target, TargetId};

/// The name of a section.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Section {
    /// The proxy itself.
    Proxy,
    /// The root certificates.
    Roots,
    /// One configuration entry.
    Entry(EntryName),
    /// The intentions.
    Intentions,
    /// One target.
    Target(TargetId),
    /// One chain.
    Chain(ChainId),
    /// One listener.
    Listener(ListenerId),
    /// The certificate and its key.
    Leaf,
}

/// One section, replaced or removed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SectionUpdate {
    /// The version of the snapshot after it.
    pub version: u64,
    /// Whether more sections of this version follow.
    #[serde(default)]
    pub more: bool,
    /// The new content.
    pub body: SectionBody,
}

/// The new content of a section.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SectionBody {
    /// The proxy itself.
    Proxy(Versioned<ProxySection>),
    /// The root certificates.
    Roots(Versioned<CaRoots>),
    /// One configuration entry, new or changed.
    Entry(Versioned<Entry>),
    /// The intentions.
    Intentions(Versioned<IntentionSection>),
    /// One target, new or changed.
    Target(Versioned<Target>),
    /// One chain, new or changed.
    Chain(Versioned<Chain>),
    /// One listener, new or changed.
    Listener(Versioned<Listener>),
    /// A listener is removed.
    ListenerGone(ListenerId),
    /// A chain is removed.
    ChainGone(ChainId),
    /// A target is removed.
    TargetGone(TargetId),
    /// An entry is removed.
    EntryGone(EntryName),
    /// The certificate and its key, made by the agent for a proxy in its own process: it has no wire form.
    #[serde(skip)]
    Leaf(Arc<Leaf>),
}

/// Why an update cannot be applied. The proxy must attach again.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ApplyError {
    /// It is older than the present snapshot.
    #[error("the update leads to version {got}, but version {have} is here already")]
    Stale {
        /// The present version.
        have: u64,
        /// The version of the update.
        got: u64,
    },
    /// A chain names a missing target.
    #[error("chain {chain} leads to {target}, of which nothing is known")]
    NoTarget {
        /// The chain.
        chain: ChainId,
        /// The target.
        target: TargetId,
    },
    /// A listener names a missing chain.
    #[error("the listener of {listener} leads to chain {chain}, of which nothing is known")]
    NoChain {
        /// The listener.
        listener: ListenerId,
        /// The chain.
        chain: ChainId,
    },
    /// The section to be removed is still named by another one.
    #[error("a section that is still in use cannot go: {0:?}")]
    InUse(Section),
    /// There would be too many sections.
    #[error("a snapshot can have at most {SECTIONS_MAX} sections")]
    TooMany,
}

impl SectionUpdate {
    /// The section's name.
    pub fn section(&self) -> Section {
        match &self.body {
            SectionBody::Proxy(_) => Section::Proxy,
            SectionBody::Roots(_) => Section::Roots,
            SectionBody::Entry(entry) => Section::Entry(entry.name()),
            SectionBody::EntryGone(name) => Section::Entry(name.clone()),
            SectionBody::Intentions(_) => Section::Intentions,
            SectionBody::Target(target) => Section::Target(target.id.clone()),
            SectionBody::Chain(chain) => Section::Chain(chain.id.clone()),
            SectionBody::Listener(listener) => Section::Listener(listener.id()),
            SectionBody::ListenerGone(id) => Section::Listener(id.clone()),
            SectionBody::ChainGone(id) => Section::Chain(id.clone()),
            SectionBody::TargetGone(id) => Section::Target(id.clone()),
            SectionBody::Leaf(_) => Section::Leaf,
        }
    }
}

impl ProxySnapshot {
    /// The updates from `old` to this snapshot, both of one proxy: every section that differs. Applied in order, they
    /// make `old` equal to this snapshot.
    ///
    /// The result is empty only if the versions are equal. If a change was undone between the two, no section
    /// differs, and the first section is sent again to carry the new version.
    pub fn diff(&self, old: &Self) -> Vec<SectionUpdate> {
        let mut bodies = self.differing(old);
        if bodies.is_empty() && self.version != old.version {
            bodies.push(SectionBody::Proxy(self.proxy.clone()));
        }
        let count = bodies.len();
        let update = |(i, body)| SectionUpdate { version: self.version, more: i + 1 < count, body };
        bodies.into_iter().enumerate().map(update).collect()
    }

    /// The sections that differ from `old`.
    pub(crate) fn differing(&self, old: &Self) -> Vec<SectionBody> {
        let mut bodies = Vec::new();
        if differ(&self.proxy, &old.proxy) {
            bodies.push(SectionBody::Proxy(self.proxy.clone()));
        }
        if differ(&self.roots, &old.roots) {
            bodies.push(SectionBody::Roots(self.roots.clone()));
        }
        bodies.extend(changed(&self.entries, &old.entries).map(SectionBody::Entry));
        if differ(&self.intentions, &old.intentions) {
            bodies.push(SectionBody::Intentions(self.intentions.clone()));
        }
        if self.leaf != old.leaf {
            bodies.extend(self.leaf.clone().map(SectionBody::Leaf));
        }
        bodies.extend(changed(&self.targets, &old.targets).map(SectionBody::Target));
        bodies.extend(changed(&self.chains, &old.chains).map(SectionBody::Chain));
        bodies.extend(changed(&self.listeners, &old.listeners).map(SectionBody::Listener));
        bodies.extend(gone(&self.listeners, &old.listeners).map(SectionBody::ListenerGone));
        bodies.extend(gone(&self.chains, &old.chains).map(SectionBody::ChainGone));
        bodies.extend(gone(&self.targets, &old.targets).map(SectionBody::TargetGone));
        bodies.extend(gone(&self.entries, &old.entries).map(SectionBody::EntryGone));
        bodies
    }

    /// Applies a section. After an error the snapshot is unchanged.
    pub fn apply(&mut self, update: SectionUpdate) -> Result<(), ApplyError> {
        self.check(&update)?;
        let SectionUpdate { version, more: _, body } = update;
        self.version = version;
        match body {
            SectionBody::Proxy(proxy) => self.proxy = proxy,
            SectionBody::Roots(roots) => self.roots = roots,
            SectionBody::Entry(entry) => self.entries.insert(entry),
            SectionBody::EntryGone(name) => self.entries.remove(&name),
            SectionBody::Intentions(intentions) => self.intentions = intentions,
            SectionBody::Target(target) => self.targets.insert(target),
            SectionBody::Chain(chain) => self.chains.insert(chain),
            SectionBody::Listener(listener) => self.listeners.insert(listener),
            SectionBody::ListenerGone(id) => self.listeners.remove(&id),
            SectionBody::ChainGone(id) => self.chains.remove(&id),
            SectionBody::TargetGone(id) => self.targets.remove(&id),
            SectionBody::Leaf(leaf) => self.leaf = Some(leaf),
        }
        Ok(())
    }

    /// Checks that a section can be applied.
    fn check(&self, update: &SectionUpdate) -> Result<(), ApplyError> {
        if update.version < self.version {
            return Err(ApplyError::Stale { have: self.version, got: update.version });
        }
        match &update.body {
            SectionBody::Proxy(_)
            | SectionBody::Roots(_)
            | SectionBody::Intentions(_)
            | SectionBody::ListenerGone(_)
            | SectionBody::EntryGone(_)
            | SectionBody::Leaf(_) => Ok(()),
            SectionBody::Entry(entry) => self.room(self.entries.contains_key(&entry.name())),
            SectionBody::Target(target) => self.room(self.targets.contains_key(&target.id)),
            SectionBody::Chain(chain) => {
                let missing = chain.targets().iter().find(|target| !self.targets.contains_key(target));
                if let Some(target) = missing {
                    return Err(ApplyError::NoTarget { chain: chain.id.clone(), target: target.clone() });
                }
                self.room(self.chains.contains_key(&chain.id))
            }
            SectionBody::Listener(listener) => {
                if let Some(chain) = listener.chain().filter(|chain| !self.chains.contains_key(*chain)) {
                    return Err(ApplyError::NoChain { listener: listener.id(), chain: chain.clone() });
                }
                self.room(self.listeners.contains_key(&listener.id()))
            }
            SectionBody::ChainGone(id) => {
                let used = self.listeners.values().any(|listener| listener.chain() == Some(id));
                if used { Err(ApplyError::InUse(update.section())) } else { Ok(()) }
            }
            SectionBody::TargetGone(id) => {
                let used = self.chains.values().any(|chain| chain.targets().contains(id));
                if used { Err(ApplyError::InUse(update.section())) } else { Ok(()) }
            }
        }
    }

    /// Checks that there is room for a section. A section that replaces itself always has room.
    fn room(&self, is_here: bool) -> Result<(), ApplyError> {
        let many = [self.entries.len(), self.targets.len(), self.chains.len(), self.listeners.len()];
        let sections = SINGLE_SECTIONS + many.iter().sum::<usize>();
        if is_here || sections < SECTIONS_MAX { Ok(()) } else { Err(ApplyError::TooMany) }
    }
}

/// Sections that every snapshot has once: Proxy, Roots, Intentions.
const SINGLE_SECTIONS: usize = 3;

fn differ<T: PartialEq>(new: &Versioned<T>, old: &Versioned<T>) -> bool {
    new.version != old.version || !(Arc::ptr_eq(&new.value, &old.value) || new.value == old.value)
}

/// The sections that are new or changed.
fn changed<T: Named>(new: &Sections<T>, old: &Sections<T>) -> impl Iterator<Item = Versioned<T>> {
    let is_as_it_was = |new: &Versioned<T>| old.get(&new.id()).is_some_and(|old| !differ(new, old));
    new.values().filter(move |section| !is_as_it_was(section)).cloned()
}

/// The names of removed sections.
fn gone<T: Named>(new: &Sections<T>, old: &Sections<T>) -> impl Iterator<Item = T::Id> {
    old.keys().filter(|id| !new.contains_key(id))
}
