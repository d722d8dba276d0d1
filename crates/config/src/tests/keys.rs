//! Tests that every key either has an effect or is reported.

use std::collections::BTreeSet;

use super::{config, dev, host, loaded, refused, server, sources};
use crate::knob::KNOBS;
use crate::{changed, load};

/// A value that is not the default, for each knob.
const SAMPLES: &[(&str, &str)] = &[
    ("acl.default_policy", "acl { default_policy = \"deny\" }"),
    ("acl.down_policy", "acl { down_policy = \"deny\" }"),
    ("acl.enable_token_persistence", "acl { enable_token_persistence = true }"),
    ("acl.enabled", "acl { enabled = true }"),
    ("acl.policy_ttl", "acl { policy_ttl = \"5s\" }"),
    ("acl.role_ttl", "acl { role_ttl = \"5s\" }"),
    ("acl.token_ttl", "acl { token_ttl = \"5s\" }"),
    ("acl.tokens.agent", "acl { tokens { agent = \"a\" } }"),
    (
        "acl.tokens.config_file_service_registration",
        "acl { tokens { config_file_service_registration = \"a\" } }",
    ),
    ("acl.tokens.default", "acl { tokens { default = \"a\" } }"),
    ("acl.tokens.initial_management", "acl { tokens { initial_management = \"a\" } }"),
    ("acl.tokens.dns", "acl { tokens { dns = \"a\" } }"),
    ("addresses.dns", "addresses { dns = \"127.0.0.2\" }"),
    ("addresses.grpc", "addresses { grpc = \"127.0.0.2\" }"),
    ("addresses.grpc_tls", "addresses { grpc_tls = \"127.0.0.2\" }"),
    ("addresses.https", "addresses { https = \"127.0.0.2\" }"),
    ("addresses.http", "addresses { http = \"127.0.0.2\" }"),
    ("advertise_addr", "advertise_addr = \"10.0.0.1\""),
    ("alt_domain", "alt_domain = \"mesh.example\""),
    ("bind_addr", "bind_addr = \"10.0.0.1\""),
    ("bootstrap", "server = false bootstrap = true"),
    ("bootstrap_expect", "bootstrap_expect = 3"),
    ("check_output_max_size", "check_output_max_size = 5"),
    ("check_reap_interval", "check_reap_interval = \"5s\""),
    ("check_update_interval", "check_update_interval = \"5s\""),
    ("checks", "check { name = \"a\" ttl = \"5s\" }"),
    ("client_addr", "client_addr = \"127.0.0.2\""),
    (
        "config_entries.bootstrap",
        "config_entries { bootstrap { kind = \"service-intentions\" name = \"db\" sources { name = \"web\" action = \"deny\" } } }",
    ),
    ("connect.ca_config", "connect { ca_config { LeafCertTTL = \"5h\" } }"),
    ("connect.ca_provider", "connect { ca_provider = \"vault\" }"),
    ("connect.enabled", "connect { enabled = false }"),
    ("data_dir", "data_dir = \"/other\""),
    ("datacenter", "datacenter = \"dc2\""),
    ("default_intention_policy", "default_intention_policy = \"deny\""),
    ("default_query_time", "default_query_time = \"5s\""),
    ("discard_check_output", "discard_check_output = true"),
    ("domain", "domain = \"x.\""),
    ("enable_local_script_checks", "enable_local_script_checks = true"),
    ("enable_script_checks", "enable_script_checks = true"),
    ("encrypt", "encrypt = \"MDEyMzQ1Njc4OWFiY2RlZg==\""),
    ("http_config.allow_origins", "http_config { allow_origins = [\"https://ops.example\"] }"),
    ("http_config.allow_write_http_from", "http_config { allow_write_http_from = [\"10.0.0.0/8\"] }"),
    ("http_config.allowed_hosts", "http_config { allowed_hosts = [\"ops.example\"] }"),
    ("http_config.block_endpoints", "http_config { block_endpoints = [\"/v1/x\"] }"),
    ("http_config.max_header_bytes", "http_config { max_header_bytes = 5 }"),
    ("http_config.response_headers", "http_config { response_headers { X = \"1\" } }"),
    ("http_config.use_cache", "http_config { use_cache = false }"),
    ("limits.client_memory_mib", "limits { client_memory_mib = 200 }"),
    ("limits.http_max_conns_per_client", "limits { http_max_conns_per_client = 5 }"),
    ("limits.https_handshake_timeout", "limits { https_handshake_timeout = \"1s\" }"),
    ("enable_central_service_config", "enable_central_service_config = false"),
    ("enable_syslog", "enable_syslog = true"),
    ("log_file", "log_file = \"/l\""),
    ("log_json", "log_json = true"),
    ("log_level", "log_level = \"warn\""),
    ("log_rotate_bytes", "log_file = \"/l\" log_rotate_bytes = 5"),
    ("log_rotate_duration", "log_file = \"/l\" log_rotate_duration = \"5s\""),
    ("log_rotate_max_files", "log_file = \"/l\" log_rotate_max_files = 5"),
    ("max_query_time", "max_query_time = \"5s\""),
    ("node_id", "node_id = \"11111111-2222-3333-4444-555555555555\""),
    ("node_meta", "node_meta { a = \"1\" }"),
    ("node_name", "node_name = \"other\""),
    ("performance.raft_multiplier", "performance { raft_multiplier = 2 }"),
    ("pid_file", "pid_file = \"/p\""),
    ("dns_config.a_record_limit", "dns_config { a_record_limit = 2 }"),
    ("dns_config.allow_stale", "dns_config { allow_stale = false }"),
    ("dns_config.disable_compression", "dns_config { disable_compression = true }"),
    ("dns_config.enable_additional_node_meta_txt", "dns_config { enable_additional_node_meta_txt = false }"),
    ("dns_config.enable_truncate", "dns_config { enable_truncate = true }"),
    ("dns_config.max_stale", "dns_config { max_stale = \"5s\" }"),
    ("dns_config.node_ttl", "dns_config { node_ttl = \"5s\" }"),
    ("dns_config.only_passing", "dns_config { only_passing = true }"),
    ("dns_config.recursor_strategy", "dns_config { recursor_strategy = \"random\" }"),
    ("dns_config.recursor_timeout", "dns_config { recursor_timeout = \"5s\" }"),
    ("dns_config.service_ttl", "dns_config { service_ttl { \"*\" = \"5s\" } }"),
    ("dns_config.soa.expire", "dns_config { soa { expire = 5 } }"),
    ("dns_config.soa.min_ttl", "dns_config { soa { min_ttl = 5 } }"),
    ("dns_config.soa.refresh", "dns_config { soa { refresh = 5 } }"),
    ("dns_config.soa.retry", "dns_config { soa { retry = 5 } }"),
    ("dns_config.udp_answer_limit", "dns_config { udp_answer_limit = 5 }"),
    ("ports.dns", "ports { dns = 8601 }"),
    ("recursors", "recursors = [\"10.0.0.2\"]"),
    ("ports.expose_max_port", "ports { expose_max_port = 22000 }"),
    ("ports.expose_min_port", "ports { expose_min_port = 21600 }"),
    ("ports.grpc", "ports { grpc = 8503 }"),
    ("ports.grpc_tls", "ports { grpc_tls = 8504 }"),
    ("xds.update_max_per_second", "xds { update_max_per_second = 100 }"),
    ("ports.http", "ports { http = 8600 }"),
    ("ports.https", "ports { https = 8501 }"),
    ("ports.serf_lan", "ports { serf_lan = 8401 }"),
    ("ports.server", "ports { server = 8400 }"),
    ("ports.sidecar_max_port", "ports { sidecar_max_port = 22000 }"),
    ("ports.sidecar_min_port", "ports { sidecar_min_port = 20000 }"),
    ("primary_datacenter", "primary_datacenter = \"dc2\""),
    ("raft_snapshot_interval", "raft_snapshot_interval = \"5s\""),
    ("raft_snapshot_threshold", "raft_snapshot_threshold = 5"),
    ("raft_trailing_logs", "raft_trailing_logs = 5"),
    ("sealing.key_env", "sealing { key_env = \"CONCORD_X\" }"),
    ("sealing.key_file", "sealing { key_file = \"/k\" }"),
    ("server", "server = false"),
    ("services", "service { name = \"a\" }"),
    ("syslog_facility", "enable_syslog = true syslog_facility = \"daemon\""),
    ("telemetry.filter_default", "telemetry { filter_default = false }"),
    ("telemetry.metrics_prefix", "telemetry { metrics_prefix = \"x\" }"),
    ("telemetry.prefix_filter", "telemetry { prefix_filter = [\"-consul.api\"] }"),
    ("tls.defaults.ca_file", "tls { defaults { ca_file = \"/x\" } }"),
    ("tls.defaults.ca_path", "tls { defaults { ca_path = \"/x\" } }"),
    ("tls.defaults.cert_file", "tls { defaults { cert_file = \"/x\" } }"),
    ("tls.defaults.key_file", "tls { defaults { key_file = \"/x\" } }"),
    (
        "tls.defaults.tls_cipher_suites",
        "tls { defaults { tls_cipher_suites = \"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\" } }",
    ),
    ("tls.defaults.tls_min_version", "tls { defaults { tls_min_version = \"TLSv1_3\" } }"),
    ("tls.defaults.use_auto_cert", "tls { defaults { use_auto_cert = true } }"),
    ("tls.defaults.verify_incoming", "tls { defaults { verify_incoming = true } }"),
    ("tls.defaults.verify_outgoing", "tls { defaults { verify_outgoing = true } }"),
    ("tls.defaults.verify_server_hostname", "tls { defaults { verify_server_hostname = true } }"),
    ("tls.grpc.ca_file", "tls { grpc { ca_file = \"/x\" } }"),
    ("tls.grpc.ca_path", "tls { grpc { ca_path = \"/x\" } }"),
    ("tls.grpc.cert_file", "tls { grpc { cert_file = \"/x\" } }"),
    ("tls.grpc.key_file", "tls { grpc { key_file = \"/x\" } }"),
    (
        "tls.grpc.tls_cipher_suites",
        "tls { grpc { tls_cipher_suites = \"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\" } }",
    ),
    ("tls.grpc.tls_min_version", "tls { grpc { tls_min_version = \"TLSv1_3\" } }"),
    ("tls.grpc.use_auto_cert", "tls { grpc { use_auto_cert = true } }"),
    ("tls.grpc.verify_incoming", "tls { grpc { verify_incoming = true } }"),
    ("tls.grpc.verify_outgoing", "tls { grpc { verify_outgoing = true } }"),
    ("tls.grpc.verify_server_hostname", "tls { grpc { verify_server_hostname = true } }"),
    ("tls.https.ca_file", "tls { https { ca_file = \"/x\" } }"),
    ("tls.https.ca_path", "tls { https { ca_path = \"/x\" } }"),
    ("tls.https.cert_file", "tls { https { cert_file = \"/x\" } }"),
    ("tls.https.key_file", "tls { https { key_file = \"/x\" } }"),
    (
        "tls.https.tls_cipher_suites",
        "tls { https { tls_cipher_suites = \"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\" } }",
    ),
    ("tls.https.tls_min_version", "tls { https { tls_min_version = \"TLSv1_3\" } }"),
    ("tls.https.use_auto_cert", "tls { https { use_auto_cert = true } }"),
    ("tls.https.verify_incoming", "tls { https { verify_incoming = true } }"),
    ("tls.https.verify_outgoing", "tls { https { verify_outgoing = true } }"),
    ("tls.https.verify_server_hostname", "tls { https { verify_server_hostname = true } }"),
    ("tls.internal_rpc.ca_file", "tls { internal_rpc { ca_file = \"/x\" } }"),
    ("tls.internal_rpc.ca_path", "tls { internal_rpc { ca_path = \"/x\" } }"),
    ("tls.internal_rpc.cert_file", "tls { internal_rpc { cert_file = \"/x\" } }"),
    ("tls.internal_rpc.key_file", "tls { internal_rpc { key_file = \"/x\" } }"),
    (
        "tls.internal_rpc.tls_cipher_suites",
        "tls { internal_rpc { tls_cipher_suites = \"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\" } }",
    ),
    ("tls.internal_rpc.tls_min_version", "tls { internal_rpc { tls_min_version = \"TLSv1_3\" } }"),
    ("tls.internal_rpc.use_auto_cert", "tls { internal_rpc { use_auto_cert = true } }"),
    ("tls.internal_rpc.verify_incoming", "tls { internal_rpc { verify_incoming = true } }"),
    ("tls.internal_rpc.verify_outgoing", "tls { internal_rpc { verify_outgoing = true } }"),
    ("tls.internal_rpc.verify_server_hostname", "tls { internal_rpc { verify_server_hostname = true } }"),
    ("unix_sockets.group", "unix_sockets { group = \"20\" }"),
    ("unix_sockets.mode", "unix_sockets { mode = \"0660\" }"),
    ("unix_sockets.user", "unix_sockets { user = \"consul\" }"),
];

/// This does not test what the sections do with each key: the program takes them apart field by field.
#[test]
fn every_key_changes_what_is_in_force_or_is_told() {
    let base = config("");
    for knob in KNOBS {
        let (_, text) = SAMPLES
            .iter()
            .find(|(key, _)| *key == knob.key)
            .unwrap_or_else(|| panic!("no sample of {}: add one to SAMPLES", knob.key));
        // The flags that enable a server would win over the file.
        let mut flags = server();
        flags.data_dir = (knob.key != "data_dir").then(|| "/data".to_owned());
        if matches!(knob.key, "bootstrap" | "bootstrap_expect" | "server") {
            flags = crate::AgentFlags { data_dir: flags.data_dir, ..Default::default() };
        }
        let told = match load(&sources(&[("a.hcl", text)]), &flags, &host()) {
            Ok(own) => {
                let differing = changed(&base, &own.config);
                differing.contains(&knob.key) || own.warnings.iter().any(|one| one.key == knob.key)
            }
            Err(found) => found.iter().any(|one| one.key == knob.key),
        };
        assert!(told, "{}: {text}", knob.key);
    }
    let known: BTreeSet<_> = KNOBS.iter().map(|knob| knob.key).collect();
    assert!(SAMPLES.iter().all(|(key, _)| known.contains(key)));
}

#[test]
fn keys_without_effect_say_why_unless_they_ask_for_what_is_the_case() {
    let told = loaded(
        &[(
            "a.hcl",
            "enable_debug = true\nleave_on_terminate = true\nskip_leave_on_interrupt = false
performance { leave_drain_time = \"9s\" }\nports { serf_wan = 8402 }\ndns_config { prefer_namespace = true }
telemetry { disable_hostname = false }",
        )],
        &server(),
    );
    let warnings: Vec<_> = told.warnings.iter().map(ToString::to_string).collect();
    let nobody = "has no effect: the only server has nobody to hand over to and never leaves";
    assert_eq!(
        warnings,
        [
            "a.hcl:1:1: enable_debug has no effect: there are no endpoints for profiling".to_owned(),
            "a.hcl:2:1: leave_on_terminate, skip_leave_on_interrupt have no effect: the only server has nobody to hand over to and never leaves".to_owned(),
            format!("a.hcl:4:15: performance.leave_drain_time {nobody}"),
            "a.hcl:5:9: ports.serf_wan has no effect: there is one datacenter only".to_owned(),
            "a.hcl:6:14: dns_config.prefer_namespace has no effect: a part of Consul Enterprise that is not available yet".to_owned(),
            "a.hcl:7:13: telemetry.disable_hostname has no effect: names of metrics never hold the host's name"
                .to_owned(),
        ]
    );
    let as_it_is = "enable_debug = false leave_on_terminate = false skip_leave_on_interrupt = true
        ports { serf_wan = -1 dns = -1 } telemetry { disable_hostname = true }";
    assert!(loaded(&[("a.hcl", as_it_is)], &server()).warnings.is_empty());
    assert!(loaded(&[], &dev()).warnings.is_empty());
}

#[test]
fn filters_of_metrics_say_keep_or_not() {
    let own = config("telemetry { prefix_filter = [\"+consul.api\", \"-consul\"] filter_default = false }");
    assert_eq!(own.telemetry.filter.written(), ["-consul", "+consul.api"]);
    let own = loaded(&[("a.hcl", "telemetry {\n prefix_filter = [\"consul\", \"-\", \"-a\"]\n}")], &server());
    let warnings: Vec<_> = own.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "a.hcl:2:2: telemetry.prefix_filter: \"consul\" says nothing and is left out; write +name or -name",
            "a.hcl:2:2: telemetry.prefix_filter: \"-\" says nothing and is left out; write +name or -name",
        ]
    );
    assert_eq!(own.config.telemetry.filter.written(), ["-a"]);
    refused(
        "telemetry {\n metrics_prefix = \"a b\"\n}",
        &[
            "a.hcl:2:2: telemetry.metrics_prefix: \"a b\" begins no name of a metric; use letters, digits, _, - and .",
        ],
    );
}

#[test]
fn what_differs_is_named() {
    let before = config("log_level = \"info\" service { name = \"web\" } acl { tokens { default = \"a\" } }");
    assert!(changed(&before, &before.clone()).is_empty());
    let after = config(
        "log_level = \"debug\" service { name = \"web\" token = \"t\" } acl { tokens { default = \"b\" } } ports { http = 8600 }",
    );
    assert_eq!(changed(&before, &after), ["acl.tokens.default", "log_level", "ports.http", "services"]);
}
