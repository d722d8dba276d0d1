//! The agent of a node.
//!
//! ```text
//! registrar ─► local ◄─ checks          connect ─► tokens, cache, leaves ─► ServerApi
//!    │           │                       proxies ─► proxycfg, tokens, cache
//!    ▼           ▼
//!  persist     sync ─► ServerApi
//! ```
//!
//! - [`Agent`]: the handle everything is asked through; cheap to clone.
//! - `local`: what is registered here, a pure machine; `persist` keeps it, `registrar` changes it,
//!   `checks` runs its checks, `sync` brings it to the catalog: the agent is the authority for its
//!   node, and nothing of it is written straight to the log.
//! - `own_tokens`: those the agent uses itself, which change while it runs.
//! - `watch`: how a request at the servers is followed, for `cache`, `tokens` and `checks`.
//! - `vault`: seals what the agent keeps on the disk.
//! - `tokens`: who asks and what they may do; `cache`: answers shared without being shown to whom
//!   they are not allowed; `connect`: roots, authorize, leaves; `proxies`: the stream of snapshots.
//!
//! It knows the servers only as [`concord_rpc::ServerApi`], and neither their state nor their log.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod about;
mod agent;
mod answer;
mod cache;
mod caller;
mod checks;
mod config;
mod connect;
mod leaves;
pub mod limits;
mod local;
mod maintenance;
mod own_tokens;
mod persist;
mod proxies;
mod reading;
mod registrar;
mod reload;
mod sync;
#[cfg(test)]
mod testing;
mod tokens;
mod vault;
mod watch;

pub use crate::agent::{Agent, AgentRequest, StartError};
pub use crate::answer::{AuthorizeAnswer, CacheAnswer, Listed};
pub use crate::cache::{Cached, IntentionSet, IntentionsTo, Shared};
pub use crate::config::{About, AclConfig, AgentConfig, AgentTokens, DownPolicy, ScriptChecks};
pub use crate::maintenance::Maintenance;
pub use crate::own_tokens::{TokenKind, TokensError};
pub use crate::persist::PersistError;
pub use crate::vault::VaultError;
