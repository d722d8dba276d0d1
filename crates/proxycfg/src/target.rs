//! Targets: the services to which chains lead, with their instances.

use std::fmt;

use concord_model::{Datacenter, ServiceRef};
use serde::{Deserialize, Serialize};

use crate::endpoint::Endpoints;

/// The name of a target, which is what to watch for its endpoints.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct TargetId {
    /// The service.
    pub service: ServiceRef,
    /// Its datacenter.
    pub datacenter: Datacenter,
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.service, self.datacenter)
    }
}

/// A target. All chains that name it share it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Target {
    /// Its name.
    pub id: TargetId,
    /// Its instances, whatever their health; there may be none. `None`: they are not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Endpoints>,
}

impl Target {
    /// A target whose instances are not known yet.
    pub(crate) fn unknown(id: TargetId) -> Self {
        Self { id, endpoints: None }
    }
}
