//! Tests of proxies that are shown with the settings of configuration entries.

use std::collections::BTreeMap;

use concord_mesh::defaults::{Central, Question};
use concord_model::Stamp;
use concord_model::entry::{Entry, EntryKind, EntryName, Protocol, Record, ServiceDefaults};
use concord_model::proxy::ProxyConfig;
use concord_rpc::request::{
    ApplyEntry, DeleteEntry, InstanceSelection, NodeDump, ReadDefaults, Request, ServiceHealth,
    ServiceInstances,
};
use concord_rpc::{Head, RpcError, ServerApiExt};
use serde_json::json;

use crate::catalog::sidecar;
use crate::world::{Host, ROOT, SECOND, Setup, name, target};

fn defaults(of: &str, protocol: Protocol) -> Entry {
    let scope = EntryName::parse(EntryKind::ServiceDefaults, of).unwrap().scope;
    let said = ServiceDefaults { protocol, ..ServiceDefaults::default() };
    Entry::ServiceDefaults(Record { scope, said, meta: BTreeMap::new(), stamp: Stamp::default() })
}

async fn write(host: &Host, of: &str, protocol: Protocol) {
    host.ask(ApplyEntry { entry: defaults(of, protocol), cas: None }).await.unwrap();
}

fn select(merged: bool) -> InstanceSelection {
    InstanceSelection { merged, ..InstanceSelection::connect(target("web")) }
}

fn protocol(proxy: Option<&ProxyConfig>) -> Option<String> {
    Some(proxy?.config.get("protocol")?.as_str()?.to_owned())
}

/// The protocol of the sidecar, as three requests show it.
async fn shown(host: &Host, merged: bool) -> [Option<String>; 3] {
    let placed = host.ask(ServiceInstances { select: select(merged) }).await.unwrap().value;
    let health = host.ask(ServiceHealth { select: select(merged), worst: None }).await.unwrap().value;
    let dump = NodeDump { merged, ..NodeDump::of(name("a")) };
    let dump = host.ask(dump).await.unwrap().value.unwrap();
    [&placed[0].service, &health[0].service, &dump.services[0]].map(|own| protocol(own.proxy.as_ref()))
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_for_it_sees_proxies_merged_and_others_as_registered() {
    let host = Setup::open().start().await;
    host.ask(sidecar("a", "web")).await.unwrap();
    write(&host, "web", Protocol::Http).await;
    let http = || Some("http".to_owned());
    assert_eq!(shown(&host, false).await, [None, None, None]);
    assert_eq!(shown(&host, true).await, [http(), http(), http()]);
    // What is registered wins.
    let mut own = sidecar("a", "web");
    let proxy = own.0.service.as_mut().unwrap().proxy.as_mut().unwrap();
    proxy.config.insert("protocol".to_owned(), json!("grpc"));
    host.ask(own).await.unwrap();
    assert_eq!(shown(&host, true).await[0], Some("grpc".to_owned()));
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_merged_answer_wakes_for_the_entries_in_it_and_for_no_others() {
    let host = Setup::open().start().await;
    host.ask(sidecar("a", "web")).await.unwrap();
    let waiting = async |request: AnyWaiting| {
        let seen = request.index(&host).await;
        let head = Head { min_index: seen, wait: Some(SECOND * 60), ..Head::default() };
        let api = host.api.clone();
        let task = tokio::spawn(async move { request.ask(&api, head).await });
        host.settle().await;
        (seen, task)
    };
    for (request, merged) in
        [(AnyWaiting::Health, true), (AnyWaiting::Dump, true), (AnyWaiting::Health, false)]
    {
        write(&host, "web", Protocol::Tcp).await;
        let request = if merged { request } else { AnyWaiting::Raw };
        let (seen, task) = waiting(request).await;
        write(&host, "other", Protocol::Grpc).await;
        write(&host, "other", Protocol::Http).await;
        host.settle().await;
        assert!(!task.is_finished(), "the entry of another service woke {request:?}");
        write(&host, "web", Protocol::Http).await;
        host.settle().await;
        assert_eq!(task.is_finished(), merged, "{request:?}");
        if merged {
            assert!(task.await.unwrap() > seen);
        } else {
            task.abort();
        }
    }
    host.stop().await;
}

#[derive(Clone, Copy, Debug)]
enum AnyWaiting {
    Health,
    Dump,
    Raw,
}

impl AnyWaiting {
    async fn index(self, host: &Host) -> u64 {
        self.ask(&host.api, Head::default()).await
    }

    async fn ask(self, api: &impl ServerApiExt, head: Head) -> u64 {
        match self {
            Self::Dump => {
                let dump = NodeDump { merged: true, ..NodeDump::of(name("a")) };
                index_of(api, head, dump).await
            }
            Self::Health => index_of(api, head, ServiceHealth { select: select(true), worst: None }).await,
            Self::Raw => index_of(api, head, ServiceHealth { select: select(false), worst: None }).await,
        }
    }
}

async fn index_of<R: Request>(api: &impl ServerApiExt, head: Head, request: R) -> u64 {
    api.call(head, request).await.unwrap().index
}

#[tokio::test(start_paused = true)]
async fn what_an_agent_asks_is_what_the_servers_merge() {
    let host = Setup::open().start().await;
    let ask = async |upstream: &str| {
        let upstreams = [target(upstream)].into();
        let question = Question { service: target("web"), upstreams, transparent: false };
        host.ask(ReadDefaults { question }).await.unwrap().value
    };
    assert_eq!(ask("db").await, Central::default());
    write(&host, "web", Protocol::Http).await;
    write(&host, "db", Protocol::Grpc).await;
    let central = ask("db").await;
    assert_eq!(central.service.unwrap().protocol, Protocol::Http);
    assert_eq!(central.protocols[0].protocol, Protocol::Grpc);
    host.ask(DeleteEntry { name: defaults("db", Protocol::Grpc).name(), cas: None }).await.unwrap();
    assert!(ask("db").await.protocols.is_empty());
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_211_entries_for_a_proxy_need_the_right_to_its_service() {
    let host = Setup::guarded().start().await;
    let other = host.token("other", r#"service "db" { policy = "write" } mesh = "write""#).await;
    let own = host.token("own", r#"service "web" { policy = "read" }"#).await;
    let question = Question { service: target("web"), upstreams: [target("db")].into(), transparent: false };
    let ask = async |secret: String| host.ask_as(&secret, ReadDefaults { question: question.clone() }).await;
    assert!(matches!(ask(other.secret).await, Err(RpcError::Denied(_))));
    assert!(ask(own.secret).await.is_ok());
    assert!(ask(ROOT.to_owned()).await.is_ok());
    host.stop().await;
}
