//! Tests of the defaults of services, proxies and the mesh: what they may contain, alone and together with stored
//! entries.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_mesh::entry::{
    Change, GraphFault, Lookup, REFERENCE_RULES, check_graph, check_source, links, providers_of,
    providers_of_source, validate,
};
use concord_model::entry::*;
use concord_model::intention::{
    Action, Decision, Destination, HttpPermission, Permission, ServiceIntentions,
};
use concord_model::proxy::{Expose, ExposedPath, Settings};
use concord_model::{ServiceRef, Span, Stamp};
use serde_json::json;

use crate::random::{entry, intention};

fn record<T>(kind: EntryKind, name: &str, said: T) -> Record<T> {
    let scope = EntryName::parse(kind, name).unwrap().scope;
    Record { scope, said, meta: BTreeMap::new(), stamp: Stamp::default() }
}

fn service(name: &str, said: ServiceDefaults) -> Entry {
    Entry::ServiceDefaults(record(EntryKind::ServiceDefaults, name, said))
}

fn proxies(said: ProxyDefaults) -> Entry {
    Entry::ProxyDefaults(record(EntryKind::ProxyDefaults, "global", said))
}

fn mesh(said: Mesh) -> Entry {
    Entry::Mesh(record(EntryKind::Mesh, "mesh", said))
}

fn speaking(protocol: Protocol) -> ServiceDefaults {
    ServiceDefaults { protocol, ..ServiceDefaults::default() }
}

fn all_speaking(protocol: &str) -> ProxyDefaults {
    let config = Settings::from([("protocol".to_owned(), json!(protocol))]);
    ProxyDefaults { config, ..ProxyDefaults::default() }
}

#[track_caller]
fn told(entry: &Entry, expected: &[&str]) {
    let faults = validate(entry).err().unwrap_or_default();
    let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(faults, expected);
}

#[test]
fn names_are_those_of_the_kind() {
    told(&service("web", ServiceDefaults::default()), &[]);
    told(
        &service("*", ServiceDefaults::default()),
        &["Name must be the name of a service, and not a wildcard"],
    );
    let other = Entry::ProxyDefaults(record(EntryKind::ProxyDefaults, "mine", ProxyDefaults::default()));
    told(&other, &[r#"Name "mine" is invalid; only "global" is supported"#]);
    let other = Entry::Mesh(record(EntryKind::Mesh, "global", Mesh::default()));
    told(&other, &[r#"Name "global" is invalid; only "mesh" is supported"#]);
}

#[test]
fn all_faults_of_a_service_s_defaults_are_told() {
    let named =
        |name: &str| UpstreamOverride { name: Some(name.parse().unwrap()), ..UpstreamOverride::default() };
    let check = PassiveHealthCheck {
        interval: Span::from_nanos(-1),
        max_ejection_percent: Some(101),
        ..PassiveHealthCheck::default()
    };
    let overrides = vec![
        named("db"),
        named("db"),
        UpstreamOverride { peer: Some("east".parse().unwrap()), ..named("db") },
        UpstreamOverride { passive_health_check: Some(check), ..UpstreamOverride::default() },
    ];
    let defaults = Some(named("x"));
    let destination = OutsideDestination {
        addresses: ["192.0.2.1", "a.example.com", "*.example.com", "a.example.com"]
            .map(str::to_owned)
            .to_vec(),
        port: 0,
    };
    let path = |port, path: &str, protocol: &str| ExposedPath {
        listener_port: port,
        path: path.to_owned(),
        protocol: protocol.to_owned(),
        ..ExposedPath::default()
    };
    let said = ServiceDefaults {
        upstream_config: Some(UpstreamDefaults { overrides, defaults }),
        destination: Some(destination),
        expose: Expose {
            checks: false,
            paths: vec![path(0, "/a", ""), path(80, "", "tcp"), path(80, "/b", "http")],
        },
        ..ServiceDefaults::default()
    };
    told(
        &service("web", said),
        &[
            "Expose.Paths[0].ListenerPort is not a port; use 1 to 65535",
            "Expose.Paths[1].Path is required",
            r#"Expose.Paths[1].Protocol is "tcp"; use http or http2"#,
            "Expose.Paths[2].ListenerPort is the port of another path, too; give each path a port of its own",
            "UpstreamConfig and Destination are mutually exclusive; leave one of them out",
            "UpstreamConfig.Defaults.Name must be empty here",
            r#"UpstreamConfig.Overrides[1] defines "db" more than once; keep one of them"#,
            "UpstreamConfig.Overrides[3].Name is required",
            "UpstreamConfig.Overrides[3].PassiveHealthCheck.MaxEjectionPercent must be a percentage between 0 and 100",
            "UpstreamConfig.Overrides[3].PassiveHealthCheck.Interval cannot be negative",
            "Destination.Addresses[2] is not valid: it is neither an IP address nor the name of a host; wildcards are \
             not allowed",
            r#"Destination.Addresses[3] defines "a.example.com" more than once; keep one of them"#,
            "Destination.Port is not a port; use 1 to 65535",
        ],
    );
}

#[test]
fn all_faults_of_the_proxies_defaults_and_the_mesh_are_told() {
    let logs = AccessLogs {
        sink: AccessLogSink::File,
        json_format: "{".to_owned(),
        text_format: "x".to_owned(),
        ..AccessLogs::default()
    };
    told(
        &proxies(ProxyDefaults { access_logs: logs, ..all_speaking("ftp") }),
        &[
            r#"Config.protocol is "ftp", which is no protocol; use tcp, http, http2 or grpc"#,
            "AccessLogs.Path is required",
            "AccessLogs.JSONFormat and TextFormat are mutually exclusive; leave one of them out",
            "AccessLogs.JSONFormat is not JSON",
        ],
    );
    let logs = AccessLogs { path: "/x".to_owned(), ..AccessLogs::default() };
    told(
        &proxies(ProxyDefaults { access_logs: logs, ..ProxyDefaults::default() }),
        &["AccessLogs.Path is only for access logs of type file"],
    );
    let limits = |min, max, suites: &[&str]| TlsLimits {
        tls_min_version: min,
        tls_max_version: max,
        cipher_suites: suites.iter().map(|suite| (*suite).to_owned()).collect(),
    };
    let tls = MeshTls {
        incoming: Some(limits(TlsVersion::Tls13, TlsVersion::Tls12, &["TLS_RSA_WITH_AES_128_GCM_SHA256"])),
        outgoing: Some(limits(TlsVersion::Tls12, TlsVersion::Auto, &["AES"])),
    };
    told(
        &mesh(Mesh { tls: Some(tls), ..Mesh::default() }),
        &[
            "TLS.Incoming.TLSMaxVersion TLSv1_2 is below the minimum version TLSv1_3",
            "TLS.Incoming.CipherSuites are only for TLS 1.2 and before; leave them out, or lower the minimum version",
            "TLS.Outgoing.CipherSuites[0] \"AES\" is no cipher suite that proxies know; use IANA names, as \
             TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        ],
    );
}

/// The stored entries.
#[derive(Default)]
pub(crate) struct Kept(pub(crate) BTreeMap<EntryName, Arc<Entry>>);

impl Kept {
    pub(crate) fn with(mut self, entry: Entry) -> Self {
        self.0.insert(entry.name(), Arc::new(entry));
        self
    }

    #[track_caller]
    pub(crate) fn takes(self, entry: Entry) -> Self {
        assert_eq!(self.asked(&entry), Ok(()));
        self.with(entry)
    }

    pub(crate) fn asked(&self, entry: &Entry) -> Result<(), GraphFault> {
        check_graph(self, Change { name: &entry.name(), to: Some(entry) })
    }

    #[track_caller]
    pub(crate) fn refuses(&self, entry: &Entry, text: &str) {
        let told = self.asked(entry).expect_err("it must be refused").to_string();
        assert!(told.starts_with(text), "{told}");
    }
}

impl Lookup for Kept {
    fn rule_set(&self) -> u32 {
        REFERENCE_RULES
    }

    fn asks_for_tokens_of(&self, provider: &str) -> Option<Destination> {
        let intentions = self.0.values().filter_map(|entry| match &**entry {
            Entry::ServiceIntentions(own) => Some(own),
            _ => None,
        });
        let names = |own: &&ServiceIntentions| {
            let whole = own.jwt.iter().flat_map(providers_of);
            whole.chain(own.sources.iter().flat_map(providers_of_source)).any(|named| named == provider)
        };
        intentions.into_iter().find(names).map(|own| own.destination.clone())
    }

    fn entry(&self, name: &EntryName) -> Option<Arc<Entry>> {
        self.0.get(name).cloned()
    }

    fn links_to(&self, service: &ServiceRef) -> Vec<EntryName> {
        let linked = self.0.values().filter(|entry| links(entry).contains(service));
        linked.map(|entry| entry.name()).collect()
    }

    fn linked_by(&self, kind: EntryKind) -> Vec<ServiceRef> {
        self.0.values().filter(|entry| entry.kind() == kind).flat_map(|entry| links(entry)).collect()
    }

    fn named(&self, kind: EntryKind) -> Vec<EntryName> {
        self.0.values().filter(|entry| entry.kind() == kind).map(|entry| entry.name()).collect()
    }
}

pub(crate) fn by_request() -> Decision {
    let http = HttpPermission { methods: vec!["GET".to_owned()], ..HttpPermission::default() };
    Decision::Requests(vec![Permission { action: Action::Allow, http: Some(http), jwt: None }])
}

pub(crate) fn intentions(to: &str, decision: Decision) -> ServiceIntentions {
    let from = concord_model::intention::Source {
        partition: Default::default(),
        namespace: concord_model::Pattern::Exact(Default::default()),
        peer: None,
        name: "cache".parse().map(concord_model::Pattern::Exact).unwrap(),
    };
    entry(destination(to), vec![intention(from, decision)])
}

fn destination(to: &str) -> Destination {
    EntryName::parse(EntryKind::ServiceIntentions, to).unwrap().scope
}

const BYTES: &str =
    r#"service "web" has protocol "tcp", which is incompatible with L7 intentions permissions"#;

#[test]
fn permissions_need_a_destination_with_requests() {
    let wanted = Entry::ServiceIntentions(intentions("web", by_request()));
    Kept::default().refuses(&wanted, BYTES);
    Kept::default().with(service("other", speaking(Protocol::Http))).refuses(&wanted, BYTES);
    for protocol in [Protocol::Http, Protocol::Http2, Protocol::Grpc] {
        Kept::default().with(service("web", speaking(protocol))).takes(wanted.clone());
    }
    Kept::default().with(proxies(all_speaking("grpc"))).takes(wanted.clone());
    Kept::default()
        .with(proxies(all_speaking("http")))
        .with(service("web", speaking(Protocol::Tcp)))
        .refuses(&wanted, BYTES);
    // An action needs no requests; and a single source is judged like a whole entry.
    Kept::default().takes(Entry::ServiceIntentions(intentions("web", Decision::Connection(Action::Deny))));
    let own = &intentions("web", by_request()).sources[0];
    assert!(check_source(&Kept::default(), &destination("web"), own).is_err());
    let kept = Kept::default().with(service("web", speaking(Protocol::Http)));
    assert_eq!(check_source(&kept, &destination("web"), own), Ok(()));
}

#[test]
fn a_destination_with_permissions_keeps_its_requests() {
    let web = service("web", speaking(Protocol::Http));
    let permissions = Entry::ServiceIntentions(intentions("web", by_request()));
    let kept = Kept::default().takes(web.clone()).takes(permissions);
    kept.refuses(&service("web", speaking(Protocol::Tcp)), BYTES);
    let removal = Change { name: &web.name(), to: None };
    assert!(check_graph(&kept, removal).unwrap_err().to_string().starts_with(BYTES));
    assert_eq!(kept.asked(&service("db", speaking(Protocol::Tcp))), Ok(()), "nobody asks about its requests");
    // The defaults of all proxies can replace those of the service, and must then be kept as well.
    let kept = kept.takes(proxies(all_speaking("http")));
    assert_eq!(check_graph(&kept, removal), Ok(()));
    let kept = Kept(kept.0.into_iter().filter(|(name, _)| *name != web.name()).collect());
    kept.refuses(&proxies(all_speaking("tcp")), BYTES);
    kept.refuses(&proxies(ProxyDefaults::default()), BYTES);
    let all = EntryName::only(EntryKind::ProxyDefaults);
    assert!(check_graph(&kept, Change { name: &all, to: None }).is_err());
}

#[test]
fn a_change_does_not_answer_for_what_was_broken_before() {
    let kept = Kept::default().with(Entry::ServiceIntentions(intentions("web", by_request())));
    assert_eq!(kept.asked(&proxies(ProxyDefaults::default())), Ok(()));
    assert_eq!(kept.asked(&service("web", ServiceDefaults::default())), Ok(()));
}

#[test]
fn being_permissive_needs_the_mesh_s_leave() {
    let said = ServiceDefaults { mutual_tls_mode: MutualTlsMode::Permissive, ..ServiceDefaults::default() };
    let web = service("web", said);
    let all =
        proxies(ProxyDefaults { mutual_tls_mode: MutualTlsMode::Permissive, ..ProxyDefaults::default() });
    let text = "cannot set MutualTLSMode=permissive because AllowEnablingPermissiveMutualTLS=false";
    for entry in [&web, &all] {
        Kept::default().refuses(entry, text);
        Kept::default().with(mesh(Mesh::default())).refuses(entry, text);
    }
    let leave = mesh(Mesh { allow_enabling_permissive_mutual_tls: true, ..Mesh::default() });
    let kept = Kept::default().takes(leave).takes(web.clone()).takes(all);
    // Removing the permission does not change services that already use it.
    kept.takes(mesh(Mesh::default())).takes(web);
}

#[test]
fn the_protocol_of_all_proxies_is_read_in_any_case_of_letters() {
    use concord_mesh::protocol::of_proxies;
    for (key, expected) in
        [("protocol", Protocol::Http), ("Protocol", Protocol::Http), ("protocols", Protocol::Tcp)]
    {
        let config = [(key.to_owned(), "http".into())].into();
        let spoken = of_proxies(Some(&proxies(ProxyDefaults { config, ..ProxyDefaults::default() })));
        assert_eq!(spoken.protocol, expected, "{key}");
        let field = spoken.origin.map(|origin| origin.field);
        assert_eq!(field, (expected == Protocol::Http).then(|| format!("Config.{key}")));
    }
}
