//! Tests of what gateways serve, of exports and of the neighbours of services: what is told, to whom, and when.

use std::time::Duration;

use concord_mesh::topology::NeighbourSource;
use concord_model::catalog::Registration;
use concord_model::entry::{Entry, EntryKind, EntryName};
use concord_model::proxy::{ProxyConfig, ServiceKind};
use concord_rpc::request::{
    ApplyEntry, DeleteEntry, GatewayIntentions, GatewayServiceHealth, InstanceSelection, ListExports,
    ListGatewayServices, Neighbour, ReadTopology, Register, Request, ServiceHealth, ServiceInstances,
    Topology, TopologyKind,
};
use concord_rpc::{Head, RpcError, ServerApiExt};
use serde_json::{Value, json};

use crate::catalog::sidecar;
use crate::world::{Host, ROOT, Setup, deregister, instance, node, register, registered, target};

async fn write(host: &Host, kind: &str, name: &str, said: Value) {
    let record = json!({ "scope": { "namespace": "default", "name": name }, "said": said });
    let entry: Entry = serde_json::from_value(json!({ kind: record })).unwrap();
    assert!(host.ask_as(ROOT, ApplyEntry { entry, cas: None }).await.unwrap());
}

async fn allow(host: &Host, destination: &str, sources: &[&str]) {
    let sources: Vec<_> = sources
        .iter()
        .map(|name| json!({ "source": { "namespace": "default", "name": name }, "decision": { "connection": "allow" } }))
        .collect();
    let said = json!({ "destination": { "namespace": "default", "name": destination }, "sources": sources });
    let entry: Entry = serde_json::from_value(json!({ "service-intentions": said })).unwrap();
    assert!(host.ask_as(ROOT, ApplyEntry { entry, cas: None }).await.unwrap());
}

async fn put(host: &Host, request: Register) {
    host.ask_as(ROOT, request).await.unwrap();
}

/// An instance of a gateway or of another kind.
fn of_kind(on: &str, name: &str, kind: ServiceKind) -> Register {
    let mut own = instance(name, name);
    own.kind = kind;
    own.proxy = Some(ProxyConfig::default());
    Register(Registration { service: Some(own), ..Registration::of(node(on)) })
}

fn native(on: &str, name: &str) -> Register {
    let mut own = instance(name, name);
    own.native = true;
    Register(Registration { service: Some(own), ..Registration::of(node(on)) })
}

/// A proxy with upstreams.
fn calling(on: &str, of: &str, upstreams: &[&str]) -> Register {
    let mut request = sidecar(on, of);
    let proxy = request.0.service.as_mut().unwrap().proxy.as_mut().unwrap();
    let upstream =
        |name: &&str| serde_json::from_value(json!({ "name": name, "local_bind_port": 9000 })).unwrap();
    proxy.upstreams = upstreams.iter().map(upstream).collect();
    request
}

fn transparent(on: &str, of: &str) -> Register {
    let mut request = sidecar(on, of);
    "transparent".clone_into(&mut request.0.service.as_mut().unwrap().proxy.as_mut().unwrap().mode);
    request
}

async fn served(host: &Host, token: &str) -> Vec<String> {
    let all = host.ask_as(token, ListGatewayServices { gateway: target("gw") }).await.unwrap();
    all.iter().map(|own| own.service.name.to_string()).collect()
}

async fn entered(host: &Host, token: &str, of: &str) -> Vec<String> {
    let select = InstanceSelection::ingress(target(of));
    let all = host.ask_as(token, ServiceHealth { select, worst: None }).await.unwrap();
    all.iter().map(|own| own.service.id.to_string()).collect()
}

async fn topology(host: &Host, token: &str, of: &str, kind: TopologyKind) -> Topology {
    host.ask_as(token, ReadTopology { service: target(of), kind }).await.unwrap()
}

/// `service source allowed` of each.
fn lines(all: &[Neighbour]) -> Vec<String> {
    let line = |own: &Neighbour| {
        let allowed = match (own.decision.allowed, own.decision.by_request) {
            (true, _) => "allowed",
            (false, true) => "by request",
            (false, false) => "denied",
        };
        format!("{} {} {allowed}", own.service.name, own.source.as_str())
    };
    all.iter().map(line).collect()
}

fn http(services: &[&str]) -> Value {
    let services: Vec<_> = services.iter().map(|name| json!({ "name": name })).collect();
    json!({ "listeners": [{ "port": 8080, "protocol": "http", "services": services }] })
}

async fn filled(host: &Host) {
    put(host, register("n1", "web")).await;
    put(host, sidecar("n1", "web")).await;
    put(host, register("n1", "db")).await;
    put(host, of_kind("n2", "gw", ServiceKind::IngressGateway)).await;
    write(host, "service-defaults", "web", json!({ "protocol": "http" })).await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_serves_what_its_entry_and_the_catalog_say() {
    let host = Setup::open().start().await;
    filled(&host).await;
    assert!(served(&host, ROOT).await.is_empty());
    write(&host, "ingress-gateway", "gw", http(&["*"])).await;
    assert_eq!(served(&host, ROOT).await, ["web"]);
    assert_eq!(entered(&host, ROOT, "web").await, ["gw"]);
    assert!(entered(&host, ROOT, "db").await.is_empty());
    write(&host, "service-defaults", "api", json!({ "protocol": "http" })).await;
    put(&host, native("n1", "api")).await;
    assert_eq!(served(&host, ROOT).await, ["api", "web"]);
    host.ask(deregister("n1", registered("web-sidecar-proxy"))).await.unwrap();
    host.ask(deregister("n1", registered("api"))).await.unwrap();
    assert!(served(&host, ROOT).await.is_empty(), "nothing takes mesh traffic any more");
    let name = EntryName::parse(EntryKind::IngressGateway, "gw").unwrap();
    host.ask(DeleteEntry { name, cas: None }).await.unwrap();
    write(&host, "terminating-gateway", "gw", json!({ "services": [{ "name": "*" }] })).await;
    assert_eq!(served(&host, ROOT).await, ["db", "web"]);
    assert!(entered(&host, ROOT, "web").await.is_empty(), "nothing comes in through it");
    let connect = ServiceHealth { select: InstanceSelection::connect(target("web")), worst: None };
    assert!(host.ask_as(ROOT, connect).await.unwrap().is_empty(), "no proxy sends anything to it");
    assert_eq!(stand_for(&host, ROOT, "web").await, ["gw"]);
    put(&host, sidecar("n1", "web")).await;
    assert_eq!(stand_for(&host, ROOT, "web").await, ["web-sidecar-proxy", "gw"]);
    assert!(stand_for(&host, ROOT, "nothing").await.is_empty());
    let instances = ServiceInstances { select: InstanceSelection::connect_or_gateway(target("db")) };
    assert_eq!(host.ask(instances).await.unwrap().value.len(), 1);
    host.stop().await;
}

/// The instances that stand for a service in the mesh, those of terminating gateways included.
async fn stand_for(host: &Host, token: &str, service: &str) -> Vec<String> {
    let select = InstanceSelection::connect_or_gateway(target(service));
    let all = host.ask_as(token, ServiceHealth { select, worst: None }).await.unwrap();
    all.iter().map(|one| one.service.service.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn n_257_a_terminating_gateway_is_told_to_who_may_read_it_and_the_service() {
    let host = Setup::guarded().start().await;
    host.ask_as(ROOT, register("n1", "web")).await.unwrap();
    host.ask_as(ROOT, of_kind("n1", "gw", ServiceKind::TerminatingGateway)).await.unwrap();
    write(&host, "terminating-gateway", "gw", json!({ "services": [{ "name": "web" }] })).await;
    let node = r#"node_prefix "" { policy = "read" }"#;
    let both = format!(r#"{node} service "web" {{ policy = "read" }} service "gw" {{ policy = "read" }}"#);
    let service = format!(r#"{node} service "web" {{ policy = "read" }}"#);
    let gateway = format!(r#"{node} service "gw" {{ policy = "read" }}"#);
    for (name, rules, expected) in
        [("both", both, vec!["gw"]), ("one", service, vec![]), ("other", gateway, vec![])]
    {
        let token = host.token(name, &rules).await.secret;
        assert_eq!(stand_for(&host, &token, "web").await, expected, "{name}");
    }
    host.stop().await;
}

/// Asks, and returns whether each of the changes wakes who waits for the next answer.
async fn woken<R: Request>(host: &Host, request: R, changes: [Register; 2]) -> Vec<bool> {
    let mut all = Vec::new();
    for change in changes {
        let min_index = host.ask(request.clone()).await.unwrap().index;
        let head = Head { min_index, wait: Some(Duration::from_secs(300)), ..Head::default() };
        let (api, request) = (host.api.clone(), request.clone());
        let task = tokio::spawn(async move { api.call(head, request).await.map(|answer| answer.index) });
        host.settle().await;
        put(host, change).await;
        host.settle().await;
        all.push(task.is_finished());
        task.abort();
    }
    all
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_services_of_a_gateway_is_woken_by_what_changes_them() {
    let host = Setup::open().start().await;
    filled(&host).await;
    write(&host, "service-defaults", "new", json!({ "protocol": "http" })).await;
    write(&host, "ingress-gateway", "gw", http(&["web"])).await;
    let request = || ListGatewayServices { gateway: target("gw") };
    // Named services: others do not matter, and neither does a second instance.
    let more = || [register("n3", "web"), native("n3", "new")];
    assert_eq!(woken(&host, request(), more()).await, [false, false]);
    write(&host, "ingress-gateway", "gw", http(&["*"])).await;
    let more = [register("n4", "web"), native("n4", "other")];
    assert_eq!(woken(&host, request(), more).await, [false, true]);
    let health = ServiceHealth { select: InstanceSelection::ingress(target("web")), worst: None };
    let more = [register("n5", "web"), of_kind("n5", "gw", ServiceKind::IngressGateway)];
    assert_eq!(woken(&host, health, more).await, [false, true]);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_230_a_gateway_tells_of_no_service_that_the_caller_may_not_read() {
    let host = Setup::guarded().start().await;
    filled(&host).await;
    put(&host, native("n1", "shop")).await;
    write(&host, "service-defaults", "shop", json!({ "protocol": "http" })).await;
    allow(&host, "shop", &["db"]).await;
    allow(&host, "web", &["db"]).await;
    let rules = r#"service "gw" { policy = "read" } service "web" { policy = "read" intentions = "read" }
                   node_prefix "" { policy = "read" }"#;
    let narrow = host.token("narrow", rules).await.secret;
    let blind = host.token("blind", r#"service_prefix "web" { policy = "read" }"#).await.secret;
    for rows in [&["*"][..], &["shop", "web"]] {
        write(&host, "ingress-gateway", "gw", http(rows)).await;
        assert_eq!(served(&host, ROOT).await, ["shop", "web"]);
        assert_eq!(served(&host, &narrow).await, ["web"], "{rows:?}");
        let health = host.ask_as(&narrow, GatewayServiceHealth { gateway: target("gw") }).await.unwrap();
        assert_eq!(health.len(), 1, "{health:?}");
        let told = host.ask_as(&narrow, GatewayIntentions { gateway: target("gw") }).await.unwrap();
        assert_eq!(told.len(), 1, "{told:?}");
        let refused = host.ask_as(&blind, ListGatewayServices { gateway: target("gw") }).await;
        assert!(matches!(refused, Err(RpcError::Denied(_))), "{refused:?}");
    }
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_231_a_neighbour_is_told_to_who_may_read_it_even_if_its_proxy_may_be_seen() {
    let host = Setup::guarded().start().await;
    put(&host, register("n1", "web")).await;
    put(&host, calling("n1", "web", &["db", "virtual"])).await;
    put(&host, register("n1", "db")).await;
    put(&host, sidecar("n1", "db")).await;
    write(&host, "service-resolver", "virtual", json!({ "redirect": { "service": "db" } })).await;
    let root = topology(&host, ROOT, "web", TopologyKind::Typical).await;
    assert_eq!(lines(&root.upstreams), ["db proxy-registration denied", "virtual routing-config denied"]);
    let rules = r#"service "web" { policy = "read" } service "db-sidecar-proxy" { policy = "read" }
                   node_prefix "" { policy = "read" }"#;
    let narrow = host.token("narrow", rules).await.secret;
    let own = topology(&host, &narrow, "web", TopologyKind::Typical).await;
    assert!(own.upstreams.is_empty(), "{own:?}");
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_232_exports_are_for_who_may_read_the_mesh() {
    let host = Setup::guarded().start().await;
    filled(&host).await;
    let rows = json!([
        { "name": "*", "consumers": [{ "peer": "east" }] },
        { "name": "web", "consumers": [{ "peer": "west" }, { "peer": "east" }] },
        { "name": "lost", "consumers": [{ "peer": "west" }] },
    ]);
    write(&host, "exported-services", "default", json!({ "services": rows })).await;
    let all = host.ask_as(ROOT, ListExports {}).await.unwrap();
    let line = |own: &concord_rpc::request::Export| {
        let peers: Vec<_> = own.peers.iter().map(ToString::to_string).collect();
        format!("{} {}", own.service.name, peers.join(","))
    };
    let lines: Vec<_> = all.iter().map(line).collect();
    assert_eq!(lines, ["db east", "lost west", "web east,west"], "neither proxies, gateways nor servers");
    let reader = host.token("reader", r#"mesh = "read""#).await.secret;
    assert_eq!(host.ask_as(&reader, ListExports {}).await.unwrap(), all);
    let other = host.token("other", r#"service_prefix "" { policy = "write" }"#).await.secret;
    let refused = host.ask_as(&other, ListExports {}).await;
    assert!(matches!(refused, Err(RpcError::Denied(_))), "{refused:?}");
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_233_gateways_of_a_service_are_told_to_who_may_read_the_service() {
    let host = Setup::guarded().start().await;
    filled(&host).await;
    write(&host, "ingress-gateway", "gw", http(&["web"])).await;
    let rules = r#"service "gw" { policy = "read" } node_prefix "" { policy = "read" }"#;
    let narrow = host.token("narrow", rules).await.secret;
    assert!(entered(&host, &narrow, "web").await.is_empty());
    let rules = r#"service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }"#;
    let wide = host.token("wide", rules).await.secret;
    assert_eq!(entered(&host, &wide, "web").await, ["gw"]);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn neighbours_are_registered_or_allowed() {
    let host = Setup::guarded().start().await;
    filled(&host).await;
    put(&host, calling("n1", "web", &["db", "virtual"])).await;
    put(&host, register("n3", "free")).await;
    put(&host, transparent("n3", "free")).await;
    write(&host, "service-resolver", "virtual", json!({ "redirect": { "service": "db" } })).await;
    write(&host, "ingress-gateway", "gw", http(&["web"])).await;
    allow(&host, "db", &["free"]).await;
    allow(&host, "web", &["*"]).await;
    let of = async |name, kind| topology(&host, ROOT, name, kind).await;
    let db = of("db", TopologyKind::Typical).await;
    // The proxy of `web` calls `db` by its name and by another one.
    let expected = ["free specific-intention allowed", "web proxy-registration denied"];
    assert_eq!((lines(&db.downstreams), db.upstreams.len()), (expected.map(String::from).to_vec(), 0));
    // Another proxy of the same service has no upstreams; the one that has them counts.
    put(&host, calling("n4", "web", &[])).await;
    assert_eq!(lines(&of("db", TopologyKind::Typical).await.downstreams), expected);
    let free = of("free", TopologyKind::Typical).await;
    assert!(free.transparent);
    assert_eq!(lines(&free.upstreams), ["db specific-intention allowed", "web wildcard-intention allowed"]);
    let web = of("web", TopologyKind::Typical).await;
    assert_eq!(web.protocol.as_str(), "http");
    // `db` may call it, but has no proxy that could.
    let expected = ["free wildcard-intention allowed", "gw proxy-registration allowed"];
    assert_eq!(lines(&web.downstreams), expected);
    assert_eq!(lines(&web.upstreams), ["db proxy-registration denied", "virtual routing-config denied"]);
    let gateway = of("gw", TopologyKind::IngressGateway).await;
    assert_eq!(
        (gateway.protocol.as_str(), lines(&gateway.upstreams)),
        ("http", vec!["web proxy-registration allowed".to_owned()])
    );
    assert_eq!(gateway.upstreams[0].source, NeighbourSource::ProxyRegistration);
    assert_eq!(gateway.upstreams[0].instances.len(), 3, "the instance and its two proxies");
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_api_gateway_has_its_services_as_upstreams() {
    let host = Setup::open().start().await;
    filled(&host).await;
    put(&host, of_kind("n2", "edge", ServiceKind::ApiGateway)).await;
    write(
        &host,
        "api-gateway",
        "edge",
        json!({ "listeners": [{ "name": "web", "port": 80, "protocol": "http" }] }),
    )
    .await;
    let route = json!({ "parents": [{ "name": "edge" }], "rules": [{ "services": [{ "name": "web" }] }] });
    write(&host, "http-route", "shop", route).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let edge = topology(&host, ROOT, "edge", TopologyKind::ApiGateway).await;
    assert_eq!(
        (edge.protocol.as_str(), lines(&edge.upstreams)),
        ("http", vec!["web proxy-registration allowed".to_owned()])
    );
    let web = topology(&host, ROOT, "web", TopologyKind::Typical).await;
    assert_eq!(lines(&web.downstreams), ["edge proxy-registration allowed"]);
    host.stop().await;
}
