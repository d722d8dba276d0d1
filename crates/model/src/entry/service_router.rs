//! `service-router`: where requests for a service go, by path, header, query and method.

use serde::{Deserialize, Serialize};

use super::headers::HeaderModifiers;
use crate::is_default;
use crate::name::serde_text::some_text;
use crate::name::{Namespace, Partition, ServiceName};
use crate::time::Timeout;
use crate::words::words;

words! {
    /// The method of a request.
    Method, "a method of requests" {
        /// Not set.
        Unset = "",
        /// CONNECT.
        Connect = "CONNECT",
        /// DELETE.
        Delete = "DELETE",
        /// GET.
        Get = "GET",
        /// HEAD.
        Head = "HEAD",
        /// OPTIONS.
        Options = "OPTIONS",
        /// PATCH.
        Patch = "PATCH",
        /// POST.
        Post = "POST",
        /// PUT.
        Put = "PUT",
        /// TRACE.
        Trace = "TRACE",
    }
}

words! {
    /// When a request is tried again.
    RetryCondition, "a condition for a retry" {
        /// Not set.
        Unset = "",
        /// A status of 500 or more, or none.
        AnyServerError = "5xx",
        /// 502, 503 or 504.
        GatewayError = "gateway-error",
        /// The connection broke before a response.
        Reset = "reset",
        /// There was no connection.
        ConnectFailure = "connect-failure",
        /// Envoy's limit on the rate was reached.
        RateLimited = "envoy-ratelimited",
        /// 409.
        RetriableClientError = "retriable-4xx",
        /// The stream was refused.
        RefusedStream = "refused-stream",
        /// The gRPC status CANCELLED.
        Cancelled = "cancelled",
        /// The gRPC status DEADLINE_EXCEEDED.
        DeadlineExceeded = "deadline-exceeded",
        /// The gRPC status INTERNAL.
        Internal = "internal",
        /// The gRPC status RESOURCE_EXHAUSTED.
        ResourceExhausted = "resource-exhausted",
        /// The gRPC status UNAVAILABLE.
        Unavailable = "unavailable",
    }
}

/// Where requests for a service go.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct ServiceRouter {
    /// The routes. The first one that matches applies; a request that no route matches goes to the service itself.
    pub routes: Vec<Route>,
}

/// One route.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Route {
    /// Which requests it is for. Without it, for all.
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    pub matching: Option<RouteMatch>,
    /// Where they go. Without it, to the service itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<RouteDestination>,
}

/// Which requests a route is for.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct RouteMatch {
    /// Conditions on requests; all must hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpRouteMatch>,
}

/// Conditions on requests; all must hold.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct HttpRouteMatch {
    /// The whole path.
    #[serde(skip_serializing_if = "is_default")]
    pub path_exact: String,
    /// The beginning of the path.
    #[serde(skip_serializing_if = "is_default")]
    pub path_prefix: String,
    /// A regular expression for the whole path.
    #[serde(skip_serializing_if = "is_default")]
    pub path_regex: String,
    /// Whether the case of the path has no meaning.
    #[serde(skip_serializing_if = "is_default")]
    pub case_insensitive: bool,
    /// Conditions on headers.
    #[serde(skip_serializing_if = "is_default")]
    pub header: Vec<RouteHeader>,
    /// Conditions on parameters of the query.
    #[serde(skip_serializing_if = "is_default")]
    pub query_param: Vec<RouteQueryParam>,
    /// The methods; empty for all.
    #[serde(skip_serializing_if = "is_default")]
    pub methods: Vec<Method>,
}

/// A condition on a header. Exactly one of `present`, `exact`, `prefix`, `suffix` and `regex` is set.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct RouteHeader {
    /// The header's name.
    pub name: String,
    /// Whether it must be there.
    #[serde(skip_serializing_if = "is_default")]
    pub present: bool,
    /// The whole value.
    #[serde(skip_serializing_if = "is_default")]
    pub exact: String,
    /// The beginning of the value.
    #[serde(skip_serializing_if = "is_default")]
    pub prefix: String,
    /// The end of the value.
    #[serde(skip_serializing_if = "is_default")]
    pub suffix: String,
    /// A regular expression for the whole value.
    #[serde(skip_serializing_if = "is_default")]
    pub regex: String,
    /// Whether the condition holds if the comparison does not.
    #[serde(skip_serializing_if = "is_default")]
    pub invert: bool,
}

/// A condition on a parameter of the query. Exactly one of `present`, `exact` and `regex` is set.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct RouteQueryParam {
    /// The parameter's name.
    pub name: String,
    /// Whether it must be there.
    #[serde(skip_serializing_if = "is_default")]
    pub present: bool,
    /// The whole value.
    #[serde(skip_serializing_if = "is_default")]
    pub exact: String,
    /// A regular expression for the whole value.
    #[serde(skip_serializing_if = "is_default")]
    pub regex: String,
}

/// Where the requests of a route go, and how.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct RouteDestination {
    /// The time for a request, with all its retries. 0 means the proxy's default.
    #[serde(skip_serializing_if = "is_default")]
    pub request_timeout: Timeout,
    /// The time that a request may be idle. 0 means the proxy's default.
    #[serde(skip_serializing_if = "is_default")]
    pub idle_timeout: Timeout,
    /// The service. Without it, the one with the router.
    #[serde(deserialize_with = "some_text", skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// The subset of the service. Then the service's splitter does not apply.
    #[serde(skip_serializing_if = "is_default")]
    pub service_subset: String,
    /// The service's namespace.
    #[serde(deserialize_with = "some_text", skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
    /// The service's partition.
    #[serde(deserialize_with = "some_text", skip_serializing_if = "Option::is_none")]
    pub partition: Option<Partition>,
    /// Replaces the path, or its prefix, that the route matched.
    #[serde(skip_serializing_if = "is_default")]
    pub prefix_rewrite: String,
    /// How often a request is tried again.
    #[serde(skip_serializing_if = "is_default")]
    pub num_retries: u32,
    /// Whether it is tried again if there is no connection.
    #[serde(skip_serializing_if = "is_default")]
    pub retry_on_connect_failure: bool,
    /// When it is tried again.
    #[serde(skip_serializing_if = "is_default")]
    pub retry_on: Vec<RetryCondition>,
    /// The statuses after which it is tried again.
    #[serde(skip_serializing_if = "is_default")]
    pub retry_on_status_codes: Vec<u32>,
    /// Changes of the request's headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_headers: Option<HeaderModifiers>,
    /// Changes of the response's headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_headers: Option<HeaderModifiers>,
}
