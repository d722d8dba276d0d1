//! The data plane on real sockets: two proxies, real local services, real TLS peers, a scripted
//! source of snapshots before a real certificate authority.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod world;

mod authority;
mod identity;
mod intentions;
mod lifecycle;
mod limits;
mod listeners;
mod traffic;
