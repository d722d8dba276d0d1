//! Gateways and what they serve, and the services that peered clusters may use.

use std::collections::BTreeSet;

use concord_mesh::gateway::GatewayService;
use concord_model::{PeerName, ServiceRef};
use serde::{Deserialize, Serialize};

use super::health::InstanceHealth;

/// The services that a gateway serves.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct ListGatewayServices {
    /// The gateway.
    pub gateway: ServiceRef,
}

/// The same with the instances of the services.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct GatewayServiceHealth {
    /// The gateway.
    pub gateway: ServiceRef,
}

/// A service that a gateway serves, with its instances.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ServedInstances {
    /// The service, and how the gateway serves it.
    pub served: GatewayService,
    /// Its instances.
    pub instances: Vec<InstanceHealth>,
}

/// The intentions for the services that a gateway serves.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct GatewayIntentions {
    /// The gateway.
    pub gateway: ServiceRef,
}

/// The services that peered clusters may use.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct ListExports {}

/// A service that peered clusters may use.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Export {
    /// The service.
    pub service: ServiceRef,
    /// The clusters.
    pub peers: BTreeSet<PeerName>,
}
