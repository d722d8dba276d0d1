//! The test environment: a server on a paused clock, and short functions for its requests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use concord_ca::provider::means::Inline;
use concord_ca::seal::Kek;
use concord_ca::{KeyMaker, OsKeys};
use concord_mesh::intention::DefaultPolicy as IntentionDefault;
use concord_model::catalog::{
    Check, CheckStatus, Deregistration, Node as CatalogNode, NodeScope, Registered, Registration,
    ServiceInstance,
};
use concord_model::entry::{EntryKind, EntryName};
use concord_model::intention::Action;
use concord_model::{
    CheckId, Datacenter, InstanceId, Namespace, NodeName, Secret, ServiceName, ServiceRef, Stamp, Uuid,
};
use concord_raft::{RaftConfig, Storage, Timings};
use concord_rpc::request::{Deregister, PolicyChoice, Register, SetPolicy, SetToken, TokenRecord};
use concord_rpc::{Answer, Head, Request, RpcError, ServerApiExt};
use concord_runtime::{Clock, Disk, MemoryDisk, Scope, SeededEntropy, TokioClock, World};
use concord_server::{AclSettings, Aside, CaStart, LiveSettings, LocalApi, Server, ServerConfig};

/// Start of the tests' wall clock: 2026-01-01, in seconds since the Unix epoch.
pub(crate) const NEW_YEAR: i64 = 1_767_225_600;
/// Each server of a process has its own seed, which is the same in each test run.
static ENTROPY: AtomicU64 = AtomicU64::new(0);
/// The management token of clusters with ACLs.
pub(crate) const ROOT: &str = "6b1ffb2e-5d2d-4a50-b1f8-95ad2e6c3a01";

/// The settings of a server.
pub(crate) struct Setup {
    pub(crate) storage: Storage,
    pub(crate) live: LiveSettings,
    pub(crate) acl: bool,
    pub(crate) initial_management: bool,
    /// Its secret.
    pub(crate) management_secret: &'static str,
    pub(crate) ca: CaStart,
    pub(crate) kek: Kek,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) keys: Arc<dyn KeyMaker>,
    /// Whether expensive work runs on other threads. Otherwise it runs at once, identically in each run.
    pub(crate) aside: bool,
    pub(crate) inline_writes: bool,
    pub(crate) snapshot_after: Option<u64>,
}

/// A running server.
pub(crate) struct Host {
    pub(crate) server: Server,
    pub(crate) api: LocalApi,
    pub(crate) world: World,
    pub(crate) scope: Scope,
}

impl Setup {
    /// In memory, ACLs disabled.
    pub(crate) fn open() -> Self {
        Self {
            storage: Storage::Memory,
            live: LiveSettings::default(),
            acl: false,
            initial_management: true,
            management_secret: ROOT,
            ca: CaStart::default(),
            kek: kek(7),
            disk: Arc::new(MemoryDisk::new()),
            clock: Arc::new(TokioClock::with_wall(NEW_YEAR * 1_000_000_000)),
            keys: Arc::new(OsKeys),
            aside: false,
            inline_writes: true,
            snapshot_after: None,
        }
    }

    /// In memory, ACLs enabled with the default policy deny.
    pub(crate) fn guarded() -> Self {
        Self { acl: true, ..Self::open() }
    }

    /// Starts it and waits until it serves.
    pub(crate) async fn start(&self) -> Host {
        let world = World {
            clock: Arc::clone(&self.clock),
            entropy: Arc::new(SeededEntropy::new(ENTROPY.fetch_add(1, Ordering::Relaxed))),
            disk: Arc::clone(&self.disk),
        };
        let scope = Scope::new("test", Arc::clone(&self.clock));
        let default = if self.acl { Action::Deny } else { Action::Allow };
        let config = ServerConfig {
            node: name("n1"),
            node_id: Uuid::parse("11111111-0000-4000-8000-000000000001").unwrap(),
            address: "127.0.0.1".to_owned(),
            server_port: 8300,
            server_meta: BTreeMap::new(),
            live: self.live.clone(),
            datacenter: Datacenter::parse("dc1").unwrap(),
            acl: AclSettings { enabled: self.acl, default_policy: Action::Deny },
            initial_management: (self.acl && self.initial_management)
                .then(|| Secret::new(self.management_secret.to_owned())),
            intention_default: IntentionDefault::resolve(None, default),
            ca: self.ca.clone(),
            keks: vec![self.kek.clone()],
            keys: Arc::clone(&self.keys),
            workers: if self.aside { Arc::new(Aside(scope.clone())) } else { Arc::new(Inline) },
            default_query_time: ServerConfig::QUERY_TIMES.0,
            max_query_time: ServerConfig::QUERY_TIMES.1,
        };
        let mut raft = RaftConfig::new(Server::raft_id(&config), "dc1");
        raft.inline_writes = self.inline_writes;
        // A sole voter needs no heartbeats; with few of them, hours of paused time pass quickly.
        raft.timings = Timings {
            heartbeat: SECOND * 20,
            election_min: SECOND * 60,
            election_max: SECOND * 90,
            lease: SECOND * 30,
        };
        raft.reserve_bytes = 64 * 1024;
        if let Some(entries) = self.snapshot_after {
            (raft.snapshot_threshold, raft.snapshot_interval) = (entries, SECOND / 20);
        }
        let fatal = Arc::new(|fatal: &concord_raft::Fatal| panic!("{fatal}"));
        let server = Server::start(config, raft, self.storage, world.clone(), scope.clone(), fatal);
        let server = server.await.unwrap();
        server.ready().await;
        Host { api: server.api(), server, world, scope }
    }
}

impl Host {
    pub(crate) async fn stop(self) {
        self.server.shutdown(SECOND, SECOND).await;
        self.scope.shutdown(SECOND, SECOND).await;
    }

    /// Sends a request without a token.
    pub(crate) async fn ask<R: Request>(&self, request: R) -> Result<Answer<R::Reply>, RpcError> {
        self.api.call(Head::default(), request).await
    }

    /// Sends a request with a token.
    pub(crate) async fn ask_as<R: Request>(&self, token: &str, request: R) -> Result<R::Reply, RpcError> {
        Ok(self.api.call(with(token), request).await?.value)
    }

    /// Creates a policy and a token with it. Returns the token.
    pub(crate) async fn token(&self, name: &str, rules: &str) -> TokenRecord {
        self.ask_as(ROOT, policy(name, rules)).await.unwrap();
        let policies = vec![PolicyChoice::Name(name.to_owned())];
        self.ask_as(ROOT, SetToken { policies, ..new_token() }).await.unwrap()
    }

    /// Runs everything that can run at this moment.
    pub(crate) async fn settle(&self) {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
}

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// A key-encryption key that differs from others.
pub(crate) fn kek(fill: u8) -> Kek {
    Kek::from_bytes(&[fill; 32]).unwrap()
}

pub(crate) fn with(token: &str) -> Head {
    Head::with_token(Some(Secret::new(token.to_owned())))
}

pub(crate) fn name(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

pub(crate) fn service(text: &str) -> ServiceName {
    ServiceName::parse(text).unwrap()
}

/// The name of a destination's intentions.
pub(crate) fn named(destination: &str) -> EntryName {
    EntryName::parse(EntryKind::ServiceIntentions, destination).unwrap()
}

pub(crate) fn target(text: &str) -> ServiceRef {
    ServiceRef::local(service(text))
}

pub(crate) fn policy(name: &str, rules: &str) -> SetPolicy {
    SetPolicy {
        id: None,
        name: name.to_owned(),
        description: String::new(),
        rules: rules.to_owned(),
        datacenters: Vec::new(),
    }
}

pub(crate) fn new_token() -> SetToken {
    SetToken {
        accessor: None,
        new_accessor: None,
        secret: None,
        description: String::new(),
        policies: Vec::new(),
        identities: concord_model::token::Identities::default(),
        local: false,
        expires_at: None,
        expires_after: None,
    }
}

pub(crate) fn node(text: &str) -> CatalogNode {
    CatalogNode {
        scope: NodeScope::default(),
        name: name(text),
        id: None,
        address: "10.0.0.1".to_owned(),
        datacenter: Datacenter::parse("dc1").unwrap(),
        tagged_addresses: BTreeMap::new(),
        meta: BTreeMap::new(),
        locality: None,
        stamp: Stamp::default(),
    }
}

pub(crate) fn instance(id: &str, of: &str) -> ServiceInstance {
    ServiceInstance { port: 80, ..ServiceInstance::of(InstanceId::parse(id).unwrap(), service(of)) }
}

pub(crate) fn check(id: &str, of: Option<&str>, status: CheckStatus) -> Check {
    Check {
        id: CheckId::parse(id).unwrap(),
        name: id.to_owned(),
        status,
        notes: String::new(),
        output: String::new(),
        service_id: of.map(|id| InstanceId::parse(id).unwrap()),
        service_name: None,
        namespace: Namespace::default(),
        service_tags: Vec::new(),
        kind: String::new(),
        interval: String::new(),
        timeout: String::new(),
        definition: Default::default(),
        stamp: Stamp::default(),
    }
}

pub(crate) fn deregister(on: &str, what: Registered) -> Deregister {
    Deregister(Deregistration { scope: NodeScope::default(), node: name(on), what })
}

/// An instance, by its id.
pub(crate) fn registered(id: &str) -> Registered {
    Registered::Service { namespace: Namespace::default(), id: InstanceId::parse(id).unwrap() }
}

/// Registers an instance of a service under the service's name.
pub(crate) fn register(on: &str, of: &str) -> Register {
    Register(Registration { service: Some(instance(of, of)), ..Registration::of(node(on)) })
}
