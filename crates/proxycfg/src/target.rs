//! Targets: the services to which chains lead, with their instances.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use concord_model::chain::ChainTarget;
use concord_model::entry::ResolverSubset;
use concord_model::{Datacenter, ServiceRef};
use serde::{Deserialize, Serialize};

use crate::endpoint::{Endpoint, Endpoints};

/// The name of a target, which is what to watch for its endpoints. Cloning is cheap: the parts are shared.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct TargetId(Arc<TargetParts>);

/// What the name of a target says.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct TargetParts {
    /// The service.
    pub service: ServiceRef,
    /// Its datacenter.
    pub datacenter: Datacenter,
    /// Which of its instances; by default all. Subsets with the same filter are the same target, whatever their names.
    #[serde(default, skip_serializing_if = "is_all")]
    pub subset: ResolverSubset,
}

fn is_all(subset: &ResolverSubset) -> bool {
    *subset == ResolverSubset::default()
}

impl Deref for TargetId {
    type Target = TargetParts;
    fn deref(&self) -> &TargetParts {
        &self.0
    }
}

impl TargetId {
    /// The instances of a service that belong to a subset.
    pub fn new(service: ServiceRef, datacenter: Datacenter, subset: ResolverSubset) -> Self {
        Self(Arc::new(TargetParts { service, datacenter, subset }))
    }

    /// All instances of a service.
    pub fn all_of(service: ServiceRef, datacenter: Datacenter) -> Self {
        Self::new(service, datacenter, ResolverSubset::default())
    }

    /// What a target of a discovery chain consists of; `None` if that is in a peered cluster.
    pub fn of_chain(target: &ChainTarget) -> Option<Self> {
        let (service, subset) = (target.service.clone(), target.subset.clone());
        Some(Self::new(service, target.datacenter.clone()?, subset))
    }
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.service, self.datacenter)?;
        match &self.subset {
            subset if is_all(subset) => Ok(()),
            ResolverSubset { filter, only_passing: false } => write!(f, " where {filter}"),
            ResolverSubset { filter, only_passing: true } => write!(f, " where {filter}, passing"),
        }
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
    /// A target with these instances, in any order.
    pub fn new(id: TargetId, endpoints: Vec<Endpoint>) -> Self {
        Self { id, endpoints: Some(Endpoints::from_unordered(endpoints)) }
    }

    /// A target whose instances are not known yet.
    pub(crate) fn unknown(id: TargetId) -> Self {
        Self { id, endpoints: None }
    }
}
