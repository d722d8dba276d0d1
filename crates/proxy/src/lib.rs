//! The built-in data plane: a sidecar for production use.
//!
//! ```text
//!            control runtime                                  traffic runtime
//!  SnapshotSource ─► control ─► Shared (Arc swapped) ─────► inbound:  mesh ─► TLS ─► verdict ─► local service
//!  leaf manager   ─►    │                                   outbound: local service ─► balance ─► TLS ─► mesh
//!                       └─► listeners started, stopped
//! ```
//!
//! It fails closed: without a snapshot or a valid certificate, nothing is let through. It keeps the last valid
//! snapshot while the agent is away. It knows nothing of Envoy.

#![forbid(unsafe_code)]

mod balance;
mod control;
mod events;
mod gate;
mod identity;
mod inbound;
mod limits;
mod listen;
mod live;
mod outbound;
mod refusals;
mod relay;
mod state;
mod throttle;
mod wire;

pub use crate::control::{Options, Proxy, ProxyStatus};
