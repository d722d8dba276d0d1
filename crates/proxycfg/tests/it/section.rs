//! Sections: what travels leads to the same snapshot, whatever happened.

use std::sync::Arc;

use concord_mesh::intention::DefaultPolicy;
use concord_model::intention::Action;
use concord_proxycfg::{ApplyError, Event, ProxySnapshot, Section, SectionUpdate};

use crate::world::{DENY, World, endpoint, entry, roots, settings, sidecar, upstream};

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
    match random.below(6) {
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
        _ if random.below(20) == 0 => world.on(Event::Gone),
        _ => world.last.clear(),
    }
}

/// To a proxy and back: what it gets is what was sent, in the form of the wire.
fn sent(update: &SectionUpdate) -> SectionUpdate {
    rmp_serde::from_slice(&rmp_serde::to_vec_named(update).unwrap()).unwrap()
}

#[test]
fn sections_lead_to_the_snapshot() {
    let (mut compared, mut sections) = (0, 0);
    for seed in 1..=300u64 {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut world = World::new();
        // A follower of every publication, and one that skips most.
        let mut close: Option<ProxySnapshot> = None;
        let mut distant: Option<ProxySnapshot> = None;
        for _ in 0..100 {
            step(&mut world, &mut random);
            let Some(new) = world.publication() else { continue };
            for (follower, follows) in [(&mut close, true), (&mut distant, random.below(5) == 0)] {
                let Some(own) = follower else {
                    *follower = Some(ProxySnapshot::clone(new));
                    continue;
                };
                if !follows {
                    continue;
                }
                let updates = new.diff(own);
                assert!(!updates.is_empty(), "a publication is news");
                let (last, first) = updates.split_last().unwrap();
                assert!(!last.more && first.iter().all(|update| update.more));
                for update in &updates {
                    own.apply(sent(update)).unwrap();
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

#[test]
fn a_snapshot_survives_its_wire_form() {
    let world = World::published();
    let text = serde_json::to_string(world.snapshot()).unwrap();
    assert_eq!(serde_json::from_str::<ProxySnapshot>(&text).unwrap(), *world.snapshot());
    let bytes = rmp_serde::to_vec_named(world.snapshot()).unwrap();
    assert_eq!(rmp_serde::from_slice::<ProxySnapshot>(&bytes).unwrap(), *world.snapshot());
}

#[test]
fn only_the_section_that_changed_travels() {
    let mut world = World::published();
    let before = world.snapshot().clone();
    world.endpoints("api", vec![]);
    let updates = world.snapshot().diff(&before);
    let names: Vec<_> = updates.iter().map(SectionUpdate::section).collect();
    assert_eq!(names, [Section::Upstream(before.upstreams.keys().next().unwrap().clone())]);
    assert!(Arc::ptr_eq(&world.snapshot().roots.value, &before.roots.value), "parts are shared");
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
