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

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use concord_mesh::intention::DefaultPolicy;
use concord_model::ca::CaRoots;
use concord_model::catalog::ServiceInstance;
use concord_model::entry::{Entry, EntryKind, EntryName};
use concord_model::intention::ServiceIntentions;
use concord_model::{Datacenter, ServiceRef};
use serde::{Deserialize, Serialize};

use crate::chain::{Chain, ChainId, ChainQuestion};
use crate::chains::Chains;
use crate::described::DescribedProxy;
use crate::feature::{Understood, demanded};
use crate::id::ProxyId;
use crate::listener::Listener;
use crate::parts::Parts;
use crate::registration::{ProxyFault, Registration};
use crate::snapshot::{IntentionSection, Leaf, ProxySnapshot, Sections, Versioned};
use crate::target::{Target, TargetId};

/// What the machine needs to be told about: the present state, and each change.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchKey {
    /// The root certificates. Answer with [`Event::RootsChanged`].
    Roots,
    /// Certificate and key of a service. Answer with [`Event::LeafChanged`].
    Leaf(Arc<ServiceRef>),
    /// The intentions for a service, and the default. Answer with [`Event::IntentionsChanged`].
    Intentions(Arc<ServiceRef>),
    /// The instances that accept mesh connections for a service. Answer with [`Event::EndpointsChanged`], or with
    /// [`Event::EndpointsFailed`] while they cannot be read.
    Endpoints(TargetId),
    /// The discovery chain of an upstream. Answer with [`Event::ChainChanged`], or with [`Event::ChainFailed`] while it
    /// cannot be read.
    Chain(Arc<ChainQuestion>),
    /// A configuration entry. Answer with [`Event::EntryChanged`].
    Entry(Arc<EntryName>),
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
        service: Arc<ServiceRef>,
        /// The certificate and its key.
        leaf: Arc<Leaf>,
    },
    /// The present intentions for a service, and the default.
    IntentionsChanged {
        /// The service, as in the watch.
        destination: Arc<ServiceRef>,
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
        question: Arc<ChainQuestion>,
        /// The chain, with the name that the question gives it.
        chain: Arc<Chain>,
    },
    /// The discovery chain of an upstream cannot be read.
    ChainFailed {
        /// Whose chain, as in the watch.
        question: Arc<ChainQuestion>,
        /// The reason.
        reason: String,
    },
    /// A present configuration entry.
    EntryChanged {
        /// Its name, as in the watch.
        name: Arc<EntryName>,
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
    /// What its registration has in common with others.
    parts: Parts,
    registration: Option<Registration>,
    /// The last reported errors of a registration, so that they are not reported again.
    refused: Vec<ProxyFault>,
    /// In order.
    watches: Vec<WatchKey>,
    roots: Option<Arc<CaRoots>>,
    leaf: Option<Arc<Leaf>>,
    intentions: Option<Arc<IntentionSection>>,
    chains: Chains,
    /// The answers about the watched entries.
    entries: BTreeMap<Arc<EntryName>, Option<Arc<Entry>>>,
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
            parts: Parts::default(),
            registration: None,
            refused: Vec::new(),
            watches: Vec::new(),
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

    /// The same, sharing the parts of its registration with other proxies.
    #[must_use]
    pub fn sharing(self, parts: Parts) -> Self {
        Self { parts, ..self }
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
                if self.is_watched(&WatchKey::Roots) {
                    self.roots = Some(roots);
                }
            }
            Event::LeafChanged { service, leaf } => {
                if self.is_watched(&WatchKey::Leaf(service)) {
                    self.leaf = Some(leaf);
                }
            }
            Event::IntentionsChanged { destination, entries, default } => {
                if self.is_watched(&WatchKey::Intentions(Arc::clone(&destination))) {
                    let destination = destination.as_ref().clone();
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
                if self.is_watched(&WatchKey::Chain(question)) {
                    self.chains.changed(chain);
                    self.reconcile_watches(out);
                    self.promote_chains(out);
                }
            }
            Event::ChainFailed { question, reason } => {
                let id = question.chain.clone();
                if self.is_watched(&WatchKey::Chain(question)) {
                    self.chains.failed(&id, reason);
                }
            }
            Event::EntryChanged { name, entry } => {
                if self.is_watched(&WatchKey::Entry(Arc::clone(&name))) {
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

    fn is_watched(&self, key: &WatchKey) -> bool {
        self.watches.binary_search(key).is_ok()
    }

    fn on_proxy(&mut self, read: Result<Registration, Vec<ProxyFault>>, out: &mut Vec<Effect>) {
        match read {
            Ok(mut registration) => {
                self.refused.clear();
                registration.keep_what_leads(self.acts_by_entries);
                self.parts.share(&mut registration);
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
        let missing = |from: &[WatchKey], key: &WatchKey| from.binary_search(key).is_err();
        let before = std::mem::take(&mut self.watches);
        for key in before.iter().filter(|key| missing(&wanted, key)) {
            match key {
                WatchKey::Roots => self.roots = None,
                WatchKey::Leaf(_) => self.leaf = None,
                WatchKey::Intentions(_) => self.intentions = None,
                WatchKey::Endpoints(target) => self.chains.forget_target(target),
                // Another question about the same chain may take its place.
                WatchKey::Chain(_) => {}
                WatchKey::Entry(name) => drop(self.entries.remove(name)),
            }
            out.push(Effect::StopWatch(key.clone()));
        }
        for key in wanted.iter().filter(|key| missing(&before, key)) {
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
    fn wanted(&self) -> Vec<WatchKey> {
        let Some(own) = &self.registration else { return Vec::new() };
        let service = Arc::new(own.proxy.service.clone());
        let mut keys = vec![WatchKey::Roots, WatchKey::Intentions(Arc::clone(&service))];
        if self.leaf_from == LeafFrom::Agent {
            keys.push(WatchKey::Leaf(service));
        }
        keys.push(WatchKey::Entry(Arc::new(EntryName::only(EntryKind::Mesh))));
        if self.acts_by_entries {
            keys.extend(self.provider_entries().map(Arc::new).map(WatchKey::Entry));
            let targets = own.questions.iter().flat_map(|question| self.chains.targets(&question.chain));
            keys.extend(targets.cloned().map(WatchKey::Endpoints));
            keys.extend(own.questions.iter().cloned().map(WatchKey::Chain));
        } else {
            let targets = own.chains.iter().flat_map(|chain| chain.targets());
            keys.extend(targets.cloned().map(WatchKey::Endpoints));
        }
        keys.sort();
        keys.dedup();
        keys.shrink_to_fit();
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
    fn listeners(&self, own: &Registration) -> Vec<Arc<Listener>> {
        if !self.acts_by_entries {
            return own.listeners.clone();
        }
        own.listeners.iter().filter_map(|listener| self.chains.listener(listener)).collect()
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
        // A proxy that does not act by entries is told only what it must not pass over, and cannot be given it.
        let is_told = |entry: &Entry| self.acts_by_entries || !demanded(entry, &own.proxy).is_empty();
        let entries = self.entries.values().flatten().filter(|entry| is_told(entry)).cloned();
        let next = self.version + 1;
        let last = self.published.as_deref();
        let snapshot = ProxySnapshot {
            id: self.id.clone(),
            version: next,
            proxy: Versioned::after(last.map(|last| &last.proxy), Arc::clone(&own.proxy), next),
            roots: Versioned::after(last.map(|last| &last.roots), Arc::clone(roots), next),
            intentions: Versioned::after(last.map(|last| &last.intentions), Arc::clone(intentions), next),
            entries: Sections::after(last.map(|last| &last.entries), entries, next),
            targets: Sections::after(last.map(|last| &last.targets), targets, next),
            chains: Sections::after(last.map(|last| &last.chains), chains, next),
            listeners: Sections::after(last.map(|last| &last.listeners), listeners, next),
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
