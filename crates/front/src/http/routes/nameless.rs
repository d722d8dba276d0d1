//! Paths that lack the name at their end. Consul answers them before it checks the token.
//!
//! Where Consul answers 500, this answers 400: the client made the mistake, not the server.

use http::StatusCode;

const SERVICE: &str = "Missing service name";
const GATEWAY: &str = "Missing gateway name";
const NODE: &str = "Missing node name";
const SERVICE_ID: &str =
    "Unknown service ID \"\". Ensure that the service ID is passed, not the service name.";
const CHECK_ID: &str = "Unknown check ID \"\". Ensure that the check ID is passed, not the check name.";

/// Patterns of endpoints, each with the status and text for a path without the name.
pub(super) const TABLE: &[(&str, StatusCode, &str)] = &[
    ("/v1/acl/policy/:id", StatusCode::BAD_REQUEST, "Missing policy ID"),
    ("/v1/acl/policy/name/:name", StatusCode::BAD_REQUEST, "Missing policy Name"),
    ("/v1/acl/token/:accessor", StatusCode::BAD_REQUEST, "Missing token AccessorID"),
    ("/v1/agent/check/deregister/:id", StatusCode::NOT_FOUND, CHECK_ID),
    ("/v1/agent/check/fail/:id", StatusCode::NOT_FOUND, CHECK_ID),
    ("/v1/agent/check/pass/:id", StatusCode::NOT_FOUND, CHECK_ID),
    ("/v1/agent/check/update/:id", StatusCode::NOT_FOUND, CHECK_ID),
    ("/v1/agent/check/warn/:id", StatusCode::NOT_FOUND, CHECK_ID),
    (
        "/v1/agent/connect/ca/leaf/:service",
        StatusCode::BAD_REQUEST,
        "URI must be either service, agent, server, or kind",
    ),
    ("/v1/agent/health/service/id/:id", StatusCode::BAD_REQUEST, "Missing serviceID"),
    ("/v1/agent/health/service/name/:name", StatusCode::BAD_REQUEST, "Missing service Name"),
    ("/v1/agent/service/:id", StatusCode::NOT_FOUND, "unknown service ID: "),
    ("/v1/agent/service/deregister/:id", StatusCode::NOT_FOUND, SERVICE_ID),
    ("/v1/agent/service/maintenance/:id", StatusCode::BAD_REQUEST, "Missing service ID"),
    ("/v1/catalog/connect/:name", StatusCode::BAD_REQUEST, SERVICE),
    ("/v1/catalog/gateway-services/:gateway", StatusCode::BAD_REQUEST, GATEWAY),
    ("/v1/catalog/node-services/:node", StatusCode::BAD_REQUEST, NODE),
    ("/v1/catalog/node/:node", StatusCode::BAD_REQUEST, NODE),
    ("/v1/catalog/service/:name", StatusCode::BAD_REQUEST, SERVICE),
    ("/v1/connect/intentions/:id", StatusCode::NOT_FOUND, "Intention not found"),
    ("/v1/discovery-chain/:service", StatusCode::BAD_REQUEST, "Missing chain name"),
    ("/v1/health/checks/:service", StatusCode::BAD_REQUEST, SERVICE),
    ("/v1/health/connect/:service", StatusCode::BAD_REQUEST, SERVICE),
    ("/v1/health/ingress/:service", StatusCode::BAD_REQUEST, SERVICE),
    ("/v1/health/node/:node", StatusCode::BAD_REQUEST, NODE),
    ("/v1/health/service/:service", StatusCode::BAD_REQUEST, SERVICE),
    ("/v1/health/state/:state", StatusCode::BAD_REQUEST, "Missing check state"),
    ("/v1/internal/ui/gateway-intentions/:gateway", StatusCode::BAD_REQUEST, GATEWAY),
    ("/v1/internal/ui/gateway-services-nodes/:gateway", StatusCode::BAD_REQUEST, GATEWAY),
    ("/v1/internal/ui/service-topology/:service", StatusCode::BAD_REQUEST, SERVICE),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_in_order_and_lead_to_endpoints() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let endpoints = crate::http::routes::router().table();
        for (pattern, ..) in TABLE {
            assert!(endpoints.iter().any(|(_, path, _)| path == pattern), "{pattern}");
        }
    }
}
