//! What the tests are made of: the sidecar of `web`, and what its snapshot is made from.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_envoy_proto::Any;
use concord_mesh::chain;
use concord_mesh::intention::{DefaultPolicy, DefaultSource};
use concord_model::ca::{CaRoot, CaRoots, KeyKind, LeafCertificate};
use concord_model::catalog::{CheckStatus, NodeScope, ServiceInstance};
use concord_model::entry::{Entry, EntryName};
use concord_model::intention::{Action, Decision, Destination, ServiceIntentions, Source, SourceIntention};
use concord_model::proxy::{ProxyConfig, ServiceKind, Settings, Upstream, UpstreamKind};
use concord_model::{
    Datacenter, InstanceId, Namespace, NodeName, Partition, Pattern, Secret, ServiceName, ServiceRef, Stamp,
    Timestamp, TrustDomain,
};
use concord_proxycfg::{
    Chain, ChainQuestion, ChainStep, Effect, Endpoint, Event, ExpectedIdentity, Leaf, LeafFrom, Proxy,
    ProxyId, ProxySnapshot, Target, Understood, WatchKey,
};
use concord_xds::bootstrap::version::Version;
use concord_xds::{Resource, ResourceSet, ResourceType, UNDERSTANDS};
use prost::{Message, Name};

/// The Envoy that is told what the newest one knows.
pub(crate) const NEWEST: Option<Version> = Some(Version { major: 1, minor: 40, patch: 0 });

pub(crate) const DOMAIN: &str = "11111111-2222-3333-4444-555555555555.consul";

pub(crate) fn service(text: &str) -> ServiceRef {
    ServiceRef::local(ServiceName::parse(text).unwrap())
}

pub(crate) fn dc(text: &str) -> Datacenter {
    Datacenter::parse(text).unwrap()
}

pub(crate) fn domain() -> TrustDomain {
    TrustDomain::parse(DOMAIN).unwrap()
}

pub(crate) fn settings(json: &str) -> Settings {
    serde_json::from_str(json).unwrap()
}

pub(crate) fn default(action: Action) -> DefaultPolicy {
    DefaultPolicy { action, source: DefaultSource::AclDefault }
}

/// The upstream of a service at a local port.
pub(crate) fn upstream(to: &str, port: u16) -> Upstream {
    Upstream {
        kind: UpstreamKind::Service,
        partition: Partition::default(),
        namespace: Namespace::default(),
        peer: None,
        name: Pattern::Exact(ServiceName::parse(to).unwrap()),
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

/// The registration of the sidecar of `web`.
pub(crate) fn sidecar(upstreams: Vec<Upstream>) -> ServiceInstance {
    ServiceInstance {
        kind: ServiceKind::ConnectProxy,
        port: 21000,
        proxy: Some(ProxyConfig {
            destination_service: Some(ServiceName::parse("web").unwrap()),
            local_service_port: 8080,
            upstreams,
            ..ProxyConfig::default()
        }),
        ..ServiceInstance::of(
            InstanceId::parse("web-sidecar-proxy").unwrap(),
            ServiceName::parse("web-sidecar-proxy").unwrap(),
        )
    }
}

pub(crate) fn endpoint(of: &str, address: &str) -> Endpoint {
    Endpoint {
        scope: NodeScope::default(),
        node: NodeName::parse("n1").unwrap(),
        namespace: Namespace::default(),
        instance: InstanceId::parse(&format!("{of}-{address}")).unwrap(),
        address: address.to_owned(),
        port: 20000,
        identity: ExpectedIdentity { service: service(of), datacenter: dc("dc1") },
        status: CheckStatus::Passing,
        weight: 1,
        locality: None,
    }
}

/// An intention of a source, which may be `namespace/name` and have wildcards.
pub(crate) fn source(text: &str) -> Source {
    let (namespace, name) = text.split_once('/').unwrap_or(("default", text));
    Source {
        partition: Partition::default(),
        namespace: Pattern::parse(namespace).unwrap(),
        peer: None,
        name: Pattern::parse(name).unwrap(),
    }
}

pub(crate) fn entry(to: &str, sources: Vec<(Source, Decision)>) -> ServiceIntentions {
    let Source { partition, namespace, name, .. } = source(to);
    let one =
        |(source, decision)| SourceIntention { source, decision, description: String::new(), legacy: None };
    ServiceIntentions {
        destination: Destination { partition, namespace, name },
        sources: sources.into_iter().map(one).collect(),
        jwt: None,
        meta: [].into(),
        stamp: Stamp::default(),
    }
}

fn roots() -> Arc<CaRoots> {
    let root = |id: &str| CaRoot {
        id: id.to_owned(),
        name: id.to_owned(),
        serial: 1,
        signing_key_id: String::new(),
        external_trust_domain: String::new(),
        not_before: Timestamp::EPOCH,
        not_after: Timestamp::FAR_FUTURE,
        root_cert: format!("PEM of {id}"),
        intermediate_certs: vec![],
        active: id == "new",
        rotated_out_at: None,
        key_kind: KeyKind::parse("ec", 256).unwrap(),
        stamp: Stamp::default(),
    };
    let roots = vec![root("old"), root("new")];
    Arc::new(CaRoots { active_root_id: "new".to_owned(), trust_domain: domain(), roots, index: 1 })
}

fn leaf() -> Arc<Leaf> {
    let certificate = LeafCertificate {
        serial: "1".to_owned(),
        cert_pem: "PEM of the leaf".to_owned(),
        uri: String::new(),
        valid_after: Timestamp::EPOCH,
        valid_before: Timestamp::FAR_FUTURE,
        authority_key_id: String::new(),
        stamp: Stamp::default(),
    };
    Arc::new(Leaf { certificate, key: Secret::new("the key".to_owned()) })
}

/// What a sidecar is told.
#[derive(Default)]
pub(crate) struct Told {
    /// All configuration entries but intentions.
    pub(crate) entries: BTreeMap<EntryName, Arc<Entry>>,
    pub(crate) intentions: Vec<ServiceIntentions>,
    /// The instances of services. Others have none.
    pub(crate) endpoints: Vec<(&'static str, Vec<Endpoint>)>,
}

impl Told {
    /// Adds an entry as the model writes it.
    pub(crate) fn write(mut self, kind: &str, name: &str, said: &str) -> Self {
        let scope = format!(r#"{{"namespace": "default", "name": "{name}"}}"#);
        let text = format!(r#"{{"{kind}": {{"scope": {scope}, "said": {said}}}}}"#);
        let entry: Entry = serde_json::from_str(&text).unwrap();
        self.entries.insert(entry.name(), Arc::new(entry));
        self
    }

    fn chain(&self, question: &ChainQuestion) -> Arc<Chain> {
        let ChainQuestion { chain: id, service, datacenter, overrides } = question.clone();
        let found = |name: &EntryName| self.entries.get(name).cloned();
        let virtual_ips = chain::VirtualIps::default();
        let gathered = chain::gather(&service, found).unwrap();
        let request = chain::Request { service, datacenter, trust_domain: domain(), overrides, virtual_ips };
        let compiled = Arc::new(chain::compile(&gathered, &request).unwrap());
        Arc::new(Chain::new(id, ChainStep::Compiled(compiled)))
    }

    fn answer(&self, key: &WatchKey, action: Action) -> Event {
        match key.clone() {
            WatchKey::Roots => Event::RootsChanged(roots()),
            WatchKey::Leaf(service) => Event::LeafChanged { service, leaf: leaf() },
            WatchKey::Intentions(destination) => {
                let entries = self.intentions.iter().cloned().map(Arc::new).collect();
                Event::IntentionsChanged { destination, entries, default: default(action) }
            }
            WatchKey::Entry(name) => {
                let entry = self.entries.get(&*name).cloned();
                Event::EntryChanged { name, entry }
            }
            WatchKey::Chain(question) => Event::ChainChanged { chain: self.chain(&question), question },
            WatchKey::Endpoints(target) => {
                let own = self.endpoints.iter().find(|(of, _)| *of == target.service.name.as_str());
                let endpoints = own.map(|(_, list)| list.clone()).unwrap_or_default();
                Event::EndpointsChanged(Arc::new(Target::new(target, endpoints)))
            }
        }
    }

    /// The snapshot of a sidecar that is told all this.
    pub(crate) fn snapshot(&self, instance: ServiceInstance, action: Action) -> Arc<ProxySnapshot> {
        let id = ProxyId {
            scope: NodeScope::default(),
            node: NodeName::parse("n1").unwrap(),
            namespace: Namespace::default(),
            instance: instance.id.clone(),
        };
        let mut proxy = Proxy::new(id, dc("dc1"), LeafFrom::Agent, &Understood::of(UNDERSTANDS));
        let mut effects = Vec::new();
        proxy.on(Event::ProxyChanged(Arc::new(instance)), &mut effects);
        while let Some(effect) = effects.pop() {
            match effect {
                Effect::StartWatch(key) => proxy.on(self.answer(&key, action), &mut effects),
                Effect::Refuse(faults) => panic!("{faults:?}"),
                Effect::StopWatch(_) | Effect::Publish(_) | Effect::Withdraw => {}
            }
        }
        Arc::clone(proxy.snapshot().unwrap())
    }
}

/// The snapshot of a sidecar without configuration entries.
pub(crate) fn snapshot(
    instance: ServiceInstance,
    intentions: Vec<ServiceIntentions>,
    action: Action,
    endpoints: Vec<(&'static str, Vec<Endpoint>)>,
) -> Arc<ProxySnapshot> {
    Told { intentions, endpoints, ..Told::default() }.snapshot(instance, action)
}

/// The message of a resource.
#[track_caller]
pub(crate) fn message<M: Message + Default + Name>(set: &ResourceSet, kind: ResourceType, name: &str) -> M {
    let names: Vec<_> = set.of(kind).map(|resource| &resource.name).collect();
    let resource: &Arc<Resource> =
        set.find(kind, name).unwrap_or_else(|| panic!("no {name} among {names:?}"));
    unpacked(&resource.body)
}

#[track_caller]
pub(crate) fn unpacked<M: Message + Default + Name>(any: &Any) -> M {
    any.to_msg().unwrap()
}
