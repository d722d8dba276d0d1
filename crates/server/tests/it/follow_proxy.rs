//! Tests of the registration that a proxy without an agent follows.

use concord_mesh::defaults::question;
use concord_model::Stamp;
use concord_model::catalog::NodeScope;
use concord_model::entry::{Entry, EntryKind, EntryName, Protocol, Record, ServiceDefaults};
use concord_rpc::request::{ApplyEntry, FollowProxy, FollowedProxy};
use concord_rpc::{Answer, Head, ServerApiExt};

use crate::catalog::sidecar;
use crate::world::{Host, ROOT, SECOND, Setup, deregister, name, registered, with};

fn follow(proxy: &str) -> FollowProxy {
    FollowProxy { node: name("edge"), proxy: proxy.parse().unwrap() }
}

/// The id that the tests register.
fn id() -> String {
    sidecar("edge", "web").0.service.unwrap().id.to_string()
}

#[tokio::test(start_paused = true)]
async fn n_320_a_proxy_in_the_catalog_is_told_to_whom_may_be_it_alone() {
    let host = Setup::guarded().start().await;
    host.ask_as(ROOT, sidecar("edge", "web")).await.unwrap();
    let web = host.token("web", r#"service "web" { policy = "write" }"#).await.secret;
    let told = host.ask_as(&web, follow(&id())).await.unwrap().expect("it is there");
    assert!(question(&told.instance, &NodeScope::default()).is_some(), "a sidecar");
    for (other, rules) in [
        ("reader", r#"service "web" { policy = "read" } service "web-sidecar-proxy" { policy = "write" }"#),
        ("node", r#"service_prefix "" { policy = "read" } node_prefix "" { policy = "write" }"#),
    ] {
        let other = host.token(other, rules).await.secret;
        assert!(host.ask_as(&other, follow(&id())).await.unwrap_err().is_denial(), "{rules}");
    }
    assert_eq!(host.ask_as(&web, follow("none")).await, Ok(None));
    host.stop().await;
}

/// The answer after `seen`, asked for in the background.
fn wait(host: &Host, seen: u64) -> tokio::task::JoinHandle<Answer<Option<FollowedProxy>>> {
    let api = host.api.clone();
    let head = Head { min_index: seen, wait: Some(SECOND * 60), ..with(ROOT) };
    tokio::spawn(async move { api.call(head, follow(&id())).await.unwrap() })
}

#[tokio::test(start_paused = true)]
async fn a_proxy_hears_of_its_registration_its_entries_and_its_end() {
    let host = Setup::guarded().start().await;
    let before = host.api.call(with(ROOT), follow(&id())).await.unwrap();
    assert_eq!(before.value, None);
    let waiting = wait(&host, before.index);
    host.ask_as(ROOT, sidecar("edge", "api")).await.unwrap();
    host.settle().await;
    assert!(!waiting.is_finished(), "another proxy of its node");
    host.ask_as(ROOT, sidecar("edge", "web")).await.unwrap();
    let answer = waiting.await.unwrap();
    assert_eq!(
        answer.value.unwrap().merged.as_deref(),
        Some([].as_slice()),
        "entries concern it, and there are none"
    );

    let waiting = wait(&host, answer.index);
    let scope = EntryName::parse(EntryKind::ServiceDefaults, "web").unwrap().scope;
    let said = ServiceDefaults { protocol: Protocol::Http, ..ServiceDefaults::default() };
    let record = Record { scope, said, meta: Default::default(), stamp: Stamp::default() };
    host.ask_as(ROOT, ApplyEntry { entry: Entry::ServiceDefaults(record), cas: None }).await.unwrap();
    let answer = waiting.await.unwrap();
    let told = answer.value.unwrap();
    let entries = [EntryName::parse(EntryKind::ServiceDefaults, "web").unwrap()];
    assert_eq!(told.merged.as_deref(), Some(entries.as_slice()));
    let proxy = told.instance.proxy.clone().unwrap();
    assert_eq!(proxy.config["protocol"], "http", "what entries say is in it");

    let waiting = wait(&host, answer.index);
    host.ask_as(ROOT, deregister("edge", registered(&id()))).await.unwrap();
    assert_eq!(waiting.await.unwrap().value, None);
    host.stop().await;
}
