//! Messages between servers, and the interface of their transport.
//!
//! Outside of this crate a message is opaque bytes. Their format is self-describing, with named fields, so that
//! neighbouring versions understand each other. The transport limits the size of messages and authenticates their
//! senders.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use concord_runtime::BoxFuture;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use serde::{Deserialize, Serialize};

use crate::engine::{Node, NodeId, Payload, SnapshotMeta, TypeConfig, Vote};

/// Carries messages to other servers.
pub trait Transport: Send + Sync + 'static {
    /// Delivers `rpc` to the server `to`, where [`crate::Raft::handle`] answers it. Must give up after `deadline`. A
    /// heartbeat must not wait behind a snapshot: see [`Rpc::kind`]. The transport should detect a dead connection by
    /// itself, because the deadline of a large snapshot is minutes away.
    fn call(
        &self,
        to: NodeId,
        node: &Node,
        rpc: Rpc,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<RpcReply, TransportError>>;
}

/// Why a message has no reply. The peer may still have handled the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// No connection; the sender waits before the next attempt.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// No reply within the deadline.
    #[error("no reply in time")]
    Timeout,
    /// The peer refused the message or could not handle it.
    #[error("refused: {0}")]
    Refused(String),
}

/// A message to a peer.
#[derive(Clone, Debug)]
pub struct Rpc {
    pub(crate) cluster: Arc<str>,
    pub(crate) body: RpcBody,
}

/// The reply to a message.
#[derive(Clone, Debug)]
pub struct RpcReply(pub(crate) ReplyBody);

/// The purpose of a message, for metrics and for choosing a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RpcKind {
    /// Entries, or none as a heartbeat.
    Append,
    /// A request for a vote.
    Vote,
    /// Asks whether a vote would be granted.
    PreVote,
    /// A whole snapshot; may be large.
    Snapshot,
    /// Asks the peer to become a candidate now.
    TransferLeader,
}

/// The bytes are not a message of this format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a raft message: {reason}")]
pub struct DecodeError {
    reason: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum RpcBody {
    Append(AppendEntriesRequest<TypeConfig>),
    Vote(VoteRequest<TypeConfig>),
    PreVote(VoteRequest<TypeConfig>),
    Snapshot(SnapshotRequest),
    TransferLeader(TransferLeaderRequest<TypeConfig>),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SnapshotRequest {
    pub(crate) vote: Vote,
    pub(crate) meta: SnapshotMeta,
    pub(crate) body: Payload,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum ReplyBody {
    Append(AppendEntriesResponse<TypeConfig>),
    Vote(VoteResponse<TypeConfig>),
    Snapshot(SnapshotResponse<TypeConfig>),
    TransferLeader(TransferLeaderResponse<TypeConfig>),
}

/// The encoded form. The format number is checked first.
#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    format: u32,
    #[serde(default)]
    cluster: String,
    body: T,
}

const FORMAT: u32 = 1;

impl Rpc {
    /// The purpose of the message.
    #[must_use]
    pub const fn kind(&self) -> RpcKind {
        match &self.body {
            RpcBody::Append(_) => RpcKind::Append,
            RpcBody::Vote(_) => RpcKind::Vote,
            RpcBody::PreVote(_) => RpcKind::PreVote,
            RpcBody::Snapshot(_) => RpcKind::Snapshot,
            RpcBody::TransferLeader(_) => RpcKind::TransferLeader,
        }
    }

    /// The bytes for the wire.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        encode(&self.cluster, &self.body)
    }

    /// Reads a message.
    ///
    /// # Errors
    /// When the bytes are no message of this format.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Envelope { cluster, body, .. } = decode(bytes)?;
        Ok(Self { cluster: cluster.into(), body })
    }
}

impl RpcReply {
    /// The bytes for the wire.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        encode("", &self.0)
    }

    /// Reads a reply.
    ///
    /// # Errors
    /// When the bytes are no reply of this format.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self(decode(bytes)?.body))
    }
}

impl fmt::Display for RpcKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Append => "append",
            Self::Vote => "vote",
            Self::PreVote => "pre-vote",
            Self::Snapshot => "snapshot",
            Self::TransferLeader => "transfer-leader",
        })
    }
}

fn encode<T: Serialize>(cluster: &str, body: &T) -> Bytes {
    let envelope = Envelope { format: FORMAT, cluster: cluster.to_owned(), body };
    rmp_serde::to_vec_named(&envelope).expect("a message is plain data").into()
}

fn decode<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<Envelope<T>, DecodeError> {
    let envelope: Envelope<T> =
        rmp_serde::from_slice(bytes).map_err(|error| DecodeError { reason: error.to_string() })?;
    if envelope.format != FORMAT {
        return Err(DecodeError { reason: format!("format {}, expected {FORMAT}", envelope.format) });
    }
    Ok(envelope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Entry;
    use openraft::entry::RaftEntry as _;
    use openraft::{EntryPayload, LogId};

    fn append() -> Rpc {
        let id = LogId::new_term_index(3, 7);
        let command = EntryPayload::Normal(Payload(Bytes::from_static(b"command")));
        let body = RpcBody::Append(AppendEntriesRequest {
            vote: Vote::new_committed(3, 1),
            prev_log_id: None,
            entries: vec![Entry::new_blank(id), Entry::new(id, command)],
            leader_commit: Some(id),
        });
        Rpc { cluster: "dc1".into(), body }
    }

    #[test]
    fn messages_survive_the_wire() {
        let rpc = append();
        let back = Rpc::decode(&rpc.encode()).expect("decodes");
        assert_eq!(format!("{rpc:?}"), format!("{back:?}"));
        assert_eq!(back.kind(), RpcKind::Append);
        let reply = RpcReply(ReplyBody::Append(AppendEntriesResponse::Conflict));
        assert_eq!(
            format!("{reply:?}"),
            format!("{:?}", RpcReply::decode(&reply.encode()).expect("decodes"))
        );
    }

    #[test]
    fn n_114_garbage_is_refused() {
        let good = append().encode();
        for bytes in [&b""[..], b"\xff", b"hello", &good[..good.len() - 1]] {
            assert!(Rpc::decode(bytes).is_err(), "{bytes:?}");
        }
        let other = Envelope { format: 2, cluster: String::new(), body: append().body };
        let error =
            Rpc::decode(&rmp_serde::to_vec_named(&other).expect("encodes")).expect_err("unknown format");
        assert!(error.to_string().contains("format 2"));
    }
}
