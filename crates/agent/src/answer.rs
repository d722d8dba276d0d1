//! What the agent answers with, beside the value.

use std::time::Duration;

/// An answer out of the cache.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CacheAnswer<T> {
    /// The answer itself.
    pub value: T,
    /// Index of the last change to it; at least 1.
    pub index: u64,
    /// Whether it was there when it was asked for (`X-Cache`).
    pub hit: bool,
    /// How long ago contact with the servers was lost; zero while it is there (`Age`).
    pub age: Duration,
    /// Whether the caller's rights hid something.
    pub filtered: bool,
}

impl<T> CacheAnswer<T> {
    /// The same answer with another value.
    pub fn map<U>(self, with: impl FnOnce(T) -> U) -> CacheAnswer<U> {
        let Self { value, index, hit, age, filtered } = self;
        CacheAnswer { value: with(value), index, hit, age, filtered }
    }
}

/// A list of the agent's own, and whether the caller's rights hid something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed<T> {
    /// What may be seen.
    pub value: T,
    /// Whether something was left out.
    pub filtered: bool,
}

/// May this connection be made?
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuthorizeAnswer {
    /// Whether it may.
    pub authorized: bool,
    /// Why, in Consul's words.
    pub reason: String,
    /// Whether the intentions were there when asked for.
    pub hit: bool,
    /// How long ago contact with the servers was lost.
    pub age: Duration,
}
