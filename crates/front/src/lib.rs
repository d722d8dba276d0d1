//! The network interfaces of an agent: HTTP API and gRPC. They decode, authorise and encode; they contain no domain
//! rules.
//!
//! [`http`] is the public HTTP API under `/v1`. [`grpc`] is the port to which proxies attach. [`tls`] wraps both
//! where a port is configured for TLS.

#![forbid(unsafe_code)]

pub mod grpc;
pub mod http;
mod socket;
pub mod tls;

pub use self::socket::Socket;
