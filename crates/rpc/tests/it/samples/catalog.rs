//! Catalog and health.

use std::collections::BTreeMap;

use concord_model::Pattern;
use concord_model::catalog::{
    Check, CheckStatus, Deregistration, Locality, Node, NodeScope, Registered, Registration, ServiceAddress,
    ServiceInstance, ServicePort, Weights,
};
use concord_model::proxy::{
    AccessLogSink, AccessLogs, EnvoyExtension, Expose, ExposedPath, MutualTlsMode, ProxyConfig, ServiceKind,
    TransparentProxy, Upstream, UpstreamKind,
};
use concord_rpc::request::*;
use concord_rpc::{AnyReply, AnyRequest};

use super::{Sample, every, meta, name, sample, service, settings, stamp, uuid};

pub(crate) fn requests() -> Vec<Sample<AnyRequest>> {
    let mut all = vec![
        sample!(AnyRequest, ListDatacenters, "", ListDatacenters {}),
        sample!(AnyRequest, ListNodes, "", ListNodes { node_meta: meta() }),
        sample!(AnyRequest, ListServices, "", ListServices { node_meta: meta() }),
        sample!(AnyRequest, ListInstances, "", ListInstances { node_meta: meta() }),
        sample!(AnyRequest, ServiceInstances, "", ServiceInstances { select: selection() }),
        sample!(AnyRequest, NodeDump, "", NodeDump::of(name("n1"))),
        sample!(AnyRequest, NodeDump, "merged", NodeDump { merged: true, ..NodeDump::of(name("n1")) }),
        sample!(
            AnyRequest,
            ServiceInstances,
            "merged",
            ServiceInstances { select: InstanceSelection { merged: true, ..selection() } }
        ),
        sample!(
            AnyRequest,
            ServiceHealth,
            "ingress",
            ServiceHealth { select: InstanceSelection::ingress(service("web")), worst: None }
        ),
        sample!(
            AnyRequest,
            ServiceHealth,
            "gateways",
            ServiceHealth { select: InstanceSelection::connect_or_gateway(service("web")), worst: None }
        ),
        sample!(AnyRequest, NodeChecks, "", NodeChecks { node: name("n1") }),
        sample!(AnyRequest, ServiceChecks, "", ServiceChecks { service: service("web"), node_meta: meta() }),
    ];
    let states = every!(CheckState:
        CheckState::Any => CheckState::Any,
        CheckState::Is(_) => CheckState::Is(CheckStatus::Warning),
        CheckState::Never => CheckState::Never,
    );
    for (what, state) in ["any", "", "never"].into_iter().zip(states) {
        all.push(sample!(AnyRequest, ChecksInState, what, ChecksInState { state, node_meta: meta() }));
    }
    for status in statuses() {
        let health = ServiceHealth { select: selection(), worst: Some(status) };
        all.push(sample!(AnyRequest, ServiceHealth, status.as_str(), health));
    }
    all.extend(changes());
    all
}

/// What is put into the catalog and taken out of it.
fn changes() -> Vec<Sample<AnyRequest>> {
    let register = Registration {
        node: node(),
        skip_node_update: true,
        service: Some(instance(ServiceKind::ConnectProxy)),
        checks: checks(),
    };
    let mut with_ports = register.clone();
    with_ports.service.as_mut().expect("an instance").ports = vec![
        ServicePort { name: "http".to_owned(), port: 8080, default: true },
        ServicePort { name: "metrics".to_owned(), port: 9090, default: false },
    ];
    let mut with_central = register.clone();
    with_central.service.as_mut().expect("an instance").proxy = Some(central());
    let mut all = vec![
        sample!(AnyRequest, Register, "", Register(register)),
        sample!(AnyRequest, Register, "ports", Register(with_ports)),
        sample!(AnyRequest, Register, "central", Register(with_central)),
        sample!(
            AnyRequest,
            SetServiceAddresses,
            "",
            SetServiceAddresses {
                service: service("web"),
                addresses: vec![[10, 0, 0, 1].into(), [10, 0, 0, 2].into()]
            }
        ),
    ];
    let parts = every!(Registered:
        Registered::Node => Registered::Node,
        Registered::Service { .. } => Registered::Service { namespace: name("space"), id: name("web/1") },
        Registered::Check { .. } => Registered::Check { id: name("web:1") },
    );
    for (what, part) in ["node", "service", "check"].into_iter().zip(parts) {
        let gone = Deregistration { scope: scope(), node: name("n1"), what: part };
        all.push(sample!(AnyRequest, Deregister, what, Deregister(gone)));
    }
    all
}

/// A proxy on a node.
pub(super) fn placed() -> InstanceOnNode {
    InstanceOnNode { node: node(), service: instance(ServiceKind::ConnectProxy) }
}

pub(crate) fn replies() -> Vec<Sample<AnyReply>> {
    let services = BTreeMap::from([(name("web"), vec!["v1".to_owned(), "v2".to_owned()])]);
    let on_nodes =
        || kinds().into_iter().map(|kind| InstanceOnNode { node: node(), service: instance(kind) });
    let health =
        || InstanceHealth { node: node(), service: instance(ServiceKind::ConnectProxy), checks: checks() };
    let records = || NodeRecords {
        node: node(),
        services: kinds().into_iter().map(instance).collect(),
        checks: checks(),
    };
    let on_node = || checks().into_iter().map(|check| NodeCheck { node: name("n1"), check }).collect();
    vec![
        sample!(AnyReply, ListDatacenters, "", vec![name("dc1"), name("dc2")]),
        sample!(AnyReply, ListNodes, "", vec![node()]),
        sample!(AnyReply, ListServices, "", services),
        sample!(AnyReply, ListInstances, "", on_nodes().collect()),
        sample!(AnyReply, ServiceInstances, "", on_nodes().take(1).collect()),
        sample!(AnyReply, NodeDump, "", Some(records())),
        sample!(AnyReply, NodeDump, "none", None),
        sample!(AnyReply, NodeChecks, "", checks()),
        sample!(AnyReply, ServiceChecks, "", on_node()),
        sample!(AnyReply, ChecksInState, "", on_node()),
        sample!(AnyReply, ServiceHealth, "", vec![health()]),
        sample!(AnyReply, Register, "", ()),
        sample!(AnyReply, Deregister, "", ()),
        sample!(
            AnyReply,
            SetServiceAddresses,
            "",
            ServiceAddresses { found: true, taken_from: vec![service("db")] }
        ),
    ]
}

fn selection() -> InstanceSelection {
    InstanceSelection {
        service: service("web"),
        connect: true,
        // Added since then; the sample `gateways` has it.
        gateways: false,
        // Added since then; the samples `ingress` have it.
        ingress: false,
        tags: vec!["v1".to_owned(), "primary".to_owned()],
        node_meta: meta(),
        // Added since then; the samples `merged` have it.
        merged: false,
    }
}

fn statuses() -> Vec<CheckStatus> {
    every!(CheckStatus:
        CheckStatus::Passing => CheckStatus::Passing,
        CheckStatus::Warning => CheckStatus::Warning,
        CheckStatus::Critical => CheckStatus::Critical,
    )
}

fn kinds() -> Vec<ServiceKind> {
    every!(ServiceKind:
        ServiceKind::Typical => ServiceKind::Typical,
        ServiceKind::ConnectProxy => ServiceKind::ConnectProxy,
        ServiceKind::MeshGateway => ServiceKind::MeshGateway,
        ServiceKind::TerminatingGateway => ServiceKind::TerminatingGateway,
        ServiceKind::IngressGateway => ServiceKind::IngressGateway,
        ServiceKind::ApiGateway => ServiceKind::ApiGateway,
    )
}

fn locality() -> Locality {
    Locality { region: "eu".to_owned(), zone: "eu-1".to_owned() }
}

fn scope() -> NodeScope {
    NodeScope { partition: name("part"), peer: Some(name("east")) }
}

pub(super) fn node() -> Node {
    Node {
        scope: scope(),
        name: name("n1"),
        id: Some(uuid(0x12)),
        address: "10.0.0.1".to_owned(),
        datacenter: name("dc1"),
        tagged_addresses: BTreeMap::from([("wan".to_owned(), "192.0.2.1".to_owned())]),
        meta: meta(),
        locality: Some(locality()),
        stamp: stamp(),
    }
}

pub(super) fn instance(kind: ServiceKind) -> ServiceInstance {
    let wan = ServiceAddress { address: "192.0.2.1".to_owned(), port: 8443 };
    ServiceInstance {
        namespace: name("space"),
        id: name("web/1"),
        service: name("web"),
        kind,
        tags: vec!["v1".to_owned(), "primary".to_owned()],
        address: "10.0.0.2".to_owned(),
        port: 8080,
        socket_path: "/run/web.sock".to_owned(),
        tagged_addresses: BTreeMap::from([("wan".to_owned(), wan)]),
        meta: meta(),
        weights: Weights { passing: 10, warning: 2 },
        enable_tag_override: true,
        proxy: Some(proxy()),
        native: true,
        locality: Some(locality()),
        // Added since then; the sample `ports` has them.
        ports: Vec::new(),
        stamp: stamp(),
    }
}

fn proxy() -> ProxyConfig {
    let kinds = every!(UpstreamKind:
        UpstreamKind::Service => UpstreamKind::Service,
        UpstreamKind::PreparedQuery => UpstreamKind::PreparedQuery,
    );
    ProxyConfig {
        destination_service: Some(name("web")),
        destination_service_id: Some(name("web/1")),
        local_service_address: "127.0.0.2".to_owned(),
        local_service_port: 8081,
        local_service_socket_path: "/run/local.sock".to_owned(),
        mode: "transparent".to_owned(),
        transparent: Some(TransparentProxy { outbound_listener_port: 15_001, dialed_directly: true }),
        mesh_gateway_mode: "local".to_owned(),
        expose: Some(Box::new(expose())),
        config: settings(),
        upstreams: kinds.into_iter().map(upstream).collect(),
        // Added since then; the sample `central` has them.
        mutual_tls_mode: MutualTlsMode::Unset,
        access_logs: None,
        envoy_extensions: Vec::new(),
    }
}

/// A proxy with settings from configuration entries.
fn central() -> ProxyConfig {
    let access_logs = AccessLogs {
        enabled: true,
        disable_listener_logs: true,
        sink: AccessLogSink::File,
        path: "/var/log/access".to_owned(),
        json_format: "{}".to_owned(),
        text_format: "%PROTOCOL%".to_owned(),
    };
    let extension = EnvoyExtension {
        name: "builtin/lua".to_owned(),
        required: true,
        arguments: settings(),
        consul_version: ">= 1.21".to_owned(),
        envoy_version: ">= 1.30".to_owned(),
    };
    let all = Upstream { name: Pattern::Any, centrally_configured: true, ..upstream(UpstreamKind::Service) };
    ProxyConfig {
        upstreams: vec![all],
        mutual_tls_mode: MutualTlsMode::Permissive,
        access_logs: Some(Box::new(access_logs)),
        envoy_extensions: vec![extension],
        ..proxy()
    }
}

pub(super) fn expose() -> Expose {
    let path = ExposedPath {
        listener_port: 21_500,
        path: "/metrics".to_owned(),
        local_path_port: 8080,
        protocol: "http2".to_owned(),
        parsed_from_check: true,
    };
    Expose { checks: true, paths: vec![path] }
}

fn upstream(kind: UpstreamKind) -> Upstream {
    Upstream {
        kind,
        partition: name("part"),
        namespace: name("space"),
        peer: Some(name("east")),
        name: Pattern::Exact(name("db")),
        datacenter: Some(name("dc2")),
        local_bind_address: "127.0.0.3".to_owned(),
        local_bind_port: 5432,
        local_bind_socket_path: "/run/db.sock".to_owned(),
        local_bind_socket_mode: "0600".to_owned(),
        config: settings(),
        mesh_gateway_mode: "remote".to_owned(),
        // Added since then; the sample `central` has them.
        centrally_configured: false,
    }
}

pub(super) fn checks() -> Vec<Check> {
    statuses().into_iter().map(check).collect()
}

fn check(status: CheckStatus) -> Check {
    Check {
        id: name("web:1"),
        name: "web answers".to_owned(),
        status,
        notes: "asked every ten seconds".to_owned(),
        output: "HTTP 200".to_owned(),
        service_id: Some(name("web/1")),
        service_name: Some(name("web")),
        namespace: name("space"),
        service_tags: vec!["v1".to_owned()],
        kind: "http".to_owned(),
        interval: "10s".to_owned(),
        timeout: "1s".to_owned(),
        definition: settings(),
        stamp: stamp(),
    }
}
