//! Waits for changes of tokens or policies.

use serde::{Deserialize, Serialize};

/// Waits for a change of any token or policy. The answer is empty; its index is that of the last change. It tells
/// agents that they have to resolve their tokens again.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct AwaitAclChange {}
