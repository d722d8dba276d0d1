//! Sections: what travels leads to the same snapshot, whatever happened.

use std::sync::Arc;

use concord_mesh::intention::DefaultPolicy;
use concord_model::intention::Action;
use concord_proxycfg::{
    ApplyError, ChainId, Event, ListenerId, ProxySnapshot, SECTIONS_MAX, Section, SectionBody, SectionUpdate,
    Sections, Target, UPSTREAMS_MAX, UpstreamId, Versioned,
};

use crate::world::{DENY, World, endpoint, entry, mesh, roots, settings, sidecar, target, upstream};

/// A small deterministic generator (xorshift64); one seed is one history.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % n
    }
}

const SERVICES: [&str; 4] = ["api", "db", "cache", "mail"];

fn step(world: &mut World, random: &mut Random) {
    let of = ["web", "shop"][random.below(2)];
    match random.below(8) {
        0 => {
            let chosen = SERVICES.iter().enumerate().filter(|_| random.below(2) == 0);
            let upstreams: Vec<_> = chosen.map(|(i, to)| upstream(to, 9000 + i as u16)).collect();
            let mut instance = sidecar(of, upstreams);
            let limit = random.below(3);
            instance.proxy.as_mut().unwrap().config =
                settings(&format!(r#"{{"max_inbound_connections": {limit}}}"#));
            if random.below(8) == 0 {
                instance.port = 0;
            }
            world.register(instance);
        }
        1 => world.on(Event::RootsChanged(roots(random.below(3) as u64))),
        2 => {
            let action = [Action::Allow, Action::Deny];
            let entries = vec![entry("db", of, action[random.below(2)]), entry("*", "*", Action::Deny)];
            let keep = random.below(3);
            let default = DefaultPolicy { action: action[random.below(2)], ..DENY };
            world.intentions(of, entries.into_iter().take(keep).collect(), default);
        }
        3 | 4 => {
            let to = SERVICES[random.below(4)];
            let count = random.below(3);
            world.endpoints(to, (0..count).map(|i| endpoint(to, &format!("n{i}"), 21000)).collect());
        }
        5 => {
            let to: Vec<_> = SERVICES.into_iter().filter(|_| random.below(3) == 0).collect();
            world.chain(SERVICES[random.below(4)], if to.is_empty() { &["api"] } else { &to });
        }
        6 => world.mesh((random.below(2) == 0).then(|| mesh(random.below(2) == 0))),
        _ if random.below(20) == 0 => world.on(Event::Gone),
        _ => world.last.clear(),
    }
}

/// To a proxy and back: what it gets is what was sent, in the form of the wire.
fn sent(update: &SectionUpdate) -> SectionUpdate {
    rmp_serde::from_slice(&rmp_serde::to_vec_named(update).unwrap()).unwrap()
}

/// What a proxy has after the first message of a stream, in the form of the wire.
fn begun(snapshot: &ProxySnapshot) -> ProxySnapshot {
    rmp_serde::from_slice(&rmp_serde::to_vec_named(&snapshot.beginning()).unwrap()).unwrap()
}

/// Every listener finds its chain, every chain its targets.
#[track_caller]
fn assert_whole(snapshot: &ProxySnapshot) {
    for listener in snapshot.listeners.values() {
        assert!(
            listener.chain().is_none_or(|chain| snapshot.chains.contains_key(chain)),
            "{}",
            listener.id()
        );
    }
    for chain in snapshot.chains.values() {
        assert!(chain.targets().iter().all(|target| snapshot.targets.contains_key(target)), "{}", chain.id);
    }
    let is_in_order = snapshot.listeners.keys().is_sorted()
        && snapshot.chains.keys().is_sorted()
        && snapshot.targets.keys().is_sorted();
    assert!(is_in_order);
}

#[test]
fn sections_are_in_order_and_each_is_there_once() {
    let of = |name: &str, version| Versioned {
        version,
        value: Arc::new(Target { id: target(name), endpoints: None }),
    };
    let all: Sections<Target> = [of("c", 1), of("a", 1), of("b", 1), of("a", 2)].into_iter().collect();
    assert_eq!(all.keys().collect::<Vec<_>>(), ["a", "b", "c"].map(target));
    assert_eq!((all.len(), all[&target("a")].version), (3, 2));
    assert!(all.get(&target("d")).is_none() && all.contains_key(&target("b")));
}

#[test]
fn sections_lead_to_the_snapshot() {
    let (mut compared, mut sections) = (0, 0);
    for seed in 1..=450u64 {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut world = if seed % 2 == 0 { World::new() } else { World::by_entries() };
        // A follower of every publication, and one that skips most.
        let mut close: Option<ProxySnapshot> = None;
        let mut distant: Option<ProxySnapshot> = None;
        for _ in 0..100 {
            step(&mut world, &mut random);
            let Some(new) = world.publication() else { continue };
            assert_whole(new);
            for (follower, follows) in [(&mut close, true), (&mut distant, random.below(5) == 0)] {
                let first = follower.is_none();
                let own = follower.get_or_insert_with(|| begun(new));
                if !first && !follows {
                    continue;
                }
                let updates = new.diff(own);
                assert!(!updates.is_empty(), "a publication is news");
                let (last, rest) = updates.split_last().unwrap();
                assert!(!last.more && rest.iter().all(|update| update.more));
                for update in &updates {
                    own.apply(sent(update)).unwrap();
                    assert_whole(own);
                }
                assert_eq!(own, &**new);
                assert!(new.diff(own).is_empty());
                assert!(own.policy().is_ok());
                compared += 1;
                sections += updates.len();
            }
        }
    }
    assert!(compared > 5_000 && sections > compared, "{compared} snapshots, {sections} sections");
}

#[test]
fn in_whatever_order_they_come_no_section_lacks_what_it_names() {
    let (mut taken, mut refused) = (0, 0);
    for seed in 1..=100u64 {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut world = if seed % 2 == 0 { World::new() } else { World::by_entries() };
        let mut own: Option<ProxySnapshot> = None;
        for _ in 0..50 {
            step(&mut world, &mut random);
            let Some(new) = world.publication() else { continue };
            let own = own.get_or_insert_with(|| begun(new));
            let mut updates = new.diff(own);
            while !updates.is_empty() {
                let before = own.clone();
                match own.apply(updates.swap_remove(random.below(updates.len()))) {
                    Ok(()) => taken += 1,
                    Err(_) => {
                        assert_eq!(*own, before, "a refused section changes nothing");
                        refused += 1;
                    }
                }
                assert_whole(own);
            }
        }
    }
    assert!(taken > 500 && refused > 50, "{taken} taken, {refused} refused");
}

#[test]
fn a_change_that_came_and_went_leads_to_the_same_version() {
    let mut world = World::published();
    let mut own = world.snapshot().clone();
    world.register(sidecar("web", vec![upstream("api", 9000), upstream("db", 9001)]));
    world.register(sidecar("web", vec![upstream("api", 9000)]));
    assert_eq!(world.snapshot().version, own.version + 2);
    let updates = world.snapshot().diff(&own);
    assert_eq!(updates.len(), 1);
    updates.into_iter().for_each(|update| own.apply(update).unwrap());
    assert_eq!(own, *world.snapshot());
    assert_eq!(world.snapshot().diff(&own), []);
}

/// A sidecar with many upstreams, fully told.
fn with_upstreams(names: impl Iterator<Item = String>) -> World {
    let mut world = World::new();
    let names: Vec<_> = names.collect();
    let upstreams = names.iter().enumerate().map(|(i, name)| upstream(name, 9000 + i as u16)).collect();
    world.register(sidecar("web", upstreams));
    world.on(Event::RootsChanged(roots(1)));
    world.intentions("web", vec![entry("db", "web", Action::Allow)], DENY);
    for name in &names {
        world.endpoints(name, vec![endpoint(name, "n1", 21000)]);
    }
    world
}

#[test]
fn a_change_of_endpoints_sends_them_and_nothing_else() {
    let mut world = with_upstreams((0..50).map(|i| format!("s{i}")));
    let before = world.snapshot().clone();
    let changed = endpoint("s7", "n2", 21000);
    let bytes = rmp_serde::to_vec_named(&changed).unwrap().len();
    world.endpoints("s7", vec![endpoint("s7", "n1", 21000), changed]);
    let after = world.snapshot();
    let stream: Vec<_> =
        after.diff(&before).iter().map(|update| rmp_serde::to_vec_named(update).unwrap()).collect();
    assert_eq!(stream.len(), 1, "one message");
    assert!(stream[0].len() <= 2 * bytes + 256, "{} bytes for two endpoints of {bytes}", stream[0].len());
    let update: SectionUpdate = rmp_serde::from_slice(&stream[0]).unwrap();
    assert_eq!((update.section(), update.more), (Section::Target(target("s7")), false));
    let whole = after.diff(&begun(after)).len();
    assert_eq!(whole, 151, "a listener, a chain and a target each, and the inbound listener");
    assert!(Arc::ptr_eq(&after.roots.value, &before.roots.value), "parts are shared");
    // The same endpoints again, in another order, send nothing.
    world.endpoints("s7", vec![endpoint("s7", "n2", 21000), endpoint("s7", "n1", 21000)]);
    assert!(world.publication().is_none());
}

#[test]
fn what_is_named_comes_first_and_goes_last() {
    let mut world = World::published();
    let before = world.snapshot().clone();
    world.register(sidecar("web", vec![upstream("db", 9000)]));
    let id = |to: &str| UpstreamId::of(&upstream(to, 9000));
    let (api, db) = (ListenerId::Upstream(id("api")), ListenerId::Upstream(id("db")));
    let updates = world.snapshot().diff(&before);
    let names: Vec<_> = updates.iter().map(SectionUpdate::section).collect();
    assert_eq!(
        names,
        [
            Section::Target(target("db")),
            Section::Chain(ChainId::of(&id("db"))),
            Section::Listener(db),
            Section::Listener(api),
            Section::Chain(ChainId::of(&id("api"))),
            Section::Target(target("api")),
        ]
    );
    let gone = updates.iter().skip(3).all(|update| {
        let body = &update.body;
        matches!(body, SectionBody::ListenerGone(_) | SectionBody::ChainGone(_) | SectionBody::TargetGone(_))
    });
    assert!(gone, "that a section is no more is told");
}

#[track_caller]
fn refused(own: &ProxySnapshot, body: SectionBody, expected: &str) {
    let mut after = own.clone();
    let update = SectionUpdate { version: own.version + 1, more: false, body };
    let error = after.apply(update).expect_err("must be refused");
    assert!(error.to_string().contains(expected), "{error}");
    assert_eq!(after, *own);
}

#[test]
fn n_176_a_section_that_lacks_what_it_names_is_refused() {
    let mut world = World::published();
    let own = world.snapshot().clone();
    world.register(sidecar("web", vec![upstream("db", 9000)]));
    let new = world.snapshot().clone();
    let (chain, listener) = (new.chains.values().next(), new.listeners.values().last());
    refused(&own, SectionBody::Chain(chain.unwrap().clone()), "chain db leads to db in dc1");
    refused(&own, SectionBody::Listener(listener.unwrap().clone()), "upstream db leads to chain db");
    let (chain, target) = (own.chains.keys().next().unwrap(), own.targets.keys().next().unwrap());
    refused(&own, SectionBody::ChainGone(chain), "still in use");
    refused(&own, SectionBody::TargetGone(target), "still in use");
}

#[test]
fn as_many_upstreams_as_there_may_be_can_be_replaced_by_others() {
    let world = with_upstreams((0..UPSTREAMS_MAX).map(|i| format!("old{i}")));
    let mut own = begun(world.snapshot());
    let first = world.snapshot().diff(&own);
    first.into_iter().for_each(|update| own.apply(update).unwrap());
    let mut other = with_upstreams((0..UPSTREAMS_MAX).map(|i| format!("new{i}")));
    for version in 0.. {
        if other.snapshot().version > own.version {
            break;
        }
        other.on(Event::RootsChanged(roots(2 + version)));
    }
    other.snapshot().diff(&own).into_iter().for_each(|update| own.apply(update).unwrap());
    assert_eq!(own, *other.snapshot());
}

#[test]
fn there_is_an_end_to_the_sections_that_are_taken() {
    let mut own = World::published().snapshot().clone();
    let sections = 3 + own.targets.len() + own.chains.len() + own.listeners.len();
    let unknown = |i: usize| {
        SectionBody::Target(Versioned {
            version: 1,
            value: Arc::new(Target { id: target(&format!("s{i}")), endpoints: None }),
        })
    };
    for i in sections..SECTIONS_MAX {
        own.apply(SectionUpdate { version: own.version, more: true, body: unknown(i) }).unwrap();
    }
    refused(&own, unknown(0), "at most 4096 sections");
    let again = SectionUpdate { version: own.version, more: false, body: unknown(sections) };
    assert_eq!(own.apply(again), Ok(()), "one that is here takes its own place");
}

#[test]
fn an_older_section_is_refused_and_changes_nothing() {
    let mut world = World::published();
    let first = world.snapshot().clone();
    world.intentions("web", vec![entry("db", "web", Action::Deny)], DENY);
    let second = world.snapshot().clone();
    world.intentions("web", vec![], DENY);
    let mut own = world.snapshot().clone();
    let old = second.diff(&first).remove(0);
    let error = ApplyError::Stale { have: own.version, got: second.version };
    assert_eq!(own.apply(old), Err(error));
    assert_eq!(own, *world.snapshot());
}
