//! The ids of proxies and upstreams.

use std::fmt;
use std::sync::Arc;

use concord_model::catalog::NodeScope;
use concord_model::proxy::Upstream;
use concord_model::{InstanceId, Namespace, NodeName};
use serde::{Deserialize, Serialize};

/// The id of a proxy: the key of its registration, or the name of an unregistered one.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct ProxyId {
    /// The scope of its node.
    #[serde(default)]
    pub scope: NodeScope,
    /// Its node.
    pub node: NodeName,
    /// Its namespace.
    #[serde(default)]
    pub namespace: Namespace,
    /// Its id on the node; for a described proxy [`crate::DescribedProxy::id`].
    pub instance: InstanceId,
}

/// The name of an upstream within its proxy, from [`Upstream::id`].
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct UpstreamId(Arc<str>);

impl UpstreamId {
    /// The name of a registered upstream.
    pub fn of(upstream: &Upstream) -> Self {
        Self(upstream.id().into())
    }

    /// The name as text: `name`, `name?dc=<dc>`, `name?peer=<peer>`, `prepared_query:<name>`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UpstreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
