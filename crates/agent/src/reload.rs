//! Applies a new configuration. New or changed services and checks are registered, and removed ones are deregistered.
//! Registrations over HTTP stay as they are. The authorities for check targets are read again. The node's metadata
//! are written to the catalog.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_config::section::Definitions;
use concord_rpc::RpcError;
use serde_json::Value;

use crate::checks::Maker;
use crate::load::from_files;
use crate::local::Local;
use crate::registry::Registry;
use crate::site::{InForce, Site};

/// Applies a new configuration.
#[derive(Clone, Debug)]
pub struct Reloads {
    pub(crate) site: Site,
    pub(crate) registry: Registry,
    pub(crate) in_force: InForce,
    pub(crate) maker: Arc<Maker>,
}

impl Reloads {
    /// Applies these definitions. If one of them is wrong, nothing changes.
    pub async fn definitions(&self, definitions: &Definitions) -> Result<(), RpcError> {
        self.maker.forget_authorities();
        let (node, definitions) = (self.site.config.node.clone(), definitions.clone());
        let plan = move |local: &Local| {
            from_files(&node, &definitions, local).map_err(|error| RpcError::Invalid(error.to_string()))
        };
        self.registry.change(plan).await
    }

    /// Sets the node's metadata and the configuration that `agent/self` shows.
    pub fn node(&self, meta: BTreeMap<String, String>, debug_config: BTreeMap<String, Value>) {
        self.in_force.alter(|config| {
            config.meta = meta;
            config.about.debug_config = debug_config;
        });
    }
}
