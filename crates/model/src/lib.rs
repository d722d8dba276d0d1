//! The vocabulary of the mesh: names, identities, catalog records, intentions, records of the certificate authority,
//! and tokens. Constructors refuse invalid values.
//!
//! The types are plain data. `api` knows their public JSON form, `state` how they are stored, and `mesh` what they mean
//! together. Their serde form is private and self-describing; the log, snapshots and messages between processes use it.
//! Fields may be added to it, but are never renamed.
//!
//! Partition, namespace and peer are part of every identity and key: things that differ in one of them are not the
//! same.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod ca;
pub mod catalog;
pub mod chain;
pub mod entry;
pub mod intention;
pub mod name;
pub mod pool;
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
pub use crate::time::{Now, Span, Timeout, Timestamp};
pub use crate::uuid::Uuid;

use serde::{Deserialize, Serialize};

/// Whether a value is the default. Such values are omitted in storage and in answers.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The indexes of the log at which a record was created and last changed.
///
/// Zero means that the record is not stored yet.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Stamp {
    /// Index of the log entry that created the record.
    pub create: u64,
    /// Index of the log entry that last changed the record.
    pub modify: u64,
}
