//! SPIFFE identities: the holders of certificates.
//!
//! The grammar is that of the SPIFFE-ID specification, read strictly: the scheme and the trust domain are lower case;
//! there is no port, user, query, fragment or percent-encoding; path segments consist of letters, digits, `.`, `_` and
//! `-`, and none is empty, `.` or `..`; the whole has at most 2048 bytes. The paths are those of Consul's mesh. (Consul
//! decodes percent-encoding; the specification forbids it.)

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::name::{Datacenter, NameError, Namespace, NodeName, Partition, ServiceName, ServiceRef};

/// Maximum length of a SPIFFE id, in bytes (SPIFFE-ID §2.3).
pub const SPIFFE_ID_BYTES_MAX: usize = 2048;
/// Maximum length of a trust domain, in bytes (SPIFFE-ID §2.3).
pub const TRUST_DOMAIN_BYTES_MAX: usize = 255;

/// Why a text is not an identity of this mesh.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SpiffeError {
    /// More than [`SPIFFE_ID_BYTES_MAX`] bytes.
    #[error("SPIFFE id is longer than 2048 bytes")]
    TooLong,
    /// The scheme is not exactly `spiffe`.
    #[error("SPIFFE id must start with \"spiffe://\"")]
    Scheme,
    /// The trust domain is empty, too long or contains other characters than `a-z 0-9 . - _`.
    #[error(
        "SPIFFE id has an invalid trust domain: lower-case letters, digits, \".\", \"-\" and \"_\" are allowed, at most 255"
    )]
    TrustDomain,
    /// A path segment is empty, `.` or `..`, or the path ends with a slash.
    #[error("SPIFFE id has an empty or relative path segment")]
    Segment,
    /// A character that the path does not allow. This includes percent-encoding, a query and a fragment.
    #[error("SPIFFE id contains {0:?}, which is not allowed in its path")]
    Character(char),
    /// A valid SPIFFE id with a path that the mesh does not use.
    #[error("SPIFFE id has a path that is not one of a service, agent, server, mesh gateway or trust domain")]
    UnknownPath,
    /// A component is not a valid name.
    #[error("SPIFFE id: {0}")]
    Name(#[from] NameError),
}

/// The name of a trust domain: the host part of all SPIFFE ids that its roots issue.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TrustDomain(std::sync::Arc<str>);

impl TrustDomain {
    /// Reads a trust domain. Only lower case is accepted.
    pub fn parse(text: &str) -> Result<Self, SpiffeError> {
        let ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
        if text.is_empty() || text.len() > TRUST_DOMAIN_BYTES_MAX || !text.bytes().all(ok) {
            return Err(SpiffeError::TrustDomain);
        }
        Ok(Self(text.into()))
    }

    /// The trust domain of a cluster: `<cluster id>.consul`. It does not depend on the configured DNS domain.
    pub fn of_cluster(cluster_id: crate::Uuid) -> Self {
        Self(format!("{cluster_id}.consul").into())
    }

    /// The trust domain as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl Serialize for TrustDomain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TrustDomain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// The identity of a service's instances, as in the SAN of a leaf.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServiceIdentity {
    /// The trust domain whose roots issue its certificates.
    pub trust_domain: TrustDomain,
    /// The admin partition.
    pub partition: Partition,
    /// The namespace.
    pub namespace: Namespace,
    /// The datacenter of the service.
    pub datacenter: Datacenter,
    /// The service.
    pub service: ServiceName,
}

impl ServiceIdentity {
    /// Builds an identity. Refuses names with characters that a SPIFFE path does not allow.
    pub fn try_new(
        trust_domain: TrustDomain,
        partition: Partition,
        namespace: Namespace,
        datacenter: Datacenter,
        service: ServiceName,
    ) -> Result<Self, SpiffeError> {
        check_segment(service.as_str())?;
        Ok(Self { trust_domain, partition, namespace, datacenter, service })
    }

    /// The service as an intention names it. Trust domain and datacenter are omitted; the handshake has checked them.
    pub fn service_ref(&self) -> ServiceRef {
        ServiceRef {
            partition: self.partition.clone(),
            namespace: self.namespace.clone(),
            peer: None,
            name: self.service.clone(),
        }
    }
}

impl fmt::Display for ServiceIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}", self.trust_domain)?;
        write_partition(f, &self.partition)?;
        write!(f, "/ns/{}/dc/{}/svc/{}", self.namespace, self.datacenter, self.service)
    }
}

/// Any identity of the mesh.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum SpiffeId {
    /// A service: `/[ap/<partition>/]ns/<namespace>/dc/<datacenter>/svc/<service>`.
    Service(ServiceIdentity),
    /// A client agent: `/[ap/<partition>/]agent/client/dc/<datacenter>/id/<node>`.
    Agent {
        /// The trust domain.
        trust_domain: TrustDomain,
        /// The admin partition.
        partition: Partition,
        /// The agent's datacenter.
        datacenter: Datacenter,
        /// The agent's node.
        node: NodeName,
    },
    /// A server: `/agent/server/dc/<datacenter>`.
    Server {
        /// The trust domain.
        trust_domain: TrustDomain,
        /// The servers' datacenter.
        datacenter: Datacenter,
    },
    /// A mesh gateway: `/[ap/<partition>/]gateway/mesh/dc/<datacenter>`.
    MeshGateway {
        /// The trust domain.
        trust_domain: TrustDomain,
        /// The admin partition.
        partition: Partition,
        /// The gateway's datacenter.
        datacenter: Datacenter,
    },
    /// A certificate authority: the trust domain itself, without a path.
    Signing(TrustDomain),
}

impl SpiffeId {
    /// Reads an identity strictly.
    pub fn parse(text: &str) -> Result<Self, SpiffeError> {
        if text.len() > SPIFFE_ID_BYTES_MAX {
            return Err(SpiffeError::TooLong);
        }
        let rest = text.strip_prefix("spiffe://").ok_or(SpiffeError::Scheme)?;
        let (host, path) = match rest.split_once('/') {
            Some((host, path)) => (host, Some(path)),
            None => (rest, None),
        };
        let trust_domain = TrustDomain::parse(host)?;
        let Some(path) = path else {
            return Ok(Self::Signing(trust_domain));
        };
        let segments: Vec<&str> = path.split('/').collect();
        for segment in &segments {
            check_segment(segment)?;
        }
        let (partition, segments) = match segments.as_slice() {
            ["ap", partition, rest @ ..] => (Partition::parse(partition)?, rest),
            all => (Partition::default(), all),
        };
        match *segments {
            ["ns", namespace, "dc", datacenter, "svc", service] => Ok(Self::Service(ServiceIdentity {
                trust_domain,
                partition,
                namespace: Namespace::parse(namespace)?,
                datacenter: Datacenter::parse(datacenter)?,
                service: ServiceName::parse(service)?,
            })),
            ["agent", "client", "dc", datacenter, "id", node] => Ok(Self::Agent {
                trust_domain,
                partition,
                datacenter: Datacenter::parse(datacenter)?,
                node: NodeName::parse(node)?,
            }),
            ["agent", "server", "dc", datacenter] if partition.is_default() => {
                Ok(Self::Server { trust_domain, datacenter: Datacenter::parse(datacenter)? })
            }
            ["gateway", "mesh", "dc", datacenter] => {
                Ok(Self::MeshGateway { trust_domain, partition, datacenter: Datacenter::parse(datacenter)? })
            }
            _ => Err(SpiffeError::UnknownPath),
        }
    }

    /// The trust domain of the identity.
    pub fn trust_domain(&self) -> &TrustDomain {
        match self {
            Self::Service(identity) => &identity.trust_domain,
            Self::Agent { trust_domain, .. }
            | Self::Server { trust_domain, .. }
            | Self::MeshGateway { trust_domain, .. }
            | Self::Signing(trust_domain) => trust_domain,
        }
    }

    /// The service identity, if it is one.
    pub fn service(&self) -> Option<&ServiceIdentity> {
        match self {
            Self::Service(identity) => Some(identity),
            Self::Agent { .. } | Self::Server { .. } | Self::MeshGateway { .. } | Self::Signing(_) => None,
        }
    }

    /// The kind of holder, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Service(_) => "service",
            Self::Agent { .. } => "agent",
            Self::Server { .. } => "server",
            Self::MeshGateway { .. } => "mesh gateway",
            Self::Signing(_) => "certificate authority",
        }
    }
}

impl From<ServiceIdentity> for SpiffeId {
    fn from(identity: ServiceIdentity) -> Self {
        Self::Service(identity)
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(identity) => fmt::Display::fmt(identity, f),
            Self::Agent { trust_domain, partition, datacenter, node } => {
                write!(f, "spiffe://{trust_domain}")?;
                write_partition(f, partition)?;
                write!(f, "/agent/client/dc/{datacenter}/id/{node}")
            }
            Self::Server { trust_domain, datacenter } => {
                write!(f, "spiffe://{trust_domain}/agent/server/dc/{datacenter}")
            }
            Self::MeshGateway { trust_domain, partition, datacenter } => {
                write!(f, "spiffe://{trust_domain}")?;
                write_partition(f, partition)?;
                write!(f, "/gateway/mesh/dc/{datacenter}")
            }
            Self::Signing(trust_domain) => write!(f, "spiffe://{trust_domain}"),
        }
    }
}

impl Serialize for SpiffeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SpiffeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// The default partition is omitted, as in Consul's community edition.
fn write_partition(f: &mut fmt::Formatter<'_>, partition: &Partition) -> fmt::Result {
    if partition.is_default() { Ok(()) } else { write!(f, "/ap/{partition}") }
}

fn check_segment(segment: &str) -> Result<(), SpiffeError> {
    if matches!(segment, "" | "." | "..") {
        return Err(SpiffeError::Segment);
    }
    let ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    segment.chars().find(|c| !ok(*c)).map_or(Ok(()), |c| Err(SpiffeError::Character(c)))
}

#[cfg(test)]
mod tests;
