//! The content of one response.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::resource::{Name, Resource};

/// The content of one response.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// New and changed resources.
    pub(super) updated: Vec<Arc<Resource>>,
    /// Resources that Envoy should forget.
    pub(super) removed: Vec<Name>,
    /// Resources that Envoy asked for again, or lost, while this was on its way.
    pub(super) forgotten: BTreeSet<Name>,
}

impl Batch {
    /// The names of everything in it.
    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.updated.iter().map(|resource| &resource.name).chain(&self.removed)
    }
}
