//! What Envoy is given of a discovery chain: clusters, and routes for services with requests.

use std::collections::BTreeSet;

use concord_envoy_proto::envoy::config::cluster::v3::Cluster;
use concord_envoy_proto::envoy::config::cluster::v3::cluster::{ClusterDiscoveryType, LbConfig, LbPolicy};
use concord_envoy_proto::envoy::config::core::v3::HeaderValueOption;
use concord_envoy_proto::envoy::config::listener::v3::Listener;
use concord_envoy_proto::envoy::config::listener::v3::filter::ConfigType;
use concord_envoy_proto::envoy::config::route::v3::route::Action as Does;
use concord_envoy_proto::envoy::config::route::v3::route_action::ClusterSpecifier;
use concord_envoy_proto::envoy::config::route::v3::route_action::hash_policy::PolicySpecifier;
use concord_envoy_proto::envoy::config::route::v3::route_match::PathSpecifier;
use concord_envoy_proto::envoy::config::route::v3::{Route, RouteAction, RouteConfiguration, WeightedCluster};
use concord_envoy_proto::envoy::extensions::clusters::aggregate::v3::ClusterConfig;
use concord_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use concord_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use concord_envoy_proto::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use concord_envoy_proto::envoy::extensions::upstreams::http::v3::http_protocol_options::UpstreamProtocolOptions;
use concord_model::intention::Action;
use concord_model::proxy::Upstream;
use concord_xds::{Configuration, ResourceType, Unserved, sidecar};

use crate::world::{self, DOMAIN, NEWEST, Told, endpoint, message, settings, unpacked, upstream};

fn name(of: &str) -> String {
    format!("{of}.default.dc1.internal.{DOMAIN}")
}

fn http() -> Told {
    Told::default().write("proxy-defaults", "global", r#"{"config": {"protocol": "http"}}"#)
}

fn built_with(told: &Told, own: Upstream) -> Configuration {
    let built = sidecar(&told.snapshot(world::sidecar(vec![own]), Action::Deny), NEWEST).unwrap();
    assert_named(&built);
    built
}

fn built(told: &Told) -> Configuration {
    built_with(told, upstream("db", 9191))
}

/// Whatever a resource names is there.
#[track_caller]
fn assert_named(built: &Configuration) {
    let clusters: BTreeSet<_> = built.resources.of(ResourceType::Cluster).map(|one| &one.name).collect();
    for kind in ResourceType::ALL {
        for resource in built.resources.of(kind) {
            let missing: Vec<_> = resource.clusters.iter().filter(|own| !clusters.contains(own)).collect();
            assert!(missing.is_empty(), "{} names {missing:?}", resource.name);
            for (kind, child) in &resource.children {
                assert!(built.resources.find(*kind, child).is_some(), "{} needs {child}", resource.name);
            }
        }
    }
}

fn cluster(built: &Configuration, name: &str) -> Cluster {
    message(&built.resources, ResourceType::Cluster, name)
}

fn clusters(built: &Configuration) -> Vec<String> {
    let all = built.resources.of(ResourceType::Cluster).map(|one| one.name.to_string());
    all.filter(|name| name != "local_app").collect()
}

fn manager(built: &Configuration) -> HttpConnectionManager {
    let listener: Listener = message(&built.resources, ResourceType::Listener, "db:127.0.0.1:9191");
    let filter = &listener.filter_chains[0].filters[0];
    assert_eq!(filter.name, "envoy.filters.network.http_connection_manager");
    let Some(ConfigType::TypedConfig(config)) = &filter.config_type else { panic!("{filter:?}") };
    unpacked(config)
}

fn routes(built: &Configuration) -> Vec<Route> {
    let own: RouteConfiguration = message(&built.resources, ResourceType::Route, "db");
    let [host] = own.virtual_hosts.as_slice() else { panic!("{own:?}") };
    assert_eq!(host.domains, ["*"]);
    host.routes.clone()
}

fn action(route: &Route) -> &RouteAction {
    let Some(Does::Route(action)) = &route.action else { panic!("{route:?}") };
    action
}

fn leads(route: &Route) -> &str {
    let Some(ClusterSpecifier::Cluster(name)) = &action(route).cluster_specifier else { panic!("{route:?}") };
    name
}

fn parts(route: &Route) -> &WeightedCluster {
    let Some(ClusterSpecifier::WeightedClusters(all)) = &action(route).cluster_specifier else {
        panic!("{route:?}")
    };
    all
}

fn path(route: &Route) -> PathSpecifier {
    route.r#match.clone().unwrap().path_specifier.unwrap()
}

#[test]
fn requests_find_their_way_by_a_route_configuration_named_like_the_upstream() {
    let built = built(&http());
    let manager = manager(&built);
    assert_eq!(manager.stat_prefix, "upstream.db.default.default.dc1");
    let Some(RouteSpecifier::Rds(rds)) = &manager.route_specifier else { panic!("{manager:?}") };
    assert_eq!(rds.route_config_name, "db");
    let [route] = &routes(&built)[..] else { panic!("one route") };
    assert_eq!((path(route), leads(route)), (PathSpecifier::Prefix("/".to_owned()), &*name("db")));
    let filters: Vec<_> = manager.http_filters.iter().map(|filter| &*filter.name).collect();
    assert_eq!(filters, ["envoy.filters.http.router"]);
    assert!(cluster(&built, &name("db")).typed_extension_protocol_options.is_empty());
}

#[test]
fn grpc_is_counted_bridged_and_sent_by_http2() {
    let told = Told::default().write("service-defaults", "db", r#"{"protocol": "grpc"}"#);
    let built = built(&told);
    let filters: Vec<_> = manager(&built).http_filters.into_iter().map(|filter| filter.name).collect();
    let expected = [
        "envoy.filters.http.grpc_stats",
        "envoy.filters.http.grpc_http1_bridge",
        "envoy.filters.http.router",
    ];
    assert_eq!(filters, expected);
    assert!(matches!(sent(&built, &name("db")), UpstreamProtocolOptions::ExplicitHttpConfig(_)));
}

/// How requests are sent to a cluster.
fn sent(built: &Configuration, name: &str) -> UpstreamProtocolOptions {
    let mut options = cluster(built, name).typed_extension_protocol_options;
    let own = options.remove("envoy.extensions.upstreams.http.v3.HttpProtocolOptions").unwrap();
    unpacked::<HttpProtocolOptions>(&own).upstream_protocol_options.unwrap()
}

#[test]
fn requests_of_http2_are_sent_by_it_to_upstreams_and_as_they_came_to_the_service() {
    let both = r#"{"config": {"protocol": "http2"}}"#;
    let mut instance = world::sidecar(vec![upstream("db", 9191)]);
    instance.proxy.as_mut().unwrap().config = settings(r#"{"protocol": "http2"}"#);
    let told = Told::default().write("proxy-defaults", "global", both);
    let built = sidecar(&told.snapshot(instance, Action::Deny), NEWEST).unwrap();
    assert!(matches!(sent(&built, &name("db")), UpstreamProtocolOptions::ExplicitHttpConfig(_)));
    assert!(matches!(sent(&built, "local_app"), UpstreamProtocolOptions::UseDownstreamProtocolConfig(_)));
    assert!(manager(&built).http2_protocol_options.is_some());
}

#[test]
fn a_router_s_routes_keep_their_order_and_conditions() {
    let routes_said = r#"{"routes": [
        {"match": {"http": {"path_exact": "/a", "case_insensitive": true, "methods": ["GET", "PUT"]}},
         "destination": {"service": "api", "prefix_rewrite": "/b", "request_timeout": 3000000000,
            "idle_timeout": -1, "num_retries": 4, "retry_on_connect_failure": true, "retry_on": ["reset"],
            "retry_on_status_codes": [503],
            "request_headers": {"add": {"x-a": "1"}, "set": {"x-s": "2"}, "remove": ["x-r"]}}},
        {"match": {"http": {"path_regex": "/r.*", "header": [
            {"name": "x-p", "prefix": "v", "invert": true}, {"name": "x-q", "present": true}],
            "query_param": [{"name": "q", "exact": "1"}]}}, "destination": {"service": "api"}}]}"#;
    let built = built(&http().write("service-router", "db", routes_said));
    let all = routes(&built);
    assert_eq!(all.iter().map(leads).collect::<Vec<_>>(), [&*name("api"), &name("api"), &name("db")]);
    let (first, second) = (&all[0], &all[1]);
    assert_eq!(path(first), PathSpecifier::Path("/a".to_owned()));
    let matching = first.r#match.as_ref().unwrap();
    assert_eq!((matching.case_sensitive, &*matching.headers[0].name), (Some(false), ":method"));
    let action = action(first);
    assert_eq!(action.prefix_rewrite, "/b");
    let (timeout, idle) = (action.timeout.unwrap(), action.idle_timeout.unwrap());
    assert_eq!((timeout.seconds, idle.seconds, idle.nanos), (3, 0, 0), "a negative limit is none");
    let retries = action.retry_policy.as_ref().unwrap();
    assert_eq!(retries.retry_on, "reset,connect-failure,retriable-status-codes");
    assert_eq!((retries.num_retries, &*retries.retriable_status_codes), (Some(4), &[503][..]));
    let told = |own: &HeaderValueOption| (own.header.as_ref().unwrap().key.clone(), own.append_action);
    let added: Vec<_> = first.request_headers_to_add.iter().map(told).collect();
    assert_eq!(added, [("x-a".to_owned(), 0), ("x-s".to_owned(), 2)]);
    assert_eq!(first.request_headers_to_remove, ["x-r"]);
    let matching = second.r#match.as_ref().unwrap();
    assert!(matching.headers[0].invert_match && !matching.headers[1].invert_match);
    assert_eq!(matching.query_parameters[0].name, "q");
    assert!(action_of(second).timeout.is_none() && action_of(second).retry_policy.is_none());
}

#[test]
fn n_350_changes_of_headers_that_envoy_would_refuse_are_left_out_and_told() {
    let said = r#"{"routes": [{"destination": {
        "request_headers": {"add": {"x-a": "100%", "host": "b"}, "remove": [":path", "x-r"]},
        "response_headers": {"set": {"x y": "1", "x-b": "1\n2", "x-c": "%PROTOCOL%"}}}}]}"#;
    let splits = r#"{"splits": [{"weight": 100, "request_headers": {"set": {":authority": "b"}}}]}"#;
    let told = http().write("service-router", "db", said).write("service-splitter", "db", splits);
    let built = built(&told);
    let route = &routes(&built)[0];
    let pairs = |all: &[HeaderValueOption]| {
        let pair = |own: &HeaderValueOption| own.header.clone().map(|own| (own.key, own.value)).unwrap();
        all.iter().map(pair).collect::<Vec<_>>()
    };
    let owned = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    assert_eq!(pairs(&route.request_headers_to_add), owned("x-a", "100%%"));
    assert_eq!(route.request_headers_to_remove, ["x-r"]);
    assert_eq!(pairs(&route.response_headers_to_add), owned("x-c", "%PROTOCOL%"));
    assert_eq!(parts(route).clusters[0].request_headers_to_add, []);
    let said: Vec<_> = built.unserved.iter().map(ToString::to_string).collect();
    let expected = [
        "Splits[0] of service-splitter \"db\": RequestHeaders.Set of \":authority\"",
        "Routes[0] of service-router \"db\": Destination.RequestHeaders.Add of \"host\"",
        "Routes[0] of service-router \"db\": Destination.RequestHeaders.Remove of \":path\"",
        "Routes[0] of service-router \"db\": Destination.ResponseHeaders.Set of \"x y\"",
        "Routes[0] of service-router \"db\": Destination.ResponseHeaders.Set of \"x-b\"",
    ];
    assert_eq!(said.len(), expected.len(), "{said:#?}");
    for told in expected {
        assert!(said.iter().any(|one| one.contains(told)), "{told}: {said:#?}");
    }
}

fn action_of(route: &Route) -> &RouteAction {
    action(route)
}

#[test]
fn a_splitter_s_parts_are_ten_thousand_together() {
    let splits = r#"{"splits": [{"weight": 99.5, "service": "db"},
        {"weight": 0.5, "service": "api", "response_headers": {"set": {"x-part": "api"}}}]}"#;
    let built = built(&http().write("service-splitter", "db", splits));
    let all = routes(&built);
    let parts: Vec<_> = parts(&all[0]).clusters.iter().map(|one| (&*one.name, one.weight.unwrap())).collect();
    assert_eq!(parts, [(&*name("db"), 9950), (&*name("api"), 50)]);
    assert_eq!(crate::routes::parts(&all[0]).clusters[1].response_headers_to_add.len(), 1);
}

#[test]
fn a_subset_is_a_cluster_of_its_own() {
    let subsets = r#"{"default_subset": "v1", "subsets": {"v1": {"filter": "Service.Meta.v == 1"}},
        "connect_timeout": 2000000000, "request_timeout": 7000000000}"#;
    let built = built(&http().write("service-resolver", "db", subsets));
    assert_eq!(clusters(&built), [format!("v1.{}", name("db"))]);
    let own = cluster(&built, &clusters(&built)[0]);
    assert_eq!(own.connect_timeout.unwrap().seconds, 2);
    assert_eq!(action(&routes(&built)[0]).timeout.unwrap().seconds, 7);
}

#[test]
fn failover_is_an_aggregate_of_the_targets_in_their_order() {
    let told = Told { endpoints: vec![("api", vec![endpoint("api", "10.0.0.7")])], ..Told::default() };
    let built = built(&told.write("service-resolver", "db", r#"{"failover": {"*": {"service": "api"}}}"#));
    let members = [format!("failover-target~0~{}", name("db")), format!("failover-target~1~{}", name("db"))];
    assert_eq!(clusters(&built), [name("db"), members[0].clone(), members[1].clone()]);
    let own = cluster(&built, &name("db"));
    assert_eq!(own.lb_policy(), LbPolicy::ClusterProvided);
    let Some(ClusterDiscoveryType::ClusterType(kind)) = own.cluster_discovery_type else { panic!("{own:?}") };
    let aggregate: ClusterConfig = unpacked(kind.typed_config.as_ref().unwrap());
    assert_eq!(aggregate.clusters, members);
    let endpoints = built.resources.find(ResourceType::Endpoint, &members[1]).unwrap();
    let api: concord_envoy_proto::envoy::config::endpoint::v3::ClusterLoadAssignment =
        unpacked(&endpoints.body);
    assert_eq!(api.endpoints[0].lb_endpoints.len(), 1);
}

#[test]
fn a_balancer_is_the_cluster_s_and_what_it_hashes_the_route_s() {
    let balancer = r#"{"load_balancer": {"policy": "ring_hash", "ring_hash_config": {"minimum_ring_size": 10},
        "hash_policies": [{"field": "header", "field_value": "x-user", "terminal": true}, {"source_ip": true},
            {"field": "cookie", "field_value": "c", "cookie_config": {"session": true, "path": "/"}}]}}"#;
    let built = built(&http().write("service-resolver", "db", balancer));
    let own = cluster(&built, &name("db"));
    assert_eq!(own.lb_policy(), LbPolicy::RingHash);
    let Some(LbConfig::RingHashLbConfig(ring)) = own.lb_config else { panic!("{own:?}") };
    assert_eq!((ring.minimum_ring_size, ring.maximum_ring_size), (Some(10), None));
    let all = routes(&built);
    let [header, source, cookie] = &action(&all[0]).hash_policy[..] else { panic!("{all:?}") };
    assert!(header.terminal && !source.terminal);
    let Some(PolicySpecifier::Cookie(cookie)) = &cookie.policy_specifier else { panic!("{cookie:?}") };
    assert_eq!((cookie.ttl.unwrap().seconds, &*cookie.path), (0, "/"));
}

#[test]
fn the_settings_of_an_upstream_are_those_of_its_cluster_and_listener() {
    let mut own = upstream("db", 9191);
    own.config = settings(
        r#"{"passive_health_check": {"interval": "10s", "MaxFailures": 3, "base_ejection_time": 2000000000,
            "enforcing_consecutive_5xx": 0}, "balance_outbound_connections": "exact_balance"}"#,
    );
    let built = built_with(&Told::default(), own);
    let outliers = cluster(&built, &name("db")).outlier_detection.unwrap();
    assert_eq!(outliers.interval.unwrap().seconds, 10);
    assert_eq!((outliers.consecutive_5xx, outliers.enforcing_consecutive_5xx), (Some(3), Some(0)));
    assert_eq!(outliers.base_ejection_time.unwrap().seconds, 2);
    let listener: Listener = message(&built.resources, ResourceType::Listener, "db:127.0.0.1:9191");
    assert!(listener.connection_balance_config.is_some());
    let mut own = upstream("db", 9191);
    own.config = settings(r#"{"passive_health_check": {"interval": "soon"}}"#);
    let refused =
        sidecar(&Told::default().snapshot(world::sidecar(vec![own]), Action::Deny), NEWEST).unwrap();
    let [Unserved::Refused { refusal, .. }] = &refused.unserved[..] else { panic!("{:?}", refused.unserved) };
    assert!(refusal.to_string().contains("passive_health_check.interval"), "{refusal}");
}

#[test]
fn a_target_in_a_peered_cluster_has_no_instances_and_is_told() {
    let failover = r#"{"failover": {"*": {"targets": [{"peer": "east"}]}}}"#;
    let built = built(&Told::default().write("service-resolver", "db", failover));
    let [Unserved::Peer { target, .. }] = &built.unserved[..] else { panic!("{:?}", built.unserved) };
    assert!(target.contains("external.east"), "{target}");
    assert_eq!(clusters(&built).len(), 3);
}
