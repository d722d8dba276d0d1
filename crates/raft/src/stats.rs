//! The state that a node reports.

use std::collections::BTreeMap;

use concord_runtime::Instant;
use openraft::{RaftMetrics, ServerState};

use crate::engine::{Node, NodeId, TypeConfig};

/// The state of a node at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// This server's number.
    pub id: NodeId,
    /// Its role in the cluster.
    pub role: Role,
    /// The current term, as far as it knows.
    pub term: u64,
    /// The leader it knows.
    pub leader: Option<Member>,
    /// The last entry in its log, flushed or not; 0 if there is none.
    pub last_log_index: u64,
    /// The last entry that it knows to be committed; 0 if there is none.
    pub commit_index: u64,
    /// The last entry applied; 0 when there is none.
    pub applied_index: u64,
    /// The last entry in its newest snapshot; 0 when there is none.
    pub snapshot_index: u64,
    /// The voters, by number. During a change, the voters of both configurations.
    pub voters: Vec<Member>,
    /// The servers without a vote, by number.
    pub learners: Vec<Member>,
    /// Whether a membership change is in progress.
    pub changing: bool,
    /// When this server last heard from its leader. For a leader, when a majority last confirmed it.
    pub last_leader_contact: Option<Instant>,
    /// For a leader: the progress of each other server.
    pub followers: BTreeMap<NodeId, Follower>,
    /// Whether the node runs. If it failed, `Raft::fatal` has the reason.
    pub is_running: bool,
    /// Why it accepts no writes, if so. It recovers by itself once the reason is gone.
    pub read_only: Option<String>,
    /// Why no snapshot can be written, if the last one failed. Meanwhile the log grows.
    pub snapshot_failure: Option<SnapshotFailure>,
}

/// Failed snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFailure {
    /// The error of the last attempt.
    pub reason: String,
    /// How many attempts in a row failed.
    pub times: u64,
}

/// A server and its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The number in the log.
    pub id: NodeId,
    /// The cluster's record of it.
    pub node: Node,
}

/// The role of a server in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Replicates without a vote, or belongs to no cluster yet.
    Learner,
    /// Replicates and votes.
    Follower,
    /// Asks for votes.
    Candidate,
    /// Leads.
    Leader,
    /// Stopped.
    Stopped,
}

/// The progress of a follower, as the leader knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Follower {
    /// The last entry known to be in its log; 0 if nothing is known.
    pub match_index: u64,
    /// When it last answered.
    pub last_contact: Option<Instant>,
}

impl Stats {
    pub(crate) fn of(metrics: &RaftMetrics<TypeConfig>, follower_contact: Option<Instant>) -> Self {
        let membership = metrics.membership_config.membership();
        let member = |id: NodeId| Member { id, node: membership.get_node(&id).cloned().unwrap_or_default() };
        let role = match metrics.state {
            ServerState::Learner => Role::Learner,
            ServerState::Follower => Role::Follower,
            ServerState::Candidate => Role::Candidate,
            ServerState::Leader => Role::Leader,
            ServerState::Shutdown => Role::Stopped,
        };
        let quorum_contact = metrics.last_quorum_acked.map(|at| at.into_inner().0);
        let index = |id: &Option<crate::engine::LogId>| id.map_or(0, |id| id.index());
        Self {
            id: metrics.id,
            role: if metrics.running_state.is_ok() { role } else { Role::Stopped },
            term: metrics.current_term,
            leader: metrics.current_leader.map(member),
            last_log_index: metrics.last_log_index.unwrap_or(0),
            commit_index: index(&metrics.local_committed),
            applied_index: index(&metrics.last_applied),
            snapshot_index: index(&metrics.snapshot),
            voters: membership.voter_ids().map(member).collect(),
            learners: membership.learner_ids().map(member).collect(),
            changing: membership.get_joint_config().len() > 1
                || metrics.membership_config != metrics.committed_membership_config,
            last_leader_contact: if role == Role::Leader { quorum_contact } else { follower_contact },
            followers: followers(metrics),
            is_running: metrics.running_state.is_ok() && role != Role::Stopped,
            read_only: None,
            snapshot_failure: None,
        }
    }

    /// Whether this server leads.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.role == Role::Leader
    }
}

fn followers(metrics: &RaftMetrics<TypeConfig>) -> BTreeMap<NodeId, Follower> {
    let mut followers: BTreeMap<NodeId, Follower> = BTreeMap::new();
    for (id, matched) in metrics.replication.iter().flatten() {
        followers.entry(*id).or_default().match_index = matched.map_or(0, |id| id.index());
    }
    for (id, contact) in metrics.heartbeat.iter().flatten() {
        followers.entry(*id).or_default().last_contact = contact.map(|at| at.into_inner().0);
    }
    followers.remove(&metrics.id);
    followers
}
