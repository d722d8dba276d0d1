//! Discovery chains and configuration entries: when they come into use, and what is watched for them.

use std::collections::BTreeSet;
use std::sync::Arc;

use concord_model::entry::{EntryKind, EntryName};
use concord_model::intention::{Action, JwtProviderRequirement, JwtRequirement};
use concord_proxycfg::{Effect, Event, Feature, Leads, Refusal, UpstreamId, WatchKey};

use crate::world::{
    DENY, World, chain_of, compiled, endpoint, entry, mesh, roots, service, settings, sidecar, target,
    upstream,
};

/// A sidecar of `web` that calls `api`, told everything but the chain and its targets.
fn waiting() -> World {
    let mut world = World::by_entries();
    world.register(sidecar("web", vec![upstream("api", 9000)]));
    world.on(Event::RootsChanged(roots(1)));
    world.intentions("web", vec![entry("db", "web", Action::Allow)], DENY);
    world.mesh(None);
    world
}

/// The same, with a chain to the service itself.
fn told() -> World {
    let mut world = waiting();
    world.chain("api", &["api"]);
    world.endpoints("api", vec![endpoint("api", "n2", 21000)]);
    world
}

fn targets(world: &World) -> Vec<String> {
    world.snapshot().targets.keys().map(|id| id.service.name.to_string()).collect()
}

fn watched(world: &World) -> BTreeSet<String> {
    let endpoints = world.proxy.watches().filter_map(|key| match key {
        WatchKey::Endpoints(target) => Some(target.service.name.to_string()),
        _ => None,
    });
    endpoints.collect()
}

fn outbound(world: &World) -> Option<Leads> {
    world.snapshot().outbound().next().map(|listener| listener.leads.clone())
}

#[test]
fn n_283_nothing_is_published_before_the_entries_are_known() {
    let mut world = World::by_entries();
    world.register(sidecar("web", vec![]));
    world.on(Event::RootsChanged(roots(1)));
    world.intentions("web", vec![], DENY);
    assert!(world.proxy.snapshot().is_none(), "the mesh entry may forbid what would be open without it");
    world.mesh(Some(mesh(true)));
    let name = EntryName::only(EntryKind::Mesh);
    assert_eq!(*world.snapshot().entries[&name].value, *mesh(true));
    assert!(world.snapshot().needs().contains(&Feature::Entries));
    world.mesh(None);
    assert!(world.snapshot().entries.is_empty());
}

#[test]
fn n_284_the_first_snapshot_waits_for_every_chain_and_a_chain_for_its_targets() {
    let mut world = waiting();
    assert!(world.proxy.snapshot().is_none() && watched(&world).is_empty());
    world.chain("api", &["api", "db"]);
    assert_eq!(watched(&world), ["api".to_owned(), "db".to_owned()].into());
    world.endpoints("api", vec![endpoint("api", "n2", 21000)]);
    assert!(world.proxy.snapshot().is_none(), "of db nothing is known");
    world.endpoints("db", vec![]);
    assert!(matches!(outbound(&world), Some(Leads::Chain(_))));
    assert_eq!(targets(&world), ["api", "db"]);
    assert!(world.snapshot().needs().contains(&Feature::DiscoveryChains));
}

#[test]
fn a_listener_that_comes_later_waits_for_its_chain_alone() {
    let mut world = told();
    world.register(sidecar("web", vec![upstream("api", 9000), upstream("db", 9001)]));
    world.intentions("web", vec![], DENY);
    assert_eq!(world.publication().unwrap().outbound().count(), 1, "the others go on");
    world.chain("db", &["db"]);
    world.endpoints("db", vec![]);
    assert_eq!(world.snapshot().outbound().count(), 2);
}

#[test]
fn n_281_a_chain_stays_until_the_targets_of_the_next_are_known() {
    let mut world = told();
    world.chain("api", &["db"]);
    assert!(world.publication().is_none());
    assert_eq!((targets(&world), watched(&world).len()), (vec!["api".to_owned()], 2));
    // What comes meanwhile is published.
    world.endpoints("api", vec![]);
    assert_eq!(world.known("api").unwrap().list.len(), 0);
    world.endpoints("db", vec![endpoint("db", "n3", 21000)]);
    assert_eq!((targets(&world), watched(&world)), (vec!["db".to_owned()], ["db".to_owned()].into()));
    assert!(world.last.contains(&Effect::StopWatch(WatchKey::Endpoints(target("api")))));
}

#[test]
fn a_target_that_cannot_be_read_has_no_instances_and_holds_nothing_up() {
    let mut world = waiting();
    world.chain("api", &["api", "db"]);
    world.endpoints("api", vec![endpoint("api", "n2", 21000)]);
    world.on(Event::EndpointsFailed(target("db")));
    assert_eq!(targets(&world), ["api", "db"]);
    assert_eq!(world.known("db").unwrap().list.len(), 0);
    world.on(Event::EndpointsFailed(target("api")));
    assert_eq!(world.known("api").unwrap().list.len(), 1, "what is known of it stays");
}

#[test]
fn without_a_chain_connections_are_refused_with_the_reason() {
    let mut world = waiting();
    let failed = |world: &mut World| {
        let (question, reason) = (world.question("api").unwrap(), "Permission denied".to_owned());
        world.on(Event::ChainFailed { question, reason });
    };
    failed(&mut world);
    let reason = "Permission denied".to_owned();
    assert_eq!(outbound(&world), Some(Leads::Refused(Refusal::Chain { reason })));
    world.chain("api", &["api"]);
    world.endpoints("api", vec![]);
    assert!(matches!(outbound(&world), Some(Leads::Chain(_))));
    failed(&mut world);
    assert!(matches!(outbound(&world), Some(Leads::Chain(_))), "one that is there stays");
}

#[test]
fn settings_of_an_upstream_ask_for_another_chain_and_keep_the_old_one_meanwhile() {
    let mut world = told();
    let before = world.question("api").unwrap();
    let mut other = upstream("api", 9000);
    other.config = settings(r#"{"protocol": "http", "connect_timeout_ms": 250}"#);
    world.register(sidecar("web", vec![other]));
    let question = world.question("api").unwrap();
    assert_eq!(question.overrides.protocol, concord_model::entry::Protocol::Http);
    assert_eq!(question.overrides.connect_timeout.0.nanos(), 250_000_000);
    assert_eq!(targets(&world), ["api"]);
    world.on(chain_of(before, compiled("api", &["db"])));
    assert_eq!(watched(&world), ["api".to_owned()].into(), "an answer to the old question is late");
    world.on(chain_of(question, compiled("api", &["db"])));
    world.endpoints("db", vec![]);
    assert_eq!(targets(&world), ["db"]);
}

#[test]
fn an_upstream_that_goes_takes_its_chain_and_targets_along() {
    let mut world = told();
    world.register(sidecar("web", vec![]));
    assert_eq!((targets(&world), watched(&world)), (vec![], [].into()));
    assert!(world.snapshot().chains.is_empty() && world.question("api").is_none());
    world.register(sidecar("web", vec![upstream("api", 9000)]));
    assert_eq!(outbound(&world), None, "what was known is forgotten");
}

#[test]
fn the_issuers_that_intentions_name_are_part_of_the_snapshot() {
    let mut world = told();
    let mut demanding = (*entry("db", "web", Action::Allow)).clone();
    let provider = JwtProviderRequirement { name: "okta".to_owned(), verify_claims: vec![] };
    demanding.jwt = Some(JwtRequirement { providers: vec![provider] });
    world.intentions("web", vec![demanding.into()], DENY);
    let name = Arc::new(EntryName::parse(EntryKind::JwtProvider, "okta").unwrap());
    assert!(world.last.contains(&Effect::StartWatch(WatchKey::Entry(name.clone()))));
    assert!(world.publication().is_none(), "tokens of an unknown issuer cannot be judged");
    world.on(Event::EntryChanged { name: name.clone(), entry: None });
    assert_eq!(world.snapshot().intentions.providers(), ["okta"].into());
    world.intentions("web", vec![], DENY);
    assert!(world.last.contains(&Effect::StopWatch(WatchKey::Entry(name))));
    assert!(world.publication().is_some());
}

#[test]
fn a_proxy_that_does_not_act_by_entries_is_told_of_none() {
    let world = World::published();
    let asks = |key: &WatchKey| matches!(key, WatchKey::Chain(_));
    assert!(!world.proxy.watches().any(asks));
    assert!(world.snapshot().entries.is_empty());
    assert_eq!(world.snapshot().targets.keys().next(), Some(target("api")));
    assert_eq!(world.snapshot().proxy.service, service("web"));
    let first = world.snapshot().chains.keys().next().unwrap();
    assert_eq!(first, concord_proxycfg::ChainId::of(&UpstreamId::of(&upstream("api", 9000))));
}
