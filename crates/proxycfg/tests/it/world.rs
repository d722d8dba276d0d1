//! What the tests are made of: one sidecar of `web` on a node, and what it is told.

use std::sync::Arc;

use concord_mesh::intention::{DefaultPolicy, DefaultSource};
use concord_model::ca::{CaRoots, LeafCertificate};
use concord_model::catalog::{CheckStatus, NodeScope, ServiceInstance};
use concord_model::intention::{Action, Decision, Destination, ServiceIntentions, Source, SourceIntention};
use concord_model::proxy::{ProxyConfig, ServiceKind, Settings, Upstream, UpstreamKind};
use concord_model::{
    Datacenter, InstanceId, Namespace, NodeName, Partition, Pattern, Secret, ServiceName, ServiceRef, Stamp,
    Timestamp, TrustDomain,
};
use concord_proxycfg::{
    Effect, Endpoint, Endpoints, Event, ExpectedIdentity, Leaf, LeafFrom, OutboundListener, Proxy, ProxyId,
    ProxySnapshot, TargetId, UpstreamId,
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

pub(crate) fn target(to: &str) -> TargetId {
    TargetId { service: service(to), datacenter: dc("dc1") }
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
}

impl World {
    pub(crate) fn new() -> Self {
        Self { proxy: Proxy::new(id(), dc("dc1"), LeafFrom::Proxy), last: vec![] }
    }

    pub(crate) fn with_leaf() -> Self {
        Self { proxy: Proxy::new(id(), dc("dc1"), LeafFrom::Agent), last: vec![] }
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
        self.proxy.on(event, &mut self.last);
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
        self.on(Event::IntentionsChanged { destination: service(of), entries, default });
    }

    pub(crate) fn endpoints(&mut self, of: &str, endpoints: Vec<Endpoint>) {
        self.on(Event::EndpointsChanged { target: target(of), endpoints });
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
