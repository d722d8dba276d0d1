//! The leader and the voters.

use concord_rpc::RpcError;
use concord_rpc::request::{ReadStatus, ServerStatus};

use crate::reading::Reading;

/// This request is answered even without a leader, because clients use it to find out.
pub(crate) fn read_status(reading: &mut Reading<'_>, _: &ReadStatus) -> Result<ServerStatus, RpcError> {
    let stats = reading.stats();
    Ok(ServerStatus {
        leader: stats.leader.as_ref().map_or_else(String::new, |member| member.node.address.clone()),
        peers: stats.voters.iter().map(|member| member.node.address.clone()).collect(),
        term: stats.term,
        commit_index: stats.commit_index,
        applied_index: stats.applied_index,
        last_log_index: stats.last_log_index,
        last_log_term: stats.term,
        is_leader: stats.is_leader(),
        snapshot_index: stats.snapshot_index,
        read_only: stats.read_only,
        snapshot_failure: stats
            .snapshot_failure
            .map(|failure| format!("{} ({} in a row)", failure.reason, failure.times)),
    })
}
