//! Tests of the stream of snapshots: who may attach, what is sent, and when it ends.

use std::sync::Arc;
use std::time::Duration;

use concord_api::definition::ServiceDefinition;
use concord_ca::{Csr, KeyMaker, OsKeys};
use concord_model::ca::KeyKind;
use concord_model::entry::Entry;
use concord_model::intention::Action;
use concord_model::proxy::{ProxyConfig, ServiceKind};
use concord_model::{Secret, SpiffeId};
use concord_proxycfg::{
    DescribedInbound, DescribedProxy, DescribedUpstream, Feature, Leads, LeafFrom, LocalTarget,
    ProxySnapshot, SectionBody, SectionUpdate, Understood,
};
use concord_rpc::request::InstanceHealth;
use concord_rpc::{
    Attach, Head, ProxyTarget, Received, RpcError, SnapshotEvent, SnapshotSource, SnapshotStream,
};
use concord_runtime::timeout;
use futures::StreamExt;

use crate::testing::{Bench, healthy, intention, name, plain, service_id, settle, strict};

const ALL: &str = r#"service_prefix "" { policy = "write" } node_prefix "" { policy = "read" }"#;
const WEB: &str = r#"{"Name":"web","Port":8080,"Connect":{"SidecarService":{"Proxy":{"Upstreams":[
    {"DestinationName":"api","LocalBindPort":9001}]}}}}"#;

fn target() -> ProxyTarget {
    ProxyTarget::registered(service_id("web-sidecar-proxy"))
}

/// A proxy that does not act by configuration entries.
fn attach(proxy: ProxyTarget) -> Attach {
    Attach::new(proxy, plain())
}

/// A proxy that understands every feature.
fn by_entries() -> Attach {
    Attach::new(target(), Understood::of(Feature::ALL))
}

/// The snapshot that a stream begins with.
async fn first(stream: &mut SnapshotStream) -> ProxySnapshot {
    let mut received = Received::default();
    loop {
        let event = stream.next().await.expect("it goes on").expect("no error");
        if let Some(snapshot) = received.take(event).unwrap() {
            return snapshot.clone();
        }
    }
}

/// The next section, which must come soon.
async fn section(bench: &Bench, stream: &mut SnapshotStream) -> SectionUpdate {
    let told = timeout(&*bench.world.clock, Duration::from_secs(5), stream.next()).await.expect("news");
    let Some(Ok(SnapshotEvent::Section(update))) = told else { panic!("{told:?}") };
    update
}

async fn registered(bench: &Bench, token: &Secret) {
    let caller = bench.caller(token).await;
    let definition = ServiceDefinition::decode(WEB.as_bytes()).unwrap();
    bench.agent.registrar.register_service(&caller, &definition, false).await.unwrap();
}

/// An unregistered proxy of `web`; it calls `api` and accepts connections.
fn unregistered() -> ProxyTarget {
    let local = LocalTarget::Tcp { host: "127.0.0.1".to_owned(), port: 8080 };
    let inbound = DescribedInbound { bind: ([0, 0, 0, 0], 8443).into(), local };
    let api = DescribedUpstream { service: name("api"), bind: ([127, 0, 0, 1], 9001).into() };
    let described = DescribedProxy::try_new(name("web"), Some(inbound), vec![api]);
    ProxyTarget::Described(Arc::new(described.unwrap()))
}

fn csr(uri: &str) -> String {
    let key = OsKeys.make(KeyKind::EcP256).unwrap();
    Csr::build(&*key, &SpiffeId::parse(uri).unwrap()).unwrap()
}

/// Everything that still comes; a stream that does not end is a failure.
async fn rest(bench: &Bench, stream: SnapshotStream) -> Vec<Result<SnapshotEvent, RpcError>> {
    let all = stream.collect::<Vec<_>>();
    timeout(&*bench.world.clock, Duration::from_secs(60), all).await.expect("the stream ends")
}

/// A sidecar of `api` on another node. It is registered under the service's own name, because the servers of these
/// tests find instances by it.
fn api() -> InstanceHealth {
    sidecar_of("api")
}

fn sidecar_of(service: &str) -> InstanceHealth {
    let mut one = healthy("n2", &format!("{service}-proxy"), service);
    one.service.kind = ServiceKind::ConnectProxy;
    one.service.port = 21_000;
    one.service.proxy =
        Some(ProxyConfig { destination_service: Some(name(service)), ..ProxyConfig::default() });
    one
}

#[tokio::test(start_paused = true)]
async fn a_proxy_is_told_everything_then_what_changes_then_that_it_must_go() {
    let bench = Bench::new(strict());
    let token = bench.servers.token("web", ALL);
    registered(&bench, &token).await;
    let mut stream = bench.agent.proxies.attach(attach(target()), Some(token.clone())).await.unwrap();
    let whole = first(&mut stream).await;
    assert_eq!(whole.proxy.service.name, name("web"));
    assert_eq!((whole.listeners.len(), whole.chains.len(), whole.targets.len()), (2, 1, 1));
    assert!(whole.leaf.is_none());

    bench.servers.change(|catalog| catalog.intentions.push(intention("db", "web", Action::Deny)));
    let mut told = false;
    while !told {
        if let SectionBody::Intentions(section) = section(&bench, &mut stream).await.body {
            told = section.entries.len() == 1;
        }
    }
    bench.servers.change(|catalog| catalog.instances.push(api()));
    let update = section(&bench, &mut stream).await;
    assert!(matches!(&update.body, SectionBody::Target(target) if target.endpoints.is_some()));
    assert!(!update.more, "endpoints alone");

    bench.servers.revoke(&token);
    let last = rest(&bench, stream).await.pop();
    assert_eq!(last.expect("an error").unwrap_err(), RpcError::TokenNotFound);
}

#[tokio::test(start_paused = true)]
async fn attaching_needs_the_right_to_the_service_and_a_sidecar_that_is_here() {
    let bench = Bench::new(strict());
    let token = bench.servers.token("web", ALL);
    registered(&bench, &token).await;
    let reader = bench.servers.token("reader", r#"service_prefix "" { policy = "read" }"#);
    let proxy_only = bench.servers.token("proxy", r#"service "web-sidecar-proxy" { policy = "write" }"#);
    for other in [None, Some(reader), Some(proxy_only)] {
        let refused = bench.agent.proxies.attach(attach(target()), other).await.err().expect("refused");
        assert!(refused.is_denial(), "{refused}");
    }
    let missing = ProxyTarget::registered(service_id("none"));
    let refused = bench.agent.proxies.attach(attach(missing), Some(token.clone())).await.err();
    assert!(matches!(refused, Some(RpcError::NotFound(_))));
    let plain = ProxyTarget::registered(service_id("web"));
    let refused = bench.agent.proxies.attach(attach(plain), Some(token)).await.err();
    assert!(matches!(refused, Some(RpcError::Invalid(_))));
}

#[tokio::test(start_paused = true)]
async fn a_narrowed_token_ends_the_stream() {
    let bench = Bench::new(strict());
    let token = bench.servers.token("web", ALL);
    registered(&bench, &token).await;
    let mut stream = bench.agent.proxies.attach(attach(target()), Some(token)).await.unwrap();
    assert!(stream.next().await.is_some_and(|first| first.is_ok()));
    bench.servers.token("web", r#"service "web" { policy = "read" }"#);
    settle().await;
    let last = rest(&bench, stream).await.pop();
    assert!(last.expect("an error").unwrap_err().is_denial());
}

#[tokio::test(start_paused = true)]
async fn deregistering_ends_the_stream() {
    let bench = Bench::new(strict());
    let token = bench.servers.token("web", ALL);
    registered(&bench, &token).await;
    let mut stream = bench.agent.proxies.attach(attach(target()), Some(token.clone())).await.unwrap();
    assert!(stream.next().await.is_some_and(|first| first.is_ok()));
    bench.agent.registrar.deregister_service(&bench.caller(&token).await, &service_id("web")).await.unwrap();
    let last = rest(&bench, stream).await.pop().expect("an error");
    assert!(matches!(last, Err(RpcError::NotFound(_))));
}

#[tokio::test(start_paused = true)]
async fn a_proxy_gets_a_certificate_for_its_service_only() {
    let bench = Bench::new(strict());
    let token = bench.servers.token("web", ALL);
    registered(&bench, &token).await;
    let domain = "spiffe://11111111-2222-3333-4444-555555555555.consul";
    let own = csr(&format!("{domain}/ns/default/dc/dc1/svc/web"));
    let leaf = bench.agent.proxies.sign_leaf(target(), Some(token.clone()), own).await.unwrap();
    assert!(leaf.uri.ends_with("/svc/web"));
    for other in ["ns/default/dc/dc1/svc/api", "ns/default/dc/dc2/svc/web", "ns/other/dc/dc1/svc/web"] {
        let refused = bench
            .agent
            .proxies
            .sign_leaf(target(), Some(token.clone()), csr(&format!("{domain}/{other}")))
            .await;
        assert!(refused.unwrap_err().is_denial(), "{other}");
    }
    let refused = bench
        .agent
        .proxies
        .sign_leaf(target(), None, csr(&format!("{domain}/ns/default/dc/dc1/svc/web")))
        .await;
    assert!(refused.unwrap_err().is_denial());
    assert_eq!(bench.servers.look(|catalog| catalog.signed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_proxy_nobody_registered_is_told_what_a_registered_one_is() {
    let bench = Bench::new(strict());
    let token = bench.servers.token("web", ALL);
    bench.servers.change(|catalog| {
        catalog.intentions.push(intention("db", "web", Action::Allow));
        catalog.instances.push(api());
    });
    let mut stream = bench.agent.proxies.attach(attach(unregistered()), Some(token.clone())).await.unwrap();
    let whole = first(&mut stream).await;
    assert_eq!((&whole.proxy.service.name, whole.intentions.entries.len()), (&name("web"), 1));
    assert_eq!(whole.inbound().unwrap().bind.to_string(), "0.0.0.0:8443");
    if whole.targets.values().next().unwrap().endpoints.is_none() {
        assert!(matches!(section(&bench, &mut stream).await.body, SectionBody::Target(_)));
    }
    // Local registrations do not concern it, not even one of the service that it acts for.
    registered(&bench, &token).await;
    bench.agent.registrar.deregister_service(&bench.caller(&token).await, &service_id("web")).await.unwrap();
    settle().await;
    bench.servers.change(|catalog| catalog.intentions.push(intention("*", "web", Action::Deny)));
    assert!(matches!(section(&bench, &mut stream).await.body, SectionBody::Intentions(_)), "it goes on");

    bench.servers.token("web", r#"service "web" { policy = "read" }"#);
    let last = rest(&bench, stream).await.pop();
    assert!(last.expect("an error").unwrap_err().is_denial(), "the right is gone");
}

#[tokio::test(start_paused = true)]
async fn a_proxy_nobody_registered_needs_the_right_to_its_service() {
    let bench = Bench::new(strict());
    bench.servers.token("web", ALL);
    let reader = bench.servers.token("reader", r#"service_prefix "" { policy = "read" }"#);
    let other = bench.servers.token("other", r#"service "api" { policy = "write" }"#);
    for token in [None, Some(reader), Some(other)] {
        let refused =
            bench.agent.proxies.attach(attach(unregistered()), token.clone()).await.err().expect("refused");
        assert!(refused.is_denial(), "{refused}");
        let text = refused.to_string();
        assert!(text.contains("service:write") && text.contains("\"web\""), "{text}");
        let own = csr("spiffe://11111111-2222-3333-4444-555555555555.consul/ns/default/dc/dc1/svc/web");
        assert!(bench.agent.proxies.sign_leaf(unregistered(), token, own).await.unwrap_err().is_denial());
    }
    assert_eq!(bench.servers.look(|catalog| catalog.signed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_proxy_nobody_registered_gets_a_certificate_for_its_service_only() {
    let bench = Bench::new(strict());
    let token = bench.servers.token("web", ALL);
    let domain = "spiffe://11111111-2222-3333-4444-555555555555.consul";
    let sign = |path: &str| {
        bench.agent.proxies.sign_leaf(unregistered(), Some(token.clone()), csr(&format!("{domain}/{path}")))
    };
    assert!(sign("ns/default/dc/dc1/svc/web").await.unwrap().uri.ends_with("/svc/web"));
    for other in ["ns/default/dc/dc1/svc/api", "ns/default/dc/dc2/svc/web", "ns/other/dc/dc1/svc/web"] {
        let refused = sign(other).await.unwrap_err();
        assert!(refused.is_denial() && refused.to_string().contains("web (not registered)"), "{refused}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_does_not_say_what_it_understands_is_refused_by_name() {
    let bench = Bench::new(strict());
    let token = bench.servers.token("web", ALL);
    registered(&bench, &token).await;
    // In the form of a proxy of the previous version.
    let older: Attach = serde_json::from_str(r#"{"proxy": {"proxy": "web-sidecar-proxy"}}"#).unwrap();
    let refused = bench.agent.proxies.attach(older, Some(token.clone())).await.err().expect("refused");
    assert!(refused.to_string().contains("is older than the agent"), "{refused}");
    // A caller without the right learns nothing about it.
    let older = Attach::new(target(), Understood::default());
    assert!(bench.agent.proxies.attach(older, None).await.err().expect("refused").is_denial());
}

#[tokio::test(start_paused = true)]
async fn a_proxy_in_the_agent_s_process_can_have_its_key_made_by_the_agent() {
    let bench = Bench::new(strict());
    let token = bench.servers.token("web", ALL);
    registered(&bench, &token).await;
    let keyless = Attach { leaf: LeafFrom::Agent, ..attach(target()) };
    let mut stream = bench.agent.proxies.attach(keyless, Some(token.clone())).await.unwrap();
    let leaf = first(&mut stream).await.leaf.expect("it comes with the first snapshot");
    assert!(leaf.certificate.uri.ends_with("/svc/web"));
    let caller = bench.caller(&token).await;
    let shared = bench.agent.connect.leaf(&caller, &name("web"), &Head::default()).await.unwrap();
    assert_eq!(shared.value.key.expose(), leaf.key.expose(), "the one that the agent holds for everybody");
    // It is renewed by the clock, and sent alone.
    bench.world.clock.sleep(Duration::from_secs(3 * 24 * 3600)).await;
    let renewed = loop {
        let event = stream.next().await.expect("it goes on").expect("no error");
        if let SnapshotEvent::Section(SectionUpdate { body: SectionBody::Leaf(leaf), more, .. }) = event {
            assert!(!more);
            break leaf;
        }
    };
    assert_ne!(renewed.key.expose(), leaf.key.expose());
    bench.servers.revoke(&token);
    let last = rest(&bench, stream).await.pop().expect("an error");
    assert!(last.unwrap_err().is_denial());
}

#[tokio::test(start_paused = true)]
async fn n_176_a_snapshot_that_a_proxy_does_not_understand_is_not_sent_to_it() {
    let bench = Bench::new(strict());
    let token = bench.servers.token("web", ALL);
    registered(&bench, &token).await;
    let known = [Feature::Proxy, Feature::Roots, Feature::Intentions, Feature::Targets, Feature::Listeners];
    let proxy = Attach::new(target(), Understood::of(known));
    let stream = bench.agent.proxies.attach(proxy, Some(token)).await.unwrap();
    let all = rest(&bench, stream).await;
    let [Err(refused)] = &all[..] else { panic!("nothing but the error: {all:?}") };
    assert!(refused.to_string().contains("needs chains, which the proxy does not understand"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_proxy_is_sent_each_change_to_its_end_and_then_what_changes_alone() {
    let bench = Bench::new(strict());
    let token = bench.servers.token("web", ALL);
    let caller = bench.caller(&token).await;
    let upstreams: Vec<_> =
        (0..50).map(|i| format!(r#"{{"DestinationName":"s{i}","LocalBindPort":{}}}"#, 9100 + i)).collect();
    let text = format!(
        r#"{{"Name":"web","Port":8080,"Connect":{{"SidecarService":{{"Proxy":{{"Upstreams":[{}]}}}}}}}}"#,
        upstreams.join(",")
    );
    let definition = ServiceDefinition::decode(text.as_bytes()).unwrap();
    bench.agent.registrar.register_service(&caller, &definition, false).await.unwrap();
    let mut stream = bench.agent.proxies.attach(attach(target()), Some(token.clone())).await.unwrap();
    // It reads nothing while there are more messages than the channel holds; then something changes.
    settle().await;
    bench.servers.change(|catalog| catalog.intentions.push(intention("db", "web", Action::Deny)));
    settle().await;
    let mut received = Received::default();
    let (mut versions, mut events) = (Vec::new(), 0);
    while versions.last().is_none_or(|(_, intentions)| *intentions == 0) {
        let event = timeout(&*bench.world.clock, Duration::from_secs(5), stream.next()).await.expect("news");
        events += 1;
        if let Some(snapshot) = received.take(event.unwrap().unwrap()).unwrap() {
            assert_eq!(snapshot.outbound().count(), 50);
            versions.push((snapshot.version, snapshot.intentions.entries.len()));
        }
    }
    assert!(events > 151 && versions.len() >= 2, "{events} messages, {versions:?}");
    assert!(versions.is_sorted(), "{versions:?}");

    // All is told. Of an instance that comes up it is told that alone, though fifty services are watched.
    settle().await;
    while timeout(&*bench.world.clock, Duration::from_secs(5), stream.next()).await.is_ok() {}
    bench.servers.change(|catalog| catalog.instances.push(sidecar_of("s7")));
    let update = section(&bench, &mut stream).await;
    assert!(!update.more, "{update:?}");
    let SectionBody::Target(s7) = &update.body else { panic!("{update:?}") };
    assert_eq!((&s7.id.service.name, s7.endpoints.as_ref().unwrap().list.len()), (&name("s7"), 1));
    let more = timeout(&*bench.world.clock, Duration::from_secs(60), stream.next()).await;
    assert!(more.is_err(), "{more:?}");
}

/// An entry as the model writes it.
fn write(bench: &Bench, kind: &str, name: &str, said: &str) {
    let scope = format!(r#"{{"namespace": "default", "name": "{name}"}}"#);
    let text = format!(r#"{{"{kind}": {{"scope": {scope}, "said": {{{said}}}}}}}"#);
    let entry: Entry = serde_json::from_str(&text).unwrap();
    bench.servers.change(|catalog| catalog.entries.insert(entry.name(), Arc::new(entry)));
}

/// Receives until the snapshot is as it should be.
async fn until(
    bench: &Bench,
    stream: &mut SnapshotStream,
    received: &mut Received,
    is: impl Fn(&ProxySnapshot) -> bool,
) -> ProxySnapshot {
    loop {
        let event = timeout(&*bench.world.clock, Duration::from_secs(90), stream.next()).await.expect("news");
        if let Some(snapshot) = received.take(event.expect("it goes on").unwrap()).unwrap()
            && is(snapshot)
        {
            return snapshot.clone();
        }
    }
}

fn instances(snapshot: &ProxySnapshot) -> Vec<(String, usize)> {
    let known = |target: &concord_proxycfg::Target| target.endpoints.as_ref().map_or(0, |all| all.list.len());
    snapshot.targets.values().map(|target| (target.id.to_string(), known(target))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_acts_by_entries_is_told_the_chains_of_its_upstreams() {
    let bench = Bench::new(strict());
    let token = bench.servers.token("web", ALL);
    registered(&bench, &token).await;
    bench.servers.change(|catalog| {
        for (id, version) in [("api-1", "1"), ("api-2", "2")] {
            let mut one = api();
            one.service.id = service_id(id);
            one.service.meta.insert("v".to_owned(), version.to_owned());
            catalog.instances.push(one);
        }
    });
    let mut stream = bench.agent.proxies.attach(by_entries(), Some(token)).await.unwrap();
    let received = &mut Received::default();
    let whole = until(&bench, &mut stream, received, |snapshot| !snapshot.chains.is_empty()).await;
    assert_eq!(instances(&whole), [("api in dc1".to_owned(), 2)]);

    let subset = |version: u8| format!(r#""v{version}": {{"filter": "Service.Meta.v == {version}"}}"#);
    let subsets = format!(r#""default_subset": "v1", "subsets": {{{}, {}}}"#, subset(1), subset(2));
    write(&bench, "service-resolver", "api", &subsets);
    let narrowed = |snapshot: &ProxySnapshot| instances(snapshot)[0].0 != "api in dc1";
    let whole = until(&bench, &mut stream, received, narrowed).await;
    assert_eq!(instances(&whole), [("api in dc1 where Service.Meta.v == 1".to_owned(), 1)]);

    write(&bench, "mesh", "mesh", r#""transparent_proxy": {"mesh_destinations_only": true}"#);
    until(&bench, &mut stream, received, |snapshot| snapshot.entries.len() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn whole_snapshots_are_there_once_and_share_what_other_streams_are_told_too() {
    let bench = Bench::new(strict());
    let token = bench.servers.token("web", ALL);
    registered(&bench, &token).await;
    bench.servers.change(|catalog| catalog.instances.push(api()));
    let mut told = Vec::new();
    for _ in 0..2 {
        let whole = Attach { tells_whole: true, ..by_entries() };
        let mut stream = bench.agent.proxies.attach(whole, Some(token.clone())).await.unwrap();
        let event = stream.next().await.unwrap().unwrap();
        let SnapshotEvent::Whole(snapshot) = event else { panic!("{event:?}") };
        let mut received = Received::default();
        let taken = received.take(SnapshotEvent::Whole(Arc::clone(&snapshot))).unwrap();
        assert!(std::ptr::eq(taken.unwrap(), &*snapshot), "what is received is not copied");
        told.push((snapshot, stream));
    }
    let [(one, _), (other, _)] = &told[..] else { panic!() };
    let (chain, target) = (one.chains.keys().next().unwrap(), one.targets.keys().next().unwrap());
    assert!(Arc::ptr_eq(&one.chains[&chain].value, &other.chains[&chain].value));
    assert!(Arc::ptr_eq(&one.targets[&target].value, &other.targets[&target].value));
}

#[tokio::test(start_paused = true)]
async fn n_282_an_upstream_whose_chain_the_token_may_not_read_is_refused_alone_until_it_may() {
    let bench = Bench::new(strict());
    let token = bench.servers.token("web", ALL);
    registered(&bench, &token).await;
    let narrow = r#"service "web" { policy = "write" } node_prefix "" { policy = "read" }"#;
    let narrow = bench.servers.token("narrow", narrow);
    let mut stream = bench.agent.proxies.attach(by_entries(), Some(narrow)).await.unwrap();
    let received = &mut Received::default();
    let has_upstream = |snapshot: &ProxySnapshot| snapshot.outbound().count() == 1;
    let whole = until(&bench, &mut stream, received, has_upstream).await;
    let Leads::Refused(refusal) = &whole.outbound().next().unwrap().leads else { panic!("{whole:?}") };
    assert!(refusal.to_string().contains("Permission denied"), "{refusal}");
    let wider = r#"service "web" { policy = "write" } service_prefix "" { policy = "read" }"#;
    bench.servers.token("narrow", wider);
    until(&bench, &mut stream, received, |snapshot| snapshot.chains.len() == 1).await;
}
