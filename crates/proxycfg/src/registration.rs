//! Interprets a proxy's registration, or its own description: its listeners, its service, and its upstreams.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use concord_model::catalog::ServiceInstance;
use concord_model::proxy::{AccessLogs, Expose, ExposedPath, ProxyConfig, ServiceKind, Settings, Upstream};
use concord_model::{Datacenter, InstanceId, ServiceIdentity, ServiceRef, SpiffeError, TrustDomain};
use serde::{Deserialize, Serialize};

use crate::address::{BindAddress, LocalTarget};
use crate::chain::{Chain, ChainQuestion};
use crate::described::DescribedProxy;
use crate::id::{ProxyId, UpstreamId};
use crate::limits::UPSTREAMS_MAX;
use crate::listener::{InboundListener, Listener, ListenerId};
use crate::refusal::Refusal;
use crate::settings::{SettingFault, SettingsReader};
use crate::upstream::ReadUpstream;

/// The description of the proxy itself.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ProxySection {
    /// The service that it acts for: it presents its identity and enforces its intentions.
    pub service: ServiceRef,
    /// The instance that it serves, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_id: Option<InstanceId>,
    /// The datacenter in which it runs; part of its identity.
    pub datacenter: Datacenter,
    /// The configured protocol of its service; the default is `tcp`.
    pub protocol: String,
    /// All opaque settings as written, for the keys of other proxies.
    #[serde(default)]
    pub settings: Settings,
    /// Its access logs. The built-in proxy writes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_logs: Option<Box<AccessLogs>>,
    /// The paths that it serves without the mesh's TLS, each at a port of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exposed: Vec<ExposedPath>,
    /// The address, besides loopback, from which the agent asks for the exposed paths of checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_from: Option<IpAddr>,
}

/// Why a registration is invalid for a proxy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProxyFault {
    /// It is not a sidecar.
    #[error("not available yet: proxies of kind {0:?}")]
    Kind(&'static str),
    /// It is imported from a peered cluster, where it is configured.
    #[error("a proxy of a peered cluster is configured there")]
    OfPeer,
    /// It has no destination service.
    #[error("a sidecar needs Proxy.DestinationServiceName")]
    NoDestination,
    /// The service's name cannot be part of a certificate.
    #[error("the service can have no certificate: {0}")]
    Identity(SpiffeError),
    /// Transparent mode, or an unknown mode.
    #[error("not available yet: proxy mode {0:?}; use direct")]
    Mode(String),
    /// An exposed path has no path, no port, or the port of another one.
    #[error("Proxy.Expose.Paths: {0:?} needs a Path, and a ListenerPort of its own")]
    ExposedPath(String),
    /// An exposed path has a protocol without paths.
    #[error("Proxy.Expose.Paths: the protocol of {0:?} must be http or http2")]
    ExposedProtocol(String),
    /// It has no port.
    #[error("a sidecar needs a port: set Port, SocketPath or the config key \"bind_port\"")]
    NoPort,
    /// Too many upstreams.
    #[error("a proxy can have at most {UPSTREAMS_MAX} upstreams; this one has {0}")]
    TooManyUpstreams(usize),
    /// An upstream occurs twice.
    #[error("upstream {0} is there twice; keep one of them")]
    RepeatedUpstream(UpstreamId),
    /// A setting that cannot be parsed.
    #[error(transparent)]
    Setting(#[from] SettingFault),
}

/// A valid registration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Registration {
    pub(crate) proxy: Arc<ProxySection>,
    /// In the order of their names.
    pub(crate) listeners: Vec<Arc<Listener>>,
    /// Where upstreams lead without configuration entries, in the order of their names.
    pub(crate) chains: Vec<Arc<Chain>>,
    /// Whose discovery chains they need with them.
    pub(crate) questions: Vec<Arc<ChainQuestion>>,
}

impl Registration {
    /// Interprets a registration and returns all its errors. `checker` is the address from which the agent checks. An error of one upstream refuses only that upstream.
    pub(crate) fn read(
        id: &ProxyId,
        datacenter: &Datacenter,
        instance: &ServiceInstance,
        checker: Option<IpAddr>,
    ) -> Result<Self, Vec<ProxyFault>> {
        let proxy = match (instance.kind, &instance.proxy) {
            (ServiceKind::ConnectProxy, Some(proxy)) => proxy,
            (ServiceKind::ConnectProxy, None) => return Err(vec![ProxyFault::NoDestination]),
            (kind, _) => return Err(vec![ProxyFault::Kind(kind.as_str())]),
        };
        let Some(service) = instance.connect_target(&id.scope) else {
            return Err(vec![ProxyFault::NoDestination]);
        };
        let mut faults = Vec::new();
        if service.peer.is_some() {
            faults.push(ProxyFault::OfPeer);
        }
        faults.extend(no_identity(&service, datacenter));
        if !matches!(proxy.mode.as_str(), "" | "direct") {
            faults.push(ProxyFault::Mode(proxy.mode.clone()));
        }
        if let Some(expose) = &proxy.expose {
            faults.extend(faults_of_exposed(expose));
        }
        let (section, inbound) = read_proxy(service, datacenter, instance, proxy, checker, &mut faults);
        if inbound.is_none() {
            faults.push(ProxyFault::NoPort);
        }
        Self::assemble(section, inbound, &proxy.upstreams, faults)
    }

    /// Interprets a description, with the same result as a registration of that proxy.
    pub(crate) fn of_described(
        datacenter: &Datacenter,
        described: &DescribedProxy,
    ) -> Result<Self, Vec<ProxyFault>> {
        let service = described.service();
        let faults = Vec::from_iter(no_identity(&service, datacenter));
        let section = ProxySection {
            service,
            service_id: None,
            datacenter: datacenter.clone(),
            protocol: "tcp".to_owned(),
            settings: Settings::new(),
            access_logs: None,
            exposed: Vec::new(),
            checked_from: None,
        };
        let inbound = described.inbound().map(|inbound| InboundListener {
            bind: BindAddress::Tcp(inbound.bind),
            local: Some(inbound.local.clone()),
            local_connect_timeout: None,
            handshake_timeout: None,
            max_connections: None,
        });
        Self::assemble(section, inbound, &described.registered_upstreams(), faults)
    }

    /// Interprets the upstreams. Returns everything together if there are no errors.
    fn assemble(
        proxy: ProxySection,
        inbound: Option<InboundListener>,
        upstreams: &[Upstream],
        mut faults: Vec<ProxyFault>,
    ) -> Result<Self, Vec<ProxyFault>> {
        let (mut listeners, mut chains, mut questions) = (Vec::new(), Vec::new(), Vec::new());
        let read = read_upstreams(upstreams, &proxy.datacenter, inbound.as_ref(), &mut faults);
        for ReadUpstream { listener, leads } in read {
            listeners.push(Arc::new(Listener::Outbound(listener)));
            if let Some((chain, question)) = leads {
                chains.push(Arc::new(chain));
                questions.push(Arc::new(question));
            }
        }
        listeners.extend(inbound.map(|own| Arc::new(Listener::Inbound(own))));
        if !faults.is_empty() {
            return Err(faults);
        }
        listeners.sort_by_key(|listener| listener.id());
        chains.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(Self { proxy: Arc::new(proxy), listeners, chains, questions })
    }

    /// Drops what a proxy does not need that acts by configuration entries, or does not.
    pub(crate) fn keep_what_leads(&mut self, acts_by_entries: bool) {
        match acts_by_entries {
            true => self.chains = Vec::new(),
            false => self.questions = Vec::new(),
        }
        self.listeners.shrink_to_fit();
        self.questions.shrink_to_fit();
    }
}

/// What is wrong with exposed paths.
fn faults_of_exposed(expose: &Expose) -> Vec<ProxyFault> {
    let (mut faults, mut ports) = (Vec::new(), BTreeSet::new());
    for own in &expose.paths {
        let is_new = own.listener_port != 0 && ports.insert(own.listener_port);
        // Where a path leads nowhere, as one without a slash or LocalPathPort, it alone is not served.
        if !is_new || own.path.is_empty() {
            faults.push(ProxyFault::ExposedPath(own.path.clone()));
        }
        if !["", "http", "http2"].iter().any(|known| own.protocol.eq_ignore_ascii_case(known)) {
            faults.push(ProxyFault::ExposedProtocol(own.path.clone()));
        }
    }
    faults
}

/// The error if the service's name cannot be part of a certificate.
fn no_identity(service: &ServiceRef, datacenter: &Datacenter) -> Option<ProxyFault> {
    let domain = TrustDomain::parse("any").expect("a trust domain");
    identity(domain, service, datacenter).err().map(ProxyFault::Identity)
}

/// The identity of a service's instances in a datacenter.
pub(crate) fn identity(
    trust_domain: TrustDomain,
    service: &ServiceRef,
    datacenter: &Datacenter,
) -> Result<ServiceIdentity, SpiffeError> {
    let ServiceRef { partition, namespace, peer: _, name } = service.clone();
    ServiceIdentity::try_new(trust_domain, partition, namespace, datacenter.clone(), name)
}

fn read_proxy(
    service: ServiceRef,
    datacenter: &Datacenter,
    instance: &ServiceInstance,
    proxy: &ProxyConfig,
    checker: Option<IpAddr>,
    faults: &mut Vec<ProxyFault>,
) -> (ProxySection, Option<InboundListener>) {
    let mut reader = SettingsReader::new(&proxy.config);
    let bind_ip = reader.ip("bind_address");
    let bind_port = reader.port("bind_port");
    let local_key = reader.host_port("local_service_address");
    let local_connect_timeout = reader.millis("local_connect_timeout_ms");
    let handshake_timeout = reader.millis("handshake_timeout_ms");
    let max_connections = reader.limit("max_inbound_connections");
    let exposed = proxy.expose.as_ref().map(|own| own.paths.clone()).unwrap_or_default();
    let section = ProxySection {
        service,
        service_id: proxy.destination_service_id.clone(),
        datacenter: datacenter.clone(),
        protocol: reader.text("protocol").unwrap_or("tcp").to_owned(),
        settings: proxy.config.clone(),
        access_logs: proxy.access_logs.clone(),
        checked_from: checker.filter(|_| exposed.iter().any(|path| path.parsed_from_check)),
        exposed,
    };
    faults.extend(reader.faults.into_iter().map(ProxyFault::Setting));
    let inbound = bind(instance, bind_ip, bind_port).map(|bind| InboundListener {
        bind,
        local: local(proxy, local_key),
        local_connect_timeout,
        handshake_timeout,
        max_connections,
    });
    (section, inbound)
}

/// The configured address wins over the registered one. A host name tells others where the proxy is, but not at which
/// of the machine's addresses it should listen; then it listens at all of them.
fn bind(instance: &ServiceInstance, ip: Option<IpAddr>, port: Option<u16>) -> Option<BindAddress> {
    if ip.is_none() && port.is_none() && !instance.socket_path.is_empty() {
        return Some(BindAddress::Unix { path: instance.socket_path.clone(), mode: None });
    }
    let ip = ip.or_else(|| instance.address.parse().ok()).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let port = port.unwrap_or(instance.port);
    (port != 0).then(|| BindAddress::Tcp(SocketAddr::new(ip, port)))
}

/// The registration wins over the older config key.
fn local(proxy: &ProxyConfig, key: Option<(String, u16)>) -> Option<LocalTarget> {
    if !proxy.local_service_socket_path.is_empty() {
        return Some(LocalTarget::Unix { path: proxy.local_service_socket_path.clone() });
    }
    if proxy.local_service_port != 0 {
        let address = proxy.local_service_address.as_str();
        let host = if address.is_empty() { "127.0.0.1" } else { address };
        return Some(LocalTarget::Tcp { host: host.to_owned(), port: proxy.local_service_port });
    }
    key.map(|(host, port)| LocalTarget::Tcp { host, port })
}

fn read_upstreams(
    registered: &[Upstream],
    datacenter: &Datacenter,
    inbound: Option<&InboundListener>,
    faults: &mut Vec<ProxyFault>,
) -> Vec<ReadUpstream> {
    if registered.len() > UPSTREAMS_MAX {
        faults.push(ProxyFault::TooManyUpstreams(registered.len()));
        return Vec::new();
    }
    let mut taken: BTreeMap<BindAddress, ListenerId> = BTreeMap::new();
    taken.extend(inbound.map(|inbound| (inbound.bind.clone(), ListenerId::Inbound)));
    let mut known = BTreeSet::new();
    let mut all = Vec::with_capacity(registered.len());
    for upstream in registered {
        let Some(mut one) = ReadUpstream::read(upstream, datacenter) else { continue };
        let id = one.listener.upstream.clone();
        if let Some(bind) = one.listener.bind.clone() {
            if let Some(by) = taken.get(&bind) {
                one.refuse(Refusal::BindTaken { bind: bind.to_string(), by: by.to_string() });
            } else {
                taken.insert(bind, ListenerId::Upstream(id.clone()));
            }
        }
        if !known.insert(id.clone()) {
            faults.push(ProxyFault::RepeatedUpstream(id));
        }
        all.push(one);
    }
    all
}
