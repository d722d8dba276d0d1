//! Tests of Envoy's configuration, from outside.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod delta;
mod intentions;
mod routes;
mod sidecar;
mod world;
