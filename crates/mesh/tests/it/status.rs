//! Tests of the status of entries: what it says is what differs in a state without the entry.

use std::sync::Arc;

use concord_mesh::chain::{Request, compile, gather};
use concord_mesh::entry::{Change, check_graph, validate};
use concord_mesh::intention::{DefaultPolicy, DefaultSource};
use concord_mesh::plan::{Facts, effects, reaching};
use concord_mesh::status::{EntryStatus, status};
use concord_model::entry::{Entry, EntryName};
use concord_model::intention::Action;
use concord_model::{Datacenter, ServiceRef, TrustDomain};

use crate::chain::language::{World, entry, service};
use crate::chain::random;
use crate::plan::{State, few, seed_and_count};
use crate::random::Random;
use crate::random_request::names;

fn with_facts<T>(known: &[ServiceRef], look: impl FnOnce(Facts<'_>) -> T) -> T {
    facts_until(known, &|| false, look)
}

fn facts_until<T>(known: &[ServiceRef], enough: &dyn Fn() -> bool, look: impl FnOnce(Facts<'_>) -> T) -> T {
    look(Facts {
        callers: &names().universe(),
        called: &names().universe(),
        known,
        sees_chain: &|_| true,
        enough,
        default: DefaultPolicy { action: Action::Deny, source: DefaultSource::AclDefault },
        datacenter: &Datacenter::parse("dc1").unwrap(),
    })
}

fn of(state: &State, entry: &Arc<Entry>, known: &[ServiceRef]) -> EntryStatus {
    with_facts(known, |facts| status(entry, state.side(), facts, std::iter::empty()))
}

fn fault(world: &World, of: &ServiceRef) -> Option<String> {
    let request = Request {
        trust_domain: TrustDomain::parse("any.consul").unwrap(),
        ..world.request(of.name.as_str())
    };
    let gathered = gather(of, |name| world.entries.get(name).cloned());
    gathered.and_then(|gathered| compile(&gathered, &request)).err().map(|fault| fault.to_string())
}

fn without(state: &State, name: &EntryName) -> State {
    let mut without = state.clone();
    without.world.entries.remove(name);
    without.intentions.retain(|own| EntryName::intentions(&own.destination) != *name);
    without
}

#[test]
fn the_status_of_an_entry_is_what_differs_without_it() {
    let (first, count) = seed_and_count();
    let known = random::NAMES.map(service).to_vec();
    let (mut refused, mut broken, mut changes) = (0, 0, 0);
    for seed in first..first + count {
        let random = &mut Random::new(seed);
        let mut state = State { world: random::world(random), intentions: few(random) };
        state.world.overrides = Default::default();
        let intentions = state.intentions.iter().cloned().map(Entry::ServiceIntentions).map(Arc::new);
        for entry in state.world.entries.values().cloned().chain(intentions) {
            let (name, found) = (entry.name(), of(&state, &entry, &known));
            let gone = without(&state, &name);
            let expected = with_facts(&known, |facts| {
                effects(state.side(), gone.side(), std::slice::from_ref(&name), facts)
            });
            assert_eq!(found.effects, expected, "seed {seed}: {name}");
            // The state without the entry is built by hand here.
            let change = Change { name: &name, to: Some(&entry) };
            let accepted = validate(&entry).is_ok() && check_graph(&gone.world, change).is_ok();
            assert_eq!(found.refused.is_none(), accepted, "seed {seed}: {name}");
            let faults: Vec<_> = reaching(state.side(), &name, &known)
                .into_iter()
                .map(|service| fault(&state.world, &service).map(|fault| (service, fault)))
                .collect();
            let whole = faults.iter().filter(|fault| fault.is_none()).count();
            let listed: Vec<_> =
                found.chains.first.iter().map(|one| (one.service.clone(), one.fault.clone())).collect();
            assert_eq!(listed, faults.into_iter().flatten().collect::<Vec<_>>(), "seed {seed}: {name}");
            assert_eq!(
                (found.chains.whole, found.chains.broken),
                (whole, listed.len()),
                "seed {seed}: {name}"
            );
            refused += usize::from(!accepted);
            broken += listed.len();
            changes += found.effects.chains.all + found.effects.verdicts.pairs;
        }
    }
    assert!(refused > 20 && broken > 20 && changes > 100, "{refused} {broken} {changes}");
}

#[test]
fn an_entry_that_todays_rules_refuse_is_told_with_the_reason() {
    let world = World::of("P http\nS web 50:web 50:api/v1\nV api sub=v1");
    let mut state = State { world, intentions: Vec::new() };
    let splitter = Arc::new(entry("S web 50:web 50:api/v1"));
    let known = [service("web"), service("api")];
    let found = of(&state, &splitter, &known);
    assert_eq!((found.refused, found.chains.whole, found.chains.broken), (None, 1, 0));
    assert_eq!(found.effects.chains.first.iter().map(|one| &one.service).collect::<Vec<_>>(), [&known[0]]);
    state.world.entries.remove(&entry("V api").name());
    let found = of(&state, &splitter, &known);
    let why = found.refused.unwrap();
    assert!(why.contains("does not have a subset named \"v1\""), "{why}");
    assert_eq!((found.chains.whole, found.chains.broken), (0, 1));
    assert_eq!(found.chains.first[0].fault, why);
}

#[test]
fn a_status_that_is_not_complete_says_so() {
    let state = State { world: World::of("P http"), ..State::default() };
    let known: Vec<_> = ["web", "db"].map(service).to_vec();
    let (name, entry) = state.world.entries.iter().next().unwrap();
    let chains = |enough: &dyn Fn() -> bool| {
        let look = |facts: Facts<'_>| status(entry, state.side(), facts, std::iter::empty());
        let chains = facts_until(&known, enough, look).chains;
        (chains.whole + chains.broken, chains.cut)
    };
    assert_eq!(chains(&|| true), (0, true), "{name:?}");
    assert!(!chains(&|| false).1 && chains(&|| false).0 > 0);
}
