//! Explains why a request is allowed or denied, and finds the smallest change that would reverse this.
//!
//! Changes are compared in this order:
//!
//! 1. [`Reach`]: a change for this method and path only comes before one for all requests of a permission, and that
//!    before one for all requests of the pair;
//! 2. other callers for whom the verdict about the same request changes, too;
//! 3. setting a permission before adding one before writing an intention for the pair.
//!
//! Each change is tried: only those that reverse the verdict are proposed. No single change helps a request that is
//! refused before any rule, or that lacks a token that an entry demands.

mod change;

use std::sync::Arc;

use concord_model::ServiceRef;
use concord_model::entry::{Protocol, RequestNormalization};
use concord_model::intention::{Action, ServiceIntentions};
use serde::{Deserialize, Serialize};

pub use self::change::{Reach, RequestChange, RequestStep};
pub use super::asked::{ASKED_BYTES_MAX, AskedRequest};
use super::route::Way;
use super::{Affected, PAIRS_EXAMINED_MAX, PAIRS_LISTED_MAX, Pair};
use crate::intention::{DefaultPolicy, Intention, Policy};
use crate::request::{Refusal, Request, RequestBecause, RequestVerdict, Tried};

/// The mesh that a request is judged in.
#[derive(Clone, Copy, Debug)]
pub struct Universe<'a> {
    /// All intentions, or those that cover the destination.
    pub entries: &'a [ServiceIntentions],
    /// The default where nothing else decides.
    pub default: DefaultPolicy,
    /// The protocol of the destination.
    pub protocol: Protocol,
    /// How paths and headers become canonical.
    pub settings: &'a RequestNormalization,
    /// The callers that a change could affect, each once.
    pub known: &'a [ServiceRef],
}

/// Why a request is allowed or denied.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RequestExplanation {
    /// The calling service.
    pub source: ServiceRef,
    /// The called service.
    pub destination: ServiceRef,
    /// The protocol of the destination: that of the requests that its proxy judges.
    pub protocol: Protocol,
    /// Why its discovery chain has another one, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol_note: Option<String>,
    /// The verdict, with what decided.
    pub verdict: RequestVerdict,
    /// What the backend is sent; `None` if the request is refused.
    pub sent: Option<Sent>,
    /// The permissions that were tried, up to the one that decided.
    pub tried: Vec<Tried>,
    /// Intentions that also cover the pair but do not decide, in order of precedence.
    pub shadows: Vec<Arc<Intention>>,
    /// The changes that reverse the verdict, the smallest first.
    pub changes: Vec<RequestProposal>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_change: Option<NoRequestChange>,
    /// Where the request goes, and what is decided there. `None` from servers that do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way: Option<Way>,
    /// The same about each service that the request reaches, as it arrives there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reached: Vec<Self>,
}

/// The canonical form of a request.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Sent {
    /// Its path.
    pub path: String,
    /// Its authority.
    pub authority: Option<String>,
    /// Whether a backend might read the path in another way.
    pub ambiguous: bool,
}

/// A change and its side effects.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RequestProposal {
    /// The change.
    pub change: RequestChange,
    /// Which other requests of this caller it is about.
    pub reach: Reach,
    /// The other callers for whom the verdict about the same request changes.
    pub also_affects: Affected,
}

/// Why no single change reverses the verdict about a request.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum NoRequestChange {
    /// The destination is in a peered cluster.
    #[error("the destination is in a peered cluster, which decides by its own intentions")]
    DecidedByPeer,
    /// An entry demands a token.
    #[error(
        "the request lacks a token that the destination's entry demands; send one, or change JWT of the entry"
    )]
    TokenDemanded,
    /// An entry demands a token of a service whose requests carry none.
    #[error(
        "a service whose protocol is tcp cannot be shown the token that the destination's entry demands; give it an \
         HTTP protocol, or take JWT out of the entry"
    )]
    TokenWithoutRequests,
    /// The request is refused before any rule.
    #[error("the request is refused before any intention is asked; send it in another form")]
    Refused,
    /// The changes that there are reverse nothing.
    #[error("no single permission or intention reverses it")]
    None,
}

/// Explains the verdict about a request.
pub fn explain_request(
    universe: Universe<'_>,
    source: &ServiceRef,
    destination: &ServiceRef,
    asked: &AskedRequest,
) -> RequestExplanation {
    with_question(universe, source, destination, asked, |question| question.explain())
}

/// The verdict about a request.
pub fn judge(
    universe: Universe<'_>,
    source: &ServiceRef,
    destination: &ServiceRef,
    asked: &AskedRequest,
) -> RequestVerdict {
    with_question(universe, source, destination, asked, |question| {
        question.verdict(&Policy::compile(destination, universe.entries), source)
    })
}

fn with_question<T>(
    universe: Universe<'_>,
    source: &ServiceRef,
    destination: &ServiceRef,
    asked: &AskedRequest,
    then: impl FnOnce(&Question<'_>) -> T,
) -> T {
    asked.received(|received| {
        let request = Request::read(received, universe.settings);
        then(&Question { universe, source, destination, asked, request })
    })
}

/// One request of one pair.
struct Question<'a> {
    universe: Universe<'a>,
    source: &'a ServiceRef,
    destination: &'a ServiceRef,
    asked: &'a AskedRequest,
    request: Result<Request<'a>, Refusal>,
}

impl Question<'_> {
    fn explain(&self) -> RequestExplanation {
        let policy = Policy::compile(self.destination, self.universe.entries);
        let verdict = self.verdict(&policy, self.source);
        let request = self.request.as_ref().ok().filter(|_| self.has_requests());
        let changes = self.proposals(&policy, &verdict);
        let no_change = changes.is_empty().then(|| self.no_change(&verdict));
        RequestExplanation {
            source: self.source.clone(),
            destination: self.destination.clone(),
            protocol: self.universe.protocol,
            tried: request.map(|request| policy.tried(self.source, request)).unwrap_or_default(),
            sent: request.map(sent),
            shadows: policy.covering(self.source).into_iter().skip(1).collect(),
            verdict,
            changes,
            no_change,
            protocol_note: None,
            way: None,
            reached: Vec::new(),
        }
    }

    fn has_requests(&self) -> bool {
        self.universe.protocol.is_http()
    }

    fn verdict(&self, policy: &Policy, source: &ServiceRef) -> RequestVerdict {
        if !self.has_requests() {
            return policy.decide(source, self.universe.default).into();
        }
        match &self.request {
            Ok(request) => policy.decide_request(source, request, self.universe.default),
            Err(refusal) => refusal.clone().into(),
        }
    }

    /// The changes that reverse the verdict, the smallest first.
    fn proposals(&self, before: &Policy, verdict: &RequestVerdict) -> Vec<RequestProposal> {
        let wanted = if verdict.allowed { Action::Deny } else { Action::Allow };
        let mut proposals = Vec::new();
        if self.destination.peer.is_none() && !matches!(verdict.because, RequestBecause::Refused(_)) {
            let candidates = change::candidates(self.source, self.destination, verdict, &self.wanted(wanted));
            for (reach, change) in candidates {
                let after = Policy::compile(self.destination, &change.applied(self.universe.entries));
                if self.verdict(&after, self.source).allowed != verdict.allowed {
                    let also_affects = self.affected(&change, before, &after);
                    proposals.push(RequestProposal { change, reach, also_affects });
                }
            }
        }
        proposals.sort_by_key(|one| (one.reach, one.also_affects.weight()));
        proposals
    }

    fn wanted(&self, action: Action) -> change::Wanted<'_> {
        let request = self.request.as_ref().ok().filter(|_| self.has_requests());
        change::Wanted { action, method: &self.asked.method, path: request.map(Request::path) }
    }

    /// The other callers for whom the same request is judged otherwise after the change.
    fn affected(&self, change: &RequestChange, before: &Policy, after: &Policy) -> Affected {
        let mut affected = Affected { complete: true, ..Affected::default() };
        let others =
            self.universe.known.iter().filter(|one| *one != self.source && change.source.covers(one));
        for (examined, source) in others.enumerate() {
            if examined >= PAIRS_EXAMINED_MAX {
                affected.complete = false;
                break;
            }
            let allowed = self.verdict(after, source).allowed;
            if allowed != self.verdict(before, source).allowed {
                affected.count += 1;
                if affected.listed.len() < PAIRS_LISTED_MAX {
                    let (source, destination) = (source.clone(), self.destination.clone());
                    affected.listed.push(Pair { source, destination, allowed });
                }
            }
        }
        affected
    }

    fn no_change(&self, verdict: &RequestVerdict) -> NoRequestChange {
        match verdict.because {
            _ if self.destination.peer.is_some() => NoRequestChange::DecidedByPeer,
            RequestBecause::Refused(_) => NoRequestChange::Refused,
            _ if !self.has_requests() && self.demands_token() => NoRequestChange::TokenWithoutRequests,
            RequestBecause::TokenDemanded { .. } => NoRequestChange::TokenDemanded,
            _ if self.demands_token() => NoRequestChange::TokenDemanded,
            _ => NoRequestChange::None,
        }
    }

    /// Whether an entry that covers the destination demands a token.
    fn demands_token(&self) -> bool {
        let covering =
            self.universe.entries.iter().filter(|entry| entry.destination.covers(self.destination));
        covering.into_iter().any(|entry| entry.jwt.is_some())
    }
}

fn sent(request: &Request<'_>) -> Sent {
    Sent {
        path: request.path().to_owned(),
        authority: request.authority().map(str::to_owned),
        ambiguous: request.is_ambiguous(),
    }
}
