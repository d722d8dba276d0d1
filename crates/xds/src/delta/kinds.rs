//! The types of resources on one stream.

use super::kind::Kind;
use crate::resource::ResourceType;

/// The types of which something is known. A stream has few, and each takes room, so those without are not there.
#[derive(Debug, Default)]
pub(super) struct Kinds([Option<Box<Kind>>; ResourceType::ALL.len()]);

impl Kinds {
    pub(super) fn get(&self, kind: ResourceType) -> Option<&Kind> {
        self.0[kind as usize].as_deref()
    }

    pub(super) fn get_mut(&mut self, kind: ResourceType) -> Option<&mut Kind> {
        self.0[kind as usize].as_deref_mut()
    }

    /// The state of a type, which begins here if there is none.
    pub(super) fn begun(&mut self, kind: ResourceType) -> &mut Kind {
        self.0[kind as usize].get_or_insert_default()
    }

    /// All that are there, in the order of the types.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ResourceType, &Kind)> {
        ResourceType::ALL.into_iter().filter_map(|kind| Some((kind, self.get(kind)?)))
    }

    /// All that are there, in the order of the types.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (ResourceType, &mut Kind)> {
        let all = ResourceType::ALL.into_iter().zip(&mut self.0);
        all.filter_map(|(kind, state)| Some((kind, state.as_deref_mut()?)))
    }
}
