//! Tests of proxies that get the settings of configuration entries.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use concord_api::definition::ServiceDefinition;
use concord_config::section::ProxySection;
use concord_mesh::defaults::{gather, merge, question};
use concord_model::Stamp;
use concord_model::catalog::{NodeScope, ServiceInstance};
use concord_model::entry::{Entry, EntryKind, EntryName, Record};
use concord_rpc::{Attach, ProxyTarget, RpcError, SnapshotEvent, SnapshotSource};
use concord_runtime::timeout;
use futures::StreamExt;
use serde_json::{Value, json};

use crate::testing::{Bench, open, plain, service_id, settle, strict};

const WEB: &str = r#"{"Name":"web","Port":8080,"Connect":{"SidecarService":{"Proxy":{"Upstreams":[
    {"DestinationName":"db","LocalBindPort":9001}]}}}}"#;
const SIDECAR: &str = "web-sidecar-proxy";

fn definition() -> ServiceDefinition {
    ServiceDefinition::decode(WEB.as_bytes()).unwrap()
}

/// `proxy-defaults` under the name `proxies`, else `service-defaults`.
pub(super) fn entry(name: &str, said: Value) -> Entry {
    let (meta, stamp) = (BTreeMap::new(), Stamp::default());
    if name == "proxies" {
        let scope = EntryName::only(EntryKind::ProxyDefaults).scope;
        let said = serde_json::from_value(said).unwrap();
        return Entry::ProxyDefaults(Record { scope, said, meta, stamp });
    }
    let scope = EntryName::parse(EntryKind::ServiceDefaults, name).unwrap().scope;
    Entry::ServiceDefaults(Record { scope, said: serde_json::from_value(said).unwrap(), meta, stamp })
}

impl Bench {
    async fn registers_web(&self) {
        let caller = self.agent.callers.resolve(None).await.unwrap();
        self.agent.registrar.register_service(&caller, &definition(), false).await.unwrap();
    }

    fn writes(&self, name: &str, said: Value) {
        let entry = entry(name, said);
        self.servers.change(|catalog| catalog.entries.insert(entry.name(), Arc::new(entry)));
    }

    /// The sidecar as it is shown, with its fingerprint.
    async fn shown(&self) -> (Value, String) {
        let caller = self.agent.callers.resolve(None).await.unwrap();
        let id = service_id(SIDECAR);
        let shown = self.agent.listing.service(&caller, &id, None, None).await.unwrap();
        let hash = shown.content_hash.clone();
        (serde_json::to_value(shown.proxy).unwrap(), hash)
    }

    fn in_catalog(&self) -> Option<ServiceInstance> {
        self.servers.look(|catalog| catalog.services.get(&service_id(SIDECAR)).cloned())
    }
}

#[tokio::test(start_paused = true)]
async fn a_registration_is_merged_when_it_returns_and_reaches_the_catalog_merged() {
    let bench = Bench::new(open());
    bench.writes("web", json!({ "protocol": "http", "mesh_gateway": { "mode": "local" } }));
    bench.writes("db", json!({ "protocol": "grpc" }));
    bench.registers_web().await;
    let (shown, _) = bench.shown().await;
    assert_eq!(shown["Config"], json!({ "protocol": "http" }));
    assert_eq!(shown["MeshGateway"], json!({ "Mode": "local" }));
    assert_eq!(shown["Upstreams"][0]["Config"], json!({ "protocol": "grpc" }));
    settle().await;
    let told = bench.in_catalog().unwrap().proxy.unwrap();
    assert_eq!((told.mesh_gateway_mode.as_str(), &told.config["protocol"]), ("local", &json!("http")));
}

#[tokio::test(start_paused = true)]
async fn a_change_of_an_entry_changes_the_proxy_and_wakes_who_waits_for_its_hash() {
    let bench = Bench::new(open());
    bench.registers_web().await;
    let (_, hash) = bench.shown().await;
    let (agent, id) = (bench.agent.clone(), service_id(SIDECAR));
    let caller = agent.callers.resolve(None).await.unwrap();
    let waiting = {
        let hash = hash.clone();
        async move { agent.listing.service(&caller, &id, Some(&hash), Some(Duration::from_secs(60))).await }
    };
    let mut waiting = Box::pin(waiting);
    assert!(
        timeout(&*bench.world.clock, Duration::from_secs(5), &mut waiting).await.is_err(),
        "nothing changed"
    );
    bench.writes("proxies", json!({ "config": { "local_connect_timeout_ms": 77 } }));
    let woken =
        timeout(&*bench.world.clock, Duration::from_secs(5), waiting).await.expect("it wakes").unwrap();
    assert_eq!(woken.proxy.as_ref().unwrap().config["local_connect_timeout_ms"], json!(77));
    assert_ne!(woken.content_hash, hash);
    bench.servers.change(|catalog| catalog.entries.clear());
    settle().await;
    assert_eq!(bench.shown().await.1, hash, "without entries it is as registered");
    settle().await;
    assert!(bench.in_catalog().unwrap().proxy.unwrap().config.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_entry_of_another_service_changes_nothing() {
    let bench = Bench::new(open());
    bench.registers_web().await;
    let before = bench.shown().await;
    bench.writes("other", json!({ "protocol": "http" }));
    settle().await;
    assert_eq!(bench.shown().await, before);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_for_a_plain_service() {
    let bench = Bench::new(open());
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    let plain = ServiceDefinition::decode(br#"{"Name":"plain","Port":1}"#).unwrap();
    bench.agent.registrar.register_service(&caller, &plain, false).await.unwrap();
    settle().await;
    assert_eq!(bench.servers.asked("ReadDefaults"), 0, "no entry concerns it");
}

#[tokio::test(start_paused = true)]
async fn without_servers_a_proxy_waits_and_is_neither_configured_nor_told() {
    let bench = Bench::new(open());
    bench.writes("web", json!({ "protocol": "http" }));
    bench.servers.change(|catalog| catalog.fault = Some(RpcError::NoLeader));
    bench.registers_web().await;
    let target = ProxyTarget::registered(service_id(SIDECAR));
    let attach = Attach::new(target, plain());
    let mut stream = bench.agent.proxies.attach(attach, None).await.unwrap();
    assert!(timeout(&*bench.world.clock, Duration::from_secs(5), stream.next()).await.is_err());
    assert_eq!(bench.in_catalog(), None);
    bench.servers.change(|catalog| catalog.fault = None);
    let next = timeout(&*bench.world.clock, Duration::from_secs(90), stream.next()).await.unwrap();
    let Some(Ok(SnapshotEvent::Begin { snapshot, .. })) = next else { panic!("{next:?}") };
    assert_eq!(snapshot.proxy.protocol, "http");
    bench.world.clock.sleep(Duration::from_secs(60)).await;
    assert_eq!(bench.in_catalog().unwrap().proxy.unwrap().config["protocol"], json!("http"));
}

#[tokio::test(start_paused = true)]
async fn it_can_be_turned_off() {
    let bench = Bench::with(open(), |config| config.proxies = ProxySection { use_entries: false });
    bench.writes("web", json!({ "protocol": "http" }));
    bench.registers_web().await;
    settle().await;
    assert_eq!(bench.shown().await.0["Config"], Value::Null);
    assert_eq!(bench.servers.asked("ReadDefaults"), 0);
    assert!(bench.in_catalog().unwrap().proxy.unwrap().config.is_empty());
}

#[tokio::test(start_paused = true)]
async fn n_210_a_token_that_may_not_read_the_service_gets_nothing_of_its_entries() {
    let bench = Bench::new(strict());
    bench.writes("web", json!({ "protocol": "http" }));
    let sees_all = bench.servers.token("all", r#"service_prefix "" { policy = "write" }"#);
    let blind = bench.servers.token("blind", r#"service "other" { policy = "write" }"#);
    let caller = bench.caller(&sees_all).await;
    for (id, token) in [("seen", &sees_all), ("blind", &blind)] {
        let body = format!(
            r#"{{"ID":"{id}","Name":"other","Kind":"connect-proxy","Port":1,"Token":"{}",
            "Proxy":{{"DestinationServiceName":"web"}}}}"#,
            token.expose()
        );
        let proxy = ServiceDefinition::decode(body.as_bytes()).unwrap();
        bench.agent.registrar.register_service(&caller, &proxy, false).await.unwrap();
    }
    let config = async |id: &str| {
        bench.agent.listing.service(&caller, &service_id(id), None, None).await.unwrap().proxy.unwrap().config
    };
    assert_eq!(config("seen").await["protocol"], json!("http"));
    assert!(config("blind").await.is_empty());
    bench.servers.token("blind", r#"service_prefix "" { policy = "write" }"#);
    bench.world.clock.sleep(Duration::from_secs(120)).await;
    assert_eq!(config("blind").await["protocol"], json!("http"), "with the right it is merged");
}

/// After any course of writes and removals, what was merged step by step is what would be merged now.
#[tokio::test(start_paused = true)]
async fn step_by_step_is_the_same_as_all_at_once() {
    let bench = Bench::new(open());
    bench.registers_web().await;
    let raw = bench
        .agent
        .listing
        .local
        .look(|local| local.services.get(&service_id(SIDECAR)).unwrap().registration.service.clone());
    let entropy = &*bench.world.entropy;
    let draw = |below: u64| {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes);
        u64::from_le_bytes(bytes) % below
    };
    for _ in 0..300 {
        for _ in 0..=draw(3) {
            let name = ["proxies", "web", "db", "other"][draw(4) as usize];
            let protocol = ["http", "grpc", "tcp"][draw(3) as usize];
            let mode = ["", "none", "local"][draw(3) as usize];
            let said = match name {
                "proxies" => json!({ "config": { "protocol": protocol }, "mesh_gateway": { "mode": mode } }),
                _ => json!({ "protocol": protocol, "mesh_gateway": { "mode": mode },
                    "upstream_config": { "overrides": [{ "name": "db", "connect_timeout_ms": draw(3) }] } }),
            };
            let entry = entry(name, said);
            match draw(3) {
                0 => drop(bench.servers.change(|catalog| catalog.entries.remove(&entry.name()))),
                _ => bench
                    .servers
                    .change(|catalog| drop(catalog.entries.insert(entry.name(), Arc::new(entry)))),
            }
        }
        settle().await;
        let question = question(&raw, &NodeScope::default()).unwrap();
        let central =
            gather(&question, |name| bench.servers.look(|catalog| catalog.entries.get(name).cloned()));
        let expected = merge(&raw, &NodeScope::default(), &central);
        assert_eq!(bench.agent.listing.local.instance(&service_id(SIDECAR)), Some(expected));
    }
}
