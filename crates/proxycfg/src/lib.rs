//! What a proxy is told: events in, [`ProxySnapshot`] and watches out.
//!
//! One snapshot per proxy feeds the built-in proxy and Envoy alike, so that a scenario behaves the
//! same on both. [`Proxy`] is the machine that makes it: it is told what changed, says what it has
//! to be told about ([`WatchKey`]) and publishes a snapshot whenever the meaning of one changed.
//! A snapshot is complete or it is not there: without roots of trust and intentions a proxy must
//! not open a port.
//!
//! Pure: no sockets, no clock. Who watches, and how snapshots travel, is the business of `agent`,
//! `server` and `rpc`. Sidecars at the level of connections are available now; gateways,
//! transparent mode, routes and peers are refused by name until they are.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod address;
mod chain;
mod described;
mod endpoint;
mod feature;
mod id;
mod limits;
mod listener;
mod machine;
mod refusal;
mod registration;
mod settings;
mod snapshot;
mod target;
mod upstream;

pub use crate::address::{BindAddress, LocalTarget};
pub use crate::chain::{Chain, ChainId, ChainStep, Resolve};
pub use crate::described::{DescribedInbound, DescribedProxy, DescribedUpstream, DescriptionFault};
pub use crate::endpoint::{Endpoint, Endpoints, ExpectedIdentity};
pub use crate::feature::{Feature, NotUnderstood, Understood};
pub use crate::id::{ProxyId, UpstreamId};
pub use crate::limits::{
    CONNECT_TIMEOUT_BUILT_IN, CONNECT_TIMEOUT_ENVOY, ENDPOINTS_MAX, HANDSHAKE_TIMEOUT,
    LOCAL_CONNECT_TIMEOUT_BUILT_IN, LOCAL_CONNECT_TIMEOUT_ENVOY, SECTIONS_MAX, TIMEOUT_MAX, UPSTREAMS_MAX,
};
pub use crate::listener::{InboundListener, Leads, Listener, ListenerId, OutboundListener, UpstreamLimits};
pub use crate::machine::{Effect, Event, LeafFrom, Proxy, WatchKey};
pub use crate::refusal::Refusal;
pub use crate::registration::{ProxyFault, ProxySection};
pub use crate::settings::SettingFault;
pub use crate::snapshot::section::{ApplyError, Section, SectionBody, SectionUpdate};
pub use crate::snapshot::{IntentionSection, Leaf, MixedSections, ProxySnapshot, Versioned};
pub use crate::target::{Target, TargetId};
