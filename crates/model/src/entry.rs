//! Configuration entries: what the servers keep to configure the mesh.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Stamp;
use crate::intention::ServiceIntentions;

/// The kinds of entries there are. Those without an [`Entry`] variant are not available yet.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// Intentions of one destination.
    ServiceIntentions,
}

impl EntryKind {
    /// As written in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServiceIntentions => "service-intentions",
        }
    }
}

impl fmt::Display for EntryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One configuration entry.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// Intentions of one destination.
    ServiceIntentions(ServiceIntentions),
}

impl Entry {
    /// The entry's kind.
    pub fn kind(&self) -> EntryKind {
        match self {
            Self::ServiceIntentions(_) => EntryKind::ServiceIntentions,
        }
    }

    /// When the entry changed.
    pub fn stamp(&self) -> Stamp {
        match self {
            Self::ServiceIntentions(entry) => entry.stamp,
        }
    }
}
