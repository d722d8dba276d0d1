//! The test environment: server, agent and HTTP on a loopback port, and a client that sends exact requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use concord_agent::{Agent, AgentConfig};
use concord_ca::OsKeys;
use concord_ca::provider::means::Inline;
use concord_ca::seal::Kek;
use concord_config::section::Level;
use concord_config::section::{AclSection, Role};
use concord_front::http::context::{LogLines, LogSource};
use concord_front::http::{Ctx, Http, Settings, routes};
use concord_front::{Socket, grpc};
use concord_mesh::intention::DefaultPolicy as IntentionDefault;
use concord_model::intention::Action;
use concord_model::{Datacenter, NodeName, Secret, Uuid};
use concord_raft::{RaftConfig, Storage};
use concord_rpc::ServerApi;
use concord_rpc::wire::{self, Line, Remote};
use concord_runtime::limits::BUDGET_BYTES;
use concord_runtime::{Budget, Scope, SetClock, World as Ports, timeout};
use concord_server::{AclSettings, CaStart, LiveSettings, Server, ServerConfig};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The management token of worlds with ACLs.
pub(crate) const ROOT: &str = "6b1ffb2e-5d2d-4a50-b1f8-95ad2e6c3a01";
/// The longest wait of any test.
const HANG: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// The settings of a test environment.
#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) acl: bool,
    pub(crate) no_management: bool,
    pub(crate) default_token: Option<&'static str>,
    pub(crate) settings: Settings,
    /// The clients' budget in bytes; `None`: the usual one.
    pub(crate) budget: Option<usize>,
    /// How long a resolved token is cached; `None`: a moment.
    pub(crate) token_ttl: Option<Duration>,
    /// A clock that the test sets; `None`: the machine's.
    pub(crate) clock: Option<SetClock>,
    /// Whether the agent is one beside a server, which configures proxies of the catalog.
    pub(crate) at_server: bool,
}

/// A log of one line.
struct OneLine;

impl LogSource for OneLine {
    fn follow(self: Arc<Self>, _: Level, _: bool) -> Option<LogLines> {
        Some(Box::pin(futures::stream::iter([Bytes::from("one line\n")])))
    }
}

/// A running agent.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    /// Where gRPC is served.
    pub(crate) grpc: SocketAddr,
    pub(crate) ports: Ports,
    pub(crate) budget: Arc<Budget>,
    server: Server,
    scope: Scope,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// A request that is being built.
pub(crate) struct Ask<'w> {
    world: &'w World,
    line: String,
    headers: String,
    body: String,
}

/// The server at the other end of a line: every request and watch of the agent is sent in its encoded form.
fn over_a_line(server: &Server, scope: &Scope) -> Arc<dyn ServerApi> {
    let (near, far) = Line::pair();
    let (remote, carry) = Remote::new(near);
    scope.spawn("answer a line", wire::answer(Arc::new(server.api()), far));
    scope.spawn("carry a line", carry);
    Arc::new(remote)
}

impl Setup {
    /// ACLs are enabled with the default policy deny.
    pub(crate) fn guarded() -> Self {
        Self {
            acl: true,
            settings: Settings { default_policy: Action::Deny, ..Settings::default() },
            ..Self::default()
        }
    }

    pub(crate) async fn start(self) -> World {
        let mut ports = Ports::tokio();
        if let Some(clock) = self.clock {
            ports.clock = Arc::new(clock);
        }
        let scope = Scope::new("test", Arc::clone(&ports.clock));
        let policy = if self.acl { Action::Deny } else { Action::Allow };
        let (node, datacenter) = (NodeName::parse("n1").unwrap(), Datacenter::parse("dc1").unwrap());
        let config = ServerConfig {
            node: node.clone(),
            node_id: Uuid::parse("11111111-0000-4000-8000-000000000001").unwrap(),
            address: "127.0.0.1".to_owned(),
            server_port: 8300,
            server_meta: Default::default(),
            live: LiveSettings::default(),
            datacenter: datacenter.clone(),
            acl: AclSettings { enabled: self.acl, default_policy: policy },
            initial_management: (self.acl && !self.no_management).then(|| Secret::new(ROOT.to_owned())),
            intention_default: IntentionDefault::resolve(None, policy),
            ca: CaStart::default(),
            keks: vec![Kek::from_bytes(&[7; 32]).unwrap()],
            keys: Arc::new(OsKeys),
            workers: Arc::new(Inline),
            default_query_time: ServerConfig::QUERY_TIMES.0,
            max_query_time: ServerConfig::QUERY_TIMES.1,
        };
        let raft = RaftConfig::new(Server::raft_id(&config), "dc1");
        let fatal = Arc::new(|fatal: &concord_raft::Fatal| panic!("{fatal}"));
        let server =
            Server::start(config, raft, Storage::Memory, ports.clone(), scope.child("servers"), fatal);
        let server = server.await.unwrap();
        server.ready().await;

        let mut config = AgentConfig::new(node, datacenter, "127.0.0.1".to_owned());
        config.dev = true;
        config.keks = vec![Kek::from_bytes(&[7; 32]).unwrap()];
        let token_ttl = self.token_ttl.unwrap_or(Duration::from_millis(200));
        config.acl = AclSection {
            enabled: self.acl,
            default_policy: policy,
            token_ttl,
            policy_ttl: token_ttl,
            role_ttl: token_ttl,
            ..AclSection::default()
        };
        config.acl.tokens.agent = self.acl.then(|| Secret::new(ROOT.to_owned()));
        config.acl.tokens.default = self.default_token.map(|token| Secret::new(token.to_owned()));
        config.about.version = "1.21.0".to_owned();
        if self.at_server {
            config.about.role = Role::Server { bootstrap: true };
        }
        let agent = Agent::start(
            config,
            over_a_line(&server, &scope),
            Arc::new(OsKeys),
            ports.clone(),
            scope.child("agent"),
        )
        .unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let budget = Budget::new(self.budget.unwrap_or(BUDGET_BYTES), 10_000);
        let mut context = Ctx::new(agent.clone());
        let services = grpc::Services {
            snapshots: Arc::new(agent.proxies.clone()),
            servers: Arc::clone(&agent.servers),
            ledger: context.ledger.clone(),
        };
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let grpc = socket.local_addr().unwrap();
        let door = Arc::new(budget.door(grpc::limits::CONNECTIONS_PER_CLIENT));
        let clock = Arc::clone(&ports.clock);
        grpc::serve(Socket::Tcp(socket), None, services, door, clock, &scope.child("grpc"));
        context.log = Some(Arc::new(OneLine));
        let http =
            Http::new(routes::router(), Arc::new(context), self.settings, Arc::clone(&ports.clock), &budget);
        http.serve(Socket::Tcp(listener), None, &scope.child("http"));
        let world = World { address, grpc, ports, budget, server, scope };
        world.until("/v1/connect/ca/roots", "", |answer| answer.status == 200).await;
        world
    }
}

impl World {
    pub(crate) async fn stop(self) {
        self.scope.cancel();
        self.server.shutdown(SECOND, SECOND).await;
        self.scope.shutdown(SECOND, SECOND).await;
    }

    /// Number of reads that wait at the servers.
    pub(crate) fn waiting(&self) -> u64 {
        self.server.waiting()
    }

    pub(crate) fn get(&self, path: &str) -> Ask<'_> {
        self.ask("GET", path)
    }

    pub(crate) fn put(&self, path: &str, body: impl Into<String>) -> Ask<'_> {
        Ask { body: body.into(), ..self.ask("PUT", path) }
    }

    pub(crate) fn post(&self, path: &str, body: impl Into<String>) -> Ask<'_> {
        Ask { body: body.into(), ..self.ask("POST", path) }
    }

    pub(crate) fn delete(&self, path: &str) -> Ask<'_> {
        self.ask("DELETE", path)
    }

    pub(crate) fn ask(&self, method: &str, path: &str) -> Ask<'_> {
        Ask {
            world: self,
            line: format!("{method} {path} HTTP/1.1"),
            headers: String::new(),
            body: String::new(),
        }
    }

    /// A plain connection.
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes unchanged. Returns all that comes until the connection is closed.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        // The server may refuse before it has read everything.
        let _ = stream.write_all(bytes).await;
        self.rest(&mut stream).await
    }

    /// All that comes until the connection is closed.
    pub(crate) async fn rest(&self, stream: &mut TcpStream) -> String {
        let mut all = Vec::new();
        let read = async {
            let mut part = [0; 4096];
            while let Ok(n @ 1..) = stream.read(&mut part).await {
                all.extend_from_slice(&part[..n]);
            }
        };
        let ended = timeout(&*self.ports.clock, HANG, read).await;
        assert!(ended.is_ok(), "the connection stays open after {:?}", String::from_utf8_lossy(&all));
        String::from_utf8(all).unwrap()
    }

    /// Prevents a test from hanging for ever.
    pub(crate) async fn guard<T>(&self, future: impl Future<Output = T>) -> T {
        timeout(&*self.ports.clock, HANG, future).await.expect("a test hangs")
    }

    pub(crate) async fn pause(&self, millis: u64) {
        self.ports.clock.sleep(Duration::from_millis(millis)).await;
    }

    /// Sends the request until the answer is as wanted.
    pub(crate) async fn until(
        &self,
        path: &str,
        token: &str,
        wanted: impl Fn(&Response) -> bool,
    ) -> Response {
        self.guard(async {
            loop {
                let response = self.get(path).token(token).send().await;
                if wanted(&response) {
                    return response;
                }
                self.pause(20).await;
            }
        })
        .await
    }
}

impl Ask<'_> {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    pub(crate) fn token(self, token: &str) -> Self {
        if token.is_empty() { self } else { self.header("X-Consul-Token", token) }
    }

    pub(crate) async fn send(self) -> Response {
        let Self { world, line, headers, body } = self;
        let length = body.len();
        let text = format!(
            "{line}\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        Response::parse(&world.raw(text.as_bytes()).await)
    }

    /// The body of a successful answer.
    #[track_caller]
    pub(crate) fn json(self) -> impl Future<Output = Value> {
        let line = self.line.clone();
        async move {
            let response = self.send().await;
            assert_eq!(response.status, 200, "{line}: {}", response.body);
            response.json()
        }
    }

    /// Checks that the request succeeds, whatever the answer.
    pub(crate) async fn ok(self) {
        let line = self.line.clone();
        let response = self.send().await;
        assert_eq!(response.status, 200, "{line}: {}", response.body);
    }

    /// Checks that the request is refused with this status and a text that contains `text`.
    pub(crate) async fn refused(self, status: u16, text: &str) {
        let line = self.line.clone();
        let response = self.send().await;
        assert_eq!(response.status, status, "{line}: {}", response.body);
        assert!(response.body.contains(text), "{line}: {:?} does not contain {text:?}", response.body);
        assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"), "{line}");
    }
}

impl Response {
    pub(crate) fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_ascii_lowercase(), value.to_owned())
        };
        Self { status, headers: lines.map(header).collect(), body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn index(&self) -> u64 {
        self.header("x-consul-index").unwrap().parse().unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}
