//! Endpoints that Consul documents and that are not built here yet. They answer 501 instead of 404, so that users do
//! not search for a mistake in a correct path.

/// Paths, each with a description. A real endpoint wins over an entry of this table.
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
    ("/v1/coordinate/*rest", "network coordinates"),
    ("/v1/event/*rest", "user events"),
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

    /// The paths of Consul 1.21 below `/v1/`. A path that ends in a slash is followed by a name.
    const CONSUL: &str = "\
        acl/auth-method acl/auth-method/ acl/auth-methods acl/binding-rule acl/binding-rule/ \
        acl/binding-rules acl/bootstrap acl/login acl/logout acl/policies acl/policy acl/policy/ \
        acl/policy/name/ acl/replication acl/role acl/role/ acl/role/name/ acl/roles acl/templated-policies \
        acl/templated-policy/name/ acl/templated-policy/preview/ acl/token acl/token/ acl/token/self \
        acl/tokens agent/check/deregister/ agent/check/fail/ agent/check/pass/ agent/check/register \
        agent/check/update/ agent/check/warn/ agent/checks agent/connect/authorize agent/connect/ca/leaf/ \
        agent/connect/ca/roots agent/force-leave/ agent/health/service/id/ agent/health/service/name/ \
        agent/host agent/join/ agent/leave agent/maintenance agent/members agent/metrics \
        agent/metrics/stream agent/monitor agent/reload agent/self agent/service/ agent/service/deregister/ \
        agent/service/maintenance/ agent/service/register agent/services agent/token/ agent/version \
        catalog/connect/ catalog/datacenters catalog/deregister catalog/gateway-services/ \
        catalog/node-services/ catalog/node/ catalog/nodes catalog/register catalog/service/ \
        catalog/services config config/ connect/ca/configuration connect/ca/roots connect/intentions \
        connect/intentions/ connect/intentions/check connect/intentions/exact connect/intentions/match \
        coordinate/datacenters coordinate/node/ coordinate/nodes coordinate/update discovery-chain/ \
        event/fire/ event/list exported-services health/checks/ health/connect/ health/ingress/ health/node/ \
        health/service/ health/state/ internal/acl/authorize internal/federation-state/ \
        internal/federation-states internal/federation-states/mesh-gateways internal/service-virtual-ip \
        internal/ui/catalog-overview internal/ui/exported-services internal/ui/gateway-intentions/ \
        internal/ui/gateway-services-nodes/ internal/ui/metrics-proxy/ internal/ui/node/ internal/ui/nodes \
        internal/ui/service-topology/ internal/ui/services kv/ operator/autopilot/configuration \
        operator/autopilot/health operator/autopilot/state operator/keyring operator/raft/configuration \
        operator/raft/peer operator/raft/transfer-leader operator/usage peering/ peering/establish \
        peering/token peerings query query/ session/create session/destroy/ session/info/ session/list \
        session/node/ session/renew/ snapshot status/leader status/peers txn";

    #[test]
    fn every_path_of_consul_is_built_or_said_not_to_be() {
        let router = crate::http::routes::router();
        for path in CONSUL.split_whitespace() {
            let name = if path.ends_with('/') { "x" } else { "" };
            let path = format!("/v1/{path}{name}");
            let found = router.find(&Method::GET, &path).unwrap();
            let built = !matches!(found, Err(Missing::Path));
            let unbuilt = router.missing(&path, &path).status == StatusCode::NOT_IMPLEMENTED;
            assert!(built || unbuilt, "{path} is neither built nor said not to be");
        }
        assert_eq!(router.missing("/v1/kvs/x", "/v1/kvs/x").status, StatusCode::NOT_FOUND);
    }

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
