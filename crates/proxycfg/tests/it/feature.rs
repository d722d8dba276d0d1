//! What a proxy says that it understands, and what a snapshot needs.

use std::collections::BTreeSet;
use std::sync::Arc;

use concord_model::entry::Entry;
use concord_proxycfg::{Event, Feature, NotUnderstood, Understood};

use crate::world::{DENY, World, plain, roots, sidecar};

fn understood(names: &[&str]) -> Understood {
    let bytes = rmp_serde::to_vec_named(names).unwrap();
    rmp_serde::from_slice(&bytes).unwrap()
}

#[test]
fn features_travel_by_name_and_unknown_ones_are_passed_over() {
    let all = Understood::of(Feature::ALL);
    let bytes = rmp_serde::to_vec_named(&all).unwrap();
    assert_eq!(rmp_serde::from_slice::<Vec<String>>(&bytes).unwrap().len(), Feature::ALL.len());
    assert_eq!(rmp_serde::from_slice::<Understood>(&bytes).unwrap(), all);
    let newer = understood(&["roots", "quic", "proxy", "roots", ""]);
    assert_eq!(newer, Understood::of([Feature::Proxy, Feature::Roots]));
    assert!(understood(&["quic"]).is_empty() && understood(&[]).is_empty() && !newer.is_empty());
}

#[test]
fn a_snapshot_needs_what_is_in_it() {
    let mut world = World::published();
    let plain = BTreeSet::from([
        Feature::Proxy,
        Feature::Roots,
        Feature::Intentions,
        Feature::Targets,
        Feature::Chains,
        Feature::Listeners,
    ]);
    assert_eq!(world.snapshot().needs(), plain);
    world.register(sidecar("web", vec![]));
    let needs = BTreeSet::from([Feature::Proxy, Feature::Roots, Feature::Intentions, Feature::Listeners]);
    assert_eq!(world.snapshot().needs(), needs);
}

#[test]
fn n_294_a_public_listener_of_an_operator_is_not_for_a_proxy_that_would_pass_over_it() {
    let mut world = World::published();
    let with = |text: &str| {
        let mut own = sidecar("web", vec![]);
        own.proxy.as_mut().unwrap().config = serde_json::from_str(text).unwrap();
        own
    };
    world.register(with(r#"{"envoy_public_listener_json": "{}"}"#));
    let refused = plain().covers(world.snapshot()).expect_err("it would be passed over");
    assert!(refused.to_string().contains("envoy_public_listener_json"), "{refused}");
    assert_eq!(Understood::of(Feature::ALL).covers(world.snapshot()), Ok(()));
    world.register(with(r#"{"envoy_public_listener_json": ""}"#));
    assert_eq!(plain().covers(world.snapshot()), Ok(()));
}

/// The `mesh` entry as the model writes it.
fn mesh(said: &str) -> Option<Arc<Entry>> {
    let text =
        format!(r#"{{"mesh": {{"scope": {{"namespace": "default", "name": "mesh"}}, "said": {said}}}}}"#);
    Some(Arc::new(serde_json::from_str(&text).unwrap()))
}

#[test]
fn n_296_what_the_mesh_demands_is_not_passed_over_by_a_proxy_that_cannot_do_it() {
    let http = |protocol: &str| {
        let mut own = sidecar("web", vec![]);
        own.proxy.as_mut().unwrap().config =
            serde_json::from_str(&format!(r#"{{"protocol": "{protocol}"}}"#)).unwrap();
        own
    };
    let mut world = World::published();
    world.register(http("tcp"));
    for said in [
        r#"{"tls": {"incoming": {"tls_min_version": "TLSv1_3"}}}"#,
        r#"{"tls": {"outgoing": {"tls_min_version": "TLSv1_3"}}}"#,
    ] {
        world.mesh(mesh(said));
        let refused = plain().covers(world.snapshot()).expect_err("it would be passed over");
        assert!(refused.to_string().contains("tls_1_3"), "{refused}");
        assert_eq!(Understood::of(Feature::ALL).covers(world.snapshot()), Ok(()));
    }
    world.mesh(mesh(r#"{"http": {"sanitize_x_forwarded_client_cert": true}}"#));
    assert_eq!(plain().covers(world.snapshot()), Ok(()), "connections carry no such header");
    world.register(http("http"));
    let refused = plain().covers(world.snapshot()).expect_err("requests do");
    assert!(refused.to_string().contains("sanitize_x_forwarded_client_cert"), "{refused}");
    world.mesh(mesh(r#"{"tls": {"incoming": {"tls_min_version": "TLSv1_2"}}}"#));
    assert_eq!(plain().covers(world.snapshot()), Ok(()));
    assert!(world.snapshot().entries.is_empty(), "nor is it told of more than it must know");
}

#[test]
fn n_296_a_proxy_that_cannot_do_what_the_mesh_may_demand_waits_until_it_is_known() {
    let mut world = World::new();
    world.is_silent_of_mesh();
    world.register(sidecar("web", vec![]));
    world.on(Event::RootsChanged(roots(1)));
    world.intentions("web", vec![], DENY);
    assert!(world.publication().is_none(), "the mesh may demand what it cannot do");
    world.mesh(None);
    assert!(world.publication().is_some());
}

#[test]
fn a_snapshot_is_not_for_a_proxy_that_does_not_understand_all_of_it() {
    let mut world = World::published();
    assert_eq!(Understood::of(Feature::ALL).covers(world.snapshot()), Ok(()));
    for lacking in world.snapshot().needs() {
        let others = Understood::of(Feature::ALL.into_iter().filter(|feature| *feature != lacking));
        let refused = others.covers(world.snapshot()).expect_err("it lacks one");
        assert_eq!(refused, NotUnderstood([lacking].into()));
        assert!(refused.to_string().contains(lacking.as_str()), "{refused}");
    }
    let no_upstreams = understood(&["proxy", "roots", "intentions", "listeners"]);
    assert!(no_upstreams.covers(world.snapshot()).is_err());
    world.register(sidecar("web", vec![]));
    assert_eq!(no_upstreams.covers(world.snapshot()), Ok(()));
}
