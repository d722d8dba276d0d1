//! The approximate size of records, for the questions that cache them.

use concord_model::catalog::{Check, Node};
use concord_model::intention::{ServiceIntentions, SourceIntention};

/// Counts an entry twice: as it is, and compiled.
pub(super) fn intention_bytes(entry: &ServiceIntentions) -> usize {
    let source = |one: &SourceIntention| 600 + 2 * one.description.len();
    1024 + entry.sources.iter().map(source).sum::<usize>()
}

pub(super) fn node_bytes(node: &Node) -> usize {
    let pairs = node.meta.iter().chain(&node.tagged_addresses);
    256 + pairs.map(|(key, value)| 64 + key.len() + value.len()).sum::<usize>()
}

pub(super) fn check_bytes(check: &Check) -> usize {
    let definition = check.definition.iter().map(|(key, value)| 64 + key.len() + value.to_string().len());
    384 + check.name.len() + check.notes.len() + check.output.len() + definition.sum::<usize>()
}
