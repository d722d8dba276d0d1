//! Rules about entries in relation to the other stored entries.
//!
//! The leader checks a change before it proposes it, and every server checks it again when it applies it, because
//! other entries may have changed in between. A change is refused only for what it would break, not for what was
//! already broken.

use std::sync::Arc;

use concord_model::ServiceRef;
use concord_model::entry::{Entry, EntryKind, EntryName, Protocol};

/// The stored data that the rules read.
pub trait Lookup {
    /// An entry of a kind that is a single row.
    fn entry(&self, name: &EntryName) -> Option<Arc<Entry>>;
    /// The entries that depend on a property of a service.
    fn links_to(&self, service: &ServiceRef) -> Vec<EntryName>;
    /// The services on which entries of a kind depend.
    fn linked_by(&self, kind: EntryKind) -> Vec<ServiceRef>;
}

/// A change of one entry.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The name of the entry.
    pub name: &'a EntryName,
    /// The new content; `None` if it is removed.
    pub to: Option<&'a Entry>,
}

/// Why a change conflicts with the stored entries. The texts begin like Consul's.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum GraphFault {
    /// Permissions check requests, and a TCP service has none.
    #[error(
        "service {:?} has protocol {:?}, which is incompatible with L7 intentions permissions; \
         set Protocol to http, http2 or grpc in its service-defaults, or use Action", .service.to_string(), .protocol.as_str()
    )]
    PermissionsOnBytes {
        /// The destination.
        service: ServiceRef,
        /// Its present or future protocol.
        protocol: Protocol,
    },
    /// The mesh entry does not allow it.
    #[error(
        "cannot set MutualTLSMode=permissive because AllowEnablingPermissiveMutualTLS=false in the mesh config entry"
    )]
    Permissive,
}

/// The stored entries, with the change applied.
#[derive(Clone, Copy)]
pub(super) struct Proposed<'a> {
    kept: &'a dyn Lookup,
    change: Option<Change<'a>>,
}

impl<'a> Proposed<'a> {
    pub(super) fn new(kept: &'a dyn Lookup, change: Change<'a>) -> Self {
        Self { kept, change: Some(change) }
    }

    /// The stored entries without a change.
    pub(super) fn standing(kept: &'a dyn Lookup) -> Self {
        Self { kept, change: None }
    }

    /// The same without the change.
    pub(super) fn before(self) -> Self {
        Self { change: None, ..self }
    }

    /// The name of the entry that changes.
    pub(super) fn name(&self) -> Option<&'a EntryName> {
        self.change.map(|change| change.name)
    }

    /// The new content of the changed entry.
    pub(super) fn to(&self) -> Option<&'a Entry> {
        self.change?.to
    }

    /// The stored content of the changed entry.
    pub(super) fn from(&self) -> Option<Arc<Entry>> {
        self.kept.entry(self.name()?)
    }

    /// Applies `look` to an entry as it would be after the change.
    pub(super) fn see<T>(&self, name: &EntryName, look: impl FnOnce(&Entry) -> T) -> Option<T> {
        match self.change {
            Some(change) if change.name == name => change.to.map(look),
            _ => self.kept.entry(name).map(|entry| look(&entry)),
        }
    }

    /// The stored entries.
    pub(super) fn kept(&self) -> &'a dyn Lookup {
        self.kept
    }
}
