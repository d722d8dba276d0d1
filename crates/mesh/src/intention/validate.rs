//! What an entry may say: all its faults at once, each with its field and the remedy.
//!
//! Fields are named as in the API. The texts begin as Consul's do, which tools compare.

use std::collections::{BTreeMap, HashSet};

use concord_model::Pattern;
use concord_model::intention::{
    DESCRIPTION_BYTES_MAX, Decision, Destination, HeaderMatch, HeaderValueMatch, HttpPermission,
    JwtRequirement, PathMatch, Permission, ServiceIntentions, SourceIntention,
};

use super::limits::{
    CLAIM_DEPTH_MAX, CLAIMS_MAX, HEADERS_MAX, META_KEY_BYTES_MAX, META_PAIRS_MAX, META_VALUE_BYTES_MAX,
    PATTERN_BYTES_MAX, PERMISSIONS_MAX, PROVIDERS_MAX, SOURCES_MAX, TEXT_BYTES_MAX,
};

/// Methods a request can have. Compared as written: methods are case-sensitive (RFC 9110 §9.1).
const METHODS: [&str; 9] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

/// One thing that is wrong with an entry.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{field} {fault}")]
pub struct EntryFault {
    /// Where, as named in the API: `Sources[0].Permissions[1].HTTP.PathExact`.
    pub field: String,
    /// What, with the remedy.
    pub fault: Fault,
}

/// What is wrong, with the remedy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// Something that has to be there is not.
    #[error("is required")]
    Required,
    /// A list that must not be empty is.
    #[error("must hold at least one {what}; add one, or remove the {owner}")]
    NoneOf {
        /// What the list holds.
        what: &'static str,
        /// What to remove if nothing belongs in it.
        owner: &'static str,
    },
    /// Too many bytes.
    #[error("exceeds maximum length {max}; it has {len} bytes")]
    TooLong {
        /// How many it has.
        len: usize,
        /// How many are allowed.
        max: usize,
    },
    /// Too many elements.
    #[error("exceeds maximum element count {max}; it has {len}")]
    TooMany {
        /// How many there are.
        len: usize,
        /// How many are allowed.
        max: usize,
    },
    /// An exact name in all namespaces.
    #[error(
        "exact value cannot follow wildcard namespace; name the namespace, or use \"*\" for the name too"
    )]
    ExactAfterWildcard,
    /// A source is named twice.
    #[error("defines {source_text:?} more than once; keep one of them")]
    Repeated {
        /// The source.
        source_text: String,
    },
    /// A source of a peered cluster with a partition of our own.
    #[error("cannot set Peer and Partition at the same time; a peer's partition is not ours to name")]
    PeerWithPartition,
    /// Neither an action nor permissions.
    #[error("must be set to 'allow' or 'deny', or Permissions must hold at least one")]
    NoDecision,
    /// Permissions for more than one destination.
    #[error(
        "cannot be specified on intentions with wildcarded destinations; name one destination, or use Action"
    )]
    PermissionsOnWildcard,
    /// A permission with neither a condition nor a token.
    #[error("is required; state HTTP conditions or a JWT requirement")]
    NoCondition,
    /// HTTP conditions that are none.
    #[error("should not be empty; state a path, a header or a method, or leave HTTP out and use JWT")]
    EmptyCondition,
    /// A path that is none.
    #[error("doesn't start with '/': {path:?}; paths of requests do")]
    NotAPath {
        /// The path as given.
        path: String,
    },
    /// A header condition without the value it compares.
    #[error(
        "should only contain one of Present, Exact, Prefix, Suffix, Contains, or Regex, and that not empty"
    )]
    NoValue,
    /// Case cannot be ignored where nothing is compared by letters.
    #[error("should set one of Exact, Prefix, Suffix, or Contains when using IgnoreCase")]
    IgnoreCase,
    /// No method of HTTP.
    #[error("contains an invalid method {method:?}; methods are written in capitals")]
    UnknownMethod {
        /// The method as given.
        method: String,
    },
    /// A method twice.
    #[error("contains {method:?} more than once; keep one of them")]
    RepeatedMethod {
        /// The method.
        method: String,
    },
    /// The older, id-based API knows no peers and no permissions.
    #[error("cannot be set by legacy intentions; write the service-intentions entry without ids")]
    NotInLegacy,
}

/// Checks an entry; tells all its faults, in the order of the entry.
///
/// That token providers exist is checked where entries are kept.
pub fn validate(entry: &ServiceIntentions) -> Result<(), Vec<EntryFault>> {
    let mut faults = Faults(Vec::new());
    let destination = &entry.destination;
    check_destination(destination, &mut faults);
    if let Some(jwt) = &entry.jwt {
        check_jwt("JWT", jwt, &mut faults);
    }
    check_meta("Meta", &entry.meta, &mut faults);
    if entry.sources.is_empty() {
        faults.push("Sources", Fault::NoneOf { what: "source", owner: "entry" });
    }
    faults.at_most("Sources", entry.sources.len(), SOURCES_MAX);
    let wildcard = is_wild(destination);
    let mut seen = HashSet::new();
    for (i, one) in entry.sources.iter().enumerate().take(SOURCES_MAX) {
        let at = format!("Sources[{i}]");
        check_source(&at, one, wildcard, &mut faults);
        if !seen.insert(&one.source) {
            faults.push(&at, Fault::Repeated { source_text: one.source.to_string() });
        }
    }
    if faults.0.is_empty() { Ok(()) } else { Err(faults.0) }
}

/// Checks one source that is to join `others` of its destination, all of which are valid and none of
/// which has that source. Says what [`validate`] would say of the entry with this source as its last.
pub fn validate_source(
    destination: &Destination,
    others: usize,
    one: &SourceIntention,
) -> Result<(), Vec<EntryFault>> {
    let mut faults = Faults(Vec::new());
    check_destination(destination, &mut faults);
    faults.at_most("Sources", others + 1, SOURCES_MAX);
    check_source(&format!("Sources[{others}]"), one, is_wild(destination), &mut faults);
    if faults.0.is_empty() { Ok(()) } else { Err(faults.0) }
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
        check_meta(&format!("{at}.LegacyMeta"), &legacy.meta, faults);
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

fn check_meta(at: &str, meta: &BTreeMap<String, String>, faults: &mut Faults) {
    faults.at_most(at, meta.len(), META_PAIRS_MAX);
    for (key, value) in meta.iter().take(META_PAIRS_MAX) {
        let shown: String = key.chars().take(META_KEY_BYTES_MAX).collect();
        if key.is_empty() {
            faults.push(format!("{at} key {shown:?}"), Fault::Required);
        }
        faults.no_longer(format!("{at} key {shown:?}"), key, META_KEY_BYTES_MAX);
        faults.no_longer(format!("{at} value for key {shown:?}"), value, META_VALUE_BYTES_MAX);
    }
}

struct Faults(Vec<EntryFault>);

impl Faults {
    fn push(&mut self, field: impl Into<String>, fault: Fault) {
        self.0.push(EntryFault { field: field.into(), fault });
    }

    fn no_longer(&mut self, field: impl Into<String>, text: &str, max: usize) {
        if text.len() > max {
            self.push(field, Fault::TooLong { len: text.len(), max });
        }
    }

    fn at_most(&mut self, field: impl Into<String>, len: usize, max: usize) {
        if len > max {
            self.push(field, Fault::TooMany { len, max });
        }
    }
}
