//! The snapshot: all a proxy needs to do its work, at one moment.

pub(crate) mod section;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use concord_mesh::intention::{DefaultPolicy, Policy};
use concord_model::ca::{CaRoots, LeafCertificate};
use concord_model::intention::ServiceIntentions;
use concord_model::{Secret, ServiceIdentity, ServiceRef, SpiffeError};
use serde::{Deserialize, Serialize};

use crate::chain::{Chain, ChainId, ChainStep, Resolve};
use crate::id::ProxyId;
use crate::listener::{InboundListener, Listener, ListenerId, OutboundListener};
use crate::registration::{ProxySection, identity};
use crate::target::{Target, TargetId};

/// A part of a snapshot with the version at which it last changed.
#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
pub struct Versioned<T> {
    /// The snapshot's version at which it last changed.
    pub version: u64,
    /// The part itself.
    pub value: Arc<T>,
}

impl<T> Clone for Versioned<T> {
    fn clone(&self) -> Self {
        Self { version: self.version, value: Arc::clone(&self.value) }
    }
}

impl<T> Deref for Versioned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> Versioned<T> {
    /// Whether the parts say the same, whatever their versions.
    pub fn says_the_same_as(&self, value: &Arc<T>) -> bool {
        Arc::ptr_eq(&self.value, value) || self.value == *value
    }
}

/// All a proxy needs to do its work, at one moment: sections that name each other. Cheap to clone, for they are shared.
///
/// Every chain that a listener names is here, and every target that a chain names: [`ProxySnapshot::apply`] takes no
/// section that would break it. Roots and intentions are always there; a target may still wait for its endpoints.
///
/// Versions count up from 1 for one [`crate::Proxy`]; they are comparable within one stream.
///
/// Its wire form is that of [`ProxySnapshot::beginning`]: targets, chains and listeners follow one by one, each in a
/// message of its own.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ProxySnapshot {
    /// The proxy.
    pub id: ProxyId,
    /// Version of the whole: that of its youngest change.
    pub version: u64,
    /// What the proxy is.
    pub proxy: Versioned<ProxySection>,
    /// The roots of trust.
    pub roots: Versioned<CaRoots>,
    /// Who may call its service.
    pub intentions: Versioned<IntentionSection>,
    /// Where chains lead.
    #[serde(skip)]
    pub targets: BTreeMap<TargetId, Versioned<Target>>,
    /// How connections find their targets.
    #[serde(skip)]
    pub chains: BTreeMap<ChainId, Versioned<Chain>>,
    /// Where it accepts connections.
    #[serde(skip)]
    pub listeners: BTreeMap<ListenerId, Versioned<Listener>>,
    /// Certificate and key, for proxies that do not make their own (D16). Stays in the process
    /// that made the key: it has no wire form.
    #[serde(skip)]
    pub leaf: Option<Arc<Leaf>>,
}

impl ProxySnapshot {
    /// The same without targets, chains and listeners: what a stream begins with.
    pub fn beginning(&self) -> Self {
        let (targets, chains, listeners) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let Self { id, version, proxy, roots, intentions, leaf, .. } = self.clone();
        Self { id, version, proxy, roots, intentions, targets, chains, listeners, leaf }
    }

    /// The listener for connections from the mesh; `None`: the proxy only calls.
    pub fn inbound(&self) -> Option<&InboundListener> {
        match &*self.listeners.get(&ListenerId::Inbound)?.value {
            Listener::Inbound(own) => Some(own),
            Listener::Outbound(_) => None,
        }
    }

    /// The listeners for connections to upstreams, in the order of their names.
    pub fn outbound(&self) -> impl Iterator<Item = &OutboundListener> {
        self.listeners.values().filter_map(|listener| match &*listener.value {
            Listener::Outbound(own) => Some(own),
            Listener::Inbound(_) => None,
        })
    }

    /// Where a chain leads, for a proxy that carries connections without looking into them.
    pub fn resolve(&self, chain: &ChainId) -> Option<(&Resolve, &Arc<Target>)> {
        let ChainStep::Resolve(resolve) = &self.chains.get(chain)?.start;
        Some((resolve, &self.targets.get(&resolve.target)?.value))
    }

    /// The identity of the local service, which the proxy presents.
    pub fn identity(&self) -> Result<ServiceIdentity, SpiffeError> {
        identity(self.roots.trust_domain.clone(), &self.proxy.service, &self.proxy.datacenter)
    }

    /// The intentions, compiled; refuses to judge by those of another service, which can only be
    /// while some sections of a version have arrived and others have not.
    pub fn policy(&self) -> Result<Policy, MixedSections> {
        if self.intentions.destination != self.proxy.service {
            return Err(MixedSections);
        }
        Ok(self.intentions.policy())
    }
}

/// The snapshot's sections belong to different versions; wait for the rest.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the intentions are those of another service; wait for the rest of the snapshot")]
pub struct MixedSections;

/// Who may call the proxy's service.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct IntentionSection {
    /// The service called.
    pub destination: ServiceRef,
    /// The entries that concern it, in the order of their destinations.
    pub entries: Vec<Arc<ServiceIntentions>>,
    /// What decides where no intention does.
    pub default: DefaultPolicy,
}

impl IntentionSection {
    /// The entries that concern `destination`, of those given.
    pub fn new(
        destination: ServiceRef,
        entries: impl IntoIterator<Item = Arc<ServiceIntentions>>,
        default: DefaultPolicy,
    ) -> Self {
        let mut entries: Vec<_> =
            entries.into_iter().filter(|entry| entry.destination.covers(&destination)).collect();
        entries.sort_by(|a, b| a.destination.cmp(&b.destination));
        Self { destination, entries, default }
    }

    /// The entries, compiled.
    pub fn policy(&self) -> Policy {
        Policy::compile(&self.destination, self.entries.iter().map(Arc::as_ref))
    }
}

/// A certificate with its private key.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The certificate, with its chain.
    pub certificate: LeafCertificate,
    /// The key, PEM.
    pub key: Secret,
}

impl PartialEq for Leaf {
    /// A certificate names its key, so that comparing certificates is enough.
    fn eq(&self, other: &Self) -> bool {
        self.certificate == other.certificate
    }
}

impl Eq for Leaf {}
