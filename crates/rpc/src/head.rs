//! The data that accompanies every request and every answer.

use std::time::Duration;

use concord_model::{Datacenter, Secret};
use serde::{Deserialize, Serialize};

/// How fresh an answer must be (consul-compatible consistency modes).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// The leader answers from its lease.
    #[default]
    Default,
    /// The leader answers after a majority has confirmed that it still leads.
    Consistent,
    /// Any server answers with its own state.
    Stale,
}

impl Consistency {
    /// The name in `X-Consul-Effective-Consistency`.
    pub fn effective(self) -> &'static str {
        match self {
            Self::Default => "leader",
            Self::Consistent => "consistent",
            Self::Stale => "stale",
        }
    }
}

/// The data that accompanies a request.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Head {
    /// The datacenter that carries out the request; `None`: this one.
    pub datacenter: Option<Datacenter>,
    /// The caller's token; `None`: anonymous.
    #[serde(with = "crate::exposed")]
    pub token: Option<Secret>,
    /// How fresh the answer must be.
    pub consistency: Consistency,
    /// Answer when the result's index is greater than this; 0: answer at once.
    pub min_index: u64,
    /// How long to wait for that; `None`: the server's default. The server limits it.
    pub wait: Option<Duration>,
}

impl Head {
    /// A head that carries a token and nothing else.
    pub fn with_token(token: Option<Secret>) -> Self {
        Self { token, ..Self::default() }
    }

    /// The same head, waiting for a result newer than `index`.
    #[must_use]
    pub fn after(&self, index: u64, wait: Option<Duration>) -> Self {
        Self { min_index: index, wait, ..self.clone() }
    }
}

/// An answer with its metadata.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Answer<T> {
    /// The answer itself.
    pub value: T,
    /// Index of the last change to anything that the answer was built from; at least 1.
    pub index: u64,
    /// Whether the answering server knew a leader.
    pub known_leader: bool,
    /// Time since the answering server heard from the leader; zero on the leader.
    pub last_contact: Duration,
    /// Whether the caller's rights hid something.
    pub filtered: bool,
    /// The consistency of the answer.
    pub consistency: Consistency,
}

impl<T> Answer<T> {
    /// The same answer with another value.
    pub fn map<U>(self, with: impl FnOnce(T) -> U) -> Answer<U> {
        let Self { value, index, known_leader, last_contact, filtered, consistency } = self;
        Answer { value: with(value), index, known_leader, last_contact, filtered, consistency }
    }

    /// The same answer with another value, if there is one.
    pub fn try_map<U, E>(self, with: impl FnOnce(T) -> Result<U, E>) -> Result<Answer<U>, E> {
        let Self { value, index, known_leader, last_contact, filtered, consistency } = self;
        Ok(Answer { value: with(value)?, index, known_leader, last_contact, filtered, consistency })
    }
}
