//! A proxy that nobody registered: what its process says of itself when it attaches.
//!
//! Narrower than a registration on purpose: no opaque settings, no modes, no prepared queries, no
//! peers, so that what cannot be served cannot be said. A description is checked when it is made and
//! again when it comes from the wire; what the process may do with it — speak for the service, see
//! its upstreams — is decided by whoever answers it, by the token it brings.

use std::net::{IpAddr, SocketAddr};

use concord_model::proxy::{Settings, Upstream, UpstreamKind};
use concord_model::{InstanceId, Namespace, Partition, ServiceName, ServiceRef};
use serde::{Deserialize, Serialize};

use crate::address::LocalTarget;
use crate::limits::UPSTREAMS_MAX;

/// A proxy without a registration, as its process describes it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct DescribedProxy {
    service: ServiceName,
    inbound: Option<DescribedInbound>,
    upstreams: Vec<DescribedUpstream>,
}

/// How it takes connections from the mesh.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DescribedInbound {
    /// Where it listens.
    pub bind: SocketAddr,
    /// Where its service listens.
    pub local: LocalTarget,
}

/// Something its service calls.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DescribedUpstream {
    /// The service called: in the proxy's own datacenter, and in the default namespace and partition.
    pub service: ServiceName,
    /// Where the proxy listens for it.
    pub bind: SocketAddr,
}

/// Why a description makes no proxy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DescriptionFault {
    /// Neither connections to take nor upstreams.
    #[error("a proxy that takes no connections needs an upstream")]
    NothingToDo,
    /// It listens for the mesh at port 0.
    #[error("{0} has no port to take connections of the mesh at")]
    NoPort(SocketAddr),
    /// Its service listens nowhere.
    #[error("the service itself needs an address and a port")]
    NoLocal,
    /// It listens for an upstream at port 0.
    #[error("upstream {0} has no port to listen at")]
    NoUpstreamPort(ServiceName),
    /// Too many upstreams.
    #[error("a proxy can have at most {UPSTREAMS_MAX} upstreams; this one has {0}")]
    TooManyUpstreams(usize),
    /// An upstream is there twice.
    #[error("upstream {0} is there twice; keep one of them")]
    RepeatedUpstream(ServiceName),
    /// Two listeners at one place.
    #[error("{bind} of upstream {service} is taken by {by}; choose another port")]
    BindTaken {
        /// Whose listener finds its place taken.
        service: ServiceName,
        /// The place.
        bind: SocketAddr,
        /// Who has it.
        by: String,
    },
}

/// What travels; whatever comes in becomes a description through its constructor.
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
    /// A proxy of a service that takes connections, calls upstreams, or both.
    ///
    /// # Errors
    /// The first fault found; such a proxy could do nothing, or not all that it says.
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

    /// The service it speaks for: whose identity it presents, whose intentions it enforces.
    pub fn service(&self) -> ServiceRef {
        ServiceRef::local(self.service.clone())
    }

    /// How it takes connections from the mesh; `None`: it only calls.
    pub fn inbound(&self) -> Option<&DescribedInbound> {
        self.inbound.as_ref()
    }

    /// What its service calls, in the order given.
    pub fn upstreams(&self) -> &[DescribedUpstream] {
        &self.upstreams
    }

    /// The name it goes by where a registered proxy has its id: that of its service.
    pub fn id(&self) -> InstanceId {
        InstanceId::parse(self.service.as_str()).expect("every service name is a service id")
    }

    /// Its upstreams in the form of registered ones.
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
            name: self.service.clone(),
            datacenter: None,
            local_bind_address: self.bind.ip().to_string(),
            local_bind_port: self.bind.port(),
            local_bind_socket_path: String::new(),
            local_bind_socket_mode: String::new(),
            config: Settings::new(),
            mesh_gateway_mode: String::new(),
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

/// Whether two listeners cannot both have their places: one port, at one address or at all of them.
fn meet(one: SocketAddr, two: SocketAddr) -> bool {
    let any = |ip: IpAddr| ip.is_unspecified();
    one.port() == two.port() && (one.ip() == two.ip() || any(one.ip()) || any(two.ip()))
}
