//! How a proxy learns what to do: a full snapshot first, then whatever section changes (D15).

use concord_model::ca::LeafCertificate;
use concord_model::{InstanceId, NodeName, Secret};
use concord_proxycfg::{ProxySnapshot, SectionUpdate};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::error::RpcError;

/// Which proxy: a registered one, or what a process without a registration asks to be.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ProxyTarget {
    /// The node it is registered on; `None`: that of the agent asked.
    #[serde(default)]
    pub node: Option<NodeName>,
    /// The proxy's service id there.
    pub proxy: InstanceId,
}

/// One message of the stream.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotEvent {
    /// Everything, first and after each break.
    Full(Box<ProxySnapshot>),
    /// One section, replaced.
    Section(SectionUpdate),
}

/// A stream of snapshots; ends with its first error.
pub type SnapshotStream = BoxStream<'static, Result<SnapshotEvent, RpcError>>;

/// Where proxies get their snapshots and certificates from.
///
/// Both need `service:write` on the service the proxy stands before, checked at attach, again
/// whenever the token or its policies change, and at each signature.
pub trait SnapshotSource: Send + Sync + 'static {
    /// Begins a stream of snapshots for a proxy.
    fn attach(
        &self,
        proxy: ProxyTarget,
        token: Option<Secret>,
    ) -> BoxFuture<'_, Result<SnapshotStream, RpcError>>;

    /// Signs a leaf for the service the proxy stands before; the key stays with the caller.
    fn sign_leaf(
        &self,
        proxy: ProxyTarget,
        token: Option<Secret>,
        csr_pem: String,
    ) -> BoxFuture<'_, Result<LeafCertificate, RpcError>>;
}
