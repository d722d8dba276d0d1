//! The features that a snapshot needs, and those that its receiver understands.
//!
//! A proxy lists its features when it attaches. Unknown names are ignored: the proxy is newer, and none of our
//! snapshots needs them. A snapshot that needs a feature that the proxy did not list is not sent.

use std::collections::BTreeSet;
use std::fmt;

use concord_model::entry::{Entry, TlsVersion};
use concord_model::proxy::Settings;
use serde::{Deserialize, Serialize};

use crate::chain::{Chain, ChainStep};
use crate::registration::ProxySection;
use crate::snapshot::ProxySnapshot;

/// The setting of a proxy that replaces its public listener.
const PUBLIC_LISTENER: &str = "envoy_public_listener_json";

/// A feature that a snapshot can need.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Feature {
    /// Section Proxy: the service that the proxy acts for.
    Proxy,
    /// Section Roots.
    Roots,
    /// Section Intentions, with decisions about connections and, for these, about requests.
    Intentions,
    /// Sections Target: endpoints by reference.
    Targets,
    /// Sections Chain that have one target.
    Chains,
    /// Sections Listener, inbound and outbound.
    Listeners,
    /// Sections Entry: configuration entries by which the proxy acts.
    Entries,
    /// Sections Chain that are discovery chains.
    DiscoveryChains,
    /// A public listener that an operator has written for Envoy, which may keep callers out.
    PublicListener,
    /// Paths that are served without the mesh's TLS, and nothing beside them.
    ExposedPaths,
    /// A minimum of TLS 1.3, which the mesh demands.
    TlsMinimum,
    /// The header with the caller's certificate is taken out of requests, which the mesh demands.
    CleanCertificates,
}

impl Feature {
    /// All features of this version.
    pub const ALL: [Self; 12] = [
        Self::Proxy,
        Self::Roots,
        Self::Intentions,
        Self::Targets,
        Self::Chains,
        Self::Listeners,
        Self::Entries,
        Self::DiscoveryChains,
        Self::PublicListener,
        Self::ExposedPaths,
        Self::TlsMinimum,
        Self::CleanCertificates,
    ];

    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Roots => "roots",
            Self::Intentions => "intentions",
            Self::Targets => "targets",
            Self::Chains => "chains",
            Self::Listeners => "listeners",
            Self::Entries => "entries",
            Self::DiscoveryChains => "discovery_chains",
            Self::PublicListener => "envoy_public_listener_json",
            Self::ExposedPaths => "exposed_paths",
            Self::TlsMinimum => "tls_1_3",
            Self::CleanCertificates => "sanitize_x_forwarded_client_cert",
        }
    }
}

/// The features that a receiver of snapshots understands.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct Understood(BTreeSet<Feature>);

/// A snapshot needs features that its receiver does not understand.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the proxy's configuration needs {}, which the proxy does not understand; run Envoy, or a proxy of the agent's version", list(.0))]
pub struct NotUnderstood(pub BTreeSet<Feature>);

impl Understood {
    /// Exactly these features.
    pub fn of(features: impl IntoIterator<Item = Feature>) -> Self {
        Self(features.into_iter().collect())
    }

    /// Whether the receiver listed no feature that this version knows: it is older than the list of features.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the receiver acts by configuration entries. One that does not is not told of them: its upstreams lead
    /// where its registration says.
    pub(crate) fn acts_by_entries(&self) -> bool {
        [Feature::Entries, Feature::DiscoveryChains].iter().all(|feature| self.0.contains(feature))
    }

    /// Whether the receiver can use a snapshot.
    ///
    /// # Errors
    /// The missing features.
    pub fn covers(&self, snapshot: &ProxySnapshot) -> Result<(), NotUnderstood> {
        let missing = &snapshot.needs() - &self.0;
        if missing.is_empty() { Ok(()) } else { Err(NotUnderstood(missing)) }
    }
}

impl From<Vec<String>> for Understood {
    fn from(names: Vec<String>) -> Self {
        let known = |feature: &Feature| names.iter().any(|name| name == feature.as_str());
        Self::of(Feature::ALL.into_iter().filter(known))
    }
}

impl From<Understood> for Vec<String> {
    fn from(own: Understood) -> Self {
        own.0.into_iter().map(|feature| feature.as_str().to_owned()).collect()
    }
}

impl ProxySnapshot {
    /// The features that its receiver must understand.
    pub fn needs(&self) -> BTreeSet<Feature> {
        let mut needs = BTreeSet::from([Feature::Proxy, Feature::Roots, Feature::Intentions]);
        needs.extend((!self.entries.is_empty()).then_some(Feature::Entries));
        needs.extend((!self.targets.is_empty()).then_some(Feature::Targets));
        needs.extend((!self.listeners.is_empty()).then_some(Feature::Listeners));
        needs.extend(says(&self.proxy.settings, PUBLIC_LISTENER).then_some(Feature::PublicListener));
        needs.extend((!self.proxy.exposed.is_empty()).then_some(Feature::ExposedPaths));
        needs.extend(self.entries.values().flat_map(|entry| demanded(entry, &self.proxy)));
        needs.extend(self.chains.values().map(|chain| chain.needs()));
        needs
    }
}

impl Chain {
    fn needs(&self) -> Feature {
        match &self.start {
            ChainStep::Resolve(_) => Feature::Chains,
            ChainStep::Compiled(_) => Feature::DiscoveryChains,
        }
    }
}

/// The features that an entry demands of every proxy: without them something would be open.
pub(crate) fn demanded(entry: &Entry, proxy: &ProxySection) -> Vec<Feature> {
    let Entry::Mesh(mesh) = entry else { return Vec::new() };
    let tls = mesh.said.tls.iter().flat_map(|tls| tls.incoming.iter().chain(&tls.outgoing));
    let is_newest = tls.into_iter().any(|limits| limits.tls_min_version == TlsVersion::Tls13);
    let cleans = mesh.said.http.is_some_and(|http| http.sanitize_x_forwarded_client_cert);
    let has_requests = !proxy.protocol.is_empty() && !proxy.protocol.eq_ignore_ascii_case("tcp");
    let tls = is_newest.then_some(Feature::TlsMinimum);
    tls.into_iter().chain((cleans && has_requests).then_some(Feature::CleanCertificates)).collect()
}

/// Whether a setting says anything.
fn says(settings: &Settings, key: &str) -> bool {
    settings.get(key).is_some_and(|value| !value.is_null() && value != "")
}

fn list(features: &BTreeSet<Feature>) -> impl fmt::Display {
    features.iter().map(|feature| feature.as_str()).collect::<Vec<_>>().join(", ")
}
