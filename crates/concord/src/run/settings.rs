//! The settings that each part of an agent gets from the configuration. Nothing is read or bound here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use concord_agent::{About, AgentConfig};
use concord_config::address::Port;
use concord_config::section::{AclSection, AgentSection, Config};
use concord_front::http::Names;
use concord_front::http::listener::Settings;
use concord_model::Uuid;
use concord_model::intention::Action;
use concord_model::proxy::Settings as CaSettings;
use concord_server::LiveSettings;
use serde_json::{Value, json};
use tracing::warn;

use super::listen::{Bound, port_of};
use super::mesh_trust::{BY_MESH, SIGNER_KEY};
use super::node;
use crate::cli::{CONSUL_LEVEL, Failure};

/// The ports of the listeners, as reported.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) grpc: Option<u16>,
    pub(super) grpc_tls: Option<u16>,
    /// Where DNS listens.
    pub(super) dns: Vec<SocketAddr>,
}

impl Listening {
    pub(super) fn of(bound: &Bound, names: &[concord_dns::Bound], config: &Config) -> Self {
        // Clients are sent to this port if the operator named a certificate. As in Consul, those who do not know the
        // mesh's authority are sent to the server's own certificate only if the operator asks for that.
        let presents =
            config.tls.grpc.certificate().is_some() || presents_own(config) && config.tls.grpc.auto_cert;
        let dns = names.iter().map(concord_dns::Bound::address).collect();
        Self { grpc: port_of(&bound.grpc), grpc_tls: port_of(&bound.grpc_tls).filter(|_| presents), dns }
    }
}

/// Whether gRPC over TLS has the certificate that the server keeps for itself.
pub(super) fn presents_own(config: &Config) -> bool {
    config.connect.enabled && config.tls.grpc.certificate().is_none()
}

/// The agent's own settings.
pub(super) fn agent_config(
    config: &Config,
    node_id: Uuid,
    address: &str,
    listening: &Listening,
) -> AgentConfig {
    let AgentSection {
        dev,
        datacenter,
        primary_datacenter,
        node_name,
        serf_lan,
        checks,
        proxies,
        xds,
        sidecar_ports,
        expose_ports,
        // Used above, for the node's directory, id and addresses.
        data_dir: _,
        pid_file: _,
        node_id: _,
        bind: _,
        advertise: _,
        // Kept for a later version in which agents talk to each other; a warning says so.
        encrypt: _,
        // Used by `node::meta`, `http_settings` and `dns_settings`.
        node_meta: _,
        domain: _,
        alt_domain: _,
    } = &config.agent;
    let signed = |port: Option<u16>| port.map_or(-1, i32::from);
    AgentConfig {
        node_id: Some(node_id),
        primary_datacenter: Some(primary_datacenter.clone()),
        tagged_addresses: node::tagged_addresses(address),
        meta: node::meta(config),
        // Only the server creates this token.
        acl: AclSection { initial_management: None, ..config.acl.clone() },
        // Without a range no port is free, so a sidecar without a port is refused.
        sidecar_ports: sidecar_ports.clone().unwrap_or(RangeInclusive::new(1, 0)),
        expose_ports: expose_ports.clone().unwrap_or(RangeInclusive::new(1, 0)),
        definitions: config.definitions.clone(),
        check_settings: *checks,
        proxies: *proxies,
        xds: *xds,
        queries: config.server.queries,
        dev: *dev,
        about: About {
            version: CONSUL_LEVEL.to_owned(),
            revision: String::new(),
            build_date: "1970-01-01T00:00:01Z".to_owned(),
            role: config.server.role,
            grpc_port: signed(listening.grpc),
            grpc_tls_port: signed(listening.grpc_tls),
            serf_port: if let Port::At(port) = serf_lan { *port } else { 8301 },
            server_port: if let Port::At(port) = config.server.port { port } else { 8300 },
            envoy_versions: Vec::new(),
            debug_config: debug_config(config, listening),
        },
        ..AgentConfig::new(node_name.clone(), datacenter.clone(), address.to_owned())
    }
}

/// While ACLs are disabled, everything is allowed, whatever their default policy.
pub(super) fn effective_default(config: &Config) -> Action {
    if config.acl.enabled { config.acl.default_policy } else { Action::Allow }
}

/// The CA settings with the supplied private key, as the provider reads them.
pub(super) fn ca_settings_of(written: &concord_api::connect::CaSettings) -> CaSettings {
    let mut settings = written.plain.clone();
    if let Some(key) = &written.private_key {
        settings.insert("PrivateKey".to_owned(), Value::String(key.expose().to_owned()));
    }
    settings
}

/// The server's settings that can change at run time.
pub(super) fn live_settings(config: &Config) -> LiveSettings {
    LiveSettings { entries: config.server.entries.clone().into(), node_meta: node::meta(config) }
}

/// The resolved configuration as `agent/self` shows it. Knobs never show secrets.
pub(super) fn debug_config(config: &Config, listening: &Listening) -> BTreeMap<String, Value> {
    let mut all: BTreeMap<String, Value> = concord_config::knob::KNOBS
        .iter()
        .map(|knob| (knob.key.to_owned(), Value::String((knob.value)(config).to_string())))
        .collect();
    all.insert("DevMode".to_owned(), Value::Bool(config.agent.dev));
    let signer = match config.tls.grpc.certificate() {
        Some(_) => "configuration",
        None if presents_own(config) => BY_MESH,
        None => "nobody",
    };
    all.insert(SIGNER_KEY.to_owned(), json!(signer));
    all.insert("GRPCPort".to_owned(), json!(listening.grpc.map_or(-1, i32::from)));
    all.insert("GRPCTLSPort".to_owned(), json!(listening.grpc_tls.map_or(-1, i32::from)));
    all
}

/// The settings of DNS, which listens at these addresses. It does not ask itself about other domains.
pub(super) fn dns_settings(config: &Config, own: &[SocketAddr]) -> concord_dns::Settings {
    let mut section = config.dns.clone();
    section.recursors.retain(|recursor| {
        let is_own = |own: &SocketAddr| {
            own.port() == recursor.port()
                && (own.ip() == recursor.ip() || own.ip().is_unspecified() && recursor.ip().is_loopback())
        };
        let is_self = own.iter().any(is_own);
        if is_self {
            warn!(%recursor, "this recursor is the agent itself, which is not asked; name another DNS server");
        }
        !is_self
    });
    let AgentSection { datacenter, domain, alt_domain, .. } = &config.agent;
    concord_dns::Settings::new(section, datacenter.clone(), domain, alt_domain.as_deref())
}

pub(super) fn http_settings(config: &Config) -> Result<Settings, Failure> {
    let mut headers = Vec::new();
    for (name, value) in &config.http.response_headers {
        let wrong = || {
            Failure::input(format!("http_config.response_headers: {name:?} is no header that can be sent"))
        };
        headers.push((name.parse().map_err(|_| wrong())?, value.parse().map_err(|_| wrong())?));
    }
    Ok(Settings {
        section: config.http.clone(),
        names: Names {
            node: config.agent.node_name.to_string(),
            domains: std::iter::once(&config.agent.domain).chain(&config.agent.alt_domain).cloned().collect(),
            tokens_count: config.acl.enabled,
        },
        headers,
        pretty: config.agent.dev,
        default_policy: effective_default(config),
        ..Settings::default()
    })
}
