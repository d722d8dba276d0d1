//! Reading under the lease.

use concord_runtime::Instant;
use openraft::RaftMetrics;
use openraft::async_runtime::{Instant as _, WatchReceiver as _};

use super::Raft;
use crate::engine::{EngineInstant, TypeConfig};
use crate::error::ReadError;
use crate::stats::Stats;

impl<R> Raft<R> {
    /// Whether the node knows a leader, and when it last heard from it. For a leader: when a majority last confirmed it.
    #[must_use]
    pub fn leader_contact(&self) -> (bool, Option<Instant>) {
        let stats = self.inner.stats.borrow();
        (stats.leader.is_some(), self.last_contact(&stats))
    }

    /// The last contact with the leader. Only a leader's statistics are current in this.
    pub(super) fn last_contact(&self, stats: &Stats) -> Option<Instant> {
        if stats.is_leader() { stats.last_leader_contact } else { self.inner.contact.last() }
    }

    /// Whether this server leads and no other server can lead now.
    #[must_use]
    pub fn has_lease(&self) -> bool {
        self.leased_term().is_some()
    }

    fn leased_term(&self) -> Option<u64> {
        let inner = &*self.inner;
        let metrics = inner.engine.metrics();
        let metrics: &RaftMetrics<TypeConfig> = &metrics.borrow_watched();
        inner.lease.term(metrics, inner.config.timings.lease, EngineInstant::now().0)
    }

    /// Runs `read` on the state. Returns its result if no other server led while it ran. The lease is checked before,
    /// so that the state has everything that earlier leaders committed. It is checked again afterwards, because the
    /// process may have been paused in between. Without a lease this server asks the others and runs `read` again.
    ///
    /// # Errors
    /// As [`Raft::read_barrier`].
    pub async fn leased<T>(&self, read: impl Fn() -> T) -> Result<T, ReadError> {
        if let Some(term) = self.leased_term() {
            let result = read();
            if self.leased_term() == Some(term) {
                return Ok(result);
            }
        }
        self.read_barrier().await?;
        Ok(read())
    }
}
