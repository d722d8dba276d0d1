//! Intentions: which service may call which, and why.

use std::collections::BTreeMap;

use concord_model::intention::{Action, Destination, Source, SourceIntention};
use concord_model::{ServiceRef, Uuid};
use serde::{Deserialize, Serialize};

/// All intentions the caller may see.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ListIntentions {}

/// Which side of an intention is requested.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MatchBy {
    /// Intentions that can decide about calls by this service.
    Source(ServiceRef),
    /// Intentions that can decide about calls to this service.
    Destination(ServiceRef),
    /// Intentions with a wildcard source.
    AnySource,
    /// Intentions with a wildcard destination.
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

/// The entries that can decide about calls by or to a service.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct MatchIntentions {
    /// The service and its side.
    pub by: MatchBy,
}

/// Whether a connection would be allowed.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct CheckIntention {
    /// The calling service; `None`: any, so that only intentions with a wildcard source count.
    pub source: Option<ServiceRef>,
    /// The called service.
    pub destination: ServiceRef,
}

/// The answer to [`CheckIntention`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct IntentionAnswer {
    /// Whether it would be allowed.
    pub allowed: bool,
    /// The reason, in Consul's words.
    pub reason: String,
}

/// Why a connection would be allowed or denied, and the smallest change that would reverse this.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ExplainIntention {
    /// The calling service.
    pub source: ServiceRef,
    /// The called service.
    pub destination: ServiceRef,
}

/// Sets one source in a destination's entry. The other sources do not change.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct UpsertIntention {
    /// The called service.
    pub destination: Destination,
    /// The calling service and the decision.
    pub intention: SourceIntention,
    /// Metadata of the entry: empty, or equal to the present metadata. It belongs to the entry and does not change
    /// with one source.
    #[serde(default)]
    pub meta: BTreeMap<String, String>,
}

/// Removes one source from a destination's entry. It need not exist.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DeleteIntention {
    /// The called service.
    pub destination: Destination,
    /// The calling service.
    pub source: Source,
}

/// A destination's entry with one of its sources, or without sources if it does not have that one. The right to
/// either side is enough.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReadPair {
    /// The called service.
    pub destination: Destination,
    /// The calling service.
    pub source: Source,
}

/// An intention in the form of the older API: with an id, and only for connections.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PlainIntention {
    /// The called service.
    pub destination: Destination,
    /// The calling service.
    pub source: Source,
    /// The decision.
    pub action: Action,
    /// A description for people.
    pub description: String,
    /// The metadata of the intention itself, not of the destination's entry.
    #[serde(default)]
    pub meta: BTreeMap<String, String>,
}

/// The destination's entry with only the source that has this id. The right to either side is enough.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReadIntention {
    /// The id.
    pub id: Uuid,
}

/// Creates an intention with an id, which is the reply. The pair must not have an intention yet.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct CreateIntention {
    /// The intention.
    pub intention: PlainIntention,
}

/// Changes the intention with an id. Its destination cannot change.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct UpdateIntention {
    /// The id.
    pub id: Uuid,
    /// The new content.
    pub intention: PlainIntention,
}

/// Removes the intention with an id. It must exist.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DeleteIntentionById {
    /// The id.
    pub id: Uuid,
}
