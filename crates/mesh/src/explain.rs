//! Why a connection may or may not be made, and the smallest change that would flip it.
//!
//! A change is small if few things change with it. In this order:
//!
//! 1. intentions touched: every change considered touches one (the default is none of them: changing
//!    it touches every pair without an intention);
//! 2. other pairs of known services whose verdict changes too;
//! 3. reach: the more exact intention before the less exact one, for services not known yet;
//! 4. changing an intention before adding one before removing one: what is written down stays so.
//!
//! An intention for exactly this pair therefore comes first, changed if it is there, else added. It
//! cannot help where the destination's entry demands a token: no intention in that entry lets a
//! connection through, and what an entry demands of all is not undone for one.

use std::fmt;
use std::sync::Arc;

use concord_model::intention::{Action, Decision, Destination, Source, precedence};
use concord_model::{Pattern, ServiceRef, Stamp};
use serde::{Deserialize, Serialize};

use crate::intention::{DefaultPolicy, Intention, Table, Verdict};

/// Other pairs listed with a change; all are counted.
pub const PAIRS_LISTED_MAX: usize = 100;
/// Pairs looked at for one change: about a third of a second. Beyond, counts are lower bounds.
pub const PAIRS_EXAMINED_MAX: usize = 250_000;

/// Why a connection may or may not be made.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Explanation {
    /// Who calls.
    pub source: ServiceRef,
    /// Who is called.
    pub destination: ServiceRef,
    /// The verdict, with the rule that decides.
    pub verdict: Verdict,
    /// Intentions that cover the pair too but do not get to decide, in the order they would.
    pub shadows: Vec<Arc<Intention>>,
    /// The smallest change that flips the verdict.
    pub smallest_change: Result<Proposal, NoChange>,
    /// Changes of the deciding intention itself that flip the verdict, where the smallest is another.
    pub alternatives: Vec<Proposal>,
}

/// A change, and what else would change with it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Proposal {
    /// The change.
    pub change: Change,
    /// The other pairs whose verdict it changes.
    pub also_affects: Affected,
}

/// A change of one intention.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Change {
    /// Who calls.
    pub source: Source,
    /// Who is called.
    pub destination: Destination,
    /// What to do.
    pub step: Step,
}

/// What to do with an intention.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Let it decide otherwise; its permissions, if it has any, are dropped.
    Set {
        /// What it decides now.
        from: Decision,
        /// What it is to decide.
        to: Action,
    },
    /// Add it.
    Add {
        /// What it is to decide.
        action: Action,
    },
    /// Remove it.
    Remove {
        /// What it decides now.
        was: Decision,
    },
}

/// The other pairs whose verdict a change would change.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Affected {
    /// How many there are among the known services.
    pub count: usize,
    /// The first of them, at most [`PAIRS_LISTED_MAX`].
    pub listed: Vec<Pair>,
    /// Whether all pairs were looked at; if not, `count` is a lower bound.
    pub complete: bool,
}

/// A pair of services and what would become of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Pair {
    /// Who calls.
    pub source: ServiceRef,
    /// Who is called.
    pub destination: ServiceRef,
    /// Whether it would be allowed after the change.
    pub allowed: bool,
}

/// Why no change of one intention flips a verdict.
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

/// Explains the verdict on a pair.
///
/// `known` are the services whose pairs a change could affect, each once; an imported one can only be
/// a source. The order of affected pairs is that of `known`.
pub fn explain(
    table: &Table,
    source: &ServiceRef,
    destination: &ServiceRef,
    default: DefaultPolicy,
    known: &[ServiceRef],
) -> Explanation {
    let mesh = Mesh { table, default, known };
    let chain = table.policy(destination).covering(source);
    let verdict = table.decide(source, destination, default);
    let wanted = if verdict.allowed { Action::Deny } else { Action::Allow };
    let mut flipping: Vec<Change> = candidates(&chain, source, destination, wanted)
        .into_iter()
        .filter(|change| mesh.allowed_after(&chain, change) != verdict.allowed)
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
    Explanation { source, destination, verdict, shadows, smallest_change, alternatives }
}

/// Every change of one intention that covers the pair and could bring about what is wanted.
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

/// What changes are judged against.
struct Mesh<'a> {
    table: &'a Table,
    default: DefaultPolicy,
    known: &'a [ServiceRef],
}

impl Mesh<'_> {
    /// The smallest of changes that are in order of reach and kind.
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

    /// The pairs but this one whose verdict changes.
    fn affected(&self, change: &Change, source: &ServiceRef, destination: &ServiceRef) -> Affected {
        let mut affected = Affected { complete: true, ..Affected::default() };
        let mut examined = 0;
        let sources: Vec<_> = self.known.iter().filter(|one| change.source.covers(one)).collect();
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
                let allowed = self.allowed_after(&policy.covering(from), change);
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

    /// The verdict on a pair after a change that covers it, by all intentions that cover it before.
    fn allowed_after(&self, chain: &[Arc<Intention>], change: &Change) -> bool {
        let kept = chain.iter().find(|rule| !change.is_about(rule));
        let changed = self.outcome(change);
        let first = match (kept, &changed) {
            (Some(kept), Some(changed)) if changed.order(kept).is_lt() => Some(changed),
            (Some(kept), _) => Some(&**kept),
            (None, changed) => changed.as_ref(),
        };
        first.map_or_else(
            || self.default.action.allows(),
            |rule| rule.connection().is_some_and(Action::allows),
        )
    }

    /// The intention a change leaves; `None` if it removes it.
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
    /// What could not be counted to the end weighs more than what could.
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
