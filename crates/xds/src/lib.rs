//! What Envoy is told.
//!
//! [`bootstrap`] is the configuration that Envoy starts with: who it is, where it gets the rest, and how it is
//! observed. [`access_log`] has the access logs of both. [`sidecar`] makes the [`ResourceSet`] of a sidecar from its [`concord_proxycfg::ProxySnapshot`]: clusters,
//! endpoints, listeners, secrets. [`delta::State`] is the machine of one incremental aggregated discovery stream: it is
//! told what Envoy asks for and what Envoy should have, and says what to send (D53). [`names`] has the names that
//! Envoy, its statistics and its users see.
//!
//! Everything here is pure: the same input gives the same bytes. `front` owns the streams.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod access_log;
pub mod bootstrap;
pub mod causes;
pub mod delta;
pub mod names;
mod resource;
mod sidecar;

pub use crate::resource::{Name, Pool, Resource, ResourceSet, ResourceType, Version};
pub use crate::sidecar::{Configuration, Fault, HeaderFault, UNDERSTANDS, Unserved, Unsupported, sidecar};
