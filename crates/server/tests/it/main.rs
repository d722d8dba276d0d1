//! A whole server, driven only through [`concord_rpc::ServerApi`].

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod acl;
mod catalog;
mod intention;
mod reading;
mod world;
