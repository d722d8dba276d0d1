//! Entries of the configuration file (`config_entries.bootstrap`). The leader writes each one if no entry of its kind
//! and name exists, as in Consul. No right is checked: whoever writes the server's configuration controls the server.
//!
//! An existing entry is never overwritten. An entry that an operator deletes stays deleted until the next leadership
//! or reload. The entries are written before the leader serves, so that no connection is allowed because a deny
//! intention is not written yet.

use concord_model::entry::Entry;
use concord_rpc::RpcError;
use concord_state::CommandReply;
use concord_state::command::SetEntry;
use tracing::{info, warn};

use crate::endpoint::entry::valid;
use crate::parts::Core;

/// Writes the missing entries.
pub(crate) async fn ensure(core: &Core) -> Result<(), RpcError> {
    let wanted = core.live.entries();
    let mut left: Vec<&Entry> = wanted.iter().collect();
    // Some entries are valid only beside others, and the file may list them in any order. So a refused entry is tried
    // again after the rest, as long as each round makes progress.
    while !left.is_empty() {
        let (before, mut refused) = (left.len(), Vec::new());
        let mut reason = None;
        for entry in left {
            match ensure_one(core, entry).await {
                Ok(()) => {}
                Err(error @ RpcError::Rejected(_)) => {
                    refused.push(entry);
                    reason.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        left = refused;
        match reason {
            Some(error) if left.len() == before => return Err(error),
            _ => {}
        }
    }
    core.live.entries_stand(&wanted);
    Ok(())
}

async fn ensure_one(core: &Core, wanted: &Entry) -> Result<(), RpcError> {
    let named = wanted.name();
    let (kind, name) = (named.kind, named.as_str());
    if let Some(standing) = core.log.view().read().entry(&named) {
        if !standing.says_the_same(&wanted.clone().with_status_of(Some(&standing))) {
            warn!(%kind, name, "config_entries.bootstrap: a different entry of this kind and name exists; it is not changed");
        }
        return Ok(());
    }
    let (reply, index) = core.log.write(SetEntry { entry: wanted.clone(), cas: Some(0) }).await?;
    // Another writer may have created the entry at the same time; it is kept.
    if matches!(reply, CommandReply::Done { .. }) {
        info!(%kind, name, index, "config_entries.bootstrap: written");
    }
    Ok(())
}

/// Refuses entries that can never be written.
pub(crate) fn check(entries: &[Entry]) -> Result<(), RpcError> {
    entries.iter().try_for_each(valid)
}
