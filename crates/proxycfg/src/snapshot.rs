//! The snapshot: everything that a proxy needs, at one moment.

pub(crate) mod section;
pub(crate) mod sections;
mod versioned;

use std::collections::BTreeSet;
use std::sync::Arc;

use concord_mesh::entry::{providers_of, providers_of_source};
use concord_mesh::intention::{DefaultPolicy, Policy};
use concord_model::ca::{CaRoots, LeafCertificate};
use concord_model::entry::Entry;
use concord_model::intention::ServiceIntentions;
use concord_model::{Secret, ServiceIdentity, ServiceRef, SpiffeError};
use serde::{Deserialize, Serialize};

pub use self::sections::{Named, Sections};
pub use self::versioned::Versioned;
use crate::chain::{Chain, ChainId, ChainStep, Resolve};
use crate::id::ProxyId;
use crate::listener::{InboundListener, Listener, ListenerId, OutboundListener};
use crate::registration::{ProxySection, identity};
use crate::target::Target;

/// Everything that a proxy needs, at one moment: sections that name each other. Cloning is cheap, because the
/// sections are shared.
///
/// Every chain that a listener names is here, and every target that a chain names: [`ProxySnapshot::apply`] refuses a
/// section that would break this. Roots and intentions are always present; a target may still lack its endpoints.
///
/// Versions count up from 1 for one [`crate::Proxy`]. They can be compared within one stream.
///
/// The wire form is that of [`ProxySnapshot::beginning`]. Targets, chains and listeners follow, each in its own
/// message.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ProxySnapshot {
    /// The proxy.
    pub id: ProxyId,
    /// Version of the whole: that of the latest change.
    pub version: u64,
    /// The description of the proxy itself.
    pub proxy: Versioned<ProxySection>,
    /// The root certificates.
    pub roots: Versioned<CaRoots>,
    /// The intentions for its service.
    pub intentions: Versioned<IntentionSection>,
    /// The configuration entries by which it acts, besides those that are part of its chains and settings: `mesh`,
    /// and each `jwt-provider` that an intention names.
    #[serde(skip)]
    pub entries: Sections<Entry>,
    /// The targets of chains.
    #[serde(skip)]
    pub targets: Sections<Target>,
    /// How connections find their targets.
    #[serde(skip)]
    pub chains: Sections<Chain>,
    /// The listeners.
    #[serde(skip)]
    pub listeners: Sections<Listener>,
    /// Certificate and key, for proxies that do not create their own (D16). They stay in the process that created the
    /// key: they have no wire form.
    #[serde(skip)]
    pub leaf: Option<Arc<Leaf>>,
}

impl ProxySnapshot {
    /// The same without entries, targets, chains and listeners: the first message of a stream.
    pub fn beginning(&self) -> Self {
        let (entries, targets, chains, listeners) = Default::default();
        let Self { id, version, proxy, roots, intentions, leaf, .. } = self.clone();
        Self { id, version, proxy, roots, intentions, entries, targets, chains, listeners, leaf }
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

    /// The target of a chain, for a proxy that does not understand discovery chains.
    pub fn resolve(&self, chain: &ChainId) -> Option<(&Resolve, &Arc<Target>)> {
        match &self.chains.get(chain)?.start {
            ChainStep::Resolve(resolve) => Some((resolve, &self.targets.get(&resolve.target)?.value)),
            ChainStep::Compiled(_) => None,
        }
    }

    /// The identity of the local service, which the proxy presents.
    pub fn identity(&self) -> Result<ServiceIdentity, SpiffeError> {
        identity(self.roots.trust_domain.clone(), &self.proxy.service, &self.proxy.datacenter)
    }

    /// The compiled intentions. Fails if they belong to another service, which is possible only while some sections
    /// of a version are missing.
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

/// The intentions for the proxy's service.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct IntentionSection {
    /// The called service.
    pub destination: ServiceRef,
    /// The entries that cover it, in the order of their destinations.
    pub entries: Vec<Arc<ServiceIntentions>>,
    /// The decision where no intention matches.
    pub default: DefaultPolicy,
}

impl IntentionSection {
    /// The entries that cover `destination`, out of the given ones.
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

    /// The names of the `jwt-provider` entries that the intentions name.
    pub fn providers(&self) -> BTreeSet<&str> {
        let whole = self.entries.iter().flat_map(|entry| &entry.jwt).flat_map(providers_of);
        let sources = self.entries.iter().flat_map(|entry| &entry.sources);
        whole.chain(sources.flat_map(providers_of_source)).collect()
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
    /// A certificate contains its public key, so it is enough to compare certificates.
    fn eq(&self, other: &Self) -> bool {
        self.certificate == other.certificate
    }
}

impl Eq for Leaf {}
