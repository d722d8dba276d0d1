//! What a reload changes, and what it cannot.

use crate::knob::{KNOBS, Reload};
use crate::section::Config;

/// A knob whose value differs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Change {
    /// The key.
    pub key: &'static str,
    /// Whether the new value can be put into force without a restart.
    pub reloadable: bool,
}

/// The knobs that differ between two configurations, in the order of the table.
///
/// Changes that are not reloadable are to be reported and have no effect before a restart.
pub fn reload_diff(old: &Config, new: &Config) -> Vec<Change> {
    let changed = KNOBS.iter().filter(|knob| (knob.value)(old) != (knob.value)(new));
    changed.map(|knob| Change { key: knob.key, reloadable: knob.reload == Reload::Yes }).collect()
}
