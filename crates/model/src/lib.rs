//! The vocabulary of the mesh: names, identities, catalog records, intentions,
//! certificate-authority records and tokens, with constructors that refuse nonsense.
//!
//! Types here are plain data. They know neither JSON's public shape (`api` does) nor how they
//! are stored (`state`) nor what they mean together (`mesh`). Their serde form is the private,
//! self-describing form of the log, of snapshots and of messages between processes: named
//! fields, added to but never renamed.
//!
//! Partition, namespace and peer are part of every identity and key from the beginning: two
//! things that differ in one component are two things.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod ca;
pub mod catalog;
pub mod entry;
pub mod intention;
pub mod name;
pub mod proxy;
pub mod registration;
pub mod secret;
pub mod sni;
pub mod spiffe;
pub mod time;
pub mod token;
pub mod uuid;
mod words;

pub use crate::name::{
    CheckId, Datacenter, IdentityName, InstanceId, NameError, Namespace, NodeName, Partition, Pattern,
    PeerName, PolicyName, ServiceName, ServiceRef,
};
pub use crate::secret::Secret;
pub use crate::spiffe::{ServiceIdentity, SpiffeError, SpiffeId, TrustDomain};
pub use crate::time::{Now, Span, Timestamp};
pub use crate::uuid::Uuid;

use serde::{Deserialize, Serialize};

/// Whether a value says nothing: it is left out where it is kept, and in answers.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// When a record came into being and when it last changed, as indexes of the log.
///
/// Zero means "not stored yet".
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Stamp {
    /// Index of the log entry that created the record.
    pub create: u64,
    /// Index of the log entry that last changed the record.
    pub modify: u64,
}
