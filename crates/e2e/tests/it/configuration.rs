//! Configurations as users of Consul have them, with which an agent starts. The loader's own tests cover hundreds of
//! others without starting an agent.

use concord_e2e::{AgentOptions, World, pick_port};
use serde_json::json;

/// A server as a test harness starts it: one JSON file which states every port, and an empty file beside it. The server
/// has no certificate for the TLS ports.
#[test]
fn the_server_of_a_test_harness_starts() {
    const CLUSTER: &str = "11111111-2222-3333-4444-555555555555";
    let world = World::new();
    let node_id = "0b7f1e8c-3a9c-4f6e-9a55-0d0c5f1c2f11";
    let (dns, serf_lan, serf_wan, server) = (pick_port(), pick_port(), pick_port(), pick_port());
    let (https, grpc_tls) = (pick_port(), pick_port());
    let file = json!({
        "node_name": format!("node-{node_id}"),
        "node_id": node_id,
        "performance": { "raft_multiplier": 1 },
        "bootstrap": true,
        "server": true,
        "data_dir": world.path("harness-data"),
        "segments": null,
        "disable_update_check": true,
        "log_level": "debug",
        "bind_addr": "127.0.0.1",
        "addresses": {},
        "ports": { "dns": dns, "serf_lan": serf_lan, "serf_wan": serf_wan, "server": server, "https": https, "grpc_tls": grpc_tls },
        "acl": { "enabled": true, "default_policy": "allow", "tokens": { "master": "root", "agent_master": "towel" } },
        "connect": { "ca_config": { "cluster_id": CLUSTER }, "enabled": true },
        "skip_leave_on_interrupt": true,
        "peering": { "enabled": true },
        "autopilot": { "server_stabilization_time": "10ms" },
        "raft_protocol": 3,
        "version": "1.21.0",
    });
    let file = world.write("config.json", file.to_string());
    let args = [file, world.write("extra.json", "")].map(|path| format!("-config-file={}", path.display()));
    let agent = world.agent("n1", AgentOptions { args: args.to_vec(), ..AgentOptions::default() });
    let http = agent.http();
    let roots = http.get("/v1/connect/ca/roots").json();
    assert_eq!(roots["TrustDomain"], format!("{CLUSTER}.consul"), "{roots}");
    let own = http.with_token("root").get("/v1/acl/token/self").json();
    assert_eq!(own["SecretID"], "root", "the token of earlier days is made: {own}");
}

#[test]
fn a_directory_of_files_with_templates_starts_and_tells_once_what_has_no_effect() {
    let world = World::new();
    let directory = world.path("conf.d");
    std::fs::create_dir(&directory).expect("a directory can be made");
    let write =
        |name: &str, text: &str| std::fs::write(directory.join(name), text).expect("a file can be written");
    write(
        "10-agent.hcl",
        r#"client_addr = "{{ GetAllInterfaces | include \"flags\" \"loopback\" | include \"type\" \"ipv4\" | limit 1 | attr \"address\" }}"
        retry_join = ["10.0.0.6"]
        retry_max  = 3"#,
    );
    write(
        "20-web.json",
        r#"{"Service": {"Name": "web", "Port": 8080}, "dns_config": {"use_cache": true, "cache_max_age": "5s"}}"#,
    );
    write("README", "not read");
    let args = vec![format!("-config-dir={}", directory.display())];
    let mut agent = world.agent("n1", AgentOptions { dev: true, args, ..AgentOptions::default() });
    assert!(agent.http_addr().starts_with("127.0.0.1:"), "{}", agent.http_addr());
    assert!(agent.http().get("/v1/agent/services").json().get("web").is_some());
    let log = agent.process().log();
    let of_dns = "dns_config.use_cache, dns_config.cache_max_age have no effect";
    for told in ["retry_join, retry_max have no effect", of_dns, "README: is left out"] {
        assert_eq!(log.matches(told).count(), 1, "{told}: {log}");
    }
}

#[test]
fn a_trust_domain_stays_and_who_asks_for_another_is_told() {
    let world = World::new();
    let file = |id: &str| {
        world.write("ca.json", json!({ "connect": { "ca_config": { "cluster_id": id } } }).to_string())
    };
    let first = "11111111-2222-3333-4444-555555555555";
    let args = vec![format!("-config-file={}", file(first).display())];
    let mut agent = world.agent("n1", AgentOptions { args, ..AgentOptions::default() });
    agent.kill9();
    file("99999999-2222-3333-4444-555555555555");
    agent.restart();
    let roots = agent.http().get("/v1/connect/ca/roots").json();
    assert_eq!(roots["TrustDomain"], format!("{first}.consul"), "{roots}");
    let log = agent.process().log();
    assert_eq!(log.matches("connect.ca_config.cluster_id has no effect").count(), 1, "{log}");
}
