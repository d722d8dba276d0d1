//! The certificate authority: its roots, its configuration, and what it signs.

use std::collections::BTreeMap;

use concord_model::proxy::Settings;
use serde::{Deserialize, Serialize};

/// The published roots.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct ReadCaRoots {}

/// The CA's configuration, without secrets.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReadCaConfig {}

/// Changes the CA's configuration; rotates the root if that follows from it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SetCaConfig {
    /// Name of the provider.
    pub provider: String,
    /// Its settings, as the user wrote them.
    #[serde(default)]
    pub settings: Settings,
    /// What the caller believes the provider keeps; empty: no belief.
    #[serde(default)]
    pub state: BTreeMap<String, String>,
    /// Rotate even if the old root cannot sign the new one.
    #[serde(default)]
    pub force_without_cross_signing: bool,
    /// Rotate even if leaves depend on the root that has to make room.
    #[serde(default)]
    pub force_without_oldest_root: bool,
}

/// Signs a leaf for the identity the CSR names, if the caller has the right to it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SignLeaf {
    /// The certificate signing request, PEM.
    pub csr: String,
}
