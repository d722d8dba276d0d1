//! The certificate authority: its roots, its configuration, and signatures.

use std::collections::BTreeMap;

use concord_model::proxy::Settings;
use serde::{Deserialize, Serialize};

/// The published roots.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct ReadCaRoots {}

/// The CA's configuration, without secrets.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReadCaConfig {}

/// Changes the CA configuration. Rotates the root if the change requires it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SetCaConfig {
    /// Name of the provider.
    pub provider: String,
    /// Its settings, as the user wrote them.
    #[serde(default)]
    pub settings: Settings,
    /// The provider's data as the caller knows it; empty: no expectation.
    #[serde(default)]
    pub state: BTreeMap<String, String>,
    /// Rotate even if the old root cannot sign the new one.
    #[serde(default)]
    pub force_without_cross_signing: bool,
    /// Rotate even if leaves depend on the oldest root, which has to be dropped.
    #[serde(default)]
    pub force_without_oldest_root: bool,
}

/// Signs a leaf for the identity in the CSR, if the caller has the right to it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SignLeaf {
    /// The certificate signing request, PEM.
    pub csr: String,
}
