//! What goes over the wire, held against samples that are kept for ever.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod corpus;
mod samples;
mod stream;
