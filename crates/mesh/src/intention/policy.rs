//! Intentions compiled for decisions: exact sources are found in one lookup, wildcards in fixed places.
//!
//! An entry is compiled once and shared. A [`Policy`] holds the few compiled entries that can cover one destination
//! (exact, whole namespace, all services), the most exact first. A decision needs a few hash lookups, however many
//! intentions there are. The hash maps are never iterated, so their order has no effect.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use concord_model::intention::{Decision, Destination, JwtRequirement, ServiceIntentions, Source};
use concord_model::{Namespace, Partition, Pattern, PeerName, ServiceName, ServiceRef};

use super::{Because, DefaultPolicy, Intention, Verdict};
use crate::request::Permissions;

/// The intentions for one destination, ready for decisions.
///
/// Cheap to clone. If a list names a source twice for one destination, which validation refuses, the first one
/// counts.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Ordered by the highest possible precedence.
    parts: Vec<Arc<Compiled>>,
}

impl Policy {
    /// Compiles the entries that cover `destination`. Other entries are ignored, so the caller may pass all entries.
    ///
    /// The peer decides about a destination in a peered cluster: no entry of ours covers it.
    pub fn compile<'a>(
        destination: &ServiceRef,
        entries: impl IntoIterator<Item = &'a ServiceIntentions>,
    ) -> Self {
        let covering = entries.into_iter().filter(|entry| entry.destination.covers(destination));
        Self::from_parts(covering.map(|entry| Arc::new(Compiled::of_entry(entry))).collect())
    }

    /// Builds a policy from compiled entries, all of which cover the destination.
    pub(super) fn from_parts(mut parts: Vec<Arc<Compiled>>) -> Self {
        parts.retain(|part| !part.rules.is_empty() || part.jwt.is_some());
        parts.sort_by_key(|part| std::cmp::Reverse(part.ceiling));
        Self { parts }
    }

    /// Whether `source` may connect, and which rule decides.
    pub fn decide(&self, source: &ServiceRef, default: DefaultPolicy) -> Verdict {
        decide(self.parts.iter().map(Arc::as_ref), source, default)
    }

    /// The intentions that cover `source`, in order of precedence. The first one decides; the others are shadowed by
    /// it.
    pub fn covering(&self, source: &ServiceRef) -> Vec<Arc<Intention>> {
        let mut all: Vec<_> = self.parts.iter().flat_map(|part| part.covering(source)).cloned().collect();
        all.sort_by(|a, b| a.order(b));
        all
    }

    /// All intentions for the destination, in order of precedence.
    pub fn rules(&self) -> Vec<Arc<Intention>> {
        let mut all: Vec<_> = self.parts.iter().flat_map(|part| part.rules.iter()).cloned().collect();
        all.sort_by(|a, b| a.order(b));
        all
    }

    /// The number of intentions for the destination.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.rules.len()).sum()
    }

    /// Whether the destination has no intentions, so that the default always decides.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The intention that decides about `source`.
    pub(crate) fn deciding(&self, source: &ServiceRef) -> Option<Found<'_>> {
        first_of(self.parts.iter().map(Arc::as_ref), source)
    }

    /// The tokens that are demanded of a request about which this intention decides, or the default: those of its
    /// entry, and those of more exact entries.
    pub(crate) fn demands(&self, found: Option<Found<'_>>) -> impl Iterator<Item = &JwtRequirement> {
        demands(self.parts.iter().map(Arc::as_ref), found.map_or(0, |found| found.part.ceiling))
    }

    /// Whether a token is demanded of connections about which an intention of this destination decides, or the default.
    /// `but` is a destination whose entry does not count.
    pub(crate) fn demands_token(&self, decides: Option<&Destination>, but: Option<&Destination>) -> bool {
        let parts = self.parts.iter().map(Arc::as_ref).filter(|part| Some(&part.destination) != but);
        demands(parts, decides.map_or(0, ceiling)).next().is_some()
    }
}

/// An intention in its compiled entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    part: &'a Compiled,
    index: u32,
}

impl<'a> Found<'a> {
    pub(crate) fn rule(self) -> &'a Arc<Intention> {
        self.part.rule(self.index)
    }

    /// Its permissions; `None` if it has an action.
    pub(crate) fn permissions(self) -> Option<&'a Permissions> {
        self.part.permissions(self.index)
    }
}

/// The tokens demanded by entries that are at least that exact.
fn demands<'a>(
    parts: impl Iterator<Item = &'a Compiled>,
    least: u8,
) -> impl Iterator<Item = &'a JwtRequirement> {
    parts.filter(move |part| part.ceiling >= least).filter_map(|part| part.jwt.as_deref())
}

/// The decision about a connection, from entries that all cover the destination. Where a token is demanded, none is
/// allowed.
pub(super) fn decide<'a>(
    parts: impl Iterator<Item = &'a Compiled> + Clone,
    source: &ServiceRef,
    default: DefaultPolicy,
) -> Verdict {
    let found = first_of(parts.clone(), source);
    let verdict = found.map_or_else(|| default.verdict(), |found| found.rule().verdict());
    let least = found.map_or(0, |found| found.part.ceiling);
    if verdict.allowed && demands(parts, least).next().is_some() {
        let rule = found.map(|found| Arc::clone(found.rule()));
        return Verdict { allowed: false, because: Because::TokenDemanded { rule } };
    }
    verdict
}

/// The highest precedence that intentions of a destination can have.
fn ceiling(destination: &Destination) -> u8 {
    match (&destination.namespace, &destination.name) {
        (Pattern::Exact(_), Pattern::Exact(_)) => 9,
        (Pattern::Exact(_), Pattern::Any) => 6,
        (Pattern::Any, _) => 3,
    }
}

/// The intention that decides about `source`, from entries that all cover the destination.
pub(super) fn first_of<'a>(
    parts: impl Iterator<Item = &'a Compiled>,
    source: &ServiceRef,
) -> Option<Found<'a>> {
    let mut best: Option<Found<'a>> = None;
    for part in parts {
        if best.is_some_and(|best| best.rule().precedence > part.ceiling) {
            continue;
        }
        if let Some(found) = part.best(source)
            && best.is_none_or(|best| found.rule().order(best.rule()).is_lt())
        {
            best = Some(found);
        }
    }
    best
}

/// One compiled entry: its intentions in order, and the first intention of each source pattern.
#[derive(Debug)]
pub(super) struct Compiled {
    /// In order of precedence.
    rules: Vec<Arc<Intention>>,
    /// The permissions of those that have some, compiled by the first request.
    permissions: HashMap<u32, OnceLock<Permissions>>,
    /// Whose intentions these are.
    destination: Destination,
    /// The highest precedence that they can have.
    ceiling: u8,
    /// The token demanded of every request, also from sources added later.
    jwt: Option<Arc<JwtRequirement>>,
    /// Partition and namespace of the exact source that was indexed last.
    last_scope: Option<(Partition, Namespace)>,
    /// Exact sources.
    exact: HashMap<ServiceRef, u32>,
    /// Sources with a wildcard, by the parts that cannot be wildcards.
    wild: HashMap<(Partition, Option<PeerName>), Wild>,
}

/// Wildcard sources of one partition and peer. The values are indexes of rules.
#[derive(Debug, Default)]
struct Wild {
    /// All services in all namespaces.
    any: Option<u32>,
    /// All services of one namespace.
    in_namespace: HashMap<Namespace, u32>,
    /// One name in all namespaces. Validation refuses it, but decisions still respect it.
    named: HashMap<ServiceName, u32>,
}

impl Compiled {
    pub(super) fn of_entry(entry: &ServiceIntentions) -> Self {
        let mut rules: Vec<_> = Intention::of_entry(entry).map(Arc::new).collect();
        rules.sort_by(|a, b| a.order(b));
        let mut own = Self {
            ceiling: ceiling(&entry.destination),
            destination: entry.destination.clone(),
            jwt: entry.jwt.clone().map(Arc::new),
            rules: Vec::new(),
            permissions: HashMap::new(),
            last_scope: None,
            exact: HashMap::with_capacity(rules.len()),
            wild: HashMap::new(),
        };
        for (index, rule) in rules.iter().enumerate() {
            let index = u32::try_from(index).expect("an entry has fewer than 2^32 sources");
            own.index(&rule.source, index);
            if rule.decision.is_by_request() {
                own.permissions.insert(index, OnceLock::new());
            }
        }
        own.rules = rules;
        own
    }

    fn index(&mut self, source: &Source, index: u32) {
        let Source { partition, namespace, peer, name } = source.clone();
        if let (Pattern::Exact(namespace), Pattern::Exact(name)) = (&namespace, &name) {
            let mut key = ServiceRef { partition, namespace: namespace.clone(), peer, name: name.clone() };
            self.share(&mut key);
            self.exact.entry(key).or_insert(index);
            return;
        }
        let wild = self.wild.entry((partition, peer)).or_default();
        match (namespace, name) {
            (Pattern::Exact(namespace), _) => {
                wild.in_namespace.entry(namespace).or_insert(index);
            }
            (Pattern::Any, Pattern::Exact(name)) => {
                wild.named.entry(name).or_insert(index);
            }
            (Pattern::Any, Pattern::Any) => {
                wild.any.get_or_insert(index);
            }
        }
    }

    /// Lets keys share equal texts, which thousands of keys have in common, so that comparing a key with a caller
    /// stays within the CPU cache. The rules are sorted by these components.
    fn share(&mut self, key: &mut ServiceRef) {
        match &mut self.last_scope {
            Some((partition, namespace)) if *partition == key.partition && *namespace == key.namespace => {
                key.partition = partition.clone();
                key.namespace = namespace.clone();
            }
            last => *last = Some((key.partition.clone(), key.namespace.clone())),
        }
    }

    /// Indexes of the rules that cover `source`, in no particular order.
    fn indexes(&self, source: &ServiceRef) -> impl Iterator<Item = u32> {
        let wild = if self.wild.is_empty() {
            None
        } else {
            self.wild.get(&(source.partition.clone(), source.peer.clone()))
        };
        let exact = if self.exact.is_empty() { None } else { self.exact.get(source).copied() };
        let in_namespace = wild.and_then(|wild| wild.in_namespace.get(&source.namespace).copied());
        let named = wild.and_then(|wild| wild.named.get(&source.name).copied());
        let any = wild.and_then(|wild| wild.any);
        [exact, in_namespace, named, any].into_iter().flatten()
    }

    fn best(&self, source: &ServiceRef) -> Option<Found<'_>> {
        self.indexes(source).min().map(|index| Found { part: self, index })
    }

    fn permissions(&self, index: u32) -> Option<&Permissions> {
        let Decision::Requests(list) = &self.rule(index).decision else { return None };
        Some(self.permissions.get(&index)?.get_or_init(|| Permissions::compile(list)))
    }

    pub(super) fn covering(&self, source: &ServiceRef) -> impl Iterator<Item = &Arc<Intention>> {
        self.indexes(source).map(|index| self.rule(index))
    }

    /// The intention with exactly this source.
    pub(super) fn exactly(&self, source: &Source) -> Option<&Arc<Intention>> {
        let index = match (&source.namespace, &source.name) {
            (Pattern::Exact(namespace), Pattern::Exact(name)) => {
                let key = ServiceRef {
                    partition: source.partition.clone(),
                    namespace: namespace.clone(),
                    peer: source.peer.clone(),
                    name: name.clone(),
                };
                self.exact.get(&key).copied()
            }
            (namespace, name) => {
                let wild = self.wild.get(&(source.partition.clone(), source.peer.clone()))?;
                match (namespace, name) {
                    (Pattern::Exact(namespace), _) => wild.in_namespace.get(namespace).copied(),
                    (Pattern::Any, Pattern::Exact(name)) => wild.named.get(name).copied(),
                    (Pattern::Any, Pattern::Any) => wild.any,
                }
            }
        };
        index.map(|index| self.rule(index))
    }

    pub(super) fn rules(&self) -> &[Arc<Intention>] {
        &self.rules
    }

    pub(super) fn jwt(&self) -> Option<&Arc<JwtRequirement>> {
        self.jwt.as_ref()
    }

    fn rule(&self, index: u32) -> &Arc<Intention> {
        &self.rules[index as usize]
    }
}

/// The destinations whose entries can cover a service: the service itself, its namespace, and all services. Its name
/// in all namespaces is included, too: validation refuses that form, but decisions respect it.
pub(super) fn destinations(service: &ServiceRef) -> [Destination; 4] {
    let of = |namespace, name| Destination { partition: service.partition.clone(), namespace, name };
    let namespace = || Pattern::Exact(service.namespace.clone());
    let name = || Pattern::Exact(service.name.clone());
    [
        of(namespace(), name()),
        of(namespace(), Pattern::Any),
        of(Pattern::Any, name()),
        of(Pattern::Any, Pattern::Any),
    ]
}
