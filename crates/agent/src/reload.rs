//! What of the configuration the agent goes by anew. Services and checks: what is new or changed is registered,
//! what is gone is removed, and what was registered over HTTP stays as it is. The authorities that checks verify their
//! targets by are read anew. The node's metadata go to the catalog.

use std::collections::BTreeMap;

use concord_api::definition::{CheckDefinition, ServiceDefinition};
use concord_rpc::RpcError;
use serde_json::Value;

use crate::agent::{Agent, from_files};

impl Agent {
    /// Goes by these definitions from now on. If one of them is wrong nothing changes.
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

    /// Gives the node other metadata and shows this configuration at `agent/self` from now on.
    pub fn reload_node(&self, meta: BTreeMap<String, String>, debug_config: BTreeMap<String, Value>) {
        self.inner.own.alter(|config| {
            config.meta = meta;
            config.about.debug_config = debug_config;
        });
    }
}
