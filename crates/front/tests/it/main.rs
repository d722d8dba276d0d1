//! The HTTP API of a whole agent, driven over real sockets.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod acl;
mod agent;
mod blocking;
mod browsers;
mod catalog;
mod clocks;
mod compression;
mod connect;
mod differences;
mod discovery;
mod framing;
mod gateways;
mod ledger;
mod manners;
mod merging;
mod patience;
mod public;
mod rights;
mod table;
mod world;
