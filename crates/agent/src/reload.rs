//! Services and checks of the configuration, read again: what is new or changed is registered,
//! what is gone is removed. What was registered over HTTP stays as it is.

use concord_api::definition::{CheckDefinition, ServiceDefinition};
use concord_rpc::RpcError;

use crate::agent::{Agent, from_files};

impl Agent {
    /// Goes by these definitions from now on. If one of them is wrong nothing changes.
    pub async fn reload_definitions(
        &self,
        services: &[ServiceDefinition],
        checks: &[CheckDefinition],
    ) -> Result<(), RpcError> {
        let (agent, services, checks) = (self.clone(), services.to_vec(), checks.to_vec());
        self.write(move |local| {
            from_files(&agent.inner.config, &services, &checks, local)
                .map_err(|error| RpcError::Invalid(error.to_string()))
        })
        .await
    }
}
