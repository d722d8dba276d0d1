//! Tests of discovery chains: entries in, chain out.

pub(crate) mod language;
pub(crate) mod random;
mod routes;
mod scenarios;
mod stories;
