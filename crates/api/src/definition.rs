//! Definitions: what users write to register services and checks, in request bodies as in files.
//!
//! ```text
//! text ──► Node ──► ServiceDefinition ──resolve──► LocalRegistration ──expand──► LocalService, its sidecar's
//!                   CheckDefinition   ──resolve──► CheckSpec
//! ```
//!
//! Keys are read in both styles. Resolving validates everything at once and gives defaults; what it returns
//! can be registered as it is. Expanding picks the sidecar's port and is therefore last.

mod check;
pub(crate) mod field;
mod proxy;
mod registration;
mod service;
mod sidecar;

pub use check::{CheckDefinition, CheckOwner};
pub use proxy::{ProxyDefinition, UpstreamDefinition};
pub use registration::{LocalRegistration, expand_sidecar};
pub use service::{
    AddressDefinition, ConnectDefinition, LocalityDefinition, ServiceDefinition, WeightsDefinition,
};
pub use sidecar::{SIDECAR_SUFFIX, Sidecar, lowest_free_port};

#[cfg(test)]
mod tests;

/// Checks metadata written elsewhere (of the agent's node) by the rules all metadata follow.
pub fn check_meta(field: &str, meta: &std::collections::BTreeMap<String, String>) -> Vec<crate::Fault> {
    let mut faults = Vec::new();
    field::meta(field, meta, &mut faults);
    faults
}
