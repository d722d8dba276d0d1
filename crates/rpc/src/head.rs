//! What comes with every request and with every answer.

use std::time::Duration;

use concord_model::{Datacenter, Secret};
use serde::{Deserialize, Serialize};

/// How fresh an answer must be (consul-compatible consistency modes).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// By the leader, from its lease.
    #[default]
    Default,
    /// By the leader, after a majority confirmed that it still leads.
    Consistent,
    /// By any server, as it stands there.
    Stale,
}

impl Consistency {
    /// As `X-Consul-Effective-Consistency` names it.
    pub fn effective(self) -> &'static str {
        match self {
            Self::Default => "leader",
            Self::Consistent => "consistent",
            Self::Stale => "stale",
        }
    }
}

/// What comes with a request.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Head {
    /// Where the request is to be carried out; `None`: here.
    pub datacenter: Option<Datacenter>,
    /// The caller's token; `None`: anonymous.
    #[serde(with = "crate::exposed")]
    pub token: Option<Secret>,
    /// How fresh the answer must be.
    pub consistency: Consistency,
    /// Answer when the result's index is greater than this; 0: answer at once.
    pub min_index: u64,
    /// How long to wait for that; `None`: the server's default. Bounded by the server.
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

/// An answer, and what is known about it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Answer<T> {
    /// The answer itself.
    pub value: T,
    /// Index of the last change to anything the answer was made from; at least 1.
    pub index: u64,
    /// Whether the answering server knew a leader.
    pub known_leader: bool,
    /// How long ago the answering server heard from the leader; zero on the leader.
    pub last_contact: Duration,
    /// Whether the caller's rights hid something.
    pub filtered: bool,
    /// How the answer was made.
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
