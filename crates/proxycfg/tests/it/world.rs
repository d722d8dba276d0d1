//! What the tests are made of: one sidecar of `web` on a node, and what it is told.

use std::sync::Arc;

use concord_mesh::chain::{ChainFailover, ChainNode, ChainTarget, CompiledChain, NextNode, ResolverNode};
use concord_mesh::intention::{DefaultPolicy, DefaultSource};
use concord_model::ca::{CaRoots, LeafCertificate};
use concord_model::catalog::{CheckStatus, NodeScope, ServiceInstance};
use concord_model::entry::{Entry, EntryKind, EntryName, GatewayMode, Protocol, ResolverSubset};
use concord_model::intention::{Action, Decision, Destination, ServiceIntentions, Source, SourceIntention};
use concord_model::proxy::{ProxyConfig, ServiceKind, Settings, Upstream, UpstreamKind};
use concord_model::{
    Datacenter, InstanceId, Namespace, NodeName, Partition, Pattern, Secret, ServiceName, ServiceRef, Stamp,
    Timeout, Timestamp, TrustDomain,
};
use concord_proxycfg::{
    Chain, ChainId, ChainQuestion, ChainStep, Effect, Endpoint, Endpoints, Event, ExpectedIdentity, Feature,
    Leaf, LeafFrom, OutboundListener, Proxy, ProxyId, ProxySnapshot, Target, TargetId, Understood,
    UpstreamId, WatchKey,
};

pub(crate) const DENY: DefaultPolicy =
    DefaultPolicy { action: Action::Deny, source: DefaultSource::AclDefault };

pub(crate) fn name(text: &str) -> ServiceName {
    ServiceName::parse(text).unwrap()
}

pub(crate) fn service(text: &str) -> ServiceRef {
    ServiceRef::local(name(text))
}

pub(crate) fn dc(text: &str) -> Datacenter {
    Datacenter::parse(text).unwrap()
}

pub(crate) fn id() -> ProxyId {
    ProxyId {
        scope: NodeScope::default(),
        node: NodeName::parse("n1").unwrap(),
        namespace: Namespace::default(),
        instance: InstanceId::parse("web-sidecar-proxy").unwrap(),
    }
}

/// The upstream of a service at a local port.
pub(crate) fn upstream(to: &str, port: u16) -> Upstream {
    Upstream {
        kind: UpstreamKind::Service,
        partition: Partition::default(),
        namespace: Namespace::default(),
        peer: None,
        name: Pattern::Exact(name(to)),
        datacenter: None,
        local_bind_address: String::new(),
        local_bind_port: port,
        local_bind_socket_path: String::new(),
        local_bind_socket_mode: String::new(),
        config: Settings::new(),
        mesh_gateway_mode: String::new(),
        centrally_configured: false,
    }
}

pub(crate) fn settings(json: &str) -> Settings {
    serde_json::from_str(json).unwrap()
}

/// The registration of the sidecar of a service.
pub(crate) fn sidecar(of: &str, upstreams: Vec<Upstream>) -> ServiceInstance {
    ServiceInstance {
        kind: ServiceKind::ConnectProxy,
        port: 21000,
        proxy: Some(ProxyConfig {
            destination_service: Some(name(of)),
            destination_service_id: Some(InstanceId::parse(of).unwrap()),
            local_service_port: 8080,
            upstreams,
            ..ProxyConfig::default()
        }),
        ..ServiceInstance::of(id().instance, name(&format!("{of}-sidecar-proxy")))
    }
}

pub(crate) fn roots(index: u64) -> Arc<CaRoots> {
    let trust_domain = TrustDomain::parse("11111111-2222-3333-4444-555555555555.consul").unwrap();
    Arc::new(CaRoots { active_root_id: format!("root-{index}"), trust_domain, roots: vec![], index })
}

pub(crate) fn leaf(serial: &str) -> Arc<Leaf> {
    let certificate = LeafCertificate {
        serial: serial.to_owned(),
        cert_pem: String::new(),
        uri: String::new(),
        valid_after: Timestamp::EPOCH,
        valid_before: Timestamp::FAR_FUTURE,
        authority_key_id: String::new(),
        stamp: Stamp::default(),
    };
    Arc::new(Leaf { certificate, key: Secret::new("a key".to_owned()) })
}

/// An entry that lets `from` call `to`, or not; `*` for all.
pub(crate) fn entry(from: &str, to: &str, action: Action) -> Arc<ServiceIntentions> {
    let namespace = || Pattern::Exact(Namespace::default());
    let source = Source {
        partition: Partition::default(),
        namespace: namespace(),
        peer: None,
        name: Pattern::parse(from).unwrap(),
    };
    Arc::new(ServiceIntentions {
        destination: Destination {
            partition: Partition::default(),
            namespace: namespace(),
            name: Pattern::parse(to).unwrap(),
        },
        sources: vec![SourceIntention {
            source,
            decision: Decision::Connection(action),
            description: String::new(),
            legacy: None,
        }],
        jwt: None,
        meta: [].into(),
        stamp: Stamp::default(),
    })
}

/// A `mesh` entry.
pub(crate) fn mesh(destinations_only: bool) -> Arc<Entry> {
    let said = format!(r#"{{"transparent_proxy": {{"mesh_destinations_only": {destinations_only}}}}}"#);
    let text =
        format!(r#"{{"mesh": {{"scope": {{"namespace": "default", "name": "mesh"}}, "said": {said}}}}}"#);
    Arc::new(serde_json::from_str(&text).unwrap())
}

/// A chain that leads to the first of these services, or to the others if that fails.
pub(crate) fn compiled(of: &str, to: &[&str]) -> Arc<CompiledChain> {
    let target = |to: &&str| ChainTarget {
        id: (*to).to_owned(),
        service: service(to),
        subset_name: String::new(),
        subset: ResolverSubset::default(),
        datacenter: Some(dc("dc1")),
        mesh_gateway: GatewayMode::default(),
        mesh_gateway_origin: None,
        dialed_directly: false,
        connect_timeout: Timeout::default(),
        external: None,
        sni: String::new(),
        name: String::new(),
    };
    let failover = |to: &&str| ChainFailover { target: (*to).to_owned(), origins: vec![] };
    let node = ResolverNode {
        target: to[0].to_owned(),
        default: false,
        connect_timeout: Timeout::default(),
        request_timeout: Timeout::default(),
        failover: to[1..].iter().map(failover).collect(),
        load_balancer: None,
        entry: None,
    };
    Arc::new(CompiledChain {
        service: service(of),
        datacenter: dc("dc1"),
        customization_hash: String::new(),
        default: false,
        protocol: Protocol::Tcp,
        protocol_origin: None,
        service_meta: [].into(),
        envoy_extensions: vec![],
        start: NextNode { key: format!("resolver:{}", to[0]), via: vec![] },
        nodes: [(format!("resolver:{}", to[0]), ChainNode::Resolver(node))].into(),
        targets: to.iter().map(|to| ((*to).to_owned(), target(to))).collect(),
        auto_virtual_ips: vec![],
        manual_virtual_ips: vec![],
    })
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

pub(crate) fn target(to: &str) -> TargetId {
    TargetId::all_of(service(to), dc("dc1"))
}

pub(crate) fn endpoint(of: &str, node: &str, port: u16) -> Endpoint {
    Endpoint {
        scope: NodeScope::default(),
        node: NodeName::parse(node).unwrap(),
        namespace: Namespace::default(),
        instance: InstanceId::parse(&format!("{of}-sidecar-proxy")).unwrap(),
        address: "10.0.0.1".to_owned(),
        port,
        identity: ExpectedIdentity { service: service(of), datacenter: dc("dc1") },
        status: CheckStatus::Passing,
        weight: 1,
        locality: None,
    }
}

/// The machine with the effects of its last event.
pub(crate) struct World {
    pub(crate) proxy: Proxy,
    pub(crate) last: Vec<Effect>,
    /// Whether the test tells what there is of the `mesh` entry.
    tells_of_mesh: bool,
    /// Whether the machine knows it.
    is_told_of_mesh: bool,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            proxy: Proxy::new(id(), dc("dc1"), LeafFrom::Proxy, &plain()),
            last: vec![],
            tells_of_mesh: false,
            is_told_of_mesh: false,
        }
    }

    pub(crate) fn with_leaf() -> Self {
        Self {
            proxy: Proxy::new(id(), dc("dc1"), LeafFrom::Agent, &plain()),
            last: vec![],
            tells_of_mesh: false,
            is_told_of_mesh: false,
        }
    }

    /// A proxy that acts by configuration entries.
    pub(crate) fn by_entries() -> Self {
        let all = Understood::of(Feature::ALL);
        Self {
            proxy: Proxy::new(id(), dc("dc1"), LeafFrom::Proxy, &all),
            last: vec![],
            tells_of_mesh: true,
            is_told_of_mesh: true,
        }
    }

    /// A sidecar of `web` that calls `api`, fully told.
    pub(crate) fn published() -> Self {
        let mut world = Self::new();
        world.register(sidecar("web", vec![upstream("api", 9000)]));
        world.on(Event::RootsChanged(roots(1)));
        world.intentions("web", vec![entry("db", "web", Action::Allow)], DENY);
        world.endpoints("api", vec![endpoint("api", "n2", 21000)]);
        world
    }

    pub(crate) fn on(&mut self, event: Event) {
        self.last.clear();
        if matches!(event, Event::Gone) {
            self.is_told_of_mesh = self.tells_of_mesh;
        }
        // Unless a test says otherwise, there is no `mesh` entry.
        let mesh = Arc::new(EntryName::only(EntryKind::Mesh));
        let is_asked = self.proxy.watches().any(|key| *key == WatchKey::Entry(Arc::clone(&mesh)));
        if is_asked && !std::mem::replace(&mut self.is_told_of_mesh, true) {
            self.proxy.on(Event::EntryChanged { name: mesh, entry: None }, &mut Vec::new());
        }
        self.proxy.on(event, &mut self.last);
    }

    /// Only the test tells what there is of the `mesh` entry.
    pub(crate) fn is_silent_of_mesh(&mut self) {
        (self.tells_of_mesh, self.is_told_of_mesh) = (true, true);
    }

    pub(crate) fn register(&mut self, instance: ServiceInstance) {
        self.on(Event::ProxyChanged(Arc::new(instance)));
    }

    pub(crate) fn intentions(
        &mut self,
        of: &str,
        entries: Vec<Arc<ServiceIntentions>>,
        default: DefaultPolicy,
    ) {
        self.on(Event::IntentionsChanged { destination: Arc::new(service(of)), entries, default });
    }

    /// What is asked about the chain of an upstream at present.
    pub(crate) fn question(&self, of: &str) -> Option<Arc<ChainQuestion>> {
        let id = ChainId::of(&UpstreamId::of(&upstream(of, 0)));
        self.proxy.watches().find_map(|key| match key {
            WatchKey::Chain(question) if question.chain == id => Some(question.clone()),
            _ => None,
        })
    }

    /// The chain of an upstream leads to the first of these services, or to the others if that fails.
    pub(crate) fn chain(&mut self, of: &str, to: &[&str]) {
        self.last.clear();
        if let Some(question) = self.question(of) {
            self.on(chain_of(question, compiled(of, to)));
        }
    }

    pub(crate) fn mesh(&mut self, entry: Option<Arc<Entry>>) {
        self.on(Event::EntryChanged { name: Arc::new(EntryName::only(EntryKind::Mesh)), entry });
    }

    pub(crate) fn endpoints(&mut self, of: &str, endpoints: Vec<Endpoint>) {
        self.on(Event::EndpointsChanged(Arc::new(Target::new(target(of), endpoints))));
    }

    /// What the last event published.
    pub(crate) fn publication(&self) -> Option<&Arc<ProxySnapshot>> {
        let mut all = self.last.iter().filter_map(|effect| match effect {
            Effect::Publish(snapshot) => Some(snapshot),
            Effect::StartWatch(_) | Effect::StopWatch(_) | Effect::Refuse(_) | Effect::Withdraw => None,
        });
        let first = all.next();
        assert!(all.next().is_none(), "one event publishes once");
        first
    }

    pub(crate) fn snapshot(&self) -> &ProxySnapshot {
        self.proxy.snapshot().expect("a snapshot is published")
    }

    /// What is known of the instances of a service.
    pub(crate) fn known(&self, of: &str) -> Option<&Endpoints> {
        self.snapshot().targets[&target(of)].endpoints.as_ref()
    }

    /// The listener of an upstream.
    pub(crate) fn outbound(&self, id: &UpstreamId) -> &OutboundListener {
        self.snapshot().outbound().find(|listener| listener.upstream == *id).expect("it is registered")
    }
}

/// A chain in answer to a question.
pub(crate) fn chain_of(question: Arc<ChainQuestion>, chain: Arc<CompiledChain>) -> Event {
    let chain = Arc::new(Chain::new(question.chain.clone(), ChainStep::Compiled(chain)));
    Event::ChainChanged { question, chain }
}
