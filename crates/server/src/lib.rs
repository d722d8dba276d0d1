//! The server part of an agent, which holds the state.
//!
//! - `reading`, `writing`: what an endpoint may use to read a view or to write to the log;
//! - `endpoint`: answers every request of [`concord_rpc::AnyRequest`];
//! - `leader`: the leader's other duties;
//! - `ca`: hosts the certificate authority in a side task that nothing waits for.
//!
//! This crate does not know the agent. It offers [`LocalApi`], which is a [`concord_rpc::ServerApi`].

#![forbid(unsafe_code)]

mod ca;
mod caller;
mod certificate;
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
mod studies;
mod turns;
mod writing;

pub use crate::ca::Aside;
pub use crate::caller::AclSettings;
pub use crate::certificate::{Names, Presented};
pub use crate::config::{CaStart, ServerConfig};
pub use crate::endpoint::LocalApi;
pub use crate::live::LiveSettings;
pub use crate::server::{Server, StartError};
