//! Requests that stand for those which permissions name.
//!
//! First comes a request for each permission, which meets all its conditions. Then each path, method, set of headers
//! and token that any permission names is joined with each other one, and with one that none of them names: a
//! permission that is narrowed, widened or moved is seen by one of these.

use std::collections::BTreeSet;

use concord_model::intention::{
    Action, Decision, Destination, HeaderMatch, HeaderValueMatch, HttpPermission, JwtProviderRequirement,
    JwtRequirement, PathMatch, Permission, ServiceIntentions, Source, SourceIntention,
};
use concord_model::{Namespace, Partition, Pattern, ServiceName, ServiceRef, Stamp};
use serde_json::{Map, Value};

use super::limits::EXAMPLES_MAX;
use super::pattern;
use crate::explain::request::AskedRequest;
use crate::intention::{Intention, Policy};
use crate::request::{Fit, Request};

/// A path that no permission is likely to name.
const OTHER_PATH: &str = "/any-other-path";
/// Methods of which the first that no permission names stands for all of these.
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"];
/// A method that no permission is likely to name.
const OTHER_METHOD: &str = "PROPFIND";

/// Examples of requests.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Examples {
    /// The requests, each once.
    pub requests: Vec<AskedRequest>,
    /// How many permissions have no example.
    pub without: usize,
    /// Whether there were more than [`EXAMPLES_MAX`].
    pub cut: bool,
}

/// Headers and tokens of a request.
type Dress = (Vec<(String, String)>, Vec<(String, Value)>);

/// Examples of the requests that these intentions name, with and without the tokens that are demanded.
pub fn examples(rules: &[&Intention], demands: &[&JwtRequirement]) -> Examples {
    let mut permissions: Vec<&Permission> = Vec::new();
    for rule in rules {
        let Decision::Requests(own) = &rule.decision else { continue };
        own.iter().for_each(|own| push(&mut permissions, own));
    }
    let tokens = demanded(demands);
    let mut made = Made::default();
    for permission in &permissions {
        made.of(permission, tokens.last());
    }
    let (paths, methods, dresses) =
        (paths(&permissions), methods(&permissions), dresses(&permissions, &tokens));
    for (headers, tokens) in &dresses {
        for target in &paths {
            for method in &methods {
                let (method, target) = (method.clone(), target.clone());
                made.add(AskedRequest { method, target, headers: headers.clone(), tokens: tokens.clone() });
            }
        }
    }
    for permission in &permissions {
        let own = own(permission, tokens.last().map(Vec::as_slice).unwrap_or_default());
        own.iter().flat_map(|own| beside(permission, own)).for_each(|beside| made.add(beside));
    }
    made.examples
}

/// Requests that differ a little from one that meets a permission: another condition on the same value may tell them
/// from it. Each value of a header with something before or behind it, and in the other case; a path of an expression
/// with its last letter twice.
fn beside(permission: &Permission, own: &AskedRequest) -> Vec<AskedRequest> {
    let mut all = Vec::new();
    for (at, (_, value)) in own.headers.iter().enumerate() {
        for other in [format!("{value}x"), format!("x{value}"), swapped(value)] {
            let mut request = own.clone();
            request.headers[at].1 = other;
            all.push(request);
        }
    }
    let by_pattern =
        permission.http.as_ref().is_some_and(|http| matches!(http.path, Some(PathMatch::Regex(_))));
    if let Some(last) = own.target.chars().last().filter(|_| by_pattern) {
        all.push(AskedRequest { target: format!("{}{last}", own.target), ..own.clone() });
    }
    all
}

fn swapped(text: &str) -> String {
    let swap = |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    text.chars().map(swap).collect()
}

fn push<T: PartialEq>(all: &mut Vec<T>, one: T) {
    if !all.contains(&one) {
        all.push(one);
    }
}

#[derive(Default)]
struct Made {
    examples: Examples,
    seen: BTreeSet<String>,
}

impl Made {
    /// Adds a request that meets all conditions of a permission.
    fn of(&mut self, permission: &Permission, demanded: Option<&Vec<(String, Value)>>) {
        match own(permission, demanded.map(Vec::as_slice).unwrap_or_default()) {
            Some(request) => self.add(request),
            None => self.examples.without += 1,
        }
    }

    fn add(&mut self, request: AskedRequest) {
        if request.is_too_large() || self.seen.contains(&format!("{request:?}")) {
            return;
        }
        if self.examples.requests.len() >= EXAMPLES_MAX {
            self.examples.cut = true;
            return;
        }
        self.seen.insert(format!("{request:?}"));
        self.examples.requests.push(request);
    }
}

/// A request that meets all conditions of a permission, if one is found.
fn own(permission: &Permission, demanded: &[(String, Value)]) -> Option<AskedRequest> {
    let http = permission.http.clone().unwrap_or_default();
    let (mut method, mut target) = (http.methods.first().cloned(), path(&http));
    let mut headers = Vec::new();
    for header in &http.headers {
        match (header.name.to_ascii_lowercase().as_str(), value(header)?) {
            (_, None) => {}
            (":method", Some(value)) => method = Some(value),
            (":path", Some(value)) => target = Some(value),
            ("host" | ":authority", Some(value)) => push(&mut headers, ("host".to_owned(), value)),
            (_, Some(value)) => headers.push((header.name.clone(), value)),
        }
    }
    let tokens = match &permission.jwt {
        Some(jwt) => joined(demanded, &shown(jwt.providers.first()?)),
        None => demanded.to_vec(),
    };
    let method = method.unwrap_or_else(|| "GET".to_owned());
    let request = AskedRequest { method, target: target?, headers, tokens };
    fits(permission, &request).then_some(request)
}

/// Whether a request meets a permission for certain.
fn fits(permission: &Permission, asked: &AskedRequest) -> bool {
    let (partition, namespace) = (Partition::default(), Pattern::Exact(Namespace::default()));
    let source =
        Source { partition: partition.clone(), namespace: namespace.clone(), peer: None, name: Pattern::Any };
    let decision = Decision::Requests(vec![Permission { action: Action::Allow, ..permission.clone() }]);
    let entry = ServiceIntentions {
        destination: Destination { partition, namespace, name: Pattern::Any },
        sources: vec![SourceIntention { source, decision, description: String::new(), legacy: None }],
        jwt: None,
        meta: [].into(),
        stamp: Stamp::default(),
    };
    let service = ServiceRef::local(ServiceName::parse("any").expect("a name"));
    asked.received(|received| {
        let Ok(request) = Request::read(received, &Default::default()) else { return false };
        let tried = Policy::compile(&service, [&entry]).tried(&service, &request);
        tried.first().is_some_and(|tried| tried.fit == Fit::Yes)
    })
}

/// A path that meets the condition on paths; without one, any.
fn path(http: &HttpPermission) -> Option<String> {
    match &http.path {
        None => Some(OTHER_PATH.to_owned()),
        Some(PathMatch::Exact(text) | PathMatch::Prefix(text)) => Some(text.clone()),
        Some(PathMatch::Regex(text)) => pattern::example(text),
    }
}

/// A value that meets a condition on a header. `Some(None)`: the header must be missing. `None`: none is found.
fn value(header: &HeaderMatch) -> Option<Option<String>> {
    let HeaderMatch { name: _, value, ignore_case: _, invert } = header;
    let text = match value {
        HeaderValueMatch::Present if *invert => return Some(None),
        HeaderValueMatch::Present => "x".to_owned(),
        HeaderValueMatch::Exact(text)
        | HeaderValueMatch::Prefix(text)
        | HeaderValueMatch::Suffix(text)
        | HeaderValueMatch::Contains(text) => text.clone(),
        HeaderValueMatch::Regex(text) => pattern::example(text)?,
    };
    if !invert {
        return Some(Some(text));
    }
    // One of these has no letter of the text, unless the text is empty.
    let text = text.to_lowercase();
    let other = ["zz", "0", "-"].into_iter().find(|other| !text.chars().any(|c| other.contains(c)))?;
    Some(Some(other.to_owned()))
}

/// The paths that permissions name, each with a longer one, and one that none names.
fn paths(permissions: &[&Permission]) -> Vec<String> {
    let mut all = Vec::new();
    for http in permissions.iter().filter_map(|own| own.http.as_ref()) {
        let Some(text) = path(http) else { continue };
        let longer = if text.ends_with('/') { format!("{text}x") } else { format!("{text}/x") };
        push(&mut all, text);
        if !matches!(http.path, None | Some(PathMatch::Regex(_))) {
            push(&mut all, longer);
        }
    }
    push(&mut all, OTHER_PATH.to_owned());
    all
}

/// The methods that permissions name, and one that none names.
fn methods(permissions: &[&Permission]) -> Vec<String> {
    let mut all = Vec::new();
    for http in permissions.iter().filter_map(|own| own.http.as_ref()) {
        http.methods.iter().for_each(|method| push(&mut all, method.clone()));
    }
    let other = METHODS.into_iter().find(|method| !all.iter().any(|own| own == method));
    push(&mut all, other.unwrap_or(OTHER_METHOD).to_owned());
    all
}

/// The sets of headers and tokens that permissions name, and none.
fn dresses(permissions: &[&Permission], demanded: &[Vec<(String, Value)>]) -> Vec<Dress> {
    let mut all: Vec<Dress> = vec![(Vec::new(), Vec::new())];
    demanded.iter().for_each(|tokens| push(&mut all, (Vec::new(), tokens.clone())));
    let most: &[_] = demanded.last().map(Vec::as_slice).unwrap_or_default();
    for permission in permissions {
        let headers = permission.http.iter().flat_map(|http| &http.headers);
        let named = headers.filter(|header| !header.name.starts_with(':'));
        let headers: Vec<_> =
            named.filter_map(|header| Some((header.name.clone(), value(header).flatten()?))).collect();
        push(&mut all, (headers.clone(), most.to_vec()));
        for provider in permission.jwt.iter().flat_map(|jwt| &jwt.providers) {
            push(&mut all, (headers.clone(), joined(most, &shown(provider))));
        }
    }
    all
}

/// The sets of tokens that are demanded: each alone, and all demands together as the last.
fn demanded(demands: &[&JwtRequirement]) -> Vec<Vec<(String, Value)>> {
    let mut all = Vec::new();
    for provider in demands.iter().flat_map(|demand| &demand.providers) {
        push(&mut all, shown(provider));
    }
    let firsts = demands.iter().filter_map(|demand| demand.providers.first());
    let together = firsts.fold(Vec::new(), |all, provider| joined(&all, &shown(provider)));
    if !together.is_empty() {
        all.retain(|own| *own != together);
        all.push(together);
    }
    all
}

/// The token that meets what is required of one provider.
fn shown(provider: &JwtProviderRequirement) -> Vec<(String, Value)> {
    let mut claims = Value::Object(Map::new());
    for (path, value) in &provider.verify_claims {
        set(&mut claims, path, value);
    }
    vec![(provider.name.clone(), claims)]
}

fn set(claims: &mut Value, path: &[String], value: &str) {
    let mut at = claims;
    for step in path {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(own) = at else { return };
        at = own.entry(step.clone()).or_insert(Value::Null);
    }
    *at = Value::String(value.to_owned());
}

/// Tokens together. Of two tokens of a provider, the claims of both are in one.
fn joined(tokens: &[(String, Value)], more: &[(String, Value)]) -> Vec<(String, Value)> {
    let mut all = tokens.to_vec();
    for (provider, claims) in more {
        match all.iter_mut().find(|(own, _)| own == provider) {
            Some((_, own)) => merge(own, claims),
            None => all.push((provider.clone(), claims.clone())),
        }
    }
    all
}

fn merge(own: &mut Value, more: &Value) {
    match (own, more) {
        (Value::Object(own), Value::Object(more)) => {
            for (key, value) in more {
                merge(own.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (own, more) => *own = more.clone(),
    }
}
