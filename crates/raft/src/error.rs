//! Errors of the public interface, grouped by who must act.

use concord_runtime::DiskError;

use crate::fatal::Fatal;
use crate::stats::Member;

/// Why a node could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is inconsistent.
    #[error("raft configuration: {reason}")]
    Config {
        /// What is wrong.
        reason: String,
    },
    /// The disk could not be read or written, or another process uses the directory.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The log belongs to another server.
    #[error(
        "the raft log belongs to server number {found}, this is {expected}; was the data directory copied? \
         Start with the matching node id, or with an empty data directory to join anew"
    )]
    WrongNode {
        /// The server the log belongs to.
        found: u64,
        /// This server.
        expected: u64,
    },
    /// The log was written in a format this version does not know.
    #[error("the raft log has format {found}, this version reads {supported}; start a version that knows it")]
    Format {
        /// The format found.
        found: u32,
        /// The format this version reads.
        supported: u32,
    },
    /// The log, or every usable snapshot, is damaged.
    #[error("raft storage is damaged: {reason}; restore a snapshot, or remove the data and join anew")]
    Damaged {
        /// What was found.
        reason: String,
    },
    /// The state machine refused stored data.
    #[error(transparent)]
    Fatal(#[from] Fatal),
}

/// Why a proposal has no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Another server leads, or none. Nothing was written. Ask the leader, if it is known.
    #[error("not the leader")]
    NotLeader {
        /// The leader as far as this server knows.
        leader: Option<Member>,
    },
    /// The disk is full. Nothing was written. Retry once there is space.
    #[error("{reason}")]
    ReadOnly {
        /// What is missing, and the remedy.
        reason: &'static str,
    },
    /// Too many proposals are running. Nothing was written. Retry later.
    #[error("too many proposals are under way")]
    Busy,
    /// The command is too large. Nothing was written.
    #[error("the command has {bytes} bytes, at most {max} are accepted")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The command may be committed, now or later. Retry only idempotent commands.
    #[error("the outcome is unknown: {reason}")]
    Unknown {
        /// Why it is unknown.
        reason: &'static str,
    },
    /// This server is shutting down.
    #[error("shutting down")]
    Shutdown,
    /// This server has failed.
    #[error(transparent)]
    Fatal(#[from] Fatal),
}

/// Why a read cannot be served as the latest state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Another server leads, or none. Ask the leader, if it is known.
    #[error("not the leader")]
    NotLeader {
        /// The leader as far as this server knows.
        leader: Option<Member>,
    },
    /// No majority confirmed the leadership in time, or the state did not catch up in time. Retry.
    #[error("leadership could not be confirmed in time")]
    Timeout,
    /// This server is shutting down.
    #[error("shutting down")]
    Shutdown,
    /// This server has failed.
    #[error(transparent)]
    Fatal(#[from] Fatal),
}

/// Why the membership did not change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// Another server leads, or none. Ask the leader, if it is known.
    #[error("not the leader")]
    NotLeader {
        /// The leader as far as this server knows.
        leader: Option<Member>,
    },
    /// Another change is in progress. Retry when it is done.
    #[error("another membership change is under way")]
    InProgress,
    /// There is no such member.
    #[error("server number {id} is not a member")]
    NotMember {
        /// The number given.
        id: u64,
    },
    /// The last voter cannot be removed.
    #[error("the last voter cannot be removed")]
    LastVoter,
    /// The server's present role does not allow this promotion or transfer.
    #[error("server number {id} is not a {wanted}")]
    WrongRole {
        /// The number given.
        id: u64,
        /// The role that it would need.
        wanted: &'static str,
    },
    /// The change may or may not happen.
    #[error("the outcome is unknown: {reason}")]
    Unknown {
        /// Why it is unknown.
        reason: &'static str,
    },
    /// The engine refused the change.
    #[error("the change was refused: {reason}")]
    Refused {
        /// The engine's error.
        reason: String,
    },
    /// This server is shutting down.
    #[error("shutting down")]
    Shutdown,
    /// This server has failed.
    #[error(transparent)]
    Fatal(#[from] Fatal),
}

/// Why a cluster was not bootstrapped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BootstrapError {
    /// This server already has a log; nothing was changed.
    #[error("already bootstrapped")]
    AlreadyBootstrapped,
    /// The voters given do not contain this server.
    #[error("the voters do not contain this server")]
    NotInVoters,
    /// This server is shutting down.
    #[error("shutting down")]
    Shutdown,
    /// This server has failed.
    #[error(transparent)]
    Fatal(#[from] Fatal),
}

/// Why a message from a peer has no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandleError {
    /// It came from another cluster.
    #[error("message of cluster {found:?}, this is {expected:?}")]
    WrongCluster {
        /// The cluster it names.
        found: String,
        /// Our own cluster.
        expected: String,
    },
    /// The disk of this server is full, so it accepts no entries.
    #[error("{reason}")]
    ReadOnly {
        /// What is missing, and the remedy.
        reason: &'static str,
    },
    /// This server has just started, and may have promised to its leader not to vote yet.
    #[error("no vote is granted yet: this server has just started")]
    TooEarly,
    /// This server is shutting down.
    #[error("shutting down")]
    Shutdown,
    /// This server has failed.
    #[error(transparent)]
    Fatal(#[from] Fatal),
}
