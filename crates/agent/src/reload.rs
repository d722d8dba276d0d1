//! Services and checks of the configuration, read again: what is new or changed is registered,
//! what is gone is removed. What was registered over HTTP stays as it is.

use concord_api::definition::{CheckDefinition, ServiceDefinition};
use concord_rpc::RpcError;

use crate::agent::{Agent, from_files};
use crate::config::AgentConfig;
use crate::local::{Change, Source};

impl Agent {
    /// Goes by these definitions from now on. If one of them is wrong nothing changes.
    pub async fn reload_definitions(
        &self,
        services: &[ServiceDefinition],
        checks: &[CheckDefinition],
    ) -> Result<(), RpcError> {
        let config =
            AgentConfig { services: services.to_vec(), checks: checks.to_vec(), ..self.inner.config.clone() };
        self.write(move |local| {
            let wanted = from_files(&config, local).map_err(|error| RpcError::Invalid(error.to_string()))?;
            let named = |change: &Change| match change {
                Change::SetService { registration, .. } => Some(registration.service.id.clone()),
                Change::SetCheck { .. } | Change::RemoveService(_) | Change::RemoveCheck(_) => None,
            };
            let kept: Vec<_> = wanted.iter().filter_map(named).collect();
            let specs: Vec<_> = wanted
                .iter()
                .filter_map(|change| match change {
                    Change::SetCheck { spec, .. } => Some(spec.id.clone()),
                    Change::SetService { .. } | Change::RemoveService(_) | Change::RemoveCheck(_) => None,
                })
                .collect();
            let services_gone = local
                .services
                .iter()
                .filter(|(id, record)| record.source == Source::File && !kept.contains(id))
                .map(|(id, _)| Change::RemoveService(id.clone()));
            let checks_gone = local
                .checks
                .iter()
                .filter(|(id, record)| {
                    record.source == Source::File && record.spec.service_id.is_none() && !specs.contains(id)
                })
                .map(|(id, _)| Change::RemoveCheck(id.clone()));
            Ok(services_gone.chain(checks_gone).chain(wanted.iter().cloned()).collect())
        })
        .await
    }
}
