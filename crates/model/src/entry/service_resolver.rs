//! `service-resolver`: which instances requests for a service reach.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::load_balancer::LoadBalancer;
use crate::is_default;
use crate::name::serde_text::some_text;
use crate::name::{Datacenter, Namespace, Partition, PeerName, ServiceName};
use crate::time::Timeout;

/// Which instances requests for a service reach.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct ServiceResolver {
    /// The time for a connection. 0 means the default of 5 seconds.
    #[serde(skip_serializing_if = "is_default")]
    pub connect_timeout: Timeout,
    /// The time for a request. 0 means the proxy's default.
    #[serde(skip_serializing_if = "is_default")]
    pub request_timeout: Timeout,
    /// The subset that requests reach that name none.
    #[serde(skip_serializing_if = "is_default")]
    pub default_subset: String,
    /// The subsets, by name.
    #[serde(skip_serializing_if = "is_default")]
    pub subsets: BTreeMap<String, ResolverSubset>,
    /// Another service, which takes the place of this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect: Option<ResolverTarget>,
    /// Where requests go if no instance is healthy: by subset, or `*` for all others.
    #[serde(skip_serializing_if = "is_default")]
    pub failover: BTreeMap<String, ResolverFailover>,
    /// Whether near instances come first. Only its empty form is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prioritize_by_locality: Option<LocalityPriority>,
    /// How requests are distributed to the instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<LoadBalancer>,
}

impl ServiceResolver {
    /// Whether it says nothing, so that it means the same as no resolver.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it has a subset of this name. The empty name stands for all instances.
    pub fn has_subset(&self, name: &str) -> bool {
        name.is_empty() || self.subsets.contains_key(name)
    }
}

/// Some instances of a service.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(default)]
pub struct ResolverSubset {
    /// The expression that selects them; empty for all.
    #[serde(skip_serializing_if = "is_default")]
    pub filter: String,
    /// Whether instances with warnings are left out.
    #[serde(skip_serializing_if = "is_default")]
    pub only_passing: bool,
}

/// Another service, subset, datacenter or cluster: of a redirect, or one of a failover.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct ResolverTarget {
    /// The service. Without it, the same one.
    #[serde(deserialize_with = "some_text", skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// The subset of the service.
    #[serde(skip_serializing_if = "is_default")]
    pub service_subset: String,
    /// The service's namespace. It must not be set.
    #[serde(deserialize_with = "some_text", skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
    /// The service's partition. It must not be set.
    #[serde(deserialize_with = "some_text", skip_serializing_if = "Option::is_none")]
    pub partition: Option<Partition>,
    /// The datacenter.
    #[serde(deserialize_with = "some_text", skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<Datacenter>,
    /// The peered cluster.
    #[serde(deserialize_with = "some_text", skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerName>,
    /// A group of clusters. It must not be set.
    #[serde(skip_serializing_if = "is_default")]
    pub sameness_group: String,
}

/// Where requests go if no instance is healthy.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct ResolverFailover {
    /// The service. Without it, the same one.
    #[serde(deserialize_with = "some_text", skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// The subset of the service.
    #[serde(skip_serializing_if = "is_default")]
    pub service_subset: String,
    /// The service's namespace. It must not be set.
    #[serde(deserialize_with = "some_text", skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
    /// The datacenters, in the order in which they are tried.
    #[serde(skip_serializing_if = "is_default")]
    pub datacenters: Vec<Datacenter>,
    /// The targets, in the order in which they are tried.
    #[serde(skip_serializing_if = "is_default")]
    pub targets: Vec<ResolverTarget>,
    /// How targets are chosen. Only its empty form is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<FailoverPolicy>,
    /// A group of clusters. It must not be set.
    #[serde(skip_serializing_if = "is_default")]
    pub sameness_group: String,
}

/// How targets of a failover are chosen. Consul Enterprise alone has more than one way.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct FailoverPolicy {
    /// The way. It must not be set.
    #[serde(skip_serializing_if = "is_default")]
    pub mode: String,
    /// The regions, in the order in which they are tried. They must not be set.
    #[serde(skip_serializing_if = "is_default")]
    pub regions: Vec<String>,
}

/// Whether near instances come first. Consul Enterprise alone has it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct LocalityPriority {
    /// The way. It must not be set.
    #[serde(skip_serializing_if = "is_default")]
    pub mode: String,
}
