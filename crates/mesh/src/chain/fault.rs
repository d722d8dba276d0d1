//! Why a chain cannot be compiled. The texts begin like Consul's.

use concord_model::entry::Protocol;
use concord_model::{ServiceName, ServiceRef};

/// Why a chain cannot be compiled.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ChainFault {
    /// Two services have different protocols.
    #[error(
        "discovery chain {:?} uses inconsistent protocols; service {:?} has {:?} which is not {:?}; give both the same \
         Protocol in their service-defaults",
        .chain.to_string(), .service.to_string(), .protocol.as_str(), .other.as_str()
    )]
    InconsistentProtocols {
        /// The service whose chain it is.
        chain: ServiceRef,
        /// A service that it reaches.
        service: Box<ServiceRef>,
        /// Its protocol.
        protocol: Protocol,
        /// The protocol of the services before.
        other: Protocol,
    },
    /// Routers and splitters look at requests, and the protocol has none.
    #[error(
        "discovery chain {:?} uses a protocol {:?} that does not permit advanced routing or splitting behavior; set \
         Protocol to http, http2 or grpc in its service-defaults",
        .chain.to_string(), .protocol.as_str()
    )]
    NoRequests {
        /// The service whose chain it is.
        chain: ServiceRef,
        /// Its protocol.
        protocol: Protocol,
    },
    /// A subset that the service does not have.
    #[error(
        "service {:?} does not have a subset named {subset:?}; define it in Subsets of its service-resolver",
        .service.as_str()
    )]
    NoSubset {
        /// The service.
        service: ServiceName,
        /// The subset.
        subset: String,
    },
    /// Redirects that lead back.
    #[error("detected circular resolver redirect: [{}]; remove one of the redirects", .0.join(" -> "))]
    CircularRedirect(Vec<String>),
    /// Splitters that lead back.
    #[error("detected circular reference: [{}]; remove one of the splits", .0.join(" -> "))]
    CircularReference(Vec<String>),
    /// A service outside of the mesh has no redirects, subsets and failovers.
    #[error(
        "service {:?} has an external SNI set; cannot define {what} for external services; remove them, or ExternalSNI \
         of its service-defaults",
        .service.as_str()
    )]
    External {
        /// The service.
        service: ServiceName,
        /// What its resolver defines.
        what: &'static str,
    },
    /// The chain is too large.
    #[error("discovery chain {:?} is too large: it has more than {max} {what}; leave some out", .chain.to_string())]
    TooLarge {
        /// The service whose chain it is.
        chain: ServiceRef,
        /// Of what it has too many.
        what: &'static str,
        /// How many are allowed.
        max: usize,
    },
}
