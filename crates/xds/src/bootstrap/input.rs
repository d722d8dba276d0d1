//! What a bootstrap is made of.

use std::net::SocketAddr;

use concord_model::Secret;
use serde_json::Value;

use super::settings::Settings;

/// The cluster of the agent or server that configures Envoy.
pub const LOCAL_AGENT: &str = "local_agent";

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
