//! Tests of discovery chains: entries in, chain out.

mod language;
mod random;
mod routes;
mod scenarios;
mod stories;
