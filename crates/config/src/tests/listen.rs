//! Tests of the listeners: their addresses, their certificates, and what they demand of clients.

use super::{config, dev, loaded, refused, refused_with, server};
use crate::address::{ListenHost, Port};
use crate::section::TlsVersion;
use crate::{AgentFlags, Config};

#[test]
fn unix_sockets_stand_beside_addresses() {
    let own = config(
        "addresses { http = \"127.0.0.1 unix:///run/c.sock [::1]\" grpc = \"unix:g.sock\" } ports { grpc = 8502 }
         unix_sockets { user = \"consul\" group = \"20\" mode = \"0660\" }",
    );
    let written: Vec<String> = own.http.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(written, ["127.0.0.1", "unix:///run/c.sock", "::1"]);
    assert_eq!(own.grpc.addresses, [ListenHost::Unix("g.sock".to_owned())]);
    let sockets = own.unix_sockets;
    assert_eq!((sockets.user.as_deref(), sockets.group.as_deref()), (Some("consul"), Some("20")));
    assert_eq!(sockets.mode, Some(0o660));
    refused(
        "client_addr = \"unix:///run/c.sock\"\nunix_sockets { mode = \"rw\" }\naddresses { http = \"a b\" }",
        &[
            "a.hcl:1:1: client_addr cannot be a unix socket; name it in addresses.http or another of addresses",
            "a.hcl:2:16: unix_sockets.mode: invalid mode: rw; write it in octal, such as \"0660\"",
            "a.hcl:3:13: addresses.http: \"a\" is not an IP address",
            "a.hcl:3:13: addresses.http: \"b\" is not an IP address",
        ],
    );
    refused(
        "addresses { http = \"unix:///run/c.sock\" grpc = \"unix:/run/c.sock\" } ports { grpc = 8502 }",
        &[
            "a.hcl:1:77: ports.grpc: the socket /run/c.sock is already taken by ports.http; choose another one",
        ],
    );
    // A disabled listener uses no address.
    config("addresses { http = \"unix:///run/c.sock\" grpc = \"unix:/run/c.sock\" }");
}

#[test]
fn servers_of_a_mesh_take_proxies_on_this_machine_unless_something_else_is_said() {
    let grpc = |text: &str| {
        let own = config(text).grpc;
        let places: Vec<String> = own.addresses.iter().map(ToString::to_string).collect();
        (own.port, places.join(" "), own.asked_for)
    };
    let usual = (Port::At(8502), "127.0.0.1".to_owned(), false);
    assert_eq!(grpc("connect { enabled = true }"), usual);
    // Without TLS it is for this machine only, whatever the address of the API.
    assert_eq!(grpc("client_addr = \"0.0.0.0\""), usual);
    assert_eq!(grpc("addresses { grpc = \"127.0.0.2\" }"), (Port::At(8502), "127.0.0.2".to_owned(), false));
    let asked = (Port::At(8502), "0.0.0.0".to_owned(), true);
    assert_eq!(grpc("client_addr = \"0.0.0.0\" ports { grpc = 8502 }"), asked);
    for off in ["connect { enabled = false }", "ports { grpc = -1 }", FILES] {
        assert_eq!(grpc(off).0, Port::Off, "{off}");
    }
    // A listener that the operator configured gets the port.
    let own = warned(
        "ports { https = 8502 }",
        &server(),
        &[
            "a.hcl:1:9: nothing listens for proxies: their usual place is taken by ports.https; set ports.grpc to another port, or to -1",
            "a.hcl:1:9: ports.https: there is no certificate to present: every connection is refused until tls.https (or tls.defaults) names cert_file and key_file",
        ],
    );
    assert_eq!(own.grpc.port, Port::Off);
    let own = warned(
        "ports { http = 8503 }",
        &server(),
        &[
            "a.hcl:1:9: nothing listens for proxies under TLS: their usual place is taken by ports.http; set ports.grpc_tls to \
           another port, or to -1",
        ],
    );
    assert_eq!((own.grpc.port, own.grpc_tls.port), (Port::At(8502), Port::Off));
}

/// A certificate and authorities for all listeners.
const FILES: &str = "tls { defaults { ca_file = \"/ca\" cert_file = \"/cert\" key_file = \"/key\" } }";

#[track_caller]
fn warned(text: &str, flags: &AgentFlags, expected: &[&str]) -> Config {
    let own = loaded(&[("a.hcl", text)], flags);
    let warnings: Vec<_> = own.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, expected, "{text}");
    own.config
}

#[test]
fn what_a_block_does_not_say_stands_in_the_defaults() {
    let own = warned(
        "tls {
 defaults { ca_file = \"/ca\" cert_file = \"/cert\" key_file = \"/key\" verify_incoming = true tls_min_version = \"TLSv1_3\" }
 https { cert_file = \"/own\" key_file = \"/own-key\" tls_min_version = \"TLSv1_2\"
   tls_cipher_suites = \"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256\" }
 grpc { verify_incoming = false ca_file = \"\" } }
ports { https = 8501 grpc_tls = 8503 } addresses { https = \"127.0.0.1 unix:///s\" } limits { https_handshake_timeout = \"1s\" }",
        &server(),
        &[],
    );
    let (https, grpc) = (own.tls.https, own.tls.grpc);
    let (cert, key) = https.certificate().expect("both are named");
    assert_eq!((cert.path.as_str(), key.path.as_str()), ("/own", "/own-key"));
    assert_eq!((cert.key.as_str(), cert.origin.to_string().as_str()), ("tls.https.cert_file", "a.hcl:3:10"));
    assert_eq!(https.cipher_suites.len(), 2);
    assert!(https.verify_incoming && !grpc.verify_incoming && grpc.ca_file.is_none());
    assert_eq!((https.min_version, grpc.min_version), (TlsVersion::V1_2, TlsVersion::V1_3));
    let inherited = grpc.cert_file.expect("it is inherited");
    assert_eq!((inherited.path.as_str(), inherited.key.as_str()), ("/cert", "tls.defaults.cert_file"));
    assert_eq!((own.https.port, own.https.addresses.len()), (Port::At(8501), 2));
    assert_eq!(own.https.handshake_timeout.as_secs(), 1);
    // A server has Consul's port: for the certificate that is named, or for the one that its mesh signs.
    let tls = |text: &str| (config(text).grpc_tls.port, config(text).grpc_tls.asked_for);
    assert_eq!(tls(""), (Port::At(8503), false));
    assert_eq!(tls(FILES), (Port::At(8503), true));
    assert_eq!(tls("ports { grpc_tls = 8503 }"), (Port::At(8503), true));
    assert_eq!(tls("connect { enabled = false }").0, Port::Off);
    assert_eq!(config(&format!("{FILES} ports {{ grpc_tls = -1 }}")).grpc_tls.port, Port::Off);
    let picked = AgentFlags { ephemeral_ports: true, ..server() };
    assert_eq!(loaded(&[("a.hcl", FILES)], &picked).config.grpc_tls.port, Port::Pick);
}

#[test]
fn the_old_keys_of_tls_mean_those_of_today() {
    let own = warned(
        "ca_file = \"/ca\"
cert_file = \"/cert\"
key_file = \"/key\"
verify_incoming = true
tls_min_version = \"tls12\"
tls_prefer_server_cipher_suites = true
ports { https = 8501 }",
        &server(),
        &[
            "a.hcl:1:1: the key ca_file is deprecated; use tls.defaults.ca_file",
            "a.hcl:2:1: the key cert_file is deprecated; use tls.defaults.cert_file",
            "a.hcl:3:1: the key key_file is deprecated; use tls.defaults.key_file",
            "a.hcl:4:1: the key verify_incoming is deprecated; use tls.defaults.verify_incoming",
            "a.hcl:5:1: the key tls_min_version is deprecated; use tls.defaults.tls_min_version",
            "a.hcl:6:1: tls_prefer_server_cipher_suites has no effect: the suites of servers always come first",
        ],
    );
    assert!(own.tls.https.verify_incoming && own.tls.internal_rpc.verify_incoming);
    assert!(!own.tls.grpc.verify_incoming, "gRPC asked nobody when that key was made");
    assert_eq!(own.tls.https.cert_file.map(|file| file.path).as_deref(), Some("/cert"));
    // As a test harness writes it: only for RPC, whose certificate nobody presents yet.
    let own = warned(
        "ca_file = \"/ca\" cert_file = \"/cert\" key_file = \"/key\" verify_incoming_rpc = true verify_incoming_https = false",
        &server(),
        &[
            "a.hcl:1:1: the key ca_file is deprecated; use tls.defaults.ca_file",
            "a.hcl:1:17: the key cert_file is deprecated; use tls.defaults.cert_file",
            "a.hcl:1:37: the key key_file is deprecated; use tls.defaults.key_file",
            "a.hcl:1:55: the key verify_incoming_rpc is deprecated; use tls.internal_rpc.verify_incoming",
            "a.hcl:1:55: tls.internal_rpc.verify_incoming has no effect yet: there is no RPC between servers",
            "a.hcl:1:82: the key verify_incoming_https is deprecated; use tls.https.verify_incoming",
        ],
    );
    assert!(own.tls.internal_rpc.verify_incoming && !own.tls.https.verify_incoming);
}

#[test]
fn what_concerns_rpc_between_servers_is_told_once() {
    warned(
        "tls { defaults { verify_outgoing = true verify_server_hostname = true } internal_rpc { ca_file = \"/ca\" } }",
        &server(),
        &[
            "a.hcl:1:88: tls.internal_rpc.ca_file, tls.defaults.verify_outgoing, tls.defaults.verify_server_hostname have \
             no effect yet: there is no RPC between servers",
        ],
    );
    warned(
        "tls { defaults { verify_outgoing = false } internal_rpc { verify_server_hostname = false } }",
        &server(),
        &[],
    );
}

#[test]
fn nobody_is_asked_for_a_certificate_that_cannot_be_judged() {
    refused(
        "tls { defaults { verify_incoming = true } }",
        &[
            "a.hcl:1:18: tls.defaults.verify_incoming: callers of tls.internal_rpc, tls.https, tls.grpc must show a \
             certificate, but no authority is named; name one with ca_file there or in tls.defaults",
            "a.hcl:1:18: tls.defaults.verify_incoming: callers of tls.internal_rpc, tls.https, tls.grpc must show a \
             certificate, but no certificate is named; name it with cert_file and key_file there or in tls.defaults",
        ],
    );
    refused(
        "tls { https { verify_incoming = true ca_path = \"/ca\" cert_file = \"/cert\" } }",
        &[
            "a.hcl:1:15: tls.https.verify_incoming: callers of tls.https must show a certificate, but no certificate is \
             named; name it with cert_file and key_file there or in tls.defaults",
        ],
    );
}

#[test]
fn versions_and_suites_are_those_that_are_spoken() {
    let suites = |text: &str| format!("tls {{ https {{ tls_cipher_suites = \"{text}\" }} }}");
    refused(
        &suites("TLS_NONE,TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"),
        &["a.hcl:1:15: tls.https.tls_cipher_suites: invalid TLS cipher suites: TLS_NONE; use some of \
             TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, \
             TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, \
             TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"],
    );
    let own = warned(
        &suites("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
        &server(),
        &["a.hcl:1:15: tls.https.tls_cipher_suites: not spoken, for their encryption is not authenticated: \
           TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"],
    );
    assert_eq!(own.tls.https.cipher_suites, ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]);
    refused(
        "tls { https { tls_min_version = \"TLSv1_3\" tls_cipher_suites = \"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\" }
grpc { tls_min_version = \"1.2\" } }",
        &[
            "a.hcl:1:43: tls.https.tls_cipher_suites: TLS 1.3 cipher suites are not configurable; leave it out",
            "a.hcl:2:8: tls.grpc.tls_min_version: invalid TLS version: \"1.2\"; use TLSv1_2 or TLSv1_3",
        ],
    );
    let own = warned(
        "tls { defaults { tls_min_version = \"TLSv1_0\" } }",
        &server(),
        &["a.hcl:1:18: tls.defaults.tls_min_version: TLSv1_0 is not spoken; the least is TLSv1_2"],
    );
    assert_eq!(own.tls.grpc.min_version, TlsVersion::V1_2);
}

#[test]
fn keys_of_tls_stand_where_they_mean_something() {
    refused(
        "tls { grpc { verify_outgoing = true } https { verify_server_hostname = true use_auto_cert = true } }",
        &[
            "a.hcl:1:14: tls.grpc.verify_outgoing: verify_outgoing is not valid in tls.grpc: the agent calls nobody there; leave it out",
            "a.hcl:1:47: tls.https.verify_server_hostname: verify_server_hostname is only valid in tls.defaults and \
             tls.internal_rpc; move it there",
            "a.hcl:1:77: tls.https.use_auto_cert: use_auto_cert is only valid in tls.grpc; move it there",
        ],
    );
    assert!(warned("tls { grpc { use_auto_cert = true } }", &server(), &[]).tls.grpc.auto_cert);
}

#[test]
fn a_port_without_a_certificate_starts_and_is_told() {
    let own = warned(
        "ports { https = 8501 grpc_tls = 8503 } tls { https { cert_file = \"/cert\" } }",
        &server(),
        &[
            "a.hcl:1:9: ports.https: there is no certificate to present: every connection is refused until tls.https (or \
             tls.defaults) names cert_file and key_file",
            "a.hcl:1:54: tls.https.cert_file: it has no effect for tls.https without key_file",
        ],
    );
    assert_eq!((own.https.port, own.grpc_tls.port), (Port::At(8501), Port::At(8503)));
    refused(
        "ports { grpc_tls = 8503 } connect { enabled = false }",
        &[
            "a.hcl:1:9: ports.grpc_tls: there is no certificate to present: without the mesh (connect.enabled = false) a server \
             makes none for itself; name cert_file and key_file in tls.grpc, or set ports.grpc_tls to -1",
        ],
    );
    warned(&format!("{FILES} ports {{ grpc_tls = 8503 }} connect {{ enabled = false }}"), &server(), &[]);
}

#[test]
fn a_certificate_for_grpc_is_not_left_unused_beside_a_port_in_clear() {
    let text = "configuration: ports.grpc serves in clear though a certificate is named for gRPC; set ports.grpc_tls (8503 is \
                usual), or -1 if proxies are to attach in clear";
    refused_with(&[("a.hcl", FILES)], &dev(), &[text]);
    warned(&format!("{FILES} ports {{ grpc = 8502 grpc_tls = 8503 }}"), &server(), &[]);
    warned(&format!("{FILES} ports {{ grpc = 8502 grpc_tls = -1 }}"), &server(), &[]);
}

#[test]
fn n_162_tokens_in_clear_beyond_loopback_are_told() {
    let acl = "acl { enabled = true }\n";
    let told = |text: &str, expected: &[&str]| {
        warned(&format!("{acl}{text}"), &server(), expected);
    };
    told(
        "client_addr = \"0.0.0.0\" ports { grpc = 8502 }",
        &[
            "a.hcl:2:1: client_addr: the HTTP API listens at 0.0.0.0 in clear, beyond loopback: whoever sees the traffic has \
             the tokens in it; use ports.https there, and keep this one on loopback or off",
            "a.hcl:2:1: client_addr: gRPC listens at 0.0.0.0 in clear, beyond loopback: whoever sees the traffic has the \
             tokens in it; use ports.grpc_tls there, and keep this one on loopback or off",
        ],
    );
    told(
        "addresses { http = \"127.0.0.1 10.0.0.1\" }",
        &[
            "a.hcl:2:13: addresses.http: the HTTP API listens at 10.0.0.1 in clear, beyond loopback: whoever sees the traffic \
           has the tokens in it; use ports.https there, and keep this one on loopback or off",
        ],
    );
    told("client_addr = \"127.0.0.1 ::1\" addresses { http = \"unix:///s ::ffff:127.0.0.1\" }", &[]);
    told("client_addr = \"0.0.0.0\" ports { http = -1 }", &[]);
    warned("client_addr = \"0.0.0.0\"", &server(), &[]);
}
