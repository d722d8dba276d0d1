//! gRPC over TLS: the certificate of the configuration, or, where it names none, the one that the server keeps for itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use concord_config::section::{Config, TlsSection, TlsVersion};
use concord_front::tls::{Presented, Protocol, Tls};
use concord_server::{Names, Presented as Own};
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::watch;
use tracing::error;

/// The TLS of gRPC, with both certificates that may be presented.
pub(in crate::run) struct Grpc {
    tls: Arc<Tls>,
    sources: Mutex<Sources>,
}

struct Sources {
    /// From the files that the configuration names. It wins.
    configured: Option<Arc<ServerConfig>>,
    /// The server's own, where it is valid now.
    own: Option<Arc<Own>>,
    /// What is demanded of connections.
    section: TlsSection,
}

/// The names under which clients may call this server.
pub(in crate::run) fn names(config: &Config, address: &str) -> Names {
    let datacenter = &config.agent.datacenter;
    let domains = std::iter::once(&config.agent.domain).chain(&config.agent.alt_domain);
    let named = domains.map(|domain| format!("server.{datacenter}.{}", domain.trim_matches('.')));
    let mut addresses: Vec<IpAddr> = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    addresses.extend(address.parse::<IpAddr>().ok().filter(|address| !address.is_loopback()));
    Names { dns: named.chain(std::iter::once("localhost".to_owned())).collect(), addresses }
}

impl Grpc {
    pub(super) fn new(config: &Config, configured: Option<Arc<ServerConfig>>) -> Arc<Self> {
        let tls = Tls::new(Protocol::Http2, configured.clone(), config.grpc_tls.handshake_timeout);
        let sources = Sources { configured, own: None, section: config.tls.grpc.clone() };
        Arc::new(Self { tls, sources: Mutex::new(sources) })
    }

    /// The TLS of the listeners.
    pub(in crate::run) fn tls(&self) -> Arc<Tls> {
        Arc::clone(&self.tls)
    }

    /// Takes what a reload has read.
    pub(super) fn configured(&self, config: &Config, configured: Option<Arc<ServerConfig>>) {
        let mut sources = self.sources.lock();
        (sources.configured, sources.section) = (configured, config.tls.grpc.clone());
        self.tls.replace(sources.presented());
    }

    /// Presents the server's own certificate, as it changes, while the configuration names none.
    pub(in crate::run) async fn follow(self: Arc<Self>, mut own: watch::Receiver<Option<Arc<Own>>>) {
        loop {
            {
                let current = own.borrow_and_update().clone();
                let mut sources = self.sources.lock();
                sources.own = current;
                self.tls.replace(sources.presented());
            }
            if own.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Sources {
    fn presented(&self) -> Option<Arc<ServerConfig>> {
        let Self { configured, own, section } = self;
        if configured.is_some() {
            return configured.clone();
        }
        match own_config(own.as_deref()?, section) {
            Ok(config) => Some(config),
            Err(cause) => {
                error!(cause, "the server's own certificate cannot be presented for gRPC");
                None
            }
        }
    }
}

fn own_config(own: &Own, section: &TlsSection) -> Result<Arc<ServerConfig>, String> {
    let chain = CertificateDer::pem_slice_iter(own.chain_pem.as_bytes()).collect::<Result<_, _>>();
    let presented = Presented {
        chain: chain.map_err(|error| error.to_string())?,
        key: PrivateKeyDer::from_pem_slice(own.key.expose().as_bytes()).map_err(|error| error.to_string())?,
        // Callers can be asked for certificates only together with a configured one.
        callers: None,
        only_1_3: section.min_version == TlsVersion::V1_3,
        suites: section.cipher_suites.clone(),
        protocol: Protocol::Http2,
    };
    presented.config().map_err(|error| error.to_string())
}
