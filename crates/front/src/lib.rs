//! The network interfaces of an agent: HTTP API and gRPC. They decode, authorise and encode; they contain no domain
//! rules.
//!
//! [`http`] is the public HTTP API under `/v1`. [`grpc`] is the port to which proxies attach; [`ledger`] knows which of
//! them has what, for the API to tell. [`tls`] wraps both ports where they are configured for TLS.

#![forbid(unsafe_code)]

pub mod grpc;
pub mod http;
pub mod ledger;
mod socket;
pub mod tls;

pub use self::socket::Socket;
