//! The metrics of real Envoys: how they are scraped and sent, with which tags, and that dashboards find them.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use concord_e2e::{
    Agent, Asked, EnvoyProcess, Feed, Mesh, Scrape, Teller, World, ask, eventually, pick_port,
};
use serde_json::{Value, json};

use crate::envoy_routes::write;
use crate::envoy_sidecar::{DRAIN, envoys_by_feeds, refused_nothing};

/// Collects what is sent to it.
struct Collector {
    socket: UdpSocket,
}

impl Collector {
    fn new() -> Self {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
        socket.set_read_timeout(Some(Duration::from_secs(2))).expect("a socket");
        Self { socket }
    }

    fn url(&self) -> String {
        format!("udp://{}", self.socket.local_addr().expect("a bound address"))
    }

    /// Waits for a line with all these parts.
    #[track_caller]
    fn await_line(&self, parts: &[&str]) -> String {
        eventually(&format!("a line with {parts:?} arrives"), || {
            let mut bytes = [0; 65_536];
            // Envoy sends all its metrics at once, each second anew.
            let end = Instant::now() + Duration::from_secs(3);
            while Instant::now() < end {
                let read = self.socket.recv(&mut bytes).ok()?;
                let text = String::from_utf8_lossy(&bytes[..read]);
                let fits = |line: &&str| parts.iter().all(|part| line.contains(part));
                if let Some(line) = text.lines().find(fits) {
                    return Some(line.to_owned());
                }
            }
            None
        })
    }
}

/// `web` calls `api`, each with settings of its own.
struct Measured {
    upstream: SocketAddr,
    /// Where the sidecars of `web` and `api` are scraped.
    scraped: [SocketAddr; 2],
    _services: Vec<Teller>,
    envoys: Vec<EnvoyProcess>,
}

impl Measured {
    fn start(world: &World, agent: &Agent, envoy: &Path, feed: Feed, config: &Value) -> Self {
        let entry = json!({ "Kind": "proxy-defaults", "Name": "global", "Config": config });
        write(agent, &entry);
        let port = pick_port();
        let scraped = [pick_port(), pick_port()].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let (mut services, mut envoys) = (Vec::new(), Vec::new());
        for (at, name) in ["web", "api"].into_iter().enumerate() {
            let service = Teller::new(name);
            let upstreams = match name {
                "web" => json!([{ "DestinationName": "api", "LocalBindPort": port }]),
                _ => json!([]),
            };
            let mut body = Mesh::service(name, service.addr(), upstreams);
            let own = json!({ "envoy_prometheus_bind_addr": scraped[at].to_string() });
            body["Connect"]["SidecarService"]["Proxy"]["Config"] = own;
            feed.register(&agent.http(), &body);
            envoys.push(feed.start(world, agent, envoy, name, &DRAIN));
            services.push(service);
        }
        envoys.iter_mut().for_each(EnvoyProcess::await_ready);
        let upstream = SocketAddr::from(([127, 0, 0, 1], port));
        Self { upstream, scraped, _services: services, envoys }
    }

    fn status(&self, path: &str) -> Option<u16> {
        ask(self.upstream, "GET", path, &[]).ok().map(|told| told.status)
    }

    /// Some of each class of answers.
    fn traffic(&self) {
        eventually("a request goes through", || (self.status("/")? == 200).then_some(()));
        for path in ["/a", "/status/404", "/status/503", "/b"] {
            assert!(self.status(path).is_some(), "{path} is answered");
        }
    }

    fn scrapes(&self, agent: &Agent) -> Vec<Scrape> {
        let own = agent.http().get("/v1/agent/metrics?format=prometheus").ok().body.clone();
        let envoys = self.scraped.iter().map(|addr| Scrape::of(*addr, "/metrics"));
        envoys.chain([Scrape::new(own)]).collect()
    }
}

/// Whether some series of the metric has all these labels.
fn has(scrapes: &[Scrape], metric: &str, labels: &BTreeSet<String>) -> bool {
    let fits = |line: &&str| {
        let rest = line.strip_prefix(metric);
        let series = rest.is_some_and(|rest| rest.starts_with(['{', ' ']));
        series
            && labels.iter().all(|label| {
                line.contains(&format!("{{{label}=\"")) || line.contains(&format!(",{label}=\""))
            })
    };
    scrapes.iter().any(|own| own.lines(metric).iter().any(&fits))
}

#[test]
fn metrics_are_scraped_and_sent_with_the_tags_of_consul() {
    for (envoy, feed) in envoys_by_feeds("metrics_are_scraped_and_sent_with_the_tags_of_consul") {
        let world = World::new();
        let agent = world.dev_agent("n1");
        let (plain, tagged) = (Collector::new(), Collector::new());
        let config = json!({
            "protocol": "http",
            "envoy_statsd_url": plain.url(),
            "envoy_dogstatsd_url": tagged.url(),
            "envoy_stats_flush_interval": "1s",
            "envoy_stats_tags": ["team=blue"],
        });
        let measured = Measured::start(&world, &agent, &envoy, feed, &config);
        measured.traffic();
        plain.await_line(&["envoy.cluster.", "api.default.dc1.internal.", ".upstream_rq_total:"]);
        measured.traffic();
        let tags =
            ["local_cluster:web", "consul.source.service:web", "consul.destination.service:api", "team:blue"];
        tagged.await_line(&[&["envoy.cluster.upstream_rq_total:", "|#"][..], &tags].concat());

        let web = Scrape::of(measured.scraped[0], "/metrics");
        for label in [
            "local_cluster=\"web\"",
            "consul_source_service=\"web\"",
            "consul_source_namespace=\"default\"",
            "consul_source_partition=\"default\"",
            "consul_source_datacenter=\"dc1\"",
            "consul_destination_service=\"api\"",
            "consul_destination_namespace=\"default\"",
            "consul_destination_datacenter=\"dc1\"",
            "consul_destination_routing_type=\"internal\"",
            "consul_destination_target=\"api.default.dc1\"",
            "consul_service=\"api\"",
            "team=\"blue\"",
        ] {
            assert!(web.sum("envoy_cluster_upstream_rq_total", label) >= 5.0, "{label}");
        }
        let listener = web.sum("envoy_http_downstream_rq_total", "consul_upstream_service=\"api\"");
        assert!(listener >= 5.0, "{:?}", web.lines("envoy_http_downstream_rq_total"));
        let api = Scrape::of(measured.scraped[1], "/metrics");
        let inbound = "envoy_http_conn_manager_prefix=\"public_listener\"";
        assert!(api.sum("envoy_http_downstream_rq_total", inbound) >= 5.0);
        assert_eq!(api.sum("envoy_http_downstream_rq_total", "local_cluster=\"web\""), 0.0);
        refused_nothing(&agent, &measured.envoys);
    }
}

/// The metrics that the public dashboards for Consul ask Envoy for, with the labels that they choose and group by. What
/// a scraper adds (`app`, `namespace`, `service`) is not among them.
const PUBLIC: [(&str, &[&str]); 17] = [
    ("envoy_cluster_membership_healthy", &["envoy_cluster_name"]),
    ("envoy_cluster_membership_total", &["envoy_cluster_name"]),
    ("envoy_cluster_upstream_cx_active", &["envoy_cluster_name"]),
    (
        "envoy_cluster_upstream_rq_time_bucket",
        &["consul_destination_datacenter", "consul_destination_service", "le", "local_cluster"],
    ),
    ("envoy_cluster_upstream_rq_time_bucket", &["consul_destination_target", "local_cluster"]),
    ("envoy_cluster_upstream_rq_time_count", &["consul_destination_service"]),
    ("envoy_cluster_upstream_rq_time_sum", &["consul_destination_service"]),
    (
        "envoy_cluster_upstream_rq_total",
        &["consul_destination_datacenter", "consul_destination_service", "local_cluster"],
    ),
    (
        "envoy_cluster_upstream_rq_xx",
        &["consul_destination_service", "envoy_response_code_class", "local_cluster"],
    ),
    ("envoy_http_downstream_cx_active", &["envoy_http_conn_manager_prefix"]),
    ("envoy_http_downstream_rq_total", &["envoy_http_conn_manager_prefix", "local_cluster"]),
    (
        "envoy_http_downstream_rq_xx",
        &["envoy_http_conn_manager_prefix", "envoy_response_code_class", "local_cluster"],
    ),
    ("envoy_server_live", &[]),
    ("envoy_server_memory_allocated", &[]),
    ("envoy_server_memory_heap_size", &[]),
    ("envoy_server_uptime", &[]),
    ("envoy_cluster_upstream_rq_xx", &["envoy_response_code_class"]),
];

/// The queries of our dashboard.
fn queries() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/grafana/mesh.json");
    let text = std::fs::read_to_string(&path).expect("the dashboard is there");
    let all: Value = serde_json::from_str(&text).expect("it is JSON");
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let panels = list(&all["panels"]);
    let mut queries: Vec<String> = panels
        .iter()
        .flat_map(|panel| list(&panel["targets"]))
        .map(|target| target["expr"].as_str().expect("a query").to_owned())
        .collect();
    assert!(queries.len() >= panels.len(), "every panel asks something");
    for choice in list(&all["templating"]["list"]).iter().filter(|choice| choice["type"] == "query") {
        let query = choice["query"].as_str().expect("a query");
        let inner = query.strip_prefix("label_values(").and_then(|own| own.strip_suffix(')'));
        let (metric, label) = inner.and_then(|own| own.split_once(", ")).expect("values of a label");
        queries.push(format!("{metric}{{{label}=\"\"}}"));
    }
    queries
}

#[test]
fn dashboards_find_what_they_ask_for() {
    for (envoy, feed) in envoys_by_feeds("dashboards_find_what_they_ask_for") {
        let world = World::new();
        let agent = world.dev_agent("n1");
        let measured = Measured::start(&world, &agent, &envoy, feed, &json!({ "protocol": "http" }));
        measured.traffic();
        let scrapes = measured.scrapes(&agent);
        let labels = |all: &[&str]| all.iter().map(|label| (*label).to_owned()).collect::<BTreeSet<_>>();
        let found = |who: &str, metric: &str, own: &BTreeSet<String>| {
            if !has(&scrapes, metric, own) {
                eventually(&format!("{metric} with {own:?} of {who}"), || {
                    has(&measured.scrapes(&agent), metric, own).then_some(())
                });
            }
        };
        for (metric, own) in PUBLIC {
            found("the public dashboards", metric, &labels(own));
        }
        assert!(!has(&scrapes, "envoy_server_live", &labels(&["nobody"])), "what is not there is not found");
        // Prometheus itself adds this one.
        let added = labels(&["instance"]);
        for query in queries() {
            let asked = Asked::read(&query);
            assert!(!asked.metrics.is_empty(), "{query} asks for nothing");
            for (metric, chosen) in &asked.metrics {
                let all =
                    chosen.union(&asked.grouped).filter(|label| !added.contains(*label)).cloned().collect();
                found(&query, metric, &all);
            }
        }
    }
}
