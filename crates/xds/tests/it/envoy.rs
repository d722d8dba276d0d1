//! A real Envoy judges random requests by our rules as the decision function does.
//!
//! One Envoy has a listener for each random mesh: the manager of requests and the routes that `sidecar` makes, without
//! TLS, or the one that an operator has written with our rules put into it. Which callers a rule is for is decided
//! here, for one caller in each mesh; the rest Envoy decides.

mod client;
mod fixed;
mod http2;
mod process;
mod tokens;
mod validate;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use concord_envoy_proto::any;
use concord_envoy_proto::envoy::config::core::v3::{
    Address, HeaderValue, HeaderValueOption, Pipe, address,
};
use concord_envoy_proto::envoy::config::listener::v3::filter::ConfigType;
use concord_envoy_proto::envoy::config::listener::v3::{Filter, FilterChain, Listener};
use concord_envoy_proto::envoy::config::rbac::v3::principal::Identifier;
use concord_envoy_proto::envoy::config::rbac::v3::{Principal, Rbac};
use concord_envoy_proto::envoy::config::route::v3::route::Action as RouteTo;
use concord_envoy_proto::envoy::config::route::v3::{DirectResponseAction, RouteConfiguration};
use concord_envoy_proto::envoy::extensions::filters::http::rbac::v3::{Rbac as HttpRbac, RbacPerRoute};
use concord_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use concord_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use concord_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_filter::ConfigType as HttpConfigType;
use concord_mesh::intention::Policy;
use concord_mesh::request::{Header, Received, Request};
use concord_model::entry::{
    Entry, EntryKind, EntryName, Mesh, MeshHttp, MeshHttpIncoming, Record, RequestNormalization,
};
use concord_model::intention::{
    Action, Decision, HeaderValueMatch, HttpPermission, PathMatch, ServiceIntentions,
};
use concord_model::{ServiceRef, Stamp};
use concord_proxycfg::{ProxySnapshot, Versioned};
use concord_xds::bootstrap::version::Version;
use concord_xds::{ResourceSet, ResourceType, sidecar};

use self::client::Client;
use self::http2::Http2;
use self::process::Envoy;
pub(crate) use self::process::skipped;
use crate::intentions::is;
use crate::made_request::{Sent, entries, names, settings};
use crate::random::{Random, action};
use crate::world::{self, NEWEST, default, domain, message, service, snapshot, unpacked};

/// An Envoy, and what it takes itself for.
struct Way {
    program: OsString,
    /// Whether it compares the lines of a repeated header joined. Otherwise it does as it does.
    joins: bool,
    version: Option<Version>,
}

/// The newest Envoy in both ways of comparing headers, and the oldest, told what the oldest accepted one knows.
fn ways(test: &str) -> Vec<Way> {
    let way = |variable: &str, joins: bool, version: Option<Version>| {
        process::program(test, variable).map(|program| Way { program, joins, version })
    };
    let (newest, oldest) = ("CONCORD_TEST_ENVOY", "CONCORD_TEST_ENVOY_OLDEST");
    let old = Some(Version { major: 1, minor: 28, patch: 0 });
    let all = [way(newest, false, NEWEST), way(newest, true, None), way(oldest, false, old)];
    all.into_iter().flatten().collect()
}

/// How many meshes one Envoy judges for.
const MESHES: usize = 40;

/// A random mesh and a caller in it.
pub(crate) struct Case {
    entries: Vec<ServiceIntentions>,
    default: Action,
    settings: RequestNormalization,
    caller: ServiceRef,
    /// Whether the listener is one that an operator has written.
    given: bool,
}

/// A manager that an operator has written. It would read requests in another way.
const GIVEN: &str = r#"{
    "@type": "type.googleapis.com/envoy.config.listener.v3.Listener", "name": "given",
    "filter_chains": [{"filters": [{"name": "http", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "given", "strip_any_host_port": true, "merge_slashes": true,
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
        "route_config": {"name": "given", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{
            "match": {"prefix": "/"}, "direct_response": {"status": 200},
            "response_headers_to_add": [{"header": {"key": "path", "value": "%REQ(:PATH)%"}}]}]}]}
    }}]}]
}"#;

impl Case {
    pub(crate) fn random(random: &mut Random) -> Self {
        let names = names();
        let entries = entries(&names, random);
        let caller = names.service(random);
        Self { entries, default: action(random), settings: settings(random), caller, given: false }
    }

    pub(crate) fn snapshot(&self) -> ProxySnapshot {
        let mut instance = world::sidecar(vec![]);
        let given = if self.given { GIVEN } else { "" };
        let settings = serde_json::json!({"protocol": "http", "envoy_public_listener_json": given});
        instance.proxy.as_mut().unwrap().config = world::settings(&settings.to_string());
        let made = snapshot(instance, self.entries.clone(), self.default, vec![]);
        let mut made = ProxySnapshot::clone(&made);
        for entry in tokens::providers().into_iter().chain([mesh(self.settings)]) {
            made.entries.insert(Versioned { version: 1, value: Arc::new(entry) });
        }
        made
    }

    /// The listener at a socket, with the routes within.
    fn listener(&self, socket: &Path, version: Option<Version>) -> Listener {
        let built = sidecar(&self.snapshot(), version).unwrap().resources;
        let name = if self.given { "given" } else { "public_listener:0.0.0.0:21000" };
        let public: Listener = message(&built, ResourceType::Listener, name);
        let Some(ConfigType::TypedConfig(config)) = &public.filter_chains[0].filters[0].config_type else {
            panic!("no manager")
        };
        let mut manager: HttpConnectionManager = unpacked(config);
        if self.given {
            self.settle_first(&mut manager);
        } else {
            let routes = self.routes(&built);
            manager.route_specifier = Some(RouteSpecifier::RouteConfig(routes));
        }
        manager.forward_client_cert_details = 0;
        manager.set_current_client_cert_details = None;
        let config_type = Some(ConfigType::TypedConfig(any(&manager)));
        let chain =
            FilterChain { filters: vec![Filter { name: "http".to_owned(), config_type }], ..<_>::default() };
        let path = socket.display().to_string();
        let address = Some(Address { address: Some(address::Address::Pipe(Pipe { path, mode: 0 })) });
        Listener {
            name: socket.display().to_string(),
            address,
            filter_chains: vec![chain],
            ..Listener::default()
        }
    }

    /// The routes, whose rules are settled, and which answer what the service would be sent.
    fn routes(&self, built: &ResourceSet) -> RouteConfiguration {
        let mut routes: RouteConfiguration = message(built, ResourceType::Route, "public_listener");
        for route in routes.virtual_hosts.iter_mut().flat_map(|host| &mut host.routes) {
            let answer = DirectResponseAction { status: 200, ..DirectResponseAction::default() };
            route.action = Some(RouteTo::DirectResponse(answer));
            // What the service would be sent.
            route.response_headers_to_add.push(told("path", "%REQ(:PATH)%"));
            for config in route.typed_per_filter_config.values_mut() {
                let mut own: RbacPerRoute = unpacked(config);
                self.settle(own.rbac.as_mut().unwrap().rules.as_mut().unwrap());
                *config = any(&own);
            }
        }
        routes
    }

    /// Settles the rules that stand before the filters of an operator.
    fn settle_first(&self, manager: &mut HttpConnectionManager) {
        let all = manager.http_filters.iter_mut();
        for filter in all.filter(|own| own.name.starts_with("concord.intentions")) {
            let Some(HttpConfigType::TypedConfig(config)) = &mut filter.config_type else {
                panic!("no rules")
            };
            let mut own: HttpRbac = unpacked(config);
            self.settle(own.rules.as_mut().unwrap());
            *config = any(&own);
        }
    }

    /// Answers which rules are for the caller.
    fn settle(&self, rules: &mut Rbac) {
        let identity = format!("spiffe://{}/ns/default/dc/dc2/svc/{}", domain(), self.caller.name);
        for policy in rules.policies.values_mut() {
            let covers = policy.principals.iter().any(|own| is(own, &identity));
            let any = || Principal { identifier: Some(Identifier::Any(true)) };
            let none = || Principal { identifier: Some(Identifier::NotId(Box::new(any()))) };
            policy.principals = vec![if covers { any() } else { none() }];
        }
    }

    fn allows(&self, received: Received<'_>) -> bool {
        let policy = Policy::compile(&service("web"), &self.entries);
        let Ok(request) = Request::read(received, &self.settings) else { return false };
        policy.decide_request(&self.caller, &request, default(self.default)).allowed
    }

    fn conditions(&self) -> impl Iterator<Item = &HttpPermission> {
        let sources = self.entries.iter().flat_map(|entry| &entry.sources);
        let lists = sources.filter_map(|source| match &source.decision {
            Decision::Requests(list) => Some(list),
            Decision::Connection(_) => None,
        });
        lists.flatten().filter_map(|own| own.http.as_ref())
    }

    /// Whether a rule asks about a part of the authority, which Envoy compares only in its canonical form.
    fn asks_about_hosts(&self) -> bool {
        let exact = |value: &HeaderValueMatch| {
            matches!(value, HeaderValueMatch::Exact(_) | HeaderValueMatch::Present)
        };
        self.conditions()
            .flat_map(|own| &own.headers)
            .any(|header| header.name.eq_ignore_ascii_case("host") && !exact(&header.value))
    }

    fn has_expressions(&self) -> bool {
        self.conditions().any(|own| matches!(own.path, Some(PathMatch::Regex(_))))
    }
}

fn told(name: &str, value: &str) -> HeaderValueOption {
    let header = HeaderValue { key: name.to_owned(), value: value.to_owned(), ..HeaderValue::default() };
    HeaderValueOption { header: Some(header), ..HeaderValueOption::default() }
}

fn mesh(settings: RequestNormalization) -> Entry {
    let incoming = Some(MeshHttpIncoming { request_normalization: Some(settings) });
    let http = Some(MeshHttp { incoming, ..MeshHttp::default() });
    record(EntryName::only(EntryKind::Mesh), Mesh { http, ..Mesh::default() }, Entry::Mesh)
}

fn record<T>(name: EntryName, said: T, make: fn(Record<T>) -> Entry) -> Entry {
    make(Record { scope: name.scope, said, meta: [].into(), stamp: Stamp::default() })
}

/// A request as it goes to Envoy over HTTP/1.1.
struct Wire {
    sent: Sent,
    /// With the host, which the decision function is told as Envoy takes it.
    headers: Vec<Header<'static>>,
}

impl Wire {
    fn random(random: &mut Random) -> Self {
        let mut sent = Sent::random(random);
        sent.tokens.dedup_by_key(|(provider, _)| *provider);
        let host = |value: &'static str| Header { name: "host", value: value.as_bytes() };
        let mut headers: Vec<_> = sent.authority.take().map(host).into_iter().collect();
        headers.append(&mut sent.headers);
        if !headers.iter().any(|header| header.name == "host") {
            headers.push(host("a.com"));
        }
        // Nothing lengthens the authority of the absolute form.
        let absolute = b"http://a.com";
        if sent.target.starts_with(absolute)
            && sent.target.get(absolute.len()).is_some_and(|next| *next != b'/')
        {
            sent.target.insert(absolute.len(), b'/');
        }
        let mut own = Self { sent, headers };
        if random.one_in(2) {
            own.tame(random);
        }
        own
    }

    /// Leaves out what Envoy refuses or joins.
    fn tame(&mut self, random: &mut Random) {
        self.sent.method = random.pick(&["GET", "POST", "OPTIONS"]);
        self.headers.retain(|own| own.name == "host" || own.value.is_ascii() && !own.value.contains(&b','));
        let mut seen = BTreeSet::new();
        self.headers.retain(|own| seen.insert(folded(own.name)));
        self.sent.target.retain(u8::is_ascii);
    }

    /// The authority of the absolute form takes the place of the header (RFC 9112 §3.2.2).
    fn headers_as_taken(&self) -> Vec<Header<'static>> {
        if !self.sent.target.starts_with(b"http://a.com") {
            return self.headers.clone();
        }
        let others = self.headers.iter().filter(|header| header.name != "host").copied();
        others.chain([Header { name: "host", value: b"a.com" }]).collect()
    }

    fn path(&self) -> String {
        String::from_utf8_lossy(&self.sent.target).split('?').next().unwrap().to_owned()
    }

    fn climbs(&self, case: &Case) -> bool {
        climbs(&self.path(), case.settings.insecure_disable_path_normalization)
    }

    fn has_dots(&self) -> bool {
        climbs(&self.path(), true)
    }

    /// Whether the whole target can be made canonical. Envoy does not look at what dot segments leave out.
    fn is_whole(&self, case: &Case, received: Received<'_>) -> bool {
        !self.has_dots() || Request::read(received, &case.settings).is_ok()
    }

    /// Whether Envoy is told all that the decision function knows of it.
    fn is_plain(&self, case: &Case) -> bool {
        let Sent { method, target, .. } = &self.sent;
        let mut names: Vec<_> = self.headers.iter().map(|header| folded(header.name)).collect();
        names.sort();
        let once = names.windows(2).all(|pair| pair[0] != pair[1]);
        let single = self.headers.iter().all(|own| own.value.is_ascii() && !own.value.contains(&b','));
        let hosts = self.headers.iter().filter(|own| own.name == "host");
        let canonical = hosts.clone().all(|own| matches!(own.value, b"a.com" | b"b.com"));
        let path = String::from_utf8_lossy(target);
        let path = path.split('?').next().unwrap();
        ["GET", "POST", "OPTIONS"].contains(method)
            && path.starts_with('/')
            && target.is_ascii()
            && !target.ends_with(b" ")
            && once
            && single
            && (canonical || !case.asks_about_hosts())
            && !self.climbs(case)
            // Envoy does not merge all slashes that the decision function does, and denies what it does not.
            && (!case.settings.merge_slashes || !path.contains("//") && !path.contains('\\'))
            && (!case.has_expressions() || !path.contains(['%', ';', '\\', '.']) && !path.contains("//"))
    }
}

fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

/// Whether some reader may find dot segments in it that Envoy does not resolve.
fn climbs(path: &str, as_it_is: bool) -> bool {
    let lower = path.to_ascii_lowercase().replace("%2e", ".");
    let even = lower.replace("%2f", "/").replace("%5c", "/").replace('\\', "/").replace("%3b", ";");
    let segment = |own: &str| matches!(own.split(';').next().unwrap(), "." | "..");
    // Plain ones are resolved before any rule is asked.
    even.split('/').any(segment) && (as_it_is || lower != even || even.contains(';'))
}

#[allow(clippy::disallowed_methods, reason = "the seed is said in the environment")]
fn seed_and_cases() -> (u64, usize) {
    let seed = std::env::var("PROPTEST_RNG_SEED").ok().and_then(|text| text.parse().ok());
    let usual = 20_261_129;
    let seed = seed.unwrap_or(usual);
    (seed, if seed == usual { 8_000 } else { 100_000 })
}

#[test]
fn n_290_envoy_allows_what_the_decision_function_allows() {
    for way in ways("n_290_envoy_allows_what_the_decision_function_allows") {
        compare(&way);
    }
}

#[allow(clippy::print_stdout, reason = "who runs many cases wants to know how many")]
fn compare(way: &Way) {
    let (seed, wanted) = seed_and_cases();
    let mut random = Random::new(seed);
    let (mut total, mut plain, mut allowed, mut stricter, mut over_http2) = (0, 0, 0, 0, 0);
    while total < wanted {
        let case = |at| Case { given: at % 4 == 0, ..Case::random(&mut random) };
        let cases: Vec<_> = (0..MESHES).map(case).collect();
        let envoy = Envoy::start(&way.program, way.joins, |directory| {
            let socket = |at: usize| directory.join(format!("{at}.sock"));
            let listener = |(at, case): (usize, &Case)| case.listener(&socket(at), way.version);
            cases.iter().enumerate().map(listener).collect()
        });
        for (at, case) in cases.iter().enumerate() {
            let (mut client, mut newer) = (Client::new(envoy.socket(at)), Http2::new(envoy.socket(at)));
            for _ in 0..200 {
                let wire = Wire::random(&mut random);
                let (tokens, headers) = (wire.sent.tokens(), wire.headers_as_taken());
                let received = Received { headers: &headers, ..wire.sent.received(&tokens) };
                let expected = case.allows(received);
                let by_http2 = Http2::request(&wire.sent, &wire.headers).filter(|_| random.one_in(4));
                over_http2 += usize::from(by_http2.is_some());
                let (status, path) = match by_http2 {
                    Some(request) => newer.ask(request),
                    None => client.ask(&wire.sent, &wire.headers),
                };
                let context = || {
                    format!(
                        "seed {seed}: Envoy {status}, expected {expected}: {:?} {:?} {:?} {:?} {:#?}",
                        wire.sent, wire.headers, case.settings, case.default, case.entries
                    )
                };
                total += 1;
                allowed += usize::from(status == 200);
                if status == 200 {
                    let sent_on = Received { target: path.as_bytes(), ..received };
                    assert!(case.allows(sent_on), "Envoy sends on {path:?}: {}", context());
                    // Envoy resolves dot segments first: the service never sees what they leave out. A space at
                    // either end is no part of the target to it.
                    let target = &wire.sent.target;
                    let as_sent = !wire.has_dots() && !target.ends_with(b" ") && !target.starts_with(b" ");
                    assert!(expected || !as_sent, "Envoy allows more: {}", context());
                }
                if wire.is_plain(case) && wire.is_whole(case, received) {
                    plain += 1;
                    assert_eq!(status == 200, expected, "{}", context());
                }
                stricter += usize::from(expected && status != 200);
            }
        }
    }
    println!(
        "{total} requests ({over_http2} over HTTP/2), {plain} plain, {allowed} allowed, {stricter} denied by Envoy alone"
    );
    assert!(plain > total / 5 && allowed > total / 10, "{total} {plain} {allowed}");
}
