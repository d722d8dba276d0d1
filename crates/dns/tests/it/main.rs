//! DNS over real sockets, answered from a real server's catalog.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod forms;
mod noise;
mod recursion;
mod rights;
mod sizes;
mod sockets;
mod teller;
mod world;
