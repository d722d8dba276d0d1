//! Tests of the mesh's meaning, from outside.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod chain;
mod decide;
mod defaults;
mod explain;
mod explain_request;
mod gateways;
mod kinds;
mod made_request;
mod merge;
mod oracle;
mod plan;
mod random;
mod random_request;
mod refusals;
mod request;
mod request_oracle;
mod routes;
mod rules;
mod served;
mod settled;
mod status;
mod tokens;
mod validate;
