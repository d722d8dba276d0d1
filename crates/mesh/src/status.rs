//! What an entry does as it stands: whether today's rules accept it, in which chains it takes part, and what it
//! changes.
//!
//! All of it is found by comparing the state with one without the entry, by the functions that plans use
//! ([`crate::plan`]). So a status says what a plan to delete the entry would say, and never disagrees with what happens.

mod without;

use std::sync::Arc;

use concord_model::catalog::{NodeScope, ServiceInstance};
use concord_model::entry::{Entry, EntryName};
use concord_model::intention::ServiceIntentions;
use concord_model::{ServiceRef, Stamp};
use serde::{Deserialize, Serialize};

use self::without::Without;
use crate::defaults;
use crate::entry::{Change, check_graph, links, validate};
use crate::plan::{CHAINS_EXAMINED_MAX, Effects, Facts, Side, compiled, effects, reaching};

/// The most broken chains, proxies and services that are listed with an entry; all are counted.
pub const LISTED_MAX: usize = 100;

/// What an entry does as it stands.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct EntryStatus {
    /// The entry.
    pub name: EntryName,
    /// When it was written.
    pub stamp: Stamp,
    /// Why it would be refused if it was written today; `None` if it would be accepted.
    pub refused: Option<String>,
    /// The chains in which it takes part.
    pub chains: TakesPart,
    /// What would change without it.
    pub effects: Effects,
    /// The services whose proxies or gateways are configured otherwise than they would be without it.
    pub proxies: Listed,
    /// The services that it names.
    pub names: Listed,
}

/// The chains in which an entry takes part.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct TakesPart {
    /// How many can be compiled.
    pub whole: usize,
    /// How many cannot.
    pub broken: usize,
    /// The first of these, at most [`LISTED_MAX`], by service.
    pub first: Vec<BrokenChain>,
    /// Whether chains were left out because there are more than [`CHAINS_EXAMINED_MAX`] or nobody waits for
    /// more; then the counts are lower bounds.
    pub cut: bool,
}

/// A chain that cannot be compiled.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct BrokenChain {
    /// The service.
    pub service: ServiceRef,
    /// The reason.
    pub fault: String,
}

/// Services, of which a number is listed.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Listed {
    /// How many there are.
    pub all: usize,
    /// The first of them, at most [`LISTED_MAX`].
    pub first: Vec<ServiceRef>,
}

/// Finds what an entry does. `side` has it.
///
/// `instances` are those of the catalog whose services the caller may know.
pub fn status<'a>(
    entry: &Arc<Entry>,
    side: Side<'_>,
    facts: Facts<'_>,
    instances: impl Iterator<Item = (&'a ServiceInstance, &'a NodeScope)>,
) -> EntryStatus {
    let name = entry.name();
    let gone = Without::of(side.entries, &name);
    let intentions: Vec<ServiceIntentions> = side
        .intentions
        .iter()
        .filter(|own| EntryName::intentions(&own.destination) != name)
        .cloned()
        .collect();
    let without = Side { entries: &gone, intentions: &intentions };
    let proxies = instances.filter_map(|(instance, scope)| configured(without, side, instance, scope));
    let proxies = proxies.filter(|service| (facts.sees_chain)(service));
    EntryStatus {
        refused: refusal(entry, without),
        chains: takes_part(side, &name, facts),
        effects: effects(side, without, std::slice::from_ref(&name), facts),
        proxies: Listed::of(proxies.collect::<std::collections::BTreeSet<_>>()),
        names: Listed::of(links(entry)),
        stamp: entry.stamp(),
        name,
    }
}

/// Why the entry would be refused if it was written today.
fn refusal(entry: &Entry, without: Side<'_>) -> Option<String> {
    if let Err(faults) = validate(entry) {
        let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
        return Some(faults.join("; "));
    }
    let change = Change { name: &entry.name(), to: Some(entry) };
    check_graph(without.entries, change).err().map(|fault| fault.to_string())
}

fn takes_part(side: Side<'_>, name: &EntryName, facts: Facts<'_>) -> TakesPart {
    let mut chains = TakesPart::default();
    let services = reaching(side, name, facts.known);
    for (examined, service) in services.into_iter().filter(|one| (facts.sees_chain)(one)).enumerate() {
        if examined >= CHAINS_EXAMINED_MAX || (facts.enough)() {
            chains.cut = true;
            break;
        }
        match compiled(side, &service, facts.datacenter) {
            Ok(_) => chains.whole += 1,
            Err(fault) => {
                chains.broken += 1;
                if chains.first.len() < LISTED_MAX {
                    chains.first.push(BrokenChain { service, fault: fault.to_string() });
                }
            }
        }
    }
    chains
}

/// The service of an instance, if the entries of the two sides configure the instance differently.
fn configured(
    without: Side<'_>,
    side: Side<'_>,
    instance: &ServiceInstance,
    scope: &NodeScope,
) -> Option<ServiceRef> {
    let question = defaults::question(instance, scope)?;
    let merged = |side: Side<'_>| {
        let central = defaults::gather(&question, |name| side.entries.entry(name));
        defaults::merge(instance, scope, &central)
    };
    (merged(without) != merged(side)).then_some(question.service)
}

impl Listed {
    fn of(all: impl IntoIterator<Item = ServiceRef>) -> Self {
        let mut first: Vec<_> = all.into_iter().collect();
        let all = first.len();
        first.truncate(LISTED_MAX);
        Self { all, first }
    }
}
