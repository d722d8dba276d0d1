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

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use concord_mesh::intention::DefaultPolicy;
use concord_model::ca::CaRoots;
use concord_model::catalog::ServiceInstance;
use concord_model::intention::ServiceIntentions;
use concord_model::{Datacenter, ServiceRef};
use serde::{Deserialize, Serialize};

use crate::described::DescribedProxy;
use crate::endpoint::{Endpoint, Endpoints};
use crate::id::ProxyId;
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
    /// The instances that accept mesh connections for a service. Answer with [`Event::EndpointsChanged`].
    Endpoints(TargetId),
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
    EndpointsChanged {
        /// The service, as in the watch.
        target: TargetId,
        /// Its instances, in any order.
        endpoints: Vec<Endpoint>,
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
    registration: Option<Registration>,
    /// The last reported errors of a registration, so that they are not reported again.
    refused: Vec<ProxyFault>,
    watches: BTreeSet<WatchKey>,
    roots: Option<Arc<CaRoots>>,
    leaf: Option<Arc<Leaf>>,
    intentions: Option<Arc<IntentionSection>>,
    /// The known state of the watched targets.
    targets: BTreeMap<TargetId, Arc<Target>>,
    /// The last published version. It continues when the proxy is removed and returns.
    version: u64,
    published: Option<Arc<ProxySnapshot>>,
}

impl Proxy {
    /// A proxy in this datacenter of which nothing is known yet.
    pub fn new(id: ProxyId, datacenter: Datacenter, leaf_from: LeafFrom) -> Self {
        Self {
            id,
            datacenter,
            leaf_from,
            registration: None,
            refused: Vec::new(),
            watches: BTreeSet::new(),
            roots: None,
            leaf: None,
            intentions: None,
            targets: BTreeMap::new(),
            version: 0,
            published: None,
        }
    }

    /// Handles an event. Adds the actions to `out`, in order.
    pub fn on(&mut self, event: Event, out: &mut Vec<Effect>) {
        match event {
            Event::ProxyChanged(instance) => {
                let read = Registration::read(&self.id, &self.datacenter, &instance);
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
                }
            }
            Event::EndpointsChanged { target, endpoints } => {
                if let Some(known) = self.targets.get_mut(&target) {
                    let endpoints = Some(Endpoints::from_unordered(endpoints));
                    *known = Arc::new(Target { id: target, endpoints });
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

    fn reconcile_watches(&mut self, out: &mut Vec<Effect>) {
        let wanted = self.registration.as_ref().map_or_else(BTreeSet::new, |own| own.watches(self.leaf_from));
        for key in self.watches.difference(&wanted).cloned().collect::<Vec<_>>() {
            match &key {
                WatchKey::Roots => self.roots = None,
                WatchKey::Leaf(_) => self.leaf = None,
                WatchKey::Intentions(_) => self.intentions = None,
                WatchKey::Endpoints(target) => drop(self.targets.remove(target)),
            }
            out.push(Effect::StopWatch(key));
        }
        for key in wanted.difference(&self.watches) {
            if let WatchKey::Endpoints(target) = key {
                self.targets.insert(target.clone(), Arc::new(Target::unknown(target.clone())));
            }
            out.push(Effect::StartWatch(key.clone()));
        }
        self.watches = wanted;
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
        let next = self.version + 1;
        let last = self.published.as_deref();
        let snapshot = ProxySnapshot {
            id: self.id.clone(),
            version: next,
            proxy: versioned(Arc::clone(&own.proxy), last.map(|last| &last.proxy), next),
            roots: versioned(Arc::clone(roots), last.map(|last| &last.roots), next),
            intentions: versioned(Arc::clone(intentions), last.map(|last| &last.intentions), next),
            targets: all_versioned(&self.targets, last.map(|last| &last.targets), next),
            chains: all_versioned(&own.chains, last.map(|last| &last.chains), next),
            listeners: all_versioned(&own.listeners, last.map(|last| &last.listeners), next),
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

impl Registration {
    /// The watches that a proxy with this registration needs.
    fn watches(&self, leaf_from: LeafFrom) -> BTreeSet<WatchKey> {
        let service = &self.proxy.service;
        let mut keys = BTreeSet::from([WatchKey::Roots, WatchKey::Intentions(service.clone())]);
        if leaf_from == LeafFrom::Agent {
            keys.insert(WatchKey::Leaf(service.clone()));
        }
        let targets = self.chains.values().flat_map(|chain| chain.targets());
        keys.extend(targets.cloned().map(WatchKey::Endpoints));
        keys
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
