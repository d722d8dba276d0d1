//! Bootstraps as a whole.

use concord_model::Secret;
use serde_json::{Value, json};

use super::json as bootstrap;
use super::*;

fn sample(settings: &Value) -> Bootstrap {
    let config = serde_json::from_value(settings.clone()).expect("an object");
    Bootstrap {
        node: Node {
            id: "web-sidecar-proxy".to_owned(),
            service: "web".to_owned(),
            node_name: None,
            datacenter: "dc1".to_owned(),
        },
        agent: AgentAddress::Socket("127.0.0.1:8502".parse().expect("an address")),
        tls: None,
        token: Some(Secret::new("5ecret".to_owned())),
        admin: Admin {
            bind: "127.0.0.1:19000".parse().expect("an address"),
            access_logs: Vec::new(),
            log_path: "/dev/null".to_owned(),
        },
        prometheus: Prometheus::default(),
        ready: None,
        omit_deprecated_tags: false,
        settings: Settings::read(&config, &|_| None).expect("settings"),
    }
}

fn json_of(own: &Bootstrap) -> Value {
    bootstrap(own).expect("a bootstrap")
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(|one| one["name"].as_str()).collect()
}

#[test]
fn the_frame_says_who_the_proxy_is_and_where_its_configuration_comes_from() {
    let told = json_of(&sample(&json!({})));
    let keys: Vec<_> = told.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        ["admin", "node", "layered_runtime", "static_resources", "stats_config", "dynamic_resources"]
    );
    assert_eq!(
        told["node"],
        json!({ "cluster": "web", "id": "web-sidecar-proxy", "metadata": { "namespace": "default", "partition": "default" } })
    );
    let ads = &told["dynamic_resources"]["ads_config"];
    assert_eq!(ads["api_type"], "DELTA_GRPC");
    assert_eq!(
        ads["grpc_services"][0]["initial_metadata"],
        json!([{ "key": "x-consul-token", "value": "5ecret" }])
    );
    assert_eq!(told["admin"]["address"]["socket_address"]["port_value"], 19000);
    let agent = &told["static_resources"]["clusters"][0];
    assert_eq!(agent["name"], "local_agent");
    assert_eq!(agent.get("transport_socket"), None);
    let tags = told["stats_config"]["stats_tags"].as_array().expect("a list");
    let fixed =
        |name: &str| tags.iter().find(|tag| tag["tag_name"] == name).map(|tag| tag["fixed_value"].clone());
    assert_eq!(fixed("local_cluster"), Some(json!("web")));
    assert_eq!(fixed("consul.source.datacenter"), Some(json!("dc1")));
}

#[test]
fn without_a_token_none_is_shown_and_elsewhere_registered_proxies_name_their_node() {
    let mut own = sample(&json!({}));
    (own.token, own.node.node_name) = (None, Some("n2".to_owned()));
    let told = json_of(&own);
    assert_eq!(told["dynamic_resources"]["ads_config"]["grpc_services"][0].get("initial_metadata"), None);
    assert_eq!(told["node"]["metadata"]["node_name"], "n2");
}

#[test]
fn tls_to_the_agent_names_authorities_and_the_expected_name() {
    let mut own = sample(&json!({}));
    own.agent = AgentAddress::Pipe("/run/agent.sock".to_owned());
    own.tls = Some(AgentTrust { authorities: "PEM".to_owned(), name: Some("server.dc1.consul".to_owned()) });
    let told = json_of(&own);
    let agent = &told["static_resources"]["clusters"][0];
    let place = &agent["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"];
    assert_eq!(place, &json!({ "pipe": { "path": "/run/agent.sock" } }));
    let config = &agent["transport_socket"]["typed_config"];
    let context = &config["common_tls_context"]["validation_context"];
    assert_eq!(context["trusted_ca"]["inline_string"], "PEM");
    assert_eq!(context["match_typed_subject_alt_names"][0]["matcher"]["exact"], "server.dc1.consul");
    assert_eq!(config["sni"], "server.dc1.consul");
    own.tls = Some(AgentTrust { authorities: "PEM".to_owned(), name: Some("10.0.0.1".to_owned()) });
    let told = json_of(&own);
    let config = &told["static_resources"]["clusters"][0]["transport_socket"]["typed_config"];
    let matcher = &config["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"][0];
    assert_eq!(matcher["san_type"], "IP_ADDRESS");
    assert_eq!(config.get("sni"), None);
}

#[test]
fn listeners_about_envoy_itself_share_one_cluster() {
    let mut own = sample(&json!({
        "envoy_prometheus_bind_addr": "0.0.0.0:20200",
        "envoy_stats_bind_addr": "[::1]:20201",
        "envoy_extra_static_listeners_json": r#"{"name":"mine"}"#,
    }));
    own.ready = Some("10.0.0.1:21000".parse().expect("an address"));
    let told = json_of(&own);
    let resources = &told["static_resources"];
    assert_eq!(names(&resources["clusters"]), ["local_agent", "self_admin"]);
    let listeners =
        ["mine", "envoy_prometheus_metrics_listener", "envoy_metrics_listener", "envoy_ready_listener"];
    assert_eq!(names(&resources["listeners"]), listeners);
    assert_eq!(resources.get("secrets"), None);

    own.prometheus = Prometheus {
        backend_port: Some(20100),
        scrape_path: "/scrape".to_owned(),
        tls: Some(PrometheusTls {
            authorities: Authorities::File("/ca".to_owned()),
            cert_file: "/cert".to_owned(),
            key_file: "/key".to_owned(),
        }),
    };
    let told = json_of(&own);
    let resources = &told["static_resources"];
    assert_eq!(names(&resources["clusters"]), ["local_agent", "prometheus_backend", "self_admin"]);
    assert_eq!(names(&resources["secrets"]), ["prometheus_cert", "prometheus_validation_context"]);
    let text = resources["listeners"][1].to_string();
    assert!(
        text.contains(r#""path":"/scrape""#) && text.contains(r#""cluster":"prometheus_backend""#),
        "{text}"
    );
    assert!(text.contains("DownstreamTlsContext"), "{text}");
}

#[test]
fn an_own_cluster_of_that_name_is_not_doubled() {
    let own = sample(&json!({
        "envoy_stats_bind_addr": "127.0.0.1:1",
        "envoy_extra_static_clusters_json": r#"{"name":"self_admin","own":1}"#,
    }));
    let told = json_of(&own);
    assert_eq!(names(&told["static_resources"]["clusters"]), ["local_agent", "self_admin"]);
    assert_eq!(told["static_resources"]["clusters"][1]["own"], 1);
}

#[test]
fn escape_hatches_stand_where_they_belong() {
    let told = json_of(&sample(&json!({
        "envoy_statsd_url": "udp://127.0.0.1:8125",
        "envoy_extra_stats_sinks_json": r#"{"name":"mine"}"#,
        "envoy_stats_config_json": r#"{"own":true}"#,
        "envoy_tracing_json": r#"{"http":{}}"#,
        "envoy_stats_flush_interval": "7s",
    })));
    assert_eq!(names(&told["stats_sinks"]), ["envoy.stat_sinks.statsd", "mine"]);
    assert_eq!(told["stats_config"], json!({ "own": true }));
    assert_eq!(told["tracing"], json!({ "http": {} }));
    assert_eq!(told["stats_flush_interval"], "7s");
}

#[test]
fn asked_tags_come_first_and_win_over_those_of_the_proxy() {
    let told = json_of(&sample(&json!({ "envoy_stats_tags": ["local_cluster=other", "canary"] })));
    let tags = told["stats_config"]["stats_tags"].as_array().expect("a list");
    assert_eq!(tags[0], json!({ "tag_name": "local_cluster", "fixed_value": "other" }));
    assert_eq!(tags[1], json!({ "tag_name": "canary", "fixed_value": "1" }));
    assert_eq!(tags.iter().filter(|tag| tag["tag_name"] == "local_cluster").count(), 1);
}

#[test]
fn a_template_gets_all_that_our_own_frame_has() {
    let text = r#"{ "id": "{{ .ProxyID }}", "port": {{ .AgentPort }},
        {{- if .AgentTLS }} "ca": "{{ .AgentCAPEM }}",{{ end }}
        "stats": {{ .StatsConfigJSON }}, "clusters": [ {{ .StaticClustersJSON }} ], "token": "{{ .Token }}" }"#;
    let mut own =
        sample(&json!({ "envoy_bootstrap_json_tpl": text, "envoy_stats_bind_addr": "127.0.0.1:1" }));
    own.tls = Some(AgentTrust { authorities: "two\nlines".to_owned(), name: None });
    let told = json_of(&own);
    assert_eq!((&told["id"], &told["port"]), (&json!("web-sidecar-proxy"), &json!(8502)));
    assert_eq!((&told["ca"], &told["token"]), (&json!("two\nlines"), &json!("5ecret")));
    assert_eq!(names(&told["clusters"]), ["self_admin"]);
    assert_eq!(told["stats"]["use_all_default_tags"], true);
    own.settings.template = Some("{{ .ProxyID }}".to_owned());
    let refused = bootstrap(&own).expect_err("no JSON").to_string();
    assert!(refused.starts_with("envoy_bootstrap_json_tpl: what it gives is no JSON: "), "{refused}");
}

#[test]
fn an_address_that_envoy_cannot_listen_at_is_refused() {
    for address in [":20200", "localhost:20200", "0.0.0.0"] {
        let own = sample(&json!({ "envoy_prometheus_bind_addr": address }));
        let refused = bootstrap(&own).expect_err(address);
        let expected =
            format!("envoy_prometheus_bind_addr: {address:?} is not <ip>:<port>, such as 0.0.0.0:20200");
        assert_eq!(refused.to_string(), expected);
    }
}
