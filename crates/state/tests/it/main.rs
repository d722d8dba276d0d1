//! One binary for the integration tests of this crate.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod acl;
mod address;
mod ca;
mod catalog;
mod corpus;
mod entry_time;
mod graph;
mod intention;
mod isolation;
mod log;
mod samples;
mod snapshot;
