//! Local services in the public shape, and their hash.

use concord_model::catalog::NodeScope;

use super::*;
use crate::catalog::RegisterBody;
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
fn ports_by_name_stand_behind_the_port() {
    let ports = |metrics: u16| {
        let ports =
            format!(r#"[{{"Name":"http","Port":80,"Default":true}},{{"Name":"m","Port":{metrics}}}]"#);
        service(&format!(r#"{{"Name":"web","Ports":{ports}}}"#))
    };
    printed(
        &ports(90),
        r#"{"ID":"web","Service":"web","Tags":[],"Meta":{},"Port":80,
        "Ports":[{"Name":"http","Port":80,"Default":true},{"Name":"m","Port":90,"Default":false}],"Address":"",
        "Weights":{"Passing":1,"Warning":1},"EnableTagOverride":false,"Datacenter":"dc1"}"#,
    );
    let hash = |service: AgentService| service.hashed().content_hash;
    assert_eq!(hash(ports(90)), hash(ports(90)));
    assert_ne!(hash(ports(90)), hash(ports(91)));
    assert_ne!(hash(ports(90)), hash(service(r#"{"Name":"web","Port":80}"#)));
}

#[test]
fn settings_from_entries_are_shown_where_consul_shows_them() {
    let definition = r#"{"Name":"p","Kind":"connect-proxy","Port":1,"Proxy":{"DestinationServiceName":"web",
        "Upstreams":[{"DestinationName":"db","LocalBindPort":91}]}}"#;
    let registered = ServiceDefinition::decode(definition.as_bytes()).unwrap().resolve().unwrap();
    let (mut instance, dc) = (registered.service.service, "dc1".parse().unwrap());
    let hash = |own: &ServiceInstance| {
        AgentService::from_model(&NodeScope::default(), &dc, own).hashed().content_hash
    };
    let before = hash(&instance);
    let proxy = instance.proxy.as_mut().unwrap();
    proxy.upstreams[0].centrally_configured = true;
    proxy.access_logs = serde_json::from_str(r#"{"enabled":true,"type":"file","path":"/l"}"#).unwrap();
    proxy.envoy_extensions = serde_json::from_str(r#"[{"name":"lua","arguments":{"a_b":1}}]"#).unwrap();
    let logs = r#"{"Enabled":true,"Type":"file","Path":"/l"}"#;
    let upstreams = r#"[{"DestinationType":"service","DestinationName":"db","LocalBindPort":91,"MeshGateway":{},
        "CentrallyConfigured":true}]"#;
    let agent = AgentProxy::from_model(instance.kind, instance.proxy.as_ref());
    let expected = format!(
        r#"{{"DestinationServiceName":"web","Upstreams":{upstreams},"MeshGateway":{{}},"Expose":{{}},"AccessLogs":{logs}}}"#
    );
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(serde_json::to_value(agent).unwrap(), read(&expected));
    let catalog = serde_json::to_value(CatalogProxy::from_model(instance.proxy.as_ref())).unwrap();
    assert_eq!(catalog["AccessLogs"], read(logs));
    let extension =
        r#"[{"Name":"lua","Required":false,"Arguments":{"a_b":1},"ConsulVersion":"","EnvoyVersion":""}]"#;
    assert_eq!(catalog["EnvoyExtensions"], read(extension));
    assert_ne!(hash(&instance), before);
}

/// A member that one shape forgets would be lost to those who ask there.
#[test]
fn every_shape_shows_all_that_an_instance_says() {
    let said = r#""ID":"p1","Kind":"connect-proxy","Tags":["a"],"Address":"10.0.0.1",
        "TaggedAddresses":{"lan":{"Address":"10.0.0.2","Port":80}},"Meta":{"a":"b"},"Port":80,
        "Ports":[{"Name":"http","Port":80,"Default":true},{"Name":"metrics","Port":90}],"Weights":{"Passing":2,"Warning":1},"EnableTagOverride":true,"Locality":{"Region":"r","Zone":"z"},
        "Proxy":{"DestinationServiceName":"web"}"#;
    let body = format!(r#"{{"Node":"n","Address":"10.0.0.1","Service":{{"Service":"p",{said}}}}}"#);
    let written = RegisterBody::decode(body.as_bytes()).unwrap().resolve(&"dc1".parse().unwrap()).unwrap();
    let (node, instance) = (written.node, written.service.unwrap());
    let at_agent = service(&format!(r#"{{"Name":"p",{said}}}"#));
    assert_eq!(at_agent, AgentService::from_model(&node.scope, &node.datacenter, &instance));
    let members = |shape: Value| shape.as_object().unwrap().clone();
    let at_agent = members(serde_json::to_value(at_agent).unwrap());
    let flat = members(serde_json::to_value(ServiceNode::from_model(&node, &instance)).unwrap());
    let selected = members(NodeService::selectors());
    for (name, value) in
        members(serde_json::to_value(NodeService::from_model(&node.scope, &instance)).unwrap())
    {
        let of_the_catalog =
            ["Connect", "CreateIndex", "ModifyIndex", "PeerName", "Proxy"].contains(&name.as_str());
        assert!(of_the_catalog || at_agent.get(&name) == Some(&value), "{name} at the agent");
        let in_flat = if name == "Service" { "ServiceName".to_owned() } else { format!("Service{name}") };
        let of_both = ["CreateIndex", "ModifyIndex", "PeerName"].contains(&name.as_str());
        assert!(of_both || flat.get(&in_flat) == Some(&value), "{in_flat}");
        // Consul's filters cannot select ports by name.
        assert!(name == "Ports" || selected.contains_key(&name), "{name} among the selectors of NodeService");
    }
}
