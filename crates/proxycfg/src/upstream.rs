//! What a service calls through its proxy.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use concord_model::proxy::{Settings, Upstream, UpstreamKind};
use concord_model::{Datacenter, ServiceRef};
use serde::{Deserialize, Serialize};

use crate::address::BindAddress;
use crate::endpoint::Endpoints;
use crate::settings::{Reader, SettingFault};

/// The name of an upstream in its proxy; as [`Upstream::id`] makes it.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct UpstreamId(Arc<str>);

impl UpstreamId {
    /// The name of a registered upstream.
    pub fn of(upstream: &Upstream) -> Self {
        Self(upstream.id().into())
    }

    /// The name as text: `name`, `name?dc=<dc>`, `name?peer=<peer>`, `prepared_query:<name>`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UpstreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where an upstream leads to: what has to be watched for its endpoints.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct UpstreamTarget {
    /// The service.
    pub service: ServiceRef,
    /// Its datacenter.
    pub datacenter: Datacenter,
}

/// One upstream, with all that is needed to serve it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct UpstreamSection {
    /// Its name.
    pub id: UpstreamId,
    /// Where it leads to. For a prepared query the name is the query's.
    pub target: UpstreamTarget,
    /// Where the proxy listens for it; `None` only if it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bind: Option<BindAddress>,
    /// Time for connecting to an instance; `None`: the proxy's own default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<Duration>,
    /// Its limits.
    #[serde(default)]
    pub limits: UpstreamLimits,
    /// All opaque settings as written, for the keys of other proxies.
    #[serde(default)]
    pub settings: Settings,
    /// What can be done with it.
    pub state: UpstreamState,
}

/// Limits of an upstream; `None`: the proxy's own.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct UpstreamLimits {
    /// Connections at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// Requests waiting for a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_pending_requests: Option<u32>,
    /// Requests at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent_requests: Option<u32>,
}

/// What can be done with an upstream.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UpstreamState {
    /// It is not known yet where its instances are; calls cannot be served.
    ExpectEndpoints,
    /// Its instances, good and bad, perhaps none.
    Known(Arc<Endpoints>),
    /// It cannot be served as it is configured; calls must not be passed anywhere.
    Refused(Refusal),
}

/// Why an upstream cannot be served.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// It leads to a prepared query.
    #[error("not available yet: prepared-query upstreams")]
    PreparedQuery,
    /// It leads to a peered cluster.
    #[error("not available yet: upstreams in peered clusters")]
    Peer,
    /// It is to go through a gateway, and going without one is not what was asked.
    #[error("not available yet: mesh gateway mode {mode:?}")]
    MeshGateway {
        /// The mode.
        mode: String,
    },
    /// It has neither a port nor a socket.
    #[error("the upstream has no place to listen at: set LocalBindPort or LocalBindSocketPath")]
    NoBind,
    /// Its address is none.
    #[error("LocalBindAddress {address:?} is no IP address")]
    BindAddress {
        /// The address as written.
        address: String,
    },
    /// The mode of its socket is none.
    #[error("LocalBindSocketMode {mode:?} is no file mode in octal digits, such as 0600")]
    SocketMode {
        /// The mode as written.
        mode: String,
    },
    /// Another listener of the proxy has its address.
    #[error("{bind} is taken by {by}")]
    BindTaken {
        /// The address.
        bind: String,
        /// Whose it is.
        by: String,
    },
    /// Settings that cannot be read.
    #[error("{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Settings {
        /// All of them.
        faults: Vec<SettingFault>,
    },
}

impl UpstreamSection {
    /// Reads a registered upstream of a proxy in `local`.
    pub(crate) fn read(upstream: &Upstream, local: &Datacenter) -> Self {
        let mut reader = Reader::new(&upstream.config);
        let connect_timeout = reader.millis("connect_timeout_ms");
        reader.object("limits");
        let limits = UpstreamLimits {
            max_connections: reader.nested_limit("limits", "max_connections"),
            max_pending_requests: reader.nested_limit("limits", "max_pending_requests"),
            max_concurrent_requests: reader.nested_limit("limits", "max_concurrent_requests"),
        };
        let faults = reader.faults;
        let bind = bind(upstream);
        let state = refusal(upstream, bind.as_ref().err(), faults)
            .map_or(UpstreamState::ExpectEndpoints, UpstreamState::Refused);
        Self {
            id: UpstreamId::of(upstream),
            target: target(upstream, local),
            bind: bind.ok(),
            connect_timeout,
            limits,
            settings: upstream.config.clone(),
            state,
        }
    }

    /// Whether calls can be served once endpoints are known.
    pub fn is_refused(&self) -> bool {
        matches!(self.state, UpstreamState::Refused(_))
    }
}

fn target(upstream: &Upstream, local: &Datacenter) -> UpstreamTarget {
    UpstreamTarget {
        service: ServiceRef {
            partition: upstream.partition.clone(),
            namespace: upstream.namespace.clone(),
            peer: upstream.peer.clone(),
            name: upstream.name.clone(),
        },
        datacenter: upstream.datacenter.as_ref().unwrap_or(local).clone(),
    }
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
