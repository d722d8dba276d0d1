//! Registering and deregistering: check the rights, then change the registry.

use concord_acl::{Labelled, Level, Right};
use concord_api::Faults;
use concord_api::definition::{CheckDefinition, CheckOwner, ServiceDefinition};
use concord_config::section::CheckSection;
use concord_model::catalog::CheckStatus;
use concord_model::registration::{CheckSpec, LocalService, Probe};
use concord_model::{CheckId, InstanceId, NodeName};
use concord_rpc::{Caller, RpcError};

use crate::checks::refused_program;
use crate::limits::{CHECK_NAME_BYTES_MAX, CHECK_NOTES_BYTES_MAX, MERGE_WAIT};
use crate::load::localise;
use crate::local::{Change, CheckRecord, Local, LocalState, Report, Source};
use crate::registry::Registry;
use crate::site::Site;

/// Registers and deregisters services and checks for callers who may, and accepts their reports.
#[derive(Clone, Debug)]
pub struct Registrar {
    pub(crate) site: Site,
    pub(crate) registry: Registry,
    pub(crate) local: LocalState,
}

impl Registrar {
    /// Registers a service, with its sidecar if it defines one. Needs `service:write` on every service name involved,
    /// also on that of a replaced service. The registration is durable on return.
    pub async fn register_service(
        &self,
        caller: &Caller,
        definition: &ServiceDefinition,
        replace_existing_checks: bool,
    ) -> Result<(), RpcError> {
        let registration = definition.resolve().map_err(refused)?;
        check_specs(registration.service.checks.iter())?;
        let (caller, node, own) =
            (caller.clone(), self.site.config.node.clone(), self.site.own_token(caller));
        let checks = self.site.config.check_settings;
        let sidecar = registration.sidecar.iter().map(|sidecar| sidecar.service());
        let all = std::iter::once(&registration.service).chain(sidecar);
        let ids: Vec<InstanceId> = all.map(|service| service.service.id.clone()).collect();
        let plan = move |local: &Local| {
            may_replace(&caller, local, &registration.service)?;
            if let Some(sidecar) = &registration.sidecar {
                may_replace(&caller, local, sidecar.service())?;
            }
            let sidecars = registration.sidecar.iter().flat_map(|sidecar| &sidecar.service().checks);
            programs_may_run(checks, registration.service.checks.iter().chain(sidecars))?;
            let (service, sidecar) = registration.expand(|id| local.ports().pick(id)).map_err(refused)?;
            let change = |mut registration: LocalService| {
                registration.checks.iter_mut().for_each(|spec| localise(spec, &node));
                // A service without a token of its own is written to the catalog with its registrar's token.
                registration.token = registration.token.or_else(|| own.clone());
                Change::SetService {
                    registration: Box::new(registration),
                    source: Source::Api,
                    replace_checks: replace_existing_checks,
                }
            };
            Ok(std::iter::once(service).chain(sidecar).map(change).collect())
        };
        self.registry.change(plan).await?;
        self.await_entries(&ids).await;
        Ok(())
    }

    /// Waits until these services are merged with the configuration entries, or for as long as a registration may take.
    async fn await_entries(&self, ids: &[InstanceId]) {
        let until = self.site.world.clock.now() + MERGE_WAIT;
        let mut changes = self.local.changes();
        loop {
            changes.mark_unchanged();
            if !ids.iter().any(|id| self.local.is_awaiting_entries(id)) {
                return;
            }
            tokio::select! {
                biased;
                () = self.site.scope.cancelled() => return,
                _ = changes.changed() => {}
                () = self.site.world.clock.sleep_until(until) => return,
            }
        }
    }

    /// Removes a service with its checks and its sidecar. Needs `service:write`.
    pub async fn deregister_service(&self, caller: &Caller, id: &InstanceId) -> Result<(), RpcError> {
        let (caller, id) = (caller.clone(), id.clone());
        let plan = move |local: &Local| {
            let Some(record) = local.services.get(&id) else { return Err(unknown_service(&id)) };
            caller.require_service_write(record.registration.service.service.as_str())?;
            Ok(vec![Change::RemoveService(id)])
        };
        self.registry.change(plan).await
    }

    /// Registers a separate check, for the node or for a registered service. Needs `service:write` on that service,
    /// or `node:write`.
    pub async fn register_check(
        &self,
        caller: &Caller,
        definition: &CheckDefinition,
    ) -> Result<(), RpcError> {
        let mut spec = definition.resolve(CheckOwner::Itself).map_err(refused)?;
        check_specs(std::iter::once(&spec))?;
        localise(&mut spec, &self.site.config.node);
        let (caller, node, own) =
            (caller.clone(), self.site.config.node.clone(), self.site.own_token(caller));
        let checks = self.site.config.check_settings;
        let plan = move |local: &Local| {
            if let Some(id) = &spec.service_id {
                let missing = || RpcError::NotFound(format!("ServiceID \"{id}\" does not exist"));
                let service = local.services.get(id).ok_or_else(missing)?;
                spec.service_name = Some(service.registration.service.service.clone());
            }
            may_write_check(&caller, &node, &spec)?;
            if let Some(last) = local.checks.get(&spec.id) {
                may_write_check(&caller, &node, &last.spec)?;
            }
            programs_may_run(checks, std::iter::once(&spec))?;
            spec.token = spec.token.take().or(own);
            Ok(vec![Change::SetCheck { spec: Box::new(spec), source: Source::Api }])
        };
        self.registry.change(plan).await
    }

    /// Removes a check. Needs the write right to the service or node it belongs to.
    pub async fn deregister_check(&self, caller: &Caller, id: &CheckId) -> Result<(), RpcError> {
        let (caller, id, node) = (caller.clone(), id.clone(), self.site.config.node.clone());
        let plan = move |local: &Local| {
            may_write_check(&caller, &node, &known_check(local, &id)?.spec)?;
            Ok(vec![Change::RemoveCheck(id)])
        };
        self.registry.change(plan).await
    }

    /// Accepts a service's report for a TTL check.
    pub fn report_check(
        &self,
        caller: &Caller,
        id: &CheckId,
        status: CheckStatus,
        output: String,
    ) -> Result<(), RpcError> {
        self.local.edit(|local| {
            let record = known_check(local, id)?;
            may_write_check(caller, &self.site.config.node, &record.spec)?;
            if !matches!(record.spec.probe, Probe::Ttl(_)) {
                return Err(RpcError::Invalid(format!("CheckID \"{id}\" does not have associated TTL")));
            }
            local.report(id, Report::told(status, output), self.site.world.clock.now());
            Ok(())
        })
    }
}

/// Whether a caller may write the service or node that a check belongs to.
fn may_write_check(caller: &Caller, node: &NodeName, spec: &CheckSpec) -> Result<(), RpcError> {
    match &spec.service_name {
        Some(service) => caller.require_service_write(service.as_str()),
        None => caller.require(&Right::named(Labelled::Node, node.as_str(), Level::Write)),
    }
}

/// Whether a caller may replace the existing service by this one.
fn may_replace(caller: &Caller, local: &Local, new: &LocalService) -> Result<(), RpcError> {
    caller.require_service_write(new.service.service.as_str())?;
    if let Some(old) = local.services.get(&new.service.id) {
        caller.require_service_write(old.registration.service.service.as_str())?;
    }
    // A check with that id may belong to another service.
    for spec in &new.checks {
        let Some(old) = local.checks.get(&spec.id) else { continue };
        match &old.spec.service_name {
            Some(service) => caller.require_service_write(service.as_str())?,
            None => {
                return Err(RpcError::Invalid(format!(
                    "CheckID \"{}\" is that of a check of the node; choose another",
                    spec.id
                )));
            }
        }
    }
    Ok(())
}

/// Whether the programs in checks may run if the checks are registered over the API.
fn programs_may_run<'a>(
    checks: CheckSection,
    mut specs: impl Iterator<Item = &'a CheckSpec>,
) -> Result<(), RpcError> {
    let refused = refused_program(checks, Source::Api).filter(|_| specs.any(|spec| spec.probe.is_program()));
    refused.map_or(Ok(()), |why| Err(RpcError::Rejected(why.to_owned())))
}

fn known_check<'a>(local: &'a Local, id: &CheckId) -> Result<&'a CheckRecord, RpcError> {
    let unknown = || {
        RpcError::NotFound(format!(
            "Unknown check ID \"{id}\". Ensure that the check ID is passed, not the check name."
        ))
    };
    local.checks.get(id).ok_or_else(unknown)
}

pub(crate) fn unknown_service(id: &InstanceId) -> RpcError {
    RpcError::NotFound(format!(
        "Unknown service ID \"{id}\". Ensure that the service ID is passed, not the service name."
    ))
}

fn check_specs<'a>(mut specs: impl Iterator<Item = &'a CheckSpec>) -> Result<(), RpcError> {
    specs.try_for_each(|spec| {
        if spec.name.len() > CHECK_NAME_BYTES_MAX {
            return Err(RpcError::Invalid(format!(
                "Name: at most {CHECK_NAME_BYTES_MAX} bytes are allowed in the name of a check"
            )));
        }
        if spec.notes.len() > CHECK_NOTES_BYTES_MAX {
            return Err(RpcError::Invalid(format!(
                "Notes: at most {CHECK_NOTES_BYTES_MAX} bytes are allowed in the notes of a check"
            )));
        }
        Ok(())
    })
}

/// The errors of a definition as one error.
fn refused(faults: Faults) -> RpcError {
    if faults.status() == 501 {
        let whats = faults.faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let what = whats.strip_prefix("not available yet: ").unwrap_or(&whats);
        return RpcError::NotAvailable(what.to_owned());
    }
    RpcError::Invalid(faults.to_string())
}
