//! The test environment: a server with a catalog, DNS on a loopback port, and a client.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use concord_ca::OsKeys;
use concord_ca::provider::means::Inline;
use concord_ca::seal::Kek;
use concord_config::section::DnsSection;
use concord_dns::limits::CONNECTIONS_PER_CLIENT;
use concord_dns::{Answerer, Bound, Settings, serve};
use concord_mesh::intention::DefaultPolicy as IntentionDefault;
use concord_model::catalog::{
    Check, CheckStatus, Node, NodeScope, Registration, ServiceAddress, ServiceInstance, Weights,
};
use concord_model::intention::Action;
use concord_model::{CheckId, Datacenter, InstanceId, NodeName, Secret, ServiceName, Stamp, Uuid};
use concord_raft::{RaftConfig, Storage};
use concord_rpc::request::{PolicyChoice, Register, SetPolicy, SetToken};
use concord_rpc::{Head, Request, ServerApi, ServerApiExt};
use concord_runtime::limits::BUDGET_BYTES;
use concord_runtime::{Budget, Clock, Scope, SeededEntropy, TokioClock, World as Ports};
use concord_server::{AclSettings, CaStart, LiveSettings, Server, ServerConfig};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

/// The management token of worlds with ACLs.
pub(crate) const ROOT: &str = "6b1ffb2e-5d2d-4a50-b1f8-95ad2e6c3a01";
/// A guard against hanging tests.
const HANG: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

/// The settings of a world.
#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) acl: bool,
    pub(crate) section: DnsSection,
    pub(crate) alt_domain: Option<&'static str>,
    /// The clock of DNS alone; `None`: the machine's.
    pub(crate) clock: Option<Arc<dyn Clock>>,
    /// Connections of all listeners; `None`: enough.
    pub(crate) connections: Option<usize>,
}

/// A server with DNS.
pub(crate) struct World {
    pub(crate) at: SocketAddr,
    pub(crate) answerer: Arc<Answerer>,
    pub(crate) scope: Scope,
    pub(crate) token: Arc<parking_lot::Mutex<Option<Secret>>>,
    /// What clients may hold, of all listeners.
    pub(crate) budget: Arc<Budget>,
    api: Arc<dyn ServerApi>,
    server: Server,
}

impl Setup {
    pub(crate) async fn start(self) -> World {
        let world = self.begin().await;
        // The server registers itself when it leads.
        world.until("n1.node.consul.", RecordType::ANY, "NOERROR").await;
        world
    }

    /// The same with ACLs, where DNS has a token with these rules.
    pub(crate) async fn start_with(self, rules: &str) -> World {
        let world = Self { acl: true, ..self }.begin().await;
        world.use_token("of-dns", rules).await;
        world.until("n1.node.consul.", RecordType::ANY, "NOERROR").await;
        world
    }

    async fn begin(self) -> World {
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
        let ports = Ports { clock, ..Ports::tokio() };
        let scope = Scope::new("test", Arc::clone(&ports.clock));
        let config = ServerConfig {
            node: NodeName::parse("n1").unwrap(),
            node_id: Uuid::parse("11111111-0000-4000-8000-000000000001").unwrap(),
            address: "127.0.0.1".to_owned(),
            server_port: 8300,
            server_meta: BTreeMap::new(),
            live: LiveSettings::default(),
            datacenter: Datacenter::parse("dc1").unwrap(),
            acl: AclSettings { enabled: self.acl, default_policy: Action::Deny },
            initial_management: self.acl.then(|| Secret::new(ROOT.to_owned())),
            intention_default: IntentionDefault::resolve(None, Action::Allow),
            ca: CaStart::default(),
            keks: vec![Kek::from_bytes(&[7; 32]).unwrap()],
            keys: Arc::new(OsKeys),
            workers: Arc::new(Inline),
            default_query_time: ServerConfig::QUERY_TIMES.0,
            max_query_time: ServerConfig::QUERY_TIMES.1,
        };
        let raft = RaftConfig::new(Server::raft_id(&config), "dc1");
        let fatal = Arc::new(|fatal: &concord_raft::Fatal| panic!("{fatal}"));
        let started =
            Server::start(config, raft, Storage::Memory, ports.clone(), scope.child("server"), fatal);
        let server = started.await.unwrap();
        server.ready().await;
        let api: Arc<dyn ServerApi> = Arc::new(server.api());

        let token = Arc::new(parking_lot::Mutex::new(None));
        let own = Arc::clone(&token);
        let settings =
            Settings::new(self.section, Datacenter::parse("dc1").unwrap(), "consul.", self.alt_domain);
        let clock = self.clock.unwrap_or_else(|| Arc::clone(&ports.clock));
        let of_dns = Ports { clock: Arc::clone(&clock), entropy: Arc::new(SeededEntropy::new(5)), ..ports };
        let token_of_dns = Arc::new(move || own.lock().clone());
        let answerer = Answerer::new(Arc::clone(&api), settings, token_of_dns, "n1", &of_dns);
        let answerer = Arc::new(answerer);
        let bound = Bound::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let at = bound.address();
        let budget = Budget::new(BUDGET_BYTES, self.connections.unwrap_or(1_024));
        let door = budget.door(CONNECTIONS_PER_CLIENT);
        serve(bound, Arc::clone(&answerer), Arc::new(door), &Scope::new("dns", clock));
        World { at, answerer, scope, token, budget, api, server }
    }
}

impl World {
    pub(crate) async fn stop(self) {
        self.server.shutdown(SECOND, SECOND).await;
        self.scope.shutdown(SECOND, SECOND).await;
    }

    async fn call<R: Request>(&self, request: R) -> R::Reply {
        let head = Head::with_token(Some(Secret::new(ROOT.to_owned())));
        self.api.call(head, request).await.unwrap().value
    }

    pub(crate) async fn register(&self, registration: Registration) {
        self.call(Register(registration)).await;
    }

    /// Makes a token with these rules the one of DNS.
    pub(crate) async fn use_token(&self, name: &str, rules: &str) {
        let (description, datacenters) = (String::new(), Vec::new());
        let policy =
            SetPolicy { id: None, name: name.to_owned(), description, rules: rules.to_owned(), datacenters };
        self.call(policy).await;
        let token = SetToken {
            accessor: None,
            new_accessor: None,
            secret: None,
            description: String::new(),
            policies: vec![PolicyChoice::Name(name.to_owned())],
            identities: Default::default(),
            local: false,
            expires_at: None,
            expires_after: None,
        };
        let made = self.call(token).await;
        *self.token.lock() = Some(Secret::new(made.secret));
    }

    /// The answer to a question over UDP.
    pub(crate) async fn ask(&self, name: &str, kind: RecordType) -> Message {
        self.ask_with(&question(name, kind)).await
    }

    pub(crate) async fn ask_with(&self, question: &Message) -> Message {
        Message::from_vec(&over_udp(self.at, &question.to_vec().unwrap()).await).unwrap()
    }

    /// The answer over TCP.
    pub(crate) async fn ask_on_tcp(&self, question: &Message) -> Message {
        let mut stream = TcpStream::connect(self.at).await.unwrap();
        Message::from_vec(&on_tcp(&mut stream, &question.to_vec().unwrap()).await).unwrap()
    }

    /// Waits until the answer begins so.
    pub(crate) async fn until(&self, name: &str, kind: RecordType, begin: &str) {
        for _ in 0..1_000 {
            if crate::teller::told(&self.ask(name, kind).await).starts_with(begin) {
                return;
            }
            self.scope.clock().sleep(Duration::from_millis(10)).await;
        }
        panic!("{name} {kind} does not become {begin}");
    }

    /// Both transports say the same, and it is this.
    #[track_caller]
    pub(crate) fn check(&self, name: &str, kind: RecordType, expected: &str) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        let question = question(name, kind);
        async move {
            let told = crate::teller::told(&self.ask_with(&question).await);
            let expected = expected.lines().map(str::trim).collect::<Vec<_>>().join("\n");
            assert_eq!(told, expected, "{name} {kind} at {caller}");
            let on_tcp = crate::teller::told(&self.ask_on_tcp(&question).await);
            assert_eq!(on_tcp, expected, "{name} {kind} over TCP at {caller}");
        }
    }
}

/// A question with the usual flags.
pub(crate) fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

/// The same question from a client that accepts this many bytes.
pub(crate) fn accepting(mut question: Message, bytes: u16) -> Message {
    let mut edns = Edns::new();
    edns.set_max_payload(bytes);
    question.set_edns(edns);
    question
}

pub(crate) async fn over_udp(at: SocketAddr, question: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(at).await.unwrap();
    socket.send(question).await.unwrap();
    let mut buffer = vec![0; 65_536];
    let length = guarded(socket.recv(&mut buffer)).await.unwrap();
    buffer.truncate(length);
    buffer
}

pub(crate) async fn on_tcp(stream: &mut TcpStream, question: &[u8]) -> Vec<u8> {
    let length = u16::try_from(question.len()).unwrap();
    stream.write_all(&[&length.to_be_bytes(), question].concat()).await.unwrap();
    let length = guarded(stream.read_u16()).await.unwrap();
    let mut answer = vec![0; usize::from(length)];
    guarded(stream.read_exact(&mut answer)).await.unwrap();
    answer
}

pub(crate) async fn guarded<T>(work: impl Future<Output = T>) -> T {
    concord_runtime::timeout(&TokioClock::new(), HANG, work).await.expect("it does not hang")
}

// === registrations ===

pub(crate) fn node(name: &str, address: &str) -> Node {
    Node {
        scope: NodeScope::default(),
        name: NodeName::parse(name).unwrap(),
        id: None,
        address: address.to_owned(),
        datacenter: Datacenter::parse("dc1").unwrap(),
        tagged_addresses: BTreeMap::new(),
        meta: BTreeMap::new(),
        locality: None,
        stamp: Stamp::default(),
    }
}

pub(crate) fn service(name: &str, id: &str, address: &str, port: u16) -> ServiceInstance {
    let id = InstanceId::parse(id).unwrap();
    let plain = ServiceInstance::of(id, ServiceName::parse(name).unwrap());
    ServiceInstance { address: address.to_owned(), port, ..plain }
}

pub(crate) fn tagged(tags: &[&str], service: ServiceInstance) -> ServiceInstance {
    ServiceInstance { tags: tags.iter().map(|tag| (*tag).to_owned()).collect(), ..service }
}

pub(crate) fn weighing(passing: u32, warning: u32, service: ServiceInstance) -> ServiceInstance {
    ServiceInstance { weights: Weights { passing, warning }, ..service }
}

pub(crate) fn with_address(tag: &str, address: &str, mut service: ServiceInstance) -> ServiceInstance {
    let address = ServiceAddress { address: address.to_owned(), port: service.port };
    service.tagged_addresses.insert(tag.to_owned(), address);
    service
}

pub(crate) fn on(node: Node, service: ServiceInstance) -> Registration {
    Registration { service: Some(service), ..Registration::of(node) }
}

pub(crate) fn in_state(status: CheckStatus, mut registration: Registration) -> Registration {
    let service = registration.service.as_ref().map(|service| service.id.clone());
    let id = format!("check-{}", service.as_ref().map_or("node", |id| id.as_str()));
    registration.checks.push(check(&id, service, status));
    registration
}

fn check(id: &str, service: Option<InstanceId>, status: CheckStatus) -> Check {
    Check {
        id: CheckId::parse(id).unwrap(),
        name: id.to_owned(),
        status,
        notes: String::new(),
        output: String::new(),
        service_id: service,
        service_name: None,
        namespace: Default::default(),
        service_tags: Vec::new(),
        kind: String::new(),
        interval: String::new(),
        timeout: String::new(),
        definition: Default::default(),
        stamp: Stamp::default(),
    }
}
