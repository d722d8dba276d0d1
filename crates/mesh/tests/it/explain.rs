//! Tests of explanations: the smallest change is compared with every possible change.

use concord_mesh::explain::{Change, NoChange, PAIRS_LISTED_MAX, Step, explain};
use concord_mesh::intention::{DefaultPolicy, DefaultSource, Table};
use concord_model::intention::{Action, Decision, Destination, ServiceIntentions, Source};
use concord_model::{Namespace, Partition, Pattern, PeerName, ServiceName, ServiceRef};

use crate::oracle;
use crate::random::{Names, Random, action, entry, intention, requirement};

fn default(action: Action) -> DefaultPolicy {
    DefaultPolicy { action, source: DefaultSource::AclDefault }
}

fn names() -> Names {
    Names {
        partitions: vec![Partition::default()],
        namespaces: vec![Namespace::default(), Namespace::parse("team").unwrap()],
        peers: vec![None],
        services: ["web", "api"].map(|name| ServiceName::parse(name).unwrap()).to_vec(),
        unruly: false,
    }
}

/// Every pattern over the names that validation accepts.
fn patterns(names: &Names) -> Vec<(Pattern<Namespace>, Pattern<ServiceName>)> {
    let mut all = vec![(Pattern::Any, Pattern::Any)];
    for namespace in &names.namespaces {
        all.push((Pattern::Exact(namespace.clone()), Pattern::Any));
        let exact = |name: &ServiceName| (Pattern::Exact(namespace.clone()), Pattern::Exact(name.clone()));
        all.extend(names.services.iter().map(exact));
    }
    all
}

/// The entries after a change of one intention, computed by hand.
fn changed(
    entries: &[ServiceIntentions],
    from: &Source,
    to: &Destination,
    what: Option<Action>,
) -> Vec<ServiceIntentions> {
    let mut entries = entries.to_vec();
    if !entries.iter().any(|entry| entry.destination == *to) {
        entries.push(entry(to.clone(), vec![]));
    }
    let own = entries.iter_mut().find(|entry| entry.destination == *to).unwrap();
    own.sources.retain(|one| one.source != *from);
    if let Some(action) = what {
        own.sources.push(intention(from.clone(), Decision::Connection(action)));
    }
    entries.retain(|entry| !entry.sources.is_empty());
    entries
}

fn exactness(from: &Source, to: &Destination) -> i32 {
    let star = |any: bool| i32::from(any);
    let base = match (to.namespace.is_any(), to.name.is_any()) {
        (true, _) => 3,
        (false, true) => 6,
        (false, false) => 9,
    };
    base - star(from.namespace.is_any()) - star(from.name.is_any())
}

/// All other pairs whose verdict differs between two meshes.
fn differing(
    before: &[ServiceIntentions],
    after: &[ServiceIntentions],
    universe: &[ServiceRef],
    but: (&ServiceRef, &ServiceRef),
    default: Action,
) -> Vec<(ServiceRef, ServiceRef)> {
    let mut pairs = Vec::new();
    for to in universe {
        for from in universe {
            if (from, to) != but
                && oracle::decide(before, from, to, default).allowed
                    != oracle::decide(after, from, to, default).allowed
            {
                pairs.push((from.clone(), to.clone()));
            }
        }
    }
    pairs
}

fn resulting(change: &Change) -> Option<Action> {
    match change.step {
        Step::Set { to, .. } => Some(to),
        Step::Add { action } => Some(action),
        Step::Remove { .. } => None,
    }
}

#[test]
fn the_smallest_change_flips_and_no_smaller_one_does() {
    let names = names();
    let (universe, patterns) = (names.universe(), patterns(&names));
    let mut unchangeable = 0;
    let mut steps = [0; 3];
    for seed in 0..10_000 {
        let mut random = Random::new(50_000 + seed);
        let count = random.below(8);
        let mut entries = names.entries(&mut random, count, 6);
        if random.one_in(4) {
            for entry in &mut entries {
                entry.jwt = random.one_in(2).then(requirement);
            }
        }
        let (from, to) = (names.service(&mut random), names.service(&mut random));
        let policy = action(&mut random);
        let explanation = explain(&Table::compile(&entries), &from, &to, default(policy), &universe);

        let before = oracle::decide(&entries, &from, &to, policy).allowed;
        assert_eq!(explanation.verdict.allowed, before);
        let covering = oracle::covering(&entries, &from, &to);
        assert_eq!(explanation.shadows.len(), covering.len().saturating_sub(1));
        for (shadow, (e, s)) in explanation.shadows.iter().zip(covering.iter().skip(1)) {
            assert_eq!(
                (&shadow.destination, &shadow.source),
                (&entries[*e].destination, &entries[*e].sources[*s].source)
            );
        }

        // Every possible change that reverses the verdict, with its size.
        let mut flipping = Vec::new();
        for (namespace, name) in &patterns {
            let destination = Destination {
                partition: Partition::default(),
                namespace: namespace.clone(),
                name: name.clone(),
            };
            for (namespace, name) in &patterns {
                let source = Source {
                    partition: Partition::default(),
                    namespace: namespace.clone(),
                    peer: None,
                    name: name.clone(),
                };
                // No intention about others is proposed, even if a token is demanded no more when its entry ends with it.
                if !source.covers(&from) || !destination.covers(&to) {
                    continue;
                }
                for what in [Some(Action::Allow), Some(Action::Deny), None] {
                    let after = changed(&entries, &source, &destination, what);
                    if oracle::decide(&after, &from, &to, policy).allowed != before {
                        let others = differing(&entries, &after, &universe, (&from, &to), policy).len();
                        flipping.push((others, -exactness(&source, &destination)));
                    }
                }
            }
        }

        let Ok(smallest) = &explanation.smallest_change else {
            assert_eq!(explanation.smallest_change, Err(NoChange::TokenDemanded));
            assert!(flipping.is_empty(), "{entries:#?}");
            unchangeable += 1;
            continue;
        };
        for proposal in [smallest].into_iter().chain(&explanation.alternatives) {
            let change = &proposal.change;
            let there = entries.iter().any(|entry| {
                entry.destination == change.destination
                    && entry.sources.iter().any(|one| one.source == change.source)
            });
            assert_eq!(there, !matches!(change.step, Step::Add { .. }));
            let after = changed(&entries, &change.source, &change.destination, resulting(change));
            assert_ne!(oracle::decide(&after, &from, &to, policy).allowed, before, "{change}");
            let expected = differing(&entries, &after, &universe, (&from, &to), policy);
            assert!(proposal.also_affects.complete);
            assert_eq!(proposal.also_affects.count, expected.len());
            let listed: Vec<_> = proposal
                .also_affects
                .listed
                .iter()
                .map(|pair| (pair.source.clone(), pair.destination.clone()))
                .collect();
            assert_eq!(listed, expected);
            for pair in &proposal.also_affects.listed {
                let after = oracle::decide(&after, &pair.source, &pair.destination, policy);
                assert_eq!(pair.allowed, after.allowed);
            }
        }
        let change = &smallest.change;
        let measure = (smallest.also_affects.count, -exactness(&change.source, &change.destination));
        assert_eq!(Some(&measure), flipping.iter().min(), "{change} {entries:#?}");
        steps[match change.step {
            Step::Set { .. } => 0,
            Step::Add { .. } => 1,
            Step::Remove { .. } => 2,
        }] += 1;
    }
    assert!(unchangeable > 10, "{unchangeable}");
    assert!(steps.iter().all(|count| *count > 10), "{steps:?}");
}

fn service(name: &str) -> ServiceRef {
    ServiceRef::local(ServiceName::parse(name).unwrap())
}

fn source(name: &str) -> Source {
    let namespace = Pattern::Exact(Namespace::default());
    Source { partition: Partition::default(), namespace, peer: None, name: Pattern::parse(name).unwrap() }
}

fn destination(name: &str) -> Destination {
    let namespace = Pattern::Exact(Namespace::default());
    Destination { partition: Partition::default(), namespace, name: Pattern::parse(name).unwrap() }
}

#[test]
fn a_rule_for_everybody_is_left_alone_and_offered_with_its_price() {
    let deny = Decision::Connection(Action::Deny);
    let entries = [entry(destination("api"), vec![intention(source("*"), deny)])];
    let known: Vec<_> = (0..PAIRS_LISTED_MAX + 5).map(|i| service(&format!("s{i}"))).collect();
    let known = [known, vec![service("web"), service("api")]].concat();
    let explanation =
        explain(&Table::compile(&entries), &service("web"), &service("api"), default(Action::Allow), &known);
    let smallest = explanation.smallest_change.expect("there is one");
    assert_eq!(smallest.change.to_string(), "add intention web => api: allow");
    assert_eq!(smallest.also_affects.count, 0);
    let texts: Vec<_> = explanation.alternatives.iter().map(|one| one.change.to_string()).collect();
    assert_eq!(texts, ["change intention * => api from deny to allow", "remove intention * => api (deny)"]);
    for alternative in &explanation.alternatives {
        assert_eq!(alternative.also_affects.count, known.len() - 1);
        assert_eq!(alternative.also_affects.listed.len(), PAIRS_LISTED_MAX);
    }
}

#[test]
fn the_intention_of_the_pair_is_changed_where_there_is_one() {
    let entries = [entry(
        destination("api"),
        vec![
            intention(source("*"), Decision::Connection(Action::Deny)),
            intention(source("web"), Decision::Connection(Action::Allow)),
        ],
    )];
    let explanation =
        explain(&Table::compile(&entries), &service("web"), &service("api"), default(Action::Deny), &[]);
    assert_eq!(explanation.shadows.len(), 1);
    let change = explanation.smallest_change.expect("there is one").change;
    assert_eq!(change.to_string(), "change intention web => api from allow to deny");
    assert!(explanation.alternatives.is_empty());
}

#[test]
fn a_peer_decides_for_its_own() {
    let there = ServiceRef { peer: Some(PeerName::parse("east").unwrap()), ..service("api") };
    let explanation = explain(&Table::default(), &service("web"), &there, default(Action::Allow), &[]);
    assert_eq!(explanation.smallest_change, Err(NoChange::DecidedByPeer));
}

#[test]
fn an_explanation_survives_its_wire_form() {
    let explanation =
        explain(&Table::default(), &service("web"), &service("api"), default(Action::Allow), &[]);
    let text = serde_json::to_string(&explanation).unwrap();
    assert_eq!(serde_json::from_str::<concord_mesh::explain::Explanation>(&text).unwrap(), explanation);
}
