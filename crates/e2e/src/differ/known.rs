//! Intended differences, each with its reason. docs/differences.md describes those which users can meet.

use std::fmt;

use super::compare::Difference;
use super::request::Request;

/// An intended difference. In its texts `*` stands for any text.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Known {
    /// Method and endpoint of the request.
    endpoint: &'static str,
    /// The kind of difference.
    what: &'static str,
    /// What is unusual about the request.
    odd: &'static str,
    /// What our agent says, which is one of these: the body where statuses differ, otherwise the value that differs.
    said: &'static [&'static str],
    pub(super) reason: &'static str,
}

impl Known {
    const fn saying(self, said: &'static [&'static str]) -> Self {
        Self { said, ..self }
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, what, odd, said, reason } = self;
        write!(f, "{endpoint}: {what}, odd {odd:?}, saying {said:?} ({reason})")
    }
}

const fn known(endpoint: &'static str, what: &'static str, odd: &'static str, reason: &'static str) -> Known {
    Known { endpoint, what, odd, said: ANYTHING, reason }
}

const ANYTHING: &[&str] = &["*"];

const TENANCY: &str = "`default` is taken as namespace and partition, and `*` before a name";
const FAULT_400: &str = "what is wrong with a request is 400, not 500";
const FAULTS: &str = "of several faults of one request another one is told";
const FILTERS: &str = "filters: more can be asked, and what cannot is refused also where nothing is there";
const NAMES: &str = "names: as they are written, without slashes, as certificates and rules can carry them";
const LEFT_OUT: &str = "what is left out is told as what it means";
const SIGHT: &str =
    "who may not see something gets a list without it, and is told whether anything is hidden";
const WHOLE: &str = "registrations are taken whole or refused whole, and take nothing over from others";
const ANEW: &str = "what is registered again is as it was registered last, and its checks follow it";
const ALIASES: &str = "an alias hears of the node's checks at once";
const KEEPS_ID: &str = "a node keeps its id";
const STRICT: &str = "bodies and rules: what nobody knows or can be is refused";
const KEYS: &str = "keys of bodies are known in both styles, and what answers tell may be sent back";
const DURATIONS: &str = "durations: an empty one is none, and what is none is refused";
const PARAMETERS: &str = "parameters that cannot be read are refused wherever they stand";
const DATACENTERS: &str = "a datacenter that is not there is refused wherever it is named";
const WORDS: &str = "texts for people are our own";
const NOT_BUILT: &str = "not built yet, and said to be";
const HEALTH: &str = "checks in agent/health are shown as in agent/checks";
const TOKENS: &str = "tokens are listed by accessor";
const LEAVES: &str =
    "leaves: the right is asked for at every read, and their headers say what the servers' do";
const CACHE: &str = "what is in the cache follows the servers";
const STREAMING: &str = "a wait is answered by a blocking query, not by a stream";
const VERSIONS: &str = "members, versions and coordinates are those of our own wires";
const PATHS: &str = "paths that are not clean or lead nowhere";
const FALLS: &str = "theirs ends the connection without an answer";
const UNMERGED: &str = "proxies do not go by the defaults yet";
const ADDRESSES: &str =
    "virtual addresses are given out in another order, and free again when nothing needs them";
const CHAINS: &str = "fingerprints of chains are our own";
const LOOKS: &str = "in -dev a check looks within half a second, theirs within its interval";
const MESH: &str = "the entry of the mesh has a name";
const INTENTIONS: &str = "intentions are stored one by one: ids, order and headers follow from that";
const RANDOM: &str = "theirs has no order";

/// How our refusal of an unreadable body begins.
const UNREADABLE: &[&str] =
    &["Request decode failed: *", "Request decoding failed: *", "Token decoding failed: *"];
/// Refusals of names.
const NAMED_WRONG: &[&str] = &["*contains '*", "*must name one *", "*must not be empty*"];
/// Refusals of parameters, at any endpoint.
const MISREAD: &[&str] = &[
    "Invalid index",
    "Invalid wait time",
    "Invalid max_stale value *",
    "Invalid value for ?*",
    "Invalid query parameter: *",
    "Cannot specify ?*",
    "datacenter \"*\" contains *",
];
/// Refusals of registrations in the catalog.
const CATALOG: &[&str] = &[
    "*Must provide *",
    "*Bad node ID: *",
    "*Check.Node: * is not the node being registered*",
    "Check \"*\": there is no service *",
    "*Port or SocketPath must be set*",
    "*is not a port*",
    "*Invalid check status*",
    "*upstream *",
    "*Proxy.DestinationServiceName must be *",
];
/// Refusals of intentions and of their configuration entries.
const INTENTION: &[&str] = &[
    "*Action must be *",
    "*Permissions must not be set*",
    "*Permissions cannot be specified*",
    "*should only contain one of*",
    "*wildcard character '\\*' cannot be used with partial values*",
    "*exact value cannot follow wildcard namespace*",
    "*Namespaces is a Consul Enterprise feature*",
    "*it must name one service*",
    "*SourceType must be *",
    "*SourcePeer *",
    "Meta must not be *",
    "*Name must be set*",
    "*missing required Name field*",
    "*defines * more than once*",
    "*is required",
    "*Name is required*",
    "required query parameter *",
    "'by' parameter must be *",
    "'source-type' must be *",
    "Invalid intention ID, it must be a UUID: *",
    "ID must be empty when creating *",
    "invalid config entry kind: *",
];
/// Refusals of tokens and policies.
const IDENTITY: &[&str] = &[
    "*Invalid Token: *",
    "Invalid Policy: *",
    "Failed to parse ACL rules: *",
    "*needs an ID or a Name*",
    "*Service identity *",
    "*Node identity *",
    "*ExpirationTime cannot be *",
    "*Datacenters: *",
    "Invalid AccessorID: *",
    "Invalid policy id: *",
    "policy: \"*\" is not a UUID*",
];
/// Refusals of CA configurations.
const AUTHORITY: &[&str] =
    &["Provider: * is unknown*", "Invalid CA configuration: *", "*CertTTL is *", "*CertTTL must be *"];

const KNOWN: &[Known] = &[
    known("*", "status *, theirs 0", "*", FALLS),
    known("GET (a path with a slash too many)", "status 400, theirs *", "*", PATHS),
    known("GET (a path with a slash too many)", "status 404, theirs *", "*", PATHS),
    known("GET (a path with a slash too many)", "status 501, theirs *", "*", PATHS),
    known("GET (a path with a slash too many)", "header X-Consul-*", "/v1/config*", PATHS),
    known("GET (a path without its end)", "status 40*, theirs *", "*", PATHS),
    known("GET (a path without its end)", "status 501, theirs *", "/v1/internal*", PATHS),
    known("GET (a path without its end)", "header X-Consul-*", "/v1/config*", PATHS),
    known("GET (a path that leads nowhere)", "status 40*, theirs *", "*", PATHS),
    known("GET (a path that leads nowhere)", "status 200, theirs 301", "/*", PATHS)
        .saying(&["concord agent: *"]),
    known("GET (a path that leads nowhere)", "header *", "/v1/agent/*", PATHS),
    known("GET (a path that leads nowhere)", "header *", "/v1//agent/*", PATHS),
    known("*", "status 400, theirs 500", "*", FAULT_400).saying(UNREADABLE),
    known("*", "status 400, theirs 500", "*", FAULT_400).saying(NAMED_WRONG),
    known("*", "status 400, theirs 500", "*?*", FAULT_400).saying(MISREAD),
    known("PUT /v1/catalog/*", "status 400, theirs 500", "*", FAULT_400).saying(CATALOG),
    known("* /v1/con*", "status 400, theirs 500", "*", FAULT_400).saying(INTENTION),
    known("* /v1/acl/*", "status 400, theirs 500", "*", FAULT_400).saying(IDENTITY),
    known("* /v1/connect/ca/*", "status 400, theirs 500", "*", FAULT_400).saying(AUTHORITY),
    known("PUT /v1/agent/check/*", "status 400, theirs 500", "*", FAULT_400)
        .saying(&["CheckID \"*\" does not have associated TTL"]),
    known("PUT /v1/agent/service/register", "status 400, theirs 500", "*", FAULT_400)
        .saying(&["Validation failed: *"]),
    known("* (any method)", "status 400, theirs 500", "*/v1/con*", FAULT_400).saying(INTENTION),
    known("* (any method)", "status 400, theirs 500", "*/v1/acl/*", FAULT_400).saying(IDENTITY),
    known("*", "status *, theirs 400", "*?ns=default*", TENANCY),
    known("*", "status *, theirs 400", "*?partition=default*", TENANCY),
    known("GET /v1/connect/intentions/check", "status 200, theirs 500", "*\"\\*/*", TENANCY),
    known("GET /v1/connect/intentions/match", "status 200, theirs 500", "*\"\\*/*", TENANCY),
    known("GET /v1/connect/intentions/check", "status 403, theirs 500", "*\"\\*/*", TENANCY),
    known("GET /v1/connect/intentions/exact", "status 404, theirs 500", "*\"\\*/*", TENANCY),
    known("GET /v1/connect/intentions/exact", "status 403, theirs 500", "*\"\\*/*", TENANCY),
    known("PUT /v1/con*", "status 200, theirs 400", "*with a tenancy*", TENANCY),
    known("POST /v1/con*", "status 200, theirs 400", "*with a tenancy*", TENANCY),
    known("* /v1/connect/intentions/exact", "status 400, theirs 200", "*", TENANCY)
        .saying(&["*Namespaces is a Consul Enterprise feature"]),
    known("GET *", "status 200, theirs 500", "*filter *", FILTERS),
    known("GET *", "status 403, theirs 500", "*filter *", FILTERS),
    known("GET *", "status 500, theirs 200", "*filter *", FILTERS).saying(&["filter*"]),
    known("GET *", "status 500, theirs 40*", "*filter *", FILTERS).saying(&["filter*"]),
    known("GET *", "json []: * than theirs", "*matches*", FILTERS),
    known("GET *", "header X-Consul-Results-Filtered-By-ACLs: true, theirs -", "*", SIGHT),
    known("GET /v1/health/connect/:service", "status 200, theirs 403", "*", SIGHT).saying(&["[]"]),
    known("GET /v1/catalog/connect/:name", "header X-Consul-KnownLeader: true, theirs false", "*", SIGHT),
    known("GET /v1/acl/tokens", "status 501, theirs *", "*authmethod=x*", NOT_BUILT),
    known("GET /v1/acl/tokens", "status 501, theirs *", "*role=x*", NOT_BUILT),
    known("*", "json *TaggedAddresses: not ours", "*", NOT_BUILT),
    known("GET *", "json *.ExposedPort: another value", "*", NOT_BUILT).saying(&["0"]),
    known("*", "status 400, theirs 200", "*", NAMES).saying(NAMED_WRONG),
    known("*", "status 400, theirs 200", "*N2*", NAMES).saying(CATALOG),
    known("GET *", "json *: null, theirs *", "N2*", NAMES),
    known("GET *", "json *[]: fewer than theirs", "N2*", NAMES),
    known("*", "status 400, theirs 200", "*?*", PARAMETERS).saying(MISREAD),
    known("DELETE *", "status 400, theirs 404", "*?*", PARAMETERS).saying(MISREAD),
    known("GET /v1/connect/intentions/:id", "status 400, theirs 404", "*?*", PARAMETERS).saying(MISREAD),
    known("GET /v1/connect/intentions/match", "status 400, theirs 200", "*", PARAMETERS)
        .saying(&["required query parameter 'name' not set"]),
    known("GET /v1/connect/intentions/check", "status 400, theirs 200", "*", PARAMETERS)
        .saying(&["required query parameter '*' not set"]),
    known("GET /v1/catalog/datacenters", "status 500, theirs 200", "*?dc=nope*", DATACENTERS),
    known("PUT /v1/acl/*", "status 500, theirs 200", "*?dc=nope*", DATACENTERS),
    known("GET (any method)", "status 500, theirs 200", "*/ca/leaf/web, ?dc=nope*", DATACENTERS),
    known("GET /v1/agent/connect/ca/leaf/:service", "status 500, theirs 200", "*?dc=nope*", DATACENTERS),
    known("PUT /v1/acl/policy*", "status 400, theirs 200", "*", STRICT).saying(IDENTITY),
    known("PUT /v1/acl/token*", "status 400, theirs 200", "*", STRICT).saying(&["*is not a time; *"]),
    known("PUT /v1/catalog/register", "status 400, theirs 200", "*", STRICT).saying(&[
        "Must provide service name *",
        "*is not the node being registered*",
        "*there is no service *",
        "*is not a port*",
        "*expected a duration*",
    ]),
    known("PUT /v1/agent/service/register", "status 400, theirs 200", "*", STRICT)
        .saying(&["Validation failed: *", "Request decode failed: *"]),
    known("PUT /v1/agent/service/register", "status 400, theirs 200", "*", WHOLE)
        .saying(&["CheckID \"*\" is that of a check of the node*"]),
    known("PUT /v1/agent/check/register", "status 400, theirs 200", "*", STRICT)
        .saying(&["*is not host:port"]),
    known("PUT /v1/agent/check/register", "status 400, theirs 200", "*", DURATIONS)
        .saying(&["*expected a duration*"]),
    known("PUT /v1/catalog/register", "status 409, theirs 200", "*", WHOLE).saying(&["node *belongs to *"]),
    known("PUT /v1/agent/check/*", "status 400, theirs 200", "*", ANEW)
        .saying(&["CheckID \"*\" does not have associated TTL"]),
    known("GET *", "json *.ServiceName: another value", "*", ANEW),
    known("GET *", "json *.ServiceTags[]: * than theirs", "*", ANEW),
    known("GET *", "json *.Status of an alias: another value", "*", ALIASES),
    known("GET /v1/health/*", "json *.Type: another value", "*", ANEW),
    known("GET /v1/health/*", "json *.Interval: another value", "*", ANEW),
    known("GET *", "json *Locality: *", "*", ANEW),
    known("PUT /v1/catalog/register", "status 200, theirs 403", "*", KEEPS_ID),
    known("GET *", "json [].ID: another value", "*", KEEPS_ID),
    known("GET *", "json *Node.ID: another value", "*", KEEPS_ID),
    known("GET *", "json *.DestinationType: another value", "*", LEFT_OUT).saying(&["\"service\""]),
    known("GET *", "json *.Kind: not ours", "*", LEFT_OUT),
    known("GET *", "json *Meta: null, theirs an empty object", "*", LEFT_OUT),
    known("PUT /v1/connect/intentions/:id", "status 500, theirs 400", "*snake case*", KEYS),
    known("PUT /v1/acl/token*", "status 500, theirs 400", "*snake case*", KEYS),
    known("PUT *", "status 404, theirs 400", "*snake case*", KEYS),
    known("P*", "status 200, theirs 400", "*snake case*", KEYS),
    known("PUT /v1/connect/intentions/exact", "status 200, theirs 400", "*Precedence*", KEYS),
    known("PUT *", "status 200, theirs 400", "*beside*", KEYS),
    known("PUT /v1/acl/token/:accessor/clone", "status 200, theirs 400", "*", KEYS),
    known("*", "status 400, theirs 403", "*", FAULTS),
    known("*", "status 403, theirs 400", "*", FAULTS),
    known("*", "status 403, theirs 404", "*", FAULTS),
    known("PUT /v1/catalog/deregister", "status 403, theirs 500", "*", FAULTS),
    known("POST /v1/connect/intentions", "status 403, theirs 500", "*", FAULTS),
    known("PUT /v1/agent/check/register", "status 400, theirs 404", "*", FAULTS)
        .saying(&["Invalid check: *"]),
    known("PUT /v1/agent/token/:kind", "status 404, theirs 40*", "*", FAULTS),
    known("* /v1/*acl/*", "status 400, theirs 401", "*?*", FAULTS).saying(MISREAD),
    known("PUT /v1/agent/*", "status 500, theirs 400", "*", FAULTS).saying(&["Scripts are disabled *"]),
    known("PUT *", "status 200, theirs 400", "*zero *Timeout*", DURATIONS),
    known("PUT *", "status 200, theirs 400", "*zero *TTL*", DURATIONS),
    known("PUT *", "status 200, theirs 400", "*zero *After*", DURATIONS),
    known("* /v1/acl/*", "json *Description: another value", "*", WORDS),
    known("* (any method)", "json *Description: another value", "*/v1/acl/*", WORDS),
    known("GET /v1/acl/*", "json *Rules: another value", "*", WORDS),
    known("GET /v1/acl/token/:accessor", "json .ExpandedPolicies[].ID: another value", "*", WORDS),
    known("GET /v1/acl/token/:accessor", "json .ExpandedPolicies[].Name: another value", "*", WORDS),
    known("GET *", "json *.Notes: another value", "*", WORDS),
    known("GET *", "json *.Output: another value", "*", WORDS),
    known(
        "GET *",
        "header Content-Type: text/plain; charset=utf-8, theirs text/plain",
        "*format=text*",
        WORDS,
    ),
    known("GET /v1/acl/tokens", "json []: another order", "*", TOKENS),
    known("GET (any method)", "json []: another order", "*/v1/acl/tokens*", TOKENS),
    known("GET /v1/catalog/services", "json .*[]: another order", "*", RANDOM),
    known("GET /v1/agent/connect/ca/leaf/:service", "header *", "*", LEAVES),
    known("GET /v1/agent/connect/ca/leaf/:service", "status 403, theirs 200", "*", LEAVES),
    known("GET (any method)", "header *", "*/v1/agent/connect/ca/leaf/web*", LEAVES),
    known("GET /v1/connect/ca/roots", "header *", "*pem*", LEAVES),
    known("POST /v1/agent/connect/authorize", "header X-Cache: HIT, theirs MISS", "*", CACHE),
    known("POST /v1/agent/connect/authorize", "header Age: there, theirs not there", "*", CACHE),
    known("GET /v1/agent/health/service/*", "json *.Checks[].Definition.*: not ours", "*", HEALTH),
    known("GET /v1/agent/health/service/*", "json *.Checks[].Interval: not theirs", "*", HEALTH),
    known("GET /v1/agent/health/service/*", "json *.Checks[].Timeout: not theirs", "*", HEALTH),
    known(
        "GET /v1/agent/health/service/*",
        "json *.Checks[].ServiceTags: an empty list, theirs null",
        "*",
        HEALTH,
    ),
    known("GET *", "header X-Consul-*", "*?index=1*", STREAMING),
    known("GET /v1/health/*", "json []: * than theirs", "*?index=1*", STREAMING),
    known("GET *", "header *: *, theirs HIT", "*?cached*", STREAMING),
    known("GET *", "header Age: *", "*?cached*", STREAMING),
    known("GET *", "header X-Consul-*", "*?cached*", STREAMING),
    known("*", "json *Tags.\\*: *", "*", VERSIONS),
    known("*", "json .Coord: *", "*", VERSIONS),
    known("*", "json .HumanVersion: another value", "*", VERSIONS),
    known("*", "json *Services*Meta.\\*: *", "*", VERSIONS),
    known("GET /v1/connect/intentions/*", "header X-Consul-*", "*", INTENTIONS),
    known("GET /v1/connect/intentions*", "json *].CreatedAt: not theirs", "*", INTENTIONS),
    known("GET /v1/connect/intentions*", "json *].UpdatedAt: not theirs", "*", INTENTIONS),
    known("GET /v1/connect/intentions*", "json *].Hash: not theirs", "*", INTENTIONS),
    known("GET /v1/connect/intentions*", "json *].ID: not theirs", "*", INTENTIONS),
    known("GET /v1/connect/intentions/:id", "status 200, theirs 404", "*", INTENTIONS),
    known("GET /v1/config*", "json *Sources[]: another order", "*", INTENTIONS),
    known("DELETE /v1/connect/intentions/exact", "status 200, theirs 500", "*peer:*", INTENTIONS),
    known("PUT /v1/connect/intentions/exact", "status 200, theirs 500", "*", INTENTIONS),
    known("POST /v1/connect/intentions", "status 200, theirs 500", "*", INTENTIONS),
    known("GET /v1/config/*", "json *.Config: an empty object, theirs null", "*", LEFT_OUT),
    known("GET /v1/config/*", "json *.Name: not theirs", "*", MESH),
    known("PUT /v1/config", "status 400, theirs 200", "*defaults*", STRICT).saying(&[
        "Request decoding failed: *Mode: * is not a mode of *",
        "Expose.*",
        "AccessLogs.*",
    ]),
    known("PUT /v1/config", "status 400, theirs 200", "*defaults*", STRICT)
        .saying(&["Request decoding failed: *expected a string, found *"]),
    known("PUT /v1/config", "status 403, theirs 500", "*defaults*", FAULTS)
        .saying(&["Permission denied: *lacks permission 'service:write' on \"\\*\""]),
    known("* /v1/config/:kind/:name", "status 400, theirs 500", "*", FAULT_400)
        .saying(&["invalid name *, only * is supported", "Invalid cas value; *"]),
    known("* (any method)", "status 400, theirs 500", "*/v1/config/*", FAULT_400)
        .saying(&["invalid name *, only * is supported", "Invalid cas value; *"]),
    known("DELETE /v1/config/:kind/:name", "status 400, theirs 200", "*", MESH)
        .saying(&["invalid name *, only \"mesh\" is supported"]),
    known("GET /v1/agent/*", "json *.Status: another value", "*", LOOKS).saying(&["\"critical\""]),
    known("PUT /v1/catalog/register", "status 400, theirs 200", "*null Service.Weights.*", STRICT),
    known("GET *", "json *Proxy.Config*: not ours", "*", UNMERGED),
    known("GET *", "json *Upstreams[].Config*: not ours", "*", UNMERGED),
    known("PUT /v1/config", "status 400, theirs 500", "*defaults*", FAULT_400).saying(&[
        "AccessLogs.*",
        "Destination.*",
        "Expose.*",
        "Name * is invalid*",
        "Name must be *",
        "TLS.*",
        "UpstreamConfig*",
        "Request decoding failed: * is not *; use one of *",
    ]),
    known("PUT /v1/config", "status 400, theirs 500", "*", FAULT_400).saying(&[
        "ConnectTimeout cannot be negative*",
        "DefaultSubset *",
        "Failover[*",
        "Invalid cas value; *",
        "Listeners[*",
        "LoadBalancer.*",
        "Redirect*",
        "Routes[*",
        "Splits*",
    ]),
    known("PUT /v1/config", "status 400, theirs 200", "*", STRICT).saying(&[
        "Listeners[*].Port is not a port*",
        "Config.protocol is *, which is no protocol*",
        "Request decoding failed: *expected true or false, found *",
        "Request decoding failed: *expected a string, found *",
    ]),
    known("* /v1/config*", "status 500, theirs 200", "*?dc=nope*", DATACENTERS),
    known("* /v1/discovery-chain/:service", "json .Chain.AutoVirtualIPs[]: another value", "*", ADDRESSES),
    known("* /v1/discovery-chain/:service", "json .Chain.*VirtualIPs: null, theirs *", "*", ADDRESSES),
    known("GET /v1/config/*", "json *.Routes: null, theirs an empty list", "*", LEFT_OUT),
    known("GET /v1/config/*", "json *.Filters.JWT: not ours", "*", LEFT_OUT),
    known("* /v1/discovery-chain/:service", "json .Chain.CustomizationHash: another value", "*", CHAINS),
    known("* /v1/discovery-chain/:service", "json .Chain.Targets.*.Name: another value", "*", NAMES)
        .saying(&["\"_x*"]),
    known("* /v1/discovery-chain/:service", "json .Chain.Targets.*.SNI: another value", "*", NAMES)
        .saying(&["\"_x*"]),
    known("POST *", "header X-Consul-*", "*?cached*", STREAMING),
    known("PUT /v1/config", "status 500, theirs 400", "*with a tenancy*", TENANCY).saying(&[
        "service * is incompatible with L7 intentions permissions*",
        "cannot set MutualTLSMode=permissive because *",
    ]),
];

/// The entry which describes this difference.
pub(super) fn find(request: &Request, difference: &Difference) -> Option<&'static Known> {
    KNOWN.iter().find(|known| {
        fits(known.endpoint, &request.pattern)
            && fits(known.what, &difference.what)
            && fits(known.odd, &request.odd)
            && known.said.iter().any(|said| fits(said, difference.sides[0].trim_end()))
    })
}

/// The entries which are not among these.
pub(super) fn others(met: &[&Known]) -> impl Iterator<Item = &'static Known> {
    KNOWN.iter().filter(|known| !met.contains(known))
}

/// Whether a text matches a pattern in which `*` stands for any text and `\*` for an asterisk.
fn fits(pattern: &str, text: &str) -> bool {
    if let Some(tail) = pattern.strip_prefix("\\*") {
        return text.strip_prefix('*').is_some_and(|rest| fits(tail, rest));
    }
    if let Some(tail) = pattern.strip_prefix('*') {
        if tail.is_empty() {
            return true;
        }
        let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        return ends.into_iter().any(|at| fits(tail, &text[at..]));
    }
    match (pattern.chars().next(), text.chars().next()) {
        (None, None) => true,
        (Some(one), Some(other)) if one == other => fits(&pattern[one.len_utf8()..], &text[one.len_utf8()..]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_the_whole_text() {
        for (pattern, text, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b*", "abc", true),
            ("*b", "abc", false),
            ("*", "", true),
            ("GET *: x*", "GET /v1: xy", true),
            ("*.\\*: x", "json .*: x", true),
            ("*.\\*: x", "json .a: x", false),
            ("*'\\*' x*", "a '*' x", true),
            ("*'\\*' x*", "a '+' x", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn no_entry_stands_twice_and_none_says_nothing() {
        for (at, one) in KNOWN.iter().enumerate() {
            assert!(!KNOWN[..at].contains(one), "{one}");
            assert!(!(one.endpoint == "*" && one.what == "*"), "{one}");
        }
        assert_eq!(others(&[]).count(), KNOWN.len());
        assert_eq!(others(&[&KNOWN[0]]).count(), KNOWN.len() - 1);
    }

    #[test]
    fn what_nothing_names_is_not_known() {
        let request = Request::new("GET", "/v1/catalog/nodes", "/v1/catalog/nodes");
        let differ = |what: &str, ours: &str| Difference {
            what: what.to_owned(),
            sides: [ours.to_owned(), "other".to_owned()],
        };
        let is_known =
            |request: &Request, what: &str, ours: &str| find(request, &differ(what, ours)).is_some();
        assert!(!is_known(&request, "status 200, theirs 500", "[]"));
        assert!(is_known(&request.clone().with_odd("filter x"), "status 200, theirs 500", "[]"));
        assert!(!is_known(&request, "json [].Node: another value", "1"));
        // Both the endpoint and the text of our answer decide.
        let register = Request::new("PUT", "/v1/catalog/register", "/v1/catalog/register");
        assert!(is_known(&register, "status 400, theirs 500", "Must provide node\n"));
        assert!(!is_known(&register, "status 400, theirs 500", "no reason that is in the table"));
        assert!(!is_known(&request, "status 400, theirs 500", "Must provide node"));
        assert!(!is_known(&register, "status 501, theirs 200", "not available yet: all of it"));
    }
}
