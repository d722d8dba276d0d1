//! What Envoy is told.
//!
//! [`bootstrap`] is the configuration that Envoy starts with: who it is, where it gets the rest, and how it is
//! observed. Everything here is pure: the same input gives the same bytes.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod bootstrap;
