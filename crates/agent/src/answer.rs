//! Answers of the agent: a value with its metadata.

use std::time::Duration;

/// An answer from the cache.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CacheAnswer<T> {
    /// The answer itself.
    pub value: T,
    /// Index of its last change; at least 1.
    pub index: u64,
    /// Whether the cache had it when the request came (`X-Cache`).
    pub hit: bool,
    /// Time since the agent lost contact with the servers; zero while it has contact (`Age`).
    pub age: Duration,
    /// Whether the caller's rights hid something.
    pub filtered: bool,
    /// Whether the servers answered by wider rights than this agent knows the caller to have: it will hear of them.
    pub(crate) outdated: bool,
}

impl<T> CacheAnswer<T> {
    /// The same answer with another value.
    pub fn map<U>(self, with: impl FnOnce(T) -> U) -> CacheAnswer<U> {
        let Self { value, index, hit, age, filtered, outdated } = self;
        CacheAnswer { value: with(value), index, hit, age, filtered, outdated }
    }
}

/// A list of the agent's own records, and whether the caller's rights hid something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed<T> {
    /// The records that the caller may see.
    pub value: T,
    /// Whether records were left out.
    pub filtered: bool,
}

/// The decision about a connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuthorizeAnswer {
    /// Whether it is allowed.
    pub authorized: bool,
    /// The reason, in Consul's words.
    pub reason: String,
    /// Whether the cache had the intentions when the request came.
    pub hit: bool,
    /// Time since the agent lost contact with the servers.
    pub age: Duration,
}
