//! Keys of Consul that this version does not implement, or that mean nothing in it, and how an agent answers them.
//!
//! Where going on without the key would weaken what its author relies on, the agent does not start. Every other
//! key is told with its reason, unless it asks for what is the case anyway.

/// How such a key is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// Going on would be unsafe or pointless: the agent does not start.
    Refuse,
    /// The agent starts and says so.
    Warn,
    /// Asks for what is the case anyway.
    Accept,
}

/// One such key, or a whole block.
#[derive(Clone, Copy, Debug)]
pub struct Absent {
    /// The key with the blocks around it, joined by dots.
    pub key: &'static str,
    /// How it is answered.
    pub answer: Answer,
    /// What to do instead; empty if there is nothing but to leave it out.
    pub instead: &'static str,
    /// Why it has no effect; empty: it is not built yet.
    pub why: &'static str,
    /// The answer to yes or no that is the case anyway.
    pub is_so: bool,
}

const fn refuse(key: &'static str) -> Absent {
    Absent { key, answer: Answer::Refuse, instead: "", why: "", is_so: false }
}

const fn warn(key: &'static str) -> Absent {
    Absent { answer: Answer::Warn, ..refuse(key) }
}

/// A key that means nothing here, and why.
const fn idle(key: &'static str, why: &'static str) -> Absent {
    Absent { why, ..warn(key) }
}

const fn accept(key: &'static str) -> Absent {
    Absent { answer: Answer::Accept, ..refuse(key) }
}

const fn renamed(key: &'static str, instead: &'static str) -> Absent {
    Absent { instead, ..refuse(key) }
}

/// Why nothing about leaving counts.
const NOBODY_TO_LEAVE: &str = "the only server has nobody to hand over to and never leaves";

/// All of them.
pub const ABSENT: &[Absent] = &[
    // Encryption and authentication between agents and to clients: never silently off.
    refuse("tls"),
    refuse("encrypt"),
    warn("encrypt_verify_incoming"),
    warn("encrypt_verify_outgoing"),
    refuse("auto_encrypt"),
    refuse("auto_config"),
    refuse("ca_file"),
    refuse("ca_path"),
    refuse("cert_file"),
    refuse("key_file"),
    refuse("verify_incoming"),
    refuse("verify_incoming_rpc"),
    refuse("verify_incoming_https"),
    refuse("verify_outgoing"),
    refuse("verify_server_hostname"),
    refuse("tls_min_version"),
    refuse("tls_cipher_suites"),
    refuse("tls_prefer_server_cipher_suites"),
    refuse("server_name"),
    refuse("addresses.https"),
    refuse("addresses.grpc_tls"),
    refuse("audit"),
    refuse("unix_sockets"),
    // Joining others: an agent that was told to join and does not is a cluster of its own.
    refuse("retry_join"),
    refuse("retry_join_wan"),
    renamed("start_join", "retry_join, which is not available yet either"),
    renamed("start_join_wan", "retry_join_wan, which is not available yet either"),
    refuse("primary_gateways"),
    warn("primary_gateways_interval"),
    warn("retry_interval"),
    warn("retry_interval_wan"),
    warn("retry_max"),
    warn("retry_max_wan"),
    warn("rejoin_after_leave"),
    refuse("read_replica"),
    refuse("non_voting_server"),
    refuse("segment"),
    refuse("segments"),
    refuse("partition"),
    // Rights.
    refuse("acl.enable_token_replication"),
    warn("acl.enable_key_list_policy"),
    refuse("acl.msp_disable_bootstrap"),
    warn("acl.tokens.replication"),
    warn("acl.tokens.agent_recovery"),
    warn("acl.tokens.agent_master"),
    warn("acl.tokens.dns"),
    refuse("acl.tokens.managed_service_provider"),
    warn("acl_agent_master_token"),
    warn("acl_enable_key_list_policy"),
    warn("acl_replication_token"),
    refuse("enable_acl_replication"),
    // Addresses and ports.
    warn("advertise_addr_ipv4"),
    warn("advertise_addr_ipv6"),
    warn("advertise_addr_wan"),
    warn("advertise_addr_wan_ipv4"),
    warn("advertise_addr_wan_ipv6"),
    warn("tagged_addresses"),
    warn("addresses.dns"),
    warn("ports.dns"),
    idle("ports.serf_wan", "there is no pool of several datacenters"),
    warn("translate_wan_addrs"),
    warn("serf_lan"),
    warn("serf_wan"),
    warn("serf_lan_allowed_cidrs"),
    warn("serf_wan_allowed_cidrs"),
    warn("ports.proxy_min_port"),
    warn("ports.proxy_max_port"),
    warn("ports.expose_min_port"),
    warn("ports.expose_max_port"),
    // DNS.
    warn("dns_config"),
    warn("recursors"),
    // The mesh.
    refuse("connect.enable_mesh_gateway_wan_federation"),
    warn("connect.test_ca_leaf_root_change_spread"),
    warn("enable_central_service_config"),
    warn("peering"),
    warn("xds"),
    warn("locality"),
    // Checks.
    warn("enable_script_checks"),
    warn("enable_local_script_checks"),
    warn("enable_agent_tls_for_checks"),
    warn("discard_check_output"),
    warn("watches"),
    warn("check_deregister_interval_min"),
    warn("check_reap_interval"),
    // Limits and timings.
    warn("autopilot"),
    warn("cache"),
    warn("gossip_lan"),
    warn("gossip_wan"),
    warn("discovery_max_stale"),
    warn("session_ttl_min"),
    warn("limits.https_handshake_timeout"),
    refuse("limits.request_limits"),
    warn("limits.rpc_client_timeout"),
    warn("limits.rpc_handshake_timeout"),
    warn("limits.rpc_max_burst"),
    warn("limits.rpc_max_conns_per_client"),
    warn("limits.rpc_rate"),
    warn("limits.kv_max_value_size"),
    warn("limits.txn_max_req_len"),
    warn("performance.rpc_hold_timeout"),
    warn("performance.grpc_keepalive_interval"),
    warn("performance.grpc_keepalive_timeout"),
    warn("reconnect_timeout"),
    warn("reconnect_timeout_wan"),
    warn("advertise_reconnect_timeout"),
    idle("leave_on_terminate", NOBODY_TO_LEAVE),
    Absent { is_so: true, ..idle("skip_leave_on_interrupt", NOBODY_TO_LEAVE) },
    idle("performance.leave_drain_time", NOBODY_TO_LEAVE),
    warn("server_rejoin_age_max"),
    warn("ae_interval"),
    warn("sync_coordinate_interval_min"),
    warn("sync_coordinate_rate_target"),
    warn("segment_limit"),
    warn("segment_name_limit"),
    // Raft.
    accept("protocol"),
    accept("raft_protocol"),
    warn("raft_logstore"),
    refuse("raft_prevote_disabled"),
    // Logs, metrics, user interface.
    warn("log_file"),
    warn("log_rotate_bytes"),
    warn("log_rotate_duration"),
    warn("log_rotate_max_files"),
    warn("enable_syslog"),
    warn("syslog_facility"),
    warn("telemetry.circonus_api_app"),
    warn("telemetry.circonus_api_token"),
    warn("telemetry.circonus_api_url"),
    warn("telemetry.circonus_broker_id"),
    warn("telemetry.circonus_broker_select_tag"),
    warn("telemetry.circonus_check_display_name"),
    warn("telemetry.circonus_check_force_metric_activation"),
    warn("telemetry.circonus_check_id"),
    warn("telemetry.circonus_check_instance_id"),
    warn("telemetry.circonus_check_search_tag"),
    warn("telemetry.circonus_check_tags"),
    warn("telemetry.circonus_submission_interval"),
    warn("telemetry.circonus_submission_url"),
    warn("telemetry.disable_per_tenancy_usage_metrics"),
    warn("telemetry.enable_host_metrics"),
    idle("telemetry.prometheus_retention_time", "metrics are kept and told for as long as the process runs"),
    Absent {
        is_so: true,
        ..idle("telemetry.disable_hostname", "names of metrics never hold the host's name")
    },
    warn("telemetry.dogstatsd_addr"),
    warn("telemetry.dogstatsd_tags"),
    warn("telemetry.statsd_address"),
    warn("telemetry.statsite_address"),
    warn("telemetry.retry_failed_connection"),
    warn("ui"),
    warn("ui_config.enabled"),
    warn("ui_dir"),
    warn("ui_content_path"),
    warn("ui_config.dir"),
    warn("ui_config.content_path"),
    warn("ui_config.metrics_provider"),
    warn("ui_config.metrics_provider_files"),
    warn("ui_config.metrics_provider_options_json"),
    warn("ui_config.metrics_proxy"),
    warn("ui_config.dashboard_url_templates"),
    // The rest.
    idle("enable_debug", "there are no endpoints for profiling"),
    warn("auto_reload_config"),
    warn("cloud"),
    warn("experiments"),
    warn("license_path"),
    warn("reporting"),
    warn("rpc"),
    warn("snapshot_agent"),
    warn("use_streaming_backend"),
    accept("disable_anonymous_signature"),
    accept("disable_coordinates"),
    accept("disable_host_node_id"),
    accept("disable_keyring_file"),
    accept("disable_remote_exec"),
    accept("disable_update_check"),
    warn("disable_http_unprintable_char_filter"),
];
