//! What is added to the fixed frame, as settings and flags ask for it.

use serde_json::Value;

use super::error::BootstrapError;
use super::input::Bootstrap;
use super::{listeners, sinks, tags};

/// What is added to the fixed frame.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) resources: listeners::Resources,
    pub(super) sinks: Vec<Value>,
    pub(super) stats_config: Value,
}

impl Parts {
    pub(super) fn of(own: &Bootstrap) -> Result<Self, BootstrapError> {
        Ok(Self {
            resources: listeners::resources(own)?,
            sinks: sinks::of(&own.settings)?,
            stats_config: own.settings.stats_config.clone().unwrap_or_else(|| tags::stats_config(own)),
        })
    }
}
