//! Why an upstream cannot be served.

use serde::{Deserialize, Serialize};

use crate::settings::SettingFault;

/// Why an upstream cannot be served.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// It is a prepared query.
    #[error("not available yet: prepared-query upstreams")]
    PreparedQuery,
    /// It is in a peered cluster.
    #[error("not available yet: upstreams in peered clusters")]
    Peer,
    /// It should go through a mesh gateway; going without one is not what was configured.
    #[error("not available yet: mesh gateway mode {mode:?}")]
    MeshGateway {
        /// The mode.
        mode: String,
    },
    /// It has neither a port nor a socket.
    #[error("the upstream has no place to listen at: set LocalBindPort or LocalBindSocketPath")]
    NoBind,
    /// Its address is invalid.
    #[error("LocalBindAddress {address:?} is no IP address")]
    BindAddress {
        /// The address as written.
        address: String,
    },
    /// The mode of its socket is invalid.
    #[error("LocalBindSocketMode {mode:?} is no file mode in octal digits, such as 0600")]
    SocketMode {
        /// The mode as written.
        mode: String,
    },
    /// Another listener of the proxy uses its address.
    #[error("{bind} is taken by {by}")]
    BindTaken {
        /// The address.
        bind: String,
        /// The listener that has it.
        by: String,
    },
    /// Its discovery chain is not to be had.
    #[error("the discovery chain of the upstream cannot be read: {reason}")]
    Chain {
        /// The reason.
        reason: String,
    },
    /// Settings that cannot be parsed.
    #[error("{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Settings {
        /// All of them.
        faults: Vec<SettingFault>,
    },
}
