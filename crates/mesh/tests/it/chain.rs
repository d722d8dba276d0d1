//! Tests of discovery chains: entries in, chain out.

pub(crate) mod language;
mod random;
mod routes;
mod scenarios;
mod stories;
