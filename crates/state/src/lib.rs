//! The meaning of the log: commands, their application, tables, and views that record what is read.
//!
//! ```text
//!   bytes of the log ─► Envelope ─► Store::apply ─► Applied { reply, changes }
//!                                        │                        │
//!                                        ▼                        ▼
//!                         View ─► Reader ─► rows + ReadSet ◄─ touched by?
//! ```
//!
//! Applying is a deterministic function of the log: the same entries give the same bytes on every server. Time and
//! identifiers are part of the commands. A query is a pure function of a view and records exactly what it read. So a
//! query that waits for another answer is woken if and only if one of those rows or classes changes.
//!
//! Not here: authorisation (the server authorises as it reads), the joint meaning of records (`mesh`), how commands
//! reach the log (`raft`), waiting (the server's watch hub).

#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[macro_use]
mod schema;

mod apply;
pub mod builtin;
mod changes;
pub mod command;
mod derive;
mod envelope;
mod key;
mod keys;
pub mod limits;
mod read;
pub mod reply;
mod row;
mod snapshot;
mod store;
mod table;
mod tables;
mod view;

pub use crate::changes::{Changes, ReadSet};
pub use crate::command::Command;
pub use crate::envelope::{DecodeError, EncodeError, Envelope, FORMAT, RULE_SET};
pub use crate::key::Key;
pub use crate::keys::TableId;
pub use crate::read::Reader;
pub use crate::read::covering;
pub use crate::reply::{Blame, CommandReply, Refusal};
pub use crate::row::{
    AclBootstrap, EntryLink, EntryRow, IntentionHead, IntentionRef, NodeCheck, Placed, ServiceHealth,
    ServiceScope, ServiceSummary, ServiceTraits, UpstreamUse, VirtualAddress,
};
pub use crate::snapshot::{SNAPSHOT_FORMAT, SnapshotError, SnapshotHeader};
pub use crate::store::{Applied, Halt, Store};
pub use crate::table::WatchKey;
pub use crate::view::View;
