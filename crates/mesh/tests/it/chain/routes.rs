//! Where a request goes, by the chain: the explained route against a walk of the chain by hand.

use std::sync::Arc;

use concord_mesh::chain::{ChainNode, CompiledChain};
use concord_mesh::explain::request::AskedRequest;
use concord_mesh::explain::route::route;
use concord_model::entry::*;

use super::language::{World, entry};
use super::random::world;
use crate::random::Random;

fn get(target: &str) -> AskedRequest {
    AskedRequest { method: "GET".to_owned(), target: target.to_owned(), ..AskedRequest::default() }
}

/// The route, its parts and their failover, each with what it comes from.
fn told(chain: &CompiledChain, asked: &AskedRequest) -> String {
    let routed = route(chain, asked).unwrap();
    let mut text = routed.route.map_or_else(|| "no route".to_owned(), ToString::to_string);
    for part in &routed.parts {
        text += &format!("; {} to {}", part.weight, part.target.id);
        part.origins.iter().for_each(|origin| text += &format!(" by {origin}"));
        for (step, target) in &part.failover {
            text += &format!(", else {}", target.id);
            step.origins.iter().for_each(|origin| text += &format!(" by {origin}"));
        }
    }
    text
}

#[test]
fn a_route_is_told_with_what_it_comes_from() {
    let world = World::of(
        "P http
         R web a>api b>db
         S api 90:api/v1 10:old
         V api sub=v1
         V old to=db
         V db fail=*:web",
    );
    let chain = world.chain("web").unwrap();
    for (target, expected) in [
        (
            "/a/x?y",
            "Routes[0] of service-router \"web\"; 90 to v1.api.default.default.dc1 by Splits[0] of service-splitter \"api\"; \
             10 to db.default.default.dc1 by Splits[1] of service-splitter \"api\" by Redirect of service-resolver \"old\", \
             else web.default.default.dc1 by Failover[\"*\"] of service-resolver \"db\"",
        ),
        (
            "/b",
            "Routes[1] of service-router \"web\"; 100 to db.default.default.dc1, \
             else web.default.default.dc1 by Failover[\"*\"] of service-resolver \"db\"",
        ),
        ("/c", "no route; 100 to web.default.default.dc1"),
    ] {
        assert_eq!(told(&chain, &get(target)), expected);
    }
    assert_eq!(told(&world.chain("api").unwrap(), &get("/")).split(';').next(), Some("no route"));
}

/// A router whose only written route has this condition.
fn takes(http: HttpRouteMatch, asked: &AskedRequest) -> bool {
    let mut world = World::of("P http\nR web a>api");
    let Entry::ServiceRouter(mut router) = entry("R web a>api") else { panic!("another kind") };
    router.said.routes[0].matching = Some(RouteMatch { http: Some(http) });
    let router = Entry::ServiceRouter(router);
    world.entries.insert(router.name(), Arc::new(router));
    route(&world.chain("web").unwrap(), asked).unwrap().route.is_some()
}

#[test]
fn a_route_takes_what_all_its_conditions_take() {
    let path = |exact: &str, regex: &str, case_insensitive| HttpRouteMatch {
        path_exact: exact.to_owned(),
        path_regex: regex.to_owned(),
        case_insensitive,
        ..HttpRouteMatch::default()
    };
    for (http, target, expected) in [
        (path("/a", "", false), "/a?x", true),
        (path("/a", "", false), "/a/", false),
        (path("/a", "", false), "/A", false),
        (path("/a", "", true), "/A", true),
        (path("", "/[ab]", false), "/b", true),
        (path("", "/[ab]", false), "/bb", false),
        (path("", "(", false), "/", false),
    ] {
        assert_eq!(takes(http, &get(target)), expected, "{target}");
    }
    let header = |change: fn(&mut RouteHeader)| {
        let mut header = RouteHeader { name: "X".to_owned(), ..RouteHeader::default() };
        change(&mut header);
        HttpRouteMatch { header: vec![header], ..HttpRouteMatch::default() }
    };
    let with = |values: &[&str]| AskedRequest {
        headers: values.iter().map(|value| ("x".to_owned(), (*value).to_owned())).collect(),
        ..get("/")
    };
    for (http, values, expected) in [
        (header(|own| own.exact = "a".to_owned()), &["a"][..], true),
        (header(|own| own.exact = "a".to_owned()), &["a", "b"], false),
        (header(|own| own.exact = "a,b".to_owned()), &["a", "b"], true),
        (header(|own| own.prefix = "a".to_owned()), &["ab"], true),
        (header(|own| own.suffix = "a".to_owned()), &["ab"], false),
        (header(|own| own.regex = "a+".to_owned()), &["aa"], true),
        (header(|own| (own.exact, own.invert) = ("a".to_owned(), true)), &["b"], true),
        (header(|own| (own.exact, own.invert) = ("a".to_owned(), true)), &[], false),
        (header(|own| own.present = true), &[""], true),
        (header(|own| own.present = true), &[], false),
        (header(|own| (own.present, own.invert) = (true, true)), &[], true),
    ] {
        assert_eq!(takes(http.clone(), &with(values)), expected, "{http:?} {values:?}");
    }
    let parameter = |exact: &str, present| {
        let own = RouteQueryParam {
            name: "q".to_owned(),
            exact: exact.to_owned(),
            present,
            ..RouteQueryParam::default()
        };
        HttpRouteMatch { query_param: vec![own], ..HttpRouteMatch::default() }
    };
    for (http, target, expected) in [
        (parameter("1", false), "/?p=2&q=1", true),
        (parameter("1", false), "/?q=2", false),
        (parameter("1", false), "/", false),
        (parameter("", true), "/?q", true),
        (parameter("", true), "/?qq", false),
    ] {
        assert_eq!(takes(http, &get(target)), expected, "{target}");
    }
    let methods = HttpRouteMatch { methods: vec![Method::Put], ..HttpRouteMatch::default() };
    assert!(!takes(methods.clone(), &get("/")));
    assert!(takes(methods, &AskedRequest { method: "PUT".to_owned(), ..get("/") }));
}

#[test]
fn ten_thousand_routes_are_those_of_the_chain() {
    let (mut compiled, mut routed, mut split) = (0, 0, 0);
    for seed in 0..10_000 {
        let mut random = Random::new(40_000 + seed);
        let world = world(&mut random);
        let Ok(chain) = world.chain("web") else { continue };
        compiled += 1;
        let asked = get(random.pick(&["/0", "/1/x", "/2?y", "/3", "/x"]));
        let found = route(&chain, &asked).unwrap();
        // By hand: the routes of the generator are prefixes.
        let (next, origin) = match &chain.nodes[&chain.start.key] {
            ChainNode::Router(router) => {
                let taken = router.routes.iter().find(|one| {
                    let http = one.definition.matching.as_ref().and_then(|own| own.http.as_ref());
                    http.is_none_or(|http| asked.target.starts_with(&http.path_prefix))
                });
                (taken.unwrap().next.key.clone(), taken.unwrap().origin.clone())
            }
            _ => (chain.start.key.clone(), None),
        };
        assert_eq!(found.route, origin.as_ref());
        let expected: Vec<(i32, String)> = match &chain.nodes[&next] {
            ChainNode::Splitter(own) => {
                own.splits.iter().map(|one| (one.weight.hundredths(), one.next.key.clone())).collect()
            }
            _ => vec![(10_000, next)],
        };
        let parts: Vec<_> = found
            .parts
            .iter()
            .map(|part| (part.weight.hundredths(), format!("resolver:{}", part.target.id)))
            .collect();
        assert_eq!(parts, expected);
        // Each step names an entry that is there.
        let origins = found.parts.iter().flat_map(|part| {
            let steps = part.failover.iter().flat_map(|(step, _)| &step.origins);
            part.origins.iter().copied().chain(steps)
        });
        for origin in origins.chain(found.route) {
            assert!(world.entries.contains_key(&origin.entry), "{origin}");
        }
        routed += u32::from(found.route.is_some());
        split += u32::from(found.parts.len() > 1);
    }
    assert!(compiled > 5_000 && routed > 40 && split > 100, "{compiled} {routed} {split}");
}
