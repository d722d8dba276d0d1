//! The outgoing side of the engine: converts its calls to messages and replies.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use concord_runtime::{Clock, timeout};
use openraft::RaftNetworkFactory;
use openraft::alias::SnapshotOf;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};

use crate::engine::{Node, NodeId, Payload, TypeConfig, Vote};
use crate::limits::{SNAPSHOT_BYTES_PER_SECOND, SNAPSHOT_TIMEOUT_MIN};
use crate::transport::{ReplyBody, Rpc, RpcBody, SnapshotRequest, Transport, TransportError};

/// Creates links, one per peer and purpose.
#[derive(Clone)]
pub(crate) struct Links {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) cluster: Arc<str>,
}

/// The connection to one peer.
pub(crate) struct Link {
    links: Links,
    to: NodeId,
    node: Node,
}

impl RaftNetworkFactory<TypeConfig> for Links {
    type Network = Link;

    async fn new_client(&mut self, target: NodeId, node: &Node) -> Link {
        Link { links: self.clone(), to: target, node: node.clone() }
    }
}

impl Link {
    async fn call(&self, body: RpcBody, deadline: Duration) -> Result<ReplyBody, TransportError> {
        let Links { transport, clock, cluster } = &self.links;
        let rpc = Rpc { cluster: Arc::clone(cluster), body };
        let reply = transport.call(self.to, &self.node, rpc, deadline);
        // The transport should keep the deadline itself. This timeout ensures that a lost message does not stall the
        // engine.
        let reply = timeout(&**clock, deadline, reply).await.map_err(|_| TransportError::Timeout)??;
        Ok(reply.0)
    }
}

impl RaftNetworkV2<TypeConfig> for Link {
    type SnapshotData = Bytes;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        match self.call(RpcBody::Append(rpc), option.soft_ttl()).await.map_err(failed)? {
            ReplyBody::Append(reply) => Ok(reply),
            other => Err(mismatch(&other)),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        match self.call(RpcBody::Vote(rpc), option.soft_ttl()).await.map_err(failed)? {
            ReplyBody::Vote(reply) => Ok(reply),
            other => Err(mismatch(&other)),
        }
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        match self.call(RpcBody::PreVote(rpc), option.soft_ttl()).await.map_err(failed)? {
            ReplyBody::Vote(reply) => Ok(reply),
            other => Err(mismatch(&other)),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: SnapshotOf<TypeConfig, Bytes>,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let deadline = snapshot_deadline(snapshot.snapshot.len()).min(option.soft_ttl());
        let body = SnapshotRequest { vote, meta: snapshot.meta, body: Payload(snapshot.snapshot) };
        let sent = self.call(RpcBody::Snapshot(body), deadline);
        let reply = tokio::select! {
            // Check for cancellation first: the engine no longer needs the reply then.
            biased;
            closed = cancel => return Err(closed.into()),
            reply = sent => reply,
        };
        match reply {
            Ok(ReplyBody::Snapshot(reply)) => Ok(reply),
            Ok(other) => Err(StreamingError::Network(NetworkError::from_string(wrong_kind(&other)))),
            Err(TransportError::Unreachable(reason)) => Err(Unreachable::from_string(reason).into()),
            Err(error @ (TransportError::Timeout | TransportError::Refused(_))) => {
                Err(NetworkError::from_string(error).into())
            }
        }
    }

    async fn transfer_leader(
        &mut self,
        rpc: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        match self.call(RpcBody::TransferLeader(rpc), option.soft_ttl()).await.map_err(failed)? {
            ReplyBody::TransferLeader(reply) => Ok(reply),
            other => Err(mismatch(&other)),
        }
    }
}

/// The deadline depends on the size: if a peer is lost during a small transfer, its catch-up must not wait for
/// minutes.
fn snapshot_deadline(bytes: usize) -> Duration {
    let seconds = u32::try_from(bytes / SNAPSHOT_BYTES_PER_SECOND).unwrap_or(u32::MAX);
    SNAPSHOT_TIMEOUT_MIN.saturating_add(Duration::from_secs(1).saturating_mul(seconds))
}

fn failed(error: TransportError) -> RPCError<TypeConfig> {
    match error {
        TransportError::Unreachable(reason) => Unreachable::from_string(reason).into(),
        error @ (TransportError::Timeout | TransportError::Refused(_)) => {
            NetworkError::from_string(error).into()
        }
    }
}

fn mismatch(reply: &ReplyBody) -> RPCError<TypeConfig> {
    NetworkError::from_string(wrong_kind(reply)).into()
}

fn wrong_kind(reply: &ReplyBody) -> String {
    let kind = match reply {
        ReplyBody::Append(_) => "append",
        ReplyBody::Vote(_) => "vote",
        ReplyBody::Snapshot(_) => "snapshot",
        ReplyBody::TransferLeader(_) => "transfer-leader",
    };
    format!("the peer answered with a reply of another kind: {kind}")
}
