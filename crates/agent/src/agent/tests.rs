//! Tests of the whole agent, in virtual time, against servers that authorise like the real ones.

mod authority;
mod catalog_feed;
mod cost;
mod durability;
mod isolation;
mod merging;
mod pace;
mod proxies;
mod registrations;
mod revocation;
mod verdicts;
mod waits;
