//! What routers, splitters and resolvers may not say. Each case has one error and names its field.

use concord_mesh::entry::{
    FAILOVER_TARGETS_MAX, HEADERS_MAX, META_PAIRS_MAX, PATTERN_BYTES_MAX, QUERY_PARAMS_MAX, ROUTES_MAX,
    SPLITS_MAX, SUBSETS_MAX, links, validate,
};
use concord_model::entry::Entry;

/// The entry `web` of a kind that says this, in the form of the log.
fn entry(kind: &str, said: &str) -> Entry {
    named(kind, "web", said)
}

fn named(kind: &str, name: &str, said: &str) -> Entry {
    let scope = format!(r#"{{"namespace": "default", "name": "{name}"}}"#);
    let text = format!(r#"{{"{kind}": {{"scope": {scope}, "said": {{{said}}}}}}}"#);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn faults(entry: &Entry) -> Vec<String> {
    validate(entry).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[track_caller]
fn told(kind: &str, said: &str, expected: &[&str]) {
    let found = faults(&entry(kind, said));
    let fits = found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| a.starts_with(b));
    assert!(fits, "{kind} {said}\n found    {found:#?}\n expected {expected:#?}");
}

/// Each case is refused with this one error, and the count is told, so that no case is lost.
fn refused(kind: &str, wrap: fn(&str) -> String, cases: &[(&str, &str)]) -> usize {
    cases.iter().for_each(|(said, fault)| told(kind, &wrap(said), &[fault]));
    cases.len()
}

const ONE_HEADER: &str = "Routes[0].Match.HTTP.Header[0] should only contain one of Present, Exact, Prefix, Suffix, or Regex; set exactly one";
const ONE_PARAM: &str =
    "Routes[0].Match.HTTP.QueryParam[0] should only contain one of Present, Exact, or Regex; set exactly one";
const ONE_PATH: &str =
    "Routes[0].Match.HTTP should only contain at most one of PathExact, PathPrefix, or PathRegex";

#[test]
fn n_180_conditions_of_routes_are_refused_by_field() {
    let wrap = |said: &str| format!(r#""routes": [{{"match": {{"http": {{{said}}}}}}}]"#);
    let count = refused(
        "service-router",
        wrap,
        &[
            (r#""path_exact": "a""#, r#"Routes[0].Match.HTTP.PathExact doesn't start with '/': "a""#),
            (r#""path_prefix": "a/""#, r#"Routes[0].Match.HTTP.PathPrefix doesn't start with '/': "a/""#),
            (r#""path_regex": "a(""#, "Routes[0].Match.HTTP.PathRegex is not a regular expression"),
            (
                r#""path_regex": "a{9999}{9999}""#,
                "Routes[0].Match.HTTP.PathRegex is not a regular expression",
            ),
            (r#""path_exact": "/a", "path_prefix": "/b""#, ONE_PATH),
            (r#""path_exact": "/a", "path_regex": "/b""#, ONE_PATH),
            (r#""path_prefix": "/a", "path_regex": "/b""#, ONE_PATH),
            (r#""path_exact": "/", "path_prefix": "/a", "path_regex": "/b""#, ONE_PATH),
            (r#""header": [{"exact": "x"}]"#, "Routes[0].Match.HTTP.Header[0].Name is required"),
            (r#""header": [{"name": "a"}]"#, ONE_HEADER),
            (r#""header": [{"name": "a", "invert": true}]"#, ONE_HEADER),
            (r#""header": [{"name": "a", "present": true, "exact": "b"}]"#, ONE_HEADER),
            (r#""header": [{"name": "a", "prefix": "c", "exact": "b"}]"#, ONE_HEADER),
            (r#""header": [{"name": "a", "prefix": "c", "suffix": "b"}]"#, ONE_HEADER),
            (r#""header": [{"name": "a", "suffix": "c", "regex": "b"}]"#, ONE_HEADER),
            (r#""header": [{"name": "a", "present": true, "regex": "b"}]"#, ONE_HEADER),
            (
                r#""header": [{"name": "a", "regex": "["}]"#,
                "Routes[0].Match.HTTP.Header[0].Regex is not a regular",
            ),
            (r#""query_param": [{"present": true}]"#, "Routes[0].Match.HTTP.QueryParam[0].Name is required"),
            (r#""query_param": [{"name": "a"}]"#, ONE_PARAM),
            (r#""query_param": [{"name": "a", "present": true, "exact": "b"}]"#, ONE_PARAM),
            (r#""query_param": [{"name": "a", "exact": "b", "regex": "c"}]"#, ONE_PARAM),
            (
                r#""query_param": [{"name": "a", "regex": "*"}]"#,
                "Routes[0].Match.HTTP.QueryParam[0].Regex is not a",
            ),
            (r#""methods": ["GET", "get"]"#, r#"Routes[0].Match.HTTP.Methods contains "GET" more than once"#),
            (r#""methods": ["GET", ""]"#, "Routes[0].Match.HTTP.Methods[1] is required"),
        ],
    );
    assert_eq!(count, 24);
}

#[test]
fn destinations_of_routes_are_refused_by_field() {
    let wrap = |said: &str| format!(r#""routes": [{{"destination": {{{said}}}}}]"#);
    let at = |rest: &str| format!("Routes[0].Destination.{rest}");
    let cases = [
        (r#""prefix_rewrite": "/""#, at("PrefixRewrite cannot be used without PathExact or PathPrefix")),
        (r#""retry_on": [""]"#, at("RetryOn[0] is required")),
        (
            r#""retry_on_status_codes": [200, 99]"#,
            at("RetryOnStatusCodes[1] is 99, which is no status of HTTP"),
        ),
        (r#""retry_on_status_codes": [600]"#, at("RetryOnStatusCodes[0] is 600, which is no status of HTTP")),
        (r#""namespace": "other""#, at("Namespace names another namespace or partition")),
        (r#""partition": "other""#, at("Partition names another namespace or partition")),
        (r#""service_subset": "V1""#, at(r#"ServiceSubset is "V1", which names no subset"#)),
        (r#""service_subset": "-v1""#, at(r#"ServiceSubset is "-v1", which names no subset"#)),
        (
            r#""request_headers": {"add": {"": "x"}}"#,
            at("RequestHeaders.Add: the name of a header is required"),
        ),
        (
            r#""request_headers": {"set": {"": "x"}}"#,
            at("RequestHeaders.Set: the name of a header is required"),
        ),
        (
            r#""request_headers": {"remove": [""]}"#,
            at("RequestHeaders.Remove: the name of a header is required"),
        ),
        (
            r#""response_headers": {"add": {"": "x"}}"#,
            at("ResponseHeaders.Add: the name of a header is required"),
        ),
        (
            r#""response_headers": {"set": {"": "x"}}"#,
            at("ResponseHeaders.Set: the name of a header is required"),
        ),
        (
            r#""response_headers": {"remove": [""]}"#,
            at("ResponseHeaders.Remove: the name of a header is required"),
        ),
    ];
    for (said, fault) in &cases {
        told("service-router", &wrap(said), &[fault]);
    }
    // A regular expression is no path that could be replaced.
    let regex =
        r#""routes": [{"match": {"http": {"path_regex": "/a"}}, "destination": {"prefix_rewrite": "/"}}]"#;
    told("service-router", regex, &[&at("PrefixRewrite cannot be used without")]);
    assert_eq!(cases.len(), 14);
}

#[test]
fn n_181_splits_are_refused_by_field() {
    let wrap = |said: &str| format!(r#""splits": [{said}]"#);
    let sum =
        |sum: &str| format!("Splits must add up to 100: the sum of all split weights must be 100, not {sum}");
    let not_whole = [
        (r#"{"weight": 99.99}"#, sum("99.99")),
        (r#"{"weight": 50}, {"weight": 49.98, "service": "a"}"#, sum("99.98")),
        (r#"{"weight": 50}, {"weight": 50.006, "service": "a"}"#, sum("100.01")),
        (r#"{"weight": 0}"#, sum("0")),
        (
            r#"{"weight": 33.33}, {"weight": 33.33, "service": "a"}, {"weight": 33.33, "service": "b"}"#,
            sum("99.99"),
        ),
    ];
    for (said, fault) in &not_whole {
        told("service-splitter", &wrap(said), &[fault]);
    }
    let whole = |said: &str| format!(r#""splits": [{{"weight": 100, {said}}}]"#);
    let at = "Splits[0]";
    let count = refused(
        "service-splitter",
        whole,
        &[
            (r#""namespace": "n""#, "Splits[0].Namespace names another namespace or partition"),
            (r#""partition": "p""#, "Splits[0].Partition names another namespace or partition"),
            (r#""service_subset": "a.b""#, r#"Splits[0].ServiceSubset is "a.b", which names no subset"#),
            (r#""service_subset": "v1-""#, r#"Splits[0].ServiceSubset is "v1-", which names no subset"#),
            (
                r#""request_headers": {"add": {"": "x"}}"#,
                "Splits[0].RequestHeaders.Add: the name of a header is",
            ),
            (
                r#""request_headers": {"set": {"": "x"}}"#,
                "Splits[0].RequestHeaders.Set: the name of a header is",
            ),
            (
                r#""response_headers": {"remove": [""]}"#,
                "Splits[0].ResponseHeaders.Remove: the name of a header is",
            ),
        ],
    );
    told("service-splitter", r#""splits": []"#, &["Splits must hold at least one split"]);
    let two = r#""splits": [{"weight": 110}, {"weight": -10, "service": "a"}]"#;
    told(
        "service-splitter",
        two,
        &[&format!("{at}.Weight is 110; use a weight between 0 and 100"), "Splits[1].Weight is -10; use"],
    );
    let same = [
        r#"{"weight": 50}, {"weight": 50}"#,
        r#"{"weight": 50, "service": "web"}, {"weight": 50}"#,
        r#"{"weight": 50, "service": "a", "service_subset": "s"}, {"weight": 50, "service": "a", "service_subset": "s"}"#,
    ];
    for said in same {
        told(
            "service-splitter",
            &wrap(said),
            &["Splits[1] is a split destination that occurs more than once: service="],
        );
    }
    assert_eq!(count + not_whole.len() + same.len() + 2, 17);
}

#[test]
fn n_182_resolvers_are_refused_by_field() {
    let count = refused(
        "service-resolver",
        str::to_owned,
        &[
            (r#""connect_timeout": -1"#, "ConnectTimeout cannot be negative"),
            (r#""request_timeout": -1"#, "RequestTimeout cannot be negative"),
            (
                r#""default_subset": "v1""#,
                r#"DefaultSubset "v1" is not a valid subset of "web"; define it in Subsets"#,
            ),
            (
                r#""default_subset": "v1", "subsets": {"v2": {}}"#,
                r#"DefaultSubset "v1" is not a valid subset"#,
            ),
            (r#""subsets": {"": {}}"#, r#"Subsets[""] is "", which names no subset"#),
            (r#""subsets": {"V1": {}}"#, r#"Subsets["V1"] is "V1", which names no subset"#),
            (r#""subsets": {"a_b": {}}"#, r#"Subsets["a_b"] is "a_b", which names no subset"#),
            (
                r#""subsets": {"v1": {"filter": "a =="}}"#,
                r#"Subsets["v1"].Filter is not a valid expression: filter,"#,
            ),
            (
                r#""subsets": {"v1": {"filter": "Service.Meta.v"}}"#,
                r#"Subsets["v1"].Filter is not a valid expression"#,
            ),
            (
                r#""prioritize_by_locality": {"mode": "failover"}"#,
                "PrioritizeByLocality.Mode cannot be set: it requires",
            ),
            (
                r#""redirect": {}"#,
                "Redirect is empty: one of Service, ServiceSubset, Datacenter, or Peer is required",
            ),
            (
                r#""redirect": {"service_subset": "v1"}"#,
                "Redirect.ServiceSubset cannot be set without Redirect.Service",
            ),
            (r#""redirect": {"peer": "east"}"#, "Redirect.Peer cannot be set without Redirect.Service"),
            (
                r#""redirect": {"service": "a", "namespace": "default"}"#,
                "Redirect.Namespace cannot be set: it requires",
            ),
            (
                r#""redirect": {"service": "a", "partition": "p"}"#,
                "Redirect.Partition cannot be set: it requires",
            ),
            (
                r#""redirect": {"sameness_group": "g"}"#,
                "Redirect.SamenessGroup cannot be set: it requires Consul Enterprise",
            ),
            (
                r#""redirect": {"service": "a", "peer": "p", "service_subset": "s"}"#,
                "Redirect.Peer cannot be set with ServiceSubset",
            ),
            (
                r#""redirect": {"service": "a", "peer": "p", "datacenter": "d"}"#,
                "Redirect.Peer cannot be set with Datacenter",
            ),
            (
                r#""redirect": {"service": "web", "service_subset": "s"}"#,
                r#"Redirect.ServiceSubset "s" is not a valid subset of "web""#,
            ),
            (
                r#""redirect": {"service": "a", "service_subset": "S"}"#,
                r#"Redirect.ServiceSubset is "S", which names no subset"#,
            ),
            (
                r#""redirect": {"service": "a"}, "failover": {"*": {"service": "b"}}"#,
                "Redirect and Failover are mutually exclusive",
            ),
            (
                r#""failover": {"*": {}}"#,
                r#"Failover["*"] is empty: one of Service, ServiceSubset, Targets, or Datacenters"#,
            ),
            (
                r#""failover": {"v1": {"service": "a"}}"#,
                r#"Failover["v1"] "v1" is not a valid subset of "web""#,
            ),
            (r#""failover": {"": {"service": "a"}}"#, r#"Failover[""] "" is not a valid subset of "web""#),
            (
                r#""failover": {"*": {"service_subset": "v1"}}"#,
                r#"Failover["*"].ServiceSubset "v1" is not a valid subset"#,
            ),
            (
                r#""failover": {"*": {"service": "a", "service_subset": "_"}}"#,
                r#"Failover["*"].ServiceSubset is "_", which"#,
            ),
            (
                r#""failover": {"*": {"namespace": "n"}}"#,
                r#"Failover["*"].Namespace cannot be set: it requires"#,
            ),
            (
                r#""failover": {"*": {"sameness_group": "g"}}"#,
                r#"Failover["*"].SamenessGroup cannot be set: it requires"#,
            ),
            (
                r#""failover": {"*": {"service": "a", "policy": {"mode": "sequential"}}}"#,
                r#"Failover["*"].Policy cannot be set"#,
            ),
            (
                r#""failover": {"*": {"service": "a", "policy": {"regions": ["r"]}}}"#,
                r#"Failover["*"].Policy cannot be set"#,
            ),
            (
                r#""failover": {"*": {"datacenters": ["dc2"], "targets": [{"service": "a"}]}}"#,
                r#"Failover["*"].Targets cannot be set with Datacenters"#,
            ),
            (
                r#""failover": {"*": {"service": "a", "targets": [{"service": "a"}]}}"#,
                r#"Failover["*"].Targets cannot be set with Service;"#,
            ),
            (
                r#""subsets": {"s": {}}, "failover": {"*": {"service_subset": "s", "targets": [{"service": "a"}]}}"#,
                r#"Failover["*"].Targets cannot be set with ServiceSubset"#,
            ),
            (
                r#""failover": {"*": {"targets": [{"service": "a"}, {"partition": "p"}]}}"#,
                r#"Failover["*"].Targets[1].Partition cannot be set: it requires"#,
            ),
            (
                r#""failover": {"*": {"targets": [{"sameness_group": "g"}]}}"#,
                r#"Failover["*"].Targets[0].SamenessGroup cannot be set: it requires"#,
            ),
            (
                r#""failover": {"*": {"targets": [{"namespace": "n"}]}}"#,
                r#"Failover["*"].Targets[0].Namespace cannot be set: it requires"#,
            ),
            (
                r#""failover": {"*": {"targets": [{"peer": "p", "service": "a", "service_subset": "s"}]}}"#,
                r#"Failover["*"].Targets[0].Peer cannot be set with ServiceSubset"#,
            ),
            (
                r#""failover": {"*": {"targets": [{"peer": "p", "datacenter": "d"}]}}"#,
                r#"Failover["*"].Targets[0].Peer cannot be set with Datacenter"#,
            ),
            (
                r#""failover": {"*": {"targets": [{"service_subset": "s"}]}}"#,
                r#"Failover["*"].Targets[0].ServiceSubset "s" is not a valid subset of "web""#,
            ),
        ],
    );
    assert_eq!(count, 39);
}

#[test]
fn n_183_load_balancers_are_refused_by_field() {
    let wrap = |said: &str| format!(r#""load_balancer": {{{said}}}"#);
    let count = refused(
        "service-resolver",
        wrap,
        &[
            (
                r#""ring_hash_config": {}"#,
                r#"LoadBalancer.RingHashConfig is specified for incompatible load balancing policy """#,
            ),
            (
                r#""policy": "maglev", "ring_hash_config": {}"#,
                "LoadBalancer.RingHashConfig is specified for incompatible",
            ),
            (
                r#""policy": "random", "least_request_config": {}"#,
                "LoadBalancer.LeastRequestConfig is specified for",
            ),
            (
                r#""policy": "round_robin", "hash_policies": [{"source_ip": true}]"#,
                "LoadBalancer.HashPolicies is specified for",
            ),
            (r#""hash_policies": [{"source_ip": true}]"#, "LoadBalancer.HashPolicies is specified for"),
            (
                r#""policy": "ring_hash", "ring_hash_config": {"minimum_ring_size": 8388609}"#,
                "LoadBalancer.RingHashConfig.MinimumRingSize is 8388609; use at most 8388608",
            ),
            (
                r#""policy": "ring_hash", "ring_hash_config": {"maximum_ring_size": 8388609}"#,
                "LoadBalancer.RingHashConfig.MaximumRingSize is 8388609; use at most 8388608",
            ),
        ],
    );
    let wrap =
        |said: &str| format!(r#""load_balancer": {{"policy": "maglev", "hash_policies": [{{{said}}}]}}"#);
    let at = "LoadBalancer.HashPolicies[0]";
    let hashes = [
        (r#""field": "header""#, format!("{at}.FieldValue is required")),
        (r#""field": "cookie""#, format!("{at}.FieldValue is required")),
        (r#""field_value": "x""#, format!("{at}.FieldValue cannot be set without Field")),
        (
            r#""field": "header", "field_value": "x", "cookie_config": {}"#,
            format!("{at}.CookieConfig cannot be set without Field cookie"),
        ),
        (r#""cookie_config": {}"#, format!("{at}.CookieConfig cannot be set without Field cookie")),
        (
            r#""field": "cookie", "field_value": "x", "cookie_config": {"session": true, "ttl": 1}"#,
            format!("{at}.CookieConfig.Session cannot be set with TTL"),
        ),
        (
            r#""field": "cookie", "field_value": "x", "cookie_config": {"ttl": -1}"#,
            format!("{at}.CookieConfig.TTL cannot be negative"),
        ),
    ];
    for (said, fault) in &hashes {
        told("service-resolver", &wrap(said), &[fault]);
    }
    told(
        "service-resolver",
        &wrap(r#""source_ip": true, "field": "header", "field_value": "x""#),
        &[
            &format!("{at}.SourceIP cannot be set with Field;"),
            &format!("{at}.SourceIP cannot be set with FieldValue;"),
        ],
    );
    assert_eq!(count + hashes.len(), 14);
}

#[test]
fn n_184_what_is_too_large_is_refused_by_field() {
    let many = |one: &str, count: usize| vec![one; count].join(",");
    let cases = [
        (
            "service-router",
            format!(r#""routes": [{}]"#, many("{}", ROUTES_MAX + 1)),
            "Routes exceeds maximum element count",
        ),
        (
            "service-router",
            format!(
                r#""routes": [{{"match": {{"http": {{"header": [{}]}}}}}}]"#,
                many(r#"{"name": "a", "present": true}"#, HEADERS_MAX + 1)
            ),
            "Routes[0].Match.HTTP.Header exceeds maximum element count",
        ),
        (
            "service-router",
            format!(
                r#""routes": [{{"match": {{"http": {{"query_param": [{}]}}}}}}]"#,
                many(r#"{"name": "a", "present": true}"#, QUERY_PARAMS_MAX + 1)
            ),
            "Routes[0].Match.HTTP.QueryParam exceeds maximum element count",
        ),
        (
            "service-router",
            format!(
                r#""routes": [{{"match": {{"http": {{"path_regex": "{}"}}}}}}]"#,
                "a".repeat(PATTERN_BYTES_MAX + 1)
            ),
            "Routes[0].Match.HTTP.PathRegex exceeds maximum length",
        ),
        (
            "service-router",
            format!(
                r#""routes": [{{"destination": {{"request_headers": {{"remove": [{}]}}}}}}]"#,
                many(r#""a""#, HEADERS_MAX + 1)
            ),
            "Routes[0].Destination.RequestHeaders.Remove exceeds maximum element count",
        ),
        (
            "service-resolver",
            format!(
                r#""subsets": {{{}}}"#,
                (0..=SUBSETS_MAX).map(|i| format!(r#""s{i}": {{}}"#)).collect::<Vec<_>>().join(",")
            ),
            "Subsets exceeds maximum element count",
        ),
        (
            "service-resolver",
            format!(
                r#""failover": {{"*": {{"datacenters": [{}]}}}}"#,
                many(r#""dc2""#, FAILOVER_TARGETS_MAX + 1)
            ),
            r#"Failover["*"].Datacenters exceeds maximum element count"#,
        ),
        (
            "service-resolver",
            format!(
                r#""failover": {{"*": {{"targets": [{}]}}}}"#,
                many(r#"{"service": "a"}"#, FAILOVER_TARGETS_MAX + 1)
            ),
            r#"Failover["*"].Targets exceeds maximum element count"#,
        ),
        ("service-resolver", format!(r#""subsets": {{"{}": {{}}}}"#, "a".repeat(64)), "Subsets["),
    ];
    for (kind, said, fault) in &cases {
        told(kind, said, &[fault]);
    }
    let split = |i| format!(r#"{{"weight": 0, "service": "s{i}"}}"#);
    let splits = (0..SPLITS_MAX).map(split).collect::<Vec<_>>().join(",");
    let splits = format!(r#""splits": [{splits}, {{"weight": 100}}]"#);
    told("service-splitter", &splits, &["Splits exceeds maximum element count"]);
    for kind in ["service-router", "service-splitter", "service-resolver"] {
        let whole = if kind == "service-splitter" { r#""splits": [{"weight": 100}]"# } else { "" };
        let pairs = (0..=META_PAIRS_MAX).map(|i| format!(r#""k{i}": "v""#)).collect::<Vec<_>>().join(",");
        let scope = r#"{"namespace": "default", "name": "web"}"#;
        let text = format!(r#"{{"{kind}": {{"scope": {scope}, "said": {{{whole}}}, "meta": {{{pairs}}}}}}}"#);
        let found = faults(&serde_json::from_str(&text).unwrap());
        assert_eq!(found, ["Meta exceeds maximum element count 64; it has 65"], "{kind}");
        let found = faults(&named(kind, "*", whole));
        assert_eq!(found, ["Name must be the name of a service, and not a wildcard"], "{kind}");
    }
}

#[test]
fn what_routers_splitters_and_resolvers_may_say_is_accepted() {
    let cases = [
        ("service-router", ""),
        ("service-router", r#""routes": [{}]"#),
        ("service-router", r#""routes": [{"destination": {"request_timeout": -1, "idle_timeout": -1}}]"#),
        (
            "service-router",
            r#""routes": [{"match": {"http": {"path_prefix": "/a", "case_insensitive": true, "methods": ["GET", "PUT"],
            "header": [{"name": "x", "regex": "^a+$", "invert": true}, {"name": "y", "suffix": "z"}],
            "query_param": [{"name": "q", "exact": "1"}]}},
            "destination": {"service": "api", "service_subset": "v1", "namespace": "default", "partition": "default",
            "prefix_rewrite": "/", "request_timeout": 5, "retry_on": ["5xx", "reset"], "retry_on_status_codes": [503]}}]"#,
        ),
        ("service-splitter", r#""splits": [{"weight": 100}]"#),
        ("service-splitter", r#""splits": [{"weight": 0}, {"weight": 99.995, "service": "a"}]"#),
        (
            "service-splitter",
            r#""splits": [{"weight": 33.33}, {"weight": 33.33, "service_subset": "a"}, {"weight": 33.34, "service": "b"}]"#,
        ),
        (
            "service-splitter",
            r#""splits": [{"weight": 90, "service": "a"}, {"weight": 10, "service": "a", "request_headers": {"set": {"x": "y"}}}]"#,
        ),
        ("service-resolver", ""),
        ("service-resolver", r#""redirect": {"datacenter": "dc2"}"#),
        ("service-resolver", r#""redirect": {"service": "a", "peer": "east"}"#),
        (
            "service-resolver",
            r#""prioritize_by_locality": {}, "failover": {"*": {"service": "a", "policy": {}}}"#,
        ),
        (
            "service-resolver",
            r#""default_subset": "v1", "subsets": {"v1": {"filter": "Service.Meta.v == v1", "only_passing": true}},
            "failover": {"v1": {"datacenters": ["dc2", "dc3"]}, "*": {"targets": [{"peer": "east"}, {"datacenter": "dc2"}]}}"#,
        ),
        (
            "service-resolver",
            r#""load_balancer": {"policy": "ring_hash", "ring_hash_config": {"minimum_ring_size": 8},
            "hash_policies": [{"source_ip": true, "terminal": true}, {"field": "cookie", "field_value": "c",
            "cookie_config": {"session": true, "path": "/"}}]}"#,
        ),
        (
            "service-resolver",
            r#""load_balancer": {"policy": "least_request", "least_request_config": {"choice_count": 4}}"#,
        ),
    ];
    for (kind, said) in cases {
        told(kind, said, &[]);
    }
}

#[test]
fn entries_are_linked_to_the_services_that_they_name() {
    let names =
        |entry: &Entry| links(entry).iter().map(|link| link.name.to_string()).collect::<Vec<_>>().join(" ");
    let router = r#""routes": [{"destination": {"service": "b"}}, {"destination": {"service": "a"}}, {},
        {"destination": {"service": "web"}}, {"destination": {"service": "b", "service_subset": "x"}}]"#;
    assert_eq!(names(&entry("service-router", router)), "a b");
    let splitter = r#""splits": [{"weight": 50}, {"weight": 50, "service": "c"}]"#;
    assert_eq!(names(&entry("service-splitter", splitter)), "c");
    assert_eq!(names(&entry("service-resolver", r#""redirect": {"service": "d", "peer": "east"}"#)), "d");
    let failover = r#""failover": {"*": {"targets": [{"service": "e"}, {"service": "f", "peer": "east"}]},
        "x": {"service": "g", "datacenters": ["dc2"]}}"#;
    assert_eq!(names(&entry("service-resolver", failover)), "e g");
}
