//! What a snapshot is made from: whose it is, and up to which index it contains the configuration entries.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_model::entry::EntryName;
use concord_model::{NodeName, ServiceRef};
use concord_proxycfg::ChainId;

/// What the snapshot at this place of a stream is made from. It stays in the process of the agent that made it.
///
/// An entry that was last written at index `n` is in a part whose index is `n` or more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Basis {
    /// The service that the proxy acts for.
    pub service: ServiceRef,
    /// The node where it is registered.
    pub node: NodeName,
    /// What was merged into its registration; `None` if entries do not concern it, or if they are not known.
    pub registration: Option<MergedEntries>,
    /// The index of each chain in use.
    pub chains: BTreeMap<ChainId, u64>,
    /// The index of the intentions; 0 while they are not known.
    pub intentions: u64,
    /// The index of each other entry.
    pub entries: BTreeMap<EntryName, u64>,
}

/// What was merged into a registration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MergedEntries {
    /// Up to which index.
    pub index: u64,
    /// The entries that exist.
    pub entries: Arc<[EntryName]>,
}

impl Basis {
    /// Of a proxy of which nothing else is known.
    pub fn new(service: ServiceRef, node: NodeName) -> Self {
        let (chains, entries) = Default::default();
        Self { service, node, registration: None, chains, intentions: 0, entries }
    }
}
