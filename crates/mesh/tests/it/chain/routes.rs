//! Where a request goes, by the chain: the explained route against a walk of the chain by hand.

use std::collections::BTreeSet;
use std::sync::Arc;

use concord_mesh::chain::{ChainNode, ChainRoute, CompiledChain};
use concord_mesh::explain::reached::{Answer, REACHED_MAX, Reached};
use concord_mesh::explain::request::{AskedRequest, Universe, judge};
use concord_mesh::explain::route::{Judged, PARTS_TOLD_MAX, Routed, TARGETS_TOLD_MAX, route, targets};
use concord_mesh::intention::{DefaultPolicy, DefaultSource, Policy};
use concord_mesh::request::Received;
use concord_model::ServiceRef;
use concord_model::entry::*;
use concord_model::intention::Action;

use super::language::{World, entry};
use super::random::world;
use crate::random::Random;
use crate::random_request::{entries, names};
use crate::request_oracle;

fn get(target: &str) -> AskedRequest {
    AskedRequest { method: "GET".to_owned(), target: target.to_owned(), ..AskedRequest::default() }
}

/// Where a request goes, if every target allows it.
fn routed(chain: &CompiledChain, asked: &AskedRequest) -> Routed {
    route(chain, asked, &mut |_, _, _| ALLOWED).unwrap()
}

const ALLOWED: Judged = Judged::Verdict { allowed: true, reason: String::new() };

/// The route, its parts and their failover, each with what it comes from.
fn told(chain: &CompiledChain, asked: &AskedRequest) -> String {
    let routed = routed(chain, asked);
    let mut text = routed.route.map_or_else(|| "no route".to_owned(), |origin| origin.to_string());
    for part in &routed.parts {
        text += &format!("; {} to {}", part.weight, part.legs[0].target.id);
        part.origins.iter().for_each(|origin| text += &format!(" by {origin}"));
        for leg in &part.legs[1..] {
            text += &format!(", else {}", leg.target.id);
            leg.origins.iter().for_each(|origin| text += &format!(" by {origin}"));
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
    routed(&world.chain("web").unwrap(), asked).route.is_some()
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

/// The only route of `web`, for this prefix or path, changed.
fn changed(http: HttpRouteMatch, change: impl FnOnce(&mut RouteDestination)) -> CompiledChain {
    let mut world = World::of("P http\nS api 50:api 50:db");
    let Entry::ServiceRouter(mut router) = entry("R web a>api") else { panic!("another kind") };
    let only = &mut router.said.routes[0];
    only.matching = Some(RouteMatch { http: Some(http) });
    change(only.destination.as_mut().unwrap());
    world.entries.insert(Entry::ServiceRouter(router.clone()).name(), Arc::new(Entry::ServiceRouter(router)));
    world.chain("web").unwrap()
}

/// What arrives at each target.
fn arrivals(chain: &CompiledChain, asked: &AskedRequest) -> Vec<(String, AskedRequest)> {
    let mut all = Vec::new();
    let judge = &mut |service: &ServiceRef, arrives: &AskedRequest, _| {
        all.push((service.name.to_string(), arrives.clone()));
        ALLOWED
    };
    let routed = route(chain, asked, judge).unwrap();
    assert!(all.iter().all(|(_, arrives)| arrives.target == routed.arrives_as));
    all
}

#[test]
fn a_request_arrives_as_its_route_has_changed_it() {
    let prefix = |text: &str| HttpRouteMatch { path_prefix: text.to_owned(), ..HttpRouteMatch::default() };
    let exact = |text: &str| HttpRouteMatch { path_exact: text.to_owned(), ..HttpRouteMatch::default() };
    for (http, by, target, expected) in [
        (prefix("/a"), "/", "/a/x?q=/a", "//x?q=/a"),
        (prefix("/a/"), "/", "/a/x", "/x"),
        (prefix("/a"), "/b", "/a", "/b"),
        (exact("/a"), "/b/c", "/a?q", "/b/c?q"),
        (prefix("/a"), "", "/a/x", "/a/x"),
        (prefix("/b"), "/c", "/a/x", "/a/x"),
    ] {
        let chain = changed(http.clone(), |own| own.prefix_rewrite = by.to_owned());
        let found = arrivals(&chain, &get(target));
        assert!(found.iter().all(|(_, arrives)| arrives.target == expected), "{http:?} {target}: {found:?}");
    }
    let chain = changed(prefix("/a"), |own| {
        own.request_headers = Some(HeaderModifiers {
            add: [("x-more".to_owned(), "1".to_owned())].into(),
            set: [("X-Set".to_owned(), "2".to_owned())].into(),
            remove: vec!["X-Gone".to_owned()],
        });
    });
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let asked = AskedRequest {
        headers: vec![pair("x-more", "0"), pair("x-set", "0"), pair("x-gone", "0"), pair("x-kept", "0")],
        ..get("/a")
    };
    let found = arrivals(&chain, &asked);
    assert_eq!(found.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["api", "db"]);
    let expected = [pair("x-more", "0"), pair("x-kept", "0"), pair("x-more", "1"), pair("X-Set", "2")];
    assert!(found.iter().all(|(_, arrives)| arrives.headers == expected), "{found:?}");
    // What Envoy puts in is known to nobody before, so that nothing is said about a verdict.
    for change in [
        HeaderModifiers {
            set: [("x-set".to_owned(), "%REQ(x)%".to_owned())].into(),
            ..HeaderModifiers::default()
        },
        HeaderModifiers {
            add: [("x-set".to_owned(), "a%b".to_owned())].into(),
            ..HeaderModifiers::default()
        },
    ] {
        let unknown = changed(prefix("/a"), |own| own.request_headers = Some(change));
        assert!(routed(&unknown, &get("/a")).legs().all(|leg| leg.judged == Judged::Unclear));
        assert!(routed(&unknown, &get("/b")).legs().all(|leg| leg.judged == ALLOWED));
    }
    // A request that another route takes keeps what it has.
    let found = arrivals(&chain, &AskedRequest { target: "/b".to_owned(), ..asked.clone() });
    assert!(found.iter().all(|(_, arrives)| arrives.headers == asked.headers), "{found:?}");
}

#[test]
fn a_part_changes_headers_before_its_route_does() {
    let mut world = World::of("P http");
    let Entry::ServiceSplitter(mut splitter) = entry("S web 100:api") else { panic!("another kind") };
    let set = |value: &str| {
        Some(HeaderModifiers {
            set: [("x".to_owned(), value.to_owned())].into(),
            ..HeaderModifiers::default()
        })
    };
    splitter.said.splits[0].request_headers = set("split");
    let Entry::ServiceRouter(mut router) = entry("R web a>web") else { panic!("another kind") };
    router.said.routes[0].destination.as_mut().unwrap().request_headers = set("route");
    for entry in [Entry::ServiceSplitter(splitter), Entry::ServiceRouter(router)] {
        world.entries.insert(entry.name(), Arc::new(entry));
    }
    let chain = world.chain("web").unwrap();
    for (target, expected) in [("/a", "route"), ("/b", "split")] {
        assert_eq!(arrivals(&chain, &get(target))[0].1.headers, [("x".to_owned(), expected.to_owned())]);
    }
}

#[test]
fn only_so_many_parts_and_targets_are_told() {
    let parts: Vec<_> =
        (0..=PARTS_TOLD_MAX).map(|at| format!("{}:s{at}", if at == 0 { 36 } else { 1 })).collect();
    let further: Vec<_> = (0..TARGETS_TOLD_MAX).map(|at| format!("t{at}")).collect();
    let world =
        World::of(&format!("P http\nS web {}\nV s0 targets=*:{}", parts.join(" "), further.join("+")));
    let found = routed(&world.chain("web").unwrap(), &get("/"));
    assert_eq!((found.parts.len(), found.parts_count), (PARTS_TOLD_MAX, PARTS_TOLD_MAX + 1));
    assert_eq!(found.parts[0].legs.len(), TARGETS_TOLD_MAX);
}

/// Where connections to `web` go, each with what leads there.
fn led(world: &World) -> Vec<String> {
    let routed = targets(&world.chain("web").unwrap(), &mut |_, _| ALLOWED).unwrap();
    let told = routed.parts.iter().map(|part| {
        let origins: String = part.origins.iter().map(|origin| format!(" by {}", origin.field)).collect();
        let legs: Vec<_> = part.legs.iter().map(|leg| leg.target.service.name.to_string()).collect();
        format!("{} to {}{origins}", part.weight, legs.join(", else "))
    });
    told.collect()
}

#[test]
fn connections_go_where_a_request_may_go() {
    assert_eq!(led(&World::of("V web to=api\nV api fail=*:db")), ["100 to api, else db by Redirect"]);
    let world = World::of("P http\nR web a>api b>db\nS api 90:api 10:old");
    let all = [
        "90 to api by Routes[0] by Splits[0]",
        "10 to old by Routes[0] by Splits[1]",
        "100 to db by Routes[1]",
    ];
    assert_eq!(led(&world), [&all[..], &["100 to web"]].concat());
    // Nothing comes behind a route that takes everything.
    for condition in ["", "/"] {
        let mut world = world.clone();
        let Entry::ServiceRouter(mut router) = entry("R web a>api b>db c>web") else {
            panic!("another kind")
        };
        let taking = HttpRouteMatch { path_prefix: condition.to_owned(), ..HttpRouteMatch::default() };
        router.said.routes[1].matching = Some(RouteMatch { http: Some(taking) });
        world
            .entries
            .insert(Entry::ServiceRouter(router.clone()).name(), Arc::new(Entry::ServiceRouter(router)));
        assert_eq!(led(&world), all);
    }
}

/// The verdict about connections to `web`. Only these services are known to allow or deny, each once.
fn answer(world: &str, allow: &[&str], deny: &[&str]) -> Answer {
    let mut judge = |service: &ServiceRef, _| {
        let known = |all: &[&str]| all.contains(&service.name.as_str());
        match (known(allow), known(deny)) {
            (false, false) => Judged::Hidden,
            (allowed, _) => Judged::Verdict { allowed, reason: String::new() },
        }
    };
    targets(&World::of(world).chain("web").unwrap(), &mut judge).unwrap().answer()
}

#[test]
fn the_verdict_is_that_of_the_targets_that_are_reached() {
    for (world, allow, deny, expected) in [
        ("V web to=api", &["web"][..], &["api"][..], Answer::Denied),
        ("V web to=api", &["api"], &["web"], Answer::Allowed),
        ("V web to=api", &["web"], &[], Answer::Unknown),
        ("V web fail=*:api", &["web"], &["api"], Answer::Depends),
        ("V web fail=*:api", &["web", "api"], &[], Answer::Allowed),
        ("V web fail=*:api", &["web"], &[], Answer::Depends),
        ("V web targets=*:%east", &["web"], &[], Answer::Depends),
        ("P http\nS web 50:web 50:api", &[], &["web", "api"], Answer::Denied),
        ("P http\nS web 100:web 0:api", &["web"], &["api"], Answer::Allowed),
        ("P http\nR web a>api", &["web"], &["api"], Answer::Depends),
    ] {
        assert_eq!(answer(world, allow, deny), expected, "{world} {allow:?} {deny:?}");
    }
    // What is not told is not known.
    let parts: Vec<_> =
        (0..=PARTS_TOLD_MAX).map(|at| format!("{}:s{at}", if at == 0 { 36 } else { 1 })).collect();
    let names: Vec<_> = (0..=PARTS_TOLD_MAX).map(|at| format!("s{at}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let world = |parts: &[String]| format!("P http\nS web {}", parts.join(" "));
    assert_eq!(answer(&world(&parts), &names, &[]), Answer::Depends);
    let further = format!("V web targets=*:{}", names[..TARGETS_TOLD_MAX].join("+"));
    assert_eq!(answer(&further, &[&names[..], &["web"]].concat(), &[]), Answer::Depends);
}

#[test]
fn each_place_that_is_reached_is_explained_once() {
    let mut reached = Reached::default();
    assert_eq!(reached.at("none", Weight::from_hundredths(0), || 1), None);
    assert_eq!(reached.at("a", Weight::WHOLE, || 2), Some(&2));
    assert_eq!(reached.at("a", Weight::from_hundredths(0), || 3), Some(&2));
    let more: Vec<_> = (0..REACHED_MAX).map(|at| format!("more {at}")).collect();
    let told = more.iter().filter(|at| reached.at(at, Weight::WHOLE, || 4).is_some()).count();
    assert_eq!((told, reached.into_explained().len()), (REACHED_MAX - 1, REACHED_MAX));
}

/// Routes that change the path of what they take.
fn rewrite(world: &mut World, random: &mut Random) {
    for entry in world.entries.values_mut() {
        if let Entry::ServiceRouter(router) = &**entry {
            let mut router = router.clone();
            for route in router.said.routes.iter_mut().filter(|_| random.one_in(2)) {
                route.destination.get_or_insert_default().prefix_rewrite = "/admin".to_owned();
            }
            *entry = Arc::new(Entry::ServiceRouter(router));
        }
    }
}

#[test]
fn ten_thousand_routes_are_those_of_the_chain_and_are_judged_where_they_lead() {
    let (mut compiled, mut routed, mut split, mut elsewhere) = (0, 0, 0, 0);
    let (settings, default) = (RequestNormalization::default(), Action::Deny);
    for seed in 0..10_000 {
        let mut random = Random::new(40_000 + seed);
        let mut world = world(&mut random);
        if random.one_in(2) {
            ["P http", "R web 0>api 1>db 2>v1.api"].into_iter().for_each(|line| world.add(line));
        }
        rewrite(&mut world, &mut random);
        let Ok(chain) = world.chain("web") else { continue };
        compiled += 1;
        let asked = get(random.pick(&["/0", "/1/x", "/2?y", "/3", "/x"]));
        let intentions = entries(&names(), &mut random);
        let from = names().service(&mut random);
        let universe = Universe {
            entries: &intentions,
            default: DefaultPolicy { action: default, source: DefaultSource::AclDefault },
            protocol: chain.protocol,
            settings: &settings,
            known: &[],
        };
        let found =
            route(&chain, &asked, &mut |to, arrives, _| judge(universe, &from, to, arrives).into()).unwrap();
        // Connections go wherever one of their requests goes.
        let of_all = targets(&chain, &mut |_, _| ALLOWED).unwrap();
        let ids: BTreeSet<_> = of_all.legs().map(|leg| &leg.target.id).collect();
        assert!(found.legs().all(|leg| ids.contains(&leg.target.id)));
        // By hand: the routes of the generator are prefixes.
        let (next, origin, arrives) = match &chain.nodes[&chain.start.key] {
            ChainNode::Router(router) => {
                let prefix = |one: &ChainRoute| {
                    let matching = one.definition.matching.as_ref().and_then(|own| own.http.as_ref());
                    matching.map(|http| http.path_prefix.clone()).unwrap_or_default()
                };
                let taken = router.routes.iter().find(|one| asked.target.starts_with(&prefix(one))).unwrap();
                let rewritten =
                    taken.definition.destination.as_ref().is_some_and(|own| !own.prefix_rewrite.is_empty());
                let arrives = match rewritten {
                    true => asked.target.replacen(&prefix(taken), "/admin", 1),
                    false => asked.target.clone(),
                };
                (taken.next.key.clone(), taken.origin.clone(), arrives)
            }
            _ => (chain.start.key.clone(), None, asked.target.clone()),
        };
        assert_eq!((&found.route, &found.arrives_as), (&origin, &arrives));
        let expected: Vec<(i32, String)> = match &chain.nodes[&next] {
            ChainNode::Splitter(own) => {
                own.splits.iter().map(|one| (one.weight.hundredths(), one.next.key.clone())).collect()
            }
            _ => vec![(10_000, next)],
        };
        let parts: Vec<_> = found
            .parts
            .iter()
            .map(|part| (part.weight.hundredths(), format!("resolver:{}", part.legs[0].target.id)))
            .collect();
        assert_eq!(parts, expected);
        // Each step names an entry that is there.
        let origins = found.parts.iter().flat_map(|part| &part.origins);
        let origins = origins.chain(found.legs().flat_map(|leg| &leg.origins));
        for origin in origins.chain(&found.route).chain(&found.protocol) {
            assert!(world.entries.contains_key(&origin.entry), "{origin}");
        }
        // Each target decides about what arrives there, as the second evaluator says.
        for leg in found.legs() {
            let to = &leg.target.service;
            let expected = match &to.peer {
                Some(_) => None,
                None if chain.protocol.is_http() => {
                    let method = &asked.method;
                    let received = Received {
                        method,
                        target: arrives.as_bytes(),
                        authority: None,
                        headers: &[],
                        tokens: &[],
                    };
                    let answer =
                        request_oracle::decide(&intentions, (&from, to), received, &settings, default);
                    Some(answer.allowed)
                }
                None => Some(Policy::compile(to, &intentions).decide(&from, universe.default).allowed),
            };
            assert_eq!(leg.judged.allowed(), expected, "{to} {arrives}");
            elsewhere +=
                u32::from(expected == Some(true) && (to.name.as_str() != "web" || arrives != asked.target));
        }
        routed += u32::from(found.route.is_some());
        split += u32::from(found.parts.len() > 1);
    }
    assert!(
        compiled > 5_000 && routed > 1_000 && split > 100 && elsewhere > 500,
        "{compiled} {routed} {split} {elsewhere}"
    );
}
