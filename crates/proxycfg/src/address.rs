//! The addresses at which a proxy and its service listen.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// The address of a listener.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BindAddress {
    /// An address and port of TCP.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix {
        /// Its path.
        path: String,
        /// Its mode, octal; `None`: the default of the process.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<u32>,
    },
}

impl fmt::Display for BindAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => fmt::Display::fmt(address, f),
            Self::Unix { path, .. } => write!(f, "unix://{path}"),
        }
    }
}

/// The address of the local service.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LocalTarget {
    /// TCP.
    Tcp {
        /// Host or IP address.
        host: String,
        /// Port.
        port: u16,
    },
    /// A unix socket.
    Unix {
        /// Its path.
        path: String,
    },
}
