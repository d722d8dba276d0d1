//! Whole command lines against a scripted agent: what each flag changes, and what is refused.

use concord_client::testing::{Scripted, Seen};
use serde_json::{Value, json};

use crate::cli::testing::{Bench, Ran};

/// A leaf of an authority, both self-made; only its form matters here.
const CERTIFICATE: &str = include_str!("testing.pem");

const PROXY: &str = r#"{"Kind":"connect-proxy","ID":"web-sidecar-proxy","Service":"web-sidecar-proxy","Datacenter":"dc1",
    "Proxy":{"DestinationServiceName":"web","DestinationServiceID":"web-1",
    "Config":{"envoy_prometheus_bind_addr":"0.0.0.0:20200","envoy_stats_tags":["team=a"]}}}"#;
const INGRESS: &str =
    r#"{"Kind":"ingress-gateway","ID":"in-1","Service":"ingress","Datacenter":"dc1","Proxy":{"Config":{}}}"#;

fn agent(seen: &Seen) -> Scripted {
    let path = seen.target.split('?').next().unwrap_or_default();
    match path.strip_prefix("/v1/").unwrap_or_default() {
        "agent/self" => Scripted::ok(r#"{"xDS":{"Ports":{"Plaintext":8502,"TLS":-1}}}"#),
        "agent/services" => Scripted::ok(format!(r#"{{"web-sidecar-proxy":{PROXY},"in-1":{INGRESS}}}"#)),
        "agent/service/web-sidecar-proxy" => Scripted::ok(PROXY),
        "agent/service/in-1" | "agent/service/ingress-gateway" | "agent/service/edge" => {
            Scripted::ok(INGRESS)
        }
        "agent/service/mesh-gateway" => Scripted::ok(INGRESS.replace("ingress", "mesh")),
        "agent/service/plain" => Scripted::ok(r#"{"ID":"plain","Service":"plain"}"#),
        "catalog/node-services/n2" => {
            Scripted::ok(format!(r#"{{"Node":{{"Node":"n2","Datacenter":"dc2"}},"Services":[{PROXY}]}}"#))
        }
        "agent/service/register" => Scripted::ok(""),
        _ => Scripted::status(404, "not there"),
    }
}

fn run(words: &[&str]) -> Ran {
    let all: Vec<_> = ["connect", "envoy"].iter().chain(words).copied().collect();
    Bench::scripted(agent).run(&all)
}

/// The bootstrap that a command line prints.
#[track_caller]
fn printed(words: &[&str]) -> Value {
    let ran = run(&[&["-bootstrap"], words].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    serde_json::from_str(&ran.out).expect("a bootstrap")
}

#[track_caller]
fn refuses(words: &[&str], expected: &str) {
    let ran = run(&[&["-bootstrap"], words].concat());
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{ran:?}");
    assert!(ran.err.contains(expected), "{words:?}: {}", ran.err);
}

/// A value that a flag changes, without and with it.
#[track_caller]
fn changes(words: &[&str], pointer: &str, without: &Value, with: &Value) {
    let id = ["-proxy-id=web-sidecar-proxy"];
    let at = |own: Value| own.pointer(pointer).cloned().unwrap_or_default();
    let told = (at(printed(&id)), at(printed(&[&id, words].concat())));
    assert_eq!((&told.0, &told.1), (without, with), "{words:?}");
}

const AGENT: &str =
    "/static_resources/clusters/0/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address";

#[test]
fn a_sidecar_is_found_by_its_service_and_its_settings_count() {
    let told = printed(&["-sidecar-for", "WEB-1", "-token=5ecret"]);
    assert_eq!((&told["node"]["id"], &told["node"]["cluster"]), (&json!("web-sidecar-proxy"), &json!("web")));
    assert_eq!(told["static_resources"]["listeners"][0]["name"], "envoy_prometheus_metrics_listener");
    assert_eq!(told["stats_config"]["stats_tags"][0], json!({ "tag_name": "team", "fixed_value": "a" }));
    let shown = &told["dynamic_resources"]["ads_config"]["grpc_services"][0]["initial_metadata"];
    assert_eq!(shown, &json!([{ "key": "x-consul-token", "value": "5ecret" }]));
    assert_eq!(told.pointer(AGENT).expect("an address")["socket_address"]["port_value"], 8502);
    refuses(&["-sidecar-for=db"], "No sidecar proxy registered for db");
    let twice = Bench::scripted(|seen| match seen.target.starts_with("/v1/agent/services") {
        true => Scripted::ok(format!(r#"{{"a":{PROXY},"b":{}}}"#, PROXY.replace("web-sidecar", "other"))),
        false => agent(seen),
    });
    let ran = twice.run(&["connect", "envoy", "-bootstrap", "-sidecar-for=web-1"]);
    assert!(ran.err.contains("More than one sidecar proxy registered for web-1: "), "{ran:?}");
}

#[test]
fn each_flag_changes_what_it_names() {
    let port = |port: u16| json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } });
    changes(&["-admin-bind=127.0.0.1:19001"], "/admin/address", &port(19000), &port(19001));
    let log = "/admin/access_log/0/typed_config/path";
    changes(&["-admin-access-log-path=/l"], log, &json!("/dev/null"), &json!("/l"));
    changes(&["-grpc-addr=127.0.0.1:9000"], AGENT, &port(8502), &port(9000));
    changes(&["-grpc-addr=unix:///s"], AGENT, &port(8502), &json!({ "pipe": { "path": "/s" } }));
    changes(&["-node-name=n2"], "/node/metadata/node_name", &Value::Null, &json!("n2"));
    let listener = "/static_resources/listeners/0/name";
    changes(&["-no-central-config"], listener, &json!("envoy_prometheus_metrics_listener"), &Value::Null);
    let ready = ["-envoy-ready-bind-address=127.0.0.1", "-envoy-ready-bind-port=21000"];
    changes(&ready, "/static_resources/listeners/1/address", &Value::Null, &port(21000));
    let cluster = "/static_resources/clusters/1/name";
    changes(&["-prometheus-backend-port=20100"], cluster, &json!("self_admin"), &json!("prometheus_backend"));
    let route = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts/0/routes/0/match/path";
    changes(&["-prometheus-scrape-path=/m"], route, &json!("/metrics"), &json!("/m"));
    let count = |words: &[&str]| printed(words)["stats_config"]["stats_tags"].as_array().map_or(0, Vec::len);
    let id = "-proxy-id=web-sidecar-proxy";
    assert_eq!(count(&[id]) - count(&[id, "-omit-deprecated-tags"]), 9);
}

/// An agent whose mesh has signed its certificate for gRPC.
fn signed_by_the_mesh(seen: &Seen) -> Scripted {
    match seen.target.split('?').next().unwrap_or_default() {
        "/v1/agent/self" => Scripted::ok(
            r#"{"Config":{"Datacenter":"dc1"},"DebugConfig":{"GRPCTLSCertificate":"mesh"},
                "xDS":{"Ports":{"Plaintext":8502,"TLS":8503}}}"#,
        ),
        "/v1/agent/connect/ca/roots" => Scripted::ok(
            json!({ "TrustDomain": "abc.consul", "Roots": [{ "RootCert": CERTIFICATE }] }).to_string(),
        ),
        _ => agent(seen),
    }
}

#[test]
fn n_341_the_name_of_the_servers_is_demanded_where_the_mesh_signed_their_certificate() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("ca.pem");
    std::fs::write(&path, CERTIFICATE).expect("a file");
    let named = format!("-grpc-ca-file={}", path.display());
    let expected = json!([{ "san_type": "DNS", "matcher": { "exact": "server.dc1.peering.abc.consul" } }]);
    for words in [vec![], vec!["-grpc-addr=https://10.0.0.1:8503"], vec![named.as_str()]] {
        let all = [&["connect", "envoy", "-bootstrap", "-proxy-id=web-sidecar-proxy"], &words[..]].concat();
        let ran = Bench::scripted(signed_by_the_mesh).run(&all);
        assert_eq!(ran.code, 0, "{ran:?}");
        let told: Value = serde_json::from_str(&ran.out).expect("a bootstrap");
        let tls = &told["static_resources"]["clusters"][0]["transport_socket"]["typed_config"];
        let context = &tls["common_tls_context"]["validation_context"];
        assert_eq!(context["match_typed_subject_alt_names"], expected, "{words:?}");
        assert_eq!(context["trusted_ca"]["inline_string"], CERTIFICATE, "{words:?}");
        assert_eq!(tls["sni"], "server.dc1.peering.abc.consul");
    }
    // In clear nobody is trusted.
    let clear = ["connect", "envoy", "-bootstrap", "-proxy-id=web-sidecar-proxy", "-grpc-addr=10.0.0.1:8502"];
    let ran = Bench::scripted(signed_by_the_mesh).run(&clear);
    assert!(ran.code == 0 && !ran.out.contains("transport_socket"), "{ran:?}");
}

#[test]
fn tls_needs_an_authority_and_takes_the_nearest() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("ca.pem");
    std::fs::write(&path, CERTIFICATE).expect("a file");
    let (file, of) = (path.to_str().expect("UTF-8"), directory.path().to_str().expect("UTF-8"));
    let trusted =
        "/static_resources/clusters/0/transport_socket/typed_config/common_tls_context/validation_context";
    let context = |words: &[&str]| printed(words).pointer(trusted).cloned().unwrap_or_default();
    let base = ["-proxy-id=web-sidecar-proxy", "-grpc-addr=https://127.0.0.1:8503"];
    for flag in ["-grpc-ca-file", "-ca-file"] {
        let context = context(&[&base[..], &[flag, file]].concat());
        assert_eq!(context["trusted_ca"]["inline_string"], CERTIFICATE, "{flag}");
        assert_eq!(context.get("match_typed_subject_alt_names"), None, "{flag}");
    }
    assert_eq!(
        context(&[&base[..], &["-grpc-ca-path", of]].concat())["trusted_ca"]["inline_string"],
        CERTIFICATE
    );
    let named =
        context(&[&base[..], &["-grpc-ca-file", file, "-tls-server-name=server.dc1.consul"]].concat());
    assert_eq!(named["match_typed_subject_alt_names"][0]["matcher"]["exact"], "server.dc1.consul");
    let socket = ["-proxy-id=web-sidecar-proxy", "-grpc-addr=unix:///s"];
    assert_eq!(context(&socket), Value::Null);
    assert_eq!(
        context(&[&socket[..], &["-grpc-ca-file", file]].concat())["trusted_ca"]["inline_string"],
        CERTIFICATE
    );
    let empty = directory.path().join("empty.pem");
    std::fs::write(&empty, "").expect("a file");
    let flag = format!("-grpc-ca-file={}", empty.display());
    refuses(&[&base[..], &[flag.as_str()]].concat(), "no certificate authority was found");
}

/// Without an authority that is named, those of the machine count, and then the certificate must have the name.
#[test]
fn n_270_authorities_of_the_machine_are_not_enough_without_the_agents_name() {
    if concord_runtime::system_authorities().is_none() {
        return refuses(
            &["-proxy-id=web-sidecar-proxy", "-grpc-addr=https://127.0.0.1:1"],
            "no certificate authority",
        );
    }
    let told = printed(&["-proxy-id=web-sidecar-proxy", "-grpc-addr=https://127.0.0.1:1"]);
    let context = &told["static_resources"]["clusters"][0]["transport_socket"]["typed_config"]["common_tls_context"]
        ["validation_context"];
    let matcher = json!([{ "san_type": "IP_ADDRESS", "matcher": { "exact": "127.0.0.1" } }]);
    assert_eq!(context["match_typed_subject_alt_names"], matcher);
    assert!(
        context["trusted_ca"]["inline_string"].as_str().is_some_and(|pem| pem.contains("BEGIN CERTIFICATE"))
    );
}

#[test]
fn scraping_under_tls_needs_all_three_files() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("ca.pem"), CERTIFICATE).expect("a file");
    let of = format!("-prometheus-ca-path={}", directory.path().display());
    let id = "-proxy-id=web-sidecar-proxy";
    let files = ["-prometheus-cert-file=/c", "-prometheus-key-file=/k"];
    let secrets = |words: &[&str]| printed(words)["static_resources"]["secrets"].clone();
    let told = secrets(&[&[id, "-prometheus-ca-file=/a"], &files[..]].concat());
    assert_eq!(told[0]["tls_certificate"]["certificate_chain"]["filename"], "/c");
    assert_eq!(told[0]["tls_certificate"]["private_key"]["filename"], "/k");
    assert_eq!(told[1]["validation_context"]["trusted_ca"]["filename"], "/a");
    let told = secrets(&[&[id, of.as_str()], &files[..]].concat());
    assert_eq!(told[1]["validation_context"]["trusted_ca"]["inline_string"], CERTIFICATE);
    for lone in ["-prometheus-ca-file=/a", files[0], files[1]] {
        refuses(&[id, lone], "scraping under TLS needs");
    }
}

#[test]
fn gateways_are_found_by_their_kind_or_registered() {
    let told = printed(&["-gateway=ingress"]);
    assert_eq!((&told["node"]["id"], &told["node"]["cluster"]), (&json!("in-1"), &json!("ingress")));
    // It answers the check of its agent.
    let ready = &told["static_resources"]["listeners"][0];
    assert_eq!(
        (&ready["name"], &ready["address"]["socket_address"]["port_value"]),
        (&json!("envoy_ready_listener"), &json!(8443))
    );
    refuses(&["-gateway=terminating"], "No terminating-gateway services registered with this agent");

    let words = [
        "-bootstrap",
        "-gateway=ingress",
        "-register",
        "-service=edge",
        "-address=127.0.0.1:9443",
        "-wan-address=10.9.9.9:443",
        "-bind-address=public=0.0.0.0:9443",
        "-deregister-after-critical=1h",
    ];
    let ran = run(&words);
    assert_eq!(ran.code, 0, "{ran:?}");
    let registered = ran.asked.iter().find_map(|asked| asked.strip_prefix("PUT /v1/agent/service/register "));
    let registered: Value = serde_json::from_str(registered.expect("a registration")).expect("JSON");
    assert_eq!(
        registered,
        json!({
            "Kind": "ingress-gateway", "Name": "edge", "ID": "edge", "Address": "127.0.0.1", "Port": 9443,
            "TaggedAddresses": { "lan": { "Address": "127.0.0.1", "Port": 9443 }, "wan": { "Address": "10.9.9.9", "Port": 443 } },
            "Proxy": { "Config": {
                "envoy_gateway_no_default_bind": true,
                "envoy_gateway_bind_addresses": { "public": { "Address": "0.0.0.0", "Port": 9443 } },
            } },
            "Check": {
                "Name": "ingress-gateway listening", "TCP": "127.0.0.1:9443", "Interval": "10s", "DeregisterCriticalServiceAfter": "1h",
            },
        })
    );
}

#[test]
fn mesh_gateways_have_an_older_flag() {
    for flag in ["-mesh-gateway", "-gateway=mesh"] {
        let ran = run(&["-bootstrap", flag, "-register"]);
        assert!(ran.asked[0].contains(r#""Kind":"mesh-gateway","Name":"mesh-gateway""#), "{ran:?}");
        assert!(ran.asked[0].contains(r#""TCP":"127.0.0.1:8443""#), "{ran:?}");
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let id = "-proxy-id=web-sidecar-proxy";
    for (words, expected) in [
        (&[][..], "which proxy?"),
        (&["-node-name=n2", "-sidecar-for=web"], "-node-name needs -proxy-id"),
        (&["-register", id], "-register registers gateways alone"),
        (&["-register", "-gateway=mesh", id, "-node-name=n2"], "exclude each other"),
        (&["-mesh-gateway", "-gateway=mesh"], "-mesh-gateway is the older form"),
        (&["-gateway=other"], "expected api or ingress or mesh or terminating"),
        (&["-service=x", id], "-service describes a registration"),
        (&["-register", "-gateway=mesh", "-address=192.0.2.1:1"], "this machine has no address 192.0.2.1"),
        (&["-register", "-gateway=mesh", "-address=x"], "\"x\" is not ip[:port]"),
        (&["-register", "-gateway=mesh", "-bind-address=1.2.3.4:1"], "is not name=ip:port"),
        (&[id, "-envoy-ready-bind-port=1"], "needs -envoy-ready-bind-address"),
        (&[id, "-envoy-ready-bind-address=127.0.0.1"], "needs -envoy-ready-bind-port"),
        (&[id, "-prometheus-backend-port=70000"], "expected a port"),
        (&[id, "-admin-bind=19000"], "expected host:port"),
        (&["-proxy-id=plain"], "plain is neither a proxy nor a gateway"),
        (&["-proxy-id=nobody"], "No proxy registered with the agent as nobody"),
        (&["-proxy-id=nobody", "-node-name=n2"], "No proxy is registered as nobody on node n2"),
    ] {
        refuses(words, expected);
    }
}

#[test]
fn what_has_no_effect_is_told_and_steps_on_request() {
    let id = "-proxy-id=web-sidecar-proxy";
    let told = |words: &[&str]| run(&[&["-bootstrap", id], words].concat()).err;
    assert_eq!(told(&[]), "");
    assert!(told(&["-envoy-version=1.20.0"]).contains("-envoy-version has no effect"));
    assert!(told(&["-admin-access-log-path=/l"]).contains("is deprecated"));
    assert!(told(&["-enable-config-gen-logging"]).contains("bootstrap: it serves web in dc1"));
}

#[test]
fn access_logs_of_proxy_defaults_win() {
    let bench = Bench::scripted(|seen| match seen.target.starts_with("/v1/config/proxy-defaults/global") {
        true => Scripted::ok(
            r#"{"Kind":"proxy-defaults","Name":"global","AccessLogs":{"Enabled":true,"Type":"file","Path":"/log"}}"#,
        ),
        false => agent(seen),
    });
    let ran = bench.run(&[
        "connect",
        "envoy",
        "-bootstrap",
        "-proxy-id=web-sidecar-proxy",
        "-admin-access-log-path=/l",
    ]);
    let told: Value = serde_json::from_str(&ran.out).expect("a bootstrap");
    assert_eq!(told["admin"]["access_log"][0]["typed_config"]["path"], "/log");
    assert!(ran.err.contains("has no effect: proxy-defaults has access logs"), "{}", ran.err);
}

#[test]
fn a_token_that_may_not_ask_for_the_port_gets_the_usual_one() {
    let bench = Bench::scripted(|seen| match seen.target.starts_with("/v1/agent/self") {
        true => Scripted::status(403, "Permission denied: token lacks permission 'agent:read'"),
        false => agent(seen),
    });
    let ran = bench.run(&["connect", "envoy", "-bootstrap", "-proxy-id=web-sidecar-proxy"]);
    let told: Value = serde_json::from_str(&ran.out).expect("a bootstrap");
    assert_eq!(told.pointer(AGENT).expect("an address")["socket_address"]["port_value"], 8502);
    assert!(ran.err.contains("the usual one, 8502, is taken"), "{}", ran.err);
}

#[test]
fn a_program_that_cannot_be_run_is_named() {
    let started = |binary: &str| {
        let flag = format!("-envoy-binary={binary}");
        let ran = run(&["-proxy-id=web-sidecar-proxy", "-grpc-addr=127.0.0.1:1", &flag]);
        assert_eq!(ran.code, 1, "{ran:?}");
        ran.err
    };
    assert!(started("/nowhere/envoy").contains("cannot ask /nowhere/envoy for its version"));
    assert!(started("/bin/true").contains("/bin/true --version names no version"));
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("envoy");
    std::fs::write(&path, "#!/bin/sh\necho 'envoy version: abc/1.27.3/Clean/RELEASE/x'\n").expect("a file");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a mode");
    let err = started(path.to_str().expect("UTF-8"));
    assert!(err.contains("Envoy version 1.27.3 is not supported: 1.28 is the oldest that is"), "{err}");
    assert!(err.contains("Warning: nothing answers where Envoy gets its configuration"), "{err}");
}
