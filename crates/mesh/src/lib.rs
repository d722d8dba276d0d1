//! The meaning of configuration: which connections and requests are allowed, by which rule, and which change would
//! reverse that.
//!
//! This crate is pure. `state` stores entries, `api` defines their JSON form, and `proxy` and `xds` enforce
//! decisions. All of them use the single evaluator in [`intention`], so that all parts of the mesh agree.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod chain;
pub mod defaults;
pub mod entry;
pub mod explain;
pub mod gateway;
pub mod intention;
pub mod plan;
pub mod protocol;
pub mod request;
pub mod status;
pub mod topology;
