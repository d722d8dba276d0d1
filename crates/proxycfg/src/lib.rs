//! The configuration of a proxy: events go in, a [`ProxySnapshot`] and watches come out.
//!
//! The built-in proxy and Envoy use the same snapshot, so that a scenario behaves the same on both. [`Proxy`] is the
//! machine that creates it. It is told what changed, says what it needs to be told about ([`WatchKey`]), and
//! publishes a snapshot whenever its content changed. A snapshot is complete, or it does not exist: a proxy must not
//! open a port without roots and intentions.
//!
//! This crate is pure: no sockets, no clock. `agent`, `server` and `rpc` do the watching and send the snapshots.
//! Sidecars are available now; gateways, transparent mode and peers are refused by name until they are built.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod address;
mod chain;
mod chains;
mod described;
mod endpoint;
mod feature;
mod id;
mod limits;
mod listener;
mod machine;
mod parts;
mod refusal;
mod registration;
mod settings;
mod snapshot;
mod target;
mod upstream;

pub use crate::address::{BindAddress, LocalTarget};
pub use crate::chain::{Chain, ChainId, ChainQuestion, ChainStep, Resolve};
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
pub use crate::parts::Parts;
pub use crate::refusal::Refusal;
pub use crate::registration::{ProxyFault, ProxySection};
pub use crate::settings::SettingFault;
pub use crate::snapshot::section::{ApplyError, Section, SectionBody, SectionUpdate};
pub use crate::snapshot::{IntentionSection, Leaf, MixedSections, Named, ProxySnapshot, Sections, Versioned};
pub use crate::target::{Target, TargetId, TargetParts};
