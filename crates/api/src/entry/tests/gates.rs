//! Tests of the kinds that are about gateways, tokens and exports: how they are read and shown.

use concord_model::Timestamp;
use concord_model::entry::Transition;
use concord_syntax::hcl;

use super::super::*;
use super::both_ways;

/// An entry in JSON in the style of the API and in HCL in the style of files, and how it is shown.
#[track_caller]
fn three_ways(camel: &str, snake: &str, shown: &str) {
    let entry = both_ways(camel, shown);
    let node = hcl::parse(snake).unwrap();
    let read = entry_from_node(&node, "x.hcl").unwrap_or_else(|faults| panic!("{snake}: {faults}"));
    assert_eq!(read, entry, "in HCL");
}

#[track_caller]
fn refused(body: &str, text: &str) {
    let found = decode_entry(body.as_bytes()).expect_err(body).to_string();
    assert!(found.contains(text), "{body}: {found}");
}

#[test]
fn issuers_of_tokens_are_read_in_both_styles_and_shown_as_consul_does() {
    three_ways(
        r#"{"Kind":"jwt-provider","Name":"okta","Issuer":"okta","Audiences":["shop"],
        "JSONWebKeySet":{"Remote":{"URI":"https://okta.example.com/keys","RequestTimeoutMs":5,"CacheDuration":"30m",
        "FetchAsynchronously":true,"RetryPolicy":{"NumRetries":3,"RetryPolicyBackOff":{"BaseInterval":"1s",
        "MaxInterval":"9s"}},"JWKSCluster":{"DiscoveryType":"static","ConnectTimeout":"2s",
        "TLSCertificates":{"CaCertificateProviderInstance":{"InstanceName":"i","CertificateName":"c"}}}}},
        "Locations":[{"Header":{"Name":"x-token","ValuePrefix":"Token ","Forward":true}},{"Cookie":{"Name":"c"}}],
        "Forwarding":{"HeaderName":"x-payload"},"CacheConfig":{"Size":5},"Meta":{"a":"b"}}"#,
        r#"kind = "jwt-provider" name = "okta" issuer = "okta" audiences = ["shop"]
        json_web_key_set { remote { uri = "https://okta.example.com/keys" request_timeout_ms = 5
          cache_duration = "30m" fetch_asynchronously = true
          retry_policy { num_retries = 3 retry_policy_back_off { base_interval = "1s" max_interval = "9s" } }
          jwks_cluster { discovery_type = "STATIC" connect_timeout = "2s"
            tls_certificates { ca_certificate_provider_instance { instance_name = "i" certificate_name = "c" } } } } }
        locations { header { name = "x-token" value_prefix = "Token " forward = true } }
        locations { cookie { name = "c" } }
        forwarding { header_name = "x-payload" } clock_skew_seconds = 0 cache_config { size = 5 } meta { a = "b" }"#,
        concat!(
            r#"{"Kind":"jwt-provider","Name":"okta","JSONWebKeySet":{"Remote":{"URI":"https://okta.example.com/keys","#,
            r#""RequestTimeoutMs":5,"CacheDuration":1800000000000,"FetchAsynchronously":true,"RetryPolicy":"#,
            r#"{"NumRetries":3,"RetryPolicyBackOff":{"BaseInterval":1000000000,"MaxInterval":9000000000}},"#,
            r#""JWKSCluster":{"DiscoveryType":"STATIC","TLSCertificates":{"CaCertificateProviderInstance":"#,
            r#"{"InstanceName":"i","CertificateName":"c"}},"ConnectTimeout":2000000000}}},"Issuer":"okta","#,
            r#""Audiences":["shop"],"Locations":[{"Header":{"Name":"x-token","ValuePrefix":"Token ","Forward":true}},"#,
            r#"{"Cookie":{"Name":"c"}}],"Forwarding":{"HeaderName":"x-payload","PadForwardPayloadHeader":false},"#,
            r#""ClockSkewSeconds":30,"CacheConfig":{"Size":5},"Meta":{"a":"b"}"#
        ),
    );
    let with = |more: &str| format!(r#"{{"Kind":"jwt-provider","Name":"okta",{more}}}"#);
    refused(
        &with(r#""JSONWebKeySet":{"Remote":{"JWKSCluster":{"DiscoveryType":"DNS"}}}"#),
        "use one of STRICT_DNS, STATIC",
    );
    refused(&with(r#""JSONWebKeySet":{"Local":{"JWKs":"","Keys":""}}"#), r#"unknown key "Keys""#);
    refused(&with(r#""ClockSkewSeconds":-1"#), "ClockSkewSeconds");
    refused(&with(r#""Namespace":"n""#), "Namespaces is a Consul Enterprise feature");
}

#[test]
fn gateways_of_services_are_read_in_both_styles_and_shown_as_consul_does() {
    three_ways(
        r#"{"Kind":"ingress-gateway","Name":"edge","TLS":{"Enabled":true,"TLSMinVersion":"TLSv1_2",
        "SDS":{"ClusterName":"c","CertResource":"r"}},
        "Defaults":{"MaxConnections":5,"PassiveHealthCheck":{"Interval":"10s","MaxFailures":3}},
        "Listeners":[{"Port":8080,"Protocol":"HTTP","Services":[{"Name":"*"},{"Name":"web","Hosts":["a.example.com"],
        "TLS":{"SDS":{"CertResource":"x"}},"RequestHeaders":{"Add":{"x-Y":"1"}},"ResponseHeaders":{"Remove":["z"]},
        "MaxPendingRequests":7}]},{"Port":9000,"Services":[{"Name":"db"}]}]}"#,
        r#"kind = "ingress-gateway" name = "edge"
        tls { enabled = true tls_min_version = "TLSv1_2" sds { cluster_name = "c" cert_resource = "r" } }
        defaults { max_connections = 5 passive_health_check { interval = "10s" max_failures = 3 } }
        listeners { port = 8080 protocol = "http" services { name = "*" } services { name = "web"
          hosts = ["a.example.com"] tls { sds { cert_resource = "x" } } request_headers { add { "x-Y" = "1" } }
          response_headers { remove = ["z"] } max_pending_requests = 7 } }
        listeners { port = 9000 protocol = "tcp" services { name = "db" } }"#,
        concat!(
            r#"{"Kind":"ingress-gateway","Name":"edge","TLS":{"Enabled":true,"SDS":{"ClusterName":"c","#,
            r#""CertResource":"r"},"TLSMinVersion":"TLSv1_2"},"Listeners":[{"Port":8080,"Protocol":"http","Services":"#,
            r#"[{"Name":"*","Hosts":null},{"Name":"web","Hosts":["a.example.com"],"TLS":{"SDS":{"CertResource":"x"}},"#,
            r#""RequestHeaders":{"Add":{"x-Y":"1"}},"ResponseHeaders":{"Remove":["z"]},"MaxPendingRequests":7}]},"#,
            r#"{"Port":9000,"Protocol":"tcp","Services":[{"Name":"db","Hosts":null}]}],"Defaults":{"MaxConnections":5,"#,
            r#""MaxPendingRequests":0,"MaxConcurrentRequests":0,"PassiveHealthCheck":{"Interval":10000000000,"#,
            r#""MaxFailures":3}}"#
        ),
    );
    three_ways(
        r#"{"Kind":"terminating-gateway","Name":"exit","Services":[{"Name":"*"},{"Name":"db","CAFile":"/a",
        "CertFile":"/c","KeyFile":"/k","SNI":"db","DisableAutoHostRewrite":true}],"Meta":{"a":"b"}}"#,
        r#"kind = "terminating-gateway" name = "exit" services { name = "*" } services { name = "db" ca_file = "/a"
        cert_file = "/c" key_file = "/k" sni = "db" disable_auto_host_rewrite = true } meta { a = "b" }"#,
        concat!(
            r#"{"Kind":"terminating-gateway","Name":"exit","Services":[{"Name":"*"},{"Name":"db","CAFile":"/a","#,
            r#""CertFile":"/c","KeyFile":"/k","SNI":"db","DisableAutoHostRewrite":true}],"Meta":{"a":"b"}"#
        ),
    );
    let ingress =
        |more: &str| format!(r#"{{"Kind":"ingress-gateway","Name":"edge","Listeners":[{{{more}}}]}}"#);
    refused(
        &ingress(r#""Protocol":"udp""#),
        "is not a protocol of listeners; use one of tcp, http, http2, grpc",
    );
    refused(&ingress(r#""Port":-1"#), "Listeners[0].Port");
    refused(&ingress(r#""Port":65536"#), "Listeners[0].Port");
    refused(&ingress(r#""Services":[{"Nmae":"x"}]"#), r#"unknown key "Nmae", did you mean "Name"?"#);
    refused(&ingress(r#""TLS":{"TLSMinVersion":"SSLv3"}"#), "is not a version of TLS; use one of TLS_AUTO");
    refused(&ingress(r#""Services":[{"Name":"a/b"}]"#), "Listeners[0].Services[0].Name");
}

#[test]
fn exports_are_read_in_both_styles_and_need_no_name() {
    three_ways(
        r#"{"Kind":"exported-services","Services":[{"Name":"web","Namespace":"default","Consumers":[{"Peer":"east"},
        {"PeerName":"west","Partition":"default"}]}]}"#,
        r#"kind = "exported-services" name = "default" services { name = "web" consumers { peer = "east" }
        consumers { peer_name = "west" } }"#,
        concat!(
            r#"{"Kind":"exported-services","Name":"default","Services":[{"Name":"web","Consumers":[{"Peer":"east"},"#,
            r#"{"Peer":"west"}]}]"#
        ),
    );
    let body = r#"{"Kind":"exported-services","Services":[{"Name":"web","Consumers":[{"Peer":"*"}]}]}"#;
    refused(body, "Services[0].Consumers[0].Peer");
}

#[test]
fn api_gateways_are_read_in_both_styles_and_shown_as_consul_does() {
    three_ways(
        r#"{"Kind":"api-gateway","Name":"edge","Listeners":[{"Name":"web","Hostname":"*.example.com","Port":8443,
        "Protocol":"HTTP","TLS":{"Certificates":[{"Name":"own"},{"Kind":"file-system-certificate","Name":"files"}],
        "MinVersion":"TLSv1_2","MaxVersion":"TLSv1_3","CipherSuites":["TLS_RSA_WITH_AES_128_GCM_SHA256"]}}]}"#,
        r#"kind = "api-gateway" name = "edge" listeners { name = "web" hostname = "*.example.com" port = 8443
        protocol = "http" tls { certificates { name = "own" } certificates { kind = "file-system-certificate"
        name = "files" } min_version = "TLSv1_2" max_version = "TLSv1_3"
        cipher_suites = ["TLS_RSA_WITH_AES_128_GCM_SHA256"] } }"#,
        concat!(
            r#"{"Kind":"api-gateway","Name":"edge","Listeners":[{"Name":"web","Hostname":"*.example.com","Port":8443,"#,
            r#""Protocol":"http","TLS":{"Certificates":[{"Kind":"inline-certificate","Name":"own","SectionName":""},"#,
            r#"{"Kind":"file-system-certificate","Name":"files","SectionName":""}],"MaxVersion":"TLSv1_3","#,
            r#""MinVersion":"TLSv1_2","CipherSuites":["TLS_RSA_WITH_AES_128_GCM_SHA256"]}}],"#,
            r#""Status":{"Conditions":null}"#
        ),
    );
    let gateway = |more: &str| format!(r#"{{"Kind":"api-gateway","Name":"edge","Listeners":[{{{more}}}]}}"#);
    refused(&gateway(r#""Protocol":"grpc""#), "is not a protocol of API gateways; use one of http, tcp");
    refused(&gateway(r#""Prot":"tcp""#), r#"unknown key "Prot""#);
}

#[test]
fn routes_are_read_in_both_styles_and_shown_as_consul_does() {
    three_ways(
        r#"{"Kind":"http-route","Name":"shop","Parents":[{"Name":"edge","SectionName":"web"}],
        "Hostnames":["shop.example.com"],"Rules":[{"Filters":{"Headers":[{"Set":{"x":"y"}}],
        "URLRewrite":{"Path":"/"},"RetryFilter":{"NumRetries":3,"RetryOn":["5xx"],"RetryOnStatusCodes":[503],
        "RetryOnConnectFailure":true},"TimeoutFilter":{"RequestTimeout":"1s","IdleTimeout":"2s"}},
        "ResponseFilters":{"Headers":[{"Remove":["z"]}]},
        "Matches":[{"Method":"get","Path":{"Match":"exact","Value":"/a"},
        "Headers":[{"Match":"present","Name":"x"}],"Query":[{"Match":"exact","Name":"q","Value":"1"}]},{}],
        "Services":[{"Name":"web","Weight":0},{"Name":"new","Weight":9}]}]}"#,
        r#"kind = "http-route" name = "shop" parents { kind = "api-gateway" name = "edge" section_name = "web" }
        hostnames = ["shop.example.com"] rules { filters { headers { set { x = "y" } } url_rewrite { path = "/" }
          retry_filter { num_retries = 3 retry_on = ["5xx"] retry_on_status_codes = [503]
            retry_on_connect_failure = true }
          timeout_filter { request_timeout = "1s" idle_timeout = "2s" } }
        response_filters { headers { remove = ["z"] } }
        matches { method = "GET" path { match = "exact" value = "/a" } headers { match = "present" name = "x" }
          query { match = "exact" name = "q" value = "1" } } matches { path { value = "/ignored" } }
        services { name = "web" weight = 1 } services { name = "new" weight = 9 } }"#,
        concat!(
            r#"{"Kind":"http-route","Name":"shop","Parents":[{"Kind":"api-gateway","Name":"edge","SectionName":"web"}],"#,
            r#""Rules":[{"Filters":{"Headers":[{"Set":{"x":"y"}}],"URLRewrite":{"Path":"/"},"RetryFilter":"#,
            r#"{"NumRetries":3,"RetryOn":["5xx"],"RetryOnStatusCodes":[503],"RetryOnConnectFailure":true},"#,
            r#""TimeoutFilter":{"RequestTimeout":1000000000,"IdleTimeout":2000000000}},"ResponseFilters":{"Headers":"#,
            r#"[{"Remove":["z"]}]},"Matches":[{"Headers":[{"Match":"present","Name":"x","Value":""}],"Method":"GET","#,
            r#""Path":{"Match":"exact","Value":"/a"},"Query":[{"Match":"exact","Name":"q","Value":"1"}]},"#,
            r#"{"Headers":null,"Method":"","Path":{"Match":"prefix","Value":"/"},"Query":null}],"Services":[{"Name":"web","#,
            r#""Weight":1,"Filters":{"Headers":null,"URLRewrite":null,"RetryFilter":null,"TimeoutFilter":null},"#,
            r#""ResponseFilters":{"Headers":null}},{"Name":"new","Weight":9,"Filters":{"Headers":null,"URLRewrite":null,"#,
            r#""RetryFilter":null,"TimeoutFilter":null},"ResponseFilters":{"Headers":null}}]}],"#,
            r#""Hostnames":["shop.example.com"],"Status":{"Conditions":null}"#
        ),
    );
    three_ways(
        r#"{"Kind":"tcp-route","Name":"db","Parents":[{"Name":"edge"}],"Services":[{"Name":"db"}]}"#,
        r#"kind = "tcp-route" name = "db" parents { name = "edge" } services { name = "db" }"#,
        concat!(
            r#"{"Kind":"tcp-route","Name":"db","Parents":[{"Kind":"api-gateway","Name":"edge","SectionName":""}],"#,
            r#""Services":[{"Name":"db"}],"Status":{"Conditions":null}"#
        ),
    );
    let rule = |more: &str| format!(r#"{{"Kind":"http-route","Name":"a","Rules":[{{{more}}}]}}"#);
    refused(
        &rule(r#""Matches":[{"Path":{"Match":"glob"}}]"#),
        "is not a way to compare paths; use one of exact, prefix",
    );
    refused(&rule(r#""Matches":[{"Headers":[{"Match":"is"}]}]"#), "is not a way to compare headers");
    refused(
        &rule(r#""Matches":[{"Query":[{"Match":"prefix"}]}]"#),
        "is not a way to compare query parameters",
    );
    refused(&rule(r#""Services":[{"Weight":4294967296}]"#), "a weight is at most");
    refused(&rule(r#""Filters":{"Header":[]}"#), r#"unknown key "Header", did you mean "Headers"?"#);
}

#[test]
fn a_status_that_is_sent_back_is_no_news() {
    let condition = r#"{"Type":"Accepted","Status":"True","Reason":"Accepted","Message":"m","Resource":{"Kind":"",
        "Name":"","SectionName":""},"LastTransitionTime":"2026-01-02T03:04:05Z"}"#;
    let body = format!(r#"{{"Kind":"tcp-route","Name":"db","Status":{{"Conditions":[{condition}]}}}}"#);
    let entry = decode_entry(body.as_bytes()).unwrap();
    assert_eq!(entry.status().map(|status| status.conditions.len()), Some(1));
    let other = decode_entry(br#"{"Kind":"tcp-route","Name":"db"}"#).unwrap();
    assert_eq!(entry.clone().with_status(other.status().cloned().unwrap_or_default()), other);
    // Times are shown as text.
    let mut stamped = entry.status().cloned().unwrap();
    stamped.conditions[0].last_transition_time = Transition(Timestamp::from_secs(1_700_000_000));
    let shape = ConfigEntry::from_model(&other.with_status(stamped));
    let text = String::from_utf8(json(&shape, Layout::Compact).unwrap()).unwrap();
    assert!(text.contains(r#""LastTransitionTime":"2023-11-14T22:13:20Z""#), "{text}");
}
