//! A server agent's half that holds the state.
//!
//! - `reading`, `writing`: what an endpoint may use, to read a view and to write to the log;
//! - `endpoint`: every request of [`concord_rpc::AnyRequest`], answered where its data is read;
//! - `leader`: what the leader does besides answering;
//! - `ca`: the certificate authority's host, a side task nothing else waits for.
//!
//! It never sees the agent: what it offers is [`LocalApi`], a [`concord_rpc::ServerApi`].

#![forbid(unsafe_code)]

mod ca;
mod caller;
mod config;
mod endpoint;
mod hub;
mod leader;
mod limits;
mod live;
mod log;
mod machine;
mod parts;
mod reading;
mod router;
mod server;
mod turns;
mod writing;

pub use crate::ca::Aside;
pub use crate::caller::AclSettings;
pub use crate::config::{CaStart, ServerConfig};
pub use crate::endpoint::LocalApi;
pub use crate::live::LiveSettings;
pub use crate::server::{Server, StartError};
