//! Registering and deregistering: check the rights, write to disk, change the memory, then answer.
//!
//! A change runs in its own task, so that disk and memory stay consistent even if the caller goes away. Changes run
//! one at a time. The cost of a change depends on what it names, not on the number of registrations.

use concord_acl::{Labelled, Level, Right};
use concord_api::Faults;
use concord_api::definition::{CheckDefinition, CheckOwner, ServiceDefinition};
use concord_model::catalog::CheckStatus;
use concord_model::registration::{CheckSpec, LocalService, Probe};
use concord_model::{CheckId, InstanceId, Secret};
use concord_rpc::{Caller, RpcError};
use concord_runtime::Instant;

use crate::agent::{Agent, localise};
use crate::checks::refused_program;
use crate::config::ScriptChecks;
use crate::limits::{CHECK_NAME_BYTES_MAX, CHECK_NOTES_BYTES_MAX, CHECKS_MAX, SERVICES_MAX};
use crate::local::{Change, CheckRecord, Local, Report, Source};
use crate::persist::{FileChange, KeptVersions};

impl Agent {
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
        let (caller, node, own) = (caller.clone(), self.inner.config.node.clone(), self.own_token(caller));
        let scripts = self.inner.config.script_checks;
        self.write(move |local| {
            may_replace(&caller, local, &registration.service)?;
            if let Some(sidecar) = &registration.sidecar {
                may_replace(&caller, local, sidecar.service())?;
            }
            let sidecars = registration.sidecar.iter().flat_map(|sidecar| &sidecar.service().checks);
            programs_may_run(scripts, registration.service.checks.iter().chain(sidecars))?;
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
        })
        .await
    }

    /// Removes a service with its checks and its sidecar. Needs `service:write`.
    pub async fn deregister_service(&self, caller: &Caller, id: &InstanceId) -> Result<(), RpcError> {
        let (caller, id) = (caller.clone(), id.clone());
        self.write(move |local| {
            let Some(record) = local.services.get(&id) else { return Err(unknown_service(&id)) };
            caller.require_service_write(record.registration.service.service.as_str())?;
            Ok(vec![Change::RemoveService(id)])
        })
        .await
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
        localise(&mut spec, &self.inner.config.node);
        let (caller, agent, own) = (caller.clone(), self.clone(), self.own_token(caller));
        self.write(move |local| {
            if let Some(id) = &spec.service_id {
                let missing = || RpcError::NotFound(format!("ServiceID \"{id}\" does not exist"));
                let service = local.services.get(id).ok_or_else(missing)?;
                spec.service_name = Some(service.registration.service.service.clone());
            }
            agent.may_write_check(&caller, &spec)?;
            if let Some(last) = local.checks.get(&spec.id) {
                agent.may_write_check(&caller, &last.spec)?;
            }
            programs_may_run(agent.inner.config.script_checks, std::iter::once(&spec))?;
            spec.token = spec.token.take().or(own);
            Ok(vec![Change::SetCheck { spec: Box::new(spec), source: Source::Api }])
        })
        .await
    }

    /// Removes a check. Needs the write right to the service or node it belongs to.
    pub async fn deregister_check(&self, caller: &Caller, id: &CheckId) -> Result<(), RpcError> {
        let (caller, id, agent) = (caller.clone(), id.clone(), self.clone());
        self.write(move |local| {
            agent.may_write_check(&caller, &known_check(local, &id)?.spec)?;
            Ok(vec![Change::RemoveCheck(id)])
        })
        .await
    }

    /// Accepts a service's report for a TTL check.
    pub fn report_check(
        &self,
        caller: &Caller,
        id: &CheckId,
        status: CheckStatus,
        output: String,
    ) -> Result<(), RpcError> {
        {
            let mut local = self.inner.local.lock();
            let record = known_check(&local, id)?;
            self.may_write_check(caller, &record.spec)?;
            if !matches!(record.spec.probe, Probe::Ttl(_)) {
                return Err(RpcError::Invalid(format!("CheckID \"{id}\" does not have associated TTL")));
            }
            local.report(id, Report::told(status, output), self.inner.world.clock.now());
        }
        self.inner.told.notify_one();
        self.noticed();
        Ok(())
    }

    /// The caller's token. `None` if it is the agent's default token, because that one may be replaced later.
    pub(crate) fn own_token(&self, caller: &Caller) -> Option<Secret> {
        let config = self.inner.own.now();
        let default = config.tokens.default.as_ref();
        let own = |token: &&Secret| default.is_none_or(|default| !default.matches(token.expose()));
        caller.token.as_ref().filter(own).cloned()
    }

    /// Whether a caller may write the service or node that a check belongs to.
    fn may_write_check(&self, caller: &Caller, spec: &CheckSpec) -> Result<(), RpcError> {
        match &spec.service_name {
            Some(service) => caller.require_service_write(service.as_str()),
            None => {
                caller.require(&Right::named(Labelled::Node, self.inner.config.node.as_str(), Level::Write))
            }
        }
    }

    /// Removes services without checking rights, because the agent decides this itself.
    pub(crate) async fn reap(&self, ids: Vec<InstanceId>) -> Result<(), RpcError> {
        self.write(move |local| {
            let there = ids.into_iter().filter(|id| local.services.contains_key(id));
            Ok(there.map(Change::RemoveService).collect())
        })
        .await
    }

    pub(crate) async fn write<F>(&self, plan: F) -> Result<(), RpcError>
    where
        F: FnOnce(&Local) -> Result<Vec<Change>, RpcError> + Send + 'static,
    {
        let agent = self.clone();
        let task = self.inner.scope.spawn("change registrations", async move { agent.write_now(plan).await });
        task.join().await.map_err(|_| RpcError::ShuttingDown)?
    }

    async fn write_now<F>(self, plan: F) -> Result<(), RpcError>
    where
        F: FnOnce(&Local) -> Result<Vec<Change>, RpcError>,
    {
        let _writing = self.inner.writing.lock().await;
        let now = self.inner.world.clock.now();
        let (changes, files) = {
            let local = self.inner.local.lock();
            let changes = plan(&local)?;
            let files = files_of(&local, &changes, now)?;
            (changes, files)
        };
        if !files.is_empty() {
            self.keep(files).await?;
        }
        {
            // Checks may have reported in the meantime, but registrations change only here.
            let mut local = self.inner.local.lock();
            changes.into_iter().for_each(|change| local.apply(change, now));
        }
        self.inner.told.notify_one();
        self.noticed();
        Ok(())
    }

    async fn keep(&self, files: Vec<FileChange>) -> Result<(), RpcError> {
        let registrations = self.inner.registrations.clone();
        let kept =
            self.inner.scope.spawn_blocking("keep registrations", move || registrations.carry_out(&files));
        let outcome = kept.join().await.map_err(|_| RpcError::ShuttingDown)?;
        outcome.map_err(|error| {
            if error.is_fatal() {
                self.must_end(error.to_string());
            }
            not_kept(error.to_string(), error.is_full())
        })
    }
}

/// The error for a caller whose change could not be stored.
pub(crate) fn not_kept(error: String, full: bool) -> RpcError {
    if !full {
        return RpcError::Internal(error);
    }
    RpcError::ReadOnly(format!(
        "{error}; nothing was changed: free some space below the data directory's file system and try again"
    ))
}

/// The files that the changes affect. They are found by applying the changes to a copy of the part that they concern.
fn files_of(local: &Local, changes: &[Change], now: Instant) -> Result<Vec<FileChange>, RpcError> {
    let mut part = local.part(changes);
    let (services, checks) = (part.services.len(), part.checks.len());
    let before = KeptVersions::of(&part);
    changes.iter().for_each(|change| part.carry_out(change.clone(), now));
    within_bounds(
        local.services.len() + part.services.len() - services,
        local.checks.len() + part.checks.len() - checks,
    )?;
    Ok(before.changes_to(&part))
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
    scripts: ScriptChecks,
    mut specs: impl Iterator<Item = &'a CheckSpec>,
) -> Result<(), RpcError> {
    let refused = refused_program(scripts, Source::Api).filter(|_| specs.any(|spec| spec.probe.is_program()));
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

fn within_bounds(services: usize, checks: usize) -> Result<(), RpcError> {
    if services > SERVICES_MAX {
        return Err(RpcError::Busy(format!(
            "at most {SERVICES_MAX} services can be registered with one agent"
        )));
    }
    if checks > CHECKS_MAX {
        return Err(RpcError::Busy(format!("at most {CHECKS_MAX} checks can be registered with one agent")));
    }
    Ok(())
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
