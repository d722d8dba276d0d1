//! Real Envoys with listeners and clusters that an operator has written: TLS, identities and intentions hold in them.

use std::net::SocketAddr;

use concord_e2e::{EnvoyProcess, Mesh, Teller, World, all_answer, ask, eventually, pick_port};
use serde_json::{Value, json};

use crate::envoy_sidecar::{DRAIN, envoys_by_feeds, refused_nothing};

const API: &str = "type.googleapis.com/envoy";

/// A listener whose manager sends all requests to a cluster, and says so in its answers.
fn listener(name: &str, port: u16, cluster: &str) -> Value {
    let router = json!({ "name": "envoy.filters.http.router",
        "typed_config": { "@type": format!("{API}.extensions.filters.http.router.v3.Router") } });
    let manager = json!({
        "@type": format!("{API}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": name,
        "http_filters": [router],
        "route_config": { "name": name, "virtual_hosts": [{ "name": "all", "domains": ["*"],
            "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": cluster } }] }],
            "response_headers_to_add": [{ "header": { "key": format!("x-{name}"), "value": "own" } }] },
    });
    let filter = json!({ "name": "envoy.filters.network.http_connection_manager", "typed_config": manager });
    json!({ "@type": format!("{API}.config.listener.v3.Listener"), "name": name,
        "address": { "socket_address": { "address": "127.0.0.1", "port_value": port } },
        "filter_chains": [{ "filters": [filter] }] })
}

/// A cluster whose instances are discovered, for at most this many requests.
fn discovered(name: &str) -> Value {
    json!({ "@type": format!("{API}.config.cluster.v3.Cluster"), "name": name, "type": "EDS",
        "eds_cluster_config": { "eds_config": { "ads": {}, "resource_api_version": "V3" } },
        "circuit_breakers": { "thresholds": [{ "max_requests": 77 }] } })
}

#[test]
fn what_an_operator_writes_serves_and_is_guarded() {
    for (envoy, feed) in envoys_by_feeds("what_an_operator_writes_serves_and_is_guarded") {
        let world = World::new();
        let agent = world.dev_agent("n1");
        let write = |entry: &Value| {
            agent.http().put("/v1/config", entry).ok();
        };
        write(&json!({ "Kind": "proxy-defaults", "Name": "global", "Config": { "protocol": "http" } }));
        let roots = agent.http().get("/v1/connect/ca/roots").json();
        let sni = format!("api.default.dc1.internal.{}", roots["TrustDomain"].as_str().expect("a domain"));
        let (api, web, port) = (Teller::new("api"), Teller::new("web"), pick_port());
        let mut body = Mesh::service("api", api.addr(), json!([]));
        let public = body["Connect"]["SidecarService"]["Port"].as_u64().expect("a port") as u16;
        let given = listener("mine", public, "local_app").to_string();
        body["Connect"]["SidecarService"]["Proxy"]["Config"] = json!({ "envoy_public_listener_json": given });
        feed.register(&agent.http(), &body);
        let config = json!({ "envoy_listener_json": listener("out", port, &sni).to_string(),
            "envoy_cluster_json": discovered(&sni).to_string() });
        let upstreams = json!([{ "DestinationName": "api", "LocalBindPort": port, "Config": config }]);
        feed.register(&agent.http(), &Mesh::service("web", web.addr(), upstreams));
        let start = |service| feed.start(&world, &agent, &envoy, service, &DRAIN);
        let mut envoys = vec![start("api"), start("web")];
        envoys.iter_mut().for_each(EnvoyProcess::await_ready);
        let upstream = SocketAddr::from(([127, 0, 0, 1], port));
        let status = |path: &str| ask(upstream, "GET", path, &[]).ok().map(|told| told.status);

        eventually("a request goes through", || (status("/")? == 200).then_some(()));
        let told = ask(upstream, "GET", "/", &[]).expect("an answer");
        for name in ["x-mine", "x-out"] {
            assert!(told.headers.iter().any(|(own, _)| own == name), "{name}: {:?}", told.headers);
        }
        let limits = envoys[1].metrics();
        assert!(!limits.lines("envoy_cluster_upstream_rq_total").is_empty());
        let naked = SocketAddr::from(([127, 0, 0, 1], public));
        assert!(ask(naked, "GET", "/", &[]).is_err(), "nobody is served without a certificate");

        let deny = json!({ "Action": "deny", "HTTP": { "PathPrefix": "/admin" } });
        let allow = json!({ "Action": "allow", "HTTP": { "PathPrefix": "/" } });
        write(&json!({ "Kind": "service-intentions", "Name": "api",
            "Sources": [{ "Name": "web", "Permissions": [deny, allow] }] }));
        all_answer("the intentions judge requests", Some(403), || status("/admin"));
        all_answer("paths are read as everywhere", Some(403), || status("/x/../admin"));
        all_answer("what is allowed is served", Some(200), || status("/x"));
        refused_nothing(&agent, &envoys);

        body["Connect"]["SidecarService"]["Proxy"]["Config"] = json!({ "envoy_public_listener_json": "{" });
        feed.register(&agent.http(), &body);
        all_answer("what cannot be read is gone", true, || ask(naked, "GET", "/", &[]).is_err());
        all_answer("and nothing is there instead", Some(503), || status("/x"));
    }
}
