//! Tests of Envoy's configuration, from outside.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod api_age;
mod causes;
mod delta;
mod envoy;
mod exposed;
mod given;
mod intentions;
mod logs;
// Those by which the decision function is tested.
#[path = "../../../mesh/tests/it/made_request.rs"]
mod made_request;
#[allow(dead_code, reason = "the tests of `mesh` use more of it")]
#[path = "../../../mesh/tests/it/random.rs"]
mod random;
mod routes;
mod settings;
mod sidecar;
mod tokens;
mod tracing;
mod world;
