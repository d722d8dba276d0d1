//! What the short language does not show: headers, origins, fingerprints, limits, and changes that break chains.

use std::sync::Arc;

use concord_mesh::chain::{
    ChainFault, ChainNode, ChainSplit, CompiledChain, SERVICES_MAX, SPLITS_JOINED_MAX, STEPS_MAX, VirtualIps,
    compile, gather,
};
use concord_mesh::entry::{Change, GraphFault, check_graph};
use concord_model::entry::{Entry, EntryKind, EntryName, EnvoyExtension, HeaderModifiers};

use super::language::{World, entry, service};

#[track_caller]
fn splits(chain: &CompiledChain) -> &[ChainSplit] {
    match &chain.nodes[&chain.start.key] {
        ChainNode::Splitter(node) => &node.splits,
        other => panic!("{other:?}"),
    }
}

fn headers(add: &[(&str, &str)], set: &[(&str, &str)], remove: &[&str]) -> Option<HeaderModifiers> {
    let pairs =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    let remove = remove.iter().map(|name| (*name).to_owned()).collect();
    Some(HeaderModifiers { add: pairs(add), set: pairs(set), remove })
}

#[test]
fn requests_meet_the_inner_splitter_last_and_responses_the_outer_one() {
    let mut world = World::of("P http\nS web 100:api\nS api 100:db");
    for (name, value) in [("web", "outer"), ("api", "inner")] {
        let name = EntryName::of_service(EntryKind::ServiceSplitter, &service(name));
        let Entry::ServiceSplitter(mut own) = (*world.entries[&name]).clone() else { panic!("{name}") };
        let changes = headers(&[("a", value), (value, "1")], &[("s", value)], &["gone", value]);
        own.said.splits[0].request_headers = changes.clone();
        own.said.splits[0].response_headers = changes;
        world.entries.insert(name, Arc::new(Entry::ServiceSplitter(own)));
    }
    let chain = world.chain("web").unwrap();
    let split = &splits(&chain)[0].definition;
    let both = |last| headers(&[("a", last), ("outer", "1"), ("inner", "1")], &[("s", last)], &[]);
    let without =
        |own: &Option<HeaderModifiers>| own.clone().map(|own| HeaderModifiers { remove: vec![], ..own });
    assert_eq!(without(&split.request_headers), both("inner"));
    assert_eq!(without(&split.response_headers), both("outer"));
    let removed = |own: &Option<HeaderModifiers>| own.clone().unwrap().remove.join(" ");
    assert_eq!(removed(&split.request_headers), "gone outer inner");
    assert_eq!(removed(&split.response_headers), "gone inner outer");
}

#[test]
fn everything_says_where_it_comes_from() {
    let world = World::of(
        "P http gw=remote\nD web http gw=local\nR web a>api b>\nS web 50:web 50:api\nS api 100:db\nV web sub=v1 default=v1
         V db to=store dcs=*:dc2 t=9\nV store targets=*:@dc2+old t=3\nV old to=older",
    );
    let mut world = world;
    world.add("V db to=store");
    let chain = world.chain("web").unwrap();
    let told = |key: &str| match &chain.nodes[key] {
        ChainNode::Router(node) => node
            .routes
            .iter()
            .map(|route| route.origin.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string))
            .collect::<Vec<_>>(),
        ChainNode::Splitter(node) => node
            .splits
            .iter()
            .map(|split| {
                let all = split.origins.iter().chain(&split.next.via);
                all.map(ToString::to_string).collect::<Vec<_>>().join(", ")
            })
            .collect(),
        ChainNode::Resolver(node) => {
            let failover = node
                .failover
                .iter()
                .map(|step| step.origins.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
            node.entry.iter().map(ToString::to_string).chain(failover).collect()
        }
    };
    assert_eq!(
        told("router:web.default.default"),
        [r#"Routes[0] of service-router "web""#, r#"Routes[1] of service-router "web""#, "nobody"]
    );
    assert_eq!(
        told("splitter:web.default.default"),
        [
            r#"Splits[0] of service-splitter "web", DefaultSubset of service-resolver "web""#,
            concat!(
                r#"Splits[1] of service-splitter "web", Splits[0] of service-splitter "api", "#,
                r#"Redirect of service-resolver "db""#
            ),
        ]
    );
    assert_eq!(
        told("resolver:store.default.default.dc1"),
        [
            r#"service-resolver "store""#,
            r#"Failover["*"].Targets[0] of service-resolver "store""#,
            r#"Failover["*"].Targets[1] of service-resolver "store", Redirect of service-resolver "old""#,
        ]
    );
    assert_eq!(chain.protocol_origin.unwrap().to_string(), r#"Protocol of service-defaults "web""#);
    let gateway = |id: &str| chain.targets[id].mesh_gateway_origin.as_ref().unwrap().to_string();
    assert_eq!(gateway("v1.web.default.default.dc1"), r#"MeshGateway.Mode of service-defaults "web""#);
    assert_eq!(gateway("store.default.default.dc1"), r#"MeshGateway.Mode of proxy-defaults "global""#);
}

#[test]
fn what_the_service_says_of_itself_is_told() {
    let mut world = World::of("P http\nD web http meta=team\nV web to=api");
    let extension = |name: &str| EnvoyExtension { name: name.to_owned(), ..EnvoyExtension::default() };
    for entry in world.entries.values_mut() {
        match Arc::make_mut(entry) {
            Entry::ProxyDefaults(own) => own.said.envoy_extensions = vec![extension("all")],
            Entry::ServiceDefaults(own) => own.said.envoy_extensions = vec![extension("own")],
            _ => {}
        }
    }
    let mut request = world.request("web");
    request.virtual_ips =
        VirtualIps { auto: vec!["240.0.0.1".to_owned()], manual: vec!["10.0.0.1".to_owned()] };
    let gathered = gather(&service("web"), |name| world.entries.get(name).cloned()).unwrap();
    let chain = compile(&gathered, &request).unwrap();
    assert_eq!(chain.service_meta["team"], "1");
    let names: Vec<_> = chain.envoy_extensions.iter().map(|own| own.name.as_str()).collect();
    assert_eq!(names, ["all", "own"]);
    assert_eq!(
        (&chain.auto_virtual_ips[..], &chain.manual_virtual_ips[..]),
        (&["240.0.0.1".to_owned()][..], &["10.0.0.1".to_owned()][..])
    );
    let target = &chain.targets["api.default.default.dc1"];
    assert_eq!(target.sni, "api.default.dc1.internal.td.consul");
    assert_eq!(target.name, target.sni);
    let world = World::of("V web targets=*:%east");
    let chain = world.chain("web").unwrap();
    assert_eq!(chain.targets["web.default.default.external.east"].sni, "");
}

#[test]
fn fingerprints_tell_overrides_apart() {
    let hash = |text: &str| World::of(text).chain("web").unwrap().customization_hash;
    assert_eq!(hash(""), "");
    let all = [hash("O t=9"), hash("O t=8"), hash("O http"), hash("O gw=local"), hash("O gw=local t=9")];
    for (i, one) in all.iter().enumerate() {
        assert!(one.len() == 8 && one.bytes().all(|b| b.is_ascii_hexdigit()), "{one}");
        assert!(!all[..i].contains(one), "{all:?}");
    }
    assert_eq!(hash("O t=9"), hash("O t=9 tcp"), "what changes nothing does not count");
}

#[test]
fn only_entries_that_concern_the_chain_are_read() {
    let world = World::of(
        "P http\nR web a>api\nR api b>far\nS api 50:db 50:api\nV db fail=*:old\nV far to=away\nD away http\nS old 100:far",
    );
    let mut read = Vec::new();
    gather(&service("web"), |name| {
        read.push(name.as_str().to_owned());
        world.entries.get(name).cloned()
    })
    .unwrap();
    read.sort();
    read.dedup();
    assert_eq!(read, ["api", "db", "global", "old", "web"]);
}

#[track_caller]
fn too_large(world: &World, what: &str, max: usize) {
    match world.chain("web") {
        Err(fault @ ChainFault::TooLarge { .. }) => {
            let text = format!(
                r#"discovery chain "web" is too large: it has more than {max} {what}; leave some out"#
            );
            assert_eq!(fault.to_string(), text);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn n_187_entries_that_multiply_each_other_are_refused() {
    // Twenty layers, in each of which every split leads to both splitters of the next one.
    let mut doubling = World::of("P http\nS web 50:l0a 50:l0b");
    for layer in 0..20 {
        for own in ["a", "b"] {
            let next = layer + 1;
            doubling.add(&format!("S l{layer}{own} 50:l{next}a 50:l{next}b"));
        }
    }
    too_large(&doubling, "splits", SPLITS_JOINED_MAX);
    let mut long = World::of("V web to=s0");
    for i in 0..=SERVICES_MAX {
        long.add(&format!("V s{i} to=s{}", i + 1));
    }
    too_large(&long, "services", SERVICES_MAX);
    // Many routes to the same long list of redirects.
    let mut steps = World::of("P http");
    let routes: Vec<_> = (0..200).map(|i| format!("r{i}>t{i}")).collect();
    steps.add(&format!("R web {}", routes.join(" ")));
    for i in 0..200 {
        steps.add(&format!("V t{i} to=s0"));
    }
    for i in 0..400 {
        steps.add(&format!("V s{i} to=s{}", i + 1));
    }
    too_large(&steps, "steps", STEPS_MAX);
}

#[test]
fn long_chains_that_fit_are_compiled_without_recursion() {
    let mut world = World::of("P http");
    for i in 0..1000 {
        let own = if i == 0 { "web".to_owned() } else { format!("s{i}") };
        world.add(&format!("S {own} 1:{own} 99:s{}", i + 1));
    }
    let chain = world.chain("web").unwrap();
    assert_eq!(splits(&chain).len(), 1001);
    let mut world = World::of("V web to=s0");
    for i in 0..1000 {
        world.add(&format!("V s{i} to=s{}", i + 1));
    }
    let chain = world.chain("web").unwrap();
    assert_eq!((chain.targets.len(), chain.start.via.len()), (1, 1001));
}

/// Whether a change is refused, by its text.
fn change(world: &World, line: &str) -> Result<(), GraphFault> {
    let to = entry(line);
    check_graph(world, Change { name: &to.name(), to: Some(&to) })
}

fn removal(world: &World, kind: EntryKind, name: &str) -> Result<(), GraphFault> {
    check_graph(world, Change { name: &EntryName::parse(kind, name).unwrap(), to: None })
}

#[track_caller]
fn refused(found: Result<(), GraphFault>, text: &str) {
    let found = found.expect_err(text).to_string();
    assert!(found.starts_with(text), "{found}");
}

#[test]
fn n_186_a_change_that_breaks_a_chain_is_refused() {
    let world = World::of(
        "D web http\nD api http\nR web a>api/v1\nS front 50:web 50:api\nD front http\nV api sub=v1 sub=v2\nV far to=front\nD far http",
    );
    let bytes = |of: &str| format!(r#"discovery chain "{of}" uses "#);
    // Its own chain, and chains that lead to it.
    refused(change(&world, "D web tcp"), &bytes("front"));
    refused(change(&world, "D api tcp"), &bytes("front"));
    refused(removal(&world, EntryKind::ServiceDefaults, "front"), &bytes("far"));
    refused(removal(&world, EntryKind::ServiceDefaults, "api"), &bytes("front"));
    let missing = r#"service "api" does not have a subset named "v1""#;
    refused(change(&world, "V api sub=v2"), missing);
    refused(removal(&world, EntryKind::ServiceResolver, "api"), missing);
    refused(change(&world, "R web a>api/v3"), r#"service "api" does not have a subset named "v3""#);
    refused(change(&world, "S api 50:api 50:front"), "detected circular reference: [");
    refused(change(&world, "V front to=far"), "detected circular resolver redirect: [");
    refused(change(&world, "R other a>b"), &bytes("other"));
    refused(
        change(&world, "D api http sni=x"),
        r#"service "api" has an external SNI set; cannot define subsets"#,
    );
    // What breaks nothing is taken.
    for line in
        ["V api sub=v1", "D api http gw=local", "D other tcp", "S api 100:api", "R front b>api", "V x to=y"]
    {
        assert_eq!(change(&world, line), Ok(()), "{line}");
    }
    assert_eq!(removal(&world, EntryKind::ServiceRouter, "web"), Ok(()));
    // The protocol of all.
    let world = World::of("P http\nR web a>api");
    refused(change(&world, "P tcp"), &bytes("web"));
    refused(removal(&world, EntryKind::ProxyDefaults, "global"), &bytes("web"));
    assert_eq!(change(&world, "P grpc gw=local"), Ok(()));
}

#[test]
fn a_chain_that_was_broken_before_stops_nobody() {
    let world = World::of("R web a>api\nV api sub=v1");
    assert!(world.chain("web").is_err());
    for line in ["R web a>api b>db", "V api sub=v2", "D api tcp", "D web grpc", "S api 100:api"] {
        let broken = change(&world, line);
        match line.starts_with("S api") {
            // A chain of its own breaks.
            true => refused(broken, r#"discovery chain "api" uses a protocol "tcp""#),
            false => assert_eq!(broken, Ok(()), "{line}"),
        }
    }
    assert_eq!(removal(&world, EntryKind::ServiceRouter, "web"), Ok(()));
}
