//! Intentions: which service may call which, and why.

use std::collections::BTreeMap;

use concord_mesh::explain::request::AskedRequest;
use concord_model::intention::{
    Action, Destination, JwtRequirement, ServiceIntentions, Source, SourceIntention,
};
use concord_model::{ServiceRef, Uuid};
use serde::{Deserialize, Serialize};

use crate::error::RpcError;

/// Services that one [`MatchIntentions`] may name. Each of them needs a query.
pub const MATCHES_MAX: usize = 64;

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

/// The entries that can decide about calls by or to services.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct MatchIntentions {
    /// The service and its side.
    pub by: MatchBy,
    /// Further services: at most [`MATCHES_MAX`] with the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<MatchBy>,
}

impl MatchIntentions {
    /// Asks about one service.
    pub fn of(by: MatchBy) -> Self {
        Self { by, also: Vec::new() }
    }

    /// All services, in their order.
    pub fn all(&self) -> impl Iterator<Item = &MatchBy> {
        [&self.by].into_iter().chain(&self.also)
    }
}

/// The answer to [`MatchIntentions`]: one list per service, in the order of the request.
///
/// `None` stands between two lists. So a single list has the form that it had before a request could name several
/// services.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Matched(Vec<Option<ServiceIntentions>>);

impl Matched {
    /// The answer with these lists.
    pub fn of(lists: impl IntoIterator<Item = Vec<ServiceIntentions>>) -> Self {
        let each = |list: Vec<_>| list.into_iter().map(Some).chain([None]);
        let mut joined: Vec<_> = lists.into_iter().flat_map(each).collect();
        joined.pop();
        Self(joined)
    }

    /// The lists of so many services. A server that knows only requests with one service answers only that one.
    pub fn lists(
        &self,
        services: usize,
    ) -> Result<impl Iterator<Item = impl Iterator<Item = &ServiceIntentions>>, RpcError> {
        let lists = || self.0.split(Option::is_none);
        if lists().count() != services {
            return Err(RpcError::NotAvailable("the servers match one service at a time".to_owned()));
        }
        Ok(lists().map(|list| list.iter().flatten()))
    }

    /// All entries, of whichever service.
    pub fn entries(&self) -> impl Iterator<Item = &ServiceIntentions> {
        self.0.iter().flatten()
    }

    /// All entries, of whichever service.
    pub fn into_entries(self) -> impl Iterator<Item = ServiceIntentions> {
        self.0.into_iter().flatten()
    }
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

/// Why a request would be allowed or denied, and the smallest change that would reverse this.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ExplainRequest {
    /// The calling service.
    pub source: ServiceRef,
    /// The called service.
    pub destination: ServiceRef,
    /// The request.
    pub asked: AskedRequest,
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
    /// The token that the entry demands, or nothing; likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<JwtRequirement>,
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use concord_model::{Partition, Pattern, Stamp};

    use super::*;

    fn entry(to: &str) -> ServiceIntentions {
        ServiceIntentions {
            destination: Destination {
                partition: Partition::default(),
                namespace: Pattern::Any,
                name: Pattern::parse(to).unwrap(),
            },
            sources: Vec::new(),
            jwt: None,
            meta: BTreeMap::new(),
            stamp: Stamp::default(),
        }
    }

    #[track_caller]
    fn check(lists: &[&[&str]]) {
        let of = |list: &&[&str]| list.iter().map(|to| entry(to)).collect::<Vec<_>>();
        let matched = Matched::of(lists.iter().map(of));
        let read: Vec<Vec<&str>> = matched
            .lists(lists.len())
            .unwrap()
            .map(|list| list.map(|entry| entry.destination.name.as_str()).collect())
            .collect();
        assert_eq!(read, lists);
        // An answer about too few services must not be read as one that has nothing about the others.
        assert!(matched.lists(lists.len() + 1).is_err() && matched.lists(lists.len() - 1).is_err());
    }

    #[test]
    fn each_service_of_a_match_has_its_own_list() {
        check(&[&[]]);
        check(&[&["a", "b"]]);
        check(&[&[], &[]]);
        check(&[&["a"], &[], &["a", "*"], &[]]);
    }
}
