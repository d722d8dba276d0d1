//! The agent of a node.
//!
//! ```text
//! registrar ─► registry ─► local ◄─ checks    connect ─► answers, leaves ─► tokens, cache ─► ServerApi
//!                 │          │                proxies ─► proxycfg, answers, connect
//!                 ▼          ▼
//!              persist     sync ─► ServerApi
//! ```
//!
//! - [`Agent`]: hands out the parts, each of which does one thing and holds only what it needs for that (D45).
//! - `local`: the local registrations, a pure state machine, and its handles; `LocalView` only reads. `registry`
//!   changes it and the files (`persist`), `registrar`, `maintenance` and `reload` decide on changes, `listing` shows
//!   it, `checks` runs its checks, and `sync` copies it to the catalog. The agent is the authority for its node;
//!   nothing here writes to the log directly.
//! - `own_tokens`: sets the agent's own tokens; `current`: the settings in force, with these tokens.
//! - `watch`: repeats a request to the servers until its answer changes; used by `cache`, `tokens` and `checks`.
//! - `vault`: encrypts the agent's files. `program`: what only the program around the agent can do.
//! - `tokens`: resolves callers and their rights, for `callers`; `cache`: shares answers, and shows each caller only
//!   what it may see; `answers` follows the rights of its readers; `connect`: roots, authorize, leaves; `proxies`: the
//!   streams of proxy snapshots.
//!
//! It uses the servers only through [`concord_rpc::ServerApi`], and knows neither their state nor their log.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod agent;
mod answer;
mod answers;
mod cache;
mod caller;
mod callers;
mod checks;
mod config;
mod connect;
mod leaves;
pub mod limits;
mod listing;
mod load;
mod local;
mod maintenance;
mod merger;
mod own_tokens;
mod persist;
mod program;
mod proxies;
mod registrar;
mod registry;
mod reload;
mod report;
mod site;
mod sync;
#[cfg(test)]
mod testing;
mod tokens;
mod vault;
mod watch;

pub use crate::agent::Agent;
pub use crate::answer::{AuthorizeAnswer, CacheAnswer, Listed};
pub use crate::answers::Answers;
pub use crate::cache::{Cached, IntentionSet, IntentionsTo, Shared};
pub use crate::callers::Callers;
pub use crate::config::{About, AgentConfig};
pub use crate::connect::Connect;
pub use crate::listing::Listing;
pub use crate::load::StartError;
pub use crate::maintenance::{Maintainer, Maintenance};
pub use crate::own_tokens::{OwnTokens, TokenKind, TokensError};
pub use crate::persist::PersistError;
pub use crate::program::{AgentRequest, Program};
pub use crate::proxies::Proxies;
pub use crate::registrar::Registrar;
pub use crate::reload::Reloads;
pub use crate::report::SelfReport;
pub use crate::vault::VaultError;
