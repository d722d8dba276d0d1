//! What becomes of a snapshot: resources, and what has none.

use concord_model::sni::SniError;
use concord_proxycfg::{ListenerId, MixedSections, Refusal, UpstreamId};

use super::given::Fault;
use super::header::HeaderFault;
use crate::access_log::FormatFault;
use crate::resource::ResourceSet;

/// What an Envoy is configured with, and what it cannot be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Configuration {
    /// The resources.
    pub resources: ResourceSet,
    /// What has no resource. Its connections are refused.
    pub unserved: Vec<Unserved>,
}

/// A part of the snapshot for which Envoy gets no resource, or another one than it says.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unserved {
    /// An upstream that nobody could serve.
    #[error("upstream {upstream}: {refusal}")]
    Refused {
        /// The upstream.
        upstream: UpstreamId,
        /// Why.
        refusal: Refusal,
    },
    /// What an operator has written in place of a listener or cluster cannot be used.
    #[error("{of}: config key {key:?}: {fault}")]
    Given {
        /// Whose listener or cluster it is.
        of: ListenerId,
        /// The key.
        key: &'static str,
        /// Why.
        fault: Fault,
    },
    /// What an operator has written for an upstream counts only while no entry says where its requests go.
    #[error("upstream {upstream}: config key {key:?} has no effect: entries say where its requests go")]
    PassedOver {
        /// The upstream.
        upstream: UpstreamId,
        /// The key.
        key: &'static str,
    },
    /// A change of a header that Envoy would not make. All else of the entry counts.
    #[error("upstream {upstream}: {at}: {field} of {header:?} is left out: {fault}")]
    Header {
        /// The upstream.
        upstream: UpstreamId,
        /// What says so: fields of entries.
        at: String,
        /// The list within them.
        field: String,
        /// The header.
        header: String,
        /// Why.
        fault: HeaderFault,
    },
    /// An exposed path that leads nowhere. The others are served.
    #[error("Proxy.Expose.Paths: {path:?} is not served: {lacks}")]
    Exposed {
        /// The path.
        path: String,
        /// What would have to be there.
        lacks: &'static str,
    },
    /// The chain of an upstream is not one that entries make.
    #[error("upstream {upstream}: it has no discovery chain")]
    NoChain {
        /// The upstream.
        upstream: UpstreamId,
    },
    /// A target of an upstream is in a peered cluster. It has no instances.
    #[error("upstream {upstream}: not available yet: target {target} in a peered cluster")]
    Peer {
        /// The upstream.
        upstream: UpstreamId,
        /// The target.
        target: String,
    },
    /// An upstream has no server name.
    #[error("upstream {upstream}: {error}")]
    Name {
        /// The upstream.
        upstream: UpstreamId,
        /// Why.
        error: SniError,
    },
    /// The keys of an issuer of tokens cannot be found.
    #[error(
        "jwt-provider {provider:?}: JSONWebKeySet names no keys, server or authority that Envoy can be given"
    )]
    Keys {
        /// The issuer's entry.
        provider: String,
    },
    /// The server of an issuer's keys cannot be found in the way that the entry says.
    #[error(
        "not available yet: jwt-provider {provider:?} with DiscoveryType EDS or ORIGINAL_DST; use STRICT_DNS, LOGICAL_DNS or STATIC"
    )]
    KeyServer {
        /// The issuer's entry.
        provider: String,
    },
    /// The access logs cannot be written.
    #[error("AccessLogs of proxy-defaults: {0}; nothing is logged")]
    AccessLogs(FormatFault),
    /// An instance is not at an IP address.
    #[error("{target}: instance {instance} is at {address:?}, which is no IP address")]
    Address {
        /// The target.
        target: String,
        /// The instance.
        instance: String,
        /// Where it says that it is.
        address: String,
    },
}

/// Why a snapshot cannot be carried out by Envoy at all.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unsupported {
    /// Not all sections of a version are here.
    #[error(transparent)]
    Mixed(#[from] MixedSections),
    /// There is no certificate for the proxy.
    #[error("the snapshot has no certificate; Envoy does not make its own key")]
    NoLeaf,
    /// The proxy's service can have no certificate.
    #[error("{0}")]
    Identity(String),
    /// A setting is no time.
    #[error("config key {key:?} must be a whole number of milliseconds, at most a day's")]
    Milliseconds {
        /// The key.
        key: &'static str,
    },
}
