//! `exported-services`: the services that peered clusters may use.

use serde::{Deserialize, Serialize};

use crate::is_default;
use crate::name::serde_text::{some_text, text_or_default};
use crate::name::{Namespace, Partition, Pattern, PeerName, ServiceName};

/// The exports of a partition.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct ExportedServices {
    /// The services.
    #[serde(skip_serializing_if = "is_default")]
    pub services: Vec<ExportedService>,
}

/// A service and who may use it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct ExportedService {
    /// The service, or `*` for all. Required.
    #[serde(deserialize_with = "some_text")]
    pub name: Option<Pattern<ServiceName>>,
    /// The service's namespace.
    #[serde(deserialize_with = "text_or_default", skip_serializing_if = "Namespace::is_default")]
    pub namespace: Namespace,
    /// Who may use it.
    #[serde(skip_serializing_if = "is_default")]
    pub consumers: Vec<ServiceConsumer>,
}

/// Who may use a service.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct ServiceConsumer {
    /// A partition.
    #[serde(deserialize_with = "text_or_default", skip_serializing_if = "Partition::is_default")]
    pub partition: Partition,
    /// A peered cluster.
    #[serde(alias = "peer_name", deserialize_with = "some_text", skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerName>,
    /// A sameness group: a feature of Consul Enterprise, so no entry has one.
    #[serde(skip_serializing_if = "is_default")]
    pub sameness_group: String,
}
