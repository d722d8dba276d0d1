//! Tests of rules that the wiring must keep.

use concord_config::{AgentFlags, Host};
use concord_model::{Secret, Uuid};

use super::mesh_trust::{BY_MESH, SIGNER_KEY};
use super::settings::{Listening, agent_config, debug_config};

/// The files that take the configuration's sections apart, also those that are handed over whole.
const WIRING: [&str; 25] = [
    include_str!("agent.rs"),
    include_str!("listen.rs"),
    include_str!("logs.rs"),
    include_str!("logs/file.rs"),
    include_str!("node.rs"),
    include_str!("reload.rs"),
    include_str!("sealing.rs"),
    include_str!("settings.rs"),
    include_str!("telemetry.rs"),
    include_str!("tls.rs"),
    include_str!("../../../agent/src/agent.rs"),
    include_str!("../../../agent/src/config.rs"),
    include_str!("../../../agent/src/checks.rs"),
    include_str!("../../../agent/src/checks/maker.rs"),
    include_str!("../../../agent/src/load.rs"),
    include_str!("../../../agent/src/local/check.rs"),
    include_str!("../../../agent/src/own_tokens.rs"),
    include_str!("../../../agent/src/tokens.rs"),
    include_str!("../../../dns/src/answer.rs"),
    include_str!("../../../dns/src/catalog.rs"),
    include_str!("../../../dns/src/fit.rs"),
    include_str!("../../../dns/src/records.rs"),
    include_str!("../../../dns/src/recursor.rs"),
    include_str!("../../../dns/src/settings.rs"),
    include_str!("../../../front/src/http/listener.rs"),
];

/// Settings of parts that are not built yet, or that are read only to be checked; a warning about the key says so.
const KEPT: [&str; 4] = ["encrypt", "defaults", "verify_outgoing", "verify_server_hostname"];

/// A field that is ignored where its section is taken apart (`field: _`) must be read elsewhere.
#[test]
fn every_setting_is_taken_by_somebody() {
    let sections = include_str!("../../../config/src/section.rs");
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    // `pub name: Type,` of a struct, or `name: Type = default;` under `section!`.
    let field = |line: &'static str| {
        let (line, public) =
            line.trim().strip_prefix("pub ").map_or_else(|| (line.trim(), false), |rest| (rest, true));
        let (name, rest) = line.split_once(": ")?;
        (name.chars().all(is_name) && (public || rest.contains(" = "))).then_some(name)
    };
    let fields: Vec<_> = sections.lines().filter_map(field).collect();
    assert!(fields.len() > 110, "{fields:?}");
    let takes = |source: &str, field: &str| {
        source.match_indices(field).any(|(at, _)| {
            let (before, after) = (&source[..at], &source[at + field.len()..]);
            // As a field, or bound under its own or another name.
            let whole = !before.ends_with(is_name) && !after.starts_with(is_name);
            let bound =
                before.ends_with([' ', '{']) && (after.starts_with([',', ' ']) || after.starts_with(": "));
            whole && (before.ends_with('.') || bound) && !after.starts_with(": _")
        })
    };
    let fields = fields.into_iter().filter(|field| !KEPT.contains(field));
    let untaken: Vec<_> = fields.filter(|field| !WIRING.iter().any(|source| takes(source, field))).collect();
    assert!(untaken.is_empty(), "nobody reads {untaken:?}; who does, and is not in WIRING, is named there");
}

#[test]
fn a_token_is_kept_no_longer_than_its_policies() {
    let kept = |ttls: &str| {
        let flags =
            AgentFlags { dev: true, hcl: vec![Secret::new(ttls.to_owned())], ..AgentFlags::default() };
        let host = Host { hostname: "n1".to_owned(), ..Host::default() };
        let config = concord_config::load(&[], &flags, &host).expect("it can be started with").config;
        agent_config(
            &config,
            Uuid([0; 16]),
            "127.0.0.1",
            &Listening { grpc: None, grpc_tls: None, dns: Vec::new() },
        )
        .token_ttl()
        .as_secs()
    };
    assert_eq!(kept("acl { token_ttl = \"50s\" policy_ttl = \"40s\" role_ttl = \"45s\" }"), 40);
    assert_eq!(kept("acl { token_ttl = \"50s\" policy_ttl = \"60s\" role_ttl = \"45s\" }"), 45);
    assert_eq!(kept("acl { token_ttl = \"30s\" policy_ttl = \"60s\" role_ttl = \"45s\" }"), 30);
}

#[test]
fn an_agent_says_who_signed_its_certificate_for_grpc() {
    let signer = |hcl: &str| {
        let flags = AgentFlags { dev: true, hcl: vec![Secret::new(hcl.to_owned())], ..AgentFlags::default() };
        let host = Host { hostname: "n1".to_owned(), ..Host::default() };
        let config = concord_config::load(&[], &flags, &host).expect("it can be started with").config;
        debug_config(&config, &Listening { grpc: None, grpc_tls: None, dns: Vec::new() })[SIGNER_KEY].clone()
    };
    assert_eq!(signer(""), BY_MESH);
    assert_eq!(
        signer("ports { grpc_tls = 8503 } tls { grpc { cert_file = \"a.pem\" key_file = \"a.key\" } }"),
        "configuration"
    );
    assert_eq!(signer("connect { enabled = false }"), "nobody");
}

/// The configuration is checked without the authority's table of kinds, and must not disagree with it.
#[test]
fn the_kinds_of_authorities_are_those_of_the_configuration() {
    let kinds = concord_ca::provider::Kinds::default();
    let provider = |hcl: &str| {
        let flags = AgentFlags { dev: true, hcl: vec![Secret::new(hcl.to_owned())], ..AgentFlags::default() };
        let host = Host { hostname: "n1".to_owned(), ..Host::default() };
        Some(concord_config::load(&[], &flags, &host).ok()?.config.connect.ca_provider)
    };
    let default = kinds.default_kind().name();
    assert_eq!(provider("").as_deref(), Some(default));
    for name in [default, "vault", "aws-pca", "own"] {
        let written = provider(&format!("connect {{ ca_provider = \"{name}\" }}"));
        assert_eq!(written.is_some(), kinds.find(name).is_ok(), "{name}");
    }
}
