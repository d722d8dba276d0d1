//! `service-intentions`: who may call one destination.

use std::collections::HashSet;

use concord_model::entry::Entry;
use concord_model::intention::{
    DESCRIPTION_BYTES_MAX, Decision, Destination, HeaderMatch, HeaderValueMatch, HttpPermission,
    JwtRequirement, PathMatch, Permission, ServiceIntentions, SourceIntention,
};
use concord_model::{Pattern, ServiceRef};

use super::fault::{EntryFault, Fault, Faults, RoutingFault};
use super::graph::{GraphFault, Proposed};
use super::limits::{
    CLAIM_DEPTH_MAX, CLAIMS_MAX, COMPILED_BYTES_MAX, HEADERS_MAX, PATTERN_BYTES_MAX, PATTERNS_MAX,
    PERMISSIONS_MAX, PROVIDERS_MAX, SOURCES_MAX, TEXT_BYTES_MAX,
};
use super::{jwt_provider, requests};

/// The methods of requests. Compared exactly, because methods are case-sensitive (RFC 9110 §9.1).
pub(super) const METHODS: [&str; 9] =
    ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

/// Validates an entry, in the order of its fields. Whether token providers exist is checked where entries are stored.
pub(super) fn check(entry: &ServiceIntentions, faults: &mut Faults) {
    let ServiceIntentions { destination, sources, jwt, meta, stamp: _ } = entry;
    check_destination(destination, faults);
    if let Some(jwt) = jwt {
        check_jwt("JWT", jwt, faults);
    }
    faults.meta("Meta", meta);
    if sources.is_empty() {
        faults.push("Sources", Fault::NoneOf { what: "source", owner: "entry" });
    }
    faults.at_most("Sources", sources.len(), SOURCES_MAX);
    let wildcard = is_wild(destination);
    let mut seen = HashSet::new();
    for (i, one) in sources.iter().enumerate().take(SOURCES_MAX) {
        let at = format!("Sources[{i}]");
        check_source(&at, one, wildcard, faults);
        if !seen.insert(&one.source) {
            faults.push(&at, Fault::Repeated { source_text: one.source.to_string() });
        }
    }
    check_patterns(0, sources, faults);
}

/// Validates one source that is to be added to `others` valid sources of its destination, none of which is this
/// source. Returns what [`validate`](super::validate) would return for the entry with this source at the end.
pub fn validate_source(
    destination: &Destination,
    others: usize,
    one: &SourceIntention,
) -> Result<(), Vec<EntryFault>> {
    let mut faults = Faults::default();
    check_destination(destination, &mut faults);
    faults.at_most("Sources", others + 1, SOURCES_MAX);
    check_source(&format!("Sources[{others}]"), one, is_wild(destination), &mut faults);
    faults.none_or()
}

/// Whether the regular expressions of a source can be compiled. Servers that apply a source do not ask this again.
pub fn validate_patterns(others: usize, one: &SourceIntention) -> Result<(), Vec<EntryFault>> {
    let mut faults = Faults::default();
    check_patterns(others, std::slice::from_ref(one), &mut faults);
    faults.none_or()
}

/// Permissions need a protocol with requests, and tokens an issuer.
pub(super) fn graph(proposed: Proposed<'_>) -> Result<(), GraphFault> {
    let Some(Entry::ServiceIntentions(to)) = proposed.to() else { return Ok(()) };
    if by_request(to) {
        requests::permitted(proposed, &to.destination)?;
    }
    jwt_provider::of_entry(proposed, to)
}

pub(super) fn links(entry: &ServiceIntentions) -> Vec<ServiceRef> {
    links_of(&entry.destination, by_request(entry))
}

/// The links of a destination's intentions; `by_request` says whether any of them has permissions.
pub fn links_of(destination: &Destination, by_request: bool) -> Vec<ServiceRef> {
    destination.service().filter(|_| by_request).into_iter().collect()
}

fn by_request(entry: &ServiceIntentions) -> bool {
    entry.sources.iter().any(|own| own.decision.is_by_request())
}

fn check_destination(destination: &Destination, faults: &mut Faults) {
    if destination.namespace.is_any() && !destination.name.is_any() {
        faults.push("Name:", Fault::ExactAfterWildcard);
    }
}

fn is_wild(destination: &Destination) -> bool {
    destination.namespace.is_any() || destination.name.is_any()
}

fn check_source(at: &str, one: &SourceIntention, wildcard: bool, faults: &mut Faults) {
    let SourceIntention { source, decision, description, legacy } = one;
    if source.namespace.is_any() && matches!(source.name, Pattern::Exact(_)) {
        faults.push(format!("{at}.Name:"), Fault::ExactAfterWildcard);
    }
    if source.peer.is_some() && !source.partition.is_default() {
        faults.push(format!("{at}.Peer:"), Fault::PeerWithPartition);
    }
    faults.no_longer(format!("{at}.Description"), description, DESCRIPTION_BYTES_MAX);
    if let Some(legacy) = legacy {
        faults.meta(&format!("{at}.LegacyMeta"), &legacy.meta);
        if source.peer.is_some() {
            faults.push(format!("{at}.Peer"), Fault::NotInLegacy);
        }
    }
    match decision {
        Decision::Connection(_) => {}
        Decision::Requests(permissions) => {
            let at = &format!("{at}.Permissions");
            if permissions.is_empty() {
                faults.push(at.replace("Permissions", "Action"), Fault::NoDecision);
            }
            if wildcard {
                faults.push(at, Fault::PermissionsOnWildcard);
            }
            if legacy.is_some() {
                faults.push(at, Fault::NotInLegacy);
            }
            faults.at_most(at, permissions.len(), PERMISSIONS_MAX);
            for (j, permission) in permissions.iter().enumerate().take(PERMISSIONS_MAX) {
                check_permission(&format!("{at}[{j}]"), permission, faults);
            }
        }
    }
}

fn check_permission(at: &str, permission: &Permission, faults: &mut Faults) {
    let Permission { action: _, http, jwt } = permission;
    match http {
        Some(http) => check_http(&format!("{at}.HTTP"), http, jwt.is_some(), faults),
        None if jwt.is_none() => faults.push(format!("{at}.HTTP"), Fault::NoCondition),
        None => {}
    }
    if let Some(jwt) = jwt {
        check_jwt(&format!("{at}.JWT"), jwt, faults);
    }
}

fn check_http(at: &str, http: &HttpPermission, has_jwt: bool, faults: &mut Faults) {
    let HttpPermission { path, headers, methods } = http;
    if path.is_none() && headers.is_empty() && methods.is_empty() && !has_jwt {
        faults.push(at, Fault::EmptyCondition);
    }
    match path {
        Some(PathMatch::Exact(path)) => check_path(&format!("{at}.PathExact"), path, faults),
        Some(PathMatch::Prefix(path)) => check_path(&format!("{at}.PathPrefix"), path, faults),
        Some(PathMatch::Regex(pattern)) => check_pattern(&format!("{at}.PathRegex"), pattern, faults),
        None => {}
    }
    faults.at_most(format!("{at}.Header"), headers.len(), HEADERS_MAX);
    for (k, header) in headers.iter().enumerate().take(HEADERS_MAX) {
        check_header(&format!("{at}.Header[{k}]"), header, faults);
    }
    faults.at_most(format!("{at}.Methods"), methods.len(), METHODS.len());
    for (k, method) in methods.iter().enumerate().take(METHODS.len()) {
        if !METHODS.contains(&method.as_str()) {
            let method = method.chars().take(32).collect();
            faults.push(format!("{at}.Methods"), Fault::UnknownMethod { method });
        } else if methods[..k].contains(method) {
            faults.push(format!("{at}.Methods"), Fault::RepeatedMethod { method: method.clone() });
        }
    }
}

/// Proxies take no listener with an expression that is broken, and go on with what they had before. Only an entry without
/// another fault is asked, because compiling takes time: so all that is compiled has been counted. `first` is the place
/// of the first source.
fn check_patterns(first: usize, sources: &[SourceIntention], faults: &mut Faults) {
    if !faults.is_empty() {
        return;
    }
    let mut seen = HashSet::new();
    let all = sources.iter().enumerate().flat_map(|(i, one)| patterns(first + i, one));
    let different: Vec<_> = all.filter(|(_, pattern)| seen.insert(*pattern)).collect();
    if different.len() > PATTERNS_MAX {
        let fault = Fault::TooManyPatterns { len: different.len(), max: PATTERNS_MAX };
        faults.push("Sources[].Permissions[].HTTP", fault);
        return;
    }
    for (at, pattern) in different {
        if let Err(reason) = concord_filter::Pattern::parse_within(pattern, COMPILED_BYTES_MAX) {
            faults.push(at, RoutingFault::NoPattern(reason));
        }
    }
}

/// The regular expressions of a source, each with its field.
fn patterns(i: usize, one: &SourceIntention) -> Vec<(String, &str)> {
    let Decision::Requests(permissions) = &one.decision else { return Vec::new() };
    let mut all = Vec::new();
    for (j, permission) in permissions.iter().enumerate() {
        let Some(http) = &permission.http else { continue };
        let at = format!("Sources[{i}].Permissions[{j}].HTTP");
        if let Some(PathMatch::Regex(pattern)) = &http.path {
            all.push((format!("{at}.PathRegex"), pattern.as_str()));
        }
        for (k, header) in http.headers.iter().enumerate() {
            if let HeaderValueMatch::Regex(pattern) = &header.value {
                all.push((format!("{at}.Header[{k}].Regex"), pattern.as_str()));
            }
        }
    }
    all
}

fn check_path(at: &str, path: &str, faults: &mut Faults) {
    faults.no_longer(at, path, TEXT_BYTES_MAX);
    if !path.starts_with('/') {
        faults.push(at, Fault::NotAPath { path: path.chars().take(64).collect() });
    }
}

fn check_pattern(at: &str, pattern: &str, faults: &mut Faults) {
    faults.no_longer(at, pattern, PATTERN_BYTES_MAX);
    if pattern.is_empty() {
        faults.push(at, Fault::Required);
    }
}

fn check_header(at: &str, header: &HeaderMatch, faults: &mut Faults) {
    let HeaderMatch { name, value, ignore_case, invert: _ } = header;
    if name.is_empty() {
        faults.push(format!("{at}.Name"), Fault::Required);
    }
    faults.no_longer(format!("{at}.Name"), name, TEXT_BYTES_MAX);
    let (text, max, by_letters) = match value {
        HeaderValueMatch::Present => ("present", TEXT_BYTES_MAX, false),
        HeaderValueMatch::Exact(text)
        | HeaderValueMatch::Prefix(text)
        | HeaderValueMatch::Suffix(text)
        | HeaderValueMatch::Contains(text) => (text.as_str(), TEXT_BYTES_MAX, true),
        HeaderValueMatch::Regex(pattern) => (pattern.as_str(), PATTERN_BYTES_MAX, false),
    };
    if text.is_empty() {
        faults.push(at, Fault::NoValue);
    }
    faults.no_longer(at, text, max);
    if *ignore_case && !by_letters {
        faults.push(at, Fault::IgnoreCase);
    }
}

fn check_jwt(at: &str, jwt: &JwtRequirement, faults: &mut Faults) {
    let JwtRequirement { providers } = jwt;
    if providers.is_empty() {
        faults.push(format!("{at}.Providers"), Fault::NoneOf { what: "provider", owner: "JWT requirement" });
    }
    faults.at_most(format!("{at}.Providers"), providers.len(), PROVIDERS_MAX);
    for (i, provider) in providers.iter().enumerate().take(PROVIDERS_MAX) {
        let at = format!("{at}.Providers[{i}]");
        if provider.name.is_empty() {
            faults.push(format!("{at}.Name"), Fault::Required);
        }
        faults.no_longer(format!("{at}.Name"), &provider.name, TEXT_BYTES_MAX);
        faults.at_most(format!("{at}.VerifyClaims"), provider.verify_claims.len(), CLAIMS_MAX);
        for (k, (path, value)) in provider.verify_claims.iter().enumerate().take(CLAIMS_MAX) {
            let at = format!("{at}.VerifyClaims[{k}]");
            if path.is_empty() || path.iter().any(String::is_empty) {
                faults.push(format!("{at}.Path"), Fault::Required);
            }
            faults.at_most(format!("{at}.Path"), path.len(), CLAIM_DEPTH_MAX);
            for step in path.iter().take(CLAIM_DEPTH_MAX) {
                faults.no_longer(format!("{at}.Path"), step, TEXT_BYTES_MAX);
            }
            faults.no_longer(format!("{at}.Value"), value, TEXT_BYTES_MAX);
        }
    }
}
