//! Samples of everything that is written to disk, in the form of the first format: what was written once can be read
//! for ever.
//!
//! `CONCORD_BLESS=1 cargo test -p concord-state corpus` writes missing samples. An existing sample is never written
//! again: if it cannot be read any more, the code is wrong.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use concord_model::ca::ProviderRecord;
use concord_model::catalog::{CheckStatus, NodeScope, Registered, Registration, SERF_HEALTH, ServicePort};
use concord_model::entry::*;
use concord_model::intention::{
    Action, Decision, HeaderMatch, HeaderValueMatch, HttpPermission, JwtProviderRequirement, JwtRequirement,
    LegacyFields, PathMatch, Permission, ServiceIntentions,
};
use concord_model::proxy::{Expose, ExposedPath, ProxyConfig, ServiceKind, Settings, TransparentProxy};
use concord_model::token::Token;
use concord_model::{CheckId, Span, Stamp, Timeout, Timestamp};
use concord_state::command::*;
use concord_state::{Command, Envelope, Store};

use crate::samples::*;
use crate::snapshot::without_table;

fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The number of commands in the first format. Its snapshot is that of the state after these.
const FIRST: usize = 21;
/// The number of samples that the snapshots of formats 2 and 3 hold.
const SECOND: usize = 22;

/// One envelope per command, in an order in which each command finds what it needs.
pub(crate) fn samples() -> Vec<Envelope> {
    let at = Timestamp::from_secs(1_700_000_000);
    let mut cluster = None;
    let mut samples = Vec::new();
    for command in commands() {
        samples.push(Envelope::new(command.clone(), at, cluster));
        if let Command::SetClusterId(command) = command {
            cluster = Some(command.id);
        }
    }
    samples
}

fn commands() -> Vec<Command> {
    let token_policy = policy(uuid(0x21), "operators");
    let linked = Token {
        policies: vec![link(&token_policy)],
        secret: Some(sealed("token")),
        expires_at: Some(Timestamp::from_secs(1_800_000_000)),
        ..token(uuid(0x22), "second secret")
    };
    vec![
        Noop {}.into(),
        SetClusterId { id: uuid(0x11) }.into(),
        SetRuleSet { rule_set: 1 }.into(),
        register_everything().into(),
        deregister("n1", Registered::Check { id: CheckId::parse("web:1").unwrap() }).into(),
        SetEntry { entry: intentions(), cas: Some(0) }.into(),
        DeleteEntry { entry: EntryName::intentions(&destination("nothing")), cas: None }.into(),
        UpsertIntention { destination: destination("api"), intention: intention("web", Action::Allow) }
            .into(),
        DeleteIntention { destination: destination("api"), source: source("cache") }.into(),
        SetCaConfig { config: ca_config("consul"), cas: Some(0) }.into(),
        SetCaRoots {
            roots: roots(vec![root("aa:bb", true)]),
            cas: 0,
            config: Some(SetCaConfig { config: ca_config("consul"), cas: None }),
            provider_state: Some(provider_state("one")),
        }
        .into(),
        SetCaProviderState { state: provider_state("two") }.into(),
        DeleteCaProviderState { id: "two".to_owned() }.into(),
        AllocateSerials { count: 16 }.into(),
        EnsureBuiltins::standard(Timestamp::from_secs(1_700_000_000)).into(),
        BootstrapAcl { token: token(uuid(0x20), "first secret"), allowed_reset_index: Some(3) }.into(),
        SetPolicies { policies: vec![token_policy], mode: SetMode::Create }.into(),
        SetTokens { tokens: vec![linked], mode: SetMode::Create }.into(),
        DeleteTokens { accessors: vec![uuid(0x23)] }.into(),
        ReapExpiredTokens { accessors: vec![uuid(0x22)] }.into(),
        DeletePolicy { id: uuid(0x24) }.into(),
        // Added since then.
        EditIntention {
            destination: destination("api"),
            cas: 17,
            remove: Some(source("*")),
            put: Some(intention("db", Action::Deny)),
        }
        .into(),
        status_of_nothing().into(),
    ]
}

fn register_everything() -> Registration {
    let mut described = node("n1", Some(uuid(0x12)));
    described.meta = BTreeMap::from([("rack".to_owned(), "r1".to_owned())]);
    described.tagged_addresses = BTreeMap::from([("wan".to_owned(), "192.0.2.1".to_owned())]);
    let mut proxy = sidecar("web-sidecar-proxy", "web");
    proxy.tags = vec!["v1".to_owned(), "primary".to_owned()];
    if let Some(proxy) = &mut proxy.proxy {
        proxy.config.insert("local_connect_timeout_ms".to_owned(), serde_json::json!(1000));
        proxy.config.insert("nested".to_owned(), serde_json::json!({ "a": [1, 2.5, null, true, "x"] }));
    }
    Registration {
        service: Some(proxy),
        checks: vec![
            check(SERF_HEALTH, None, CheckStatus::Passing),
            check("web:1", Some("web-sidecar-proxy"), CheckStatus::Warning),
        ],
        ..register(described)
    }
}

fn intentions() -> Entry {
    let permission = Permission {
        action: Action::Allow,
        http: Some(HttpPermission {
            path: Some(PathMatch::Prefix("/v1".to_owned())),
            headers: vec![HeaderMatch {
                name: "x-team".to_owned(),
                value: HeaderValueMatch::Exact("shop".to_owned()),
                ignore_case: true,
                invert: false,
            }],
            methods: vec!["GET".to_owned()],
        }),
        jwt: Some(JwtRequirement {
            providers: vec![JwtProviderRequirement {
                name: "okta".to_owned(),
                verify_claims: vec![(vec!["aud".to_owned()], "api".to_owned())],
            }],
        }),
    };
    let mut requests = intention("cache", Action::Deny);
    requests.decision = Decision::Requests(vec![permission]);
    let mut old = intention("*", Action::Deny);
    old.description = "nobody else".to_owned();
    old.legacy = Some(LegacyFields {
        id: uuid(0x13),
        meta: BTreeMap::new(),
        create_time: Timestamp::EPOCH,
        update_time: Timestamp::from_secs(1),
    });
    Entry::ServiceIntentions(ServiceIntentions {
        destination: destination("api"),
        sources: vec![requests, old],
        jwt: None,
        meta: BTreeMap::from([("owner".to_owned(), "shop".to_owned())]),
        stamp: Stamp::default(),
    })
}

/// The state after all samples.
pub(crate) fn applied() -> Store {
    applied_first(usize::MAX)
}

fn applied_first(count: usize) -> Store {
    let mut store = Store::new();
    for (number, envelope) in samples().iter().take(count).enumerate() {
        store.apply_envelope(10 + number as u64, envelope).unwrap();
    }
    store
}

/// The committed sample of that name.
#[allow(clippy::disallowed_methods, reason = "whether to write samples is said in the environment")]
fn committed(name: &str, current: &[u8]) -> Vec<u8> {
    let path = corpus().join(name);
    if !path.exists() && std::env::var("CONCORD_BLESS").is_ok() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, current).unwrap();
    }
    fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; write it with CONCORD_BLESS=1", path.display()))
}

#[test]
fn every_command_has_a_sample() {
    let samples = samples();
    let mut names: Vec<_> = samples.iter().map(|envelope| envelope.command.name()).collect();
    names.push(Command::from(manual_addresses()).name());
    let mut known = Command::NAMES.to_vec();
    names.sort_unstable();
    known.sort_unstable();
    assert_eq!(names, known);
}

#[test]
fn every_sample_does_something_or_is_accepted() {
    let mut store = Store::new();
    for (number, envelope) in samples().iter().enumerate() {
        let applied = store.apply_envelope(10 + number as u64, envelope).unwrap();
        assert!(applied.reply.clone().accepted().is_ok(), "{}: {:?}", envelope.command.name(), applied.reply);
    }
}

#[test]
fn commands_of_format_1_are_read_as_they_were_meant() {
    for envelope in samples() {
        let name = format!("format-1/{}.command", envelope.command.name());
        let bytes = committed(&name, &envelope.encode().unwrap());
        let read = Envelope::decode(&bytes).unwrap();
        // Written under the rule set of the version that introduced the command.
        assert_eq!(read, Envelope { rule_set: read.rule_set, ..envelope }, "{name}");
    }
}

#[test]
fn registrations_are_written_as_other_versions_read_them() {
    for name in ["Register", "Deregister"] {
        let bytes = committed(&format!("format-1/{name}.command"), b"cannot be written any more");
        assert_eq!(Envelope::decode(&bytes).unwrap().encode().unwrap(), bytes, "{name}");
    }
}

#[test]
fn entries_of_every_kind_are_read_as_they_were_meant() {
    let at = Timestamp::from_secs(1_700_000_000);
    for kind in EntryKind::ALL {
        let entry = entry_sample(*kind);
        assert_eq!(entry.kind(), *kind);
        let envelope = Envelope::new(SetEntry { entry, cas: None }, at, None);
        let name = format!("format-1/SetEntry.{kind}.command");
        let bytes = committed(&name, &envelope.encode().unwrap());
        let read = Envelope::decode(&bytes).unwrap();
        // Written under the rule set of the version that introduced the kind.
        assert_eq!(read, Envelope { rule_set: read.rule_set, ..envelope }, "{name}");
    }
}

/// A registration since an instance may have several ports.
fn with_ports() -> Registration {
    let mut service = instance("web", "web");
    service.ports = vec![
        ServicePort { name: "http".to_owned(), port: 8080, default: true },
        ServicePort { name: "metrics".to_owned(), port: 9090, default: false },
    ];
    Registration { service: Some(service), ..register(node("n1", None)) }
}

#[test]
fn ports_by_name_are_read_and_outlive_a_snapshot() {
    let envelope = Envelope::new(with_ports(), Timestamp::from_secs(1_700_000_000), None);
    let bytes = committed("format-1/Register.ports.command", &envelope.encode().unwrap());
    assert_eq!(Envelope::decode(&bytes).unwrap(), Envelope { rule_set: 4, ..envelope.clone() });

    let mut store = Store::new();
    store.apply_envelope(1, &envelope).unwrap();
    let mut restored = Store::new();
    restored.restore(&store.view().snapshot(4).unwrap()).unwrap();
    let services = restored.view().read().node_services(&NodeScope::default(), &node_name("n1"));
    assert_eq!(services[0].ports, with_ports().service.unwrap().ports);
}

/// A command that came with virtual addresses.
fn manual_addresses() -> SetManualAddresses {
    SetManualAddresses { service: service_ref("web"), addresses: vec![[10, 0, 0, 1].into()] }
}

#[test]
fn addresses_of_operators_are_read() {
    let envelope = Envelope::new(manual_addresses(), Timestamp::from_secs(1_700_000_000), None);
    let bytes = committed("format-1/SetManualAddresses.command", &envelope.encode().unwrap());
    assert_eq!(Envelope::decode(&bytes).unwrap(), Envelope { rule_set: 5, ..envelope });
}

/// A registration since a proxy has the settings that configuration entries give it.
fn with_central_settings() -> Registration {
    let mut service = instance("web-proxy", "web-proxy");
    service.kind = ServiceKind::ConnectProxy;
    service.proxy = Some(ProxyConfig {
        mutual_tls_mode: MutualTlsMode::Permissive,
        access_logs: Some(Box::new(AccessLogs { enabled: true, ..AccessLogs::default() })),
        envoy_extensions: vec![EnvoyExtension { name: "lua".to_owned(), ..EnvoyExtension::default() }],
        upstreams: serde_json::from_str(r#"[{ "name": "*", "centrally_configured": true }]"#).unwrap(),
        ..ProxyConfig::default()
    });
    Registration { service: Some(service), ..register(node("n1", None)) }
}

#[test]
fn settings_from_entries_are_read_and_outlive_a_snapshot() {
    let envelope = Envelope::new(with_central_settings(), Timestamp::from_secs(1_700_000_000), None);
    let bytes = committed("format-1/Register.central.command", &envelope.encode().unwrap());
    assert_eq!(Envelope::decode(&bytes).unwrap(), Envelope { rule_set: 5, ..envelope.clone() });

    let mut store = Store::new();
    store.apply_envelope(1, &envelope).unwrap();
    let mut restored = Store::new();
    restored.restore(&store.view().snapshot(4).unwrap()).unwrap();
    let services = restored.view().read().node_services(&NodeScope::default(), &node_name("n1"));
    assert_eq!(services[0].proxy, with_central_settings().service.unwrap().proxy);
}

/// A provider's data since records name their kind.
fn with_kind() -> SetCaProviderState {
    SetCaProviderState { state: ProviderRecord { kind: "far".to_owned(), ..provider_state("three") } }
}

#[test]
fn what_a_provider_keeps_is_read_with_its_kind() {
    let at = Timestamp::from_secs(1_700_000_000);
    let envelope = Envelope::new(with_kind(), at, None);
    let bytes = committed("format-1/SetCaProviderState.kind.command", &envelope.encode().unwrap());
    assert_eq!(Envelope::decode(&bytes).unwrap(), Envelope { rule_set: 3, ..envelope });
}

#[test]
fn what_a_provider_keeps_in_both_forms_is_refused() {
    let legacy = committed("format-1/SetCaProviderState.command", b"cannot be written any more");
    assert!(Envelope::decode(&legacy).is_ok());
    // `root_cert` becomes a second `sealed`, so that there are two of them.
    let (old, new) = (b"\xa9root_cert\xb1not a certificate".as_slice(), b"\xa6sealed\xc0".as_slice());
    let at = legacy.windows(old.len()).position(|part| part == old).unwrap();
    let both = [&legacy[..at], new, &legacy[at + old.len()..]].concat();
    let told = Envelope::decode(&both).unwrap_err().to_string();
    assert!(told.contains("SetCaProviderState cannot be read"), "{told}");
}

/// An entry of a kind with most of its fields set.
fn entry_sample(kind: EntryKind) -> Entry {
    let scope = |name: &str| EntryName::parse(kind, name).unwrap().scope;
    let (meta, stamp) = (BTreeMap::from([("team".to_owned(), "shop".to_owned())]), Stamp::default());
    match kind {
        EntryKind::ServiceIntentions => intentions(),
        EntryKind::ServiceDefaults => {
            Entry::ServiceDefaults(Record { scope: scope("web"), said: service_defaults(), meta, stamp })
        }
        EntryKind::ProxyDefaults => {
            Entry::ProxyDefaults(Record { scope: scope("global"), said: proxy_defaults(), meta, stamp })
        }
        EntryKind::Mesh => Entry::Mesh(Record { scope: scope("mesh"), said: mesh(), meta, stamp }),
        EntryKind::ServiceResolver => {
            Entry::ServiceResolver(Record { scope: scope("web"), said: resolver(), meta, stamp })
        }
        EntryKind::ServiceRouter => {
            Entry::ServiceRouter(Record { scope: scope("web"), said: router(), meta, stamp })
        }
        EntryKind::ServiceSplitter => {
            Entry::ServiceSplitter(Record { scope: scope("web"), said: splitter(), meta, stamp })
        }
        EntryKind::InlineCertificate => {
            Entry::InlineCertificate(Record { scope: scope("own"), said: said(certificate()), meta, stamp })
        }
        EntryKind::FileSystemCertificate => Entry::FileSystemCertificate(Record {
            scope: scope("own"),
            said: said(certificate()),
            meta,
            stamp,
        }),
        EntryKind::ApiGateway => {
            Entry::ApiGateway(Record { scope: scope("edge"), said: said(api_gateway()), meta, stamp })
        }
        EntryKind::BoundApiGateway => {
            Entry::BoundApiGateway(Record { scope: scope("edge"), said: said(bound()), meta, stamp })
        }
        EntryKind::HttpRoute => {
            Entry::HttpRoute(Record { scope: scope("shop"), said: said(http_route()), meta, stamp })
        }
        EntryKind::TcpRoute => {
            Entry::TcpRoute(Record { scope: scope("data"), said: said(tcp_route()), meta, stamp })
        }
        EntryKind::IngressGateway => {
            Entry::IngressGateway(Record { scope: scope("edge"), said: said(ingress_gateway()), meta, stamp })
        }
        EntryKind::TerminatingGateway => Entry::TerminatingGateway(Record {
            scope: scope("exit"),
            said: said(terminating_gateway()),
            meta,
            stamp,
        }),
        EntryKind::ExportedServices => Entry::ExportedServices(Record {
            scope: scope("default"),
            said: said(exported_services()),
            meta,
            stamp,
        }),
        EntryKind::JwtProvider => {
            Entry::JwtProvider(Record { scope: scope("okta"), said: said(jwt_provider()), meta, stamp })
        }
    }
}

/// The status of an entry that is not there.
fn status_of_nothing() -> SetEntryStatus {
    let entry = EntryName::parse(EntryKind::TcpRoute, "data").unwrap();
    let said: ApiGateway = said(api_gateway());
    SetEntryStatus { entry, modify: 0, status: said.status }
}

/// The settings of a kind, as the log writes them.
fn said<T: serde::de::DeserializeOwned>(written: serde_json::Value) -> T {
    serde_json::from_value(written).unwrap()
}

fn certificate() -> serde_json::Value {
    serde_json::json!({ "certificate": "a certificate", "private_key": "its key" })
}

fn api_gateway() -> serde_json::Value {
    serde_json::json!({
        "listeners": [{
            "name": "web",
            "hostname": "*.example.com",
            "port": 8443,
            "protocol": "http",
            "tls": { "certificates": [{ "name": "own" }], "min_version": "TLSv1_2" },
        }],
        "status": { "conditions": [{
            "type": "Accepted",
            "status": "True",
            "reason": "Accepted",
            "message": "gateway is valid",
            "resource": { "kind": "api-gateway", "name": "edge", "section_name": "web" },
            "last_transition_time": 1_700_000_000_000_000_000_i64,
        }] },
    })
}

fn bound() -> serde_json::Value {
    serde_json::json!({
        "listeners": [{
            "name": "web",
            "routes": [{ "kind": "http-route", "name": "shop" }],
            "certificates": [{ "kind": "inline-certificate", "name": "own" }],
        }],
        "services": { "web": [{ "kind": "http-route", "name": "shop" }] },
    })
}

fn http_route() -> serde_json::Value {
    serde_json::json!({
        "parents": [{ "name": "edge" }],
        "rules": [{
            "filters": { "url_rewrite": { "path": "/new" }, "timeout_filter": { "request_timeout": 4 } },
            "matches": [{ "method": "GET", "path": { "match": "exact", "value": "/a" } }],
            "services": [{ "name": "web", "weight": 7 }],
        }],
        "hostnames": ["web.example.com"],
    })
}

fn tcp_route() -> serde_json::Value {
    serde_json::json!({ "parents": [{ "name": "edge", "section_name": "db" }], "services": [{ "name": "db" }] })
}

fn ingress_gateway() -> serde_json::Value {
    serde_json::json!({
        "tls": { "enabled": true, "sds": { "cluster_name": "sds", "cert_resource": "edge" } },
        "listeners": [{
            "port": 8080,
            "protocol": "http",
            "services": [{
                "name": "*",
                "request_headers": { "add": { "a": "b" }, "remove": ["e"] },
                "max_connections": 6,
                "passive_health_check": { "interval": 1, "max_failures": 2 },
            }],
        }],
        "defaults": { "max_connections": 9 },
    })
}

fn terminating_gateway() -> serde_json::Value {
    serde_json::json!({ "services": [{ "name": "db", "ca_file": "/ca", "sni": "db.example.com" }, { "name": "*" }] })
}

fn exported_services() -> serde_json::Value {
    serde_json::json!({ "services": [{ "name": "web", "consumers": [{ "peer": "east" }] }] })
}

fn jwt_provider() -> serde_json::Value {
    serde_json::json!({
        "json_web_key_set": { "remote": {
            "uri": "https://issuer.example.com/keys",
            "cache_duration": 6,
            "jwks_cluster": { "discovery_type": "STATIC", "tls_certificates": { "trusted_ca": { "filename": "/ca" } } },
        } },
        "issuer": "issuer",
        "audiences": ["shop"],
        "locations": [{ "header": { "name": "x-token", "value_prefix": "Token ", "forward": true } }],
        "forwarding": { "header_name": "x-payload", "pad_forward_payload_header": true },
        "clock_skew_seconds": 11,
        "cache_config": { "size": 12 },
    })
}

fn service_defaults() -> ServiceDefaults {
    let own = UpstreamOverride {
        name: Some("db".parse().unwrap()),
        peer: Some("east".parse().unwrap()),
        protocol: Protocol::Http2,
        connect_timeout_ms: 250,
        limits: Some(UpstreamLimits { max_connections: Some(3), ..UpstreamLimits::default() }),
        passive_health_check: Some(PassiveHealthCheck {
            interval: Span::from_nanos(10_000_000_000),
            max_failures: 5,
            enforcing_consecutive_5xx: Some(50),
            max_ejection_percent: Some(20),
            base_ejection_time: Some(Span::from_nanos(1)),
        }),
        mesh_gateway: MeshGateway { mode: GatewayMode::Remote },
        balance_outbound_connections: Balance::Exact,
        ..UpstreamOverride::default()
    };
    let path = ExposedPath {
        listener_port: 21_500,
        path: "/metrics".to_owned(),
        local_path_port: 8080,
        protocol: "http".to_owned(),
        parsed_from_check: false,
    };
    ServiceDefaults {
        protocol: Protocol::Http,
        mode: ProxyMode::Transparent,
        transparent_proxy: TransparentProxy { outbound_listener_port: 22_001, dialed_directly: true },
        mutual_tls_mode: MutualTlsMode::Permissive,
        mesh_gateway: MeshGateway { mode: GatewayMode::Local },
        expose: Expose { checks: true, paths: vec![path] },
        external_sni: "web.example.com".to_owned(),
        upstream_config: Some(UpstreamDefaults {
            overrides: vec![own],
            defaults: Some(UpstreamOverride::default()),
        }),
        destination: Some(OutsideDestination { addresses: vec!["192.0.2.1".to_owned()], port: 443 }),
        max_inbound_connections: 100,
        local_connect_timeout_ms: 200,
        local_request_timeout_ms: 300,
        balance_inbound_connections: Balance::Exact,
        envoy_extensions: vec![extension()],
    }
}

fn resolver() -> ServiceResolver {
    let subset = ResolverSubset { filter: "Service.Meta.v == 1".to_owned(), only_passing: true };
    let target = ResolverTarget {
        service: Some("api".parse().unwrap()),
        datacenter: Some("dc2".parse().unwrap()),
        ..ResolverTarget::default()
    };
    let hash = HashPolicy {
        field: HashField::Cookie,
        field_value: "c".to_owned(),
        cookie_config: Some(CookieConfig { session: false, ttl: Span::from_nanos(9), path: "/".to_owned() }),
        source_ip: false,
        terminal: true,
    };
    ServiceResolver {
        connect_timeout: Timeout::from_nanos(15_000_000_000),
        request_timeout: Timeout::from_nanos(1),
        default_subset: "v1".to_owned(),
        subsets: BTreeMap::from([("v1".to_owned(), subset)]),
        redirect: Some(ResolverTarget {
            service: Some("api".parse().unwrap()),
            peer: Some("east".parse().unwrap()),
            ..ResolverTarget::default()
        }),
        failover: BTreeMap::from([(
            "*".to_owned(),
            ResolverFailover { targets: vec![target], ..ResolverFailover::default() },
        )]),
        prioritize_by_locality: None,
        load_balancer: Some(LoadBalancer {
            policy: BalancingPolicy::RingHash,
            ring_hash_config: Some(RingHashConfig { minimum_ring_size: 1, maximum_ring_size: 2 }),
            least_request_config: Some(LeastRequestConfig { choice_count: 3 }),
            hash_policies: vec![hash],
        }),
    }
}

fn changed_headers() -> HeaderModifiers {
    let pair = |value: &str| BTreeMap::from([("x-a".to_owned(), value.to_owned())]);
    HeaderModifiers { add: pair("1"), set: pair("2"), remove: vec!["x-b".to_owned()] }
}

fn router() -> ServiceRouter {
    let http = HttpRouteMatch {
        path_prefix: "/api".to_owned(),
        case_insensitive: true,
        header: vec![RouteHeader {
            name: "x".to_owned(),
            exact: "y".to_owned(),
            invert: true,
            ..Default::default()
        }],
        query_param: vec![RouteQueryParam { name: "q".to_owned(), present: true, ..Default::default() }],
        methods: vec![Method::Get, Method::Post],
        ..HttpRouteMatch::default()
    };
    let destination = RouteDestination {
        request_timeout: Timeout::from_nanos(5),
        service: Some("api".parse().unwrap()),
        service_subset: "v1".to_owned(),
        prefix_rewrite: "/".to_owned(),
        num_retries: 3,
        retry_on: vec![RetryCondition::AnyServerError],
        retry_on_status_codes: vec![503],
        request_headers: Some(changed_headers()),
        ..RouteDestination::default()
    };
    ServiceRouter {
        routes: vec![Route {
            matching: Some(RouteMatch { http: Some(http) }),
            destination: Some(destination),
        }],
    }
}

fn splitter() -> ServiceSplitter {
    let split = |weight, subset: &str| Split {
        weight: Weight::from_hundredths(weight),
        service_subset: subset.to_owned(),
        response_headers: Some(changed_headers()),
        ..Split::default()
    };
    ServiceSplitter { splits: vec![split(9_999, "v1"), split(1, "v2")] }
}

fn extension() -> EnvoyExtension {
    EnvoyExtension {
        name: "builtin/lua".to_owned(),
        required: true,
        arguments: Settings::from([("Script".to_owned(), serde_json::json!({ "a": [1, "x"] }))]),
        consul_version: ">= 1.15".to_owned(),
        envoy_version: "> 1.20".to_owned(),
    }
}

fn proxy_defaults() -> ProxyDefaults {
    ProxyDefaults {
        config: Settings::from([("protocol".to_owned(), serde_json::json!("grpc"))]),
        mode: ProxyMode::Direct,
        mutual_tls_mode: MutualTlsMode::Strict,
        access_logs: AccessLogs {
            enabled: true,
            disable_listener_logs: true,
            sink: AccessLogSink::File,
            path: "/var/log/envoy".to_owned(),
            json_format: "{}".to_owned(),
            text_format: String::new(),
        },
        envoy_extensions: vec![extension()],
        ..ProxyDefaults::default()
    }
}

fn mesh() -> Mesh {
    let limits = TlsLimits {
        tls_min_version: TlsVersion::Tls12,
        tls_max_version: TlsVersion::Tls13,
        cipher_suites: vec!["TLS_RSA_WITH_AES_128_GCM_SHA256".to_owned()],
    };
    Mesh {
        transparent_proxy: MeshTransparentProxy { mesh_destinations_only: true },
        allow_enabling_permissive_mutual_tls: true,
        validate_clusters: true,
        tls: Some(MeshTls { incoming: Some(limits), outgoing: None }),
        http: Some(MeshHttp {
            sanitize_x_forwarded_client_cert: true,
            incoming: Some(MeshHttpIncoming {
                request_normalization: Some(RequestNormalization {
                    merge_slashes: true,
                    path_with_escaped_slashes_action: EscapedSlashes::Reject,
                    headers_with_underscores_action: Underscores::Drop,
                    ..RequestNormalization::default()
                }),
            }),
        }),
        peering: Some(MeshPeering { peer_through_mesh_gateways: true }),
    }
}

/// A state as bytes without the tables that are newer than the committed snapshots: everything in them changed when a
/// snapshot was read.
fn without_newer(store: &Store) -> Vec<u8> {
    let tables = [
        "virtual_addresses",
        "freed_addresses",
        "address_counter",
        "service_traits",
        "upstream_uses",
        "entry_times",
    ];
    tables.iter().fold(store.view().snapshot(2).unwrap(), |bytes, table| without_table(&bytes, table))
}

#[test]
fn a_snapshot_of_format_1_is_read_as_it_was_meant() {
    let store = applied_first(FIRST);
    let bytes = committed("format-1/state.snapshot", b"cannot be written any more");
    let mut restored = Store::new();
    let header = restored.restore(&bytes).unwrap();
    assert_eq!((header.format, header.term, header.index), (1, 2, store.view().index()));
    // At that time a source's index changed with every change of its entry. Now the entry's index does, and it is
    // read, too. The table that finds ids is new: everything in it changed when it was read.
    let told = |store: &Store| {
        without_table(&without_table(&without_newer(store), "intention_sources"), "intention_ids")
    };
    assert!(told(&restored) == told(&store));
    let from = |store: &Store| {
        let mut reader = store.view().read();
        let answer = reader.intentions_from(&service_ref("cache"));
        assert_eq!(answer.len(), 1);
        (answer, reader.finish().index())
    };
    assert_eq!(from(&restored), from(&store));
    assert!(restored.view().read().intention_by_id(uuid(0x13)).is_some());
}

#[test]
fn a_snapshot_of_format_2_is_read_as_it_was_meant() {
    let store = applied_first(SECOND);
    let bytes = committed("format-2/state.snapshot", b"cannot be written any more");
    let mut restored = Store::new();
    let header = restored.restore(&bytes).unwrap();
    assert_eq!((header.format, header.term, header.index), (2, 2, store.view().index()));
    assert!(without_newer(&restored) == without_newer(&store));
}

#[test]
fn a_snapshot_of_format_3_is_read_as_it_was_meant() {
    let mut store = applied_first(SECOND);
    let at = Timestamp::from_secs(1_700_000_000);
    store
        .apply_envelope(store.view().index() + 1, &Envelope::new(with_kind(), at, Some(uuid(0x11))))
        .unwrap();
    let bytes = committed("format-3/state.snapshot", &store.view().snapshot(2).unwrap());
    let mut restored = Store::new();
    let header = restored.restore(&bytes).unwrap();
    assert_eq!((header.format, header.term, header.index), (3, 2, store.view().index()));
    assert!(without_newer(&restored) == without_newer(&store));
    assert_eq!(restored.view().read().ca_provider_state("three").unwrap().kind, "far");
}
