//! A validated definition: a service and its sidecar.

use concord_model::InstanceId;
use concord_model::registration::LocalService;

use super::field;
use super::service::ServiceDefinition;
use super::sidecar::{self, Sidecar};
use crate::fault::{Fault, Faults};

/// A validated definition: a service and possibly its sidecar, whose port may still be open.
#[derive(Clone, Debug)]
pub struct LocalRegistration {
    /// The service.
    pub service: LocalService,
    /// Its sidecar.
    pub sidecar: Option<Sidecar>,
}

impl LocalRegistration {
    /// The services to register, the parent first. If the sidecar has no port, `pick` returns one: the sidecar's
    /// current port, or a free one.
    pub fn expand(
        self,
        pick: impl FnOnce(&InstanceId) -> Option<u16>,
    ) -> Result<(LocalService, Option<LocalService>), Faults> {
        match self.sidecar {
            Some(sidecar) => Ok((self.service, Some(sidecar.place(pick)?))),
            None => Ok((self.service, None)),
        }
    }
}

impl ServiceDefinition {
    /// Validates the definition, its checks and its sidecar, and applies defaults.
    pub fn resolve(&self) -> Result<LocalRegistration, Faults> {
        if self.name.is_empty() {
            return Err(Faults::one(Fault::rule("Name", "Missing service name")));
        }
        if field::is_any_address(&self.address) {
            return Err(Faults::one(Fault::rule("Address", "Invalid service address")));
        }
        let service = self.resolve_service(None)?;
        let sidecar = match self.sidecar() {
            Some(definition) => Some(sidecar::resolve(definition, &service)?),
            None => None,
        };
        Ok(LocalRegistration { service, sidecar })
    }
}

/// Validates a definition and expands it: the service, then its sidecar if it has one.
pub fn expand_sidecar(
    definition: &ServiceDefinition,
    pick: impl FnOnce(&InstanceId) -> Option<u16>,
) -> Result<Vec<LocalService>, Faults> {
    let (service, sidecar) = definition.resolve()?.expand(pick)?;
    Ok(std::iter::once(service).chain(sidecar).collect())
}
