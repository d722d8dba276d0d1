//! Consul's keys that this version does not implement, or that have no meaning here, and the agent's reaction to
//! them.
//!
//! If ignoring the key would leave something open that the operator believes to be closed, the agent does not start.
//! For every other key it logs the reason, with one warning per block. There is no warning if the key asks for what
//! is the case anyway.

use concord_syntax::{Kind, Node};

mod blocks;

pub(crate) use self::blocks::BLOCKS;

/// The reaction to such a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// Ignoring it would be unsafe or pointless: the agent does not start.
    Refuse,
    /// The agent starts and logs a warning.
    Warn,
    /// Depends on its `mode`: a limit to be enforced prevents the start, a limit to be logged gives a warning.
    ByMode,
    /// No warning: the key asks for what is the case anyway, or nobody can miss its effect.
    Accept,
}

/// One such key, or a whole block.
#[derive(Clone, Copy, Debug)]
pub struct Absent {
    /// The key with the blocks around it, joined by dots.
    pub key: &'static str,
    /// The reaction.
    pub answer: Answer,
    /// The current name, if this is an old name.
    pub now: &'static str,
    /// Why it has no effect, or why the agent does not start.
    pub why: &'static str,
    /// The value that is the case anyway.
    pub so: So,
}

/// A value that is the case anyway.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum So {
    /// `false`, or empty.
    Off,
    /// `true`.
    On,
    /// This number.
    Number(i64),
}

const fn refuse(key: &'static str, why: &'static str) -> Absent {
    Absent { key, answer: Answer::Refuse, now: "", why, so: So::Off }
}

/// A key without effect, and the reason.
const fn idle(key: &'static str, why: &'static str) -> Absent {
    Absent { answer: Answer::Warn, ..refuse(key, why) }
}

const fn accept(key: &'static str) -> Absent {
    Absent { answer: Answer::Accept, ..refuse(key, "") }
}

/// The same key under its current name.
const fn now(now: &'static str, old: Absent) -> Absent {
    Absent { now, ..old }
}

const fn is_so(so: So, absent: Absent) -> Absent {
    Absent { so, ..absent }
}

const NOT_YET: &str = "not available yet";
const NOBODY_TO_LEAVE: &str = "the only server has nobody to hand over to and never leaves";
const NOBODY_TO_JOIN: &str = "the only server has nobody to join";
const NO_AGENTS: &str = "agents do not talk to each other yet";
const NO_CLIENTS: &str = "there are no client agents yet";
const ONE_DATACENTER: &str = "there is one datacenter only";
const NO_DNS_CACHE: &str = "servers answer DNS from their own state, which is never older than a cache";
const NO_UI: &str = "the user interface is not available yet";
const NO_SINK: &str = "metrics are told by /v1/agent/metrics only";
const NO_KV: &str = "there is no key/value store yet";
const ENTERPRISE: &str = "a part of Consul Enterprise that is not available yet";
const NO_OWN_TLS: &str =
    "checks show no certificate of the agent's yet, and verify by the system's authorities";

/// All such keys.
pub const ABSENT: &[Absent] = &[
    // TLS.
    idle("tls_prefer_server_cipher_suites", "the suites of servers always come first"),
    // Encryption between agents: agents send each other nothing.
    is_so(So::On, idle("encrypt_verify_incoming", NO_AGENTS)),
    is_so(So::On, idle("encrypt_verify_outgoing", NO_AGENTS)),
    idle("server_name", NO_AGENTS),
    idle("auto_config", NO_CLIENTS),
    idle("auto_encrypt.allow_tls", NO_CLIENTS),
    idle("auto_encrypt.dns_san", NO_CLIENTS),
    idle("auto_encrypt.ip_san", NO_CLIENTS),
    refuse(
        "auto_encrypt.tls",
        "auto_encrypt.tls can only be used on a client, and there are no client agents yet",
    ),
    // Joining other agents. `bootstrap` and `bootstrap_expect` decide whether this server may form a cluster alone.
    idle("retry_join", NOBODY_TO_JOIN),
    idle("retry_interval", NOBODY_TO_JOIN),
    idle("retry_max", NOBODY_TO_JOIN),
    idle("rejoin_after_leave", NOBODY_TO_JOIN),
    now("retry_join", idle("start_join", NOBODY_TO_JOIN)),
    idle("retry_join_wan", ONE_DATACENTER),
    idle("retry_interval_wan", ONE_DATACENTER),
    idle("retry_max_wan", ONE_DATACENTER),
    now("retry_join_wan", idle("start_join_wan", ONE_DATACENTER)),
    idle("primary_gateways", ONE_DATACENTER),
    idle("primary_gateways_interval", ONE_DATACENTER),
    idle("read_replica", ENTERPRISE),
    now("read_replica", idle("non_voting_server", ENTERPRISE)),
    idle("segment", ENTERPRISE),
    idle("segments", ENTERPRISE),
    idle("segment_limit", ENTERPRISE),
    idle("segment_name_limit", ENTERPRISE),
    idle("partition", ENTERPRISE),
    // ACLs.
    idle("acl.enable_token_replication", ONE_DATACENTER),
    idle("acl.tokens.replication", ONE_DATACENTER),
    now("acl.enable_token_replication", idle("enable_acl_replication", ONE_DATACENTER)),
    now("acl.tokens.replication", idle("acl_replication_token", ONE_DATACENTER)),
    idle("acl.enable_key_list_policy", NO_KV),
    now("acl.enable_key_list_policy", idle("acl_enable_key_list_policy", NO_KV)),
    idle("acl.tokens.agent_recovery", NOT_YET),
    now("acl.tokens.agent_recovery", idle("acl.tokens.agent_master", NOT_YET)),
    now("acl.tokens.agent_recovery", idle("acl_agent_master_token", NOT_YET)),
    idle("acl.tokens.managed_service_provider", ENTERPRISE),
    refuse("acl.msp_disable_bootstrap", "without it whoever comes first may bootstrap the ACLs"),
    idle("acl_enforce_version_8", "tokens of ACLs before 1.4 are gone"),
    idle("audit", ENTERPRISE),
    // Addresses and ports.
    idle("advertise_addr_ipv4", NOT_YET),
    idle("advertise_addr_ipv6", NOT_YET),
    idle("advertise_addr_wan", ONE_DATACENTER),
    idle("advertise_addr_wan_ipv4", ONE_DATACENTER),
    idle("advertise_addr_wan_ipv6", ONE_DATACENTER),
    idle("tagged_addresses", NOT_YET),
    idle("translate_wan_addrs", ONE_DATACENTER),
    idle("serf_lan", NO_AGENTS),
    idle("serf_wan", ONE_DATACENTER),
    idle("serf_lan_allowed_cidrs", NO_AGENTS),
    idle("serf_wan_allowed_cidrs", ONE_DATACENTER),
    idle("ports.serf_wan", ONE_DATACENTER),
    idle("ports.proxy_min_port", "proxies take the ports that their registrations name"),
    idle("ports.proxy_max_port", "proxies take the ports that their registrations name"),
    // DNS.
    idle("dns_config.use_cache", NO_DNS_CACHE),
    idle("dns_config.cache_max_age", NO_DNS_CACHE),
    idle("dns_config.prefer_namespace", ENTERPRISE),
    // The mesh.
    idle("connect.enable_mesh_gateway_wan_federation", ONE_DATACENTER),
    accept("connect.test_ca_leaf_root_change_spread"),
    idle("peering", "peering is not available yet"),
    idle("locality", NOT_YET),
    // Checks.
    idle("enable_agent_tls_for_checks", NO_OWN_TLS),
    idle("check_deregister_interval_min", NOT_YET),
    idle("watches", "watches are not available yet"),
    // Limits and timings.
    idle("autopilot", "the only server has nobody to watch over"),
    idle("cache", "what is refreshed in the background comes when it changes"),
    idle("gossip_lan", NO_AGENTS),
    idle("gossip_wan", ONE_DATACENTER),
    idle("discovery_max_stale", "the only server is never stale"),
    idle("session_ttl_min", "there are no sessions yet"),
    Absent { answer: Answer::ByMode, ..refuse("limits.request_limits", "requests would not be limited") },
    idle("limits.rpc_client_timeout", NO_AGENTS),
    idle("limits.rpc_handshake_timeout", NO_AGENTS),
    idle("limits.rpc_max_burst", NO_AGENTS),
    idle("limits.rpc_max_conns_per_client", NO_AGENTS),
    idle("limits.rpc_rate", NO_AGENTS),
    idle("limits.kv_max_value_size", NO_KV),
    idle("limits.txn_max_req_len", NO_KV),
    idle("performance.rpc_hold_timeout", NO_AGENTS),
    idle("performance.grpc_keepalive_interval", NO_AGENTS),
    idle("performance.grpc_keepalive_timeout", NO_AGENTS),
    idle("performance.leave_drain_time", NOBODY_TO_LEAVE),
    idle("reconnect_timeout", NO_AGENTS),
    idle("reconnect_timeout_wan", ONE_DATACENTER),
    idle("advertise_reconnect_timeout", NO_AGENTS),
    idle("leave_on_terminate", NOBODY_TO_LEAVE),
    is_so(So::On, idle("skip_leave_on_interrupt", NOBODY_TO_LEAVE)),
    idle("server_rejoin_age_max", NOBODY_TO_JOIN),
    idle("ae_interval", "what differs from the catalog is told when it changes"),
    idle("sync_coordinate_interval_min", "there are no coordinates yet"),
    idle("sync_coordinate_rate_target", "there are no coordinates yet"),
    accept("consul"),
    // Consensus: its protocol and its log are our own.
    accept("protocol"),
    is_so(So::Number(3), idle("raft_protocol", "servers speak a protocol of their own")),
    idle("raft_logstore", "the log is kept in a store of its own"),
    now("raft_logstore.boltdb", idle("raft_boltdb", "the log is kept in a store of its own")),
    idle("raft_prevote_disabled", "votes are asked for before a term begins, always"),
    // Metrics, user interface.
    idle("telemetry.circonus_api_app", NO_SINK),
    idle("telemetry.circonus_api_token", NO_SINK),
    idle("telemetry.circonus_api_url", NO_SINK),
    idle("telemetry.circonus_broker_id", NO_SINK),
    idle("telemetry.circonus_broker_select_tag", NO_SINK),
    idle("telemetry.circonus_check_display_name", NO_SINK),
    idle("telemetry.circonus_check_force_metric_activation", NO_SINK),
    idle("telemetry.circonus_check_id", NO_SINK),
    idle("telemetry.circonus_check_instance_id", NO_SINK),
    idle("telemetry.circonus_check_search_tag", NO_SINK),
    idle("telemetry.circonus_check_tags", NO_SINK),
    idle("telemetry.circonus_submission_interval", NO_SINK),
    idle("telemetry.circonus_submission_url", NO_SINK),
    idle("telemetry.dogstatsd_addr", NO_SINK),
    idle("telemetry.dogstatsd_tags", NO_SINK),
    idle("telemetry.statsd_address", NO_SINK),
    idle("telemetry.statsite_address", NO_SINK),
    idle("telemetry.retry_failed_connection", NO_SINK),
    idle("telemetry.disable_per_tenancy_usage_metrics", "there are no metrics of usage yet"),
    idle("telemetry.enable_host_metrics", "there are no metrics of the host yet"),
    idle("telemetry.prometheus_retention_time", "metrics are kept and told for as long as the process runs"),
    is_so(So::On, idle("telemetry.disable_hostname", "names of metrics never hold the host's name")),
    now("ui_config.enabled", idle("ui", NO_UI)),
    now("ui_config.dir", idle("ui_dir", NO_UI)),
    now("ui_config.content_path", idle("ui_content_path", NO_UI)),
    idle("ui_config", NO_UI),
    // The rest.
    idle("enable_debug", "there are no endpoints for profiling"),
    idle("auto_reload_config", "reload with SIGHUP or the command reload"),
    idle("cloud", "there is no such service"),
    idle("experiments", "there are none"),
    idle("license_path", "no licence is needed"),
    accept("license_poll_base_time"),
    accept("license_poll_max_time"),
    accept("license_update_base_time"),
    accept("license_update_max_time"),
    idle("reporting", "nothing is reported to anybody"),
    is_so(So::On, idle("rpc.enable_streaming", "changes are streamed, always")),
    is_so(So::On, idle("use_streaming_backend", "changes are streamed, always")),
    idle("snapshot_agent", ENTERPRISE),
    accept("disable_anonymous_signature"),
    accept("disable_coordinates"),
    is_so(So::On, idle("disable_host_node_id", "the node's id is made at random and kept in data_dir")),
    accept("disable_keyring_file"),
    is_so(So::On, idle("disable_remote_exec", "there is no remote execution")),
    accept("disable_update_check"),
    idle("disable_http_unprintable_char_filter", "paths are taken as they are sent"),
    // Keys that Consul's builds set about themselves.
    accept("version"),
    accept("version_prerelease"),
    accept("version_metadata"),
    accept("build_date"),
    accept("revision"),
];

impl Absent {
    /// The key as it is printed, with its current name.
    pub(crate) fn name(&self) -> String {
        if self.now.is_empty() { self.key.to_owned() } else { format!("{} (now {})", self.key, self.now) }
    }

    /// The reaction to a value. A value that is the case anyway is accepted.
    pub(crate) fn to(&self, value: &Node) -> Answer {
        let Self { answer, so, .. } = *self;
        let as_it_is = match (so, &value.kind) {
            (So::On, Kind::Bool(asked)) => *asked,
            (So::Number(number), Kind::Int(asked)) => *asked == number,
            (So::Off | So::On | So::Number(_), _) => asks_for_nothing(value),
        };
        match answer {
            _ if as_it_is => Answer::Accept,
            Answer::ByMode => by_mode(value),
            Answer::Refuse | Answer::Warn | Answer::Accept => answer,
        }
    }
}

/// A request limit counts in mode `enforcing`, is logged in `permissive`, and is off in any other mode or without
/// rates.
fn by_mode(value: &Node) -> Answer {
    if value.as_object().is_none() {
        return Answer::Refuse;
    }
    let is_set = |key: &str| value.find(key).is_some_and(|rate| !asks_for_nothing(rate));
    match value.find("mode").map(|mode| mode.as_str().unwrap_or("enforcing")) {
        None | Some("" | "disabled") => Answer::Accept,
        _ if !is_set("read_rate") && !is_set("write_rate") => Answer::Accept,
        Some("permissive") => Answer::Warn,
        Some(_) => Answer::Refuse,
    }
}

/// Whether a value turns nothing on: `false`, zero or less, empty, or only such values.
pub(crate) fn asks_for_nothing(value: &Node) -> bool {
    match &value.kind {
        Kind::Null | Kind::Bool(false) | Kind::Int(..=0) => true,
        Kind::Float(number) => *number <= 0.0,
        Kind::String(text) => text.is_empty(),
        Kind::List(items) => items.iter().all(asks_for_nothing),
        Kind::Object(object) => object.members.iter().all(|entry| asks_for_nothing(&entry.value)),
        Kind::Bool(true) | Kind::Int(1..) => false,
    }
}
