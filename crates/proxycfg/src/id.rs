//! Which proxy.

use concord_model::catalog::NodeScope;
use concord_model::{InstanceId, Namespace, NodeName};
use serde::{Deserialize, Serialize};

/// Which proxy: the key of its registration, or the name by which one without goes.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct ProxyId {
    /// Where its node is known from.
    #[serde(default)]
    pub scope: NodeScope,
    /// Its node.
    pub node: NodeName,
    /// Its namespace.
    #[serde(default)]
    pub namespace: Namespace,
    /// Its id on the node; of a described proxy [`crate::DescribedProxy::id`].
    pub instance: InstanceId,
}
