//! Catalog and health answers, registrations and their quirks.

use concord_model::catalog::{Check, CheckStatus, NodeScope, Registered, Registration, ServiceInstance};
use concord_model::{Datacenter, NodeName, Stamp, Uuid};
use serde::Serialize;

use super::*;
use crate::encode::{Layout, json};
use crate::fault::Faults;
use crate::health::{HealthCheck, ServiceEntry};
use crate::service::ServiceNode;

#[track_caller]
fn printed(value: &impl Serialize, expected: &str) {
    let own = String::from_utf8(json(value, Layout::Compact).unwrap()).unwrap();
    assert_eq!(own, expected.lines().map(str::trim).collect::<String>());
}

fn here() -> Datacenter {
    "dc1".parse().unwrap()
}

fn node() -> catalog::Node {
    catalog::Node {
        scope: NodeScope::default(),
        name: NodeName::parse("n1").unwrap(),
        id: Some(Uuid([7; 16])),
        address: "10.0.0.1".to_owned(),
        datacenter: here(),
        tagged_addresses: BTreeMap::from([("lan".to_owned(), "10.0.0.1".to_owned())]),
        meta: BTreeMap::new(),
        locality: None,
        stamp: Stamp { create: 5, modify: 6 },
    }
}

fn service(body: &str) -> ServiceInstance {
    let body = format!(r#"{{"Node":"n1","Address":"10.0.0.1","Service":{body}}}"#);
    let mut service = register(&body).unwrap().service.unwrap();
    service.stamp = Stamp { create: 8, modify: 9 };
    service
}

fn register(body: &str) -> Result<Registration, Faults> {
    RegisterBody::decode(body.as_bytes())?.resolve(&here())
}

/// Consul's Go client sends weights even where its user said nothing.
#[test]
fn weights_of_nothing_are_no_weights() {
    let resolved = |weights: &str| {
        let body = format!(
            r#"{{"Node":"n","Address":"10.0.0.1","Service":{{"Service":"web","Weights":{weights}}}}}"#
        );
        register(&body)
    };
    assert!(resolved(r#"{"Passing":0,"Warning":0}"#).is_ok());
    assert!(resolved(r#"{"Passing":0,"Warning":1}"#).is_err());
}

#[test]
fn an_instance_is_flat_in_the_catalog() {
    printed(
        &ServiceNode::from_model(&node(), &service(r#"{"Service":"web","Port":80,"Tags":["a<b"]}"#)),
        r#"{"ID":"07070707-0707-0707-0707-070707070707","Node":"n1","Address":"10.0.0.1","Datacenter":"dc1",
        "TaggedAddresses":{"lan":"10.0.0.1"},"NodeMeta":null,"ServiceKind":"","ServiceID":"web","ServiceName":"web",
        "ServiceTags":["a\u003cb"],"ServiceAddress":"","ServiceWeights":{"Passing":1,"Warning":1},"ServiceMeta":{},
        "ServicePort":80,"ServiceSocketPath":"","ServiceEnableTagOverride":false,
        "ServiceProxy":{"Mode":"","MeshGateway":{},"Expose":{}},"ServiceConnect":{},"ServiceLocality":null,
        "CreateIndex":8,"ModifyIndex":9}"#,
    );
}

#[test]
fn an_instance_is_nested_in_health() {
    let check = Check {
        id: "c1".parse().unwrap(),
        name: "C".to_owned(),
        status: CheckStatus::Passing,
        notes: String::new(),
        output: String::new(),
        service_id: None,
        service_name: None,
        namespace: Namespace::default(),
        service_tags: Vec::new(),
        kind: "ttl".to_owned(),
        interval: String::new(),
        timeout: String::new(),
        definition: Default::default(),
        stamp: Stamp { create: 1, modify: 2 },
    };
    let sidecar = service(
        r#"{"Kind":"connect-proxy","Service":"web-sidecar-proxy","Port":21000,"Proxy":{"DestinationServiceName":"web",
        "Config":{"b":{"z":1.0,"a":2}},"Upstreams":[{"DestinationName":"db","LocalBindPort":9191}]}}"#,
    );
    printed(
        &ServiceEntry::from_model(&node(), &sidecar, [&check]),
        r#"{"Node":{"ID":"07070707-0707-0707-0707-070707070707","Node":"n1","Address":"10.0.0.1",
        "Datacenter":"dc1","TaggedAddresses":{"lan":"10.0.0.1"},"Meta":null,"CreateIndex":5,"ModifyIndex":6},
        "Service":{"Kind":"connect-proxy","ID":"web-sidecar-proxy","Service":"web-sidecar-proxy","Tags":[],
        "Address":"","Meta":null,"Port":21000,"Weights":{"Passing":1,"Warning":1},"EnableTagOverride":false,
        "Proxy":{"DestinationServiceName":"web","Mode":"","Config":{"b":{"a":2,"z":1}},
        "Upstreams":[{"DestinationType":"service","DestinationName":"db","Datacenter":"","LocalBindPort":9191,
        "MeshGateway":{}}],"MeshGateway":{},"Expose":{}},"Connect":{},"PeerName":"","CreateIndex":8,"ModifyIndex":9},
        "Checks":[{"Node":"n1","CheckID":"c1","Name":"C","Status":"passing","Notes":"","Output":"","ServiceID":"",
        "ServiceName":"","ServiceTags":[],"Type":"ttl","Interval":"","Timeout":"","ExposedPort":0,"Definition":{},
        "CreateIndex":1,"ModifyIndex":2}]}"#,
    );
    let shape = HealthCheck::from_model(&NodeScope::default(), &node().name, &check);
    let text = json(&shape, Layout::Compact).unwrap();
    assert_eq!(serde_json::from_slice::<HealthCheck>(&text).unwrap(), shape);
}

#[test]
fn what_is_printed_is_read_back() {
    let shape = ServiceNode::from_model(&node(), &service(r#"{"Service":"web","Meta":{"v":"1"}}"#));
    let text = json(&shape, Layout::Pretty).unwrap();
    assert_eq!(serde_json::from_slice::<ServiceNode>(&text).unwrap(), shape);
    let nulls = r#"{"Node":"n","ServiceTags":null,"TaggedAddresses":null,"ServiceMeta":null}"#;
    assert!(serde_json::from_str::<ServiceNode>(nulls).unwrap().service_tags.is_empty());
}

#[test]
fn a_registration_is_read_in_both_key_styles() {
    let camel = r#"{"Datacenter":"dc2","ID":"07070707-0707-0707-0707-070707070707","Node":"n","Address":"a",
        "NodeMeta":{"x":"y"},"SkipNodeUpdate":true,
        "Check":{"CheckID":"c","Name":"C","Status":"passing","ServiceID":"w1"},
        "Service":{"ID":"w1","Service":"web","TaggedAddresses":{"lan":{"Address":"1.2.3.4","Port":5}}}}"#;
    let snake = r#"{"datacenter":"dc2","id":"07070707-0707-0707-0707-070707070707","node":"n","address":"a",
        "node_meta":{"x":"y"},"skip_node_update":true,
        "check":{"check_id":"c","name":"C","status":"passing","service_id":"w1"},
        "service":{"id":"w1","service":"web","tagged_addresses":{"lan":{"address":"1.2.3.4","port":5}}}}"#;
    let read = register(camel).unwrap();
    assert_eq!(read, register(snake).unwrap());
    assert_eq!(read.node.datacenter.as_str(), "dc2");
    assert_eq!(read.checks[0].service_name.as_ref().unwrap().as_str(), "web");
    assert_eq!(read.service.unwrap().tagged_addresses["lan"].port, 5);
}

#[test]
fn a_definition_of_nothing_but_zeros_is_none() {
    let with = |definition: &str| {
        format!(
            r#"{{"Node":"n","Address":"a","Check":{{"CheckID":"c","Name":"C","ExposedPort":0,"Definition":{definition}}}}}"#
        )
    };
    // What the official Go client prints for a check that defines nothing to run.
    let zeros = r#"{"HTTP":"","Header":null,"TLSSkipVerify":false,"Interval":"0s","Timeout":"0s","TCP":""}"#;
    assert!(register(&with(zeros)).unwrap().checks[0].definition.is_empty());
    let runs = r#"{"HTTP":"http://a/","Interval":"10s"}"#;
    assert_eq!(register(&with(runs)).unwrap().checks[0].definition.len(), 2);
}

#[track_caller]
fn refused(body: &str, status: u16, text: &str) {
    let found = register(body).expect_err("must be refused");
    assert_eq!((found.to_string().as_str(), found.status()), (text, status));
}

#[test]
fn incomplete_registrations_are_refused() {
    refused("{}", 400, "Must provide node");
    refused(r#"{"Node":"n"}"#, 400, "Must provide address if SkipNodeUpdate is not set");
    refused(
        r#"{"Node":"n","Address":"a","Service":{"ID":"w1"}}"#,
        400,
        "Must provide service name (Service.Service) when service ID is provided",
    );
    refused(
        r#"{"Node":"n","Address":"a","Service":{"Service":"web","Address":"0.0.0.0"}}"#,
        400,
        "Invalid service address",
    );
    refused(
        r#"{"Node":"n","Address":"a","Service":{"Service":"p","Kind":"connect-proxy",
        "Proxy":{"DestinationServiceName":"web"}}}"#,
        400,
        "Port or SocketPath must be set for a connect-proxy",
    );
    refused(
        r#"{"Node":"n","Address":"a","Check":{"CheckID":"c","Status":"fine"}}"#,
        400,
        "Invalid check status: 'fine'",
    );
    refused(
        r#"{"Node":"n","Address":"a","PeerName":"p"}"#,
        501,
        "not available yet: PeerName in the catalog",
    );
    refused(
        r#"{"Node":"n","Address":"a","Namespace":"team"}"#,
        400,
        "Invalid Namespace(team): Namespaces is a Consul Enterprise feature",
    );
    refused(r#"{"Node":"#, 400, "Request decode failed: 1:9: expected a value, found the end of the text");
}

#[test]
fn deregistering_takes_the_narrowest_thing_named() {
    let read =
        |body: &str| DeregisterBody::decode(body.as_bytes())?.resolve(&here()).map(|(_, read)| read.what);
    assert_eq!(read(r#"{"Node":"n"}"#), Ok(Registered::Node));
    assert_eq!(read(r#"{"Node":"n","CheckID":"c"}"#), Ok(Registered::Check { id: "c".parse().unwrap() }));
    assert_eq!(
        read(r#"{"Node":"n","CheckID":"c","ServiceID":"s"}"#),
        Ok(Registered::Service { namespace: Namespace::default(), id: "s".parse().unwrap() })
    );
    assert_eq!(read(r#"{"ServiceID":"s"}"#).unwrap_err().to_string(), "Must provide node");
}

#[test]
fn a_deregistration_may_say_the_address_that_nobody_reads() {
    let body = br#"{"Node":"n","Address":"192.0.2.10"}"#;
    let (_, found) =
        DeregisterBody::decode(body).unwrap().resolve(&Datacenter::parse("dc1").unwrap()).unwrap();
    assert_eq!((found.node.as_str(), found.what), ("n", Registered::Node));
    assert!(DeregisterBody::decode(br#"{"Node":"n","Adress":"x"}"#).is_err());
}

#[test]
fn a_check_keeps_how_somebody_else_makes_it() {
    let body = r#"{"Node":"n","Address":"a","Check":{"CheckID":"c","Definition":{"HTTP":"http://a/","Interval":"10s"}}}"#;
    let read = RegisterBody::decode(body.as_bytes()).unwrap().resolve(&here()).unwrap();
    let shown = HealthCheck::from_model(&NodeScope::default(), &read.node.name, &read.checks[0]);
    let shown = serde_json::to_value(shown).unwrap();
    assert_eq!(shown["Definition"], serde_json::json!({"HTTP": "http://a/", "Interval": "10s"}));
    assert_eq!(shown["Type"], "http");
    let odd = body.replace("10s", "soon");
    assert!(RegisterBody::decode(odd.as_bytes()).is_err());
    let unknown = body.replace("HTTP\"", "HTPP\"");
    assert!(RegisterBody::decode(unknown.as_bytes()).is_err());
}

#[test]
fn the_type_that_is_said_counts_and_not_that_of_the_definition() {
    let body =
        r#"{"Node":"n","Address":"a","Check":{"CheckID":"c","Type":"own","Definition":{"TTL":"10s"}}}"#;
    assert_eq!(register(body).unwrap().checks[0].kind, "own");
    assert_eq!(register(&body.replace("own", "")).unwrap().checks[0].kind, "ttl");
    assert_eq!(register(&body.replace("own", "").replace("10s", "0s")).unwrap().checks[0].kind, "");
}
