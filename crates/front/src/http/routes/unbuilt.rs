//! What Consul documents and is not built here yet: it answers 501 rather than 404, so that nobody looks
//! for a mistake in a path that is right.

/// Paths, and what they are for. An endpoint that exists goes before these.
pub(super) const TABLE: &[(&str, &str)] = &[
    ("/v1/acl/auth-method", "ACL auth methods"),
    ("/v1/acl/auth-method/*rest", "ACL auth methods"),
    ("/v1/acl/auth-methods", "ACL auth methods"),
    ("/v1/acl/binding-rule", "ACL binding rules"),
    ("/v1/acl/binding-rule/*rest", "ACL binding rules"),
    ("/v1/acl/binding-rules", "ACL binding rules"),
    ("/v1/acl/login", "ACL login"),
    ("/v1/acl/logout", "ACL logout"),
    ("/v1/acl/oidc/*rest", "ACL login by OIDC"),
    ("/v1/acl/replication", "ACL replication"),
    ("/v1/acl/role", "ACL roles"),
    ("/v1/acl/role/*rest", "ACL roles"),
    ("/v1/acl/roles", "ACL roles"),
    ("/v1/acl/templated-policies", "ACL templated policies"),
    ("/v1/acl/templated-policy/*rest", "ACL templated policies"),
    ("/v1/agent/force-leave/:node", "removing failed members"),
    ("/v1/agent/host", "facts about the host"),
    ("/v1/agent/join/:address", "joining a gossip pool"),
    ("/v1/agent/metrics/stream", "a stream of metrics"),
    ("/v1/catalog/gateway-services/:gateway", "gateways"),
    ("/v1/coordinate/*rest", "network coordinates"),
    ("/v1/discovery-chain/:service", "discovery chains"),
    ("/v1/event/*rest", "user events"),
    ("/v1/exported-services", "exported services"),
    ("/v1/health/ingress/:service", "gateways"),
    ("/v1/imported-services", "imported services"),
    ("/v1/internal/*rest", "the web interface's endpoints"),
    ("/v1/kv/*key", "the key-value store"),
    ("/v1/namespace", "namespaces"),
    ("/v1/namespace/*rest", "namespaces"),
    ("/v1/namespaces", "namespaces"),
    ("/v1/operator/*rest", "operator tools"),
    ("/v1/partition", "partitions"),
    ("/v1/partition/*rest", "partitions"),
    ("/v1/partitions", "partitions"),
    ("/v1/peering/*rest", "cluster peering"),
    ("/v1/peerings", "cluster peering"),
    ("/v1/query", "prepared queries"),
    ("/v1/query/*rest", "prepared queries"),
    ("/v1/session/*rest", "sessions"),
    ("/v1/snapshot", "snapshots"),
    ("/v1/txn", "transactions"),
];

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};

    use super::*;
    use crate::http::router::Missing;

    #[test]
    fn paths_stand_in_order_and_once() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn each_answers_that_it_is_not_available_and_says_what() {
        let router = crate::http::routes::router();
        for (pattern, what) in TABLE {
            let path: String = pattern
                .split_inclusive('/')
                .map(|segment| if segment.starts_with([':', '*']) { "x" } else { segment })
                .collect();
            for method in [Method::GET, Method::PUT] {
                let found = router.find(&method, &path).unwrap();
                assert!(matches!(found, Err(Missing::Path)), "{path} leads to an endpoint");
            }
            let refused = router.missing(&path, &path);
            let said = (refused.status, refused.text);
            assert_eq!(said, (StatusCode::NOT_IMPLEMENTED, format!("not available yet: {what}")), "{path}");
        }
    }
}
