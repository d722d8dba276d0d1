//! Keys of blocks that get one reaction as a whole, so that a misspelt key is still found.

/// Blocks of [`super::ABSENT`] and the keys that they may contain. The content of other blocks is not checked.
pub(crate) const BLOCKS: &[(&str, &[&str])] = &[
    ("audit", &["enabled", "rpc_enabled", "sink"]),
    (
        "auto_config",
        &[
            "authorization",
            "dns_sans",
            "enabled",
            "intro_token",
            "intro_token_file",
            "ip_sans",
            "server_addresses",
        ],
    ),
    (
        "autopilot",
        &[
            "cleanup_dead_servers",
            "disable_upgrade_migration",
            "last_contact_threshold",
            "max_trailing_logs",
            "min_quorum",
            "redundancy_zone_tag",
            "server_stabilization_time",
            "upgrade_version_tag",
        ],
    ),
    ("cache", &["entry_fetch_max_burst", "entry_fetch_rate"]),
    ("cloud", &["auth_url", "client_id", "client_secret", "hostname", "resource_id", "scada_address"]),
    ("gossip_lan", GOSSIP),
    ("gossip_wan", GOSSIP),
    ("limits.request_limits", &["mode", "read_rate", "write_rate"]),
    ("locality", &["region", "zone"]),
    ("peering", &["enabled", "test_allow_peer_registrations"]),
    ("raft_logstore", &["backend", "boltdb", "disable_log_cache", "verification", "wal"]),
    ("reporting", &["license"]),
    (
        "ui_config",
        &[
            "content_path",
            "dashboard_url_templates",
            "dir",
            "enabled",
            "metrics_provider",
            "metrics_provider_files",
            "metrics_provider_options_json",
            "metrics_proxy",
        ],
    ),
];

const GOSSIP: &[&str] = &[
    "gossip_interval",
    "gossip_nodes",
    "probe_interval",
    "probe_timeout",
    "retransmit_mult",
    "suspicion_mult",
];
