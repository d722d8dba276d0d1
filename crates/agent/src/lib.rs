//! The agent of a node.
//!
//! ```text
//! registrar ─► local ◄─ checks          connect ─► tokens, cache, leaves ─► ServerApi
//!    │           │                       proxies ─► proxycfg, tokens, cache
//!    ▼           ▼
//!  persist     sync ─► ServerApi
//! ```
//!
//! - [`Agent`]: the handle for everything; clones are cheap.
//! - `local`: the local registrations, a pure state machine. `persist` stores them, `registrar` changes them,
//!   `checks` runs their checks, and `sync` copies them to the catalog. The agent is the authority for its node;
//!   nothing here writes to the log directly.
//! - `own_tokens`: the agent's own tokens, which can change at run time.
//! - `watch`: repeats a request to the servers until its answer changes; used by `cache`, `tokens` and `checks`.
//! - `vault`: encrypts the agent's files.
//! - `tokens`: resolves callers and their rights; `cache`: shares answers, and shows each caller only what it may
//!   see; `connect`: roots, authorize, leaves; `proxies`: the streams of proxy snapshots.
//!
//! It uses the servers only through [`concord_rpc::ServerApi`], and knows neither their state nor their log.

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
pub use crate::config::{About, AclConfig, AgentConfig, ScriptChecks};
pub use crate::maintenance::Maintenance;
pub use crate::own_tokens::{TokenKind, TokensError};
pub use crate::persist::PersistError;
pub use crate::vault::VaultError;
