//! The request as an endpoint gets it: parsed and limited in size.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use concord_model::token::ANONYMOUS_SECRET;
use concord_model::{Datacenter, Secret};
use concord_rpc::{Consistency, Head};
use concord_syntax::duration;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, Method};

use super::error::HttpError;
use super::limits;

/// One request.
#[derive(Debug)]
pub struct Call {
    /// Method.
    pub method: Method,
    /// Path, decoded.
    pub path: String,
    /// Path segments that the route's pattern captured, in order.
    pub captures: Vec<String>,
    /// Query parameters, decoded, in order.
    pub query: Vec<(String, String)>,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, whole.
    pub body: Bytes,
    /// Where the request came from; `None` for a unix socket.
    pub client: Option<IpAddr>,
}

impl Call {
    /// The first value of a query parameter. A parameter without a value gives the empty text.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All values of a query parameter.
    pub fn parameters<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a flag like `?stale` or `?passing=true` is set.
    pub fn flag(&self, name: &str) -> Result<bool, HttpError> {
        match self.parameter(name) {
            None => Ok(false),
            Some("") => Ok(true),
            Some(text) => go_bool(text).ok_or_else(|| {
                let text = format!("Invalid value for ?{name}: {text:?}; use true, false or no value");
                HttpError::bad_request(text)
            }),
        }
    }

    /// A query parameter that must be present.
    pub fn required(&self, name: &str) -> Result<&str, HttpError> {
        self.parameter(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| HttpError::bad_request(format!("required query parameter '{name}' not set")))
    }

    /// The path segment captured at this position.
    pub fn capture(&self, at: usize) -> &str {
        self.captures.get(at).map_or("", String::as_str)
    }

    /// The same, parsed as a name: `call.named(0, ServiceName::parse)`.
    pub fn named<T, E: Display>(
        &self,
        at: usize,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<T, HttpError> {
        parse(self.capture(at)).map_err(|error| HttpError::bad_request(error.to_string()))
    }

    /// The token the caller sent: `?token=`, `X-Consul-Token`, `Authorization: Bearer`, in this order.
    ///
    /// This is only the caller's token. The agent's default token is applied later, where the token is used.
    pub fn token(&self) -> Option<Secret> {
        token(&self.query, &self.headers).map(|found| Secret::new(found.to_owned()))
    }

    /// Datacenter, token, consistency and blocking parameters.
    pub fn head(&self) -> Result<Head, HttpError> {
        let datacenter =
            self.parameter("datacenter").or_else(|| self.parameter("dc")).filter(|dc| !dc.is_empty());
        let datacenter = datacenter
            .map(Datacenter::parse)
            .transpose()
            .map_err(|error| HttpError::bad_request(error.to_string()))?;
        self.must_revalidate()?;
        Ok(Head {
            datacenter,
            token: self.token(),
            consistency: self.consistency()?,
            min_index: self.index()?,
            wait: self.wait()?,
        })
    }

    fn consistency(&self) -> Result<Consistency, HttpError> {
        // `?stale` wins over `?leader`.
        let stale = self.parameter("stale").is_some() || self.max_stale()?.is_some();
        let consistent = self.parameter("consistent").is_some();
        match (stale, consistent) {
            (true, true) => {
                Err(HttpError::bad_request("Cannot specify ?stale with ?consistent, conflicting semantics."))
            }
            (_, true) if self.parameter("cached").is_some() => {
                Err(HttpError::bad_request("Cannot specify ?cached with ?consistent, conflicting semantics."))
            }
            (true, false) => Ok(Consistency::Stale),
            (false, true) => Ok(Consistency::Consistent),
            (false, false) => Ok(Consistency::Default),
        }
    }

    /// `?index=`; 0 if absent.
    pub fn index(&self) -> Result<u64, HttpError> {
        match self.parameter("index") {
            None | Some("") => Ok(0),
            Some(text) => text.parse().map_err(|_| HttpError::bad_request("Invalid index")),
        }
    }

    /// `?wait=`, a Go duration. Zero and negative values count as absent, as in Consul.
    pub fn wait(&self) -> Result<Option<Duration>, HttpError> {
        match self.parameter("wait") {
            None | Some("") => Ok(None),
            Some(text) => duration::parse_signed(text)
                .map(positive)
                .map_err(|_| HttpError::bad_request("Invalid wait time")),
        }
    }

    /// `?max_stale=`: the greatest age of an answer that any server may give. Zero and negative values count as
    /// absent.
    pub fn max_stale(&self) -> Result<Option<Duration>, HttpError> {
        match self.parameter("max_stale") {
            None | Some("") => Ok(None),
            Some(text) => duration::parse_signed(text)
                .map(positive)
                .map_err(|_| HttpError::bad_request(format!("Invalid max_stale value {text:?}"))),
        }
    }

    /// Whether `Cache-Control` demands an answer from the servers. The other directives of that header need no
    /// action: the cache follows the servers, so its content is current while the servers answer.
    pub fn must_revalidate(&self) -> Result<bool, HttpError> {
        let invalid = || HttpError::bad_request("Invalid Cache-Control header.");
        let Some(header) = self.headers.get(CACHE_CONTROL) else { return Ok(false) };
        let header = header.to_str().map_err(|_| invalid())?.to_ascii_lowercase();
        let mut found = false;
        for word in header.split(',').map(str::trim) {
            if word == "must-revalidate" {
                found = true;
            } else if let Some(seconds) = word.strip_prefix("max-age=") {
                found |= seconds.parse::<u32>().map_err(|_| invalid())? == 0;
            } else if let Some(seconds) = word.strip_prefix("stale-if-error=") {
                seconds.parse::<u32>().map_err(|_| invalid())?;
            }
        }
        Ok(found)
    }

    /// `?node-meta=key:value`, repeatable. An empty value gives an empty key, which no node has, as in Consul.
    pub fn node_meta(&self) -> BTreeMap<String, String> {
        let pair = |text: &str| {
            let (key, value) = text.split_once(':').unwrap_or((text, ""));
            (key.to_owned(), value.to_owned())
        };
        self.parameters("node-meta").map(pair).collect()
    }

    /// Refuses other namespaces and partitions than `default`, in parameters and headers.
    pub fn require_default_tenancy(&self) -> Result<(), HttpError> {
        const TENANCY: [(&str, &str, &str); 2] =
            [("ns", "X-Consul-Namespace", "Namespaces"), ("partition", "X-Consul-Partition", "Partitions")];
        let other = |value: &str| !value.is_empty() && value != concord_model::name::DEFAULT;
        for (parameter, header, feature) in TENANCY {
            if self.parameters(parameter).any(other) {
                return Err(HttpError::bad_request(format!(
                    "Invalid query parameter: \"{parameter}\" - {feature} are a Consul Enterprise feature"
                )));
            }
            if self.headers.get_all(header).iter().any(|value| other(value.to_str().unwrap_or("?"))) {
                return Err(HttpError::bad_request(format!(
                    "Invalid header: \"{header}\" - {feature} are a Consul Enterprise feature"
                )));
            }
        }
        Ok(())
    }

    /// Whether the JSON answer is to be indented.
    pub fn pretty(&self) -> bool {
        self.parameter("pretty").is_some()
    }
}

/// The token in a query or in headers, if any.
pub(super) fn token<'r>(query: &'r [(String, String)], headers: &'r HeaderMap) -> Option<&'r str> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = || {
        let (scheme, token) = header("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    };
    let parameter = query.iter().find(|(key, _)| key == "token").map(|(_, value)| value.as_str());
    let found = parameter.filter(|t| !t.is_empty());
    let found = found.or_else(|| header("x-consul-token").filter(|t| !t.is_empty())).or_else(bearer)?;
    Some(found).filter(|found| !found.is_empty())
}

/// The token that identifies the caller. The anonymous token does not count, because everybody knows it.
pub(super) fn own_token<'r>(query: &'r [(String, String)], headers: &'r HeaderMap) -> Option<&'r str> {
    token(query, headers).filter(|token| *token != ANONYMOUS_SECRET)
}

/// Nanoseconds as a duration; `None` unless positive.
fn positive(nanos: i64) -> Option<Duration> {
    u64::try_from(nanos).ok().filter(|nanos| *nanos > 0).map(Duration::from_nanos)
}

/// Parses a query string as browsers and Go do. Refuses broken escapes.
pub fn parse_query(query: &str) -> Result<Vec<(String, String)>, HttpError> {
    let mut parameters = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        if parameters.len() == limits::QUERY_PARAMETERS {
            let text = format!("more than {} query parameters", limits::QUERY_PARAMETERS);
            return Err(HttpError::bad_request(text));
        }
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        parameters.push((unescape(key, true)?, unescape(value, true)?));
    }
    Ok(parameters)
}

/// Decodes percent escapes; in a query `+` is a space. The result must be UTF-8.
pub fn unescape(text: &str, query: bool) -> Result<String, HttpError> {
    if !text.bytes().any(|byte| byte == b'%' || (query && byte == b'+')) {
        return Ok(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'%' => {
                let (digits, tail) = rest.split_at_checked(2).ok_or_else(broken_escape)?;
                let digits = std::str::from_utf8(digits).map_err(|_| broken_escape())?;
                if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return Err(broken_escape());
                }
                bytes.push(u8::from_str_radix(digits, 16).map_err(|_| broken_escape())?);
                rest = tail;
            }
            b'+' if query => bytes.push(b' '),
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).map_err(|_| HttpError::bad_request("URL is not valid UTF-8 once decoded"))
}

fn broken_escape() -> HttpError {
    HttpError::bad_request("URL contains a broken percent escape")
}

/// A boolean, as Go parses it.
pub(crate) fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(query: &str) -> Call {
        Call {
            method: Method::GET,
            path: String::new(),
            captures: Vec::new(),
            query: parse_query(query).unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            client: None,
        }
    }

    #[test]
    fn tokens_are_looked_for_in_order() {
        let mut call = call("token=a");
        call.headers.insert("x-consul-token", "b".parse().unwrap());
        call.headers.insert("authorization", "Bearer c".parse().unwrap());
        assert!(call.token().unwrap().matches("a"));
        call.query.clear();
        assert!(call.token().unwrap().matches("b"));
        call.headers.remove("x-consul-token");
        assert!(call.token().unwrap().matches("c"));
        call.headers.remove("authorization");
        assert!(call.token().is_none());
    }

    #[test]
    fn conflicting_modes_are_refused() {
        assert_eq!(call("stale&consistent").head().unwrap_err().status, 400);
        assert_eq!(call("cached&consistent").head().unwrap_err().status, 400);
        assert_eq!(call("stale").head().unwrap().consistency, Consistency::Stale);
        assert_eq!(call("consistent").head().unwrap().consistency, Consistency::Consistent);
        assert_eq!(call("leader&stale").head().unwrap().consistency, Consistency::Stale);
        assert_eq!(call("leader").head().unwrap().consistency, Consistency::Default);
    }

    #[test]
    fn an_age_that_is_none_allows_no_staleness() {
        assert_eq!(call("max_stale=1ms").head().unwrap().consistency, Consistency::Stale);
        for none in ["max_stale=0", "max_stale=0s", "max_stale=-1s", "max_stale="] {
            assert_eq!(call(none).head().unwrap().consistency, Consistency::Default, "{none}");
            assert_eq!(call(none).max_stale().unwrap(), None, "{none}");
        }
        assert_eq!(call("max_stale=x").head().unwrap_err().text, "Invalid max_stale value \"x\"");
    }

    #[test]
    fn only_the_default_tenancy_is_there() {
        assert!(call("ns=default&partition=").require_default_tenancy().is_ok());
        let refused = call("ns=team").require_default_tenancy().unwrap_err();
        assert_eq!(refused.status, 400);
        assert!(refused.text.ends_with("a Consul Enterprise feature"), "{}", refused.text);
        let mut call = call("");
        call.headers.insert("x-consul-partition", "p".parse().unwrap());
        assert!(call.require_default_tenancy().is_err());
    }

    #[test]
    fn blocking_parameters_are_read_or_refused() {
        let head = call("index=7&wait=1m30s&dc=dc2").head().unwrap();
        assert_eq!((head.min_index, head.wait), (7, Some(Duration::from_secs(90))));
        assert_eq!(head.datacenter.unwrap().as_str(), "dc2");
        for none in ["wait=0s", "wait=-5s", "wait="] {
            assert_eq!(call(none).head().unwrap().wait, None, "{none}");
        }
        assert_eq!(call("index=x").head().unwrap_err().text, "Invalid index");
        assert_eq!(call("wait=soon").head().unwrap_err().text, "Invalid wait time");
    }

    #[test]
    fn escapes_are_decoded_or_refused() {
        assert_eq!(unescape("a%2Fb+c", false).unwrap(), "a/b+c");
        assert_eq!(unescape("a%2fb+c", true).unwrap(), "a/b c");
        for broken in ["%", "%2", "%zz", "%+1", "%ff"] {
            assert!(unescape(broken, false).is_err(), "{broken}");
        }
    }
}
