//! An unregistered proxy: the description that its process sends when it attaches.
//!
//! A description can say less than a registration, on purpose: it has no opaque settings, modes, prepared queries or
//! peers, so that it cannot ask for what cannot be served. It is validated when it is created and again when it
//! arrives from the wire. The side that answers it uses its token to decide what the process may do: act for the
//! service, and see its upstreams.

use std::net::{IpAddr, SocketAddr};

use concord_model::proxy::{Settings, Upstream, UpstreamKind};
use concord_model::{InstanceId, Namespace, Partition, Pattern, ServiceName, ServiceRef};
use serde::{Deserialize, Serialize};

use crate::address::LocalTarget;
use crate::limits::UPSTREAMS_MAX;

/// An unregistered proxy, as its process describes it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct DescribedProxy {
    service: ServiceName,
    inbound: Option<DescribedInbound>,
    upstreams: Vec<DescribedUpstream>,
}

/// How it accepts connections from the mesh.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DescribedInbound {
    /// The address at which it listens.
    pub bind: SocketAddr,
    /// The address at which its service listens.
    pub local: LocalTarget,
}

/// An upstream of its service.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DescribedUpstream {
    /// The called service: in the proxy's own datacenter, and in the default namespace and partition.
    pub service: ServiceName,
    /// The address at which the proxy listens for it.
    pub bind: SocketAddr,
}

/// Why a description is invalid.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DescriptionFault {
    /// It neither accepts connections nor has upstreams.
    #[error("a proxy that takes no connections needs an upstream")]
    NothingToDo,
    /// Its listener for the mesh has port 0.
    #[error("{0} has no port to take connections of the mesh at")]
    NoPort(SocketAddr),
    /// Its service has no address.
    #[error("the service itself needs an address and a port")]
    NoLocal,
    /// Its listener for an upstream has port 0.
    #[error("upstream {0} has no port to listen at")]
    NoUpstreamPort(ServiceName),
    /// Too many upstreams.
    #[error("a proxy can have at most {UPSTREAMS_MAX} upstreams; this one has {0}")]
    TooManyUpstreams(usize),
    /// An upstream occurs twice.
    #[error("upstream {0} is there twice; keep one of them")]
    RepeatedUpstream(ServiceName),
    /// Two listeners have the same address.
    #[error("{bind} of upstream {service} is taken by {by}; choose another port")]
    BindTaken {
        /// The upstream whose address is in use.
        service: ServiceName,
        /// The address.
        bind: SocketAddr,
        /// The listener that has it.
        by: String,
    },
}

/// The wire form. Received data becomes a description only through its constructor.
#[derive(Deserialize, Serialize)]
struct Wire {
    service: ServiceName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inbound: Option<DescribedInbound>,
    #[serde(default)]
    upstreams: Vec<DescribedUpstream>,
}

impl TryFrom<Wire> for DescribedProxy {
    type Error = DescriptionFault;

    fn try_from(wire: Wire) -> Result<Self, DescriptionFault> {
        let Wire { service, inbound, upstreams } = wire;
        Self::try_new(service, inbound, upstreams)
    }
}

impl From<DescribedProxy> for Wire {
    fn from(own: DescribedProxy) -> Self {
        let DescribedProxy { service, inbound, upstreams } = own;
        Self { service, inbound, upstreams }
    }
}

impl DescribedProxy {
    /// A proxy of a service that accepts connections, calls upstreams, or both.
    ///
    /// # Errors
    /// The first error. Such a proxy could do nothing, or less than it says.
    pub fn try_new(
        service: ServiceName,
        inbound: Option<DescribedInbound>,
        upstreams: Vec<DescribedUpstream>,
    ) -> Result<Self, DescriptionFault> {
        if inbound.is_none() && upstreams.is_empty() {
            return Err(DescriptionFault::NothingToDo);
        }
        if upstreams.len() > UPSTREAMS_MAX {
            return Err(DescriptionFault::TooManyUpstreams(upstreams.len()));
        }
        inbound.iter().try_for_each(check_inbound)?;
        let own = inbound.as_ref().map(|inbound| inbound.bind);
        for (at, upstream) in upstreams.iter().enumerate() {
            check_upstream(upstream, own, &upstreams[..at])?;
        }
        Ok(Self { service, inbound, upstreams })
    }

    /// The service that it acts for: it presents its identity and enforces its intentions.
    pub fn service(&self) -> ServiceRef {
        ServiceRef::local(self.service.clone())
    }

    /// How it accepts connections from the mesh; `None`: it only calls.
    pub fn inbound(&self) -> Option<&DescribedInbound> {
        self.inbound.as_ref()
    }

    /// The upstreams of its service, in the given order.
    pub fn upstreams(&self) -> &[DescribedUpstream] {
        &self.upstreams
    }

    /// Its name, where a registered proxy has its id: the name of its service.
    pub fn id(&self) -> InstanceId {
        InstanceId::parse(self.service.as_str()).expect("every service name is a service id")
    }

    /// Its upstreams in the form of a registration.
    pub(crate) fn registered_upstreams(&self) -> Vec<Upstream> {
        self.upstreams.iter().map(DescribedUpstream::registered).collect()
    }
}

impl DescribedUpstream {
    fn registered(&self) -> Upstream {
        Upstream {
            kind: UpstreamKind::Service,
            partition: Partition::default(),
            namespace: Namespace::default(),
            peer: None,
            name: Pattern::Exact(self.service.clone()),
            datacenter: None,
            local_bind_address: self.bind.ip().to_string(),
            local_bind_port: self.bind.port(),
            local_bind_socket_path: String::new(),
            local_bind_socket_mode: String::new(),
            config: Settings::new(),
            mesh_gateway_mode: String::new(),
            centrally_configured: false,
        }
    }
}

fn check_inbound(inbound: &DescribedInbound) -> Result<(), DescriptionFault> {
    if inbound.bind.port() == 0 {
        return Err(DescriptionFault::NoPort(inbound.bind));
    }
    match &inbound.local {
        LocalTarget::Tcp { host, port } if host.is_empty() || *port == 0 => Err(DescriptionFault::NoLocal),
        LocalTarget::Unix { path } if path.is_empty() => Err(DescriptionFault::NoLocal),
        LocalTarget::Tcp { .. } | LocalTarget::Unix { .. } => Ok(()),
    }
}

fn check_upstream(
    upstream: &DescribedUpstream,
    own: Option<SocketAddr>,
    before: &[DescribedUpstream],
) -> Result<(), DescriptionFault> {
    let DescribedUpstream { service, bind } = upstream;
    if bind.port() == 0 {
        return Err(DescriptionFault::NoUpstreamPort(service.clone()));
    }
    if before.iter().any(|other| other.service == *service) {
        return Err(DescriptionFault::RepeatedUpstream(service.clone()));
    }
    let own = own.filter(|own| meet(*own, *bind)).map(|_| "the proxy itself".to_owned());
    let other = || before.iter().find(|other| meet(other.bind, *bind));
    match own.or_else(|| other().map(|other| format!("upstream {}", other.service))) {
        Some(by) => Err(DescriptionFault::BindTaken { service: service.clone(), bind: *bind, by }),
        None => Ok(()),
    }
}

/// Whether two listeners conflict: the same port, at the same address or with one of them at all addresses.
fn meet(one: SocketAddr, two: SocketAddr) -> bool {
    let any = |ip: IpAddr| ip.is_unspecified();
    one.port() == two.port() && (one.ip() == two.ip() || any(one.ip()) || any(two.ip()))
}
