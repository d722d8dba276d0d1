//! The machine of one proxy: it is told what changed, says what to watch, and publishes snapshots.
//!
//! ```text
//!                 ProxyChanged, sound              roots, intentions (and leaf) known
//!   ExpectProxy ───────────────────► ExpectInputs ───────────────────────────────────► Published
//!        ▲                               ▲  │ another service: its inputs are awaited      │ any change
//!        └──────────── Gone ─────────────┘  └──────────────────────────────────────────────┘ of meaning:
//!                                                                                            Publish again
//! ```
//!
//! An unregistered proxy describes itself once (`ProxyDescribed`) and then takes the same path. Only complete
//! snapshots are published, and none twice. A registration with errors only causes a message: the last valid one
//! stays in use, and its roots and intentions stay current. The watches are compared with what the registration needs
//! each time, so that none is forgotten or started twice. Events for something that is no longer watched are late and
//! ignored.
//!
//! A proxy that acts by configuration entries is also told the discovery chains of its upstreams, the `mesh` entry and
//! the `jwt-provider` entries that its intentions name; what these name is watched in turn. Any other proxy is sent to
//! the service that its registration names; of the `mesh` entry it is told only what it must not pass over, so that it is
//! refused the snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use concord_mesh::chain::CompiledChain;
use concord_mesh::intention::DefaultPolicy;
use concord_model::ca::CaRoots;
use concord_model::catalog::ServiceInstance;
use concord_model::entry::{Entry, EntryKind, EntryName};
use concord_model::intention::ServiceIntentions;
use concord_model::{Datacenter, ServiceRef};
use serde::{Deserialize, Serialize};

use crate::chain::{ChainId, ChainQuestion};
use crate::chains::Chains;
use crate::described::DescribedProxy;
use crate::feature::{Understood, demanded};
use crate::id::ProxyId;
use crate::listener::{Listener, ListenerId};
use crate::registration::{ProxyFault, Registration};
use crate::snapshot::{IntentionSection, Leaf, ProxySnapshot, Versioned};
use crate::target::{Target, TargetId};

/// What the machine needs to be told about: the present state, and each change.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchKey {
    /// The root certificates. Answer with [`Event::RootsChanged`].
    Roots,
    /// Certificate and key of a service. Answer with [`Event::LeafChanged`].
    Leaf(ServiceRef),
    /// The intentions for a service, and the default. Answer with [`Event::IntentionsChanged`].
    Intentions(ServiceRef),
    /// The instances that accept mesh connections for a service. Answer with [`Event::EndpointsChanged`], or with
    /// [`Event::EndpointsFailed`] while they cannot be read.
    Endpoints(TargetId),
    /// The discovery chain of an upstream. Answer with [`Event::ChainChanged`], or with [`Event::ChainFailed`] while it
    /// cannot be read.
    Chain(ChainQuestion),
    /// A configuration entry. Answer with [`Event::EntryChanged`].
    Entry(EntryName),
}

/// An event for the machine.
#[derive(Clone, Debug)]
pub enum Event {
    /// The proxy was registered, or its registration changed.
    ProxyChanged(Arc<ServiceInstance>),
    /// The proxy is not registered; this is its own description.
    ProxyDescribed(Arc<DescribedProxy>),
    /// The proxy was deregistered.
    Gone,
    /// The present root certificates.
    RootsChanged(Arc<CaRoots>),
    /// The present certificate and key of the service.
    LeafChanged {
        /// The service, as in the watch.
        service: ServiceRef,
        /// The certificate and its key.
        leaf: Arc<Leaf>,
    },
    /// The present intentions for a service, and the default.
    IntentionsChanged {
        /// The service, as in the watch.
        destination: ServiceRef,
        /// All entries that cover it; others are ignored.
        entries: Vec<Arc<ServiceIntentions>>,
        /// The decision where no intention matches.
        default: DefaultPolicy,
    },
    /// The present instances that accept mesh connections for a service.
    EndpointsChanged(Arc<Target>),
    /// The instances of a service cannot be read: as long as nothing is known of them, there are none.
    EndpointsFailed(TargetId),
    /// The present discovery chain of an upstream.
    ChainChanged {
        /// Whose chain, as in the watch.
        question: ChainQuestion,
        /// The chain.
        chain: Arc<CompiledChain>,
    },
    /// The discovery chain of an upstream cannot be read.
    ChainFailed {
        /// Whose chain, as in the watch.
        question: ChainQuestion,
        /// The reason.
        reason: String,
    },
    /// A present configuration entry.
    EntryChanged {
        /// Its name, as in the watch.
        name: EntryName,
        /// The entry; `None` if it does not exist.
        entry: Option<Arc<Entry>>,
    },
}

/// An action for the caller.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Effect {
    /// Start this watch.
    StartWatch(WatchKey),
    /// Stop this watch.
    StopWatch(WatchKey),
    /// Send this snapshot to the followers of the proxy.
    Publish(Arc<ProxySnapshot>),
    /// The registration is invalid; the last snapshot stays in use. Report the errors to the operator.
    Refuse(Vec<ProxyFault>),
    /// The proxy no longer exists; end its streams.
    Withdraw,
}

/// Who creates the key of the leaf and has it signed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LeafFrom {
    /// The process that presents it, which asks for a signature (built-in proxy).
    #[default]
    Proxy,
    /// The agent; snapshots carry it (Envoy).
    Agent,
}

/// The machine of one proxy.
#[derive(Debug)]
pub struct Proxy {
    id: ProxyId,
    datacenter: Datacenter,
    leaf_from: LeafFrom,
    acts_by_entries: bool,
    /// The address from which the agent checks.
    checker: Option<IpAddr>,
    registration: Option<Registration>,
    /// The last reported errors of a registration, so that they are not reported again.
    refused: Vec<ProxyFault>,
    watches: BTreeSet<WatchKey>,
    roots: Option<Arc<CaRoots>>,
    leaf: Option<Arc<Leaf>>,
    intentions: Option<Arc<IntentionSection>>,
    chains: Chains,
    /// The answers about the watched entries.
    entries: BTreeMap<EntryName, Option<Arc<Entry>>>,
    /// The last published version. It continues when the proxy is removed and returns.
    version: u64,
    published: Option<Arc<ProxySnapshot>>,
}

impl Proxy {
    /// A proxy in this datacenter of which nothing is known yet.
    pub fn new(id: ProxyId, datacenter: Datacenter, leaf_from: LeafFrom, understands: &Understood) -> Self {
        Self {
            id,
            datacenter,
            leaf_from,
            acts_by_entries: understands.acts_by_entries(),
            checker: None,
            registration: None,
            refused: Vec::new(),
            watches: BTreeSet::new(),
            roots: None,
            leaf: None,
            intentions: None,
            chains: Chains::default(),
            entries: BTreeMap::new(),
            version: 0,
            published: None,
        }
    }

    /// The same, with the address from which the agent asks for the exposed paths of checks, besides loopback.
    #[must_use]
    pub fn checked_from(self, checker: Option<IpAddr>) -> Self {
        Self { checker, ..self }
    }

    /// Handles an event. Adds the actions to `out`, in order.
    pub fn on(&mut self, event: Event, out: &mut Vec<Effect>) {
        match event {
            Event::ProxyChanged(instance) => {
                let read = Registration::read(&self.id, &self.datacenter, &instance, self.checker);
                self.on_proxy(read, out);
            }
            Event::ProxyDescribed(described) => {
                self.on_proxy(Registration::of_described(&self.datacenter, &described), out);
            }
            Event::Gone => return self.on_gone(out),
            Event::RootsChanged(roots) => {
                if self.watches.contains(&WatchKey::Roots) {
                    self.roots = Some(roots);
                }
            }
            Event::LeafChanged { service, leaf } => {
                if self.watches.contains(&WatchKey::Leaf(service)) {
                    self.leaf = Some(leaf);
                }
            }
            Event::IntentionsChanged { destination, entries, default } => {
                if self.watches.contains(&WatchKey::Intentions(destination.clone())) {
                    self.intentions = Some(Arc::new(IntentionSection::new(destination, entries, default)));
                    self.reconcile_watches(out);
                }
            }
            Event::EndpointsChanged(target) => {
                self.chains.found(target);
                self.promote_chains(out);
            }
            Event::EndpointsFailed(target) if self.acts_by_entries => {
                self.chains.not_found(target);
                self.promote_chains(out);
            }
            Event::EndpointsFailed(_) => {}
            Event::ChainChanged { question, chain } => {
                let id = question.chain.clone();
                if self.watches.contains(&WatchKey::Chain(question)) {
                    self.chains.changed(&id, chain);
                    self.reconcile_watches(out);
                    self.promote_chains(out);
                }
            }
            Event::ChainFailed { question, reason } => {
                let id = question.chain.clone();
                if self.watches.contains(&WatchKey::Chain(question)) {
                    self.chains.failed(&id, reason);
                }
            }
            Event::EntryChanged { name, entry } => {
                if self.watches.contains(&WatchKey::Entry(name.clone())) {
                    self.entries.insert(name, entry);
                }
            }
        }
        self.publish(out);
    }

    /// The last published snapshot, if the proxy exists.
    pub fn snapshot(&self) -> Option<&Arc<ProxySnapshot>> {
        self.published.as_ref()
    }

    /// The present watches, in order.
    pub fn watches(&self) -> impl Iterator<Item = &WatchKey> {
        self.watches.iter()
    }

    fn on_proxy(&mut self, read: Result<Registration, Vec<ProxyFault>>, out: &mut Vec<Effect>) {
        match read {
            Ok(registration) => {
                self.refused.clear();
                self.registration = Some(registration);
                self.reconcile_watches(out);
            }
            Err(faults) => {
                if self.refused != faults {
                    self.refused.clone_from(&faults);
                    out.push(Effect::Refuse(faults));
                }
            }
        }
    }

    fn on_gone(&mut self, out: &mut Vec<Effect>) {
        let was_known = self.registration.is_some() || !self.refused.is_empty();
        self.registration = None;
        self.refused.clear();
        self.published = None;
        self.reconcile_watches(out);
        if was_known {
            out.push(Effect::Withdraw);
        }
    }

    /// Takes chains into use whose targets are known, and stops watching what only their predecessors named.
    fn promote_chains(&mut self, out: &mut Vec<Effect>) {
        if self.chains.promote() {
            self.reconcile_watches(out);
        }
    }

    fn reconcile_watches(&mut self, out: &mut Vec<Effect>) {
        let wanted = self.wanted();
        for key in self.watches.difference(&wanted).cloned().collect::<Vec<_>>() {
            match &key {
                WatchKey::Roots => self.roots = None,
                WatchKey::Leaf(_) => self.leaf = None,
                WatchKey::Intentions(_) => self.intentions = None,
                WatchKey::Endpoints(target) => self.chains.forget_target(target),
                // Another question about the same chain may take its place.
                WatchKey::Chain(_) => {}
                WatchKey::Entry(name) => drop(self.entries.remove(name)),
            }
            out.push(Effect::StopWatch(key));
        }
        for key in wanted.difference(&self.watches) {
            if let WatchKey::Endpoints(target) = key {
                self.chains.expect_target(target);
            }
            out.push(Effect::StartWatch(key.clone()));
        }
        self.watches = wanted;
        let questions = self.watches.iter().filter_map(WatchKey::chain);
        self.chains.expect(&questions.collect());
    }

    /// The watches that the proxy needs, by what is known.
    fn wanted(&self) -> BTreeSet<WatchKey> {
        let Some(own) = &self.registration else { return BTreeSet::new() };
        let service = &own.proxy.service;
        let mut keys = BTreeSet::from([WatchKey::Roots, WatchKey::Intentions(service.clone())]);
        if self.leaf_from == LeafFrom::Agent {
            keys.insert(WatchKey::Leaf(service.clone()));
        }
        keys.insert(WatchKey::Entry(EntryName::only(EntryKind::Mesh)));
        if !self.acts_by_entries {
            let targets = own.chains.values().flat_map(|chain| chain.targets());
            keys.extend(targets.map(WatchKey::Endpoints));
            return keys;
        }
        keys.extend(self.provider_entries().map(WatchKey::Entry));
        let targets = own.questions.iter().flat_map(|question| self.chains.targets(&question.chain));
        keys.extend(targets.map(WatchKey::Endpoints));
        keys.extend(own.questions.iter().cloned().map(WatchKey::Chain));
        keys
    }

    /// The names of the `jwt-provider` entries that the intentions name.
    fn provider_entries(&self) -> impl Iterator<Item = EntryName> {
        let names = self.intentions.iter().flat_map(|section| section.providers());
        names.filter_map(|name| EntryName::parse(EntryKind::JwtProvider, name).ok())
    }

    /// Whether the answer about an entry is missing.
    fn awaits_entries(&self) -> bool {
        let mut entries = self.watches.iter().filter_map(|key| match key {
            WatchKey::Entry(name) => Some(name),
            _ => None,
        });
        entries.any(|name| !self.entries.contains_key(name))
    }

    /// The listeners whose chains are known.
    fn listeners(&self, own: &Registration) -> BTreeMap<ListenerId, Arc<Listener>> {
        if !self.acts_by_entries {
            return own.listeners.clone();
        }
        let all = own.listeners.iter();
        all.filter_map(|(id, listener)| Some((id.clone(), self.chains.listener(listener)?))).collect()
    }

    /// Publishes a snapshot if everything is known and something has changed.
    fn publish(&mut self, out: &mut Vec<Effect>) {
        let (Some(own), Some(roots), Some(intentions)) = (&self.registration, &self.roots, &self.intentions)
        else {
            return;
        };
        if self.leaf_from == LeafFrom::Agent && self.leaf.is_none() {
            return;
        }
        if self.awaits_entries() {
            return;
        }
        // A proxy that comes back has listeners: the first snapshot must not lack one only because its chain is late.
        if self.published.is_none() && !self.chains.are_settled() {
            return;
        }
        let chains = if self.acts_by_entries { self.chains.in_use() } else { own.chains.clone() };
        let (listeners, targets) = (self.listeners(own), self.chains.targets_of(&chains));
        let entries = self.entries.iter();
        let entries = entries.filter_map(|(name, entry)| Some((name.clone(), Arc::clone(entry.as_ref()?))));
        // A proxy that does not act by entries is told only what it must not pass over, and cannot be given it.
        let is_told = |entry: &Entry| self.acts_by_entries || !demanded(entry, &own.proxy).is_empty();
        let entries = entries.filter(|(_, entry)| is_told(entry));
        let entries = entries.collect();
        let next = self.version + 1;
        let last = self.published.as_deref();
        let snapshot = ProxySnapshot {
            id: self.id.clone(),
            version: next,
            proxy: versioned(Arc::clone(&own.proxy), last.map(|last| &last.proxy), next),
            roots: versioned(Arc::clone(roots), last.map(|last| &last.roots), next),
            intentions: versioned(Arc::clone(intentions), last.map(|last| &last.intentions), next),
            entries: all_versioned(&entries, last.map(|last| &last.entries), next),
            targets: all_versioned(&targets, last.map(|last| &last.targets), next),
            chains: all_versioned(&chains, last.map(|last| &last.chains), next),
            listeners: all_versioned(&listeners, last.map(|last| &last.listeners), next),
            leaf: self.leaf.clone(),
        };
        if last.is_some_and(|last| snapshot.differing(last).is_empty()) {
            return;
        }
        let snapshot = Arc::new(snapshot);
        self.version = next;
        self.published = Some(Arc::clone(&snapshot));
        out.push(Effect::Publish(snapshot));
    }
}

impl WatchKey {
    /// The chain that is watched, if it is one.
    fn chain(&self) -> Option<&ChainId> {
        match self {
            Self::Chain(question) => Some(&question.chain),
            Self::Roots | Self::Leaf(_) | Self::Intentions(_) | Self::Endpoints(_) | Self::Entry(_) => None,
        }
    }
}

/// Keeps the earlier part if it has the same content, so that it keeps its version and its memory.
fn versioned<T: PartialEq>(value: Arc<T>, last: Option<&Versioned<T>>, next: u64) -> Versioned<T> {
    match last {
        Some(last) if last.says_the_same_as(&value) => last.clone(),
        Some(_) | None => Versioned { version: next, value },
    }
}

fn all_versioned<K: Clone + Ord, T: PartialEq>(
    values: &BTreeMap<K, Arc<T>>,
    last: Option<&BTreeMap<K, Versioned<T>>>,
    next: u64,
) -> BTreeMap<K, Versioned<T>> {
    let one = |(id, value): (&K, &Arc<T>)| {
        let last = last.and_then(|last| last.get(id));
        (id.clone(), versioned(Arc::clone(value), last, next))
    };
    values.iter().map(one).collect()
}
