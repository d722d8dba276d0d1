//! Config entries in both key styles.

mod gates;
pub(super) mod pages;

use concord_syntax::hcl;

use concord_model::intention::ServiceIntentions;

use super::*;

#[track_caller]
fn decoded(body: &str) -> ServiceIntentions {
    match decode_entry(body.as_bytes()).unwrap() {
        Entry::ServiceIntentions(entry) => entry,
        other => panic!("not intentions: {other:?}"),
    }
}

#[track_caller]
fn refused(body: &str, status: u16, text: &str) {
    let found = decode_entry(body.as_bytes()).expect_err("must be refused");
    assert_eq!((found.to_string().as_str(), found.status()), (text, status));
}

fn with_sources(sources: &str) -> String {
    format!(r#"{{"Kind":"service-intentions","Name":"db","Sources":{sources}}}"#)
}

#[test]
fn json_and_hcl_in_both_styles_mean_the_same() {
    let camel = decoded(
        r#"{"Kind":"service-intentions","Name":"db","Meta":{"a":"b"},
        "Sources":[{"Name":"*","Action":"deny"},{"Name":"web","Action":"allow","Description":"d"}]}"#,
    );
    let node = hcl::parse(
        r#"kind = "service-intentions" name = "db" meta { a = "b" }
        sources { name = "*" action = "deny" }
        sources { name = "web" action = "allow" description = "d" }"#,
    )
    .unwrap();
    assert_eq!(entry_from_node(&node, "x.hcl").unwrap(), Entry::ServiceIntentions(camel.clone()));
    let names: Vec<_> = camel.sources.iter().map(|source| source.source.name.as_str()).collect();
    assert_eq!(names, ["web", "*"], "by falling precedence");
}

#[test]
fn an_answer_can_be_sent_back() {
    let entry = decoded(&with_sources(
        r#"[{"Name":"web","Action":"allow"},{"Name":"x","Peer":"east","Action":"deny"}]"#,
    ));
    let shape = ConfigEntry::from_model(&Entry::ServiceIntentions(entry.clone()));
    let text = json(&shape, Layout::Pretty).unwrap();
    assert_eq!(decoded(std::str::from_utf8(&text).unwrap()), entry);
    let Said::ServiceIntentions(said) = &shape.said else { panic!("not intentions: {shape:?}") };
    assert_eq!((said.sources[0].precedence, said.sources[0].kind.as_str()), (9, "consul"));
    assert_ne!(shape.hash, 0);
}

#[test]
fn an_empty_list_is_shown_as_null_and_a_missing_filter_is_left_out() {
    let shown = |body: &str| {
        let entry = decode_entry(body.as_bytes()).unwrap();
        String::from_utf8(json(&ConfigEntry::from_model(&entry), Layout::Compact).unwrap()).unwrap()
    };
    let router = shown(r#"{"Kind":"service-router","Name":"web","Routes":[]}"#);
    assert!(router.contains(r#""Routes":null"#), "{router}");
    let rule = r#"{"Filters":{"JWT":null},"Services":[{"Name":"web"}]}"#;
    let route = shown(&format!(r#"{{"Kind":"http-route","Name":"shop","Rules":[{rule}]}}"#));
    assert!(route.contains(r#""Filters":{"#) && !route.contains("JWT"), "{route}");
}

#[test]
fn a_field_in_two_spellings_is_refused() {
    for (body, expected) in [
        (
            r#"{"Kind":"service-intentions","Name":"db","Sources":[{"Name":"web","Action":"deny","action":"allow"}]}"#,
            r#"Sources[0].action: "action" is the same field as "Action", which is given, too; write it once"#,
        ),
        (
            r#"{"Kind":"service-defaults","Name":"db","Protocol":"http","protocol":"tcp"}"#,
            r#"protocol: "protocol" is the same field as "Protocol""#,
        ),
    ] {
        let refused = decode_entry(body.as_bytes()).unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
    }
    let node = hcl::parse("Kind = \"service-defaults\" Name = \"db\" Protocol = \"http\" protocol = \"tcp\"")
        .unwrap();
    let refused = entry_from_node(&node, "x.hcl").unwrap_err().to_string();
    assert!(refused.contains("same field"), "{refused}");
}

#[test]
fn demanded_tokens_are_read_shown_and_hashed() {
    let with = |jwt: &str| {
        let permission = format!(r#"{{"Action":"allow","HTTP":{{"PathPrefix":"/"}},"JWT":{jwt}}}"#);
        decoded(&format!(
            r#"{{"Kind":"service-intentions","Name":"db","JWT":{jwt},"Sources":[{{"Name":"web","Permissions":[{permission}]}}]}}"#
        ))
    };
    let entry =
        with(r#"{"Providers":[{"Name":"okta","VerifyClaims":[{"Path":["groups"],"Value":"admin"}]}]}"#);
    let node = hcl::parse(
        r#"Kind = "service-intentions" Name = "db"
        JWT { Providers = [{ Name = "okta", VerifyClaims = [{ Path = ["groups"], Value = "admin" }] }] }
        Sources { Name = "web" Permissions { Action = "allow" HTTP { PathPrefix = "/" }
            JWT { Providers { Name = "okta" VerifyClaims { Path = ["groups"] Value = "admin" } } } } }"#,
    )
    .unwrap();
    assert_eq!(entry_from_node(&node, "x.hcl").unwrap(), Entry::ServiceIntentions(entry.clone()));
    let shape = |entry: &ServiceIntentions| ConfigEntry::from_model(&Entry::ServiceIntentions(entry.clone()));
    let text = json(&shape(&entry), Layout::Pretty).unwrap();
    assert_eq!(decoded(std::str::from_utf8(&text).unwrap()), entry);
    let other = with(r#"{"Providers":[{"Name":"okta"}]}"#);
    assert_ne!(shape(&entry).hash, shape(&other).hash);
}

#[test]
fn the_hash_is_of_the_content_only() {
    let mut entry = decoded(&with_sources(r#"[{"Name":"web","Action":"allow"}]"#));
    let hash =
        |entry: &ServiceIntentions| ConfigEntry::from_model(&Entry::ServiceIntentions(entry.clone())).hash;
    let before = hash(&entry);
    entry.stamp.modify = 99;
    assert_eq!(hash(&entry), before);
    entry.meta.insert("a".to_owned(), "b".to_owned());
    assert_ne!(hash(&entry), before);
}

#[test]
fn entries_that_say_too_little_or_too_much_are_refused() {
    let decoding = "Request decoding failed: ";
    refused("{}", 400, &format!("{decoding}Payload does not contain a kind/Kind key at the top level"));
    refused(r#"{"Kind":1}"#, 400, &format!("{decoding}Kind value in payload is not a string"));
    refused(r#"{"Kind":"cake"}"#, 400, "Request decoding failed: invalid config entry kind: cake");
    refused(r#"{"Kind":"sameness-group"}"#, 501, "not available yet: config entry kind sameness-group");
    refused(r#"{"Kind":"service-intentions"}"#, 400, "Name is required; At least one source is required");
    refused(&with_sources(r#"[{"Action":"allow"}]"#), 400, "Sources[0].Name is required");
    refused(&with_sources(r#"[{"Name":"a"}]"#), 400, "Sources[0].Action must be set to 'allow' or 'deny'");
    refused(
        &with_sources(r#"[{"Name":"a","Action":"allow"},{"Name":"a","Action":"deny"}]"#),
        400,
        "Sources[1] defines \"a\" more than once",
    );
    refused(
        &with_sources(r#"[{"Name":"a*","Action":"allow"}]"#),
        400,
        "Sources[0].Name: wildcard character '*' cannot be used with partial values",
    );
    refused(
        &with_sources(r#"[{"Name":"a","Action":"allow","Type":"x"}]"#),
        400,
        "Sources[0].Type must be set to 'consul'",
    );
    refused(
        &with_sources(r#"[{"Name":"a","Action":"allow","LegacyMeta":{"a":"b"}}]"#),
        400,
        "Sources[0].LegacyMeta must be omitted",
    );
    refused(
        &with_sources(r#"[{"Name":"a","Action":"allow","SamenessGroup":"g"}]"#),
        501,
        "not available yet: sameness groups",
    );
    refused(
        &with_sources(r#"[{"Name":"a","Action":"allow","Namespace":"n"}]"#),
        400,
        "Invalid Sources[0].Namespace(n): Namespaces is a Consul Enterprise feature",
    );
}

/// Such a kind would be accepted in a body, and left out of `config_entries.bootstrap`.
#[test]
fn no_kind_is_built_and_unbuilt() {
    for kind in EntryKind::ALL {
        assert!(!UNBUILT.contains(&kind.as_str()), "{kind} is built: take it out of UNBUILT in entry.rs");
    }
}

#[test]
fn unknown_keys_of_entries_are_refused_with_the_nearest() {
    let body = r#"{"Kind":"service-intentions","Name":"db","Sourcse":[]}"#;
    let found = decode_entry(body.as_bytes()).unwrap_err();
    assert_eq!(found.status(), 400);
    let text = found.to_string();
    assert!(text.contains("Sourcse") && text.contains("Sources"), "{text}");
    let text = decode_entry(br#"{"Kind":"service-intentions","Nmae":"db"}"#).unwrap_err().to_string();
    assert!(text.contains(r#"unknown key "Nmae", did you mean "Name"?"#), "{text}");
    let body =
        r#"{"Kind":"service-intentions","Name":"db","Sources":[{"Name":"a","Action":"allow","Kind":""}]}"#;
    let text = decode_entry(body.as_bytes()).unwrap_err().to_string();
    assert!(
        text.contains(r#"unknown key "Kind""#),
        "what an entry has at its top is nothing below it: {text}"
    );
}

#[test]
fn ids_of_the_older_api_may_be_sent_back_and_end_there() {
    let body = with_sources(
        r#"[{"Name":"a","Action":"allow","LegacyID":"07070707-0707-0707-0707-070707070707",
        "LegacyCreateTime":"2026-01-01T00:00:00Z","LegacyUpdateTime":"2026-01-01T00:00:00Z"}]"#,
    );
    assert_eq!(decoded(&body).sources[0].legacy, None);
}

#[track_caller]
fn both_ways(body: &str, shown: &str) -> Entry {
    let entry = decode_entry(body.as_bytes()).unwrap_or_else(|faults| panic!("{body}: {faults}"));
    let text = String::from_utf8(json(&ConfigEntry::from_model(&entry), Layout::Compact).unwrap()).unwrap();
    let (said, rest) = text.split_once(r#","Hash":"#).unwrap();
    assert_eq!(said, shown);
    assert!(rest.ends_with(r#","CreateIndex":0,"ModifyIndex":0}"#), "{rest}");
    assert_eq!(decode_entry(text.as_bytes()).unwrap(), entry, "an answer can be sent back");
    entry
}

#[test]
fn defaults_of_a_service_are_read_in_both_styles_and_shown_as_consul_does() {
    let shown = concat!(
        r#"{"Kind":"service-defaults","Name":"web","Protocol":"http","TransparentProxy":{"DialedDirectly":true},"#,
        r#""MutualTLSMode":"strict","MeshGateway":{"Mode":"local"},"Expose":{"Paths":[{"ListenerPort":21500,"#,
        r#""Path":"/m","LocalPathPort":80,"Protocol":"http"}]},"ExternalSNI":"x","UpstreamConfig":{"Overrides":"#,
        r#"[{"Name":"db","Peer":"east","EnvoyListenerJSON":"{}","ConnectTimeoutMs":5,"Limits":"#,
        r#"{"MaxConnections":0},"PassiveHealthCheck":{"Interval":10000000000,"EnforcingConsecutive5xx":0},"#,
        r#""MeshGateway":{}}]},"LocalConnectTimeoutMs":7,"Meta":{"a":"b"}"#
    );
    let camel = both_ways(
        r#"{"Kind":"service-defaults","Name":"web","Protocol":"HTTP","TransparentProxy":{"DialedDirectly":true},
        "MutualTLSMode":"strict","MeshGateway":{"Mode":"local"},"ExternalSNI":"x","LocalConnectTimeoutMs":7,
        "Expose":{"Paths":[{"ListenerPort":21500,"Path":"/m","LocalPathPort":80,"Protocol":"http"}]},
        "UpstreamConfig":{"Overrides":[{"Name":"db","Peer":"east","EnvoyListenerJSON":"{}","ConnectTimeoutMs":5,
        "Limits":{"MaxConnections":0},
        "PassiveHealthCheck":{"Interval":"10s","EnforcingConsecutive5xx":0}}]},"Meta":{"a":"b"}}"#,
        shown,
    );
    let node = hcl::parse(
        r#"kind = "service-defaults" name = "web" protocol = "http" transparent_proxy { dialed_directly = true }
        mutual_tls_mode = "strict" mesh_gateway { mode = "local" } external_sni = "x"
        local_connect_timeout_ms = 7 meta { a = "b" }
        expose { paths { listener_port = 21500 path = "/m" local_path_port = 80 protocol = "http" } }
        upstream_config { overrides { name = "db" peer = "east" envoy_listener_json = "{}" connect_timeout_ms = 5
        limits { max_connections = 0 } passive_health_check { interval = "10s" enforcing_consecutive_5xx = 0 } } }"#,
    )
    .unwrap();
    assert_eq!(entry_from_node(&node, "x.hcl").unwrap(), camel);
    both_ways(
        r#"{"Kind":"service-defaults","Name":"web"}"#,
        r#"{"Kind":"service-defaults","Name":"web","Protocol":"","TransparentProxy":{},"MeshGateway":{},"Expose":{}"#,
    );
}

#[test]
fn defaults_of_proxies_and_the_mesh_need_no_name_and_keep_what_is_opaque() {
    both_ways(
        r#"{"Kind":"proxy-defaults","Config":{"protocol":"grpc","local_connect_timeout_ms":1,"z":{"b":1,"a":2}},
        "AccessLogs":{"Enabled":true,"Type":"file","Path":"/x"}}"#,
        concat!(
            r#"{"Kind":"proxy-defaults","Name":"global","Config":{"local_connect_timeout_ms":1,"protocol":"grpc","#,
            r#""z":{"a":2,"b":1}},"TransparentProxy":{},"MeshGateway":{},"Expose":{},"AccessLogs":{"Enabled":true,"#,
            r#""Type":"file","Path":"/x"}"#
        ),
    );
    both_ways(
        r#"{"Kind":"mesh","AllowEnablingPermissiveMutualTLS":true,"TLS":{"Incoming":{"TLSMinVersion":"TLSv1_2"}},
        "HTTP":{"Incoming":{"RequestNormalization":{"MergeSlashes":true}}},"Peering":{}}"#,
        concat!(
            r#"{"Kind":"mesh","Name":"mesh","TransparentProxy":{"MeshDestinationsOnly":false},"#,
            r#""AllowEnablingPermissiveMutualTLS":true,"TLS":{"Incoming":{"TLSMinVersion":"TLSv1_2"}},"#,
            r#""HTTP":{"SanitizeXForwardedClientCert":false,"Incoming":{"RequestNormalization":"#,
            r#"{"InsecureDisablePathNormalization":false,"MergeSlashes":true,"PathWithEscapedSlashesAction":"","#,
            r#""HeadersWithUnderscoresAction":""}}},"Peering":{"PeerThroughMeshGateways":false}"#
        ),
    );
}

#[test]
fn what_the_defaults_cannot_say_is_refused_by_its_field() {
    let said = |body: &str| decode_entry(body.as_bytes()).expect_err(body).to_string();
    let defaults = |more: &str| said(&format!(r#"{{"Kind":"service-defaults","Name":"web",{more}}}"#));
    assert!(
        defaults(r#""Protocol":"ftp""#)
            .contains(r#"Protocol: "ftp" is not a protocol; use one of tcp, http"#)
    );
    assert!(defaults(r#""Protcol":"tcp""#).contains(r#"unknown key "Protcol", did you mean "Protocol"?"#));
    assert!(defaults(r#""Scope":{}"#).contains(r#"unknown key "Scope""#), "what only the log has");
    assert!(defaults(r#""Stamp":{}"#).contains(r#"unknown key "Stamp""#));
    assert!(defaults(r#""LocalConnectTimeoutMs":-1"#).contains("LocalConnectTimeoutMs"));
    let interval = r#""UpstreamConfig":{"Defaults":{"PassiveHealthCheck":{"Interval":"10"}}}"#;
    assert!(
        defaults(interval).contains("Interval: time: missing unit in duration"),
        "{}",
        defaults(interval)
    );
    let name = said(r#"{"Kind":"service-defaults"}"#);
    assert_eq!(name, "Name is required");
    assert!(defaults(r#""Namespace":"n""#).contains("Namespaces is a Consul Enterprise feature"));
}

#[test]
fn n_161_what_would_leave_something_open_is_refused_by_the_api_too() {
    let refused = |more: &str, field: &str| {
        let body = format!(r#"{{"Kind":"service-defaults","Name":"web",{more}}}"#);
        let found = decode_entry(body.as_bytes()).expect_err(&body);
        assert_eq!(found.status(), 501, "{found}");
        assert!(
            found.to_string().starts_with(&format!("not available yet: {field} of service-defaults")),
            "{found}"
        );
    };
    refused(r#""EnvoyExtensions":[{"Name":"builtin/ext-authz"}]"#, "EnvoyExtensions");
    let nothing =
        r#"{"Kind":"service-defaults","Name":"web","MaxInboundConnections":5,"EnvoyExtensions":[]}"#;
    assert!(decode_entry(nothing.as_bytes()).is_ok());
}

/// The same entry in both key styles and both syntaxes.
#[track_caller]
fn every_way(camel: &str, hcl: &str, shown: &str) {
    let entry = both_ways(camel, shown);
    let node = hcl::parse(hcl).unwrap();
    assert_eq!(entry_from_node(&node, "x.hcl").unwrap(), entry);
}

#[test]
fn routers_are_read_in_both_styles_and_shown_as_consul_does() {
    every_way(
        r#"{"Kind":"service-router","Name":"web","Routes":[{"Match":{"HTTP":{"PathPrefix":"/api","CaseInsensitive":true,
        "Header":[{"Name":"x-debug","Exact":"1","Invert":true}],"QueryParam":[{"Name":"q","Present":true}],
        "Methods":["get","POST"]}},"Destination":{"Service":"api","ServiceSubset":"v1","Namespace":"default",
        "PrefixRewrite":"/","RequestTimeout":"1m30s","IdleTimeout":5,"NumRetries":3,"RetryOnConnectFailure":true,
        "RetryOn":["5xx","reset"],"RetryOnStatusCodes":[503],"RequestHeaders":{"Add":{"x-a":"1"},"Set":{"x-b":"2"},
        "Remove":["x-c"]}}},{"Destination":{"Service":"","ServiceSubset":"v2","ResponseHeaders":{}}}]}"#,
        r#"kind = "service-router" name = "web"
        routes {
            match { http { path_prefix = "/api" case_insensitive = true
                header { name = "x-debug" exact = "1" invert = true }
                query_param { name = "q" present = true } methods = ["GET", "post"] } }
            destination { service = "api" service_subset = "v1" namespace = "default" prefix_rewrite = "/"
                request_timeout = "90s" idle_timeout = 5 num_retries = 3 retry_on_connect_failure = true
                retry_on = ["5xx", "reset"] retry_on_status_codes = [503]
                request_headers { add { x-a = "1" } set { x-b = "2" } remove = ["x-c"] } }
        }
        routes { destination { service_subset = "v2" response_headers {} } }"#,
        concat!(
            r#"{"Kind":"service-router","Name":"web","Routes":[{"Match":{"HTTP":{"PathPrefix":"/api","#,
            r#""CaseInsensitive":true,"Header":[{"Name":"x-debug","Exact":"1","Invert":true}],"#,
            r#""QueryParam":[{"Name":"q","Present":true}],"Methods":["GET","POST"]}},"#,
            r#""Destination":{"RequestTimeout":"1m30s","IdleTimeout":"5ns","Service":"api","ServiceSubset":"v1","#,
            r#""Namespace":"default","PrefixRewrite":"/","NumRetries":3,"RetryOnConnectFailure":true,"#,
            r#""RetryOn":["5xx","reset"],"RetryOnStatusCodes":[503],"RequestHeaders":{"Add":{"x-a":"1"},"#,
            r#""Set":{"x-b":"2"},"Remove":["x-c"]}}},{"Destination":{"ServiceSubset":"v2","ResponseHeaders":{}}}]"#,
        ),
    );
}

#[test]
fn splitters_are_read_in_both_styles_and_shown_as_consul_does() {
    every_way(
        r#"{"Kind":"service-splitter","Name":"web","Splits":[{"Weight":99.994,"ServiceSubset":"v1"},
        {"Weight":0.01,"Service":"api","RequestHeaders":{"Set":{"X_Kept":"1"}}},{"Weight":0}]}"#,
        r#"kind = "service-splitter" name = "web"
        splits { weight = 99.99 service_subset = "v1" }
        splits { weight = 0.01 service = "api" request_headers { set { X_Kept = "1" } } }
        splits { weight = 0 }"#,
        concat!(
            r#"{"Kind":"service-splitter","Name":"web","Splits":[{"Weight":99.99,"ServiceSubset":"v1"},"#,
            r#"{"Weight":0.01,"Service":"api","RequestHeaders":{"Set":{"X_Kept":"1"}}},{"Weight":0}]"#,
        ),
    );
}

#[test]
fn resolvers_are_read_in_both_styles_and_shown_as_consul_does() {
    every_way(
        r#"{"Kind":"service-resolver","Name":"web","DefaultSubset":"v1","Subsets":{"v1":{"Filter":"Service.Meta.v == 1"},
        "v2":{"OnlyPassing":true}},"Failover":{"*":{"Datacenters":["dc2","dc3"]},"v2":{"Targets":[{"Service":"api",
        "Datacenter":"dc2"},{"Peer":"east"}]}},"ConnectTimeout":"15s","RequestTimeout":1000000,
        "LoadBalancer":{"Policy":"ring_hash","RingHashConfig":{"MinimumRingSize":10,"MaximumRingSize":20},
        "HashPolicies":[{"Field":"cookie","FieldValue":"c","CookieConfig":{"TTL":"10s","Path":"/"},"Terminal":true},
        {"SourceIP":true}]}}"#,
        r#"kind = "service-resolver" name = "web" default_subset = "v1"
        subsets = { v1 = { filter = "Service.Meta.v == 1" } v2 = { only_passing = true } }
        failover = { "*" = { datacenters = ["dc2", "dc3"] }
            v2 = { targets = [{ service = "api" datacenter = "dc2" }, { peer = "east" }] } }
        connect_timeout = 15000000000 request_timeout = "1ms"
        load_balancer { policy = "ring_hash" ring_hash_config { minimum_ring_size = 10 maximum_ring_size = 20 }
            hash_policies = [{ field = "cookie" field_value = "c" cookie_config { ttl = "10s" path = "/" } terminal = true },
                { source_ip = true }] }"#,
        concat!(
            r#"{"Kind":"service-resolver","Name":"web","ConnectTimeout":"15s","RequestTimeout":"1ms","DefaultSubset":"v1","#,
            r#""Subsets":{"v1":{"Filter":"Service.Meta.v == 1"},"v2":{"OnlyPassing":true}},"#,
            r#""Failover":{"*":{"Datacenters":["dc2","dc3"]},"v2":{"Targets":[{"Service":"api","Datacenter":"dc2"},"#,
            r#"{"Peer":"east"}]}},"LoadBalancer":{"Policy":"ring_hash","RingHashConfig":{"MinimumRingSize":10,"#,
            r#""MaximumRingSize":20},"HashPolicies":[{"Field":"cookie","FieldValue":"c","CookieConfig":{"#,
            r#""TTL":10000000000,"Path":"/"},"Terminal":true},{"SourceIP":true}]}"#,
        ),
    );
    every_way(
        r#"{"Kind":"service-resolver","Name":"web","Redirect":{"Service":"api","Datacenter":"dc2"},
        "LoadBalancer":{"Policy":"least_request","LeastRequestConfig":{"ChoiceCount":3}}}"#,
        r#"kind = "service-resolver" name = "web" redirect { service = "api" datacenter = "dc2" }
        load_balancer { policy = "least_request" least_request_config { choice_count = 3 } }"#,
        concat!(
            r#"{"Kind":"service-resolver","Name":"web","Redirect":{"Service":"api","Datacenter":"dc2"},"#,
            r#""LoadBalancer":{"Policy":"least_request","LeastRequestConfig":{"ChoiceCount":3}}"#,
        ),
    );
}

#[test]
fn words_names_and_durations_of_routing_are_refused_by_their_field() {
    let told = |kind: &str, more: &str, field: &str, text: &str| {
        let body = format!(r#"{{"Kind":"service-{kind}","Name":"web",{more}}}"#);
        let told = decode_entry(body.as_bytes()).expect_err(&body).to_string();
        assert!(told.contains(field) && told.contains(text), "{body}: {told}");
    };
    told(
        "router",
        r#""Routes":[{"Match":{"HTTP":{"Methods":["BREW"]}}}]"#,
        "Routes[0].Match.HTTP.Methods[0]",
        r#""BREW" is not a method"#,
    );
    told(
        "router",
        r#""Routes":[{"Destination":{"RetryOn":["never"]}}]"#,
        "Routes[0].Destination.RetryOn[0]",
        r#""never" is not a condition"#,
    );
    told(
        "router",
        r#""Routes":[{"Destination":{"RequestTimeout":"5"}}]"#,
        "RequestTimeout",
        "missing unit in duration",
    );
    told("router", r#""Routes":[{"Destination":{"NumRetries":-1}}]"#, "NumRetries", "-1");
    told(
        "router",
        r#""Routes":[{"Match":{"HTTP":{"PathPrefx":"/"}}}]"#,
        "PathPrefx",
        r#"did you mean "PathPrefix"?"#,
    );
    told("router", r#""Routes":[{"Destination":{"Service":"a/b"}}]"#, "Routes[0].Destination.Service", "a/b");
    told("splitter", r#""Splits":[{"Weight":"much"}]"#, "Splits[0].Weight", "much");
    told(
        "resolver",
        r#""LoadBalancer":{"Policy":"best"}"#,
        "LoadBalancer.Policy",
        r#""best" is not a load balancing policy"#,
    );
    told(
        "resolver",
        r#""LoadBalancer":{"HashPolicies":[{"Field":"body"}]}"#,
        "LoadBalancer.HashPolicies[0].Field",
        r#""body" is not a field"#,
    );
    told("resolver", r#""Failover":{"*":{"Datacenters":["dc2",""]}}"#, "Datacenters[1]", "must not be empty");
    told("resolver", r#""Failover":{"*":{"Partition":"p"}}"#, "Partition", "unknown key");
    told("resolver", r#""ConnectTimeout":"soon""#, "ConnectTimeout", "soon");
}
