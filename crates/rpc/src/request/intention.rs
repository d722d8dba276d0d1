//! Intentions: who may call whom, and why.

use std::collections::BTreeMap;

use concord_model::intention::{Action, Destination, Source, SourceIntention};
use concord_model::{ServiceRef, Uuid};
use serde::{Deserialize, Serialize};

/// All intentions the caller may see.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ListIntentions {}

/// Which side of an intention is asked for.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MatchBy {
    /// Intentions that can decide on calls by this service.
    Source(ServiceRef),
    /// Intentions that can decide on calls to this service.
    Destination(ServiceRef),
    /// Intentions about all sources.
    AnySource,
    /// Intentions about all destinations.
    AnyDestination,
}

impl MatchBy {
    /// The service's name; `*` stands for all.
    pub fn name(&self) -> &str {
        match self {
            Self::Source(service) | Self::Destination(service) => service.name.as_str(),
            Self::AnySource | Self::AnyDestination => "*",
        }
    }
}

/// The entries that can decide on calls by or to a service.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct MatchIntentions {
    /// The service and its side.
    pub by: MatchBy,
}

/// Whether a connection would be let through.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct CheckIntention {
    /// Who would call; `None`: anybody, so that only intentions about all sources count.
    pub source: Option<ServiceRef>,
    /// Who would be called.
    pub destination: ServiceRef,
}

/// The answer to [`CheckIntention`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct IntentionAnswer {
    /// Whether it would be let through.
    pub allowed: bool,
    /// Why, in Consul's words.
    pub reason: String,
}

/// Why a connection would be let through or not, and the smallest change that flips it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ExplainIntention {
    /// Who would call.
    pub source: ServiceRef,
    /// Who would be called.
    pub destination: ServiceRef,
}

/// Sets one source in a destination's entry, leaving the others as they are.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct UpsertIntention {
    /// Who is called.
    pub destination: Destination,
    /// Who calls, and what then.
    pub intention: SourceIntention,
    /// Metadata of the entry: none, or what it has. It belongs to the entry and is not changed with one source.
    #[serde(default)]
    pub meta: BTreeMap<String, String>,
}

/// Removes one source from a destination's entry; it need not be there.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DeleteIntention {
    /// Who is called.
    pub destination: Destination,
    /// Who calls.
    pub source: Source,
}

/// A destination's entry with one of its sources, or with none if it has not that one. To be read with the
/// right to either side.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReadPair {
    /// Who is called.
    pub destination: Destination,
    /// Who calls.
    pub source: Source,
}

/// An intention as the older API writes it: by id, and deciding on connections only.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PlainIntention {
    /// Who is called.
    pub destination: Destination,
    /// Who calls.
    pub source: Source,
    /// What then.
    pub action: Action,
    /// What people noted about it.
    pub description: String,
    /// Its metadata, its own and not the destination's.
    #[serde(default)]
    pub meta: BTreeMap<String, String>,
}

/// The destination's entry with the one source that has an id. To be read with the right to either side.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReadIntention {
    /// The id.
    pub id: Uuid,
}

/// Makes an intention with an id, which is the answer; the pair must have none yet.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct CreateIntention {
    /// The intention.
    pub intention: PlainIntention,
}

/// Changes the intention with an id; its destination stays.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct UpdateIntention {
    /// The id.
    pub id: Uuid,
    /// As it shall be.
    pub intention: PlainIntention,
}

/// Removes the intention with an id; it must be there.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DeleteIntentionById {
    /// The id.
    pub id: Uuid,
}
