//! Changes of the membership and transfers of leadership.
//!
//! Changes run one at a time. A change of voters goes through a joint configuration. If the leader dies during the
//! change, the next leader finishes it. So after [`ChangeError::NotLeader`] a change may be half done; the membership
//! shows its state.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use concord_runtime::timeout;
use openraft::ChangeMembers;
use openraft::async_runtime::WatchReceiver as _;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};

use crate::engine::{Node, NodeId, TypeConfig};
use crate::error::ChangeError;
use crate::raft::{Inner, Raft, leader_of};
use crate::stats::Stats;

impl<R> Raft<R> {
    /// Adds a server that replicates without a vote, or replaces the record of a learner. With `catch_up`, waits
    /// until the learner has caught up.
    ///
    /// # Errors
    /// See [`ChangeError`]. During the wait, [`ChangeError::Unknown`] means that the server is a learner but has not
    /// caught up.
    pub async fn add_learner(&self, id: NodeId, node: Node, catch_up: CatchUp) -> Result<(), ChangeError> {
        let _one = self.one_change()?;
        let added = self.inner.engine.add_learner(id, node, catch_up == CatchUp::Wait);
        let added = timeout(&*self.inner.world.clock, self.inner.config.change_timeout, added).await;
        let added = added.map_err(|_| ChangeError::Unknown { reason: "not caught up in time" })?;
        added.map(|_| ()).map_err(|error| self.inner.change_error(error))
    }

    /// Gives a learner a vote.
    ///
    /// # Errors
    /// [`ChangeError::WrongRole`] when it is not a learner.
    pub async fn promote(&self, id: NodeId) -> Result<(), ChangeError> {
        let _one = self.one_change()?;
        if !self.stats().learners.iter().any(|learner| learner.id == id) {
            return Err(ChangeError::WrongRole { id, wanted: "learner" });
        }
        self.inner.lease.promote();
        self.change(ChangeMembers::AddVoterIds(BTreeSet::from([id]))).await
    }

    /// Removes the vote of a server, which continues as a learner.
    ///
    /// # Errors
    /// [`ChangeError::LastVoter`] when it is the only voter.
    pub async fn demote(&self, id: NodeId) -> Result<(), ChangeError> {
        let _one = self.one_change()?;
        let stats = self.stats();
        if !stats.voters.iter().any(|voter| voter.id == id) {
            return Err(ChangeError::WrongRole { id, wanted: "voter" });
        }
        self.refuse_last_voter(&stats, id)?;
        self.give_up_lease(&stats, id);
        let change =
            self.inner.engine.change_membership(ChangeMembers::RemoveVoters(BTreeSet::from([id])), true);
        self.bounded(change).await
    }

    /// Removes a server, voter or learner. A leader that is removed transfers the leadership first.
    ///
    /// # Errors
    /// [`ChangeError::LastVoter`] when it is the only voter.
    pub async fn remove(&self, id: NodeId) -> Result<(), ChangeError> {
        let _one = self.one_change()?;
        let stats = self.stats();
        if stats.learners.iter().any(|learner| learner.id == id) {
            return self.change(ChangeMembers::RemoveNodes(BTreeSet::from([id]))).await;
        }
        if !stats.voters.iter().any(|voter| voter.id == id) {
            return Err(ChangeError::NotMember { id });
        }
        self.refuse_last_voter(&stats, id)?;
        self.give_up_lease(&stats, id);
        self.change(ChangeMembers::RemoveVoters(BTreeSet::from([id]))).await
    }

    /// Replaces the record of a member, usually to change its address.
    ///
    /// # Errors
    /// [`ChangeError::NotMember`] when it is not a member.
    pub async fn update_node(&self, id: NodeId, node: Node) -> Result<(), ChangeError> {
        let _one = self.one_change()?;
        let stats = self.stats();
        if !stats.voters.iter().chain(&stats.learners).any(|member| member.id == id) {
            return Err(ChangeError::NotMember { id });
        }
        self.change(ChangeMembers::SetNodes(BTreeMap::from([(id, node)]))).await
    }

    /// Transfers the leadership to a voter, or to the most advanced voter if none is named. Waits until another
    /// server leads.
    ///
    /// # Errors
    /// [`ChangeError::Unknown`] when no server has taken over in time. Then this server may still be the leader.
    pub async fn transfer_leader(&self, to: Option<NodeId>) -> Result<NodeId, ChangeError> {
        let inner = &*self.inner;
        let stats = self.stats();
        if !stats.is_leader() {
            return Err(ChangeError::NotLeader { leader: stats.leader });
        }
        let to = match to {
            Some(to) if to == stats.id => return Ok(to),
            Some(to) => to,
            None => furthest(&stats).ok_or(ChangeError::LastVoter)?,
        };
        if !stats.voters.iter().any(|voter| voter.id == to) {
            return Err(ChangeError::WrongRole { id: to, wanted: "voter" });
        }
        inner.lease.hand_over(stats.term);
        let asked = inner.engine.trigger().transfer_leader(to).await;
        asked.map_err(|error| inner.change_error(RaftError::Fatal(error)))?;
        let mut changes = self.watch();
        let taken = changes.wait_for(|now| {
            !now.is_running || now.leader.as_ref().is_some_and(|leader| leader.id != stats.id)
        });
        // A transfer needs one vote. If it takes longer than an election, it has failed.
        let patience = inner.config.timings.election_max * 2 + Duration::from_secs(1);
        match timeout(&*inner.world.clock, patience, taken).await {
            Ok(Ok(now)) if now.is_running => Ok(now.leader.as_ref().map_or(to, |leader| leader.id)),
            Ok(_) => Err(inner.fatal.first().map_or(ChangeError::Shutdown, ChangeError::Fatal)),
            Err(_) => Err(ChangeError::Unknown { reason: "nobody took over in time" }),
        }
    }

    /// As a new leader, finishes a change of voters that the previous leader left half done.
    pub(crate) async fn finish_changes(self) {
        let mut metrics = self.inner.engine.metrics();
        let mut seen_term = None;
        loop {
            let pending = {
                let now = metrics.borrow_watched();
                let settled = now.membership_config == now.committed_membership_config;
                let joint = now.membership_config.membership().get_joint_config();
                let leads = now.current_leader == Some(now.id) && now.running_state.is_ok();
                let fresh = seen_term != Some(now.current_term);
                let wanted = joint.last().filter(|_| joint.len() > 1 && leads && settled && fresh);
                wanted.map(|voters| (now.current_term, voters.clone()))
            };
            // A change of our own holds this lock while the configuration is joint, and finishes by itself.
            if let Some((term, voters)) = pending
                && let Ok(_one) = self.inner.changing.try_lock()
            {
                seen_term = Some(term);
                tracing::info!(?voters, "finishing a membership change left by an earlier leader");
                let change =
                    self.inner.engine.change_membership(ChangeMembers::ReplaceAllVoters(voters), false);
                if let Err(error) = self.bounded(change).await {
                    tracing::warn!(%error, "could not finish an earlier membership change");
                    seen_term = None;
                }
            }
            if metrics.changed().await.is_err() || metrics.borrow_watched().running_state.is_err() {
                return;
            }
        }
    }

    async fn change(&self, change: ChangeMembers<NodeId, Node>) -> Result<(), ChangeError> {
        self.bounded(self.inner.engine.change_membership(change, false)).await
    }

    async fn bounded<T>(
        &self,
        change: impl Future<Output = Result<T, RaftError<TypeConfig, ClientWriteError<TypeConfig>>>>,
    ) -> Result<(), ChangeError> {
        let changed = timeout(&*self.inner.world.clock, self.inner.config.change_timeout, change).await;
        let changed = changed.map_err(|_| ChangeError::Unknown { reason: "not committed in time" })?;
        changed.map(|_| ()).map_err(|error| self.inner.change_error(error))
    }

    fn one_change(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, ChangeError> {
        self.inner.changing.try_lock().map_err(|_| ChangeError::InProgress)
    }

    /// A leader that is removed or demoted gives up its lease.
    fn give_up_lease(&self, stats: &Stats, id: NodeId) {
        if id == stats.id {
            self.inner.lease.hand_over(stats.term);
        }
    }

    fn refuse_last_voter(&self, stats: &Stats, id: NodeId) -> Result<(), ChangeError> {
        match stats.voters.as_slice() {
            [only] if only.id == id => Err(ChangeError::LastVoter),
            _ => Ok(()),
        }
    }
}

/// Whether to wait for a new learner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatchUp {
    /// Return once the learner is a member.
    Later,
    /// Return once its log is close to the leader's.
    Wait,
}

impl Inner {
    fn change_error(&self, error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> ChangeError {
        match error {
            RaftError::APIError(ClientWriteError::ForwardToLeader(to)) => {
                ChangeError::NotLeader { leader: leader_of(to) }
            }
            RaftError::APIError(ClientWriteError::LogEntryDiscarded(_)) => {
                ChangeError::Unknown { reason: "another leader took over" }
            }
            RaftError::APIError(ClientWriteError::ChangeMembershipError(error)) => match error {
                ChangeMembershipError::InProgress(_) => ChangeError::InProgress,
                ChangeMembershipError::EmptyMembership(_) => ChangeError::LastVoter,
                ChangeMembershipError::LearnerNotFound(missing) => {
                    ChangeError::NotMember { id: missing.node_id }
                }
                error @ (ChangeMembershipError::UnsupportedMembershipTransition(_)
                | ChangeMembershipError::UncommittedLeaderLog(_)
                | ChangeMembershipError::NodeMetadataChanged(_)) => {
                    ChangeError::Refused { reason: error.to_string() }
                }
            },
            RaftError::APIError(error @ ClientWriteError::PreconditionFailed(_)) => {
                ChangeError::Refused { reason: error.to_string() }
            }
            RaftError::Fatal(error) => self.stopped(&error).map_or(ChangeError::Shutdown, ChangeError::Fatal),
        }
    }
}

fn furthest(stats: &Stats) -> Option<NodeId> {
    let others = stats.voters.iter().map(|voter| voter.id).filter(|id| *id != stats.id);
    // Among equally advanced voters the lowest number wins, so that the choice is the same everywhere.
    others.max_by_key(|id| (stats.followers.get(id).map_or(0, |f| f.match_index), std::cmp::Reverse(*id)))
}
