//! Explains why a connection is allowed or denied, and finds the smallest change that would reverse this.
//!
//! A change is small if it changes few other things. Changes are compared in this order:
//!
//! 1. intentions touched: every proposed change touches exactly one (the default policy is not proposed, because
//!    changing it affects every pair without an intention);
//! 2. other pairs of known services whose verdict also changes;
//! 3. scope: the more exact intention before the less exact one, because of services that are not known yet;
//! 4. changing an intention before adding one before removing one: existing intentions are kept if possible.
//!
//! So an intention for exactly this pair comes first: it is changed if it exists, else added. It does not help if the
//! destination's entry demands a token. Then no intention in that entry allows a connection, and a demand that
//! applies to all sources is not removed for one.

mod asked;
pub mod reached;
pub mod request;
pub mod route;

use std::fmt;
use std::sync::Arc;

use concord_model::intention::{Action, Decision, Destination, Source, precedence};
use concord_model::{Pattern, ServiceRef, Stamp};
use serde::{Deserialize, Serialize};

use self::route::Way;
use crate::intention::{DefaultPolicy, Intention, Policy, Table, Verdict};

/// The most other pairs listed with a change; all are counted.
pub const PAIRS_LISTED_MAX: usize = 100;
/// The most pairs examined for one change: about a third of a second. Beyond this, counts are lower bounds.
pub const PAIRS_EXAMINED_MAX: usize = 250_000;

/// Why a connection is allowed or denied at a service.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Explanation {
    /// The calling service.
    pub source: ServiceRef,
    /// The called service.
    pub destination: ServiceRef,
    /// The verdict, with the deciding rule.
    pub verdict: Verdict,
    /// Intentions that also cover the pair but do not decide, in order of precedence.
    pub shadows: Vec<Arc<Intention>>,
    /// The smallest change that reverses the verdict.
    pub smallest_change: Result<Proposal, NoChange>,
    /// Changes of the deciding intention itself that reverse the verdict, if the smallest change is another one.
    pub alternatives: Vec<Proposal>,
    /// Where connections go, and what is decided there. `None` from servers that do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way: Option<Way>,
    /// The same about each service that connections reach.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reached: Vec<Self>,
}

/// A change and its side effects.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Proposal {
    /// The change.
    pub change: Change,
    /// The other pairs whose verdict changes.
    pub also_affects: Affected,
}

/// A change of one intention.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Change {
    /// The calling service.
    pub source: Source,
    /// The called service.
    pub destination: Destination,
    /// What to do.
    pub step: Step,
}

/// What to do with an intention.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Change its action. Its permissions, if it has any, are dropped.
    Set {
        /// The present decision.
        from: Decision,
        /// The new action.
        to: Action,
    },
    /// Add it.
    Add {
        /// Its action.
        action: Action,
    },
    /// Remove it.
    Remove {
        /// The present decision.
        was: Decision,
    },
}

/// The other pairs whose verdict a change reverses.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Affected {
    /// How many there are among the known services.
    pub count: usize,
    /// The first of them, at most [`PAIRS_LISTED_MAX`].
    pub listed: Vec<Pair>,
    /// Whether all pairs were examined; if not, `count` is a lower bound.
    pub complete: bool,
}

/// A pair of services and its verdict after the change.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Pair {
    /// The calling service.
    pub source: ServiceRef,
    /// The called service.
    pub destination: ServiceRef,
    /// Whether it would be allowed after the change.
    pub allowed: bool,
}

/// Why no change of a single intention reverses the verdict.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum NoChange {
    /// The destination is in a peered cluster.
    #[error("the destination is in a peered cluster, which decides by its own intentions")]
    DecidedByPeer,
    /// The destination's entry demands a token.
    #[error("the destination's entry demands a token of every request, which a connection cannot show")]
    TokenDemanded,
}

/// Explains the verdict for a pair.
///
/// `known` lists the services whose pairs a change could affect, each once. An imported service can only be a source.
/// Affected pairs are returned in the order of `known`.
pub fn explain(
    table: &Table,
    source: &ServiceRef,
    destination: &ServiceRef,
    default: DefaultPolicy,
    known: &[ServiceRef],
) -> Explanation {
    let mesh = Mesh { table, default, known };
    let policy = table.policy(destination);
    let chain = policy.covering(source);
    let verdict = table.decide(source, destination, default);
    let wanted = if verdict.allowed { Action::Deny } else { Action::Allow };
    let mut flipping: Vec<Change> = candidates(&chain, source, destination, wanted)
        .into_iter()
        .filter(|change| mesh.allowed_after(&policy, source, change) != verdict.allowed)
        .collect();
    flipping.sort_by_key(Change::reach_and_kind);
    let smallest_change = mesh.smallest(&flipping, source, destination).ok_or_else(|| {
        if destination.peer.is_some() { NoChange::DecidedByPeer } else { NoChange::TokenDemanded }
    });
    let chosen = smallest_change.as_ref().ok().map(|proposal| &proposal.change);
    let alternatives = flipping
        .iter()
        .filter(|change| verdict.rule().is_some_and(|rule| change.is_about(rule)))
        .filter(|change| chosen.is_some_and(|chosen| !chosen.is_about_the_same_as(change)))
        .map(|change| mesh.proposal(change, source, destination))
        .collect();
    let shadows = chain.into_iter().skip(1).collect();
    let (source, destination) = (source.clone(), destination.clone());
    let (way, reached) = (None, Vec::new());
    Explanation { source, destination, verdict, shadows, smallest_change, alternatives, way, reached }
}

/// Every change of one intention that covers the pair and could reverse the verdict.
fn candidates(
    chain: &[Arc<Intention>],
    source: &ServiceRef,
    destination: &ServiceRef,
    wanted: Action,
) -> Vec<Change> {
    let mut changes = Vec::new();
    for rule in chain {
        let change =
            |step| Change { source: rule.source.clone(), destination: rule.destination.clone(), step };
        changes.push(change(Step::Set { from: rule.decision.clone(), to: wanted }));
        changes.push(change(Step::Remove { was: rule.decision.clone() }));
    }
    if destination.peer.is_some() {
        return changes;
    }
    for (namespace, name) in patterns(destination) {
        let to = Destination { partition: destination.partition.clone(), namespace, name };
        for (namespace, name) in patterns(source) {
            let (partition, peer) = (source.partition.clone(), source.peer.clone());
            let from = Source { partition, namespace, peer, name };
            if !chain.iter().any(|rule| rule.source == from && rule.destination == to) {
                let (source, destination) = (from, to.clone());
                changes.push(Change { source, destination, step: Step::Add { action: wanted } });
            }
        }
    }
    changes
}

type Patterns = (Pattern<concord_model::Namespace>, Pattern<concord_model::ServiceName>);

fn patterns(service: &ServiceRef) -> [Patterns; 3] {
    let namespace = || Pattern::Exact(service.namespace.clone());
    [
        (namespace(), Pattern::Exact(service.name.clone())),
        (namespace(), Pattern::Any),
        (Pattern::Any, Pattern::Any),
    ]
}

/// The data that changes are evaluated with.
struct Mesh<'a> {
    table: &'a Table,
    default: DefaultPolicy,
    known: &'a [ServiceRef],
}

impl Mesh<'_> {
    /// The smallest of these changes, which are already in order of scope and kind.
    fn smallest(
        &self,
        changes: &[Change],
        source: &ServiceRef,
        destination: &ServiceRef,
    ) -> Option<Proposal> {
        let mut best: Option<Proposal> = None;
        for change in changes {
            let proposal = self.proposal(change, source, destination);
            let fewer =
                best.as_ref().is_none_or(|best| proposal.also_affects.weight() < best.also_affects.weight());
            if fewer {
                best = Some(proposal);
            }
            if best.as_ref().is_some_and(|best| best.also_affects.count == 0 && best.also_affects.complete) {
                break;
            }
        }
        best
    }

    fn proposal(&self, change: &Change, source: &ServiceRef, destination: &ServiceRef) -> Proposal {
        Proposal { change: change.clone(), also_affects: self.affected(change, source, destination) }
    }

    /// The other pairs whose verdict changes.
    fn affected(&self, change: &Change, source: &ServiceRef, destination: &ServiceRef) -> Affected {
        let mut affected = Affected { complete: true, ..Affected::default() };
        let mut examined = 0;
        let lifts = self.lifts_demand(change);
        let sources: Vec<_> = self.known.iter().filter(|one| lifts || change.source.covers(one)).collect();
        for to in self.known.iter().filter(|one| change.destination.covers(one)) {
            let policy = self.table.policy(to);
            for from in &sources {
                if *from == source && to == destination {
                    continue;
                }
                examined += 1;
                if examined > PAIRS_EXAMINED_MAX {
                    affected.complete = false;
                    return affected;
                }
                let before = policy.decide(from, self.default).allowed;
                let allowed = self.allowed_after(&policy, from, change);
                if allowed != before {
                    affected.count += 1;
                    if affected.listed.len() < PAIRS_LISTED_MAX {
                        let (source, destination) = ((*from).clone(), to.clone());
                        affected.listed.push(Pair { source, destination, allowed });
                    }
                }
            }
        }
        affected
    }

    /// Whether a change removes an entry together with the token that it demands: an entry ends with its last source.
    fn lifts_demand(&self, change: &Change) -> bool {
        let all = self.table.of_destination(&change.destination);
        matches!((&change.step, all), (Step::Remove { .. }, [only]) if only.jwt.is_some())
    }

    /// The verdict about a source after a change. `policy` is that of the destination before the change.
    fn allowed_after(&self, policy: &Policy, source: &ServiceRef, change: &Change) -> bool {
        let chain = policy.covering(source);
        let kept = chain.iter().find(|rule| !change.is_about(rule));
        let changed = self.outcome(change);
        let changed = changed.filter(|changed| changed.source.covers(source));
        let first = match (kept, &changed) {
            (Some(kept), Some(changed)) if changed.order(kept).is_lt() => Some(changed),
            (Some(kept), _) => Some(&**kept),
            (None, changed) => changed.as_ref(),
        };
        let allowed = first.map_or_else(
            || self.default.action.allows(),
            |rule| rule.connection().is_some_and(Action::allows),
        );
        let gone = self.lifts_demand(change).then_some(&change.destination);
        allowed && !policy.demands_token(first.map(|rule| &rule.destination), gone)
    }

    /// The intention after a change; `None` if the change removes it.
    fn outcome(&self, change: &Change) -> Option<Intention> {
        let action = match change.step {
            Step::Set { to, .. } => to,
            Step::Add { action } => action,
            Step::Remove { .. } => return None,
        };
        Some(Intention {
            destination: change.destination.clone(),
            source: change.source.clone(),
            precedence: precedence(&change.destination, &change.source),
            decision: Decision::Connection(action),
            description: String::new(),
            legacy: None,
            jwt: self.table.jwt(&change.destination).cloned(),
            meta: Arc::default(),
            stamp: Stamp::default(),
        })
    }
}

impl Affected {
    /// A count that is only a lower bound ranks behind a complete one.
    fn weight(&self) -> (bool, usize) {
        (!self.complete, self.count)
    }
}

impl Change {
    fn is_about(&self, rule: &Intention) -> bool {
        self.source == rule.source && self.destination == rule.destination
    }

    fn is_about_the_same_as(&self, other: &Self) -> bool {
        self.source == other.source && self.destination == other.destination
    }

    fn reach_and_kind(&self) -> (u8, u8) {
        let kind = match self.step {
            Step::Set { .. } => 0,
            Step::Add { .. } => 1,
            Step::Remove { .. } => 2,
        };
        (u8::MAX - precedence(&self.destination, &self.source), kind)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, destination, step } = self;
        match step {
            Step::Set { from, to } => {
                write!(f, "change intention {source} => {destination} from {} to {to}", word(from))
            }
            Step::Add { action } => write!(f, "add intention {source} => {destination}: {action}"),
            Step::Remove { was } => write!(f, "remove intention {source} => {destination} ({})", word(was)),
        }
    }
}

fn word(decision: &Decision) -> &'static str {
    match decision {
        Decision::Connection(action) => action.as_str(),
        Decision::Requests(_) => "permissions",
    }
}
