//! Sections of one kind, in the order of their names.

use std::ops::Index;
use std::sync::Arc;

use concord_model::entry::{Entry, EntryName};

use super::versioned::Versioned;
use crate::chain::{Chain, ChainId};
use crate::listener::{Listener, ListenerId};
use crate::target::{Target, TargetId};

/// A part of a snapshot that has a name of its own.
pub trait Named: PartialEq {
    /// Its name, unique within its kind and snapshot.
    type Id: Ord;
    /// Its name.
    fn id(&self) -> Self::Id;
}

impl Named for Entry {
    type Id = EntryName;
    fn id(&self) -> EntryName {
        self.name()
    }
}

impl Named for Target {
    type Id = TargetId;
    fn id(&self) -> TargetId {
        self.id.clone()
    }
}

impl Named for Chain {
    type Id = ChainId;
    fn id(&self) -> ChainId {
        self.id.clone()
    }
}

impl Named for Listener {
    type Id = ListenerId;
    fn id(&self) -> ListenerId {
        Self::id(self)
    }
}

/// Sections of one kind, in the order of their names, each of which is there once. They take no more room than their
/// number: a server has thousands of snapshots, and they change seldom.
#[derive(Debug, Eq, PartialEq)]
pub struct Sections<T>(Vec<Versioned<T>>);

impl<T> Clone for Sections<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Sections<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Sections<T> {
    /// The sections, in the order of their names.
    pub fn values(&self) -> std::slice::Iter<'_, Versioned<T>> {
        self.0.iter()
    }

    /// Their number.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Named> Sections<T> {
    /// The sections with these values, which are in the order of their names. What says the same as in `last` keeps
    /// its version and its memory; all else gets the version `next`.
    pub(crate) fn after(last: Option<&Self>, values: impl IntoIterator<Item = Arc<T>>, next: u64) -> Self {
        let of = |value: Arc<T>| {
            let id = value.id();
            Versioned::after(last.and_then(|last| last.get(&id)), value, next)
        };
        let mut sections: Vec<_> = values.into_iter().map(of).collect();
        sections.shrink_to_fit();
        debug_assert!(sections.is_sorted_by(|a, b| a.id() < b.id()), "the values are in order");
        Self(sections)
    }

    /// The section with this name.
    pub fn get(&self, id: &T::Id) -> Option<&Versioned<T>> {
        self.find(id).ok().map(|at| &self.0[at])
    }

    /// Whether there is a section with this name.
    pub fn contains_key(&self, id: &T::Id) -> bool {
        self.find(id).is_ok()
    }

    /// The names, in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = T::Id> {
        self.0.iter().map(|section| section.id())
    }

    /// Adds a section, or replaces the one with its name.
    pub fn insert(&mut self, section: Versioned<T>) {
        match self.find(&section.id()) {
            Ok(at) => self.0[at] = section,
            Err(at) => self.0.insert(at, section),
        }
    }

    /// Removes a section, if it is there.
    pub(crate) fn remove(&mut self, id: &T::Id) {
        if let Ok(at) = self.find(id) {
            self.0.remove(at);
        }
    }

    fn find(&self, id: &T::Id) -> Result<usize, usize> {
        self.0.binary_search_by(|section| section.id().cmp(id))
    }
}

impl<T: Named> FromIterator<Versioned<T>> for Sections<T> {
    /// The sections in any order; of those with the same name, the last.
    fn from_iter<I: IntoIterator<Item = Versioned<T>>>(sections: I) -> Self {
        let mut own = Self::default();
        sections.into_iter().for_each(|section| own.insert(section));
        own
    }
}

/// # Panics
/// There is no section with this name.
impl<T: Named> Index<&T::Id> for Sections<T> {
    type Output = Versioned<T>;

    fn index(&self, id: &T::Id) -> &Versioned<T> {
        self.get(id).expect("a section with this name")
    }
}
