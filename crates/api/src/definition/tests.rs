//! Definitions of services and checks, in both key styles.

use std::time::Duration;

use concord_model::InstanceId;
use concord_model::catalog::CheckStatus;
use concord_model::registration::{CheckRequest, CheckTls, Every, LocalService, Probe};
use concord_syntax::hcl;

use super::*;
use crate::fault::Faults;
use crate::proxy::{AgentProxy, CatalogProxy};

fn resolve(body: &str) -> Result<LocalRegistration, Faults> {
    ServiceDefinition::decode(body.as_bytes())?.resolve()
}

#[track_caller]
fn resolved(body: &str) -> LocalService {
    resolve(body).unwrap().service
}

#[track_caller]
fn refused(body: &str, status: u16, text: &str) {
    let found = resolve(body).expect_err("must be refused");
    assert_eq!((found.to_string().as_str(), found.status()), (text, status));
}

#[track_caller]
fn expanded(body: &str) -> (LocalService, LocalService) {
    let (service, sidecar) = resolve(body).unwrap().expand(|_| Some(21_000)).unwrap();
    (service, sidecar.unwrap())
}

#[test]
fn names_and_weights_have_defaults() {
    let own = resolved(r#"{"Name":"web"}"#);
    assert_eq!((own.service.id.as_str(), own.service.weights.passing), ("web", 1));
    assert!(own.checks.is_empty() && own.sidecar_of.is_none());
    let own = resolved(r#"{"Name":"web","ID":"web1","Weights":{"Passing":10}}"#);
    assert_eq!(
        (own.service.id.as_str(), own.service.weights.passing, own.service.weights.warning),
        ("web1", 10, 0)
    );
    // As Consul: a weight that is left out is none over HTTP.
    assert!(
        ServiceDefinition::decode(br#"{"Name":"web","Weights":{"Warning":1}}"#).unwrap().resolve().is_err()
    );
}

#[test]
fn a_file_in_hcl_means_the_same_as_a_body() {
    let node = hcl::parse(
        r#"name = "web" port = 80 tagged_addresses { lan { address = "1.2.3.4" port = 5 } }
        enable_tag_override = true meta { v = "1" } tags = ["a"] socket_path = ""
        checks = [{ ttl = "10s" }, { tcp = "localhost:80" interval = "5s" timeout = "1s" }]"#,
    )
    .unwrap();
    let own = ServiceDefinition::from_node(&node, "web.hcl").unwrap().resolve().unwrap().service;
    let body = resolved(
        r#"{"Name":"web","Port":80,"TaggedAddresses":{"lan":{"Address":"1.2.3.4","Port":5}},"EnableTagOverride":true,
        "Meta":{"v":"1"},"Tags":["a"],"Checks":[{"TTL":"10s"},{"TCP":"localhost:80","Interval":"5s","Timeout":"1s"}]}"#,
    );
    assert_eq!(own.service, body.service);
    let probes =
        |service: &LocalService| service.checks.iter().map(|check| check.probe.clone()).collect::<Vec<_>>();
    assert_eq!(probes(&own), probes(&body));
    let unknown =
        ServiceDefinition::from_node(&hcl::parse(r#"nmae = "web""#).unwrap(), "web.hcl").unwrap_err();
    assert!(unknown.to_string().starts_with("web.hcl:1:1: nmae: unknown key"), "{unknown}");
}

#[test]
fn a_file_goes_out_as_a_body_that_means_the_same() {
    // Blocks stand for lists here, as HCL has it; a body has lists.
    let node = hcl::parse(
        r#"name = "web" port = 80 token = "secret" meta { zero = "" } tags = "a" check { ttl = "10s" }
        weights { passing = 5 }
        connect { sidecar_service { proxy {
            config { handshake_timeout_ms = 0 }
            upstreams { destination_name = "db" local_bind_port = 9191 }
        } } }"#,
    )
    .unwrap();
    let own = ServiceDefinition::from_node(&node, "web.hcl").unwrap();
    let body = own.to_body();
    let expected = serde_json::json!({
        "Name": "web", "Port": 80, "Token": "secret", "Meta": {"zero": ""}, "Tags": ["a"], "Check": {"TTL": "10s"},
        "Weights": {"Passing": 5, "Warning": 1},
        "Connect": {"SidecarService": {"Proxy": {
            "Config": {"handshake_timeout_ms": 0},
            "Upstreams": [{"DestinationName": "db", "LocalBindPort": 9191}],
        }}},
    });
    assert_eq!(body, expected);
    let read = ServiceDefinition::decode(body.to_string().as_bytes()).unwrap();
    let (own, read) = (own.resolve().unwrap(), read.resolve().unwrap());
    let sidecar =
        |own: &LocalRegistration| own.sidecar.as_ref().map(|sidecar| sidecar.service().service.clone());
    assert_eq!(own.service.service, read.service.service);
    assert_eq!(sidecar(&own), sidecar(&read));
    let empty = hcl::parse(r#"name = "web" connect { sidecar_service {} }"#).unwrap();
    let body = ServiceDefinition::from_node(&empty, "web.hcl").unwrap().to_body();
    assert_eq!(body, serde_json::json!({"Name": "web", "Connect": {"SidecarService": {}}}));
    let named = hcl::parse(
        r#"name = "web" checks = [{ id = "a" ttl = "1s" }] connect { sidecar_service { check { id = "b" ttl = "1s" } } }"#,
    )
    .unwrap();
    let body = ServiceDefinition::from_node(&named, "web.hcl").unwrap().to_body();
    let check = |id: &str| serde_json::json!({"CheckID": id, "TTL": "1s"});
    assert_eq!(
        (&body["Checks"], &body["Connect"]["SidecarService"]["Check"]),
        (&serde_json::json!([check("a")]), &check("b")),
        "as Consul's agents take it"
    );
    let off = hcl::parse(r#"name = "web" check { h2ping = "a:1" h2ping_use_tls = false interval = "1s" }"#)
        .unwrap();
    let body = ServiceDefinition::from_node(&off, "web.hcl").unwrap().to_body();
    let check = serde_json::json!({"H2PING": "a:1", "H2PingUseTLS": false, "Interval": "1s"});
    assert_eq!(body, serde_json::json!({"Name": "web", "Check": check}), "a no where yes is usual");
}

#[test]
fn checks_get_ids_by_their_place() {
    let own = resolved(r#"{"Name":"web","Check":{"TTL":"10s"}}"#);
    assert_eq!(own.checks[0].id.as_str(), "service:web");
    assert_eq!(
        (own.checks[0].name.as_str(), own.checks[0].initial),
        ("Service 'web' check", CheckStatus::Critical)
    );
    let own = resolved(
        r#"{"Name":"web","Check":{"TTL":"10s","Status":"passing"},"Checks":[{"CheckID":"mine","AliasService":"db"},{"TTL":"1s"}]}"#,
    );
    let ids: Vec<_> = own.checks.iter().map(|check| check.id.as_str()).collect();
    assert_eq!(ids, ["service:web:1", "mine", "service:web:3"]);
    assert_eq!(own.checks[0].initial, CheckStatus::Passing);
    assert!(
        matches!(&own.checks[1].probe, Probe::Alias { node: None, service: Some(id) } if id.as_str() == "db")
    );
}

#[test]
fn intervals_and_timeouts_have_bounds() {
    let own = resolved(
        r#"{"Name":"web","Check":{"TCP":"[::1]:80","Interval":"10ms","DeregisterCriticalServiceAfter":"1s"}}"#,
    );
    // Shown as it is written; who makes the check raises it.
    let every = Every { interval: Duration::from_millis(10), timeout: Duration::ZERO };
    assert_eq!(own.checks[0].probe.every(), Some(every));
    assert_eq!(own.checks[0].deregister_after, Some(Duration::from_secs(60)));
}

#[track_caller]
fn check_refused(check: &str, status: u16, text: &str) {
    refused(&format!(r#"{{"Name":"web","Check":{check}}}"#), status, &format!("Invalid check: {text}"));
}

#[test]
fn checks_are_made_in_exactly_one_way() {
    check_refused(r#"{"Name":"c"}"#, 400, "TTL must be > 0 for TTL checks");
    check_refused(r#"{"TTL":"1s","Interval":"1s"}"#, 400, "Interval and TTL cannot both be specified");
    check_refused(
        r#"{"TTL":"1s","TCP":"a:1"}"#,
        400,
        "a check is made in exactly one way, not by TTL and TCP; keep one",
    );
    check_refused(
        r#"{"TCP":"a:1"}"#,
        400,
        "Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks",
    );
    check_refused(r#"{"TCP":"a","Interval":"1s"}"#, 400, "TCP: \"a\" is not host:port");
    check_refused(
        r#"{"TTL":"1s","Status":"fine"}"#,
        400,
        "Status for checks must 'passing', 'warning', 'critical'",
    );
    check_refused(
        r#"{"TTL":"1s","FailuresBeforeWarning":2,"FailuresBeforeCritical":1}"#,
        400,
        "FailuresBeforeWarning can't be higher than FailuresBeforeCritical",
    );
    check_refused(r#"{"TTL":"1s","OutputMaxSize":-1}"#, 400, "MaxOutputMaxSize must be positive");
}

#[track_caller]
fn check_probe(check: &str, expected: Probe) {
    let own = resolved(&format!(r#"{{"Name":"web","Check":{check}}}"#));
    assert_eq!(own.checks[0].probe, expected, "{check}");
}

#[test]
fn every_way_to_make_a_check_is_read() {
    let every = Every { interval: Duration::from_secs(5), timeout: Duration::from_secs(2) };
    let tls = |name: &str, skip_verify| Some(CheckTls { server_name: name.to_owned(), skip_verify });
    let address = "a:1".to_owned();
    check_probe(
        r#"{"HTTP":"https://a/","Method":"PUT","Header":{"X-Token":["1","2"]},"Body":"b","DisableRedirects":true,
            "TLSServerName":"n","TLSSkipVerify":true,"Interval":"5s","Timeout":"2s"}"#,
        Probe::Http {
            request: Box::new(CheckRequest {
                url: "https://a/".to_owned(),
                method: "PUT".to_owned(),
                header: [("X-Token".to_owned(), vec!["1".to_owned(), "2".to_owned()])].into(),
                body: "b".to_owned(),
                disable_redirects: true,
                tls: CheckTls { server_name: "n".to_owned(), skip_verify: true },
            }),
            every,
        },
    );
    check_probe(
        r#"{"TCP":"a:1","TCPUseTLS":true,"TLSServerName":"n","Interval":"5s","Timeout":"2s"}"#,
        Probe::Tcp { address: address.clone(), tls: tls("n", false), every },
    );
    check_probe(
        r#"{"UDP":"a:1","Interval":"5s","Timeout":"2s"}"#,
        Probe::Udp { address: address.clone(), every },
    );
    check_probe(
        r#"{"grpc":"a:1/some/thing","grpc_use_tls":true,"tls_skip_verify":true,"Interval":"5s","Timeout":"2s"}"#,
        Probe::Grpc { address: address.clone(), service: "some/thing".to_owned(), tls: tls("", true), every },
    );
    check_probe(
        r#"{"GRPC":"a:1","Interval":"5s","Timeout":"2s"}"#,
        Probe::Grpc { address: address.clone(), service: String::new(), tls: None, every },
    );
    check_probe(
        r#"{"H2PING":"a:1","Interval":"5s","Timeout":"2s"}"#,
        Probe::H2ping { address: address.clone(), tls: tls("", false), every },
    );
    check_probe(
        r#"{"h2ping":"a:1","h2ping_use_tls":false,"Interval":"5s","Timeout":"2s"}"#,
        Probe::H2ping { address, tls: None, every },
    );
    let args = vec!["x".to_owned(), "-y".to_owned()];
    for key in ["args", "ScriptArgs", "Args"] {
        check_probe(
            &format!(r#"{{"{key}":["x","-y"],"Interval":"5s","Timeout":"2s"}}"#),
            Probe::Script { args: args.clone(), every },
        );
    }
    check_probe(
        r#"{"DockerContainerID":"c","Args":["x","-y"],"Shell":"/bin/sh","Interval":"5s","Timeout":"2s"}"#,
        Probe::Docker { container: "c".to_owned(), args, shell: "/bin/sh".to_owned(), every },
    );
    check_probe(
        r#"{"OSService":"sshd","Interval":"5s","Timeout":"2s"}"#,
        Probe::OsService { name: "sshd".to_owned(), every },
    );
}

#[test]
fn a_request_in_a_file_keeps_the_spelling_of_its_fields() {
    let node = hcl::parse(
        r#"name = "c" http = "http://a" interval = "1s" header { X-Token = ["t"] "x_other" = ["o", "p"] }"#,
    )
    .unwrap();
    let spec = CheckDefinition::from_node(&node, "c.hcl").unwrap().resolve(CheckOwner::Itself).unwrap();
    let Probe::Http { request, .. } = spec.probe else { panic!("not HTTP") };
    let fields: Vec<_> = request.header.iter().map(|(name, values)| (name.as_str(), values.len())).collect();
    assert_eq!(fields, [("X-Token", 1), ("x_other", 2)]);
    assert!(!format!("{request:?}").contains("\"t\""), "what a field says is not told");
}

#[test]
fn a_check_with_an_interval_needs_one() {
    let text = "Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks";
    for check in [
        r#"{"HTTP":"http://a"}"#,
        r#"{"UDP":"a:1"}"#,
        r#"{"GRPC":"a:1"}"#,
        r#"{"H2PING":"a:1"}"#,
        r#"{"Args":["x"]}"#,
        r#"{"OSService":"x"}"#,
        r#"{"DockerContainerID":"x","Args":["x"]}"#,
    ] {
        check_refused(check, 400, text);
    }
    check_refused(
        r#"{"HTTP":"http://a","GRPC":"a:1","Interval":"1s"}"#,
        400,
        "a check is made in exactly one way, not by HTTP and gRPC; keep one",
    );
}

#[test]
fn a_check_of_its_own_needs_a_name() {
    let decode = |text: &str| CheckDefinition::decode(text.as_bytes()).unwrap();
    let own = decode(r#"{"Name":"disk","TTL":"1m","ServiceID":"web"}"#).resolve(CheckOwner::Itself).unwrap();
    assert_eq!((own.id.as_str(), own.service_id.as_ref().map(InstanceId::as_str)), ("disk", Some("web")));
    // Not even an id stands for it.
    for text in [r#"{"TTL":"1m"}"#, r#"{"ID":"disk","TTL":"1m"}"#] {
        let found = CheckDefinition::decode(text.as_bytes()).unwrap_err();
        assert_eq!(found.to_string(), "Missing check name", "{text}");
    }
    let found = CheckDefinition::decode(br#"{"Name":"disk","TTL":"1m","Status":"bad"}"#).unwrap_err();
    assert_eq!(found.to_string(), "Bad check status");
}

#[test]
fn the_default_of_several_ports_is_the_port() {
    let body = r#"{"Name":"web","Connect":{"SidecarService":{}},"Ports":[{"Name":"metrics","Port":9090},
        {"Name":"http","Port":8080,"Default":true},{"Name":"grpc","Port":8080}]}"#;
    let (service, sidecar) = expanded(body);
    assert_eq!(service.service.port, 8080);
    let named: Vec<_> = service.service.ports.iter().map(|port| (port.name.as_str(), port.port)).collect();
    assert_eq!(named, [("metrics", 9090), ("http", 8080), ("grpc", 8080)], "in the order given");
    assert_eq!(sidecar.service.proxy.unwrap().local_service_port, 8080);
    assert!(sidecar.service.ports.is_empty(), "they are its service's");
    let file = resolved(r#"{"Name":"web","Port":8080,"Ports":[{"Name":"http","Port":8080,"Default":true}]}"#);
    assert_eq!(
        (file.service.port, file.service.ports.len()),
        (8080, 1),
        "what answers show may be sent back"
    );
}

#[test]
fn services_that_cannot_be_are_refused() {
    refused("{}", 400, "Missing service name");
    refused(r#"{"Name":"web","Address":"0.0.0.0"}"#, 400, "Invalid service address");
    refused(r#"{"Name":"web","Address":"[::]"}"#, 400, "Invalid service address");
    let failed = "Validation failed: ";
    refused(
        r#"{"Name":"web","Port":70000}"#,
        400,
        &format!("{failed}Port: 70000 is not a port; use 0 to 65535"),
    );
    refused(
        r#"{"Name":"web","Kind":"x"}"#,
        400,
        &format!("{failed}Kind: \"x\" is not a kind of service; leave it out for an ordinary one"),
    );
    refused(
        r#"{"Name":"web","SocketPath":"/s","Port":1}"#,
        400,
        &format!("{failed}service web cannot have both socket path /s and address/port"),
    );
    refused(
        r#"{"Name":"web","Weights":{"Passing":0,"Warning":-1}}"#,
        400,
        &format!("{failed}Weights.Passing must be from 1 to 65535; Weights.Warning must be from 0 to 65535"),
    );
    refused(
        r#"{"Name":"web","Connect":{"Native":true}}"#,
        400,
        &format!("{failed}Port or SocketPath must be set for a Connect native service."),
    );
    refused(
        r#"{"Name":"web","Locality":{"Zone":"z"}}"#,
        400,
        &format!("{failed}Locality.Zone cannot be set without Locality.Region"),
    );
    refused(
        r#"{"Name":"web","Namespace":"team","Partition":"p"}"#,
        400,
        &format!(
            "{failed}Invalid Namespace(team): Namespaces is a Consul Enterprise feature; Invalid Partition(p): \
             Partitions is a Consul Enterprise feature"
        ),
    );
    let ports = |ports: &str, why: &str| {
        refused(&format!(r#"{{"Name":"web",{ports}}}"#), 400, &format!("{failed}{why}"));
    };
    let http = r#"{"Name":"http","Port":80,"Default":true}"#;
    ports(r#""Ports":[{"Name":"a","Port":1}]"#, "one of the Ports must be marked as Default");
    ports(
        &format!(r#""Ports":[{http},{{"Name":"http","Port":81}}]"#),
        r#"Ports.Name "http" has to be unique"#,
    );
    ports(&format!(r#""Ports":[{http},{{"Name":" ","Port":81}}]"#), "Ports.Name cannot be empty");
    ports(&format!(r#""Ports":[{http},{{"Name":"b"}}]"#), "Ports.Port must be non-zero");
    for port in ["70000", "-1"] {
        let body = format!(r#"{{"Name":"web","Ports":[{http},{{"Name":"b","Port":{port}}}]}}"#);
        let said = ServiceDefinition::decode(body.as_bytes()).unwrap_err().to_string();
        assert!(said.contains("Ports[1].Port: ") && said.contains(port), "{said}");
    }
    ports(
        &format!(r#""Ports":[{http},{{"Name":"b","Port":81,"Default":true}}]"#),
        "only one port can be marked as default",
    );
    ports(
        &format!(r#""Port":8080,"Ports":[{http}]"#),
        "Port and Ports cannot both be set; mark one of the Ports as Default instead",
    );
    ports(
        &format!(r#""SocketPath":"/s","Ports":[{http}]"#),
        "service web cannot have both socket path /s and address/port",
    );
    assert!(resolve(r#"{"Name":"web","Namespace":"default","Partition":"default"}"#).is_ok());
    assert!(resolve(r#"{"Name":"a/b"}"#).is_err() && resolve(r#"{"Name":"*"}"#).is_err());
}

#[track_caller]
fn meta_refused(key: &str, value: &str, why: &str) {
    let body = serde_json::json!({"Name": "web", "Meta": {key: value}}).to_string();
    let shown: String = key.chars().take(128).collect();
    refused(&body, 400, &format!("Validation failed: Meta: couldn't load metadata pair '{shown}': {why}"));
}

#[test]
fn metadata_is_bounded() {
    meta_refused("", "v", "Key cannot be blank");
    meta_refused("a b", "v", "Key contains invalid characters; letters, digits, '-' and '_' are allowed");
    meta_refused(&"k".repeat(129), "v", "Key is too long (limit: 128 characters)");
    meta_refused("consul-x", "v", "Key prefix 'consul-' is reserved for internal use");
    meta_refused("k", &"v".repeat(513), "Value is too long (limit: 512 characters)");
    let many: std::collections::BTreeMap<_, _> = (0..65).map(|i| (format!("k{i}"), "v")).collect();
    let body = serde_json::json!({"Name": "web", "Meta": many}).to_string();
    refused(&body, 400, "Validation failed: Meta cannot contain more than 64 key/value pairs");
}

#[track_caller]
fn proxy_refused(proxy: &str, status: u16, text: &str) {
    let body = format!(r#"{{"Name":"p","Kind":"connect-proxy","Port":1,"Proxy":{proxy}}}"#);
    refused(&body, status, &format!("Validation failed: {text}"));
}

#[test]
fn proxies_name_what_they_stand_before() {
    proxy_refused("{}", 400, "Proxy.DestinationServiceName must be non-empty for Connect proxy services");
    proxy_refused(
        r#"{"DestinationServiceName":" "}"#,
        400,
        "Proxy.DestinationServiceName must be non-empty for Connect proxy services",
    );
    proxy_refused(
        r#"{"DestinationServiceName":" *"}"#,
        400,
        "Proxy.DestinationServiceName must not be a wildcard for Connect proxy services",
    );
    proxy_refused(
        r#"{"DestinationServiceName":"*"}"#,
        400,
        "Proxy.DestinationServiceName must not be a wildcard for Connect proxy services",
    );
    proxy_refused(
        r#"{"DestinationServiceName":"web","Mode":"weird"}"#,
        400,
        "Proxy.Mode: \"weird\" is not a mode; use \"direct\" or \"transparent\", or leave it out",
    );
    for (field, what) in [
        (r#""EnvoyExtensions":[{}]"#, "Proxy.EnvoyExtensions"),
        (r#""AccessLogs":{"Enabled":true}"#, "Proxy.AccessLogs"),
    ] {
        let proxy = format!(r#"{{"DestinationServiceName":"web",{field}}}"#);
        proxy_refused(&proxy, 501, &format!("not available yet: {what}"));
    }
    refused(
        r#"{"Name":"p","Kind":"connect-proxy","Proxy":{"DestinationServiceName":"web"},"Connect":{"Native":true}}"#,
        400,
        "Validation failed: Port or SocketPath must be set for a connect-proxy; A Proxy cannot also be Connect \
         Native, only typical services",
    );
    refused(
        r#"{"Name":"g","Kind":"mesh-gateway","Proxy":{"LocalServicePort":1}}"#,
        400,
        "Validation failed: The Proxy.LocalServicePort configuration is invalid for a mesh-gateway; Port must be \
         non-zero for a mesh-gateway",
    );
}

#[test]
fn what_other_proxies_read_is_kept_as_it_was_written() {
    let proxy = r#"{"DestinationServiceName":"web","LocalServicePort":1,"Mode":"transparent",
        "TransparentProxy":{"OutboundListenerPort":15001,"DialedDirectly":true},"MeshGateway":{"Mode":"local"},
        "Expose":{"Checks":true,"Paths":[{"ListenerPort":2,"Path":"/h","LocalPathPort":1,"Protocol":"http2"}]}}"#;
    let body = format!(r#"{{"Name":"p","Kind":"connect-proxy","Port":1,"Proxy":{proxy}}}"#);
    let service = resolved(&body).service;
    let mut written: serde_json::Value = serde_json::from_str(proxy).unwrap();
    let in_catalog = CatalogProxy::from_model(service.proxy.as_ref());
    assert_eq!(serde_json::to_value(in_catalog).unwrap(), written);
    written["Expose"]["Paths"][0]["ParsedFromCheck"] = false.into();
    let at_agent = AgentProxy::from_model(service.kind, service.proxy.as_ref()).unwrap();
    assert_eq!(serde_json::to_value(at_agent).unwrap(), written);
}

#[test]
fn what_is_exposed_has_a_path_and_a_port_of_its_own() {
    let exposed = |paths: &str, text: &str| {
        proxy_refused(
            &format!(r#"{{"DestinationServiceName":"web","Expose":{{"Paths":[{paths}]}}}}"#),
            400,
            text,
        );
    };
    exposed(r#"{"ListenerPort":1}"#, "expose.paths: empty path exposed");
    exposed(r#"{"Path":"/a"}"#, "expose.paths: invalid listener port: 0");
    exposed(r#"{"Path":"/a","ListenerPort":70000}"#, "expose.paths: invalid listener port: 70000");
    exposed(
        r#"{"Path":"/a","ListenerPort":1},{"Path":"/b","ListenerPort":1}"#,
        "expose.paths: duplicate listener ports exposed",
    );
    exposed(
        r#"{"Path":"/a","ListenerPort":1,"Protocol":"tcp"}"#,
        "protocol 'tcp' not supported for path: /a, must be in: [http http2]",
    );
    proxy_refused(
        r#"{"DestinationServiceName":"web","MeshGateway":{"Mode":"odd"}}"#,
        400,
        "Proxy.MeshGateway.Mode: \"odd\" is not a mode; use none, local or remote",
    );
}

#[track_caller]
fn upstreams_refused(upstreams: &str, status: u16, text: &str) {
    proxy_refused(&format!(r#"{{"DestinationServiceName":"web","Upstreams":[{upstreams}]}}"#), status, text);
}

#[test]
fn upstreams_are_unique_and_complete() {
    upstreams_refused(r#"{"LocalBindPort":1}"#, 400, "upstream destination name cannot be empty");
    upstreams_refused(
        r#"{"DestinationName":"*","LocalBindPort":1}"#,
        400,
        "upstream destination name cannot be a wildcard",
    );
    upstreams_refused(
        r#"{"DestinationName":"db"}"#,
        400,
        "upstream local bind port or local socket path must be defined and nonzero",
    );
    upstreams_refused(
        r#"{"DestinationName":"db","LocalBindPort":1,"LocalBindSocketPath":"/s"}"#,
        400,
        "only one of upstream local bind port or local socket path can be defined and nonzero",
    );
    upstreams_refused(
        r#"{"DestinationName":"db","DestinationType":"x","LocalBindPort":1}"#,
        400,
        "unknown upstream destination type: \"x\"",
    );
    upstreams_refused(
        r#"{"DestinationName":"db","DestinationPeer":"p","Datacenter":"dc2","LocalBindPort":1}"#,
        400,
        "upstream cannot specify both destination peer and datacenter",
    );
    upstreams_refused(
        r#"{"DestinationName":"db","LocalBindPort":1},{"DestinationName":"db","LocalBindPort":2}"#,
        400,
        "upstreams cannot contain duplicates of db",
    );
    upstreams_refused(
        r#"{"DestinationName":"a","LocalBindPort":1},{"DestinationName":"b","LocalBindAddress":"127.0.0.1","LocalBindPort":1}"#,
        400,
        "upstreams cannot contain duplicates by local bind address and port or unix path; \"127.0.0.1:1\" is \
         specified twice",
    );
    upstreams_refused(
        r#"{"DestinationName":"a","DestinationNamespace":"n","LocalBindPort":1}"#,
        400,
        "Invalid DestinationNamespace(n): Namespaces is a Consul Enterprise feature",
    );
    let fine = r#"{"Name":"p","Kind":"connect-proxy","Port":1,"Proxy":{"DestinationServiceName":"web","Upstreams":[
        {"DestinationName":"db","LocalBindPort":1},{"DestinationName":"db","Datacenter":"dc2","LocalBindPort":2},
        {"DestinationName":"db","DestinationType":"prepared_query","LocalBindSocketPath":"/s"}]}}"#;
    assert_eq!(resolved(fine).service.proxy.unwrap().upstreams.len(), 3);
}

#[test]
fn a_sidecar_inherits_what_it_does_not_say() {
    let (service, sidecar) = expanded(
        r#"{"Name":"web","ID":"web1","Port":80,"Address":"10.0.0.5","Tags":["t"],"Meta":{"v":"1"},"Token":"tok",
        "Locality":{"Region":"r"},"Connect":{"SidecarService":{}}}"#,
    );
    assert!(service.sidecar_of.is_none() && service.service.proxy.is_none());
    let own = &sidecar.service;
    assert_eq!((own.id.as_str(), own.service.as_str()), ("web1-sidecar-proxy", "web-sidecar-proxy"));
    assert_eq!((own.port, own.address.as_str()), (21_000, "10.0.0.5"));
    assert_eq!(
        (&own.tags, &own.meta, &own.locality),
        (&service.service.tags, &service.service.meta, &service.service.locality)
    );
    let proxy = own.proxy.as_ref().unwrap();
    assert_eq!(proxy.destination_service.as_ref().unwrap().as_str(), "web");
    assert_eq!(proxy.destination_service_id.as_ref().unwrap().as_str(), "web1");
    assert_eq!((proxy.local_service_address.as_str(), proxy.local_service_port), ("127.0.0.1", 80));
    assert_eq!(sidecar.sidecar_of.as_ref().unwrap().as_str(), "web1");
    assert!(sidecar.token.unwrap().matches("tok"));
}

#[test]
fn a_sidecar_stands_for_its_service_as_that_is_written() {
    let (service, sidecar) = expanded(r#"{"Name":" web","Port":80,"Connect":{"SidecarService":{}}}"#);
    let destination = sidecar.service.proxy.unwrap().destination_service.unwrap();
    assert_eq!((destination.as_str(), &destination), (" web", &service.service.service));
}

#[test]
fn a_sidecar_has_default_checks() {
    let (_, sidecar) = expanded(r#"{"Name":"web","Port":80,"Connect":{"SidecarService":{}}}"#);
    let [listening, alias] = sidecar.checks.as_slice() else { panic!("two checks") };
    assert_eq!(
        (listening.id.as_str(), listening.name.as_str()),
        ("service:web-sidecar-proxy:1", "Connect Sidecar Listening")
    );
    assert!(matches!(&listening.probe, Probe::Tcp { address, every: Every { interval, .. }, .. }
        if address == "127.0.0.1:21000" && *interval == Duration::from_secs(10)));
    assert_eq!(
        (alias.id.as_str(), alias.name.as_str()),
        ("service:web-sidecar-proxy:2", "Connect Sidecar Aliasing web")
    );
    assert!(matches!(&alias.probe, Probe::Alias { service: Some(id), .. } if id.as_str() == "web"));
    let (_, own) =
        expanded(r#"{"Name":"web","Port":80,"Connect":{"SidecarService":{"Port":5,"Check":{"TTL":"1s"}}}}"#);
    assert_eq!((own.service.port, own.checks.len()), (5, 1));
}

#[test]
fn a_sidecar_of_a_socket_uses_the_socket() {
    let (_, sidecar) = expanded(r#"{"Name":"web","SocketPath":"/s","Connect":{"SidecarService":{}}}"#);
    let proxy = sidecar.service.proxy.unwrap();
    assert_eq!((proxy.local_service_socket_path.as_str(), proxy.local_service_address.as_str()), ("/s", ""));
}

#[track_caller]
fn sidecar_refused(sidecar: &str, text: &str) {
    let body = format!(r#"{{"Name":"web","Port":80,"Connect":{{"SidecarService":{sidecar}}}}}"#);
    refused(&body, 400, text);
}

#[test]
fn sidecars_that_cannot_be_are_refused() {
    sidecar_refused(
        r#"{"ID":"x"}"#,
        "Validation failed: A SidecarService cannot specify an ID as this is managed by the agent",
    );
    sidecar_refused(
        r#"{"Connect":{"SidecarService":{}}}"#,
        "Validation failed: A SidecarService cannot have a nested SidecarService",
    );
    sidecar_refused(
        r#"{"Kind":"mesh-gateway"}"#,
        "Validation failed: A SidecarService is a connect-proxy; leave out Kind \"mesh-gateway\"",
    );
    sidecar_refused(
        r#"{"Check":{}, "Checks":[{"Name":"c"}]}"#,
        "Invalid check in sidecar_service: TTL must be > 0 for TTL checks",
    );
    sidecar_refused(
        r#"{"Meta":{"consul-a":"b"}}"#,
        "Invalid SidecarService: Meta: couldn't load metadata pair 'consul-a': Key prefix 'consul-' is reserved for \
         internal use",
    );
    let open = resolve(r#"{"Name":"web","Port":80,"Connect":{"SidecarService":{}}}"#).unwrap();
    assert!(open.expand(|_| None).unwrap_err().to_string().contains("none left in the configured range"));
    refused(
        r#"{"Name":"p","Kind":"connect-proxy","Port":1,"Proxy":{"DestinationServiceName":"w"},"Connect":{"SidecarService":{}}}"#,
        400,
        "Validation failed: A connect-proxy cannot have a sidecar service defined",
    );
}

#[test]
fn the_lowest_free_port_is_picked_and_kept() {
    let id = |text: &str| InstanceId::parse(text).unwrap();
    let (a, b, own) = (id("a"), id("b"), id("own"));
    let pick = |taken: &[(&InstanceId, u16)]| lowest_free_port(21_000..=21_002, &own, taken.iter().copied());
    assert_eq!(pick(&[]), Some(21_000));
    assert_eq!(pick(&[(&a, 21_000), (&b, 80)]), Some(21_001));
    assert_eq!(pick(&[(&a, 21_000), (&own, 21_002)]), Some(21_002), "kept on re-registration");
    assert_eq!(pick(&[(&own, 99)]), Some(21_000), "outside of the range it is picked anew");
    assert_eq!(pick(&[(&a, 21_000), (&b, 21_001), (&a, 21_002)]), None);
}

#[test]
fn ids_too_long_for_their_checks_are_refused() {
    let name = "n".repeat(250);
    assert!(resolve(&format!(r#"{{"Name":"{name}","Check":{{"TTL":"1s"}}}}"#)).is_err());
    assert!(resolve(&format!(r#"{{"Name":"{name}","Connect":{{"SidecarService":{{}}}}}}"#)).is_err());
    let name = "n".repeat(235);
    let open =
        resolve(&format!(r#"{{"Name":"{name}","Port":1,"Connect":{{"SidecarService":{{}}}}}}"#)).unwrap();
    assert!(open.expand(|_| Some(1)).is_err());
}
