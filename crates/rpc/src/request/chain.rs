//! Discovery chains.

use concord_mesh::chain::Overrides;
use concord_model::{Datacenter, ServiceRef};
use serde::{Deserialize, Serialize};

/// Where the requests for a service go.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct ReadChain {
    /// The service.
    pub service: ServiceRef,
    /// The datacenter of whoever sends the requests; `None` for that of the servers.
    #[serde(default)]
    pub datacenter: Option<Datacenter>,
    /// What whoever sends them wants otherwise than the entries say.
    #[serde(default)]
    pub overrides: Overrides,
}
