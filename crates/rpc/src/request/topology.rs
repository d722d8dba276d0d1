//! The neighbours of a service.

use concord_mesh::topology::{NeighbourSource, PairDecision};
use concord_model::ServiceRef;
use concord_model::entry::Protocol;
use serde::{Deserialize, Serialize};

use super::health::InstanceHealth;

/// The services that a service calls, and those that call it.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct ReadTopology {
    /// The service.
    pub service: ServiceRef,
    /// What it is.
    pub kind: TopologyKind,
}

/// What a service is whose neighbours are asked for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TopologyKind {
    /// An ordinary service.
    Typical,
    /// An ingress gateway.
    IngressGateway,
    /// An API gateway.
    ApiGateway,
}

/// The neighbours of a service.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Topology {
    /// The protocol by which its traffic is measured.
    pub protocol: Protocol,
    /// Whether all its proxies are in transparent mode.
    pub transparent: bool,
    /// The services that it calls, by name; those without instances come last.
    pub upstreams: Vec<Neighbour>,
    /// The services that call it, by name.
    pub downstreams: Vec<Neighbour>,
}

/// A neighbour of a service.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Neighbour {
    /// The service.
    pub service: ServiceRef,
    /// Why it is a neighbour.
    pub source: NeighbourSource,
    /// What the intentions say about the pair.
    pub decision: PairDecision,
    /// Its instances and proxies, as far as the caller may see them.
    pub instances: Vec<InstanceHealth>,
}
