//! What the entries of all kinds have.

use std::collections::BTreeMap;

use crate::Stamp;
use crate::intention::{Destination, ServiceIntentions, Source, SourceIntention};

/// What the entries of all kinds have.
pub(crate) trait KeptEntry: Clone + PartialEq {
    /// Partition, namespace and name.
    fn scope(&self) -> Destination;
    /// When it changed.
    fn stamp(&self) -> Stamp;
    /// Says when it changed.
    fn set_stamp(&mut self, stamp: Stamp);

    /// Whether two differ in nothing but when they were written.
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

    /// The order of the sources says nothing: they are tried by precedence.
    fn says_the_same(&self, other: &Self) -> bool {
        let Self { destination, sources, jwt, meta, stamp: _ } = self;
        (destination, jwt, meta) == (&other.destination, &other.jwt, &other.meta)
            && by_source(sources) == by_source(&other.sources)
    }
}

fn by_source(sources: &[SourceIntention]) -> BTreeMap<&Source, &SourceIntention> {
    sources.iter().map(|intention| (&intention.source, intention)).collect()
}
