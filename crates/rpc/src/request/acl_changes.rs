//! That tokens or policies have changed, without a word about what.

use serde::{Deserialize, Serialize};

/// Waits for a change of any token or policy. The answer is empty: its index is that of the last
/// change. Agents hear by it that what they have resolved is to be resolved again.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct AwaitAclChange {}
