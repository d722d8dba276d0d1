//! What is compared, and for whom.

use std::fmt;

use concord_model::intention::ServiceIntentions;
use concord_model::{Datacenter, ServiceRef};

use crate::entry::Lookup;
use crate::intention::DefaultPolicy;

/// The entries on one side of a change.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// Finds each entry that is no `service-intentions`.
    pub entries: &'a dyn Lookup,
    /// All intentions.
    pub intentions: &'a [ServiceIntentions],
}

/// What is compared, and for whom.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The services that may call, each once.
    pub callers: &'a [ServiceRef],
    /// The services to which their calls are compared, each once.
    pub called: &'a [ServiceRef],
    /// The services that have a chain even if no entry names them.
    pub known: &'a [ServiceRef],
    /// Whether the chain of a service may be told.
    pub sees_chain: &'a dyn Fn(&ServiceRef) -> bool,
    /// Whether nobody waits for more. It is asked between two comparisons; those that are left are not made, and the
    /// result says that it was cut.
    pub enough: &'a dyn Fn() -> bool,
    /// The decision where no intention covers a pair.
    pub default: DefaultPolicy,
    /// The datacenter for which chains are compiled.
    pub datacenter: &'a Datacenter,
}

impl fmt::Debug for Side<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Side").finish_non_exhaustive()
    }
}

impl fmt::Debug for Facts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facts").finish_non_exhaustive()
    }
}
