//! The HTTP client of the agent's API, for the command line, for tests and for the native library.
//!
//! ```text
//! Client ── Call (method, path, parameters, body) ──► pool ──► TCP | TLS | unix socket
//!    ▲                                                              │
//!    └── Answer { value, meta }  or  Error by kind ◄────────────────┘
//! ```
//!
//! There is one method per endpoint; [`Client::call`] reaches any other. Connections are kept and reused. Every
//! answer is limited in size and time.
//!
//! The client has no cache, repeats no write that may have reached the agent, follows no redirects, and reads neither
//! the environment nor command-line flags.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod acl;
mod address;
mod agent;
mod call;
mod catalog;
mod config;
mod connect;
mod dial;
mod entries;
mod error;
pub mod limits;
mod pieces;
mod pool;
mod query;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tls;

pub use crate::address::{Address, AddressError, DEFAULT_PORT};
pub use crate::agent::TtlVerdict;
pub use crate::call::{Call, HttpReply};
pub use crate::config::{BasicAuth, Config};
pub use crate::dial::{Stream, dial};
pub use crate::entries::Cas;
pub use crate::error::Error;
pub use crate::pieces::Pieces;
pub use crate::query::{Answer, CacheHit, Consistency, QueryMeta, QueryOptions};
pub use crate::tls::{TlsError, TlsFiles};

use std::sync::Arc;

use concord_runtime::Scope;

use crate::pool::Pool;

/// A client of one agent. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    pool: Pool,
}

impl Client {
    /// A client of the agent at `config.address`. It sends nothing yet; connections run as tasks of `scope`.
    ///
    /// # Errors
    /// When the address needs TLS and the TLS files cannot be read.
    pub fn new(config: Config, scope: &Scope) -> Result<Self, Error> {
        let pool = Pool::new(&config, scope.child("http-client"))?;
        Ok(Self { inner: Arc::new(Inner { config, pool }) })
    }

    /// The agent's address.
    pub fn address(&self) -> &Address {
        &self.inner.config.address
    }

    /// Whether its requests have a token by default.
    pub fn has_token(&self) -> bool {
        self.config().token.as_ref().is_some_and(|token| !token.is_empty())
    }

    fn config(&self) -> &Config {
        &self.inner.config
    }

    fn pool(&self) -> &Pool {
        &self.inner.pool
    }
}
