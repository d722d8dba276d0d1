//! Local services and checks in the public shape.

use concord_model::catalog::NodeScope;

use super::*;
use crate::definition::ServiceDefinition;
use crate::encode::{Layout, json};

fn service(body: &str) -> AgentService {
    let registration = ServiceDefinition::decode(body.as_bytes()).unwrap().resolve().unwrap();
    AgentService::from_model(&NodeScope::default(), &"dc1".parse().unwrap(), &registration.service.service)
}

#[track_caller]
fn printed(service: &AgentService, expected: &str) {
    let own = String::from_utf8(json(service, Layout::Compact).unwrap()).unwrap();
    assert_eq!(own, expected.lines().map(str::trim).collect::<String>());
}

#[test]
fn an_ordinary_service_has_no_proxy_part() {
    printed(
        &service(r#"{"Name":"web","Port":80,"Connect":{"Native":true}}"#),
        r#"{"ID":"web","Service":"web","Tags":[],"Meta":{},"Port":80,"Address":"",
        "Weights":{"Passing":1,"Warning":1},"EnableTagOverride":false,"Connect":{"Native":true},"Datacenter":"dc1"}"#,
    );
}

#[test]
fn a_sidecar_shows_what_it_proxies() {
    printed(
        &service(
            r#"{"Name":"p","Kind":"connect-proxy","Port":21000,"Proxy":{"DestinationServiceName":"web",
            "Upstreams":[{"DestinationName":"db","LocalBindPort":91,"Datacenter":"dc2"}]}}"#,
        ),
        r#"{"Kind":"connect-proxy","ID":"p","Service":"p","Tags":[],"Meta":{},"Port":21000,"Address":"",
        "Weights":{"Passing":1,"Warning":1},"EnableTagOverride":false,"Proxy":{"DestinationServiceName":"web",
        "Upstreams":[{"DestinationType":"service","DestinationName":"db","Datacenter":"dc2","LocalBindPort":91,
        "MeshGateway":{}}],"MeshGateway":{},"Expose":{}},"Datacenter":"dc1"}"#,
    );
}

#[test]
fn the_hash_follows_the_content() {
    let one = service(r#"{"Name":"web","Port":80}"#).hashed();
    assert!(!one.content_hash.is_empty());
    assert_eq!(one, one.clone().hashed(), "the hash does not cover itself");
    assert_eq!(one, service(r#"{"Name":"web","Port":80}"#).hashed());
    assert_ne!(one.content_hash, service(r#"{"Name":"web","Port":81}"#).hashed().content_hash);
    assert_ne!(
        one.content_hash,
        service(r#"{"Name":"web","Port":80,"Meta":{"a":"b"}}"#).hashed().content_hash
    );
}

#[test]
fn a_report_of_a_check_is_read() {
    let read = CheckUpdate::decode(br#"{"Status":"warning","Output":"slow"}"#).unwrap();
    assert_eq!(read, (CheckStatus::Warning, "slow".to_owned()));
    let refused = CheckUpdate::decode(br#"{"Status":"maybe"}"#).unwrap_err();
    assert_eq!(refused.to_string(), "Invalid check status: 'maybe'");
}

#[test]
fn self_has_the_keys_clients_sniff() {
    let own = AgentSelf { xds: Some(SelfXds { port: 8502, ..SelfXds::default() }), ..AgentSelf::default() };
    let value: Value = serde_json::from_slice(&json(&own, Layout::Compact).unwrap()).unwrap();
    let keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["Config", "DebugConfig", "Coord", "Member", "Stats", "Meta", "xDS"]);
    assert_eq!(value["xDS"]["Ports"], serde_json::json!({"Plaintext": 0, "TLS": 0}));
    assert!(value["Coord"].is_null() && value["Config"]["NodeID"].is_string());
}
