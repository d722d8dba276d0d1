//! Definitions: what users write to register services and checks, in request bodies and in files.
//!
//! ```text
//! text ──► Node ──► ServiceDefinition ──resolve──► LocalRegistration ──expand──► LocalService, its sidecar's
//!                   CheckDefinition   ──resolve──► CheckSpec
//! ```
//!
//! Keys are accepted in both styles. Resolving validates everything at once and applies defaults; its result can be
//! registered as it is. Expanding chooses the sidecar's port, so it comes last.

mod check;
pub(crate) mod field;
mod proxy;
mod registration;
mod service;
mod sidecar;

pub use check::{CheckDefinition, CheckOwner};
pub use proxy::{ProxyDefinition, UpstreamDefinition};
pub use registration::{LocalRegistration, expand_sidecar};
pub(crate) use service::CatalogDefinition;
pub use service::{
    AddressDefinition, ConnectDefinition, LocalityDefinition, ServiceDefinition, WeightsDefinition,
};
pub use sidecar::{SIDECAR_SUFFIX, Sidecar, lowest_free_port};

#[cfg(test)]
mod tests;

/// Checks other metadata (of the agent's node) by the rules for all metadata.
pub fn check_meta(field: &str, meta: &std::collections::BTreeMap<String, String>) -> Vec<crate::Fault> {
    let mut faults = Vec::new();
    field::meta(field, meta, &mut faults);
    faults
}
