//! Configuration entries: one of each kind, and lists in which every word stands somewhere.

mod gates;

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_mesh::defaults::{Central, Question, UpstreamProtocol};
use concord_model::entry::*;
use concord_model::proxy::TransparentProxy;
use concord_model::{Pattern, ServiceRef, Span, Timeout, Timestamp};
use concord_rpc::request::*;
use concord_rpc::{AnyReply, AnyRequest};

use super::catalog::expose;
use super::{Sample, meta, name, sample, settings, stamp};

/// How many entries of a kind it takes to say every word once.
fn words(kind: EntryKind) -> usize {
    if kind == EntryKind::ServiceRouter { RetryCondition::ALL.len() - 1 } else { 6 }
}

pub(crate) fn requests() -> Vec<Sample<AnyRequest>> {
    let upstreams = ["db", "cache"].map(|upstream| ServiceRef::local(name(upstream))).into();
    let question = Question { service: ServiceRef::local(name("web")), upstreams, transparent: true };
    let mut all = vec![
        sample!(AnyRequest, ReadDefaults, "", ReadDefaults { question }),
        sample!(AnyRequest, ReadAcceptance, "", ReadAcceptance { name: entry(EntryKind::Mesh, 0).name() }),
    ];
    for kind in EntryKind::ALL {
        let (what, entry) = (kind.as_str(), entry(*kind, 0));
        let delete = DeleteEntry { name: entry.name(), cas: Some(15) };
        all.push(sample!(AnyRequest, ReadEntry, what, ReadEntry { name: entry.name() }));
        all.push(sample!(AnyRequest, ListEntries, what, ListEntries { kind: *kind }));
        all.push(sample!(AnyRequest, ApplyEntry, what, ApplyEntry { entry, cas: Some(14) }));
        all.push(sample!(AnyRequest, DeleteEntry, what, delete));
    }
    all
}

pub(crate) fn replies() -> Vec<Sample<AnyReply>> {
    let protocol = UpstreamProtocol { service: ServiceRef::local(name("db")), protocol: Protocol::Http };
    let central = Central {
        proxies: Some(proxy_defaults(0)),
        service: Some(service_defaults(0)),
        protocols: vec![protocol],
    };
    let accepted = Acceptance { modify: 13, at: Some(Timestamp::from_secs(1_700_000_000)) };
    let mut all = vec![
        sample!(AnyReply, ReadDefaults, "", central),
        sample!(AnyReply, ReadEntry, "none", None),
        sample!(AnyReply, ReadAcceptance, "", Some(accepted)),
        sample!(AnyReply, ReadAcceptance, "none", None),
        sample!(AnyReply, ApplyEntry, "", true),
        sample!(AnyReply, DeleteEntry, "", true),
    ];
    for kind in EntryKind::ALL {
        let list = (0..words(*kind)).map(|number| Arc::new(entry(*kind, number))).collect();
        all.push(sample!(AnyReply, ReadEntry, kind.as_str(), Some(Arc::new(entry(*kind, 0)))));
        all.push(sample!(AnyReply, ListEntries, kind.as_str(), list));
    }
    all
}

/// One of the words, but not the first: that one is not written.
fn word<T: Copy>(all: &[T], number: usize) -> T {
    all[1 + number % (all.len() - 1)]
}

pub(crate) fn entry(kind: EntryKind, number: usize) -> Entry {
    match kind {
        EntryKind::ServiceIntentions => Entry::ServiceIntentions(super::intention::entry()),
        EntryKind::ServiceDefaults => Entry::ServiceDefaults(record(kind, service_defaults(number))),
        EntryKind::ProxyDefaults => Entry::ProxyDefaults(record(kind, proxy_defaults(number))),
        EntryKind::Mesh => Entry::Mesh(record(kind, mesh(number))),
        EntryKind::ServiceResolver => Entry::ServiceResolver(record(kind, resolver(number))),
        EntryKind::ServiceRouter => Entry::ServiceRouter(record(kind, router(number))),
        EntryKind::ServiceSplitter => Entry::ServiceSplitter(record(kind, splitter(number))),
        EntryKind::InlineCertificate => {
            Entry::InlineCertificate(record(kind, gates::said(gates::certificate())))
        }
        EntryKind::FileSystemCertificate => {
            Entry::FileSystemCertificate(record(kind, gates::said(gates::certificate())))
        }
        EntryKind::ApiGateway => Entry::ApiGateway(record(kind, gates::said(gates::api_gateway(number)))),
        EntryKind::BoundApiGateway => {
            Entry::BoundApiGateway(record(kind, gates::said(gates::bound_api_gateway())))
        }
        EntryKind::HttpRoute => Entry::HttpRoute(record(kind, gates::said(gates::http_route(number)))),
        EntryKind::TcpRoute => Entry::TcpRoute(record(kind, gates::said(gates::tcp_route()))),
        EntryKind::IngressGateway => {
            Entry::IngressGateway(record(kind, gates::said(gates::ingress_gateway(number))))
        }
        EntryKind::TerminatingGateway => {
            Entry::TerminatingGateway(record(kind, gates::said(gates::terminating_gateway())))
        }
        EntryKind::ExportedServices => {
            Entry::ExportedServices(record(kind, gates::said(gates::exported_services())))
        }
        EntryKind::JwtProvider => Entry::JwtProvider(record(kind, gates::said(gates::jwt_provider(number)))),
    }
}

fn record<T>(kind: EntryKind, said: T) -> Record<T> {
    let text = match kind.naming() {
        Naming::Only(text) => text,
        Naming::Service | Naming::ServiceOrAny | Naming::Free => "web",
    };
    let mut scope = EntryName::parse(kind, text).unwrap().scope;
    (scope.partition, scope.namespace) = (name("part"), Pattern::Exact(name("space")));
    Record { scope, said, meta: meta(), stamp: stamp() }
}

fn gateway(number: usize) -> MeshGateway {
    MeshGateway { mode: word(GatewayMode::ALL, number) }
}

fn transparent() -> TransparentProxy {
    TransparentProxy { outbound_listener_port: 22_001, dialed_directly: true }
}

pub(super) fn extension() -> EnvoyExtension {
    EnvoyExtension {
        name: "builtin/lua".to_owned(),
        required: true,
        arguments: settings(),
        consul_version: ">= 1.15".to_owned(),
        envoy_version: "> 1.20".to_owned(),
    }
}

fn service_defaults(number: usize) -> ServiceDefaults {
    ServiceDefaults {
        protocol: word(Protocol::ALL, number),
        mode: word(ProxyMode::ALL, number),
        transparent_proxy: transparent(),
        mutual_tls_mode: word(MutualTlsMode::ALL, number),
        mesh_gateway: gateway(number),
        expose: expose(),
        external_sni: "web.example.com".to_owned(),
        upstream_config: Some(UpstreamDefaults {
            overrides: vec![calls_to(number)],
            defaults: Some(calls_to(number + 1)),
        }),
        destination: Some(OutsideDestination { addresses: vec!["192.0.2.1".to_owned()], port: 443 }),
        max_inbound_connections: 100,
        local_connect_timeout_ms: 200,
        local_request_timeout_ms: 300,
        balance_inbound_connections: word(Balance::ALL, number),
        envoy_extensions: vec![extension()],
    }
}

fn calls_to(number: usize) -> UpstreamOverride {
    UpstreamOverride {
        name: Some(name("db")),
        partition: name("part"),
        namespace: name("space"),
        peer: Some(name("east")),
        envoy_listener_json: "{\"listener\":1}".to_owned(),
        envoy_cluster_json: "{\"cluster\":1}".to_owned(),
        protocol: word(Protocol::ALL, number),
        connect_timeout_ms: 250,
        limits: Some(UpstreamLimits {
            max_connections: Some(3),
            max_pending_requests: Some(4),
            max_concurrent_requests: Some(5),
        }),
        passive_health_check: Some(PassiveHealthCheck {
            interval: Span::from_nanos(10_000_000_000),
            max_failures: 5,
            enforcing_consecutive_5xx: Some(50),
            max_ejection_percent: Some(20),
            base_ejection_time: Some(Span::from_nanos(-1)),
        }),
        mesh_gateway: gateway(number),
        balance_outbound_connections: word(Balance::ALL, number),
    }
}

fn proxy_defaults(number: usize) -> ProxyDefaults {
    ProxyDefaults {
        config: settings(),
        mode: word(ProxyMode::ALL, number),
        transparent_proxy: transparent(),
        mutual_tls_mode: word(MutualTlsMode::ALL, number),
        mesh_gateway: gateway(number),
        expose: expose(),
        access_logs: AccessLogs {
            enabled: true,
            disable_listener_logs: true,
            sink: word(AccessLogSink::ALL, number),
            path: "/var/log/envoy".to_owned(),
            json_format: "{}".to_owned(),
            text_format: "%START_TIME%".to_owned(),
        },
        envoy_extensions: vec![extension()],
    }
}

fn limits(number: usize) -> TlsLimits {
    TlsLimits {
        tls_min_version: word(TlsVersion::ALL, number),
        tls_max_version: word(TlsVersion::ALL, number + 1),
        cipher_suites: vec!["TLS_RSA_WITH_AES_128_GCM_SHA256".to_owned()],
    }
}

fn mesh(number: usize) -> Mesh {
    let normalization = RequestNormalization {
        insecure_disable_path_normalization: true,
        merge_slashes: true,
        path_with_escaped_slashes_action: word(EscapedSlashes::ALL, number),
        headers_with_underscores_action: word(Underscores::ALL, number),
    };
    Mesh {
        transparent_proxy: MeshTransparentProxy { mesh_destinations_only: true },
        allow_enabling_permissive_mutual_tls: true,
        validate_clusters: true,
        tls: Some(MeshTls { incoming: Some(limits(number)), outgoing: Some(limits(number + 1)) }),
        http: Some(MeshHttp {
            sanitize_x_forwarded_client_cert: true,
            incoming: Some(MeshHttpIncoming { request_normalization: Some(normalization) }),
        }),
        peering: Some(MeshPeering { peer_through_mesh_gateways: true }),
    }
}

fn resolver(number: usize) -> ServiceResolver {
    let target = ResolverTarget {
        service: Some(name("api")),
        service_subset: "v2".to_owned(),
        namespace: Some(name("space")),
        partition: Some(name("part")),
        datacenter: Some(name("dc2")),
        peer: Some(name("east")),
        sameness_group: "group".to_owned(),
    };
    let failover = ResolverFailover {
        service: Some(name("api")),
        service_subset: "v2".to_owned(),
        namespace: Some(name("space")),
        datacenters: vec![name("dc2"), name("dc3")],
        targets: vec![target.clone()],
        policy: Some(FailoverPolicy { mode: "sequential".to_owned(), regions: vec!["r1".to_owned()] }),
        sameness_group: "group".to_owned(),
    };
    let subset = ResolverSubset { filter: "Service.Meta.v == 1".to_owned(), only_passing: true };
    ServiceResolver {
        connect_timeout: Timeout::from_nanos(15_000_000_000),
        request_timeout: Timeout::from_nanos(-1),
        default_subset: "v1".to_owned(),
        subsets: BTreeMap::from([("v1".to_owned(), subset)]),
        redirect: Some(target),
        failover: BTreeMap::from([("*".to_owned(), failover)]),
        prioritize_by_locality: Some(LocalityPriority { mode: "failover".to_owned() }),
        load_balancer: Some(balancer(number)),
    }
}

pub(super) fn balancer(number: usize) -> LoadBalancer {
    let cookie = CookieConfig { session: true, ttl: Span::from_nanos(9), path: "/".to_owned() };
    let hash = HashPolicy {
        field: word(HashField::ALL, number),
        field_value: "x-user".to_owned(),
        cookie_config: Some(cookie),
        source_ip: true,
        terminal: true,
    };
    LoadBalancer {
        policy: word(BalancingPolicy::ALL, number),
        ring_hash_config: Some(RingHashConfig { minimum_ring_size: 1, maximum_ring_size: 2 }),
        least_request_config: Some(LeastRequestConfig { choice_count: 3 }),
        hash_policies: vec![hash],
    }
}

pub(super) fn modifiers() -> Option<HeaderModifiers> {
    let pair = |value: &str| BTreeMap::from([("x-a".to_owned(), value.to_owned())]);
    Some(HeaderModifiers { add: pair("1"), set: pair("2"), remove: vec!["x-b".to_owned()] })
}

fn router(number: usize) -> ServiceRouter {
    ServiceRouter { routes: vec![route(number)] }
}

pub(super) fn route(number: usize) -> Route {
    let text = || "text".to_owned();
    let header = RouteHeader {
        name: text(),
        present: true,
        exact: text(),
        prefix: text(),
        suffix: text(),
        regex: text(),
        invert: true,
    };
    let http = HttpRouteMatch {
        path_exact: "/a".to_owned(),
        path_prefix: "/b".to_owned(),
        path_regex: "/c".to_owned(),
        case_insensitive: true,
        header: vec![header],
        query_param: vec![RouteQueryParam { name: text(), present: true, exact: text(), regex: text() }],
        methods: vec![word(Method::ALL, number)],
    };
    let destination = RouteDestination {
        request_timeout: Timeout::from_nanos(5),
        idle_timeout: Timeout::from_nanos(6),
        service: Some(name("api")),
        service_subset: "v2".to_owned(),
        namespace: Some(name("space")),
        partition: Some(name("part")),
        prefix_rewrite: "/".to_owned(),
        num_retries: 3,
        retry_on_connect_failure: true,
        retry_on: vec![word(RetryCondition::ALL, number)],
        retry_on_status_codes: vec![503],
        request_headers: modifiers(),
        response_headers: modifiers(),
    };
    let matching = Some(RouteMatch { http: Some(http) });
    Route { matching, destination: Some(destination) }
}

fn splitter(number: usize) -> ServiceSplitter {
    let split = Split {
        weight: Weight::from_hundredths(33 + number as i32),
        service: Some(name("api")),
        service_subset: "v2".to_owned(),
        namespace: Some(name("space")),
        partition: Some(name("part")),
        request_headers: modifiers(),
        response_headers: modifiers(),
    };
    ServiceSplitter { splits: vec![split] }
}
