//! Consensus on opaque bytes: propose, read barrier, membership, snapshots.
//!
//! The engine is openraft, pinned to an exact version and hidden: the public interface contains none of its types, so
//! that it can be replaced. This crate provides everything that touches the outside world: the log (in memory, or
//! durable in redb with group commit), the snapshot files, the messages, and the runtime on which openraft runs.
//!
//! ```text
//!   propose ─► openraft core ─► log (memory │ redb: one writer thread, one flush per batch)
//!                  │      └────► Transport ─► peers ─► Raft::handle
//!                  ▼ committed
//!             Machine ─► StateMachine::apply ─► typed reply to the proposer
//!                  └───► snapshot file (checksummed, two kept) ─► log purged behind them
//! ```
//!
//! It knows no domain types: commands and snapshots are bytes that only the state machine interprets.

#![forbid(unsafe_code)]

mod change;
mod config;
mod engine;
mod error;
mod fatal;
mod lease;
pub mod limits;
mod link;
mod log;
mod machine;
mod raft;
mod snapshot;
mod stats;
#[cfg(feature = "testing")]
pub mod testing;
mod transport;

pub use change::CatchUp;
pub use config::{RaftConfig, Timings};
pub use engine::{Node, NodeId};
pub use error::{BootstrapError, ChangeError, HandleError, ProposeError, ReadError, StartError};
pub use fatal::Fatal;
pub use log::{BEGUN, Storage};
pub use machine::{ApplyHalt, RestoreError, SnapshotJob, StateMachine};
pub use raft::{Committed, Parts, Raft};
pub use stats::{Follower, Member, Role, SnapshotFailure, Stats};
pub use transport::{DecodeError, Rpc, RpcKind, RpcReply, Transport, TransportError};
