//! Chains: how a connection or request finds its target. Chains are data and name their targets.
//!
//! Today's chains have one step. Routes and splits will be further kinds of [`ChainStep`], each with a
//! [`crate::Feature`], so that no proxy gets a step that it does not understand.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

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
pub struct Chain {
    /// Its name.
    pub id: ChainId,
    /// Its first step.
    pub start: ChainStep,
}

/// One step on the way to a target.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChainStep {
    /// The last step: a target.
    Resolve(Resolve),
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
    /// The targets it names.
    pub fn targets(&self) -> impl Iterator<Item = &TargetId> {
        let ChainStep::Resolve(resolve) = &self.start;
        std::iter::once(&resolve.target)
    }
}
