//! What entries may say with the others that are kept.
//!
//! The leader asks before it proposes a change, and every server asks again when it applies it: others may have
//! changed the rest meanwhile. A change answers for what it would break, not for what was broken before.

use std::sync::Arc;

use concord_model::ServiceRef;
use concord_model::entry::{Entry, EntryKind, EntryName, Protocol};

/// What is kept, as far as rules look.
pub trait Lookup {
    /// An entry of a kind that is kept whole.
    fn entry(&self, name: &EntryName) -> Option<Arc<Entry>>;
    /// The entries that depend on what a service is.
    fn links_to(&self, service: &ServiceRef) -> Vec<EntryName>;
    /// The services on which entries of a kind depend.
    fn linked_by(&self, kind: EntryKind) -> Vec<ServiceRef>;
}

/// A change of one entry.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// Which.
    pub name: &'a EntryName,
    /// What it becomes; none if it is removed.
    pub to: Option<&'a Entry>,
}

/// Why a change cannot stand beside what is kept. The texts begin as Consul's do.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum GraphFault {
    /// Permissions look at requests, which bytes do not have.
    #[error(
        "service {:?} has protocol {:?}, which is incompatible with L7 intentions permissions; \
         set Protocol to http, http2 or grpc in its service-defaults, or use Action", .service.to_string(), .protocol.as_str()
    )]
    PermissionsOnBytes {
        /// The destination.
        service: ServiceRef,
        /// What it speaks, or would.
        protocol: Protocol,
    },
    /// The mesh does not allow it.
    #[error(
        "cannot set MutualTLSMode=permissive because AllowEnablingPermissiveMutualTLS=false in the mesh config entry"
    )]
    Permissive,
}

/// What is kept, and what would be kept after a change.
#[derive(Clone, Copy)]
pub(super) struct Proposed<'a> {
    kept: &'a dyn Lookup,
    change: Option<Change<'a>>,
}

impl<'a> Proposed<'a> {
    pub(super) fn new(kept: &'a dyn Lookup, change: Change<'a>) -> Self {
        Self { kept, change: Some(change) }
    }

    /// What is kept now.
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

    /// What the entry that changes becomes.
    pub(super) fn to(&self) -> Option<&'a Entry> {
        self.change?.to
    }

    /// What the entry that changes is before.
    pub(super) fn from(&self) -> Option<Arc<Entry>> {
        self.kept.entry(self.name()?)
    }

    /// What is seen of an entry, as it would be.
    pub(super) fn see<T>(&self, name: &EntryName, look: impl FnOnce(&Entry) -> T) -> Option<T> {
        match self.change {
            Some(change) if change.name == name => change.to.map(look),
            _ => self.kept.entry(name).map(|entry| look(&entry)),
        }
    }

    /// What is kept.
    pub(super) fn kept(&self) -> &'a dyn Lookup {
        self.kept
    }
}
