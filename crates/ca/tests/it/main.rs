//! Tests of the crate from outside: other tools can read its certificates, and rotations survive crashes.

#![allow(clippy::print_stderr, clippy::unwrap_used, reason = "a test may say why and stop")]

mod cluster;
mod names;
mod openssl;
mod rotation;
