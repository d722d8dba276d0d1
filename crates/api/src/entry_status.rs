//! The JSON of `config/status/:kind/:name`: what an entry does as it stands.
//!
//! This endpoint is our own; Consul has none like it. What would change without the entry has the shapes of
//! `config/plan`, as if it was deleted. Services are named as in `connect/intentions/explain`.

use serde::{Deserialize, Serialize};

use crate::plan::{PlannedChains, PlannedVerdicts};
use crate::shape::{is_default, null_default};

/// What an entry does.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ConfigStatus {
    /// The entry's kind.
    pub kind: String,
    /// The entry's name.
    pub name: String,
    /// The index at which it last changed.
    pub modify_index: u64,
    /// Whether it would be accepted if it was written today.
    pub accepted: bool,
    /// Why it would not; left out if it would.
    #[serde(skip_serializing_if = "is_default")]
    pub reason: String,
    /// Whether the built-in proxy acts by entries of its kind.
    pub heeded: bool,
    /// The discovery chains in which it takes part.
    pub chains: TakesPart,
    /// The verdicts that would be reversed without it.
    pub verdicts: PlannedVerdicts,
    /// The discovery chains that would change without it.
    pub changes: PlannedChains,
    /// The services whose sidecars or gateways it configures.
    pub proxies: ListedServices,
    /// The services that it names.
    pub names: ListedServices,
}

/// The discovery chains in which an entry takes part.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct TakesPart {
    /// How many can be compiled.
    pub whole: usize,
    /// How many cannot.
    pub broken: usize,
    /// Whether all were compiled. If not, the counts are lower bounds.
    pub complete: bool,
    /// The first of those that cannot, by service.
    #[serde(deserialize_with = "null_default")]
    pub listed: Vec<BrokenChain>,
}

/// A discovery chain that cannot be compiled.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct BrokenChain {
    /// The service.
    pub service: String,
    /// The reason.
    pub fault: String,
}

/// Services, of which the first are listed.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ListedServices {
    /// How many there are.
    pub count: usize,
    /// The first of them.
    #[serde(deserialize_with = "null_default")]
    pub listed: Vec<String>,
}
