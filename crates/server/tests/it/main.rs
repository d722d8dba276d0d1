//! A whole server, driven only through [`concord_rpc::ServerApi`].

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
#![allow(
    clippy::disallowed_methods,
    reason = "each test owns a runtime with a paused clock: it spawns and sleeps there"
)]

mod acl;
mod acl_changes;
mod ca;
mod catalog;
mod certificate;
mod chain;
mod csr;
mod entries;
mod follow_proxy;
mod gateways;
mod growth;
mod identities;
mod intention;
mod intention_by_id;
mod isolation;
mod merging;
mod plan;
mod provider;
mod reading;
mod replies;
mod rotation;
mod sealing;
mod served;
mod world;
