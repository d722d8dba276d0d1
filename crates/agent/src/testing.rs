//! Servers for tests of this crate: a small catalog that authorises like the real servers.

mod disk;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use concord_acl::{Labelled, Level, Right};
use concord_ca::OsKeys;
use concord_ca::seal::Kek;
use concord_config::section::AclSection;
use concord_mesh::chain::{self, CompiledChain};
use concord_mesh::defaults::{gather, merge, question};
use concord_model::ca::{CaRoot, CaRoots, KeyKind, LeafCertificate};
use concord_model::catalog::{Check, Node, NodeScope, Registered, Registration, ServiceInstance};
use concord_model::entry::{Entry, EntryName};
use concord_model::intention::{Action, Decision, Destination, ServiceIntentions, Source, SourceIntention};
use concord_model::token::{ANONYMOUS_ACCESSOR, AclPolicy};
use concord_model::{
    Datacenter, InstanceId, Namespace, NodeName, Partition, Pattern, Secret, ServiceName, Stamp, Timestamp,
    TrustDomain, Uuid,
};
use concord_proxycfg::{Feature, Understood};
use concord_rpc::request::{
    Deregister, FollowProxy, FollowedProxy, InstanceHealth, MatchBy, Matched, NodeRecords, ReadChain,
    Register, ResolvedToken,
};
use concord_rpc::{Answer, AnyReply, AnyRequest, Caller, Consistency, Head, RpcError, ServerApi};
use concord_runtime::{Clock, Scope, TokioClock, World};
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::agent::Agent;
use crate::caller::Resolved;
use crate::config::AgentConfig;
pub(crate) use crate::testing::disk::{Asked, Fault, TestDisk};

pub(crate) const NODE: &str = "n1";
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

/// The state of the servers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Catalog {
    pub(crate) tokens: BTreeMap<String, ResolvedToken>,
    pub(crate) instances: Vec<InstanceHealth>,
    pub(crate) intentions: Vec<ServiceIntentions>,
    pub(crate) entries: BTreeMap<EntryName, Arc<Entry>>,
    pub(crate) node: Option<Node>,
    pub(crate) services: BTreeMap<InstanceId, ServiceInstance>,
    pub(crate) checks: BTreeMap<concord_model::CheckId, Check>,
    /// Index of the last change of a token.
    pub(crate) acl_index: u64,
    /// Report no changed tokens.
    pub(crate) mute: bool,
    /// Answer every request with this error.
    pub(crate) fault: Option<RpcError>,
    /// Answer after this delay.
    pub(crate) delay: Duration,
    /// Deliver answers this long after they were made.
    pub(crate) late: Duration,
    /// Answer signature requests with this error.
    pub(crate) sign_fault: Option<RpcError>,
    /// How often each request was received.
    pub(crate) asked: BTreeMap<&'static str, usize>,
    pub(crate) signed: u64,
    /// Received registrations: token, and name of what was registered.
    pub(crate) told: Vec<(Option<String>, String)>,
}

/// What a proxy understands that does not act by configuration entries.
pub(crate) fn plain() -> Understood {
    let of_envoy = [
        Feature::Entries,
        Feature::DiscoveryChains,
        Feature::PublicListener,
        Feature::ExposedPaths,
        Feature::TlsMinimum,
        Feature::CleanCertificates,
    ];
    Understood::of(Feature::ALL.into_iter().filter(|feature| !of_envoy.contains(feature)))
}

/// The servers.
pub(crate) struct Servers {
    pub(crate) acl: AclSection,
    catalog: Mutex<Catalog>,
    index: watch::Sender<u64>,
    clock: Arc<dyn Clock>,
}

impl Servers {
    pub(crate) fn new(acl: AclSection, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { acl, catalog: Mutex::default(), index: watch::channel(10).0, clock })
    }

    /// Changes the state and wakes all waiting requests.
    pub(crate) fn change<T>(&self, with: impl FnOnce(&mut Catalog) -> T) -> T {
        let result = with(&mut self.catalog.lock());
        self.index.send_modify(|index| *index += 1);
        result
    }

    pub(crate) fn look<T>(&self, with: impl FnOnce(&Catalog) -> T) -> T {
        with(&self.catalog.lock())
    }

    /// A token with rules.
    pub(crate) fn token(&self, secret: &str, rules: &str) -> Secret {
        let index = *self.index.borrow();
        self.change(|catalog| {
            let accessor =
                catalog.tokens.get(secret).map_or_else(|| accessor(secret), |token| token.accessor);
            let policy = AclPolicy {
                id: accessor,
                name: secret.to_owned(),
                description: String::new(),
                rules: rules.to_owned(),
                datacenters: Vec::new(),
                stamp: Stamp { create: 1, modify: index },
            };
            let token = ResolvedToken { accessor, policies: vec![policy], expires_at: None };
            catalog.tokens.insert(secret.to_owned(), token);
            catalog.acl_index = index + 1;
        });
        Secret::new(secret.to_owned())
    }

    pub(crate) fn revoke(&self, secret: &Secret) {
        let index = *self.index.borrow();
        self.change(|catalog| {
            catalog.tokens.remove(secret.expose());
            catalog.acl_index = index + 1;
        });
    }

    pub(crate) fn asked(&self, name: &str) -> usize {
        self.look(|catalog| catalog.asked.get(name).copied().unwrap_or(0))
    }

    /// The present rights of a token: the oracle.
    pub(crate) fn caller(&self, token: Option<&Secret>) -> Result<Caller, RpcError> {
        if !self.acl.enabled {
            return Ok(Caller::unrestricted(token.cloned()));
        }
        let resolved = self.resolve(token)?;
        Ok(Resolved::build(&resolved, self.acl.default_policy).caller(token))
    }

    fn resolve(&self, token: Option<&Secret>) -> Result<ResolvedToken, RpcError> {
        let Some(token) = token else {
            return Ok(ResolvedToken {
                accessor: ANONYMOUS_ACCESSOR,
                policies: Vec::new(),
                expires_at: None,
            });
        };
        self.look(|catalog| catalog.tokens.get(token.expose()).cloned()).ok_or(RpcError::TokenNotFound)
    }

    async fn answer(&self, head: Head, request: AnyRequest) -> Result<Answer<AnyReply>, RpcError> {
        self.catalog.lock().asked.entry(request.name()).and_modify(|count| *count += 1).or_insert(1);
        let delay = self.look(|catalog| catalog.delay);
        if !delay.is_zero() {
            self.clock.sleep(delay).await;
        }
        let mut index = self.index.subscribe();
        let until = self.clock.now() + head.wait.unwrap_or(Duration::from_secs(300));
        loop {
            let mut at = *index.borrow_and_update();
            if matches!(request, AnyRequest::AwaitAclChange(_)) {
                at = self.look(|catalog| catalog.acl_index).max(1);
            }
            let answer = self.evaluate(&head, &request, at)?;
            if head.min_index < at || request.terms().writes || self.clock.now() >= until {
                let late = self.look(|catalog| catalog.late);
                if !late.is_zero() {
                    self.clock.sleep(late).await;
                }
                return Ok(answer);
            }
            tokio::select! {
                _ = index.changed() => {}
                () = self.clock.sleep_until(until) => {}
            }
        }
    }

    fn evaluate(&self, head: &Head, request: &AnyRequest, index: u64) -> Result<Answer<AnyReply>, RpcError> {
        if let Some(fault) = self.look(|catalog| catalog.fault.clone()) {
            return Err(fault);
        }
        if head.datacenter.as_ref().is_some_and(|datacenter| datacenter.as_str() != "dc1") {
            return Err(RpcError::UnknownDatacenter);
        }
        let caller = self.caller(head.token.as_ref())?;
        caller.meet(&request.need())?;
        let mut filtered = false;
        let value = match request {
            AnyRequest::ResolveToken(_) => AnyReply::ResolveToken(self.resolve(head.token.as_ref())?),
            AnyRequest::AwaitAclChange(_) => match self.look(|catalog| catalog.mute) {
                true => return Err(RpcError::NoLeader),
                false => AnyReply::AwaitAclChange(()),
            },
            AnyRequest::DeleteToken(gone) => {
                let index = *self.index.borrow();
                self.change(|catalog| {
                    catalog.tokens.retain(|_, token| token.accessor != gone.accessor);
                    catalog.acl_index = index + 1;
                });
                AnyReply::DeleteToken(())
            }
            AnyRequest::ReadCaRoots(_) => AnyReply::ReadCaRoots(roots()),
            AnyRequest::MatchIntentions(wanted) => {
                let (MatchBy::Destination(service), []) = (&wanted.by, &*wanted.also) else {
                    return Err(RpcError::NotAvailable("matching by source".to_owned()));
                };
                let covers = |entry: &&ServiceIntentions| entry.destination.covers(service);
                let found = self.look(|catalog| catalog.intentions.iter().filter(covers).cloned().collect());
                AnyReply::MatchIntentions(Matched::of([found]))
            }
            AnyRequest::ServiceHealth(wanted) => {
                let all = self.look(|catalog| catalog.instances.clone());
                let of_it: Vec<_> =
                    all.into_iter().filter(|one| one.service.service == wanted.select.service.name).collect();
                let count = of_it.len();
                let seen: Vec<_> = of_it.into_iter().filter(|one| oracle_sees(&caller, one)).collect();
                filtered = seen.len() < count;
                AnyReply::ServiceHealth(seen)
            }
            AnyRequest::FollowProxy(wanted) => AnyReply::FollowProxy(self.follow_proxy(&caller, wanted)?),
            AnyRequest::ReadDefaults(wanted) => {
                let found = |name: &EntryName| self.look(|catalog| catalog.entries.get(name).cloned());
                AnyReply::ReadDefaults(gather(&wanted.question, found))
            }
            AnyRequest::ReadEntry(wanted) => {
                AnyReply::ReadEntry(self.look(|catalog| catalog.entries.get(&wanted.name).cloned()))
            }
            AnyRequest::ReadChain(wanted) => AnyReply::ReadChain(self.chain(wanted)?),
            AnyRequest::NodeDump(_) => AnyReply::NodeDump(self.look(|catalog| {
                Some(NodeRecords {
                    node: catalog.node.clone()?,
                    services: catalog.services.values().cloned().collect(),
                    checks: catalog.checks.values().cloned().collect(),
                })
            })),
            AnyRequest::Register(Register(told)) => {
                if let Some(service) = &told.service {
                    caller.require_service_write(service.service.as_str())?;
                }
                self.register(head, told);
                AnyReply::Register(())
            }
            AnyRequest::Deregister(Deregister(told)) => {
                self.change(|catalog| {
                    let token = head.token.as_ref().map(|token| token.expose().to_owned());
                    catalog.told.push((token, format!("-{:?}", told.what)));
                    match &told.what {
                        Registered::Node => catalog.node = None,
                        Registered::Service { id, .. } => {
                            catalog.services.remove(id);
                            catalog.checks.retain(|_, check| check.service_id.as_ref() != Some(id));
                        }
                        Registered::Check { id } => {
                            catalog.checks.remove(id);
                        }
                    }
                });
                AnyReply::Deregister(())
            }
            AnyRequest::SignLeaf(wanted) => AnyReply::SignLeaf(self.sign(&caller, &wanted.csr)?),
            other => return Err(RpcError::NotAvailable(other.name().to_owned())),
        };
        Ok(Answer {
            value,
            index,
            known_leader: true,
            last_contact: Duration::ZERO,
            filtered,
            consistency: Consistency::Default,
        })
    }

    fn chain(&self, wanted: &ReadChain) -> Result<Arc<CompiledChain>, RpcError> {
        let found = |name: &EntryName| self.look(|catalog| catalog.entries.get(name).cloned());
        let request = chain::Request {
            service: wanted.service.clone(),
            datacenter: Datacenter::parse("dc1").unwrap(),
            trust_domain: roots().trust_domain,
            overrides: wanted.overrides,
            virtual_ips: chain::VirtualIps::default(),
        };
        let compiled = chain::gather(&wanted.service, found).and_then(|all| chain::compile(&all, &request));
        compiled.map(Arc::new).map_err(|fault| RpcError::Rejected(fault.to_string()))
    }

    fn follow_proxy(&self, caller: &Caller, wanted: &FollowProxy) -> Result<Option<FollowedProxy>, RpcError> {
        let fits = |one: &&InstanceHealth| one.node.name == wanted.node && one.service.id == wanted.proxy;
        let found = self.look(|catalog| catalog.instances.iter().find(fits).cloned());
        let Some(found) = found.map(|one| one.service) else { return Ok(None) };
        caller.require_service_write(FollowProxy::right(&found).as_str())?;
        let scope = NodeScope::default();
        let Some(question) = question(&found, &scope) else {
            return Ok(Some(FollowedProxy { instance: Arc::new(found), merged: None }));
        };
        let central = gather(&question, |name| self.look(|catalog| catalog.entries.get(name).cloned()));
        let merged = Some(central.merged(&question.service).into());
        Ok(Some(FollowedProxy { instance: Arc::new(merge(&found, &scope, &central)), merged }))
    }

    fn register(&self, head: &Head, told: &Registration) {
        self.change(|catalog| {
            let token = head.token.as_ref().map(|token| token.expose().to_owned());
            let what =
                told.service.as_ref().map_or_else(|| "node".to_owned(), |service| service.id.to_string());
            catalog.told.push((token, what));
            if !told.skip_node_update || catalog.node.is_none() {
                catalog.node = Some(told.node.clone());
            }
            if let Some(service) = &told.service {
                catalog.services.insert(service.id.clone(), service.clone());
            }
            for check in &told.checks {
                catalog.checks.insert(check.id.clone(), check.clone());
            }
        });
    }

    fn sign(&self, caller: &Caller, csr: &str) -> Result<LeafCertificate, RpcError> {
        if let Some(fault) = self.look(|catalog| catalog.sign_fault.clone()) {
            return Err(fault);
        }
        let parsed = concord_ca::Csr::parse(csr).map_err(|error| RpcError::Invalid(error.to_string()))?;
        let identity = parsed.identity.service().expect("a service's").clone();
        caller.require_service_write(identity.service.as_str())?;
        let now = Timestamp::from_nanos(self.clock.wall_nanos());
        let serial = {
            let mut catalog = self.catalog.lock();
            catalog.signed += 1;
            catalog.signed
        };
        Ok(LeafCertificate {
            serial: format!("{serial:02x}"),
            cert_pem: format!("leaf {serial} of {}", identity.service),
            uri: parsed.identity.to_string(),
            valid_after: now.minus(Duration::from_secs(60)),
            valid_before: now.plus(3 * DAY),
            authority_key_id: "aa:bb".to_owned(),
            stamp: Stamp { create: 100 + serial, modify: 100 + serial },
        })
    }
}

impl ServerApi for Servers {
    fn call_any(&self, head: Head, request: AnyRequest) -> BoxFuture<'_, Result<Answer<AnyReply>, RpcError>> {
        self.answer(head, request).boxed()
    }
}

/// Whether an instance may be seen, decided only from the rules.
pub(crate) fn oracle_sees(caller: &Caller, one: &InstanceHealth) -> bool {
    let reads = |of, name| caller.may(&Right::named(of, name, Level::Read));
    reads(Labelled::Service, one.service.service.as_str()) && reads(Labelled::Node, one.node.name.as_str())
}

fn accessor(secret: &str) -> Uuid {
    let mut bits = [7u8; 16];
    for (at, byte) in secret.bytes().enumerate() {
        bits[at % 16] = bits[at % 16].wrapping_mul(31) ^ byte;
    }
    Uuid(bits)
}

fn roots() -> CaRoots {
    let root = CaRoot {
        id: "01:02".to_owned(),
        name: "Root".to_owned(),
        serial: 7,
        signing_key_id: "aa:bb".to_owned(),
        external_trust_domain: "11111111-2222-3333-4444-555555555555".to_owned(),
        not_before: Timestamp::EPOCH,
        not_after: Timestamp::FAR_FUTURE,
        root_cert: "root".to_owned(),
        intermediate_certs: Vec::new(),
        active: true,
        rotated_out_at: None,
        key_kind: KeyKind::EcP256,
        stamp: Stamp::default(),
    };
    CaRoots {
        active_root_id: "01:02".to_owned(),
        trust_domain: TrustDomain::parse("11111111-2222-3333-4444-555555555555.consul").unwrap(),
        roots: vec![root],
        index: 1,
    }
}

pub(crate) fn name(text: &str) -> ServiceName {
    ServiceName::parse(text).unwrap()
}

pub(crate) fn service_id(text: &str) -> InstanceId {
    InstanceId::parse(text).unwrap()
}

pub(crate) fn node(text: &str) -> Node {
    Node {
        scope: NodeScope::default(),
        name: NodeName::parse(text).unwrap(),
        id: None,
        address: "10.0.0.1".to_owned(),
        datacenter: Datacenter::parse("dc1").unwrap(),
        tagged_addresses: BTreeMap::new(),
        meta: BTreeMap::new(),
        locality: None,
        stamp: Stamp::default(),
    }
}

pub(crate) fn instance(id: &str, service: &str) -> ServiceInstance {
    ServiceInstance { port: 80, ..ServiceInstance::of(service_id(id), name(service)) }
}

pub(crate) fn healthy(on: &str, id: &str, service: &str) -> InstanceHealth {
    InstanceHealth { node: node(on), service: instance(id, service), checks: Vec::new() }
}

/// An entry about one destination and one source.
pub(crate) fn intention(source: &str, destination: &str, action: Action) -> ServiceIntentions {
    ServiceIntentions {
        destination: Destination {
            partition: Partition::default(),
            namespace: Pattern::Exact(Namespace::default()),
            name: Pattern::parse(destination).unwrap(),
        },
        sources: vec![SourceIntention {
            source: Source {
                partition: Partition::default(),
                namespace: Pattern::Exact(Namespace::default()),
                peer: None,
                name: Pattern::parse(source).unwrap(),
            },
            decision: Decision::Connection(action),
            description: String::new(),
            legacy: None,
        }],
        jwt: None,
        meta: BTreeMap::new(),
        stamp: Stamp::default(),
    }
}

/// ACLs enabled and strict; tokens are resolved each time.
pub(crate) fn strict() -> AclSection {
    AclSection {
        enabled: true,
        default_policy: Action::Deny,
        token_ttl: Duration::ZERO,
        ..AclSection::default()
    }
}

/// An agent with its servers, in virtual time.
pub(crate) struct Bench {
    pub(crate) servers: Arc<Servers>,
    pub(crate) agent: Agent,
    pub(crate) world: World,
    pub(crate) disk: TestDisk,
}

impl Bench {
    pub(crate) fn new(acl: AclSection) -> Self {
        Self::with(acl, |_| {})
    }

    pub(crate) fn with(acl: AclSection, adjust: impl FnOnce(&mut AgentConfig)) -> Self {
        let disk = TestDisk::default();
        let world = World::seeded(7, 1_700_000_000_000_000_000).with_disk(Arc::new(disk.clone()));
        let servers = Servers::new(acl.clone(), Arc::clone(&world.clock));
        let agent = start(&servers, &world, acl, adjust);
        Self { servers, agent, world, disk }
    }

    /// The same agent after a restart, with the data on its disk.
    pub(crate) async fn restarted(self) -> Self {
        self.restarted_with(|_| {}).await
    }

    /// The same with other settings.
    pub(crate) async fn restarted_with(self, adjust: impl FnOnce(&mut AgentConfig)) -> Self {
        let acl = self.servers.acl.clone();
        self.agent.scope.cancel();
        settle().await;
        let agent = start(&self.servers, &self.world, acl, adjust);
        Self { agent, ..self }
    }

    /// The same agent after it was killed: it wrote nothing more, and time has passed.
    pub(crate) async fn killed(self, down: Duration, adjust: impl FnOnce(&mut AgentConfig)) -> Self {
        let acl = self.servers.acl.clone();
        self.disk.fail(Fault::Dead(0));
        self.agent.scope.cancel();
        settle().await;
        self.world.clock.sleep(down).await;
        self.disk.mend();
        let agent = start(&self.servers, &self.world, acl, adjust);
        Self { agent, ..self }
    }

    pub(crate) async fn caller(&self, token: &Secret) -> Caller {
        self.agent.callers.resolve(Some(token)).await.expect("a known token")
    }
}

fn start(
    servers: &Arc<Servers>,
    world: &World,
    acl: AclSection,
    adjust: impl FnOnce(&mut AgentConfig),
) -> Agent {
    let mut config = AgentConfig::new(
        NodeName::parse(NODE).unwrap(),
        Datacenter::parse("dc1").unwrap(),
        "10.0.0.1".to_owned(),
    );
    config.acl = acl;
    config.dev = true;
    config.keks = vec![Kek::from_bytes(&[7; 32]).unwrap()];
    adjust(&mut config);
    let scope = Scope::new("agent", Arc::clone(&world.clock));
    Agent::start(config, Arc::clone(servers) as Arc<dyn ServerApi>, Arc::new(OsKeys), world.clone(), scope)
        .expect("it starts")
}

/// Runs everything that can run now. Time is paused and moves only by a millisecond.
pub(crate) async fn settle() {
    TokioClock::new().sleep(Duration::from_millis(1)).await;
}

/// ACLs disabled.
pub(crate) fn open() -> AclSection {
    AclSection { token_ttl: Duration::ZERO, ..AclSection::default() }
}
