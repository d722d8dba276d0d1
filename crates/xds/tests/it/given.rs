//! Listeners and clusters that operators write themselves.

use concord_envoy_proto::envoy::config::cluster::v3::Cluster;
use concord_envoy_proto::envoy::config::core::v3::TransportSocket;
use concord_envoy_proto::envoy::config::core::v3::transport_socket::ConfigType as Socket;
use concord_envoy_proto::envoy::config::listener::v3::filter::ConfigType;
use concord_envoy_proto::envoy::config::listener::v3::{Filter, FilterChain, Listener};
use concord_envoy_proto::envoy::config::rbac::v3::rbac::Action as Listed;
use concord_envoy_proto::envoy::extensions::filters::http::rbac::v3::Rbac as HttpRbac;
use concord_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use concord_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_filter::ConfigType as HttpConfigType;
use concord_envoy_proto::envoy::extensions::filters::network::rbac::v3::Rbac;
use concord_envoy_proto::envoy::extensions::transport_sockets::tls::v3::{
    DownstreamTlsContext, UpstreamTlsContext,
};
use concord_model::intention::{Action, Decision};
use concord_model::proxy::Upstream;
use concord_proxycfg::Endpoint;
use concord_xds::{Configuration, Fault, ResourceType, Unserved, sidecar};
use serde_json::{Value, json};

use crate::world::{
    self, DOMAIN, NEWEST, Told, endpoint, entry, message, settings, snapshot, source, unpacked,
};

const URL: &str = "type.googleapis.com/envoy.config";

/// A filter that hands connections on, and one that has requests.
fn carrying() -> Value {
    json!({"name": "tcp", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "own", "cluster": "local_app"}})
}

fn managing() -> Value {
    json!({"name": "http", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "own", "strip_trailing_host_dot": true,
        "rds": {"route_config_name": "routes", "config_source": {"ads": {}}},
        "http_filters": [{"name": "lua", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua", "inline_code": "--"}}]}})
}

fn listener(chains: Value, default: Value) -> String {
    let mut own = json!({
        "@type": format!("{URL}.listener.v3.Listener"), "name": "own",
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": 21000}},
        "filter_chains": chains,
    });
    if !default.is_null() {
        own["default_filter_chain"] = default;
    }
    own.to_string()
}

fn cluster(name: &str) -> String {
    json!({"@type": format!("{URL}.cluster.v3.Cluster"), "name": name, "type": "EDS", "per_connection_buffer_limit_bytes": 7,
        "eds_cluster_config": {"eds_config": {"ads": {}, "resource_api_version": "V3"}},
        "transport_socket_matches": [{"name": "open", "match": {"open": true}, "transport_socket": {"name": "raw"}}],
    })
    .to_string()
}

/// The sidecar of `web`, whose protocol is this, with these settings.
fn built(config: &Value, upstreams: Vec<Upstream>) -> Configuration {
    let mut instance = world::sidecar(upstreams);
    instance.proxy.as_mut().unwrap().config = settings(&config.to_string());
    let intentions = vec![entry("web", vec![(source("api"), Decision::Connection(Action::Allow))])];
    let endpoints = vec![("db", vec![endpoint("db", "10.0.0.1")])];
    sidecar(&snapshot(instance, intentions, Action::Deny, endpoints), NEWEST).unwrap()
}

/// The upstream `db`, with settings.
fn db(config: &Value) -> Upstream {
    Upstream { config: settings(&config.to_string()), ..world::upstream("db", 9191) }
}

fn sni() -> String {
    format!("db.default.dc1.internal.{DOMAIN}")
}

#[track_caller]
fn tls(socket: Option<&TransportSocket>) -> concord_envoy_proto::Any {
    let Some(Socket::TypedConfig(config)) = &socket.expect("TLS").config_type else { panic!("no TLS") };
    config.clone()
}

#[track_caller]
fn configured(filter: &Filter) -> &concord_envoy_proto::Any {
    let Some(ConfigType::TypedConfig(config)) = &filter.config_type else { panic!("{filter:?}") };
    config
}

#[track_caller]
fn demands_a_certificate(chain: &FilterChain) {
    let context: DownstreamTlsContext = unpacked(&tls(chain.transport_socket.as_ref()));
    assert_eq!(context.require_client_certificate, Some(true));
    assert!(context.common_tls_context.unwrap().validation_context_type.is_some());
}

#[track_caller]
fn judges_connections(chain: &FilterChain) {
    let rules: Rbac = unpacked(configured(&chain.filters[0]));
    let rules = rules.rules.expect("rules");
    assert_eq!((rules.action(), rules.policies.len()), (Listed::Allow, 1));
}

fn names(built: &Configuration, kind: ResourceType) -> Vec<&str> {
    built.resources.of(kind).map(|own| &*own.name).collect()
}

#[test]
fn n_291_every_way_into_a_public_listener_of_an_operator_has_tls_and_the_intentions() {
    let chains = json!([
        {"filters": [carrying()], "filter_chain_match": {"server_names": ["a"]}},
        {"filters": [carrying()], "transport_socket": {"name": "envoy.transport_sockets.raw_buffer"}},
    ]);
    let text = listener(chains, json!({"filters": [carrying()]}));
    let built = built(&json!({"envoy_public_listener_json": text}), vec![]);
    assert_eq!(built.unserved, []);
    assert_eq!(names(&built, ResourceType::Listener), ["own"]);
    let own: Listener = message(&built.resources, ResourceType::Listener, "own");
    assert_eq!(own.filter_chains.len(), 2);
    for chain in own.filter_chains.iter().chain(&own.default_filter_chain) {
        demands_a_certificate(chain);
        judges_connections(chain);
        assert_eq!(chain.filters.len(), 2, "what the operator wrote follows");
    }
    assert!(own.default_filter_chain.is_some());
}

#[test]
fn n_291_requests_are_judged_in_the_manager_of_an_operator() {
    let text = listener(json!([{"filters": [managing()]}, {"filters": [carrying()]}]), Value::Null);
    let built = built(&json!({"protocol": "http", "envoy_public_listener_json": text}), vec![]);
    let resource = built.resources.find(ResourceType::Listener, "own").unwrap();
    assert_eq!(resource.children, [(ResourceType::Route, "routes".into())]);
    assert!(resource.clusters.contains("local_app"));
    let own: Listener = unpacked(&resource.body);
    own.filter_chains.iter().for_each(demands_a_certificate);
    let manager: HttpConnectionManager = unpacked(configured(&own.filter_chains[0].filters[0]));
    let filters: Vec<_> = manager.http_filters.iter().map(|own| &*own.name).collect();
    assert_eq!(filters, ["concord.intentions", "lua"]);
    let Some(HttpConfigType::TypedConfig(rules)) = &manager.http_filters[0].config_type else {
        panic!("no rules")
    };
    let rules: HttpRbac = unpacked(rules);
    assert_eq!(rules.rules.unwrap().action(), Listed::Allow);
    assert_eq!((manager.normalize_path, manager.strip_trailing_host_dot), (Some(true), false));
    judges_connections(&own.filter_chains[1]);
}

#[test]
fn n_291_a_way_past_the_chains_of_a_public_listener_is_refused() {
    let udp =
        json!({"@type": format!("{URL}.listener.v3.Listener"), "name": "own", "udp_listener_config": {}});
    let built = built(&json!({"envoy_public_listener_json": udp.to_string()}), vec![]);
    assert!(matches!(
        &built.unserved[..],
        [Unserved::Given { fault: Fault::Past("udp_listener_config"), .. }]
    ));
    assert_eq!(names(&built, ResourceType::Listener), [""; 0]);
}

/// What is missing of a sidecar with an upstream, and what is said.
#[track_caller]
fn missing(config: &Value, upstream: &Value, listeners: &[&str], said: &str) {
    let built = built(config, vec![db(upstream)]);
    assert_eq!(names(&built, ResourceType::Listener), listeners);
    assert_eq!(names(&built, ResourceType::Secret), ["leaf", "roots"]);
    let words: Vec<_> = built.unserved.iter().map(ToString::to_string).collect();
    assert!(words.len() == 1 && words[0].contains(said), "{words:?}");
}

#[test]
fn n_292_what_cannot_be_read_is_missing_and_nothing_takes_its_place() {
    let (public, upstream) = ("public_listener:0.0.0.0:21000", "db:127.0.0.1:9191");
    let none = json!({});
    for (broken, why) in [
        (json!("{"), "EOF"),
        (json!({}), "a text"),
        (json!(cluster("own")), "must be"),
        (json!(json!({"@type": format!("{URL}.listener.v3.Listener")}).to_string()), "\"name\""),
    ] {
        let said = |of: &str, key: &str| format!("{of}: config key \"{key}\": ");
        let key = "envoy_public_listener_json";
        missing(&json!({key: broken}), &none, &[upstream], &said("the proxy itself", key));
        missing(&json!({key: broken}), &none, &[upstream], why);
        let key = "envoy_listener_json";
        missing(&none, &json!({key: broken}), &[public], &said("upstream db", key));
        missing(&none, &json!({key: broken}), &[public], why);
    }
    let key = "envoy_local_cluster_json";
    missing(&json!({key: "{"}), &none, &[upstream], "envoy_local_cluster_json");
    missing(&json!({key: cluster("other")}), &none, &[upstream], "leads to the cluster \"local_app\"");
    let key = "envoy_cluster_json";
    missing(&none, &json!({key: "{"}), &[public], "upstream db: config key \"envoy_cluster_json\"");
    missing(
        &none,
        &json!({key: cluster("other")}),
        &[public],
        &format!("leads to the cluster \"{}\"", sni()),
    );
    missing(
        &none,
        &json!({key: cluster("local_app"), "envoy_listener_json": listener(json!([]), Value::Null)}),
        &[public],
        "another listener or cluster",
    );
}

#[test]
fn a_listener_waits_for_no_instances_of_a_cluster_that_asks_for_none() {
    let children = |changed: Value| {
        let mut own: Value = serde_json::from_str(&cluster(&sni())).unwrap();
        own.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
        let built = built(&json!({}), vec![db(&json!({"envoy_cluster_json": own.to_string()}))]);
        assert_eq!(built.unserved, []);
        let listener = built.resources.find(ResourceType::Listener, "db:127.0.0.1:9191").unwrap();
        assert!(listener.clusters.contains(&*sni()));
        built.resources.find(ResourceType::Cluster, &sni()).unwrap().children.clone()
    };
    let asked = [(ResourceType::Endpoint, sni().into())];
    assert_eq!(children(json!({})), asked);
    assert_eq!(children(json!({"type": "STATIC"})), []);
    assert_eq!(children(json!({"type": "STRICT_DNS"})), []);
    let named = |name: &str| json!({"eds_cluster_config": {"service_name": name, "eds_config": {"ads": {}}}});
    assert_eq!(children(named(&sni())), asked);
    assert_eq!(children(named("other")), []);
}

#[test]
fn n_293_a_cluster_of_an_operator_still_demands_the_identity_of_the_service() {
    let built = built(&json!({}), vec![db(&json!({"envoy_cluster_json": cluster(&sni())}))]);
    assert_eq!(built.unserved, []);
    assert_eq!(names(&built, ResourceType::Cluster), [&sni(), "local_app"]);
    let own: Cluster = message(&built.resources, ResourceType::Cluster, &sni());
    assert_eq!(own.per_connection_buffer_limit_bytes, Some(7));
    assert_eq!(own.transport_socket_matches.len(), 0);
    let context: UpstreamTlsContext = unpacked(&tls(own.transport_socket.as_ref()));
    assert_eq!(context.sni, sni());
    assert!(context.common_tls_context.unwrap().validation_context_type.is_some());
    assert_eq!(names(&built, ResourceType::Endpoint), [&sni()]);
    assert_eq!(names(&built, ResourceType::Listener), ["db:127.0.0.1:9191", "public_listener:0.0.0.0:21000"]);
}

#[test]
fn a_listener_and_a_cluster_of_an_operator_may_have_names_of_their_own() {
    let text = listener(json!([{"filters": [carrying()]}]), Value::Null);
    let upstream = db(&json!({"envoy_listener_json": text, "envoy_cluster_json": cluster("own-cluster")}));
    let built = built(&json!({}), vec![upstream]);
    assert_eq!(built.unserved, []);
    assert_eq!(names(&built, ResourceType::Cluster), ["local_app", "own-cluster"]);
    assert_eq!(names(&built, ResourceType::Endpoint), ["own-cluster"]);
    let own = built.resources.find(ResourceType::Listener, "own").unwrap();
    assert!(own.clusters.contains("own-cluster"));
    let own: Listener = unpacked(&own.body);
    assert!(
        own.filter_chains[0].transport_socket.is_none(),
        "the local service is not asked for a certificate"
    );
}

#[test]
fn the_local_cluster_of_an_operator_takes_the_place_of_ours() {
    let built = built(&json!({"envoy_local_cluster_json": cluster("local_app")}), vec![]);
    let own: Cluster = message(&built.resources, ResourceType::Cluster, "local_app");
    assert_eq!(own.per_connection_buffer_limit_bytes, Some(7));
    assert_eq!(names(&built, ResourceType::Listener), ["public_listener:0.0.0.0:21000"]);
}

#[test]
fn what_an_operator_writes_for_an_upstream_counts_only_while_no_entry_says_anything() {
    let own = db(&json!({"envoy_cluster_json": cluster(&sni()), "envoy_listener_json": "{"}));
    let endpoints: Vec<(&'static str, Vec<Endpoint>)> = vec![("db", vec![])];
    let told = Told { endpoints, ..Told::default() }.write(
        "service-resolver",
        "db",
        r#"{"connect_timeout": 3000000000}"#,
    );
    let built = sidecar(&told.snapshot(world::sidecar(vec![own]), Action::Deny), NEWEST).unwrap();
    let passed: Vec<_> = built.unserved.iter().map(ToString::to_string).collect();
    assert_eq!(passed.len(), 2, "{passed:?}");
    assert!(passed.iter().all(|own| own.contains("has no effect")), "{passed:?}");
    assert!(names(&built, ResourceType::Listener).contains(&"db:127.0.0.1:9191"));
    let own: Cluster = message(&built.resources, ResourceType::Cluster, &sni());
    assert_eq!(own.per_connection_buffer_limit_bytes, None);
}
