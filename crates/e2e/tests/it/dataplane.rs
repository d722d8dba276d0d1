//! consul-dataplane, built outside of this project from its public repository and named by `CONCORD_TEST_DATAPLANE`:
//! with ACLs and TLS, against a server, for proxies on a node without an agent.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use concord_e2e::{
    Agent, AgentOptions, Authority, Echo, Feed, Http, Mesh, Process, World, all_answer, eventually, figure,
    foreign, pick_port, skip,
};
use serde_json::json;

use crate::envoy_sidecar::envoys;

/// The management token.
const ROOT: &str = "8a1f3b52-0c5d-4e0e-9d64-6b2d8d0f7c11";

/// The program; its absence is reported.
fn dataplane(test: &str) -> Option<PathBuf> {
    // It is never looked for on the path: whoever has it says so.
    let named = std::env::var_os("CONCORD_TEST_DATAPLANE");
    if named.is_none() {
        skip(test, "consul-dataplane is not named by CONCORD_TEST_DATAPLANE");
        return None;
    }
    foreign(test, "CONCORD_TEST_DATAPLANE", "consul-dataplane", &["--version"])
}

/// A server with ACLs that serves gRPC under TLS.
fn server(world: &World, authority: &Authority) -> Agent {
    let (cert, key) = authority.issue("server");
    let hcl = vec![
        format!("ports {{ grpc_tls = {} }}", pick_port()),
        format!("tls {{ grpc {{ cert_file = \"{}\" key_file = \"{}\" }} }}", cert.display(), key.display()),
        format!(
            "acl {{ enabled = true default_policy = \"deny\" tokens {{ initial_management = \"{ROOT}\" agent = \"{ROOT}\" }} }}"
        ),
    ];
    world.agent("n1", AgentOptions { dev: true, hcl, ..AgentOptions::default() })
}

/// A token that may be this service and find others.
fn token(http: &Http, service: &str) -> String {
    let rules = format!(
        "service \"{service}\" {{ policy = \"write\" }} service \"{service}-sidecar-proxy\" {{ policy = \"write\" }}
         service_prefix \"\" {{ policy = \"read\" }} node_prefix \"\" {{ policy = \"read\" }}"
    );
    http.put("/v1/acl/policy", &json!({ "Name": service, "Rules": rules })).ok();
    let token = http.put("/v1/acl/token", &json!({ "Policies": [{ "Name": service }] })).json();
    token["SecretID"].as_str().expect("a secret").to_owned()
}

/// What one dataplane is started with.
struct Start<'a> {
    program: &'a Path,
    envoy: &'a Path,
    agent: &'a Agent,
    authority: &'a Authority,
}

impl Start<'_> {
    fn sidecar(&self, world: &World, service: &str, more: &[String]) -> Process {
        let mut command = Command::new(self.program);
        let port = self.agent.grpc_tls_addr().port();
        command.args(["-addresses=127.0.0.1", "-tls-server-name=localhost", "-log-level=debug"]);
        command.arg(format!("-grpc-port={port}")).arg(format!("-ca-certs={}", self.authority.ca().display()));
        command.args(["-service-node-name=edge", &format!("-proxy-service-id={service}-sidecar-proxy")]);
        command.arg(format!("-envoy-executable-path={}", self.envoy.display()));
        for flag in ["envoy-admin-bind-port", "graceful-port", "telemetry-prom-merge-port"] {
            command.arg(format!("-{flag}={}", pick_port()));
        }
        command.args(["-envoy-concurrency=1", "-envoy-drain-time-seconds=2"]).args(more);
        let log = world.path(&format!("dataplane-{service}-{port}-{}.log", more.len()));
        Process::start(&format!("consul-dataplane of {service}"), &mut command, &log)
    }
}

fn with_token(token: &str) -> Vec<String> {
    vec!["-credential-type=static".to_owned(), format!("-static-token={token}")]
}

fn call(upstream: SocketAddr) -> std::io::Result<()> {
    let mut stream = std::net::TcpStream::connect_timeout(&upstream, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    Mesh::say(&mut stream)
}

#[test]
fn consul_dataplane_carries_what_intentions_allow() {
    let test = "consul_dataplane_carries_what_intentions_allow";
    let Some(program) = dataplane(test) else { return };
    for envoy in envoys(test) {
        let world = World::new();
        let authority = Authority::new(world.dir(), "own");
        let agent = server(&world, &authority);
        let http = agent.http().with_token(ROOT);
        let (api, web, port) = (Echo::new(), Echo::new(), pick_port());
        Feed::Catalog.register(&http, &Mesh::service("api", api.addr(), json!([])));
        let upstreams = json!([{ "DestinationName": "api", "LocalBindPort": port }]);
        Feed::Catalog.register(&http, &Mesh::service("web", web.addr(), upstreams));
        let intention = |action: &str| {
            let path = "/v1/connect/intentions/exact?source=web&destination=api";
            http.put(path, &json!({ "Action": action })).ok();
        };
        intention("allow");
        let start = Start { program: &program, envoy: &envoy, agent: &agent, authority: &authority };
        let sidecars: Vec<Process> = ["api", "web"]
            .map(|service| start.sidecar(&world, service, &with_token(&token(&http, service))))
            .into();
        let upstream = SocketAddr::from(([127, 0, 0, 1], port));
        let began = Instant::now();
        eventually("a message goes through", || {
            let tails = || sidecars.iter().map(Process::tail).collect::<Vec<_>>().join("\n");
            assert!(began.elapsed() < Duration::from_secs(60), "{}", tails());
            call(upstream).ok()
        });
        figure("consul-dataplane, start to the first message", began.elapsed().as_secs_f64() * 1e3, "ms");
        intention("deny");
        all_answer("new connections are refused", true, || call(upstream).is_err());
        let bytes = api.bytes();
        (0..10).for_each(|_| assert!(call(upstream).is_err(), "nothing comes back"));
        assert_eq!(api.bytes(), bytes, "not a byte reaches the service");
        intention("allow");
        all_answer("a message goes through again", true, || call(upstream).is_ok());
    }
}

#[test]
fn consul_dataplane_is_told_what_it_may_not_and_what_there_is_not() {
    let test = "consul_dataplane_is_told_what_it_may_not_and_what_there_is_not";
    let Some(program) = dataplane(test) else { return };
    let Some(envoy) = envoys(test).into_iter().next() else { return };
    let world = World::new();
    let authority = Authority::new(world.dir(), "own");
    let agent = server(&world, &authority);
    let http = agent.http().with_token(ROOT);
    let web = Echo::new();
    Feed::Catalog.register(&http, &Mesh::service("web", web.addr(), json!([])));
    let start = Start { program: &program, envoy: &envoy, agent: &agent, authority: &authority };
    let says = |more: &[String], expected: &str| {
        let sidecar = start.sidecar(&world, "web", more);
        eventually(expected, || sidecar.log().contains(expected).then_some(()));
    };
    says(&with_token("00000000-0000-4000-8000-000000000000"), "Unauthenticated");
    // It may read the proxy, and so start Envoy, which gets nothing then.
    says(&with_token(&token(&http, "other")), "Permission denied");
    let login = ["-credential-type=login", "-login-auth-method=k8s", "-login-bearer-token=x"];
    says(&login.map(str::to_owned), "ACL auth methods are not built");
}
