//! Tests of the leader's duty for API gateways: their state follows from the entries, in whatever order they come.

use std::sync::Arc;
use std::time::Duration;

use concord_ca::testing::Forge;
use concord_ca::{KeyMaker, OsKeys, der, pem};
use concord_model::Timestamp;
use concord_model::ca::KeyKind;
use concord_model::entry::{Entry, EntryKind, EntryName};
use concord_rpc::RpcError;
use concord_rpc::request::{ApplyEntry, DeleteEntry, ListEntries, ReadEntry};
use serde_json::{Value, json};

use crate::world::{Host, ROOT, Setup};

fn entry(kind: &str, name: &str, said: Value) -> Entry {
    let record = json!({ "scope": { "namespace": "default", "name": name }, "said": said });
    serde_json::from_value(json!({ kind: record })).unwrap()
}

async fn write(host: &Host, kind: &str, name: &str, said: Value) {
    assert!(host.ask(ApplyEntry { entry: entry(kind, name, said), cas: None }).await.unwrap().value);
}

fn named(kind: EntryKind, name: &str) -> EntryName {
    EntryName::parse(kind, name).unwrap()
}

async fn remove(host: &Host, kind: EntryKind, name: &str) {
    host.ask(DeleteEntry { name: named(kind, name), cas: None }).await.unwrap();
}

async fn read(host: &Host, kind: EntryKind, name: &str) -> Option<Arc<Entry>> {
    host.ask(ReadEntry { name: named(kind, name) }).await.unwrap().value
}

/// The duty has done what it had to do: nothing else happens.
async fn settled() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// `Type Reason` of the conditions of an entry.
async fn says(host: &Host, kind: EntryKind, name: &str) -> Vec<String> {
    settled().await;
    let entry = read(host, kind, name).await.unwrap();
    let conditions = &entry.status().unwrap().conditions;
    conditions.iter().map(|own| format!("{} {}", own.r#type, own.reason)).collect()
}

/// The routes of the first listener; `None` if there is no such entry.
async fn uses(host: &Host, name: &str) -> Option<Vec<String>> {
    settled().await;
    match &*read(host, EntryKind::BoundApiGateway, name).await? {
        Entry::BoundApiGateway(own) => {
            Some(own.said.listeners[0].routes.iter().map(|route| route.name.clone()).collect())
        }
        other => panic!("another kind: {other:?}"),
    }
}

fn gateway() -> Value {
    json!({ "listeners": [{ "name": "web", "port": 8080, "protocol": "http" }] })
}

fn route(service: &str) -> Value {
    json!({ "parents": [{ "name": "edge" }], "rules": [{ "services": [{ "name": service }] }] })
}

#[tokio::test(start_paused = true)]
async fn gateways_and_routes_are_told_what_became_of_them() {
    let host = Setup::open().start().await;
    write(&host, "http-route", "shop", route("web")).await;
    assert_eq!(
        says(&host, EntryKind::HttpRoute, "shop").await,
        ["Accepted InvalidDiscoveryChain", "Bound GatewayNotFound"]
    );
    write(&host, "api-gateway", "edge", gateway()).await;
    let gateway_says = ["Accepted Accepted", "Conflicted NoConflict", "ResolvedRefs ResolvedRefs"];
    assert_eq!(says(&host, EntryKind::ApiGateway, "edge").await, gateway_says);
    assert_eq!(uses(&host, "edge").await, Some(Vec::new()), "the service has no requests");
    write(&host, "service-defaults", "web", json!({ "protocol": "http" })).await;
    assert_eq!(says(&host, EntryKind::HttpRoute, "shop").await, ["Accepted Accepted", "Bound Bound"]);
    assert_eq!(uses(&host, "edge").await, Some(vec!["shop".to_owned()]));
    // The same entry changes nothing, and what its writer says of the status does not count.
    let before = read(&host, EntryKind::HttpRoute, "shop").await.unwrap();
    let mut said = route("web");
    said["status"] = json!({ "conditions": [] });
    write(&host, "http-route", "shop", said).await;
    settled().await;
    assert_eq!(read(&host, EntryKind::HttpRoute, "shop").await.unwrap(), before);
    // A change keeps the status until the duty has looked at it.
    write(&host, "http-route", "shop", route("db")).await;
    assert_eq!(
        says(&host, EntryKind::HttpRoute, "shop").await,
        ["Accepted InvalidDiscoveryChain", "Bound FailedToBind"]
    );
    assert_eq!(uses(&host, "edge").await, Some(Vec::new()));
    remove(&host, EntryKind::ApiGateway, "edge").await;
    assert_eq!(uses(&host, "edge").await, None);
    assert_eq!(says(&host, EntryKind::HttpRoute, "shop").await[1], "Bound GatewayNotFound");
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_settled_is_not_written_again() {
    let host = Setup::open().start().await;
    write(&host, "service-defaults", "web", json!({ "protocol": "http" })).await;
    write(&host, "api-gateway", "edge", gateway()).await;
    write(&host, "http-route", "shop", route("web")).await;
    assert_eq!(uses(&host, "edge").await, Some(vec!["shop".to_owned()]));
    let index = || async { host.ask(ListEntries { kind: EntryKind::HttpRoute }).await.unwrap().index };
    let before = index().await;
    tokio::time::sleep(crate::world::HOUR).await;
    write(&host, "service-defaults", "db", json!({ "protocol": "tcp" })).await;
    settled().await;
    assert_eq!(index().await, before);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_195_nobody_but_the_leader_writes_what_a_gateway_uses() {
    for acl in [false, true] {
        let host = Setup { acl, ..Setup::open() }.start().await;
        let own = entry("bound-api-gateway", "edge", json!({ "services": { "web": [] } }));
        let name = own.name();
        let ask = |entry: Entry| async {
            let request = ApplyEntry { entry, cas: None };
            if acl { host.ask_as(ROOT, request).await } else { host.ask(request).await.map(|own| own.value) }
        };
        assert!(matches!(ask(own).await, Err(RpcError::Denied(_))), "the management token neither");
        let request = DeleteEntry { name, cas: None };
        let removed =
            if acl { host.ask_as(ROOT, request).await } else { host.ask(request).await.map(|own| own.value) };
        assert!(matches!(removed, Err(RpcError::Denied(_))));
        host.stop().await;
    }
}

/// Draws entries and removals, and compares the end with a server that was given only the last ones.
#[tokio::test(start_paused = true)]
async fn the_state_after_any_order_is_that_of_a_rebuild() {
    let host = Setup::open().start().await;
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut last: std::collections::BTreeMap<EntryName, Entry> = std::collections::BTreeMap::new();
    for step in 0..200 {
        let (kind, name) = (draw(4), ["a", "b"][draw(2) as usize]);
        let (parent, service) = (["a", "b", "c"][draw(3) as usize], ["web", "db"][draw(2) as usize]);
        let protocol = ["http", "tcp"][draw(2) as usize];
        let own = match kind {
            0 => {
                let listener = |name: &str, port| json!({ "name": name, "port": port, "protocol": protocol });
                entry("api-gateway", name, json!({ "listeners": [listener("x", 80), listener("y", 81)] }))
            }
            1 => {
                let section = ["", "x", "z"][draw(3) as usize];
                let parents = json!([{ "name": parent, "section_name": section }]);
                let rules = json!([{ "services": [{ "name": service }] }]);
                entry("http-route", name, json!({ "parents": parents, "rules": rules }))
            }
            2 => {
                let said = json!({ "parents": [{ "name": parent }], "services": [{ "name": service }] });
                entry("tcp-route", name, said)
            }
            _ => entry("service-defaults", service, json!({ "protocol": protocol })),
        };
        let name = own.name();
        if draw(4) == 0 {
            host.ask(DeleteEntry { name: name.clone(), cas: None }).await.unwrap();
            last.remove(&name);
        } else {
            host.ask(ApplyEntry { entry: own.clone(), cas: None }).await.unwrap();
            last.insert(name, own);
        }
        if step % 7 == 0 {
            settled().await;
        }
    }
    settled().await;
    let rebuilt = Setup::open().start().await;
    for own in last.into_values() {
        rebuilt.ask(ApplyEntry { entry: own, cas: None }).await.unwrap();
    }
    settled().await;
    for kind in [EntryKind::ApiGateway, EntryKind::HttpRoute, EntryKind::TcpRoute, EntryKind::BoundApiGateway]
    {
        let (is, other) = (plain(&host, kind).await, plain(&rebuilt, kind).await);
        assert!(!is.is_empty() || other.is_empty(), "{kind}");
        assert_eq!(is, other, "{kind}");
    }
    host.stop().await;
    rebuilt.stop().await;
}

/// All entries of a kind without indexes and times.
async fn plain(host: &Host, kind: EntryKind) -> Vec<Entry> {
    let all = host.ask(ListEntries { kind }).await.unwrap().value;
    let plain = |entry: &Arc<Entry>| {
        let mut status = entry.status().cloned().unwrap_or_default();
        for condition in &mut status.conditions {
            condition.last_transition_time = Default::default();
        }
        Entry::clone(entry).with_status(status).stamped(Default::default())
    };
    all.iter().map(plain).collect()
}

/// A certificate and its key, in PEM.
fn made() -> (String, String) {
    let key = OsKeys.make(KeyKind::EcP256).unwrap();
    let (issuer, now) = (der::value(der::SEQUENCE, &[]), Timestamp::from_secs(crate::world::NEW_YEAR));
    let own = Forge::authority("own", &*key, &issuer, now).sign(&*key);
    (pem::encode(pem::CERTIFICATE, &own), key.private_key().unwrap().expose().to_owned())
}

#[tokio::test(start_paused = true)]
async fn n_196_a_certificate_is_kept_with_its_own_key_only() {
    let host = Setup::open().start().await;
    let ((own, key), (_, others)) = (made(), made());
    let ask = |certificate: &str, key: &str| {
        let said = json!({ "certificate": certificate, "private_key": key });
        host.ask(ApplyEntry { entry: entry("inline-certificate", "own", said), cas: None })
    };
    for (certificate, key, text) in [
        (own.as_str(), others.as_str(), "PrivateKey private key does not match public key"),
        (own.as_str(), "text", "PrivateKey failed to parse private key PEM"),
        ("text", key.as_str(), "Certificate failed to parse certificate PEM"),
        ("", key.as_str(), "Certificate is required"),
    ] {
        match ask(certificate, key).await {
            Err(RpcError::Invalid(told)) => assert!(told.starts_with(text), "{told}"),
            other => panic!("{other:?}"),
        }
    }
    assert!(ask(&own, &key).await.unwrap().value);
    host.stop().await;
}
