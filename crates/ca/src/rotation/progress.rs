//! The progress of a rotation, as the configuration stores it.

use std::collections::BTreeMap;
use std::time::Duration;

use concord_model::Timestamp;
use concord_model::ca::{CaConfig, CaRoot};
use concord_model::proxy::Settings;
use serde::{Deserialize, Serialize};

use crate::limits::PRUNE_AFTER_LEAF_LIVES;

/// The key in the configuration's state for the progress of a rotation. It is not shown to users.
pub const PROGRESS_KEY: &str = "rotation";

/// The progress of a rotation, and when old roots are removed.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Progress {
    /// A root that is published but not active, and its configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// When each root that was rotated out will be removed.
    #[serde(default)]
    pub retire_at: BTreeMap<String, Timestamp>,
    /// Longest life of leaves since the active root became active, in seconds. A lower life later does not shorten
    /// them.
    #[serde(default)]
    pub longest_leaf_life: u64,
}

/// A rotation between `stage` and `activate`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Pending {
    /// Id of the new root.
    pub root_id: String,
    /// The kind of the new provider.
    pub provider: String,
    /// Its settings, without secrets.
    pub settings: Settings,
    /// Whether the new root may lack a cross-signature of the old one.
    pub force_without_cross_signing: bool,
    /// The new life of leaves, in seconds.
    pub leaf_life: u64,
    /// When the root becomes active even if some subscribers have not confirmed.
    pub confirm_by: Timestamp,
}

impl Progress {
    /// Reads the progress from the configuration. Unreadable progress counts as none.
    pub fn of(config: &CaConfig) -> Self {
        config.state.get(PROGRESS_KEY).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    pub(super) fn store(&self, config: &mut CaConfig) {
        let text = serde_json::to_string(self).expect("plain data has a JSON form");
        config.state.insert(PROGRESS_KEY.to_owned(), text);
    }

    /// When the last leaf that this inactive root may have signed ends.
    pub(super) fn free_at(&self, root: &CaRoot) -> Timestamp {
        let Some(out) = root.rotated_out_at else { return Timestamp::EPOCH };
        match self.retire_at.get(&root.id) {
            Some(retire_at) => out.plus(retire_at.since(out) / PRUNE_AFTER_LEAF_LIVES),
            None => out.plus(Duration::from_secs(self.longest_leaf_life)),
        }
    }
}

/// The configuration's state without concord's own entries, for users.
pub fn public_state(config: &CaConfig) -> BTreeMap<String, String> {
    config
        .state
        .iter()
        .filter(|(key, _)| *key != PROGRESS_KEY)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
