//! Tests of the snapshot machine, from outside.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod chains;
mod corpus;
mod described;
mod endpoint;
mod feature;
mod machine;
mod registration;
mod section;
mod world;
