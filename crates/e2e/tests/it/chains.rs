//! Our certificates verified by others: OpenSSL, Go's crypto/x509, Python's cryptography and ssl. Programs in other
//! languages serve and dial TLS with a leaf which they fetched over HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use concord_e2e::{
    Agent, Go, HANG, Http, Mesh, ProxyOptions, World, eventually, foreign, go_program, pick_port, ran, skip,
    source_dir,
};
use serde_json::{Value, json};

/// A program in another language with the three verbs `verify`, `serve` and `dial`.
pub(crate) struct Speaker {
    program: PathBuf,
    first: Vec<PathBuf>,
}

impl Speaker {
    pub(crate) fn go(test: &str, world: &World) -> Option<Self> {
        let go = foreign(test, "CONCORD_TEST_GO", "go", &["version"])?;
        match go_program(&Go(go), "tls", world.dir()) {
            Ok(program) => Some(Self { program, first: Vec::new() }),
            Err(why) => {
                skip(test, &format!("the Go program does not build: {why}"));
                None
            }
        }
    }

    pub(crate) fn python(test: &str) -> Option<Self> {
        let probe = ["-c", "import cryptography.x509.verification, ssl"];
        let program = foreign(test, "CONCORD_TEST_PYTHON", "python3", &probe)?;
        Some(Self { program, first: vec![source_dir("python").join("mesh.py")] })
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.first).args(words).stdin(Stdio::null());
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> String {
        let output = self.command(words).output().expect("it starts");
        ran(&format!("{} {}", self.program.display(), words.join(" ")), &output)
    }
}

/// Files of a leaf: the chain, the key, and the chain's parts, which are the leaf and its intermediates.
struct Files {
    chain: String,
    key: String,
    leaf: String,
    between: String,
    roots: String,
    uri: String,
}

impl Files {
    fn of(world: &World, http: &Http, service: &str, name: &str) -> Self {
        let leaf = http.get(&format!("/v1/agent/connect/ca/leaf/{service}")).json();
        let roots = http.get("/v1/agent/connect/ca/roots").json();
        let text = |key: &str| leaf[key].as_str().expect("a text").to_owned();
        let chain = text("CertPEM");
        const END: &str = "-----END CERTIFICATE-----\n";
        let cut = chain.find(END).expect("a certificate") + END.len();
        let all: String = roots["Roots"]
            .as_array()
            .expect("roots")
            .iter()
            .map(|root| root["RootCert"].as_str().expect("a certificate"))
            .collect();
        let write = |what: &str, text: &str| {
            world.write(&format!("{name}-{what}.pem"), text).to_str().expect("a path").to_owned()
        };
        Self {
            chain: write("chain", &chain),
            key: write("key", &text("PrivateKeyPEM")),
            leaf: write("leaf", &chain[..cut]),
            between: write("between", &chain[cut..]),
            roots: write("roots", &all),
            uri: text("ServiceURI"),
        }
    }
}

/// Changes the curve of the CA's key, which creates a new root, and waits until that root is active.
pub(crate) fn rotate(http: &Http) -> String {
    let before = http.get("/v1/connect/ca/roots").json()["ActiveRootID"].clone();
    let config = http.get("/v1/connect/ca/configuration").json();
    let bits = if config["Config"]["PrivateKeyBits"] == json!(384) { 256 } else { 384 };
    let mut settings = config["Config"].as_object().cloned().unwrap_or_default();
    settings.insert("PrivateKeyType".to_owned(), json!("ec"));
    settings.insert("PrivateKeyBits".to_owned(), json!(bits));
    let body = json!({ "Provider": "consul", "Config": settings });
    http.put("/v1/connect/ca/configuration", &body).ok();
    eventually("the new root is active", || {
        let roots = http.get("/v1/connect/ca/roots").json();
        (roots["ActiveRootID"] != before).then_some(())?;
        Some(roots["ActiveRootID"].as_str()?.to_owned())
    })
}

/// Waits until `web` has a new leaf.
fn renewed(agent: &Agent, old: &Value) {
    eventually("the leaf is issued anew", || {
        let leaf = agent.http().get("/v1/agent/connect/ca/leaf/web").json();
        (leaf["SerialNumber"] != old["SerialNumber"]).then_some(())
    });
}

/// Verifies a chain before a rotation and one after it, each with the roots of both moments.
#[track_caller]
fn verify_through_a_rotation(world: &World, verify: impl Fn(&Files, &str)) {
    let agent = world.dev_agent("n1");
    let http = agent.http();
    let before = Files::of(world, &http, "web", "before");
    verify(&before, &before.roots);
    let old = http.get("/v1/agent/connect/ca/leaf/web").json();
    rotate(&http);
    renewed(&agent, &old);
    let after = Files::of(world, &http, "web", "after");
    verify(&after, &after.roots);
    // The old leaf verifies with both roots, and the new leaf verifies with only the old root.
    verify(&before, &after.roots);
    verify(&after, &before.roots);
}

#[test]
fn openssl_verifies_chains_before_and_after_a_rotation() {
    const TEST: &str = "openssl_verifies_chains_before_and_after_a_rotation";
    let Some(openssl) = foreign(TEST, "CONCORD_TEST_OPENSSL", "openssl", &["version"]) else { return };
    let world = World::new();
    let openssl_verify = |leaf: &Files, roots: &str, purpose: &str| {
        let mut command = Command::new(&openssl);
        command.args(["verify", "-x509_strict", "-purpose", purpose, "-CAfile", roots]);
        if std::fs::metadata(&leaf.between).is_ok_and(|file| file.len() > 0) {
            command.args(["-untrusted", &leaf.between]);
        }
        command.arg(&leaf.leaf).output().expect("openssl starts")
    };
    verify_through_a_rotation(&world, |leaf, roots| {
        for purpose in ["sslserver", "sslclient"] {
            ran("openssl verify", &openssl_verify(leaf, roots, purpose));
        }
    });
    // The check can fail: it refuses a leaf of another cluster.
    let stranger = world.dev_agent("stranger");
    let other = Files::of(&world, &stranger.http(), "web", "stranger");
    let here = world.path("before-roots.pem");
    let refused = openssl_verify(&other, here.to_str().expect("a path"), "sslserver");
    assert!(!refused.status.success());
}

fn speaker_verifies(speaker: &Speaker, world: &World) {
    verify_through_a_rotation(world, |leaf, roots| {
        assert_eq!(speaker.run(&["verify", roots, &leaf.chain]).trim(), leaf.uri);
    });
    let stranger = world.dev_agent("stranger");
    let other = Files::of(world, &stranger.http(), "web", "stranger");
    let here = world.path("before-roots.pem");
    let refused = speaker.command(&["verify", here.to_str().expect("a path"), &other.chain]).output();
    assert!(!refused.expect("it starts").status.success(), "the check can fail");
}

#[test]
fn go_verifies_chains_before_and_after_a_rotation() {
    let world = World::new();
    let Some(go) = Speaker::go("go_verifies_chains_before_and_after_a_rotation", &world) else { return };
    speaker_verifies(&go, &world);
}

#[test]
fn python_verifies_chains_before_and_after_a_rotation() {
    let world = World::new();
    let Some(python) = Speaker::python("python_verifies_chains_before_and_after_a_rotation") else { return };
    speaker_verifies(&python, &world);
}

/// A child process which ends with its owner.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A leaf of `web` dials the sidecar of `api`; a leaf of `native` serves the sidecar of `web`.
fn speaks_with_the_mesh(speaker: &Speaker, world: &World) {
    let agent = world.dev_agent("n1");
    let http = agent.http();
    let upstream = pick_port();
    let more = json!([{ "DestinationName": "native", "LocalBindPort": upstream }]);
    let mesh = Mesh::start_with(world, &agent, &ProxyOptions::default(), more);

    let web = Files::of(world, &http, "web", "web");
    let api = web.uri.replace("/svc/web", "/svc/api");
    let public = mesh.api_sidecar.public().to_string();
    let said = speaker.run(&["dial", &public, &web.chain, &web.key, &web.roots, &api, "hello mesh"]);
    assert_eq!(said.trim().replace("TLS 1.3", "TLSv1.3"), "TLSv1.3 hello mesh");

    let native = Files::of(world, &http, "native", "native");
    let mut server = speaker
        .command(&["serve", &native.chain, &native.key, &native.roots, &web.uri])
        .stdout(Stdio::piped())
        .spawn()
        .map(Server)
        .expect("it starts");
    let mut lines = BufReader::new(server.0.stdout.take().expect("its output"));
    let mut address = String::new();
    lines.read_line(&mut address).expect("it says where it listens");
    let port: u16 = address.trim().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let definition =
        json!({ "Name": "native", "Address": "127.0.0.1", "Port": port, "Connect": { "Native": true } });
    http.put("/v1/agent/service/register", &definition).ok();
    eventually("web reaches native", || {
        let mut stream = TcpStream::connect(("127.0.0.1", upstream)).ok()?;
        stream.set_read_timeout(Some(HANG)).ok()?;
        stream.write_all(b"hello native").ok()?;
        let mut back = [0u8; 12];
        stream.read_exact(&mut back).ok()?;
        assert_eq!(&back, b"hello native");
        Some(())
    });
    refused_when_denied(speaker, &http, &mesh, &web, &api);
}

/// The counterpart: once an intention denies, the same dial returns nothing.
fn refused_when_denied(speaker: &Speaker, http: &Http, mesh: &Mesh, web: &Files, api: &str) {
    let before = mesh.api.connections();
    let path = "/v1/connect/intentions/exact?source=web&destination=api";
    http.put(path, &json!({ "Action": "deny" })).ok();
    let public = mesh.api_sidecar.public().to_string();
    eventually("the dial is refused", || {
        let dialled =
            speaker.command(&["dial", &public, &web.chain, &web.key, &web.roots, api, "hello"]).output();
        (!dialled.expect("it starts").status.success()).then_some(())
    });
    let settled = mesh.api.connections();
    let dialled =
        speaker.command(&["dial", &public, &web.chain, &web.key, &web.roots, api, "hello"]).output();
    assert!(!dialled.expect("it starts").status.success());
    assert_eq!(mesh.api.connections(), settled, "was {before} before the denial");
}

#[test]
fn go_dials_and_serves_the_mesh_with_a_leaf_fetched_over_http() {
    let world = World::new();
    let test = "go_dials_and_serves_the_mesh_with_a_leaf_fetched_over_http";
    let Some(go) = Speaker::go(test, &world) else { return };
    speaks_with_the_mesh(&go, &world);
}

#[test]
fn python_dials_and_serves_the_mesh_with_a_leaf_fetched_over_http() {
    let world = World::new();
    let test = "python_dials_and_serves_the_mesh_with_a_leaf_fetched_over_http";
    let Some(python) = Speaker::python(test) else { return };
    speaks_with_the_mesh(&python, &world);
}
