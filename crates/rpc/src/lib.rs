//! The requests to the servers, and the stream of proxy snapshots.
//!
//! - [`request`]: every request as a type that declares its reply, its right and whether it writes. A request without
//!   a right does not compile.
//! - [`caller`]: the caller of a request, and the only way from policies to rights.
//! - [`sight`]: which records a caller may see, one rule for each kind.
//! - [`head`]: the data with a request: datacenter, token, consistency, the index to wait for.
//! - [`error`]: errors, grouped by who must act.
//! - [`server_api`]: the trait that a server's own handle and a remote client implement.
//! - [`wire`]: many requests on one stream, as bytes.
//! - [`snapshot`]: the stream of proxy snapshots (D15), and its gRPC form in [`grpc`].
//!
//! Nothing here makes decisions: the server authorises and answers.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod basis;
pub mod caller;
pub mod error;
mod exposed;
pub mod grpc;
pub mod head;
pub mod request;
pub mod server_api;
pub mod sight;
pub mod snapshot;
pub mod wire;

pub use crate::basis::{Basis, MergedEntries};
pub use crate::caller::{Caller, Rights, RightsKey, RightsVersion};
pub use crate::error::RpcError;
pub use crate::head::{Answer, Consistency, Head};
pub use crate::request::{AnyReply, AnyRequest, Identity, Need, Request, Runs, Terms};
pub use crate::server_api::{ServerApi, ServerApiExt, Watching};
pub use crate::sight::Sight;
pub use crate::snapshot::{Attach, ProxyTarget, Received, SnapshotEvent, SnapshotSource, SnapshotStream};
