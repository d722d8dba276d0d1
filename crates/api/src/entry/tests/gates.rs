//! Tests of the kinds that are about gateways, tokens and exports: how they are read and shown.

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
            r#"[{"Name":"*","Hosts":[]},{"Name":"web","Hosts":["a.example.com"],"TLS":{"SDS":{"CertResource":"x"}},"#,
            r#""RequestHeaders":{"Add":{"x-Y":"1"}},"ResponseHeaders":{"Remove":["z"]},"MaxPendingRequests":7}]},"#,
            r#"{"Port":9000,"Protocol":"tcp","Services":[{"Name":"db","Hosts":[]}]}],"Defaults":{"MaxConnections":5,"#,
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
