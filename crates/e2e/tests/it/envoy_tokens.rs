//! Tokens whose keys a server has: real Envoys fetch them, over HTTP and HTTPS, and trust only the authority that the
//! entry names.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use concord_e2e::{Agent, Authority, World, all_answer, certificates};
use rustls::crypto::aws_lc_rs;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::envoy_routes::{Three, judge, write};
use crate::envoy_sidecar::{envoys_by_feeds, refused_nothing};

/// The key of the issuer `login`, for HS256.
const KEY: &str = "dGhlIGtleSBvZiB0aGUgaXNzdWVyIGluIHRoaXMgdGVzdCwgd2hpY2ggaXMgbG9uZyBlbm91Z2ggZm9yIGl0Li4";
/// Its token for the role `admin`, until the year 2100.
const ADMIN: &str = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiJsb2dpbiIsImV4cCI6NDEwMjQ0NDgwMCwicm9sZSI6I\
    mFkbWluIn0.PBOYcLU9UH8YSZax83Uj2GLEm51Smw8eIPhz51ohfjk";
/// Its token for the role `user`, until then.
const USER: &str = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiJsb2dpbiIsImV4cCI6NDEwMjQ0NDgwMCwicm9sZSI6I\
    nVzZXIifQ.ZjmbZd3xqjkJ75CsskPeDXLjqq8s3GFT5zU5uRPpah0";

/// A server that answers every request with the keys.
struct KeyServer {
    addr: SocketAddr,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    stop: AtomicBool,
    served: AtomicUsize,
}

impl KeyServer {
    /// Starts it, under TLS with a certificate if there is one.
    fn new(certificate: Option<&(PathBuf, PathBuf)>) -> Self {
        let tls = certificate.map(|files| Arc::new(server(files)));
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let addr = listener.local_addr().expect("a bound address");
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.stop.load(Ordering::SeqCst) {
                    return;
                }
                let (tls, shared) = (tls.clone(), Arc::clone(&shared));
                // The thread ends when Envoy, which the test owns, closes the connection.
                thread::spawn(move || serve(stream, tls, &shared));
            }
        });
        Self { addr, state, thread: Some(thread) }
    }

    fn served(&self) -> usize {
        self.state.served.load(Ordering::SeqCst)
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.addr);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn server((certificate, key): &(PathBuf, PathBuf)) -> ServerConfig {
    let chain = certificates(&std::fs::read(certificate).expect("a file"));
    let key = PrivateKeyDer::from_pem_file(key).expect("a key");
    ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("the key fits the certificate")
}

fn serve(stream: TcpStream, tls: Option<Arc<ServerConfig>>, state: &State) {
    match tls {
        None => answer(stream, state),
        Some(config) => {
            let Ok(connection) = ServerConnection::new(config) else { return };
            answer(StreamOwned::new(connection, stream), state);
        }
    }
}

fn answer(mut stream: impl Read + Write, state: &State) {
    let keys = json!({ "keys": [{ "kty": "oct", "alg": "HS256", "kid": "k", "k": KEY }] }).to_string();
    let (mut asked, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        asked.extend_from_slice(&buffer[..read]);
        if !asked.ends_with(b"\r\n\r\n") {
            continue;
        }
        asked.clear();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", keys.len());
        if stream.write_all(format!("{head}{keys}").as_bytes()).and_then(|()| stream.flush()).is_err() {
            return;
        }
        state.served.fetch_add(1, Ordering::SeqCst);
    }
}

/// Writes the issuer, whose keys are at this URL.
fn issuer(agent: &Agent, url: &str, trusted: Option<&Path>) {
    let mut cluster = json!({ "DiscoveryType": "STATIC" });
    if let Some(file) = trusted {
        cluster["TLSCertificates"] = json!({ "TrustedCA": { "Filename": file } });
    }
    let remote = json!({ "URI": url, "RequestTimeoutMs": 2000, "CacheDuration": "5m",
        "FetchAsynchronously": true, "JWKSCluster": cluster });
    let header = json!({ "Name": "authorization", "ValuePrefix": "Bearer " });
    write(
        agent,
        &json!({ "Kind": "jwt-provider", "Name": "login", "Issuer": "login",
        "JSONWebKeySet": { "Remote": remote }, "Locations": [{ "Header": header }] }),
    );
}

/// Demands a token for the role `admin`.
fn demand(agent: &Agent) {
    let claim = json!({ "Path": ["role"], "Value": "admin" });
    let jwt = json!({ "Providers": [{ "Name": "login", "VerifyClaims": [claim] }] });
    let all: Value = json!({ "PathPrefix": "/" });
    judge(
        agent,
        json!([
            { "Action": "allow", "HTTP": all, "JWT": jwt },
            { "Action": "deny", "HTTP": all },
        ]),
    );
}

fn status(three: &Three, token: Option<&str>) -> Option<u16> {
    let value = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<_> = value.iter().map(|value| ("authorization", value.as_str())).collect();
    three.ask("GET", "/", &headers).map(|told| told.status)
}

#[test]
fn envoys_fetch_the_keys_of_tokens_from_the_server_that_the_entry_names() {
    for (envoy, feed) in
        envoys_by_feeds("envoys_fetch_the_keys_of_tokens_from_the_server_that_the_entry_names")
    {
        let world = World::new();
        let agent = world.dev_agent("n1");
        let three = Three::start(&world, &agent, &envoy, feed);
        all_answer("a request goes through", Some(200), || status(&three, None));
        let plain = KeyServer::new(None);
        issuer(&agent, &format!("http://{}/keys", plain.addr), None);
        demand(&agent);
        all_answer("a token is demanded", Some(403), || status(&three, None));
        all_answer("a token is verified", Some(200), || status(&three, Some(ADMIN)));
        assert!(plain.served() > 0, "the keys were fetched");
        all_answer("another role is denied", Some(403), || status(&three, Some(USER)));
        let broken = ADMIN.replace("ey", "eY");
        all_answer("a broken token is denied", Some(403), || status(&three, Some(&broken)));

        // A server with a certificate of nobody who is trusted gives no keys.
        let (own, other) = (Authority::new(world.dir(), "own"), Authority::new(world.dir(), "other"));
        let secure = KeyServer::new(Some(&own.issue("keys")));
        let url = format!("https://{}/keys", secure.addr);
        issuer(&agent, &url, Some(&other.ca()));
        all_answer("no token is verified", Some(403), || status(&three, Some(ADMIN)));
        assert_eq!(secure.served(), 0, "nothing is asked of a stranger");
        issuer(&agent, &url, Some(&own.ca()));
        all_answer("a token is verified again", Some(200), || status(&three, Some(ADMIN)));
        assert!(secure.served() > 0, "the keys were fetched");
        refused_nothing(&agent, &three.envoys);
    }
}
