//! Tests of discovery chains: entries in, chain out.

mod language;
mod random;
mod scenarios;
mod stories;
