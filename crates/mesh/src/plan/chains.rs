//! The chains that a change alters, breaks or mends.

use std::collections::BTreeSet;

use concord_model::entry::{EntryKind, EntryName};
use concord_model::{Datacenter, ServiceRef};
use serde::{Deserialize, Serialize};

use super::facts::{Facts, Side};
use super::limits::{CHAINS_EXAMINED_MAX, CHAINS_LISTED_MAX, LINES_MAX};
use super::lines::lines;
use crate::chain::{self, ChainFault, CompiledChain, Request};
use crate::entry::leading_to;

/// The chains that a change alters.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ChainChanges {
    /// How many chains are otherwise afterwards.
    pub all: usize,
    /// How many of them are whole before and broken afterwards.
    pub broken: usize,
    /// How many of them are broken before and whole afterwards.
    pub mended: usize,
    /// The first of them, at most [`CHAINS_LISTED_MAX`], by service.
    pub first: Vec<ChainChange>,
    /// Whether chains were left out because there are more than [`CHAINS_EXAMINED_MAX`] or nobody waits for
    /// more; then the counts are lower bounds.
    pub cut: bool,
}

/// A chain that a change alters.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ChainChange {
    /// The service.
    pub service: ServiceRef,
    /// The chain before.
    pub before: ChainState,
    /// The chain afterwards.
    pub after: ChainState,
}

/// A chain on one side. Of a chain that is whole on both, only the lines are told in which the sides differ.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChainState {
    /// It can be compiled.
    Whole {
        /// What it does, at most [`LINES_MAX`] lines.
        lines: Vec<String>,
        /// How many lines were left out.
        left_out: usize,
    },
    /// It cannot be compiled.
    Broken {
        /// The reason.
        fault: String,
    },
}

type Compiled = Result<CompiledChain, ChainFault>;

/// Compares the chains of all services that the changed entries can concern.
pub(super) fn compare(
    before: Side<'_>,
    after: Side<'_>,
    changed: &[EntryName],
    facts: Facts<'_>,
) -> ChainChanges {
    let mut changes = ChainChanges::default();
    let mut concerned = BTreeSet::new();
    for side in [before, after] {
        concerned.extend(changed.iter().flat_map(|name| reaching(side, name, facts.known)));
    }
    for (examined, service) in concerned.into_iter().filter(|one| (facts.sees_chain)(one)).enumerate() {
        if examined >= CHAINS_EXAMINED_MAX || (facts.enough)() {
            changes.cut = true;
            break;
        }
        let sides = [before, after].map(|side| compiled(side, &service, facts.datacenter));
        if sides[0] != sides[1] {
            changes.add(service, sides);
        }
    }
    changes
}

/// The chain of a service. Whether it can be compiled does not depend on the trust domain, and no line shows it.
pub(crate) fn compiled(side: Side<'_>, service: &ServiceRef, datacenter: &Datacenter) -> Compiled {
    let request = Request { datacenter: datacenter.clone(), ..Request::anywhere(service) };
    chain::compile(&chain::gather(service, |name| side.entries.entry(name))?, &request)
}

/// The services whose chains can depend on an entry: its own, and those whose requests may reach it; all that are
/// known, if it is for all.
pub fn reaching(side: Side<'_>, name: &EntryName, known: &[ServiceRef]) -> BTreeSet<ServiceRef> {
    match name.kind {
        EntryKind::ServiceRouter => name.scope.service().into_iter().collect(),
        EntryKind::ServiceSplitter | EntryKind::ServiceResolver | EntryKind::ServiceDefaults => {
            leading_to(side.entries, name.scope.service())
        }
        EntryKind::ProxyDefaults => named(side).chain(known.iter().cloned()).collect(),
        _ => BTreeSet::new(),
    }
}

/// The services of which an entry about chains speaks.
fn named<'a>(side: Side<'a>) -> impl Iterator<Item = ServiceRef> + 'a {
    let kinds = [
        EntryKind::ServiceRouter,
        EntryKind::ServiceSplitter,
        EntryKind::ServiceResolver,
        EntryKind::ServiceDefaults,
    ];
    let names = kinds.into_iter().flat_map(move |kind| side.entries.named(kind));
    names.filter_map(|name| name.scope.service())
}

// === impl ChainChanges ===

impl ChainChanges {
    fn add(&mut self, service: ServiceRef, [before, after]: [Compiled; 2]) {
        self.all += 1;
        self.broken += usize::from(before.is_ok() && after.is_err());
        self.mended += usize::from(before.is_err() && after.is_ok());
        if self.first.len() < CHAINS_LISTED_MAX {
            self.first.push(ChainChange::of(service, before, after));
        }
    }
}

// === impl ChainChange ===

impl ChainChange {
    fn of(service: ServiceRef, before: Compiled, after: Compiled) -> Self {
        let [mut was, mut is] = [&before, &after].map(|chain| chain.as_ref().map(lines).unwrap_or_default());
        if before.is_ok() && after.is_ok() {
            let same: BTreeSet<String> = was.iter().filter(|line| is.contains(line)).cloned().collect();
            was.retain(|line| !same.contains(line));
            is.retain(|line| !same.contains(line));
            if was.is_empty() && is.is_empty() {
                is.push("the same in another order".to_owned());
            }
        }
        Self { service, before: ChainState::of(before, was), after: ChainState::of(after, is) }
    }
}

// === impl ChainState ===

impl ChainState {
    fn of(chain: Compiled, mut lines: Vec<String>) -> Self {
        if let Err(fault) = chain {
            return Self::Broken { fault: fault.to_string() };
        }
        let left_out = lines.len().saturating_sub(LINES_MAX);
        lines.truncate(LINES_MAX);
        Self::Whole { lines, left_out }
    }
}
