//! The faces of an agent: HTTP API and gRPC. They decode, authorise and encode; no rule lives here.
//!
//! [`http`] is the public HTTP API under `/v1`; [`grpc`] the port on which proxies attach;
//! [`tls`] is around both where a port asks for it.

#![forbid(unsafe_code)]

pub mod grpc;
pub mod http;
mod socket;
pub mod tls;

pub use self::socket::Socket;
