//! Envoy's bootstrap: from typed input to JSON.
//!
//! ```text
//! Proxy.Config ──► Settings ─┐
//! flags, the registration ───┴─► Bootstrap ──► json() ──► what Envoy reads
//! ```
//!
//! The names of clusters, listeners and tags are those of Consul, because dashboards and scripts name them. Nothing
//! here reads a file, the environment or the network: whoever calls has done that.

mod error;
mod frame;
mod input;
mod listeners;
mod parts;
mod pieces;
mod settings;
mod sinks;
mod tags;
mod template;
pub mod version;

#[cfg(test)]
mod tests;

pub use self::error::BootstrapError;
pub use self::frame::json;
pub use self::input::{
    Admin, AgentAddress, AgentTrust, Authorities, Bootstrap, LOCAL_AGENT, Node, Prometheus, PrometheusTls,
};
pub use self::settings::Settings;
