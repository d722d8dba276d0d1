//! Random requests and permissions, from an alphabet so small that the rules interact.

use concord_mesh::request::{Header, Received, Token};
use concord_model::entry::{EscapedSlashes, RequestNormalization, Underscores};
use concord_model::intention::{
    Decision, HeaderMatch, HeaderValueMatch, HttpPermission, JwtProviderRequirement, JwtRequirement,
    PathMatch, Permission, ServiceIntentions,
};
use concord_model::{Namespace, Partition, ServiceName};
use serde_json::{Value, json};

use crate::random::{Names, Random, action};

/// The parts of which targets consist.
const PIECES: [&str; 24] = [
    "/", "/", "/", "/a", "/a", "/admin", "a", "b", ".", "..", "/..", "/./", "%2e", "%2F", "%5c", "%61", ";x",
    "\\", "%20", "%C3%A9", "é", "%3b", "//", "@",
];
/// What makes a target unacceptable, or ends its path.
const ODD: [&str; 9] = ["%00", "%zz", "%C0%AF", "#", "?q", " ", "\u{1}", "%", "*"];
const PATHS: [&str; 14] = [
    "/", "/a", "/a/", "/admin", "/admin/a", "/a/b", "//a", "/a;x", "/%61", "/a%2Fa", "/.", "/a/..", "/é",
    "/a%20",
];
const PATTERNS: [&str; 6] = ["/a.*", "/admin/[^/]+", "/(a|admin)", "(", ".*;.*", "/[^%]*"];
const VALUES: [&[u8]; 10] = [b"", b"a", b" a ", b"b", b"A", b"a,b", b"b, a", b"ab", b"\xffa", b"a,"];
const TEXTS: [&str; 6] = ["a", "b", "A", "ab", "a,b", ","];
const NAMES: [&str; 6] = ["x", "X", "x-y", "x_y", "X-Y", "host"];
const HOSTS: [&str; 7] = ["a.com", "A.com", "a.com.", "a.com:443", "a.com:8443", "b.com", "a/b"];

/// A request that owns what it consists of.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) method: &'static str,
    pub(crate) target: Vec<u8>,
    pub(crate) authority: Option<&'static str>,
    pub(crate) headers: Vec<Header<'static>>,
    pub(crate) tokens: Vec<(&'static str, Value)>,
}

impl Sent {
    pub(crate) fn random(random: &mut Random) -> Self {
        let mut target = if random.one_in(30) { "http://a.com".to_owned() } else { String::new() };
        target.push_str(if random.one_in(40) { "" } else { "/" });
        for _ in 0..random.below(6) {
            target.push_str(random.pick(&PIECES[..]).as_ref());
        }
        if random.one_in(12) {
            target.push_str(random.pick(&ODD[..]).as_ref());
            target.push_str(random.pick(&PIECES[..]).as_ref());
        }
        let headers = (0..random.below(4)).map(|_| {
            let name = if random.one_in(8) { "host" } else { NAMES[random.below(5)] };
            let value = if name == "host" { random.pick(&HOSTS).as_bytes() } else { random.pick(&VALUES) };
            Header { name, value }
        });
        let headers = headers.collect();
        let tokens = (0..random.below(3)).map(|_| (random.pick(&["p1", "p2"]), claims(random)));
        let tokens = tokens.collect();
        Self {
            method: random.pick(&["GET", "GET", "POST", "get", "OPTIONS", "BREW"]),
            target: if random.one_in(60) { b"*".to_vec() } else { target.into_bytes() },
            authority: random.one_in(2).then(|| random.pick(&HOSTS)),
            headers,
            tokens,
        }
    }

    pub(crate) fn tokens(&self) -> Vec<Token<'_>> {
        self.tokens.iter().map(|(provider, claims)| Token { provider, claims }).collect()
    }

    pub(crate) fn received<'a>(&'a self, tokens: &'a [Token<'a>]) -> Received<'a> {
        let Self { method, target, authority, headers, tokens: _ } = self;
        Received { method, target, authority: *authority, headers, tokens }
    }
}

fn claims(random: &mut Random) -> Value {
    match random.below(6) {
        0 => json!({}),
        1 => json!({"role": "a"}),
        2 => json!({"role": ["a", "b"]}),
        3 => json!({"role": 1, "deep": {"role": "a"}}),
        4 => json!({"role": true, "deep": "a"}),
        _ => json!({"role": "b", "deep": {"role": "b"}}),
    }
}

fn requirement(random: &mut Random) -> JwtRequirement {
    let provider = |random: &mut Random| {
        let path = random.pick(&[vec!["role"], vec!["deep", "role"]]);
        let path = path.into_iter().map(str::to_owned).collect();
        let claim = (path, random.pick(&["a", "b", "1", "true"]).to_owned());
        let verify_claims = if random.one_in(2) { vec![claim] } else { vec![] };
        JwtProviderRequirement { name: random.pick(&["p1", "p2", "p3"]).to_owned(), verify_claims }
    };
    JwtRequirement { providers: (0..=random.below(2)).map(|_| provider(random)).collect() }
}

fn header(random: &mut Random) -> HeaderMatch {
    let text = random.pick(&TEXTS).to_owned();
    let name = random.pick(&NAMES).to_owned();
    let value = match random.below(10) {
        0 => HeaderValueMatch::Present,
        1 => HeaderValueMatch::Prefix(text),
        2 => HeaderValueMatch::Suffix(text),
        3 => HeaderValueMatch::Contains(text),
        4 => HeaderValueMatch::Regex(random.pick(&["a.*", "a|b", "(", ".*,.*"]).to_owned()),
        _ if name == "host" => HeaderValueMatch::Exact(random.pick(&HOSTS).to_owned()),
        _ => HeaderValueMatch::Exact(text),
    };
    let has_letters = !matches!(value, HeaderValueMatch::Present | HeaderValueMatch::Regex(_));
    HeaderMatch { name, value, ignore_case: has_letters && random.one_in(4), invert: random.one_in(3) }
}

pub(crate) fn permission(random: &mut Random) -> Permission {
    let path = match random.below(12) {
        0 | 1 => None,
        2 => Some(PathMatch::Regex(random.pick(&PATTERNS).to_owned())),
        3..=8 => Some(PathMatch::Prefix(random.pick(&PATHS).to_owned())),
        _ => Some(PathMatch::Exact(random.pick(&PATHS).to_owned())),
    };
    let headers = (0..random.below(6).saturating_sub(3)).map(|_| header(random)).collect();
    let methods = if random.one_in(3) { vec!["GET".to_owned()] } else { vec![] };
    let jwt = random.one_in(6).then(|| requirement(random));
    let says = jwt.is_some() || path.is_some() || !methods.is_empty();
    let methods = if says { methods } else { vec!["POST".to_owned()] };
    let http = HttpPermission { path, headers, methods };
    let http = Some(http).filter(|_| jwt.is_none() || !random.one_in(3));
    Permission { action: action(random), http, jwt }
}

fn permissions(random: &mut Random) -> Vec<Permission> {
    // Sometimes so many that they are indexed.
    let count = if random.one_in(4) { 16 + random.below(40) } else { 1 + random.below(6) };
    (0..count).map(|_| permission(random)).collect()
}

pub(crate) fn settings(random: &mut Random) -> RequestNormalization {
    use {EscapedSlashes as Slashes, Underscores as Under};
    if random.one_in(2) {
        return RequestNormalization::default();
    }
    RequestNormalization {
        insecure_disable_path_normalization: random.one_in(3),
        merge_slashes: random.one_in(2),
        path_with_escaped_slashes_action: random.pick(&[
            Slashes::Unset,
            Slashes::ProxyDefault,
            Slashes::Keep,
            Slashes::Reject,
            Slashes::Redirect,
            Slashes::Forward,
        ]),
        headers_with_underscores_action: random.pick(&[
            Under::Unset,
            Under::Allow,
            Under::Reject,
            Under::Drop,
        ]),
    }
}

pub(crate) fn names() -> Names {
    Names {
        partitions: vec![Partition::default()],
        namespaces: vec![Namespace::default()],
        peers: vec![None],
        services: ["web", "api", "db"].map(|name| ServiceName::parse(name).unwrap()).to_vec(),
        unruly: false,
    }
}

pub(crate) fn entries(names: &Names, random: &mut Random) -> Vec<ServiceIntentions> {
    let count = 1 + random.below(5);
    let mut entries = names.entries(random, count, 4);
    for entry in &mut entries {
        entry.jwt = random.one_in(8).then(|| requirement(random));
        for source in &mut entry.sources {
            if random.one_in(2) {
                source.decision = Decision::Requests(permissions(random));
            }
        }
    }
    entries
}
