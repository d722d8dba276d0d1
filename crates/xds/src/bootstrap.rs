//! Envoy's bootstrap: from typed input to JSON.
//!
//! ```text
//! Proxy.Config ──► Settings ─┐
//! flags, the registration ───┴─► Bootstrap ──► json() ──► what Envoy reads
//! ```
//!
//! The names of clusters, listeners and tags are those of Consul, because dashboards and scripts name them. Nothing
//! here reads a file, the environment or the network: whoever calls has done that.

pub mod access_log;
mod listeners;
mod settings;
mod sinks;
mod tags;
mod template;
pub mod version;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};

use concord_model::Secret;
use serde_json::{Map, Value, json};

pub use self::settings::Settings;

/// The cluster of the agent or server that configures Envoy.
pub const LOCAL_AGENT: &str = "local_agent";
/// The largest program of a regular expression that Envoy accepts here; its own limit is too small for long paths.
const REGEX_PROGRAM_MAX: u32 = 1_048_576;

/// All that a bootstrap is made of.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    /// Who the proxy is.
    pub node: Node,
    /// Where it gets its configuration.
    pub agent: AgentAddress,
    /// How it trusts what answers there; `None`: no TLS.
    pub tls: Option<AgentTrust>,
    /// The ACL token that it shows there; `None`: none.
    pub token: Option<Secret>,
    /// Its admin interface.
    pub admin: Admin,
    /// How it is scraped, if the settings ask for that.
    pub prometheus: Prometheus,
    /// Where it answers whether it is ready; `None`: nowhere.
    pub ready: Option<SocketAddr>,
    /// Leave out the names that tags had before Consul 1.9.
    pub omit_deprecated_tags: bool,
    /// What the proxy's own configuration says.
    pub settings: Settings,
}

/// Who the proxy is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Node {
    /// The id of the proxy's instance.
    pub id: String,
    /// The service that it serves; of a gateway its own.
    pub service: String,
    /// The node on which it is registered, if that is not the node of the agent.
    pub node_name: Option<String>,
    /// Its datacenter; empty: unknown.
    pub datacenter: String,
}

/// Where Envoy gets its configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AgentAddress {
    /// TCP.
    Socket(SocketAddr),
    /// A unix socket.
    Pipe(String),
}

/// How Envoy trusts the agent. The authorities are never left out: Envoy would accept any certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AgentTrust {
    /// The authorities, PEM.
    pub authorities: String,
    /// The name that the certificate must have; `None`: any that the authorities signed.
    pub name: Option<String>,
}

/// The admin interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Admin {
    /// Its address.
    pub bind: SocketAddr,
    /// Its access logs as Envoy takes them; empty: the file `log_path`.
    pub access_logs: Vec<Value>,
    /// The file of its access log.
    pub log_path: String,
}

/// How Envoy is scraped. It counts only where the settings say `envoy_prometheus_bind_addr`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Prometheus {
    /// A port of this machine that serves the metrics instead of Envoy.
    pub backend_port: Option<u16>,
    /// The path.
    pub scrape_path: String,
    /// Under TLS.
    pub tls: Option<PrometheusTls>,
}

/// The files of TLS for scraping.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PrometheusTls {
    /// The authorities of clients, PEM.
    pub authorities: Authorities,
    /// The certificate.
    pub cert_file: String,
    /// Its key.
    pub key_file: String,
}

/// Where the authorities stand.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Authorities {
    /// In a file.
    File(String),
    /// Here, PEM.
    Inline(String),
}

impl Default for Prometheus {
    fn default() -> Self {
        Self { backend_port: None, scrape_path: "/metrics".to_owned(), tls: None }
    }
}

/// Why there is no bootstrap.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BootstrapError {
    /// A setting has a value that cannot be used.
    #[error("{key}: {reason}")]
    Setting {
        /// Its key.
        key: &'static str,
        /// What is wrong, and the remedy.
        reason: String,
    },
    /// A setting that concord does not act by.
    #[error(
        "{key}: not available yet: {what}; remove it from the proxy's configuration and from proxy-defaults"
    )]
    NotAvailable {
        /// Its key.
        key: &'static str,
        /// What is missing.
        what: &'static str,
    },
    /// The access log of `proxy-defaults` cannot be used.
    #[error("access_logs of proxy-defaults: {0}")]
    AccessLog(String),
}

impl BootstrapError {
    fn setting(key: &'static str, reason: impl Into<String>) -> Self {
        Self::Setting { key, reason: reason.into() }
    }
}

impl Bootstrap {
    /// The bootstrap as JSON.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub fn json(&self) -> Result<Value, BootstrapError> {
        let parts = Parts::of(self)?;
        match &self.settings.template {
            Some(text) => template::rendered(text, self, &parts),
            None => Ok(self.assembled(parts)),
        }
    }

    fn assembled(&self, parts: Parts) -> Value {
        let mut resources = Map::new();
        let clusters: Vec<_> = [self.local_agent()].into_iter().chain(parts.clusters).collect();
        resources.insert("clusters".to_owned(), json!(clusters));
        insert_some(&mut resources, "listeners", parts.listeners);
        insert_some(&mut resources, "secrets", parts.secrets);
        let mut all = Map::new();
        all.insert("admin".to_owned(), self.admin());
        all.insert("node".to_owned(), self.node());
        all.insert("layered_runtime".to_owned(), runtime());
        all.insert("static_resources".to_owned(), Value::Object(resources));
        insert_some(&mut all, "stats_sinks", parts.sinks);
        all.insert("stats_config".to_owned(), parts.stats_config);
        if let Some(interval) = &self.settings.stats_flush_interval {
            all.insert("stats_flush_interval".to_owned(), json!(interval));
        }
        if let Some(tracing) = &self.settings.tracing {
            all.insert("tracing".to_owned(), tracing.clone());
        }
        all.insert("dynamic_resources".to_owned(), self.dynamic());
        Value::Object(all)
    }

    fn admin(&self) -> Value {
        json!({ "access_log": self.admin_logs(), "address": socket_address(self.admin.bind) })
    }

    fn admin_logs(&self) -> Vec<Value> {
        if !self.admin.access_logs.is_empty() {
            return self.admin.access_logs.clone();
        }
        vec![json!({
            "name": "envoy.access_loggers.file",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                "path": self.admin.log_path,
            },
        })]
    }

    fn node(&self) -> Value {
        let mut metadata = Map::new();
        if let Some(name) = &self.node.node_name {
            metadata.insert("node_name".to_owned(), json!(name));
        }
        metadata.insert("namespace".to_owned(), json!("default"));
        metadata.insert("partition".to_owned(), json!("default"));
        json!({ "cluster": self.node.service, "id": self.node.id, "metadata": metadata })
    }

    fn local_agent(&self) -> Value {
        let address = match &self.agent {
            AgentAddress::Socket(address) => socket_address(*address),
            AgentAddress::Pipe(path) => json!({ "pipe": { "path": path } }),
        };
        let mut cluster = static_cluster(LOCAL_AGENT, "1s", "http2_protocol_options", address);
        if let Some(trust) = &self.tls {
            cluster.insert("transport_socket".to_owned(), upstream_tls(trust));
        }
        Value::Object(cluster)
    }

    fn dynamic(&self) -> Value {
        let by_ads = json!({ "ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3" });
        let mut service = Map::new();
        if let Some(token) = self.token.as_ref().filter(|token| !token.is_empty()) {
            let shown = json!([{ "key": "x-consul-token", "value": token.expose() }]);
            service.insert("initial_metadata".to_owned(), shown);
        }
        service.insert("envoy_grpc".to_owned(), json!({ "cluster_name": LOCAL_AGENT }));
        json!({
            "lds_config": by_ads,
            "cds_config": by_ads,
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "grpc_services": [service],
            },
        })
    }
}

/// What is added to the fixed frame.
#[derive(Debug)]
struct Parts {
    clusters: Vec<Value>,
    listeners: Vec<Value>,
    secrets: Vec<Value>,
    sinks: Vec<Value>,
    stats_config: Value,
}

impl Parts {
    fn of(own: &Bootstrap) -> Result<Self, BootstrapError> {
        let mut parts = Self {
            clusters: own.settings.static_clusters.clone(),
            listeners: own.settings.static_listeners.clone(),
            secrets: Vec::new(),
            sinks: sinks::of(&own.settings)?,
            stats_config: own.settings.stats_config.clone().unwrap_or_else(|| tags::stats_config(own)),
        };
        listeners::add(own, &mut parts)?;
        Ok(parts)
    }
}

fn insert_some(all: &mut Map<String, Value>, key: &str, list: Vec<Value>) {
    if !list.is_empty() {
        all.insert(key.to_owned(), Value::Array(list));
    }
}

fn runtime() -> Value {
    let layer = json!({ "re2.max_program_size.error_level": REGEX_PROGRAM_MAX });
    json!({ "layers": [{ "name": "base", "static_layer": layer }] })
}

fn socket_address(address: SocketAddr) -> Value {
    host_address(address.ip(), address.port())
}

fn host_address(ip: IpAddr, port: u16) -> Value {
    json!({ "socket_address": { "address": ip.to_string(), "port_value": port } })
}

/// A cluster with one fixed endpoint.
fn static_cluster(name: &str, timeout: &str, protocol: &str, address: Value) -> Map<String, Value> {
    const PROTOCOLS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let endpoint = json!({ "endpoint": { "address": address } });
    let cluster = json!({
        "name": name,
        "ignore_health_on_host_removal": false,
        "connect_timeout": timeout,
        "type": "STATIC",
        "typed_extension_protocol_options": {
            PROTOCOLS: {
                "@type": format!("type.googleapis.com/{PROTOCOLS}"),
                "explicit_http_config": { protocol: {} },
            },
        },
        "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [endpoint] }] },
    });
    match cluster {
        Value::Object(cluster) => cluster,
        _ => Map::new(),
    }
}

fn upstream_tls(trust: &AgentTrust) -> Value {
    let mut context = Map::new();
    context.insert("trusted_ca".to_owned(), json!({ "inline_string": trust.authorities }));
    if let Some(name) = &trust.name {
        let matcher = json!({ "san_type": "DNS", "matcher": { "exact": name } });
        context.insert("match_typed_subject_alt_names".to_owned(), json!([matcher]));
    }
    let mut own = json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": { "validation_context": context },
    });
    if let Some(name) = &trust.name {
        own["sni"] = json!(name);
    }
    json!({ "name": "tls", "typed_config": own })
}
