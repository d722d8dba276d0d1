//! Known differences, each with its reason. docs/differences.md and docs/envoy.md state those that users can meet.

use std::fmt;

use super::compare::Difference;
use crate::page::fits;

/// A known difference. In its texts `…` stands for any text.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Known {
    path: &'static str,
    ours: &'static str,
    theirs: &'static str,
    pub(super) reason: &'static str,
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, ours, theirs, reason } = self;
        write!(f, "{path}: {ours} / {theirs} ({reason})")
    }
}

const fn known(path: &'static str, ours: &'static str, theirs: &'static str, reason: &'static str) -> Known {
    Known { path, ours, theirs, reason }
}

/// The table.
const KNOWN: &[Known] = &[
    known("secret[…]", "…", "–", SECRETS),
    known("….routes_by_discovery", "…", "–", ROUTES),
    known("….route_config.validate_clusters", "true", "–", ROUTES),
    known("bootstrap.dynamic_resources…initial_metadata", "–", "[{\"key\":\"x-consul-token\"}]", NO_TOKEN),
    known("….http_filters[envoy.filters.http.rbac].typed_config.rules.…", "–", "…", JUDGED),
    known("….virtual_hosts[public_listener].routes[…].match.…", "…", "…", JUDGED),
    known("….virtual_hosts[public_listener].routes[…].typed_per_filter_config", "…", "–", JUDGED),
    known("….virtual_hosts[public_listener].routes[…]", "…", "–", JUDGED),
    known("….route_config.request_headers_to_remove", "…", "–", STEERING),
    known("….internal_address_config", "{}", "–", STEERING),
    known("….path_with_escaped_slashes_action", "KEEP_UNCHANGED", "–", SAID_ALOUD),
    known("….normalize_path", "false", "–", SAID_ALOUD),
    known("….tls_params.tls_maximum_protocol_version", "TLSv1_3", "–", SAID_ALOUD),
    known("….tls_params.tls_minimum_protocol_version", "TLSv1_2", "–", SAID_ALOUD),
    known("….max_session_keys", "0", "–", RESUMED),
    known("….disable_state…_session_resumption", "true", "–", RESUMED),
    known("listener[…validation_context.match_typed_subject_alt_names", "…", "–", CALLERS),
    known("listener[public_listener:…].transport_socket_connect_timeout", "10s", "–", HANDSHAKES),
    known("….principal_name.safe_regex.regex", "^spiffe://…\\.consul/…", "^spiffe://….consul/…", DOTS),
    known("….http_filters[envoy.filters.http.header_to_metadata]", "–", "…", METADATA),
    known("….providers.…require_expiration", "true", "–", EXPIRING),
    known("….providers.…clock_skew_seconds", "…", "–", AS_SAID),
    known("….providers.…jwt_cache_config", "…", "–", AS_SAID),
    known("….providers.…remote_jwks.http_uri.timeout", "…", "…", AS_SAID),
];

const SECRETS: &str = "certificates come as secrets, so that a new one drains no listener";
const ROUTES: &str =
    "routes come by discovery, also while no entry says anything, so that an entry drains no listener";
const NO_TOKEN: &str = "without a token none is sent";
const JUDGED: &str =
    "requests are judged by rules of routes, which a test compares with the decision function";
const STEERING: &str = "callers cannot steer the proxy by headers";
const SAID_ALOUD: &str = "what Consul leaves to Envoy's defaults is said";
const RESUMED: &str = "no session is resumed";
const CALLERS: &str = "a caller must show the certificate of a service of the trust domain";
const HANDSHAKES: &str = "a handshake has a time limit";
const DOTS: &str = "a dot in a name is a dot in a pattern";
const EXPIRING: &str = "a token without an end is none";
const AS_SAID: &str = "what a jwt-provider says of times and caches is told as it is";
const METADATA: &str = "the identity of the caller is no metadata of requests";

/// The entry that names a difference.
pub(super) fn find(one: &Difference) -> Option<&'static Known> {
    KNOWN.iter().find(|known| {
        fits(known.path, &one.path) && fits(known.ours, &one.sides[0]) && fits(known.theirs, &one.sides[1])
    })
}

/// Entries that named nothing.
pub(super) fn others(met: &[&'static Known]) -> impl Iterator<Item = &'static Known> {
    KNOWN.iter().filter(|known| !met.contains(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_known(path: &str, ours: &str, theirs: &str) -> bool {
        find(&Difference { path: path.to_owned(), sides: [ours.to_owned(), theirs.to_owned()] }).is_some()
    }

    #[test]
    fn what_is_known_is_named_by_path_and_both_values() {
        assert!(is_known("cluster[a].transport_socket.typed_config.max_session_keys", "0", "–"));
        assert!(!is_known("cluster[a].transport_socket.typed_config.max_session_keys", "–", "0"));
        assert!(!is_known("cluster[a].connect_timeout", "5s", "4s"));
        let (path, our) = ("listener[x].a.principal_name.safe_regex.regex", r"^spiffe://a\.consul/x");
        assert!(is_known(path, our, "^spiffe://a.consul/x"));
        assert!(!is_known(path, "^spiffe://b/x", "^spiffe://a.consul/x"));
    }

    #[test]
    fn no_entry_stands_twice() {
        for (at, one) in KNOWN.iter().enumerate() {
            assert!(!KNOWN[..at].contains(one), "{one}");
        }
        assert_eq!(others(&[]).count(), KNOWN.len());
    }
}
