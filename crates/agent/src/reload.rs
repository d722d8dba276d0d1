//! Applies a new configuration. New or changed services and checks are registered, and removed ones are deregistered.
//! Registrations over HTTP stay as they are. The authorities for check targets are read again. The node's metadata
//! are written to the catalog.

use std::collections::BTreeMap;

use concord_api::definition::{CheckDefinition, ServiceDefinition};
use concord_rpc::RpcError;
use serde_json::Value;

use crate::agent::{Agent, from_files};

impl Agent {
    /// Applies these definitions. If one of them is wrong, nothing changes.
    pub async fn reload_definitions(
        &self,
        services: &[ServiceDefinition],
        checks: &[CheckDefinition],
    ) -> Result<(), RpcError> {
        self.inner.maker.forget_authorities();
        let (agent, services, checks) = (self.clone(), services.to_vec(), checks.to_vec());
        self.write(move |local| {
            from_files(&agent.inner.config, &services, &checks, local)
                .map_err(|error| RpcError::Invalid(error.to_string()))
        })
        .await
    }

    /// Sets the node's metadata and the configuration that `agent/self` shows.
    pub fn reload_node(&self, meta: BTreeMap<String, String>, debug_config: BTreeMap<String, Value>) {
        self.inner.own.alter(|config| {
            config.meta = meta;
            config.about.debug_config = debug_config;
        });
    }
}
