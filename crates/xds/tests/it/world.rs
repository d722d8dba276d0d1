//! What the tests are made of: the sidecar of `web`, and what its snapshot is made from.

use std::sync::Arc;

use concord_envoy_proto::Any;
use concord_mesh::intention::{DefaultPolicy, DefaultSource};
use concord_model::ca::{CaRoot, CaRoots, KeyKind, LeafCertificate};
use concord_model::catalog::{CheckStatus, NodeScope, ServiceInstance};
use concord_model::intention::{Action, Decision, Destination, ServiceIntentions, Source, SourceIntention};
use concord_model::proxy::{ProxyConfig, ServiceKind, Settings, Upstream, UpstreamKind};
use concord_model::{
    Datacenter, InstanceId, Namespace, NodeName, Partition, Pattern, Secret, ServiceName, ServiceRef, Stamp,
    Timestamp, TrustDomain,
};
use concord_proxycfg::{
    Effect, Endpoint, Event, ExpectedIdentity, Leaf, LeafFrom, Proxy, ProxyId, ProxySnapshot, TargetId,
    Understood,
};
use concord_xds::{Resource, ResourceSet, ResourceType};
use prost::{Message, Name};

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

/// The snapshot of a sidecar. Of the other targets nothing is known.
pub(crate) fn snapshot(
    instance: ServiceInstance,
    entries: Vec<ServiceIntentions>,
    action: Action,
    endpoints: Vec<(&str, Vec<Endpoint>)>,
) -> Arc<ProxySnapshot> {
    let id = ProxyId {
        scope: NodeScope::default(),
        node: NodeName::parse("n1").unwrap(),
        namespace: Namespace::default(),
        instance: instance.id.clone(),
    };
    let mut proxy = Proxy::new(id, dc("dc1"), LeafFrom::Agent, &Understood::default());
    let mut out = Vec::new();
    let destination = service("web");
    let entries = entries.into_iter().map(Arc::new).collect();
    proxy.on(Event::ProxyChanged(Arc::new(instance)), &mut out);
    proxy.on(Event::RootsChanged(roots()), &mut out);
    proxy.on(Event::LeafChanged { service: destination.clone(), leaf: leaf() }, &mut out);
    proxy.on(Event::IntentionsChanged { destination, entries, default: default(action) }, &mut out);
    for (to, endpoints) in endpoints {
        let target = TargetId::all_of(service(to), dc("dc1"));
        proxy.on(Event::EndpointsChanged { target, endpoints }, &mut out);
    }
    assert!(!out.iter().any(|effect| matches!(effect, Effect::Refuse(_))), "{out:?}");
    Arc::clone(proxy.snapshot().unwrap())
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
