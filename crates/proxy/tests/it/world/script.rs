//! A source of snapshots that does what a test tells it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use concord_mesh::intention::DefaultPolicy;
use concord_model::ca::{CaRoots, LeafCertificate};
use concord_model::catalog::{CheckStatus, NodeScope};
use concord_model::intention::{Action, Decision, Destination, ServiceIntentions, Source, SourceIntention};
use concord_model::proxy::{Settings, Upstream, UpstreamKind};
use concord_model::{
    InstanceId, Namespace, NodeName, Partition, Pattern, Secret, ServiceName, ServiceRef, Stamp,
};
use concord_proxycfg::{
    BindAddress, Chain, ChainId, ChainStep, Endpoint, Endpoints, ExpectedIdentity, InboundListener,
    IntentionSection, Leads, Listener, LocalTarget, OutboundListener, ProxyId, ProxySection, ProxySnapshot,
    Refusal, Resolve, Sections, Target, TargetId, UpstreamId, UpstreamLimits, Versioned,
};
use concord_rpc::{Attach, ProxyTarget, RpcError, SnapshotEvent, SnapshotSource, SnapshotStream};
use futures::future::BoxFuture;
use futures::stream::StreamExt as _;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::{Mesh, dc, service};

/// How the source feels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mood {
    /// Answers.
    Well,
    /// Does not answer.
    Away,
    /// Says that it does not know the token.
    Revoked,
}

/// What a snapshot is made of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parts {
    pub(crate) proxy: ProxySection,
    /// Where it takes connections from the mesh; `None`: it takes none.
    pub(crate) bind: Option<BindAddress>,
    pub(crate) inbound: InboundListener,
    pub(crate) roots: CaRoots,
    pub(crate) entries: Vec<ServiceIntentions>,
    pub(crate) default: Action,
    pub(crate) upstreams: BTreeMap<UpstreamId, UpstreamPart>,
}

/// An upstream: what its listener, its chain and its target are made of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct UpstreamPart {
    pub(crate) id: UpstreamId,
    pub(crate) bind: Option<BindAddress>,
    pub(crate) limits: UpstreamLimits,
    pub(crate) refused: Option<Refusal>,
    pub(crate) target: TargetId,
    pub(crate) endpoints: Option<Endpoints>,
}

type Sender = mpsc::UnboundedSender<Result<SnapshotEvent, RpcError>>;

pub(crate) struct Script {
    mesh: Arc<Mesh>,
    inner: Mutex<Inner>,
}

struct Inner {
    parts: Parts,
    snapshot: Option<ProxySnapshot>,
    version: u64,
    streams: Vec<Sender>,
    mood: Mood,
    signs: bool,
    attached: usize,
}

/// The name of the upstream of a service.
pub(crate) fn upstream_id(to: &str) -> UpstreamId {
    let upstream = Upstream {
        kind: UpstreamKind::Service,
        partition: Partition::default(),
        namespace: Namespace::default(),
        peer: None,
        name: Pattern::Exact(ServiceName::parse(to).unwrap()),
        datacenter: None,
        local_bind_address: String::new(),
        local_bind_port: 0,
        local_bind_socket_path: String::new(),
        local_bind_socket_mode: String::new(),
        config: Settings::new(),
        mesh_gateway_mode: String::new(),
        centrally_configured: false,
    };
    UpstreamId::of(&upstream)
}

/// Shorthands for the parts of an upstream.
pub(crate) struct UpstreamParts;

impl UpstreamParts {
    /// The upstream of a service at a free port.
    pub(crate) fn of(to: &str, instances: &[SocketAddr]) -> UpstreamPart {
        UpstreamPart {
            id: upstream_id(to),
            bind: Some(BindAddress::Tcp((Ipv4Addr::LOCALHOST, 0).into())),
            limits: UpstreamLimits::default(),
            refused: None,
            target: TargetId::all_of(service(to), dc("dc1")),
            endpoints: Self::known(to, instances),
        }
    }

    pub(crate) fn known(to: &str, instances: &[SocketAddr]) -> Option<Endpoints> {
        let list =
            instances.iter().map(|address| Self::endpoint(to, *address, CheckStatus::Passing)).collect();
        Some(Endpoints::from_unordered(list))
    }

    pub(crate) fn endpoint(to: &str, address: SocketAddr, status: CheckStatus) -> Endpoint {
        Endpoint {
            scope: NodeScope::default(),
            node: NodeName::parse("n1").unwrap(),
            namespace: Namespace::default(),
            instance: InstanceId::parse(&format!("{to}-{}", address.port())).unwrap(),
            address: address.ip().to_string(),
            port: address.port(),
            identity: ExpectedIdentity { service: service(to), datacenter: dc("dc1") },
            status,
            weight: u32::from(status != CheckStatus::Critical),
            locality: None,
        }
    }
}

/// An entry that lets `from` call `to`, or not.
pub(crate) fn entry(to: &str, sources: &[(&str, Action)]) -> ServiceIntentions {
    let namespace = || Pattern::Exact(Namespace::default());
    let source = |(from, action): &(&str, Action)| SourceIntention {
        source: Source {
            partition: Partition::default(),
            namespace: namespace(),
            peer: None,
            name: Pattern::parse(from).unwrap(),
        },
        decision: Decision::Connection(*action),
        description: String::new(),
        legacy: None,
    };
    ServiceIntentions {
        destination: Destination {
            partition: Partition::default(),
            namespace: namespace(),
            name: Pattern::parse(to).unwrap(),
        },
        sources: sources.iter().map(source).collect(),
        jwt: None,
        meta: BTreeMap::new(),
        stamp: Stamp::default(),
    }
}

pub(crate) fn allow(from: &str, to: &str) -> ServiceIntentions {
    entry(to, &[(from, Action::Allow)])
}

pub(crate) fn deny(from: &str, to: &str) -> ServiceIntentions {
    entry(to, &[(from, Action::Deny)])
}

impl Script {
    pub(crate) fn new(mesh: &Arc<Mesh>, of: &str, local: Option<LocalTarget>) -> Arc<Self> {
        let proxy = ProxySection {
            service: service(of),
            service_id: None,
            datacenter: dc("dc1"),
            protocol: "tcp".to_owned(),
            settings: Settings::new(),
            access_logs: None,
            exposed: Vec::new(),
            checked_from: None,
        };
        let bind = BindAddress::Tcp((Ipv4Addr::LOCALHOST, 0).into());
        let inbound = InboundListener {
            bind: bind.clone(),
            local,
            local_connect_timeout: None,
            handshake_timeout: None,
            max_connections: None,
        };
        let parts = Parts {
            proxy,
            bind: Some(bind),
            inbound,
            roots: mesh.roots(),
            entries: Vec::new(),
            default: Action::Deny,
            upstreams: BTreeMap::new(),
        };
        let inner = Inner {
            parts,
            snapshot: None,
            version: 0,
            streams: Vec::new(),
            mood: Mood::Well,
            signs: true,
            attached: 0,
        };
        let own = Arc::new(Self { mesh: Arc::clone(mesh), inner: Mutex::new(inner) });
        own.change(|_| {});
        own
    }

    /// Changes what the proxy is to do; returns the version of the snapshot that says so.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Parts)) -> u64 {
        let mut inner = self.inner.lock();
        change(&mut inner.parts);
        inner.version += 1;
        let old = inner.snapshot.take();
        let new = build(&inner.parts, inner.version, old.as_ref());
        for event in old.iter().flat_map(|old| SnapshotEvent::between(Some(old), &new)) {
            inner.streams.retain(|stream| stream.send(Ok(event.clone())).is_ok());
        }
        inner.snapshot = Some(new);
        inner.version
    }

    /// Changes the mood; whoever is attached learns it by the end of the stream.
    pub(crate) fn mood(&self, mood: Mood) {
        let mut inner = self.inner.lock();
        inner.mood = mood;
        if mood != Mood::Well {
            for stream in inner.streams.drain(..) {
                let _ = stream.send(Err(mood.error()));
            }
        }
    }

    /// Whether it signs leaves; if not, requests wait for ever.
    pub(crate) fn signs(&self, signs: bool) {
        self.inner.lock().signs = signs;
    }

    /// How often a proxy has attached.
    pub(crate) fn attached(&self) -> usize {
        self.inner.lock().attached
    }
}

impl Mood {
    fn error(self) -> RpcError {
        match self {
            Self::Revoked => RpcError::TokenNotFound,
            Self::Well | Self::Away => RpcError::NoLeader,
        }
    }
}

fn build(parts: &Parts, version: u64, old: Option<&ProxySnapshot>) -> ProxySnapshot {
    fn part<T: Clone + PartialEq>(value: &T, old: Option<&Versioned<T>>, version: u64) -> Versioned<T> {
        match old {
            Some(old) if *old.value == *value => old.clone(),
            Some(_) | None => Versioned { version, value: Arc::new(value.clone()) },
        }
    }
    let destination: ServiceRef = parts.proxy.service.clone();
    let default = DefaultPolicy::resolve(None, parts.default);
    let entries = parts.entries.iter().cloned().map(Arc::new);
    let intentions = IntentionSection::new(destination, entries, default);
    let (mut targets, mut chains, mut listeners) = (Vec::new(), Vec::new(), Vec::new());
    let mut listen = |listener: Listener| {
        let old = old.and_then(|old| old.listeners.get(&listener.id()));
        listeners.push(part(&listener, old, version));
    };
    if let Some(bind) = parts.bind.clone() {
        listen(Listener::Inbound(InboundListener { bind, ..parts.inbound.clone() }));
    }
    for (id, own) in &parts.upstreams {
        let (upstream, chain_id) = (id.clone(), ChainId::of(id));
        let leads = own.refused.clone().map_or_else(|| Leads::Chain(chain_id.clone()), Leads::Refused);
        let (bind, limits, settings) = (own.bind.clone(), own.limits, Settings::new());
        listen(Listener::Outbound(OutboundListener {
            upstream,
            bind,
            leads,
            limits,
            passive_health_check: None,
            settings,
        }));
        let target = Target { id: own.target.clone(), endpoints: own.endpoints.clone() };
        let found = old.and_then(|old| old.targets.get(&target.id));
        targets.push(part(&target, found, version));
        let resolve = Resolve { target: target.id, connect_timeout: None };
        let chain = Chain::new(chain_id.clone(), ChainStep::Resolve(resolve));
        let found = old.and_then(|old| old.chains.get(&chain_id));
        chains.push(part(&chain, found, version));
    }
    ProxySnapshot {
        id: ProxyId {
            scope: NodeScope::default(),
            node: NodeName::parse("n1").unwrap(),
            namespace: Namespace::default(),
            instance: InstanceId::parse("proxy").unwrap(),
        },
        version,
        proxy: part(&parts.proxy, old.map(|old| &old.proxy), version),
        roots: part(&parts.roots, old.map(|old| &old.roots), version),
        intentions: part(&intentions, old.map(|old| &old.intentions), version),
        entries: Sections::default(),
        targets: targets.into_iter().collect(),
        chains: chains.into_iter().collect(),
        listeners: listeners.into_iter().collect(),
        leaf: None,
    }
}

impl SnapshotSource for Script {
    fn admit(&self, _token: Option<Secret>) -> BoxFuture<'_, Result<(), RpcError>> {
        Box::pin(async { Ok(()) })
    }

    fn attach(
        &self,
        _proxy: Attach,
        _token: Option<Secret>,
    ) -> BoxFuture<'_, Result<SnapshotStream, RpcError>> {
        Box::pin(async {
            let mut inner = self.inner.lock();
            if inner.mood != Mood::Well {
                return Err(inner.mood.error());
            }
            inner.attached += 1;
            let (sender, receiver) = mpsc::unbounded_channel();
            let snapshot = inner.snapshot.as_ref().expect("made at the beginning");
            for event in SnapshotEvent::between(None, snapshot) {
                sender.send(Ok(event)).expect("the receiver is here");
            }
            inner.streams.push(sender);
            Ok(UnboundedReceiverStream::new(receiver).boxed())
        })
    }

    fn sign_leaf(
        &self,
        _proxy: ProxyTarget,
        _token: Option<Secret>,
        csr_pem: String,
    ) -> BoxFuture<'_, Result<LeafCertificate, RpcError>> {
        Box::pin(async move {
            let (mood, signs, of) = {
                let inner = self.inner.lock();
                (inner.mood, inner.signs, inner.parts.proxy.service.clone())
            };
            if !signs {
                std::future::pending::<()>().await;
            }
            if mood != Mood::Well {
                return Err(mood.error());
            }
            Ok(self.mesh.sign(&csr_pem, &of))
        })
    }
}
