//! Stores the CA's published roots, its configuration, and its encrypted data.

use std::collections::BTreeSet;
use std::sync::Arc;

use concord_model::ca::{CaConfig, CaRoots, ProviderRecord};

use super::outcome::{cas_failed, done};
use crate::apply::stamp::renewed;
use crate::command::{AllocateSerials, DeleteCaProviderState, SetCaConfig, SetCaProviderState, SetCaRoots};
use crate::keys;
use crate::limits::SERIALS_MAX;
use crate::reply::{CaRefusal, CommandReply, Refusal};
use crate::table::Commit;
use crate::tables::Tables;

/// The first serial number of a cluster.
pub(crate) const FIRST_SERIAL: u64 = 1;

pub(super) fn set_config(
    tables: &mut Tables,
    commit: &mut Commit,
    command: &SetCaConfig,
) -> Result<CommandReply, Refusal> {
    if let Some(failed) = check_config(tables, command)? {
        return Ok(failed);
    }
    Ok(done(store_config(tables, commit, &command.config)))
}

pub(super) fn set_roots(
    tables: &mut Tables,
    commit: &mut Commit,
    command: &SetCaRoots,
) -> Result<CommandReply, Refusal> {
    let current = tables.ca_roots.get(&keys::only()).cloned();
    if let Some(failed) = cas_failed(Some(command.cas), current.as_ref().map_or(0, |roots| roots.index)) {
        return Ok(failed);
    }
    check_roots(&command.roots, current.as_deref())?;
    if let Some(config) = &command.config
        && let Some(failed) = check_config(tables, config)?
    {
        return Ok(failed);
    }
    let mut changed = store_roots(tables, commit, &command.roots, current.as_deref());
    if let Some(config) = &command.config {
        changed |= store_config(tables, commit, &config.config);
    }
    if let Some(state) = &command.provider_state {
        changed |= store_provider_state(tables, commit, state);
    }
    Ok(done(changed))
}

pub(super) fn set_provider_state(
    tables: &mut Tables,
    commit: &mut Commit,
    command: &SetCaProviderState,
) -> CommandReply {
    done(store_provider_state(tables, commit, &command.state))
}

pub(super) fn delete_provider_state(
    tables: &mut Tables,
    commit: &mut Commit,
    command: &DeleteCaProviderState,
) -> CommandReply {
    done(tables.ca_provider_states.remove(&keys::ca_provider_states::row(&command.id), commit).is_some())
}

pub(super) fn allocate_serials(
    tables: &mut Tables,
    commit: &mut Commit,
    command: &AllocateSerials,
) -> Result<CommandReply, Refusal> {
    let count = command.count;
    if count == 0 || count > SERIALS_MAX {
        return Err(CaRefusal::SerialCount { count, max: SERIALS_MAX }.into());
    }
    let first = next_serial(tables);
    let next = first.checked_add(u64::from(count)).ok_or(CaRefusal::SerialsExhausted)?;
    tables.ca_serial.put(&keys::only(), Arc::new(next), commit);
    Ok(CommandReply::Serials { first, count })
}

/// The next serial number.
pub(crate) fn next_serial(tables: &Tables) -> u64 {
    tables.ca_serial.get(&keys::only()).map_or(FIRST_SERIAL, |next| **next)
}

// === Roots ===

fn check_roots(roots: &CaRoots, current: Option<&CaRoots>) -> Result<(), CaRefusal> {
    let active: Vec<_> = roots.roots.iter().filter(|root| root.active).collect();
    if active.len() != 1 || active[0].id != roots.active_root_id {
        return Err(CaRefusal::ActiveRoots { active: active.len() });
    }
    let mut ids = BTreeSet::new();
    if let Some(twice) = roots.roots.iter().find(|root| !ids.insert(&root.id)) {
        return Err(CaRefusal::DuplicateRoot { id: twice.id.clone() });
    }
    match current {
        Some(current) if current.trust_domain != roots.trust_domain => Err(CaRefusal::TrustDomain {
            current: current.trust_domain.to_string(),
            asked: roots.trust_domain.to_string(),
        }),
        _ => Ok(()),
    }
}

fn store_roots(tables: &mut Tables, commit: &mut Commit, roots: &CaRoots, current: Option<&CaRoots>) -> bool {
    let mut row = roots.clone();
    for root in &mut row.roots {
        let old = current.and_then(|current| current.roots.iter().find(|old| old.id == root.id));
        match renewed(old, root.clone(), commit.index) {
            Some(changed) => *root = Arc::unwrap_or_clone(changed),
            None => root.stamp = old.map(|old| old.stamp).unwrap_or_default(),
        }
    }
    row.index = current.map_or(commit.index, |current| current.index);
    if current.is_some_and(|current| *current == row) {
        return false;
    }
    row.index = commit.index;
    tables.ca_roots.put(&keys::only(), Arc::new(row), commit)
}

// === Configuration and the provider's state ===

fn check_config(tables: &Tables, command: &SetCaConfig) -> Result<Option<CommandReply>, CaRefusal> {
    let current = tables.ca_config.get(&keys::only());
    if let Some(failed) = cas_failed(command.cas, current.map_or(0, |config| config.stamp.modify)) {
        return Ok(Some(failed));
    }
    let asked = command.config.cluster_id;
    match current.map(|config| config.cluster_id) {
        Some(current) if current != asked => Err(CaRefusal::ClusterId { current, asked }),
        _ => Ok(None),
    }
}

fn store_config(tables: &mut Tables, commit: &mut Commit, config: &CaConfig) -> bool {
    let old = tables.ca_config.get(&keys::only()).cloned();
    match renewed(old.as_deref(), config.clone(), commit.index) {
        Some(row) => tables.ca_config.put(&keys::only(), row, commit),
        None => false,
    }
}

fn store_provider_state(tables: &mut Tables, commit: &mut Commit, state: &ProviderRecord) -> bool {
    let key = keys::ca_provider_states::row(&state.id);
    let old = tables.ca_provider_states.get(&key).cloned();
    match renewed(old.as_deref(), state.clone(), commit.index) {
        Some(row) => tables.ca_provider_states.put(&key, row, commit),
        None => false,
    }
}
