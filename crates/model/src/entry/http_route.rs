//! `http-route`: which requests at an API gateway reach which services.

use serde::{Deserialize, Deserializer, Serialize};

use super::headers::HeaderModifiers;
use super::status::{Reference, Status};
use crate::is_default;
use crate::name::serde_text::{some_text, text_or_default};
use crate::name::{Namespace, Partition, ServiceName};
use crate::proxy::Settings;
use crate::time::Span;
use crate::words::words;

words! {
    /// How a path is compared.
    PathComparison, "a way to compare paths" {
        /// Not set: all paths match.
        Unset = "",
        /// The whole path is equal.
        Exact = "exact",
        /// The path starts with the value.
        Prefix = "prefix",
        /// A regular expression matches the whole path.
        Regex = "regex",
    }
}

words! {
    /// How a header is compared.
    HeaderComparison, "a way to compare headers" {
        /// Not set.
        Unset = "",
        /// The whole value is equal.
        Exact = "exact",
        /// The value starts with this one.
        Prefix = "prefix",
        /// The header exists.
        Present = "present",
        /// A regular expression matches the whole value.
        Regex = "regex",
        /// The value ends with this one.
        Suffix = "suffix",
    }
}

words! {
    /// How a query parameter is compared.
    QueryComparison, "a way to compare query parameters" {
        /// Not set.
        Unset = "",
        /// The whole value is equal.
        Exact = "exact",
        /// The parameter exists.
        Present = "present",
        /// A regular expression matches the whole value.
        Regex = "regex",
    }
}

/// The kind of the gateways that use routes.
const GATEWAYS: &str = "api-gateway";

/// A route for requests.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct HttpRoute {
    /// The gateways that use it.
    #[serde(deserialize_with = "to_gateways")]
    pub parents: Vec<Reference>,
    /// Its rules. The first one that matches a request applies.
    pub rules: Vec<HttpRouteRule>,
    /// The names of hosts for which it is. Empty: those of the listener.
    pub hostnames: Vec<String>,
    /// What the servers say of it.
    pub status: Status,
}

/// References to gateways; those that name no kind are to API gateways.
pub(super) fn to_gateways<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Reference>, D::Error> {
    Reference::read(deserializer, GATEWAYS)
}

/// A rule of a route.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct HttpRouteRule {
    /// What is done with requests.
    pub filters: HttpFilters,
    /// What is done with responses.
    pub response_filters: HttpResponseFilters,
    /// Which requests it is for. Empty: all.
    pub matches: Vec<HttpMatch>,
    /// Where the requests go.
    pub services: Vec<HttpRouteService>,
}

/// Which requests a rule is for: all conditions must hold.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct HttpMatch {
    /// Conditions on headers.
    pub headers: Vec<HttpHeaderMatch>,
    /// The method, in capitals. Empty: all.
    #[serde(deserialize_with = "in_capitals")]
    pub method: String,
    /// The condition on the path.
    #[serde(deserialize_with = "some_path")]
    pub path: HttpPathMatch,
    /// Conditions on query parameters.
    pub query: Vec<HttpQueryMatch>,
}

impl Default for HttpMatch {
    /// All requests.
    fn default() -> Self {
        let (headers, method, query) = (Vec::new(), String::new(), Vec::new());
        Self { headers, method, path: HttpPathMatch::every(), query }
    }
}

fn in_capitals<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(String::deserialize(deserializer)?.to_ascii_uppercase())
}

/// Without a comparison every path matches, whatever the value.
fn some_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HttpPathMatch, D::Error> {
    let own = HttpPathMatch::deserialize(deserializer)?;
    Ok(if own.r#match == PathComparison::Unset { HttpPathMatch::every() } else { own })
}

/// The condition on a path.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct HttpPathMatch {
    /// How the path is compared. No match has none.
    pub r#match: PathComparison,
    /// With what.
    pub value: String,
}

impl HttpPathMatch {
    /// All paths.
    pub fn every() -> Self {
        Self { r#match: PathComparison::Prefix, value: "/".to_owned() }
    }
}

/// A condition on a header.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct HttpHeaderMatch {
    /// How the header is compared.
    pub r#match: HeaderComparison,
    /// The header.
    pub name: String,
    /// With what it is compared.
    pub value: String,
}

/// A condition on a query parameter.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct HttpQueryMatch {
    /// How the parameter is compared.
    pub r#match: QueryComparison,
    /// The parameter.
    pub name: String,
    /// With what it is compared.
    pub value: String,
}

/// What is done with requests.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct HttpFilters {
    /// Changes of headers.
    pub headers: Vec<HeaderModifiers>,
    /// Replaces the path that was matched.
    pub url_rewrite: Option<UrlRewrite>,
    /// When a request is tried again.
    pub retry_filter: Option<RetryFilter>,
    /// How long a request may take.
    pub timeout_filter: Option<TimeoutFilter>,
    /// Requirements on tokens: a feature of Consul Enterprise, so no entry has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt: Option<Settings>,
    /// Processors outside of the proxy: a feature of later versions of Consul, so no entry has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ext_proc: Option<Vec<Settings>>,
    /// A judge outside of the proxy: a feature of later versions of Consul, so no entry has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ext_authz: Option<Settings>,
}

/// What is done with responses.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct HttpResponseFilters {
    /// Changes of headers.
    pub headers: Vec<HeaderModifiers>,
}

/// Replaces the path that was matched.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct UrlRewrite {
    /// The new path, or prefix of it.
    pub path: String,
}

/// When a request is tried again.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct RetryFilter {
    /// How often.
    pub num_retries: u32,
    /// After which failures.
    pub retry_on: Vec<String>,
    /// After which statuses.
    pub retry_on_status_codes: Vec<u32>,
    /// Whether it is tried again if there is no connection.
    pub retry_on_connect_failure: bool,
}

/// How long a request may take.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct TimeoutFilter {
    /// The whole request. 0 means the proxy's default.
    pub request_timeout: Span,
    /// Without any byte. 0 means the proxy's default.
    pub idle_timeout: Span,
}

/// A service to which requests go.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct HttpRouteService {
    /// The service. Required.
    #[serde(deserialize_with = "some_text")]
    pub name: Option<ServiceName>,
    /// Its share among the services of the rule. At least 1.
    #[serde(deserialize_with = "at_least_one")]
    pub weight: u32,
    /// What is done with requests for it.
    pub filters: HttpFilters,
    /// What is done with its responses.
    pub response_filters: HttpResponseFilters,
    /// The service's partition.
    #[serde(deserialize_with = "text_or_default", skip_serializing_if = "is_default")]
    pub partition: Partition,
    /// The service's namespace.
    #[serde(deserialize_with = "text_or_default", skip_serializing_if = "is_default")]
    pub namespace: Namespace,
}

impl Default for HttpRouteService {
    fn default() -> Self {
        Self {
            name: None,
            weight: 1,
            filters: HttpFilters::default(),
            response_filters: HttpResponseFilters::default(),
            partition: Partition::default(),
            namespace: Namespace::default(),
        }
    }
}

fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let weight = i64::deserialize(deserializer)?;
    u32::try_from(weight.max(1)).map_err(|_| serde::de::Error::custom("a weight is at most 4294967295"))
}
