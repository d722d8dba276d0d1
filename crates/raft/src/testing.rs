//! A network in memory, with partitions, losses and delays, for tests of this crate and of crates that use it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use concord_runtime::{BoxFuture, Clock, Entropy};
use futures::FutureExt as _;
use parking_lot::Mutex;

use crate::engine::{Node, NodeId};
use crate::raft::Raft;
use crate::transport::{Rpc, RpcKind, RpcReply, Transport, TransportError};

/// Connects nodes of one process. Clones are the same network.
#[derive(Clone)]
pub struct Network {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    nodes: BTreeMap<NodeId, Handler>,
    /// Directed: messages from the first to the second are lost.
    cut: BTreeSet<(NodeId, NodeId)>,
    loss_percent: u64,
    delay_max: Duration,
    delivered: BTreeMap<RpcKind, u64>,
}

type Handler = Arc<dyn Fn(Rpc) -> BoxFuture<'static, Result<RpcReply, TransportError>> + Send + Sync>;

/// One node's end of the network.
struct End {
    network: Network,
    from: NodeId,
}

impl Network {
    /// A perfect network. The entropy decides about losses and delays.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { inner: Arc::new(Inner { clock, entropy, state: Mutex::default() }) }
    }

    /// The transport for the node with this number.
    #[must_use]
    pub fn end(&self, from: NodeId) -> Arc<dyn Transport> {
        Arc::new(End { network: self.clone(), from })
    }

    /// Makes a node reachable. Replaces an earlier one with the same number.
    pub fn attach<R: Send + Sync + 'static>(&self, id: NodeId, raft: &Raft<R>) {
        let raft = raft.clone();
        let handler: Handler = Arc::new(move |rpc| {
            let raft = raft.clone();
            // Encode and decode, so that every test also tests the wire form.
            let rpc = Rpc::decode(&rpc.encode()).expect("what was encoded decodes");
            async move {
                let reply = raft.handle(rpc).await;
                let reply = reply.map_err(|error| TransportError::Refused(error.to_string()))?;
                Ok(RpcReply::decode(&reply.encode()).expect("what was encoded decodes"))
            }
            .boxed()
        });
        self.inner.state.lock().nodes.insert(id, handler);
    }

    /// Passes messages for this number to `seen`, and never answers them.
    pub fn attach_handler(&self, id: NodeId, seen: Arc<dyn Fn(Rpc) + Send + Sync>) {
        let handler: Handler = Arc::new(move |rpc| {
            seen(rpc);
            futures::future::pending().boxed()
        });
        self.inner.state.lock().nodes.insert(id, handler);
    }

    /// Makes a node unreachable, as if its process had ended.
    pub fn detach(&self, id: NodeId) {
        self.inner.state.lock().nodes.remove(&id);
    }

    /// Loses all messages between the two sides, in both directions.
    pub fn partition(&self, one: &[NodeId], other: &[NodeId]) {
        let mut state = self.inner.state.lock();
        for a in one {
            for b in other {
                state.cut.insert((*a, *b));
                state.cut.insert((*b, *a));
            }
        }
    }

    /// Loses all messages in one direction.
    pub fn cut(&self, from: NodeId, to: NodeId) {
        self.inner.state.lock().cut.insert((from, to));
    }

    /// Ends all partitions, losses and delays.
    pub fn heal(&self) {
        let mut state = self.inner.state.lock();
        state.cut.clear();
        state.loss_percent = 0;
        state.delay_max = Duration::ZERO;
    }

    /// Loses this share of messages and of replies, and delays the rest by up to `delay_max`.
    pub fn disturb(&self, loss_percent: u64, delay_max: Duration) {
        let mut state = self.inner.state.lock();
        state.loss_percent = loss_percent;
        state.delay_max = delay_max;
    }

    /// How many messages of a kind were delivered.
    #[must_use]
    pub fn delivered(&self, kind: RpcKind) -> u64 {
        let state = self.inner.state.lock();
        state.delivered.get(&kind).copied().unwrap_or(0)
    }

    /// Whether a message passes now, and with which delay.
    fn pass(&self, from: NodeId, to: NodeId) -> Option<Duration> {
        let state = self.inner.state.lock();
        let lost = state.cut.contains(&(from, to)) || self.inner.entropy.below(100) < state.loss_percent;
        (!lost).then(|| self.inner.entropy.jitter(state.delay_max))
    }

    async fn carry(self, from: NodeId, to: NodeId, rpc: Rpc) -> Result<RpcReply, TransportError> {
        // A lost message is never answered; the sender gives up by itself.
        let Some(delay) = self.pass(from, to) else {
            return futures::future::pending().await;
        };
        self.inner.clock.sleep(delay).await;
        let handler = {
            let mut state = self.inner.state.lock();
            let handler = state.nodes.get(&to).cloned();
            if handler.is_some() {
                *state.delivered.entry(rpc.kind()).or_default() += 1;
            }
            handler
        };
        let handler = handler.ok_or_else(|| TransportError::Unreachable("connection refused".to_owned()))?;
        let reply = handler(rpc).await;
        let Some(delay) = self.pass(to, from) else {
            return futures::future::pending().await;
        };
        self.inner.clock.sleep(delay).await;
        reply
    }
}

impl Transport for End {
    fn call(
        &self,
        to: NodeId,
        _: &Node,
        rpc: Rpc,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<RpcReply, TransportError>> {
        let (network, from) = (self.network.clone(), self.from);
        async move {
            let clock = Arc::clone(&network.inner.clock);
            let carried = concord_runtime::timeout(&*clock, deadline, network.carry(from, to, rpc)).await;
            carried.unwrap_or(Err(TransportError::Timeout))
        }
        .boxed()
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.inner.state.lock();
        f.debug_struct("Network").field("nodes", &state.nodes.keys()).field("cut", &state.cut).finish()
    }
}
