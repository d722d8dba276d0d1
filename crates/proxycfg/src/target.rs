//! Targets: where chains lead, with the instances found there.

use std::fmt;

use concord_model::{Datacenter, ServiceRef};
use serde::{Deserialize, Serialize};

use crate::endpoint::Endpoints;

/// The name of a target: what has to be watched for its endpoints.
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
    /// Its instances, good and bad, perhaps none; `None`: it is not known yet where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Endpoints>,
}

impl Target {
    /// A target of whose instances nothing is known yet.
    pub(crate) fn unknown(id: TargetId) -> Self {
        Self { id, endpoints: None }
    }
}
