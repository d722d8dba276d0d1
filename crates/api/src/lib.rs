//! The public HTTP contract: the JSON exchanged with Consul's clients, and its conversion to the types of `model`.
//!
//! ```text
//! body ──► decode ──► definition, *Body ──► model      (faults name field and remedy)
//! model ──► one shape per answer (`from_model`) ──► encode::json
//! ```
//!
//! All special cases of that JSON are here and nowhere else: key styles, `null` beside `[]`, Go's escapes, times and
//! durations, the order of fields. This crate makes no decisions, reads no HTTP requests and knows no routes. Answers
//! that are plain lists, maps or texts (datacenters, the map of services with their tags, leader, peers) have no type
//! of their own.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod acl;
pub mod agent;
pub mod catalog;
pub mod chain;
pub mod connect;
mod content_hash;
pub mod decode;
pub mod definition;
pub mod encode;
pub mod entry;
pub mod entry_status;
pub mod explain;
pub mod fault;
pub mod fingerprint;
pub mod gateway;
pub mod health;
pub mod intention;
pub mod internal;
pub mod limits;
pub mod moment;
pub mod plan;
pub mod proxy;
pub mod proxy_status;
pub mod query;
pub mod select;
pub mod service;
mod shape;
mod spelled;
pub mod topology;

pub use crate::fault::{Fault, Faults, Problem};
pub use crate::moment::Moment;
