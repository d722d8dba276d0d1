//! Differences that are meant, each with its reason; those that users can meet stand in docs/differences.md.

use super::request::Request;

/// A difference that is meant. In its texts `*` stands for anything.
#[derive(Debug)]
pub(super) struct Known {
    /// Method and endpoint.
    endpoint: &'static str,
    /// The kind of difference.
    what: &'static str,
    /// What is unusual about the request.
    odd: &'static str,
    pub(super) reason: &'static str,
}

const fn known(endpoint: &'static str, what: &'static str, odd: &'static str, reason: &'static str) -> Known {
    Known { endpoint, what, odd, reason }
}

const TENANCY: &str = "`default` is taken as namespace and partition";
const FAULT_400: &str = "what is wrong with a request is 400, not 500";
const FAULTS: &str = "of several faults of one request another one is told";
const FILTERS: &str = "filters: more can be asked, and what cannot is refused also where nothing is there";
const NAMES: &str = "names: as they are written, without slashes, as certificates and rules can carry them";
const LEFT_OUT: &str = "what is left out is told as what it means";
const SIGHT: &str = "who may not see something gets a list without it";
const WHOLE: &str = "registrations are taken whole or refused whole, and take nothing over from others";
const KEYS: &str = "keys of bodies are known in both styles, and what answers tell may be sent back";
const PARAMETERS: &str = "parameters that cannot be read are refused wherever they stand";
const WORDS: &str = "texts for people are our own";
const NOT_BUILT: &str = "not built yet, and said to be";
const HEALTH: &str = "checks in agent/health are shown as in agent/checks";
const TOKENS: &str = "tokens are listed by accessor";
const LEAVES: &str =
    "leaves: the right is asked for at every read, and their headers say what the servers' do";
const STREAMING: &str = "a wait is answered by a blocking query, not by a stream";
const VERSIONS: &str = "members, versions and coordinates are those of our own wires";
const PATHS: &str = "paths that are not clean or lead nowhere";
const FALLS: &str = "theirs ends the connection without an answer";
const INTENTIONS: &str = "intentions are stored one by one: ids, order and headers follow from that";

const KNOWN: &[Known] = &[
    known("*", "status *, theirs 0", "*", FALLS),
    known("*", "status *, theirs 400", "*?ns=*", TENANCY),
    known("*", "status *, theirs 400", "*?partition=*", TENANCY),
    known("*", "status 400, theirs 500", "*", FAULT_400),
    known("GET *", "status 200, theirs 500", "*filter *", FILTERS),
    known("GET *", "status 500, theirs 200", "*filter *", FILTERS),
    known("GET *", "status 403, theirs 500", "*filter *", FILTERS),
    known("GET *", "status 500, theirs 40*", "*filter *", FILTERS),
    known("GET *", "json []: * than theirs", "*matches*", FILTERS),
    known("*", "status 501, theirs *", "*", NOT_BUILT),
    known("*", "status 400, theirs 200", "*name \"*", NAMES),
    known("*", "status 400, theirs 200", "*a/b*", NAMES),
    known("*", "status 400, theirs 200", "*team/*", NAMES),
    known("*", "status 400, theirs 200", "*N2*", NAMES),
    known("*", "json *", "*N2*", NAMES),
    known("*", "status 400, theirs 200", "*\"*/*", NAMES),
    known("GET (a path with a slash too many)", "status 40*, theirs *", "*", PATHS),
    known("GET (a path with a slash too many)", "header *", "*", PATHS),
    known("GET (a path without its end)", "status *", "*", PATHS),
    known("GET (a path without its end)", "header *", "*", PATHS),
    known("GET (a path that leads nowhere)", "status *", "*", PATHS),
    known("GET (a path that leads nowhere)", "header *", "*", PATHS),
    known("PUT /v1/config", "status 400, theirs 200", "*", NAMES),
    known("PUT /v1/acl/*", "status 400, theirs 200", "*", NAMES),
    known("GET /v1/connect/intentions/check", "status 400, theirs 200", "*", NAMES),
    known("GET /v1/connect/intentions/match", "status 400, theirs 200", "*", PARAMETERS),
    known("POST /v1/agent/connect/authorize", "status 400, theirs 200", "*", NAMES),
    known("GET /v1/catalog/nodes", "json []: more than theirs", "*", NAMES),
    known("GET *", "json *ID: another value", "", NAMES),
    known("*", "json *.DestinationType: another value", "*", LEFT_OUT),
    known("*", "json *.Kind: not ours", "*", LEFT_OUT),
    known("GET /v1/health/connect/:service", "status 200, theirs 403", "*", SIGHT),
    known("PUT /v1/agent/service/register", "status 400, theirs 200", "*", WHOLE),
    known("PUT /v1/catalog/register", "status 409, theirs 200", "*", WHOLE),
    known("GET /v1/agent/*", "json *.ServiceName: another value", "*", WHOLE),
    known("GET /v1/agent/*", "json *.Connect: not ours", "*", WHOLE),
    known("GET /v1/agent/*", "json *.Port: another value", "*", WHOLE),
    known("GET /v1/agent/checks", "json .\\*: not theirs", "*", WHOLE),
    known("PUT /v1/agent/check/pass/:id", "status 400, theirs 200", "*", WHOLE),
    known("GET /v1/connect/intentions/check", "status 200, theirs 500", "*\"\\*/*", TENANCY),
    known("GET /v1/connect/intentions/exact", "status 404, theirs 500", "*\"\\*/*", TENANCY),
    known("DELETE /v1/connect/intentions/exact", "status 200, theirs 500", "*peer:*", INTENTIONS),
    known("GET /v1/connect/intentions/:id", "status 400, theirs 404", "*?*", FAULTS),
    known("PUT /v1/connect/intentions/:id", "status 500, theirs 400", "*snake case*", KEYS),
    known("PUT *", "status 200, theirs 400", "*Precedence*", KEYS),
    known("PUT /v1/config", "status 200, theirs 400", "*", TENANCY),
    known("P*", "status 200, theirs 400", "*snake case*", KEYS),
    known("PUT *", "status 200, theirs 400", "*beside*", KEYS),
    known("*", "status 400, theirs 200", "*?*", PARAMETERS),
    known("*", "status 400, theirs 403", "*", FAULTS),
    known("*", "status 403, theirs 400", "*", FAULTS),
    known("*", "status 403, theirs 404", "*", FAULTS),
    known("PUT /v1/catalog/deregister", "status 403, theirs 500", "*", FAULTS),
    known("PUT /v1/acl/token/:accessor/clone", "status 200, theirs 400", "*", KEYS),
    known("*", "json *Description: another value", "*", WORDS),
    known("*", "json *Rules: another value", "*", WORDS),
    known("GET /v1/acl/token/:accessor", "json .ExpandedPolicies[].ID: another value", "*", WORDS),
    known("GET /v1/acl/token/:accessor", "json .ExpandedPolicies[].Name: another value", "*", WORDS),
    known("*", "json *.Notes: another value", "*", WORDS),
    known("*", "json *.Output: another value", "*", WORDS),
    known("*", "header Content-Type: text/plain; charset=utf-8, theirs text/plain", "*", WORDS),
    known("GET *", "json []: another order", "*", TOKENS),
    known("GET /v1/agent/connect/ca/leaf/:service", "header *", "*", LEAVES),
    known("GET /v1/agent/connect/ca/leaf/:service", "status 403, theirs 200", "*", LEAVES),
    known("GET /v1/connect/ca/roots", "header *", "*pem*", LEAVES),
    known("GET /v1/agent/health/service/*", "json *.Checks[].*", "*", HEALTH),
    known("GET *", "header X-Consul-*", "*?index=1*", STREAMING),
    known("GET *", "header *: *, theirs HIT", "*?cached*", STREAMING),
    known("GET *", "header Age: *", "*?cached*", STREAMING),
    known("GET *", "header X-Consul-*", "*?cached*", STREAMING),
    known("*", "json *Tags.\\*: *", "*", VERSIONS),
    known("*", "json .Coord: *", "*", VERSIONS),
    known("*", "json .HumanVersion: another value", "*", VERSIONS),
    known("*", "json *Services*Meta.\\*: *", "*", VERSIONS),
    known("*", "json *TaggedAddresses: not ours", "*", NOT_BUILT),
    known("GET /v1/connect/intentions/*", "header X-Consul-*", "*", INTENTIONS),
    known("PUT /v1/connect/intentions/exact", "status 200, theirs 500", "*", INTENTIONS),
    known("POST /v1/connect/intentions", "status 200, theirs 500", "*", INTENTIONS),
    known("PUT /v1/config", "status 200, theirs 500", "*Permissions*", INTENTIONS),
];

/// The entry that names this difference.
pub(super) fn find(request: &Request, what: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| {
        fits(known.endpoint, &request.pattern) && fits(known.what, what) && fits(known.odd, &request.odd)
    })
}

/// Whether a text fits a pattern in which `*` stands for anything and `\*` for itself.
fn fits(pattern: &str, text: &str) -> bool {
    if let Some(tail) = pattern.strip_prefix("\\*") {
        return text.strip_prefix('*').is_some_and(|rest| fits(tail, rest));
    }
    if let Some(tail) = pattern.strip_prefix('*') {
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
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn what_nothing_names_is_not_known() {
        let request = Request::new("GET", "/v1/catalog/nodes", "/v1/catalog/nodes");
        assert!(find(&request, "status 200, theirs 500").is_none());
        assert!(find(&request.clone().with_odd("filter x"), "status 200, theirs 500").is_some());
        assert!(find(&request, "json [].Node: another value").is_none());
    }
}
