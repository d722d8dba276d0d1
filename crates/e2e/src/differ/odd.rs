//! Requests with methods which an endpoint does not have, and with paths which lead nowhere.

use super::request::Request;
use crate::chance::Chance;

/// Paths of endpoints, with names filled in.
const PATHS: &[&str] = &[
    "/v1/acl/bootstrap",
    "/v1/acl/policies",
    "/v1/acl/policy",
    "/v1/acl/policy/x",
    "/v1/acl/policy/name/x",
    "/v1/acl/token",
    "/v1/acl/token/x",
    "/v1/acl/token/self",
    "/v1/acl/tokens",
    "/v1/agent/check/deregister/x",
    "/v1/agent/check/pass/x",
    "/v1/agent/check/register",
    "/v1/agent/check/update/x",
    "/v1/agent/checks",
    "/v1/agent/connect/authorize",
    "/v1/agent/connect/ca/leaf/web",
    "/v1/agent/connect/ca/roots",
    "/v1/agent/health/service/id/web",
    "/v1/agent/health/service/name/web",
    "/v1/agent/maintenance",
    "/v1/agent/members",
    "/v1/agent/self",
    "/v1/agent/service/web",
    "/v1/agent/service/register",
    "/v1/agent/services",
    "/v1/agent/version",
    "/v1/catalog/connect/web",
    "/v1/catalog/datacenters",
    "/v1/catalog/deregister",
    "/v1/catalog/node-services/n1",
    "/v1/catalog/node/n1",
    "/v1/catalog/nodes",
    "/v1/catalog/register",
    "/v1/catalog/service/web",
    "/v1/catalog/services",
    "/v1/config",
    "/v1/config/service-intentions",
    "/v1/config/service-intentions/db",
    "/v1/config/service-defaults",
    "/v1/config/service-defaults/db",
    "/v1/config/proxy-defaults/global",
    "/v1/config/mesh/mesh",
    "/v1/connect/ca/configuration",
    "/v1/connect/ca/roots",
    "/v1/connect/intentions",
    "/v1/connect/intentions/x",
    "/v1/connect/intentions/check",
    "/v1/connect/intentions/exact",
    "/v1/connect/intentions/match",
    "/v1/health/checks/web",
    "/v1/health/connect/web",
    "/v1/health/node/n1",
    "/v1/health/service/web",
    "/v1/health/state/any",
    "/v1/internal/acl/authorize",
    "/v1/status/leader",
    "/v1/status/peers",
];

const METHODS: &[&str] = &["GET", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "HEAD"];

const NOWHERE: &[&str] = &[
    "/",
    "/v1",
    "/v1/",
    "/v2/agent/self",
    "/v1/nope",
    "/v1/agent",
    "/v1/agent/nope",
    "/v1/catalog",
    "/v1/acl",
    "/v1/agent/self/x",
    "/v1/catalog/nodes/x",
    "/v1/status/leader/x",
    "/v1/connect",
    "/nope",
    "/v1/health",
    "/v1/agent/services/x",
    "/v1/catalog/register/x",
    "/v1/acl/tokens/x",
    "/v1/connect/intentions/a/b",
    "/v1//agent/self",
    "/v1/agent/./self",
    "/v1/agent/%2e/self",
    "/v1/agent/self?",
    "/v1/agent/self#x",
    "/v1/catalog/service/a/b/c",
    "/v1/health/service/a/b",
    "/v1/health/state/any/x",
    "/v1/config/a/b/c",
    "/v1/agent/connect/ca/leaf/a/b",
    "/v1/catalog/node/a/b",
    "/v1/agent/token/a/b",
    "/v1/acl/policy/a/b",
    "/V1/agent/self",
    "/v1/Agent/self",
    "/v1/agent/self%00",
    "/v1/agent/self%",
];

pub(super) fn any(chance: &mut Chance) -> Request {
    if chance.percent(25) {
        let path = *chance.one(NOWHERE);
        return Request::new("GET", "(a path that leads nowhere)", path).with_odd(path);
    }
    let path = *chance.one(PATHS);
    if chance.percent(20) {
        let (parent, _) = path.rsplit_once('/').expect("a path has a slash");
        return Request::new("GET", "(a path without its end)", format!("{parent}/")).with_odd(parent);
    }
    if chance.percent(15) {
        return Request::new("GET", "(a path with a slash too many)", format!("{path}/")).with_odd(path);
    }
    let method = *chance.one(METHODS);
    let request = Request::new(method, "(any method)", path).with_odd(path);
    // With an empty body, a write changes nothing.
    if method == "PUT" || method == "POST" { request.with_body("") } else { request }
}
