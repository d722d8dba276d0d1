//! The machine: what it watches, when it publishes, and when it must not.

use concord_mesh::intention::DefaultPolicy;
use concord_model::entry::{EntryKind, EntryName};
use concord_model::intention::Action;
use concord_model::proxy::ServiceKind;
use concord_proxycfg::{Effect, Event, ProxyFault, Section, SectionUpdate, WatchKey};

use crate::world::{
    DENY, World, dc, endpoint, entry, id, leaf, roots, service, settings, sidecar, target, upstream,
};

#[test]
fn a_registration_starts_its_watches() {
    let mut world = World::new();
    world.register(sidecar("web", vec![upstream("api", 9000)]));
    let expected = [
        Effect::StartWatch(WatchKey::Roots),
        Effect::StartWatch(WatchKey::Intentions(service("web").into())),
        Effect::StartWatch(WatchKey::Endpoints(target("api"))),
        Effect::StartWatch(WatchKey::Entry(EntryName::only(EntryKind::Mesh).into())),
    ];
    assert_eq!(world.last, expected);
    world.register(sidecar("web", vec![upstream("api", 9000)]));
    assert_eq!(world.last, []);
}

#[test]
fn nothing_is_published_before_roots_and_intentions_are_known() {
    let mut world = World::new();
    world.register(sidecar("web", vec![upstream("api", 9000)]));
    assert!(world.publication().is_none());
    world.endpoints("api", vec![endpoint("api", "n2", 21000)]);
    assert!(world.publication().is_none());
    world.on(Event::RootsChanged(roots(1)));
    assert!(world.publication().is_none());
    world.intentions("web", vec![], DENY);
    assert_eq!(world.publication().expect("all is known").version, 1);

    let mut world = World::new();
    world.register(sidecar("web", vec![]));
    world.intentions("web", vec![], DENY);
    assert!(world.publication().is_none(), "no roots");
}

#[test]
fn an_upstream_without_endpoints_does_not_hold_up_the_rest() {
    let mut world = World::new();
    world.register(sidecar("web", vec![upstream("api", 9000)]));
    world.on(Event::RootsChanged(roots(1)));
    world.intentions("web", vec![], DENY);
    assert_eq!(world.known("api"), None);
    world.endpoints("api", vec![]);
    assert!(world.publication().is_some(), "known to have none is news");
    assert!(world.known("api").is_some_and(|known| known.list.is_empty()));
}

#[test]
fn a_leaf_of_the_agent_is_waited_for() {
    let mut world = World::with_leaf();
    world.register(sidecar("web", vec![]));
    assert!(world.last.contains(&Effect::StartWatch(WatchKey::Leaf(service("web").into()))));
    world.on(Event::RootsChanged(roots(1)));
    world.intentions("web", vec![], DENY);
    assert!(world.publication().is_none());
    world.on(Event::LeafChanged { service: service("api").into(), leaf: leaf("00") });
    assert!(world.publication().is_none(), "the leaf of another service");
    world.on(Event::LeafChanged { service: service("web").into(), leaf: leaf("01") });
    let first = world.publication().expect("all is known").clone();
    world.on(Event::LeafChanged { service: service("web").into(), leaf: leaf("02") });
    let second = world.publication().expect("the leaf was renewed");
    assert_eq!(second.version, first.version + 1);
    assert_eq!((&second.proxy, &second.roots), (&first.proxy, &first.roots), "no section changed");
    assert_eq!(second.listeners, first.listeners);
    let updates = second.diff(&first);
    assert_eq!(updates.iter().map(SectionUpdate::section).collect::<Vec<_>>(), [Section::Leaf]);
    assert!(rmp_serde::to_vec_named(&updates[0]).is_err(), "nor has its section");
    let mut own = (*first).clone();
    updates.into_iter().for_each(|update| own.apply(update).unwrap());
    assert_eq!((&own, own.leaf.as_ref()), (&**second, Some(&leaf("02"))));
    world.on(Event::LeafChanged { service: service("web").into(), leaf: leaf("02") });
    assert!(world.publication().is_none(), "nothing new");
    let wire = serde_json::to_string(world.snapshot()).unwrap();
    assert!(!wire.contains("a key") && !wire.contains("leaf"), "a key has no wire form: {wire}");
}

#[test]
fn a_leaf_is_not_asked_for_where_the_proxy_makes_its_own() {
    let mut world = World::published();
    assert!(!world.proxy.watches().any(|key| matches!(key, WatchKey::Leaf(_))));
    world.on(Event::LeafChanged { service: service("web").into(), leaf: leaf("01") });
    assert!(world.last.is_empty() && world.snapshot().leaf.is_none());
}

#[test]
fn what_says_nothing_new_is_not_published() {
    let mut world = World::published();
    let version = world.snapshot().version;
    world.on(Event::RootsChanged(roots(1)));
    world.intentions("web", vec![entry("db", "web", Action::Allow)], DENY);
    world.endpoints("api", vec![endpoint("api", "n2", 21000)]);
    world.register(sidecar("web", vec![upstream("api", 9000)]));
    assert!(world.last.is_empty());
    // Neither the order of endpoints nor entries for others are news.
    world.endpoints("api", vec![endpoint("api", "n3", 1), endpoint("api", "n2", 21000)]);
    assert!(world.publication().is_some());
    world.endpoints("api", vec![endpoint("api", "n2", 21000), endpoint("api", "n3", 1)]);
    assert!(world.publication().is_none());
    let entries = vec![entry("web", "db", Action::Allow), entry("db", "web", Action::Allow)];
    world.intentions("web", entries, DENY);
    assert!(world.publication().is_none());
    assert_eq!(world.snapshot().version, version + 1);
}

#[test]
fn only_what_changed_gets_a_new_version() {
    let mut world = World::published();
    let before = world.snapshot().clone();
    world.intentions("web", vec![entry("db", "web", Action::Deny)], DENY);
    let after = world.publication().expect("a flipped intention is news");
    assert_eq!(after.version, before.version + 1);
    assert_eq!(after.intentions.version, after.version);
    assert_eq!(after.roots.version, before.roots.version);
    assert_eq!(after.proxy.version, before.proxy.version);
    assert_eq!((&after.targets, &after.chains), (&before.targets, &before.chains));
    assert_eq!(after.listeners, before.listeners);
}

#[test]
fn intentions_and_default_decide() {
    let mut world = World::published();
    let decide = |world: &World, from| {
        let snapshot = world.snapshot();
        snapshot.policy().unwrap().decide(&service(from), snapshot.intentions.default).allowed
    };
    assert!(decide(&world, "db") && !decide(&world, "api"));
    let allow = DefaultPolicy { action: Action::Allow, ..DENY };
    world.intentions("web", vec![entry("db", "web", Action::Deny)], allow);
    assert!(!decide(&world, "db") && decide(&world, "api"));
    world.intentions("web", vec![], DENY);
    assert!(!decide(&world, "db") && !decide(&world, "api"));
}

#[test]
fn late_events_are_passed_over() {
    let mut world = World::published();
    let before = world.snapshot().clone();
    world.intentions("db", vec![entry("*", "db", Action::Allow)], DENY);
    assert!(world.last.is_empty());
    world.endpoints("db", vec![endpoint("db", "n9", 1)]);
    assert!(world.last.is_empty());
    assert_eq!(*world.snapshot(), before);
}

#[test]
fn nothing_is_told_before_it_is_watched() {
    let mut world = World::new();
    world.on(Event::RootsChanged(roots(1)));
    world.intentions("web", vec![entry("*", "web", Action::Allow)], DENY);
    world.register(sidecar("web", vec![]));
    assert!(world.publication().is_none(), "told before the watch was started");
}

#[test]
fn a_new_upstream_changes_its_watch_only() {
    let mut world = World::published();
    world.register(sidecar("web", vec![upstream("db", 9001)]));
    assert_eq!(world.last[0], Effect::StopWatch(WatchKey::Endpoints(target("api"))));
    assert_eq!(world.last[1], Effect::StartWatch(WatchKey::Endpoints(target("db"))));
    let snapshot = world.publication().expect("an upstream came and one went");
    assert_eq!(snapshot.outbound().map(|one| one.upstream.as_str()).collect::<Vec<_>>(), ["db"]);
    assert_eq!(snapshot.targets.keys().collect::<Vec<_>>(), [target("db")]);
    assert_eq!(snapshot.chains.len(), 1);
    world.register(sidecar("web", vec![upstream("api", 9000)]));
    assert!(world.publication().is_some(), "and back");
    assert_eq!(world.known("api"), None, "old endpoints are forgotten");
}

#[test]
fn two_upstreams_of_one_target_share_it_and_its_watch() {
    let mut world = World::new();
    let mut named = upstream("api", 9001);
    named.datacenter = Some(dc("dc1"));
    world.register(sidecar("web", vec![upstream("api", 9000), named]));
    let watched = world.proxy.watches().filter(|key| matches!(key, WatchKey::Endpoints(_)));
    assert_eq!(watched.count(), 1);
    world.on(Event::RootsChanged(roots(1)));
    world.intentions("web", vec![], DENY);
    world.endpoints("api", vec![endpoint("api", "n2", 21000)]);
    let snapshot = world.snapshot();
    assert_eq!((snapshot.outbound().count(), snapshot.chains.len(), snapshot.targets.len()), (2, 2, 1));
    for chain in snapshot.chains.keys() {
        let (_, found) = snapshot.resolve(&chain).expect("it leads somewhere");
        assert!(std::sync::Arc::ptr_eq(found, &snapshot.targets[&target("api")].value));
        assert!(found.endpoints.is_some());
    }
}

#[test]
fn another_service_is_not_judged_by_the_old_one_s_intentions() {
    let mut world = World::published();
    let before = world.snapshot().clone();
    world.register(sidecar("db", vec![upstream("api", 9000)]));
    assert!(world.last.contains(&Effect::StopWatch(WatchKey::Intentions(service("web").into()))));
    assert!(world.last.contains(&Effect::StartWatch(WatchKey::Intentions(service("db").into()))));
    assert!(world.publication().is_none(), "its intentions are not known");
    assert_eq!(*world.snapshot(), before);
    world.intentions("web", vec![entry("*", "web", Action::Allow)], DENY);
    assert!(world.publication().is_none(), "the old service's, late");
    world.intentions("db", vec![], DENY);
    let after = world.publication().expect("all is known");
    assert_eq!((&after.proxy.service, &after.intentions.destination), (&service("db"), &service("db")));
    // On the way the sections are mixed, and no verdict is to be had.
    let mut on_the_way = before;
    let mut updates = after.diff(&on_the_way).into_iter();
    let first = updates.next().unwrap();
    assert!(first.more);
    on_the_way.apply(first).unwrap();
    assert!(on_the_way.policy().is_err());
    updates.for_each(|update| on_the_way.apply(update).unwrap());
    assert!(on_the_way.policy().is_ok());
}

#[test]
fn a_faulty_registration_changes_nothing_and_is_told_once() {
    let mut world = World::published();
    let before = world.snapshot().clone();
    let mut faulty = sidecar("web", vec![]);
    faulty.proxy.as_mut().unwrap().config = settings(r#"{"bind_address": 7}"#);
    world.register(faulty.clone());
    assert!(matches!(&world.last[..], [Effect::Refuse(faults)] if faults.len() == 1));
    world.register(faulty);
    assert!(world.last.is_empty());
    assert_eq!(*world.snapshot(), before);
    // What keeps callers out stays current.
    world.intentions("web", vec![], DENY);
    assert!(world.publication().expect("an intention went").intentions.entries.is_empty());
    world.register(sidecar("web", vec![]));
    assert!(world.publication().is_some());
}

#[test]
fn a_proxy_never_sound_has_no_watches() {
    let mut world = World::new();
    let mut gateway = sidecar("web", vec![]);
    gateway.kind = ServiceKind::MeshGateway;
    world.register(gateway);
    assert_eq!(world.last, [Effect::Refuse(vec![ProxyFault::Kind("mesh-gateway")])]);
    assert_eq!(world.proxy.watches().count(), 0);
}

#[test]
fn a_proxy_that_is_gone_is_withdrawn() {
    let mut world = World::published();
    let version = world.snapshot().version;
    world.on(Event::Gone);
    assert_eq!(world.last.iter().filter(|effect| matches!(effect, Effect::StopWatch(_))).count(), 4);
    assert_eq!(world.last.last(), Some(&Effect::Withdraw));
    assert!(world.proxy.snapshot().is_none());
    world.on(Event::Gone);
    assert!(world.last.is_empty());
    world.on(Event::RootsChanged(roots(2)));
    world.intentions("web", vec![], DENY);
    assert!(world.last.is_empty(), "told after it was gone");
    // It comes back: everything is asked anew, versions count on.
    world.register(sidecar("web", vec![]));
    assert!(world.publication().is_none());
    world.on(Event::RootsChanged(roots(2)));
    world.intentions("web", vec![], DENY);
    assert_eq!(world.publication().expect("all is known").version, version + 1);
}

#[test]
fn the_identity_is_that_of_the_service_in_its_trust_domain() {
    let world = World::published();
    assert_eq!(world.snapshot().id, id());
    assert_eq!(
        world.snapshot().identity().unwrap().to_string(),
        "spiffe://11111111-2222-3333-4444-555555555555.consul/ns/default/dc/dc1/svc/web"
    );
}
