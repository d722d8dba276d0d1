//! Interprets a registered upstream: its listener and its chain, or why it is refused.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use concord_mesh::chain::Overrides;
use concord_model::entry::GatewayMode;
use concord_model::proxy::{Upstream, UpstreamKind};
use concord_model::{Datacenter, ServiceName, ServiceRef, Span, Timeout};

use crate::address::BindAddress;
use crate::chain::{Chain, ChainId, ChainQuestion, ChainStep, Resolve};
use crate::id::UpstreamId;
use crate::listener::{Leads, OutboundListener, UpstreamLimits};
use crate::refusal::Refusal;
use crate::settings::{SettingFault, SettingsReader};
use crate::target::TargetId;

/// An interpreted upstream: its listener, and where it leads, unless it is refused: without configuration entries, and
/// with them.
pub(crate) struct ReadUpstream {
    pub(crate) listener: OutboundListener,
    pub(crate) leads: Option<(Chain, ChainQuestion)>,
}

impl ReadUpstream {
    /// Interprets an upstream of a proxy in `local`. `None` if it only holds settings from configuration entries: it
    /// has no listener.
    pub(crate) fn read(upstream: &Upstream, local: &Datacenter) -> Option<Self> {
        let name = upstream.name.exact().filter(|_| !upstream.centrally_configured)?;
        let mut reader = SettingsReader::new(&upstream.config);
        let connect_timeout = reader.millis("connect_timeout_ms");
        let protocol = reader.protocol("protocol");
        reader.object("limits");
        let limits = UpstreamLimits {
            max_connections: reader.nested_limit("limits", "max_connections"),
            max_pending_requests: reader.nested_limit("limits", "max_pending_requests"),
            max_concurrent_requests: reader.nested_limit("limits", "max_concurrent_requests"),
        };
        let passive_health_check = reader.passive_health_check("passive_health_check");
        let faults = reader.faults;
        let id = UpstreamId::of(upstream);
        let bind = bind(upstream);
        let chain = ChainId::of(&id);
        let (goes, leads) = match refusal(upstream, bind.as_ref().err(), faults) {
            Some(refusal) => (Leads::Refused(refusal), None),
            None => {
                let target = target(upstream, name, local);
                let overrides = Overrides {
                    protocol,
                    mesh_gateway: GatewayMode::default(),
                    connect_timeout: connect_timeout.map(timeout).unwrap_or_default(),
                };
                let (service, datacenter) = (target.service.clone(), target.datacenter.clone());
                let question = ChainQuestion { chain: chain.clone(), service, datacenter, overrides };
                let start = ChainStep::Resolve(Resolve { target, connect_timeout });
                (Leads::Chain(chain.clone()), Some((Chain::new(chain, start), question)))
            }
        };
        let (bind, settings) = (bind.ok(), upstream.config.clone());
        let listener =
            OutboundListener { upstream: id, bind, leads: goes, limits, passive_health_check, settings };
        Some(Self { listener, leads })
    }

    /// Refuses it, because it conflicts with others in the registration.
    pub(crate) fn refuse(&mut self, refusal: Refusal) {
        self.listener.leads = Leads::Refused(refusal);
        self.leads = None;
    }
}

fn timeout(time: Duration) -> Timeout {
    Timeout(Span::from_nanos(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)))
}

fn target(upstream: &Upstream, name: &ServiceName, local: &Datacenter) -> TargetId {
    let service = ServiceRef {
        partition: upstream.partition.clone(),
        namespace: upstream.namespace.clone(),
        peer: upstream.peer.clone(),
        name: name.clone(),
    };
    TargetId::all_of(service, upstream.datacenter.as_ref().unwrap_or(local).clone())
}

fn refusal(upstream: &Upstream, bind: Option<&Refusal>, faults: Vec<SettingFault>) -> Option<Refusal> {
    if upstream.kind == UpstreamKind::PreparedQuery {
        return Some(Refusal::PreparedQuery);
    }
    if upstream.peer.is_some() {
        return Some(Refusal::Peer);
    }
    if !matches!(upstream.mesh_gateway_mode.as_str(), "" | "none") {
        return Some(Refusal::MeshGateway { mode: upstream.mesh_gateway_mode.clone() });
    }
    if !faults.is_empty() {
        return Some(Refusal::Settings { faults });
    }
    bind.cloned()
}

fn bind(upstream: &Upstream) -> Result<BindAddress, Refusal> {
    if upstream.local_bind_port != 0 {
        let text = upstream.local_bind_address.as_str();
        let ip = if text.is_empty() { Some(IpAddr::V4(Ipv4Addr::LOCALHOST)) } else { text.parse().ok() };
        let ip = ip.ok_or_else(|| Refusal::BindAddress { address: text.to_owned() })?;
        return Ok(BindAddress::Tcp(SocketAddr::new(ip, upstream.local_bind_port)));
    }
    if upstream.local_bind_socket_path.is_empty() {
        return Err(Refusal::NoBind);
    }
    let text = upstream.local_bind_socket_mode.as_str();
    let mode = match text {
        "" => None,
        digits => {
            let mode = u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o777);
            Some(mode.ok_or_else(|| Refusal::SocketMode { mode: text.to_owned() })?)
        }
    };
    Ok(BindAddress::Unix { path: upstream.local_bind_socket_path.clone(), mode })
}
