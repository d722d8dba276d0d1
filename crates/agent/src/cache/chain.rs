//! Discovery chains. One right opens the whole chain.

use std::borrow::Cow;
use std::sync::Arc;

use concord_model::chain::{ChainNode, CompiledChain};
use concord_rpc::request::ReadChain;
use concord_rpc::{Caller, Consistency};

use crate::cache::{Cached, Shared};

impl Cached for ReadChain {
    type Request = Self;
    type Kept = Arc<CompiledChain>;
    const SHARED: Shared = Shared::WhoMayAsk;
    const CONSISTENCY: Consistency = Consistency::Stale;

    fn request(&self) -> Cow<'_, Self> {
        Cow::Borrowed(self)
    }

    fn keep(&self, chain: Arc<CompiledChain>) -> Arc<CompiledChain> {
        chain
    }

    fn bytes(chain: &Arc<CompiledChain>) -> usize {
        let steps = |node: &ChainNode| match node {
            ChainNode::Router(node) => 2048 * node.routes.len(),
            ChainNode::Splitter(node) => 1024 * node.splits.len(),
            ChainNode::Resolver(node) => 1024 + 256 * node.failover.len(),
        };
        4096 + 1024 * chain.targets.len() + chain.nodes.values().map(steps).sum::<usize>()
    }

    fn less_for(&self, _: &Arc<CompiledChain>, _: &Caller) -> Option<Arc<CompiledChain>> {
        None
    }
}
