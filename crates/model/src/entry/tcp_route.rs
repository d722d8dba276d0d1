//! `tcp-route`: which service connections at an API gateway reach.

use serde::{Deserialize, Serialize};

use super::http_route::to_gateways;
use super::status::{Reference, Status};
use crate::is_default;
use crate::name::serde_text::{some_text, text_or_default};
use crate::name::{Namespace, Partition, ServiceName};

/// A route for connections.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct TcpRoute {
    /// The gateways that use it.
    #[serde(deserialize_with = "to_gateways")]
    pub parents: Vec<Reference>,
    /// The service. At most one.
    pub services: Vec<TcpRouteService>,
    /// What the servers say of it.
    pub status: Status,
}

/// The service that connections reach.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct TcpRouteService {
    /// The service. Required.
    #[serde(deserialize_with = "some_text")]
    pub name: Option<ServiceName>,
    /// The service's partition.
    #[serde(deserialize_with = "text_or_default", skip_serializing_if = "is_default")]
    pub partition: Partition,
    /// The service's namespace.
    #[serde(deserialize_with = "text_or_default", skip_serializing_if = "is_default")]
    pub namespace: Namespace,
}
