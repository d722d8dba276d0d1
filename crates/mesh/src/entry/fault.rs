//! Errors of an entry: each with its field and the remedy.
//!
//! Fields have their names in the API. The texts begin like Consul's, because tools compare them.

mod routing;

use std::collections::{BTreeMap, BTreeSet};

use concord_model::entry::{EntryName, Naming};
use concord_model::proxy::{Expose, ExposedPath};

use super::gateway_fault::GatewayFault;
use super::limits::{
    EXPOSED_PATHS_MAX, META_KEY_BYTES_MAX, META_PAIRS_MAX, META_VALUE_BYTES_MAX, TEXT_BYTES_MAX,
};

pub use self::routing::{Given, RoutingFault};

/// One error of an entry.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{field} {fault}")]
pub struct EntryFault {
    /// The field, as named in the API: `Sources[0].Permissions[1].HTTP.PathExact`.
    pub field: String,
    /// The error, with the remedy.
    pub fault: Fault,
}

/// An error, with the remedy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// A required value is missing.
    #[error("is required")]
    Required,
    /// Only one of two fields may be set.
    #[error("are mutually exclusive; leave one of them out")]
    Exclusive,
    /// The field has no meaning here and must be empty.
    #[error("must be empty here")]
    MustBeEmpty,
    /// A namespace or partition that does not exist.
    #[error("names another namespace or partition; only \"default\" is there")]
    OtherTenancy,
    /// More than 100 % or less than 0 %.
    #[error("must be a percentage between 0 and 100")]
    NotAPercentage,
    /// A negative duration.
    #[error("cannot be negative")]
    Negative,
    /// Neither an address nor a host name.
    #[error("is not valid: it is neither an IP address nor the name of a host; wildcards are not allowed")]
    NoHost,
    /// An unknown protocol.
    #[error("is {protocol}, which is no protocol; use tcp, http, http2 or grpc")]
    NoProtocol {
        /// The value as given.
        protocol: String,
    },
    /// The maximum version is older than the minimum version.
    #[error("{max} is below the minimum version {min}")]
    MaxBelowMin {
        /// The maximum.
        max: &'static str,
        /// The minimum.
        min: &'static str,
    },
    /// Cipher suites for a TLS version that does not allow to choose them.
    #[error("are only for TLS 1.2 and before; leave them out, or lower the minimum version")]
    SuitesOfNewTls,
    /// A cipher suite that proxies do not support.
    #[error(
        "{suite:?} is no cipher suite that proxies know; use IANA names, as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
    )]
    UnknownSuite {
        /// The suite as given.
        suite: String,
    },
    /// A setting that applies only to files, without a file.
    #[error("is only for access logs of type file")]
    OnlyForFiles,
    /// A text that is not JSON.
    #[error("is not JSON")]
    NoJson,
    /// Not a port number.
    #[error("is not a port; use 1 to 65535")]
    NoPort,
    /// A port that is used twice.
    #[error("is the port of another path, too; give each path a port of its own")]
    PortTaken,
    /// A protocol that exposed paths cannot have.
    #[error("is {protocol:?}; use http or http2")]
    NoPathProtocol {
        /// The protocol as given.
        protocol: String,
    },
    /// A wildcard where one service has to be named.
    #[error("must be the name of a service, and not a wildcard")]
    Wildcard,
    /// Not exactly one of several fields.
    #[error("must specify exactly one of {fields}; {given} of them are given")]
    NotOneOf {
        /// The fields.
        fields: String,
        /// How many are given.
        given: usize,
    },
    /// A text that is not base64.
    #[error("must be valid base64 encoded string, with the standard alphabet and padding")]
    NoBase64,
    /// A text that is not the URL of a server.
    #[error("is invalid; use an absolute URL that begins with https:// or http://")]
    NoUrl,
    /// The longest pause is shorter than the first one.
    #[error("should be greater or equal to BaseInterval; raise it, or leave it out")]
    MaxPauseBelowBase,
    /// A wildcard as the name of an entry that is not about services.
    #[error("must be the name of one entry, and not a wildcard")]
    WildcardName,
    /// Another name than the only one that this kind allows.
    #[error("{name:?} is invalid; only {only:?} is supported")]
    OtherName {
        /// The name as given.
        name: String,
        /// The allowed name.
        only: &'static str,
    },
    /// An empty list that must not be empty.
    #[error("must hold at least one {what}; add one, or remove the {owner}")]
    NoneOf {
        /// What the list contains.
        what: &'static str,
        /// What to remove if the list should be empty.
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
    /// Too many different regular expressions in one entry.
    #[error("exceeds maximum count {max} of different regular expressions; the entry has {len}")]
    TooManyPatterns {
        /// How many there are.
        len: usize,
        /// How many are allowed.
        max: usize,
    },
    /// An exact name in a wildcard namespace.
    #[error(
        "exact value cannot follow wildcard namespace; name the namespace, or use \"*\" for the name too"
    )]
    ExactAfterWildcard,
    /// A source that occurs twice.
    #[error("defines {source_text:?} more than once; keep one of them")]
    Repeated {
        /// The source.
        source_text: String,
    },
    /// A source with both a peer and a partition of our own.
    #[error("cannot set Peer and Partition at the same time; a peer's partition is not ours to name")]
    PeerWithPartition,
    /// Neither an action nor permissions.
    #[error("must be set to 'allow' or 'deny', or Permissions must hold at least one")]
    NoDecision,
    /// Permissions for a wildcard destination.
    #[error(
        "cannot be specified on intentions with wildcarded destinations; name one destination, or use Action"
    )]
    PermissionsOnWildcard,
    /// A permission with neither a condition nor a token.
    #[error("is required; state HTTP conditions or a JWT requirement")]
    NoCondition,
    /// Empty HTTP conditions.
    #[error("should not be empty; state a path, a header or a method, or leave HTTP out and use JWT")]
    EmptyCondition,
    /// Not a path.
    #[error("doesn't start with '/': {path:?}; paths of requests do")]
    NotAPath {
        /// The path as given.
        path: String,
    },
    /// A header condition without exactly one comparison.
    #[error(
        "should only contain one of Present, Exact, Prefix, Suffix, Contains, or Regex, and that not empty"
    )]
    NoValue,
    /// Ignoring case without a comparison of text.
    #[error("should set one of Exact, Prefix, Suffix, or Contains when using IgnoreCase")]
    IgnoreCase,
    /// An unknown HTTP method.
    #[error("contains an invalid method {method:?}; methods are written in capitals")]
    UnknownMethod {
        /// The method as given.
        method: String,
    },
    /// A method that occurs twice.
    #[error("contains {method:?} more than once; keep one of them")]
    RepeatedMethod {
        /// The method.
        method: String,
    },
    /// An error of a router, splitter or resolver.
    #[error(transparent)]
    Routing(#[from] RoutingFault),
    /// An error of an entry about gateways, routes or exports.
    #[error(transparent)]
    Gateway(#[from] GatewayFault),
    /// The older API with ids supports neither peers nor permissions.
    #[error("cannot be set by legacy intentions; write the service-intentions entry without ids")]
    NotInLegacy,
}

/// Collects the errors of one entry.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<EntryFault>);

impl Faults {
    pub(crate) fn push(&mut self, field: impl Into<String>, fault: impl Into<Fault>) {
        self.0.push(EntryFault { field: field.into(), fault: fault.into() });
    }

    /// Whether none was found so far.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn no_longer(&mut self, field: impl Into<String>, text: &str, max: usize) {
        if text.len() > max {
            self.push(field, Fault::TooLong { len: text.len(), max });
        }
    }

    /// Checks a required text.
    pub(super) fn text(&mut self, field: impl Into<String>, text: &str, max: usize) {
        if text.is_empty() {
            self.push(field, Fault::Required);
        } else {
            self.no_longer(field, text, max);
        }
    }

    /// Checks that exactly one of several fields of `at` is given.
    pub(super) fn one_of(&mut self, at: impl Into<String>, fields: &[(&str, bool)]) {
        let given = fields.iter().filter(|(_, given)| *given).count();
        if given != 1 {
            let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
            self.push(at, Fault::NotOneOf { fields: names.join(", "), given });
        }
    }

    /// Checks that a text is base64, as Go's decoder understands it: line ends are ignored.
    pub(super) fn base64(&mut self, field: impl Into<String>, text: &str) {
        let plain: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
        let digits = plain.strip_suffix(b"==").or_else(|| plain.strip_suffix(b"=")).unwrap_or(&plain);
        let known = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
        if !plain.len().is_multiple_of(4) || !digits.iter().all(known) {
            self.push(field, Fault::NoBase64);
        }
    }

    pub(crate) fn at_most(&mut self, field: impl Into<String>, len: usize, max: usize) {
        if len > max {
            self.push(field, Fault::TooMany { len, max });
        }
    }

    /// Checks the entry's name.
    pub(super) fn name(&mut self, name: &EntryName) {
        match name.kind.naming() {
            Naming::ServiceOrAny => {}
            Naming::Service if name.scope.name.is_any() => self.push("Name", Fault::Wildcard),
            Naming::Free if name.scope.name.is_any() => self.push("Name", Fault::WildcardName),
            Naming::Service | Naming::Free => {}
            Naming::Only(only) if name.as_str() != only => {
                self.push("Name", Fault::OtherName { name: name.as_str().to_owned(), only });
            }
            Naming::Only(_) => {}
        }
    }

    /// Checks the ports and paths that proxies expose without the mesh's TLS.
    pub(super) fn expose(&mut self, expose: &Expose) {
        let Expose { checks: _, paths } = expose;
        self.at_most("Expose.Paths", paths.len(), EXPOSED_PATHS_MAX);
        let mut ports = BTreeSet::new();
        for (i, path) in paths.iter().enumerate().take(EXPOSED_PATHS_MAX) {
            let at = format!("Expose.Paths[{i}]");
            let ExposedPath { listener_port, path, local_path_port: _, protocol, parsed_from_check: _ } =
                path;
            if path.is_empty() {
                self.push(format!("{at}.Path"), Fault::Required);
            }
            self.no_longer(format!("{at}.Path"), path, TEXT_BYTES_MAX);
            if *listener_port == 0 {
                self.push(format!("{at}.ListenerPort"), Fault::NoPort);
            } else if !ports.insert(*listener_port) {
                self.push(format!("{at}.ListenerPort"), Fault::PortTaken);
            }
            if !matches!(protocol.as_str(), "" | "http" | "http2") {
                let protocol = protocol.chars().take(32).collect();
                self.push(format!("{at}.Protocol"), Fault::NoPathProtocol { protocol });
            }
        }
    }

    /// Checks the number and length of metadata pairs.
    pub(crate) fn meta(&mut self, at: &str, meta: &BTreeMap<String, String>) {
        self.at_most(at, meta.len(), META_PAIRS_MAX);
        for (key, value) in meta.iter().take(META_PAIRS_MAX) {
            let shown: String = key.chars().take(META_KEY_BYTES_MAX).collect();
            if key.is_empty() {
                self.push(format!("{at} key {shown:?}"), Fault::Required);
            }
            self.no_longer(format!("{at} key {shown:?}"), key, META_KEY_BYTES_MAX);
            self.no_longer(format!("{at} value for key {shown:?}"), value, META_VALUE_BYTES_MAX);
        }
    }

    /// Returns the collected errors, if there are any.
    pub(crate) fn none_or(self) -> Result<(), Vec<EntryFault>> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }
}
