//! Chains: how a connection or request finds its target. Chains are data and name their targets.
//!
//! A kind of [`ChainStep`] has its own [`crate::Feature`], so that no proxy gets a step that it does not understand.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use concord_mesh::chain::{CompiledChain, Overrides};
use concord_model::{Datacenter, ServiceRef};
use serde::{Deserialize, Serialize};

use crate::id::UpstreamId;
use crate::target::TargetId;

/// The name of a chain within its proxy.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct ChainId(Arc<str>);

impl ChainId {
    /// The name of an upstream's chain.
    pub fn of(upstream: &UpstreamId) -> Self {
        Self(upstream.as_str().into())
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How connections find their target.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(from = "Steps")]
pub struct Chain {
    /// Its name.
    pub id: ChainId,
    /// Its first step.
    pub start: ChainStep,
    /// What its steps name, in order.
    #[serde(skip)]
    targets: Vec<TargetId>,
}

/// The wire form of a chain.
#[derive(Deserialize)]
struct Steps {
    id: ChainId,
    start: ChainStep,
}

impl From<Steps> for Chain {
    fn from(Steps { id, start }: Steps) -> Self {
        Self::new(id, start)
    }
}

/// One step on the way to a target.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChainStep {
    /// The last step: a target.
    Resolve(Resolve),
    /// All steps of a discovery chain, as configuration entries make it.
    Compiled(Arc<CompiledChain>),
}

/// The last step: a target, and how to connect to it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Resolve {
    /// The target.
    pub target: TargetId,
    /// Time limit for connecting to an instance; `None`: the proxy's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<Duration>,
}

impl Chain {
    /// A chain that begins with this step.
    pub fn new(id: ChainId, start: ChainStep) -> Self {
        let mut targets: Vec<_> = match &start {
            ChainStep::Resolve(resolve) => vec![resolve.target.clone()],
            ChainStep::Compiled(chain) => chain.targets.values().filter_map(TargetId::of_chain).collect(),
        };
        targets.sort();
        targets.dedup();
        targets.shrink_to_fit();
        Self { id, start, targets }
    }

    /// The targets it names, in order. Those in peered clusters are left out: they have no name here yet.
    pub fn targets(&self) -> &[TargetId] {
        &self.targets
    }
}

/// Whose discovery chain an upstream needs.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct ChainQuestion {
    /// The chain of the snapshot that it becomes.
    pub chain: ChainId,
    /// The service.
    pub service: ServiceRef,
    /// The datacenter for which it is compiled.
    pub datacenter: Datacenter,
    /// What the upstream's settings say otherwise than the entries.
    pub overrides: Overrides,
}
