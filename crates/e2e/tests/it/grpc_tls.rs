//! gRPC over TLS without a certificate in the configuration: the mesh signs one for the server.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use concord_e2e::{
    Agent, AgentOptions, Authority, Echo, EnvoyProcess, HANG, Mesh, ProxyOptions, ProxyProcess, World,
    certificates, eventually, foreign, pick_port,
};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::ServerName;
use serde_json::{Value, json};

use crate::chains::rotate;
use crate::envoy_sidecar::envoys;

const TOLD: &str = "tls { grpc { use_auto_cert = true } }";

fn start(world: &World, hcl: &[&str]) -> Agent {
    let hcl = hcl.iter().map(|text| (*text).to_owned()).collect();
    world.agent("n1", AgentOptions { dev: true, hcl, ..AgentOptions::default() })
}

/// The name that the servers' certificates have.
fn servers_name(agent: &Agent) -> String {
    let roots = agent.http().get("/v1/connect/ca/roots").json();
    format!("server.dc1.peering.{}", roots["TrustDomain"].as_str().expect("a trust domain"))
}

/// The roots of the mesh, or only the active one.
fn roots(agent: &Agent, only_active: bool) -> String {
    let roots = agent.http().get("/v1/connect/ca/roots").json();
    let all = roots["Roots"].as_array().expect("roots").iter();
    let wanted = all.filter(|root| !only_active || root["Active"] == json!(true));
    wanted.filter_map(|root| root["RootCert"].as_str()).collect()
}

/// A handshake of a client that trusts these authorities and expects this name.
fn handshake(addr: SocketAddr, authorities: &str, name: &str) -> io::Result<()> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(certificates(authorities.as_bytes()));
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(store)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
    let client = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let socket = TcpStream::connect_timeout(&addr, Duration::from_secs(5))?;
    socket.set_read_timeout(Some(HANG))?;
    let mut stream = StreamOwned::new(client, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(())
}

/// `web` calls `api` at the returned address; nothing serves for them yet.
fn register(agent: &Agent) -> (Echo, Echo, SocketAddr) {
    let (api, web, port) = (Echo::new(), Echo::new(), pick_port());
    let own = [
        Mesh::service("api", api.addr(), json!([])),
        Mesh::service("web", web.addr(), json!([{ "DestinationName": "api", "LocalBindPort": port }])),
    ];
    for service in &own {
        agent.http().put("/v1/agent/service/register", service).ok();
    }
    (api, web, SocketAddr::from(([127, 0, 0, 1], port)))
}

#[track_caller]
fn carries(upstream: SocketAddr) {
    eventually("a message goes through", || {
        let mut stream = TcpStream::connect_timeout(&upstream, Duration::from_secs(5)).ok()?;
        stream.set_read_timeout(Some(HANG)).ok()?;
        Mesh::say(&mut stream).ok()
    });
}

fn sidecar(world: &World, agent: &Agent, envoy: &Path, service: &str) -> EnvoyProcess {
    let who = [format!("-sidecar-for={service}")];
    EnvoyProcess::start_asking(world, agent, envoy, &who, &[])
}

/// A counter of the Envoy's connection to the agent.
fn agent_stat(envoy: &EnvoyProcess, name: &str) -> u64 {
    let name = format!("cluster.local_agent.{name}");
    let answer = envoy.admin().try_send("GET", &format!("/stats?format=json&filter=^{name}$"), None);
    let told = answer.map_or(Value::Null, |answer| answer.json());
    told["stats"][0]["value"].as_u64().unwrap_or_default()
}

#[test]
fn envoys_attach_to_the_certificate_that_the_mesh_signs_and_follow_its_root() {
    for envoy in envoys("envoys_attach_to_the_certificate_that_the_mesh_signs_and_follow_its_root") {
        let world = World::new();
        let agent = start(&world, &[TOLD, "ports { grpc = -1 }"]);
        let (_api, _web, upstream) = register(&agent);
        let mut sidecars = ["api", "web"].map(|service| sidecar(&world, &agent, &envoy, service));
        sidecars.iter_mut().for_each(EnvoyProcess::await_ready);
        carries(upstream);
        assert!(sidecars.iter().all(|envoy| agent_stat(envoy, "ssl.handshake") > 0));
        let (first, name) = (roots(&agent, true), servers_name(&agent));
        rotate(&agent.http());
        let second = roots(&agent, true);
        assert_ne!(first, second);
        eventually("the port presents a certificate of the new root", || {
            handshake(agent.grpc_tls_addr(), &second, &name).ok()
        });
        // An Envoy that knows only the old root attaches anew, and so does one that begins now.
        handshake(agent.grpc_tls_addr(), &first, &name).expect("the new root is cross-signed by the old one");
        carries(upstream);
        let [_, web] = sidecars;
        drop(web);
        let mut web = sidecar(&world, &agent, &envoy, "web");
        web.await_ready();
        carries(upstream);
    }
}

#[test]
fn a_built_in_proxy_attaches_to_the_certificate_that_the_mesh_signs() {
    let world = World::new();
    let agent = start(&world, &[TOLD, "ports { grpc = -1 }"]);
    let (_api, _web, upstream) = register(&agent);
    let mut sidecars = ["api", "web"]
        .map(|service| ProxyProcess::start(&world, &agent.http_addr(), service, &ProxyOptions::default()));
    sidecars.iter_mut().for_each(ProxyProcess::await_ready);
    carries(upstream);
}

#[test]
fn the_own_certificate_is_presented_until_the_configuration_names_one() {
    let world = World::new();
    let authority = Authority::new(world.dir(), "own");
    let (cert, key) = authority.issue("server");
    let file = world.write("tls.hcl", "");
    let options = AgentOptions {
        dev: true,
        hcl: vec![format!("ports {{ grpc_tls = {} }}", pick_port())],
        args: vec![format!("-config-file={}", file.display())],
        ..AgentOptions::default()
    };
    let agent = world.agent("n1", options);
    let (mesh, name) = (roots(&agent, false), servers_name(&agent));
    let files = std::fs::read_to_string(authority.ca()).expect("a file");
    let at = agent.grpc_tls_addr();
    for name in [name.as_str(), "server.dc1.consul", "localhost", "127.0.0.1"] {
        eventually("it is presented", || handshake(at, &mesh, name).ok());
    }
    // It is told only to those who ask for it.
    assert_eq!(agent.http().get("/v1/agent/self").json()["xDS"]["Ports"]["TLS"], -1);
    handshake(at, &mesh, "other.example").expect_err("it has no such name");
    let text =
        format!("tls {{ grpc {{ cert_file = \"{}\" key_file = \"{}\" }} }}", cert.display(), key.display());
    std::fs::write(&file, text).expect("a file");
    agent.cli_ok(&["reload"]);
    handshake(at, &files, "localhost").expect("the configured one is presented");
    handshake(at, &mesh, &name).expect_err("its own is presented no more");
    std::fs::write(&file, "").expect("a file");
    agent.cli_ok(&["reload"]);
    handshake(at, &mesh, &name).expect("its own is presented again");
}

#[test]
fn n_341_a_client_refuses_a_server_of_another_authority_and_a_service_in_its_place() {
    let world = World::new();
    let agent = start(&world, &[TOLD]);
    let stranger = Authority::new(world.dir(), "other");
    let (at, name) = (agent.grpc_tls_addr(), servers_name(&agent));
    eventually("it is presented", || handshake(at, &roots(&agent, false), &name).ok());
    let other = std::fs::read_to_string(stranger.ca()).expect("a file");
    handshake(at, &other, &name).expect_err("another authority did not sign it");
    let (_api, _web, _) = register(&agent);
    let mut api = ProxyProcess::start(&world, &agent.http_addr(), "api", &ProxyOptions::default());
    api.await_ready();
    let port = agent.http().get("/v1/agent/service/api-sidecar-proxy").json()["Port"].as_u64();
    let in_place = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port.expect("a port")).expect("a port")));
    handshake(in_place, &roots(&agent, false), &name).expect_err("a service has no name of a server");
    let test = "n_341_a_client_refuses_a_server_of_another_authority_and_a_service_in_its_place";
    let Some(envoy) = foreign(test, "CONCORD_TEST_ENVOY", "envoy", &["--version"]) else { return };
    // Envoy finds the service's certificate signed by the authority that it trusts, but without the name.
    let who = ["-sidecar-for=web".to_owned(), format!("-grpc-addr=https://{in_place}")];
    let fooled = EnvoyProcess::start_asking(&world, &agent, &envoy, &who, &[]);
    eventually("Envoy refuses it for its name", || {
        (agent_stat(&fooled, "ssl.fail_verify_san") > 0).then_some(())
    });
}
