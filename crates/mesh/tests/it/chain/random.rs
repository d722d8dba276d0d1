//! Random entries: what holds of every chain.

use std::sync::Arc;

use concord_mesh::chain::{ChainFault, ChainNode, CompiledChain};
use concord_mesh::entry::{Change, GraphFault, check_graph};
use concord_model::entry::{Entry, Weight};

use super::language::{World, entry, show};
use crate::random::Random;

/// Few services, so that the entries meet.
pub(crate) const NAMES: [&str; 5] = ["web", "api", "db", "old", "v1.api"];
const SUBSETS: [&str; 3] = ["v1", "v2", "v3"];

/// Where requests go, as in a route or split.
fn place(random: &mut Random) -> String {
    let name = if random.one_in(6) { "" } else { random.pick(&NAMES) };
    if random.one_in(5) { format!("{name}/{}", random.pick(&SUBSETS)) } else { name.to_owned() }
}

fn far_place(random: &mut Random) -> String {
    match random.below(6) {
        0 => format!("{}@dc2", random.pick(&NAMES)),
        1 => format!("{}%east", random.pick(&NAMES)),
        2 => "@dc3".to_owned(),
        _ => random.pick(&NAMES).to_owned(),
    }
}

pub(crate) fn line(random: &mut Random) -> String {
    let name = random.pick(&NAMES);
    let protocol = random.pick(&["http", "http", "http", "grpc", "tcp"]);
    match random.below(12) {
        0 => format!("P {protocol} gw={}", random.pick(&["local", "remote", "none"])),
        1 | 2 => {
            format!("D {name} {protocol} gw=local{}", if random.one_in(5) { " sni=out.example" } else { "" })
        }
        3 => {
            let routes: Vec<_> = (0..random.below(4)).map(|i| format!("{i}>{}", place(random))).collect();
            format!("R {name} {}", routes.join(" "))
        }
        4..=6 => splitter(random, name),
        _ => resolver(random, name),
    }
}

fn splitter(random: &mut Random, name: &str) -> String {
    let mut left = 10_000;
    let count = 1 + random.below(4);
    let mut splits = Vec::new();
    for i in 0..count {
        let weight = if i + 1 == count { left } else { random.below(left + 1) };
        left -= weight;
        splits.push(format!("{}:{}", Weight::from_hundredths(weight as i32), place(random)));
    }
    format!("S {name} {}", splits.join(" "))
}

fn resolver(random: &mut Random, name: &str) -> String {
    let mut said = format!("V {name}");
    let own: Vec<_> = SUBSETS.into_iter().filter(|_| !random.one_in(3)).collect();
    own.iter().for_each(|subset| said += &format!(" sub={subset}"));
    if !own.is_empty() && random.one_in(3) {
        said += &format!(" default={}", random.pick(&own));
    }
    let key = if own.is_empty() || random.one_in(2) { "*" } else { random.pick(&own) };
    match random.below(5) {
        0 => said += &format!(" to={}", far_place(random)),
        1 => said += &format!(" dcs={key}:dc2,dc1,dc3"),
        2 => said += &format!(" targets={key}:{}+{}", far_place(random), far_place(random)),
        3 => said += &format!(" fail={key}:{}", random.pick(&NAMES)),
        _ => {}
    }
    if random.one_in(4) {
        said += random.pick(&[" t=9", " lb=maglev", " lb=random"]);
    }
    said
}

pub(crate) fn world(random: &mut Random) -> World {
    let mut world = World::default();
    if random.one_in(2) {
        world.add("P http");
    }
    for _ in 0..random.below(9) {
        world.add(&line(random));
    }
    if random.one_in(4) {
        world.add(random.pick(&["O tcp", "O grpc", "O gw=remote", "O t=9", "O http t=5"]));
    }
    world
}

/// What holds of every chain.
fn sound(chain: &CompiledChain) {
    let mut reached = std::collections::BTreeSet::new();
    let mut targets = std::collections::BTreeSet::new();
    let mut todo = vec![chain.start.key.as_str()];
    while let Some(key) = todo.pop() {
        if !reached.insert(key) {
            continue;
        }
        let node = &chain.nodes[key];
        assert_eq!(node.key(), key);
        todo.extend(node.next());
        match node {
            ChainNode::Router(own) => {
                let last = own.routes.last().unwrap();
                assert!(last.origin.is_none(), "the last route is nobody's");
                assert_eq!(key, chain.start.key, "only the first node routes");
            }
            ChainNode::Splitter(own) => {
                let sum: i32 = own.splits.iter().map(|split| split.weight.hundredths()).sum();
                let off = sum.abs_diff(Weight::WHOLE.hundredths()) as usize;
                assert!(off <= own.splits.len(), "{sum} of {}", own.splits.len());
                let inner = |split: &concord_mesh::chain::ChainSplit| chain.nodes[&split.next.key].kind();
                assert!(own.splits.iter().all(|split| inner(split) == "resolver"));
                assert!(own.splits.iter().all(|split| !split.origins.is_empty()));
            }
            ChainNode::Resolver(own) => {
                targets.insert(own.target.as_str());
                targets.extend(own.failover.iter().map(|step| step.target.as_str()));
                assert!(own.failover.iter().all(|step| !step.origins.is_empty()));
            }
        }
    }
    assert_eq!(reached.len(), chain.nodes.len(), "every node is reached");
    let all: std::collections::BTreeSet<_> = chain.targets.keys().map(String::as_str).collect();
    // A failover that a split of another chain part used stays a target; every one that is named is there.
    assert!(targets.is_subset(&all), "every target is there");
    assert!(chain.targets.iter().all(|(id, target)| *id == target.id));
    let routed = !matches!(chain.nodes[&chain.start.key], ChainNode::Resolver(_));
    assert!(!routed || chain.protocol.is_http());
}

/// One history: entries come and go; what is refused would have broken a chain, and what is taken broke none.
fn history(seed: u64) -> (usize, usize) {
    let mut random = Random::new(seed);
    let mut world = world(&mut random);
    let (mut compiled, mut broken) = (0, 0);
    for name in NAMES {
        let chain = world.chain(name);
        assert_eq!(chain, world.clone().chain(name), "seed {seed}");
        match &chain {
            Ok(chain) => {
                sound(chain);
                compiled += 1;
            }
            Err(ChainFault::TooLarge { .. }) => panic!("seed {seed}: five services are not too many"),
            Err(_) => broken += 1,
        }
        // Entries of another service change nothing.
        let mut beside = world.clone();
        beside.add("D elsewhere grpc");
        beside.add("V elsewhere to=web");
        assert_eq!(beside.chain(name), chain, "seed {seed}");
    }
    world.overrides = Default::default();
    one_change(&mut random, &mut world, seed);
    (compiled, broken)
}

fn one_change(random: &mut Random, world: &mut World, seed: u64) {
    let to = entry(&line(random));
    let name = to.name();
    let to = if random.one_in(4) { None } else { Some(to) };
    let verdict = check_graph(world, Change { name: &name, to: to.as_ref() });
    let before = NAMES.map(|own| world.chain(own).is_ok());
    match to.clone() {
        Some(to) => drop(world.entries.insert(name.clone(), Arc::new(to))),
        None => drop(world.entries.remove(&name)),
    }
    let after = NAMES.map(|own| world.chain(own).is_ok());
    let breaks = before.iter().zip(after).any(|(before, after)| *before && !after);
    match verdict {
        Err(GraphFault::Chain(_)) => assert!(breaks, "seed {seed}: {name} breaks nothing"),
        Err(_) => {}
        Ok(()) => assert!(!breaks, "seed {seed}: {name} breaks a chain: {:?}", to.map(|to: Entry| to.kind())),
    }
}

fn histories(seeds: std::ops::Range<u64>) {
    let (mut compiled, mut broken) = (0, 0);
    for seed in seeds {
        let (good, bad) = history(seed);
        (compiled, broken) = (compiled + good, broken + bad);
    }
    assert!(compiled > 0 && broken > 0, "both happen: {compiled} and {broken}");
}

/// The seed, and how many meshes are made: many more if somebody searches for faults with another seed.
#[allow(clippy::disallowed_methods, reason = "the seed of all random tests")]
fn seed_and_count() -> (u64, u64) {
    let seed = std::env::var("PROPTEST_RNG_SEED").ok().and_then(|text| text.parse().ok());
    // That of `.cargo/config.toml`.
    let usual = 20_261_129;
    let seed: u64 = seed.unwrap_or(usual);
    (seed.wrapping_mul(1_000_000) & (u64::MAX >> 8), if seed == usual { 4_000 } else { 10_000 })
}

#[test]
fn every_chain_of_random_entries_is_sound_and_only_what_breaks_one_is_refused() {
    let (first, count) = seed_and_count();
    histories(first..first + count);
}

#[test]
fn random_entries_are_shown_as_text() {
    let mut random = Random::new(7);
    let texts: Vec<_> =
        (0..50).filter_map(|_| world(&mut random).chain("web").ok()).map(|chain| show(&chain)).collect();
    assert!(texts.len() > 10 && texts.iter().any(|text| text.contains("splitter")), "{texts:#?}");
}
