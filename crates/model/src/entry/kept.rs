//! What the entries of all kinds have in common.

use std::collections::BTreeMap;

use crate::Stamp;
use crate::intention::{Destination, ServiceIntentions, Source, SourceIntention};

/// What the entries of all kinds have in common.
pub(crate) trait KeptEntry: Clone + PartialEq {
    /// Partition, namespace and name.
    fn scope(&self) -> Destination;
    /// When it changed.
    fn stamp(&self) -> Stamp;
    /// Sets when it changed.
    fn set_stamp(&mut self, stamp: Stamp);

    /// Whether both are equal except for their stamps.
    fn says_the_same(&self, other: &Self) -> bool {
        let mut other = other.clone();
        other.set_stamp(self.stamp());
        *self == other
    }
}

impl KeptEntry for ServiceIntentions {
    fn scope(&self) -> Destination {
        self.destination.clone()
    }

    fn stamp(&self) -> Stamp {
        self.stamp
    }

    fn set_stamp(&mut self, stamp: Stamp) {
        self.stamp = stamp;
    }

    /// The order of the sources has no meaning, because intentions are applied by precedence.
    fn says_the_same(&self, other: &Self) -> bool {
        let Self { destination, sources, jwt, meta, stamp: _ } = self;
        (destination, jwt, meta) == (&other.destination, &other.jwt, &other.meta)
            && by_source(sources) == by_source(&other.sources)
    }
}

fn by_source(sources: &[SourceIntention]) -> BTreeMap<&Source, &SourceIntention> {
    sources.iter().map(|intention| (&intention.source, intention)).collect()
}
