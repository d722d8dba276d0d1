//! Changes of registrations: write to disk, change the memory, then answer.
//!
//! A change runs in its own task, so that disk and memory stay consistent even if the caller goes away. Changes run
//! one at a time. The cost of a change depends on what it names, not on the number of registrations.

use std::sync::Arc;

use concord_model::InstanceId;
use concord_rpc::RpcError;
use concord_runtime::Instant;
use tokio::sync::Mutex;

use crate::limits::{CHECKS_MAX, SERVICES_MAX};
use crate::local::{Change, Local, LocalState};
use crate::persist::{FileChange, KeptVersions, Registrations};
use crate::program::Halt;
use crate::site::Site;

/// Changes registrations. It checks no rights.
#[derive(Clone, Debug)]
pub(crate) struct Registry {
    local: LocalState,
    files: Registrations,
    turn: Arc<Mutex<()>>,
    site: Site,
    halt: Halt,
}

impl Registry {
    pub(crate) fn new(local: LocalState, files: Registrations, site: Site, halt: Halt) -> Self {
        Self { local, files, turn: Arc::default(), site, halt }
    }

    /// Carries out the changes that `plan` decides on. They are durable on return.
    pub(crate) async fn change<F>(&self, plan: F) -> Result<(), RpcError>
    where
        F: FnOnce(&Local) -> Result<Vec<Change>, RpcError> + Send + 'static,
    {
        let registry = self.clone();
        let task =
            self.site.scope.spawn("change registrations", async move { registry.change_now(plan).await });
        task.join().await.map_err(|_| RpcError::ShuttingDown)?
    }

    /// Removes services without checking rights, because the agent decides this itself.
    pub(crate) async fn reap(&self, ids: Vec<InstanceId>) -> Result<(), RpcError> {
        self.change(move |local| {
            let there = ids.into_iter().filter(|id| local.services.contains_key(id));
            Ok(there.map(Change::RemoveService).collect())
        })
        .await
    }

    async fn change_now<F>(self, plan: F) -> Result<(), RpcError>
    where
        F: FnOnce(&Local) -> Result<Vec<Change>, RpcError>,
    {
        let _turn = self.turn.lock().await;
        let now = self.site.world.clock.now();
        let (changes, files) = self.local.look(|local| {
            let changes = plan(local)?;
            let files = files_of(local, &changes, now)?;
            Ok((changes, files))
        })?;
        if !files.is_empty() {
            self.keep(files).await?;
        }
        // Checks may have reported in the meantime, but registrations change only here.
        self.local.edit(|local| changes.into_iter().for_each(|change| local.apply(change, now)));
        Ok(())
    }

    async fn keep(&self, files: Vec<FileChange>) -> Result<(), RpcError> {
        let disk = self.files.clone();
        let kept = self.site.scope.spawn_blocking("keep registrations", move || disk.carry_out(&files));
        let outcome = kept.join().await.map_err(|_| RpcError::ShuttingDown)?;
        outcome.map_err(|error| {
            if error.is_fatal() {
                self.halt.must_end(error.to_string());
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
