//! Rules about entries in relation to the other stored entries.
//!
//! The leader checks a change before it proposes it, and every server checks it again when it applies it, because
//! other entries may have changed in between. A change is refused only for what it would break, not for what was
//! already broken.

use std::sync::Arc;

use concord_model::ServiceRef;
use concord_model::entry::{Entry, EntryKind, EntryName, Protocol};
use concord_model::intention::Destination;

use crate::chain::ChainFault;

/// Since this rule set, entries must find the entries that they refer to.
pub const REFERENCE_RULES: u32 = 5;
/// Since this rule set, no change breaks a discovery chain.
pub(super) const CHAIN_RULES: u32 = 5;

/// The stored data that the rules read.
pub trait Lookup {
    /// The rule set in force.
    fn rule_set(&self) -> u32;
    /// A destination whose intentions ask for tokens of this issuer, if there is one.
    fn asks_for_tokens_of(&self, provider: &str) -> Option<Destination>;
    /// An entry of a kind that is a single row.
    fn entry(&self, name: &EntryName) -> Option<Arc<Entry>>;
    /// The entries that depend on a property of a service.
    fn links_to(&self, service: &ServiceRef) -> Vec<EntryName>;
    /// The services on which entries of a kind depend.
    fn linked_by(&self, kind: EntryKind) -> Vec<ServiceRef>;
    /// The names of the entries of a kind.
    fn named(&self, kind: EntryKind) -> Vec<EntryName>;
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
    /// The chain of a service could be compiled before, and could not be compiled any more.
    #[error(transparent)]
    Chain(Box<ChainFault>),
    /// Requests of peered clusters would leave this cluster again.
    #[error(
        "peer exported service {:?} contains {what}; remove it from the service-resolver, or the service from \
         exported-services", .service.to_string()
    )]
    LeavesCluster {
        /// The exported service.
        service: ServiceRef,
        /// What leads to another cluster.
        what: &'static str,
    },
    /// Peered clusters know the services by which they reach an exported one without requests.
    #[error(
        "peer exported service {:?} uses protocol={:?} and cannot introduce new discovery chain targets like {target:?}; \
         take the service out of exported-services first", .service.to_string(), .protocol.as_str()
    )]
    NewTarget {
        /// The exported service.
        service: ServiceRef,
        /// Its protocol.
        protocol: Protocol,
        /// The id of a new target.
        target: String,
    },
    /// The mesh entry does not allow it.
    #[error(
        "cannot set MutualTLSMode=permissive because AllowEnablingPermissiveMutualTLS=false in the mesh config entry"
    )]
    Permissive,
    /// A gateway of another kind has the name.
    #[error(
        "cannot create a {:?} config entry with name {:?}, a {:?} config entry with that name already exists; \
         give the gateway another name", .name.kind.as_str(), .name.as_str(), .other.as_str()
    )]
    GatewayClash {
        /// The entry.
        name: EntryName,
        /// The kind of the other gateway.
        other: EntryKind,
    },
    /// A service has another protocol than the listener of an ingress gateway that names it.
    #[error(
        "service {:?} has protocol {:?}, which does not match defined listener protocol {:?}; change Protocol in its \
         service-defaults, or in the listener of the ingress-gateway",
        .service.to_string(), .protocol.as_str(), .expected.as_str()
    )]
    OtherListenerProtocol {
        /// The service.
        service: ServiceRef,
        /// Its present or future protocol.
        protocol: Protocol,
        /// The listener's protocol.
        expected: Protocol,
    },
    /// An intention names an issuer of tokens without an entry.
    #[error(
        "Referenced JWT Provider does not exist. Provider Name: {provider}; write its jwt-provider entry first"
    )]
    NoProvider {
        /// The name of the missing entry.
        provider: String,
    },
    /// Intentions name the issuer of tokens that is to be removed.
    #[error(
        "cannot delete jwt provider config entry referenced by an intention. Provider name: {provider}, \
         intention name: {:?}; take it out of the intention first", .destination.to_string()
    )]
    ProviderInUse {
        /// The entry.
        provider: String,
        /// The destination of the intentions.
        destination: Destination,
    },
}

impl From<ChainFault> for GraphFault {
    fn from(fault: ChainFault) -> Self {
        Self::Chain(Box::new(fault))
    }
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

    /// Whether these rules are in force.
    pub(super) fn keeps(&self, rules: u32) -> bool {
        self.kept.rule_set() >= rules
    }

    /// An entry as it would be after the change.
    pub(super) fn find(&self, name: &EntryName) -> Option<Arc<Entry>> {
        match self.change {
            Some(change) if change.name == name => change.to.cloned().map(Arc::new),
            _ => self.kept.entry(name),
        }
    }

    /// The stored entries.
    pub(super) fn kept(&self) -> &'a dyn Lookup {
        self.kept
    }
}
