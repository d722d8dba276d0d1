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

use crate::id::ProxyId;
use crate::registration::{ProxySection, identity};
use crate::upstream::{UpstreamId, UpstreamSection};

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

/// All a proxy needs to do its work, at one moment. Cheap to clone: parts are shared.
///
/// Versions count up from 1 for one [`crate::Proxy`]; they are comparable within one stream, whose
/// first message replaces all. Roots and intentions are always there; an upstream may still be
/// waiting for its endpoints.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ProxySnapshot {
    /// The proxy.
    pub id: ProxyId,
    /// Version of the whole: that of its youngest change.
    pub version: u64,
    /// What the proxy is, and how it takes connections.
    pub proxy: Versioned<ProxySection>,
    /// The roots of trust.
    pub roots: Versioned<CaRoots>,
    /// Who may call its service.
    pub intentions: Versioned<IntentionSection>,
    /// What its service calls.
    #[serde(default)]
    pub upstreams: BTreeMap<UpstreamId, Versioned<UpstreamSection>>,
    /// Certificate and key, for proxies that do not make their own (D16). Stays in the process
    /// that made the key: it has no wire form.
    #[serde(skip)]
    pub leaf: Option<Arc<Leaf>>,
}

impl ProxySnapshot {
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
