//! How long a decision about a request takes, by the number of permissions and by what they look at. Each request is
//! read anew, as a proxy would.

use concord_mesh::intention::{DefaultPolicy, DefaultSource, Policy};
use concord_mesh::request::{Header, Received, Request, Token};
use concord_model::entry::RequestNormalization;
use concord_model::intention::{
    Action, Decision, Destination, HeaderMatch, HeaderValueMatch, HttpPermission, JwtProviderRequirement,
    JwtRequirement, PathMatch, Permission, ServiceIntentions, Source, SourceIntention,
};
use concord_model::{Namespace, Partition, Pattern, ServiceName, ServiceRef};
use divan::{Bencher, black_box};
use serde_json::json;

const DENY: DefaultPolicy = DefaultPolicy { action: Action::Deny, source: DefaultSource::AclDefault };
const COUNTS: [usize; 3] = [10, 100, 1_000];

/// What a browser sends.
const HEADERS: [(&str, &str); 8] = [
    ("host", "api.virtual.consul"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("accept-language", "en-US,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("cookie", "session=4c1e2b7d9a; theme=dark"),
    ("x-request-id", "0d2e8a9e-6a3a-4f5a-9a40-0c7f6a1b2c3d"),
    ("x-tenant", "tenant-777"),
];

fn main() {
    divan::main();
}

fn service(name: &str) -> ServiceRef {
    ServiceRef::local(ServiceName::parse(name).expect("a name"))
}

fn policy(permissions: Vec<Permission>) -> Policy {
    let api = service("api");
    let exact = |service: &ServiceRef| Pattern::Exact(service.name.clone());
    let namespace = || Pattern::Exact(Namespace::default());
    let entry = ServiceIntentions {
        destination: Destination {
            partition: Partition::default(),
            namespace: namespace(),
            name: exact(&api),
        },
        sources: vec![SourceIntention {
            source: Source {
                partition: Partition::default(),
                namespace: namespace(),
                peer: None,
                name: exact(&service("web")),
            },
            decision: Decision::Requests(permissions),
            description: String::new(),
            legacy: None,
        }],
        jwt: None,
        meta: [].into(),
        stamp: Default::default(),
    };
    Policy::compile(&api, &[entry])
}

fn allow(path: Option<PathMatch>, header: Option<HeaderMatch>, method: &str) -> Permission {
    let methods = vec![method.to_owned()];
    let http = HttpPermission { path, headers: header.into_iter().collect(), methods };
    Permission { action: Action::Allow, http: Some(http), jwt: None }
}

fn header(name: &str, value: HeaderValueMatch) -> Option<HeaderMatch> {
    Some(HeaderMatch { name: name.to_owned(), value, ignore_case: false, invert: false })
}

/// Requests for every path, so that neither the first permission nor always the same decides.
fn decide(bencher: Bencher<'_, '_>, n: usize, of: impl Fn(usize) -> Permission) {
    let policy = policy((0..n).map(of).collect());
    let headers: Vec<_> =
        HEADERS.iter().map(|(name, value)| Header { name, value: value.as_bytes() }).collect();
    let targets: Vec<_> = (0..1024).map(|i| format!("/v1/items/{}/detail?page=2", i * 7919 % n)).collect();
    let claims = json!({"sub": "x", "group": "group-777"});
    let tokens = [Token { provider: "okta", claims: &claims }];
    let (web, settings) = (service("web"), RequestNormalization::default());
    let mut next = 0;
    bencher.bench_local(|| {
        next = (next + 1) % targets.len();
        let target = black_box(targets[next].as_bytes());
        let received =
            Received { method: "GET", target, authority: None, headers: &headers, tokens: &tokens };
        let request = Request::read(received, &settings).expect("a request");
        policy.decide_request(&web, &request, DENY).allowed
    });
}

#[divan::bench(args = COUNTS)]
fn exact_paths(bencher: Bencher<'_, '_>, n: usize) {
    decide(bencher, n, |i| allow(Some(PathMatch::Exact(format!("/v1/items/{i}/detail"))), None, "GET"));
}

#[divan::bench(args = COUNTS)]
fn prefixes(bencher: Bencher<'_, '_>, n: usize) {
    decide(bencher, n, |i| allow(Some(PathMatch::Prefix(format!("/v1/items/{i}/"))), None, "GET"));
}

#[divan::bench(args = COUNTS)]
fn other_methods_of_one_prefix(bencher: Bencher<'_, '_>, n: usize) {
    decide(bencher, n, |_| allow(Some(PathMatch::Prefix("/v1/".to_owned())), None, "POST"));
}

#[divan::bench(args = COUNTS)]
fn values_of_one_header(bencher: Bencher<'_, '_>, n: usize) {
    decide(bencher, n, |i| {
        allow(None, header("x-tenant", HeaderValueMatch::Exact(format!("tenant-{i}"))), "GET")
    });
}

#[divan::bench(args = COUNTS)]
fn many_headers(bencher: Bencher<'_, '_>, n: usize) {
    decide(bencher, n, |i| allow(None, header(&format!("x-flag-{i}"), HeaderValueMatch::Present), "GET"));
}

#[divan::bench(args = COUNTS)]
fn parts_of_one_header(bencher: Bencher<'_, '_>, n: usize) {
    decide(bencher, n, |i| {
        allow(None, header("x-tenant", HeaderValueMatch::Contains(format!("no-{i}"))), "GET")
    });
}

#[divan::bench(args = COUNTS)]
fn claims(bencher: Bencher<'_, '_>, n: usize) {
    decide(bencher, n, |i| {
        let verify_claims = vec![(vec!["group".to_owned()], format!("group-{i}"))];
        let provider = JwtProviderRequirement { name: "okta".to_owned(), verify_claims };
        let jwt = Some(JwtRequirement { providers: vec![provider] });
        Permission { action: Action::Allow, http: None, jwt }
    });
}

#[divan::bench]
fn reading_alone(bencher: Bencher<'_, '_>) {
    let headers: Vec<_> =
        HEADERS.iter().map(|(name, value)| Header { name, value: value.as_bytes() }).collect();
    let settings = RequestNormalization::default();
    bencher.bench_local(|| {
        let target = black_box(&b"/v1/items/77/detail?page=2"[..]);
        let received = Received { method: "GET", target, authority: None, headers: &headers, tokens: &[] };
        Request::read(received, &settings).is_ok()
    });
}
