//! Entries of the configuration (`config_entries.bootstrap`), written where there is none of that kind and
//! name, as in Consul. Nobody's right is asked: whoever writes the server's configuration rules the server.
//!
//! What stands is never overwritten, and what an operator deletes stays deleted until the next leadership or
//! reload. They are written before the leader serves, so that nobody is let in by the want of a deny.

use concord_model::entry::Entry;
use concord_rpc::RpcError;
use concord_state::CommandReply;
use concord_state::command::SetEntry;
use tracing::{info, warn};

use crate::endpoint::entry::valid;
use crate::parts::Core;

/// Writes what is missing.
pub(crate) async fn ensure(core: &Core) -> Result<(), RpcError> {
    let wanted = core.live.entries();
    let mut left: Vec<&Entry> = wanted.iter().collect();
    // Some stand only beside others, in whatever order they are written down: who is refused is tried again after
    // the rest, as long as that helps.
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
        if !standing.says_the_same(wanted) {
            warn!(%kind, name, "config_entries.bootstrap: an entry of this kind and name stands and says something else; it is left as it is");
        }
        return Ok(());
    }
    let (reply, index) = core.log.write(SetEntry { entry: wanted.clone(), cas: Some(0) }).await?;
    // Somebody else's entry may have come in between: it stands.
    if matches!(reply, CommandReply::Done { .. }) {
        info!(%kind, name, index, "config_entries.bootstrap: written");
    }
    Ok(())
}

/// Refuses entries that could never be written.
pub(crate) fn check(entries: &[Entry]) -> Result<(), RpcError> {
    entries.iter().try_for_each(valid)
}
