//! The question: whose chain, and for whom.

use concord_model::entry::{GatewayMode, Protocol};
use concord_model::{Datacenter, ServiceRef, Timeout, TrustDomain};
use serde::{Deserialize, Serialize};

/// Which chain is compiled, and for whom.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// The service.
    pub service: ServiceRef,
    /// The datacenter of whoever sends the requests.
    pub datacenter: Datacenter,
    /// The trust domain, which is part of server names.
    pub trust_domain: TrustDomain,
    /// What whoever sends the requests wants otherwise.
    pub overrides: Overrides,
    /// The service's virtual addresses.
    pub virtual_ips: VirtualIps,
}

impl Request {
    /// Any question about a service, for those who only ask whether its chain can be compiled, and what its protocol
    /// and its steps are: that depends on neither the datacenter nor the trust domain.
    pub(crate) fn anywhere(service: &ServiceRef) -> Self {
        Self {
            service: service.clone(),
            datacenter: Datacenter::parse("dc1").expect("a name"),
            trust_domain: TrustDomain::parse("any.consul").expect("a domain"),
            overrides: Overrides::default(),
            virtual_ips: VirtualIps::default(),
        }
    }
}

/// What whoever sends the requests wants otherwise than the entries say.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(default)]
pub struct Overrides {
    /// The protocol. One that is not like HTTP turns routers and splitters off.
    pub protocol: Protocol,
    /// How connections reach another network.
    pub mesh_gateway: GatewayMode,
    /// The time for a connection. 0 means as the entries say.
    pub connect_timeout: Timeout,
}

/// The virtual addresses of a service, which the chain tells.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct VirtualIps {
    /// The assigned ones.
    pub auto: Vec<String>,
    /// The chosen ones.
    pub manual: Vec<String>,
}
