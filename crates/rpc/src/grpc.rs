//! The stream of proxy snapshots over gRPC, on the agent's xDS port.
//!
//! Two methods of the service `concord.proxy.v1.Snapshots`: `Attach` (server streaming) and
//! `SignLeaf` (unary). Messages are MessagePack with named fields rather than protobuf: the wire
//! is private to concord's own processes, evolves by adding fields, and needs no second schema.
//! The token is in the metadata key `x-consul-token`, and is checked before anything of the message is read.

mod body;
mod client;
mod codec;
mod service;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use self::client::SnapshotClient;
pub use self::service::SnapshotService;

use crate::error::RpcError;
use crate::snapshot::{Attach, ProxyTarget};

/// The gRPC service's full name.
pub const SERVICE: &str = "concord.proxy.v1.Snapshots";
/// Path of the method that attaches a proxy; its answer is a stream.
pub const ATTACH: &str = "/concord.proxy.v1.Snapshots/Attach";
/// Path of the signing method.
pub(crate) const SIGN_LEAF: &str = "/concord.proxy.v1.Snapshots/SignLeaf";
/// Metadata key of the caller's token, as in Consul's gRPC services.
pub const TOKEN_METADATA: &str = "x-consul-token";
/// Largest message that a client accepts: one section. Intentions with 100,000 sources are smaller.
pub const MESSAGE_BYTES_MAX: usize = 50 * 1024 * 1024;
/// Largest request that a server accepts, unless the request's type has another limit: names, and a certificate
/// request of a few KiB.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;
/// The prefix of each message: whether it is compressed, and its length.
pub(crate) const PREFIX_BYTES: usize = 5;

/// A request that consists of one message.
pub(crate) trait Asked: DeserializeOwned + Send + 'static {
    /// The largest size of the request in bytes.
    const BYTES_MAX: usize = REQUEST_BYTES_MAX;
}

impl Asked for Attach {}

/// Asks for a signature.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct SignLeaf {
    pub(crate) proxy: ProxyTarget,
    pub(crate) csr_pem: String,
}

impl Asked for SignLeaf {}

/// The gRPC code for an error. The error itself is in the status details.
pub fn status_of(error: &RpcError) -> tonic::Status {
    let code = match error {
        RpcError::Invalid(_) => tonic::Code::InvalidArgument,
        RpcError::NotFound(_) => tonic::Code::NotFound,
        RpcError::UnknownDatacenter => tonic::Code::NotFound,
        RpcError::Conflict(_) => tonic::Code::Aborted,
        RpcError::Rejected(_) => tonic::Code::FailedPrecondition,
        RpcError::Denied(_) => tonic::Code::PermissionDenied,
        RpcError::TokenNotFound | RpcError::NotBootstrapped => tonic::Code::Unauthenticated,
        RpcError::AclDisabled => tonic::Code::FailedPrecondition,
        RpcError::NoLeader
        | RpcError::Unreachable(_)
        | RpcError::ReadOnly(_)
        | RpcError::ShuttingDown
        | RpcError::CaNotReady(_) => tonic::Code::Unavailable,
        RpcError::OutcomeUnknown => tonic::Code::DeadlineExceeded,
        RpcError::RateLimited | RpcError::Busy(_) => tonic::Code::ResourceExhausted,
        RpcError::NotAvailable(_) => tonic::Code::Unimplemented,
        RpcError::Internal(_) => tonic::Code::Internal,
    };
    let details = rmp_serde::to_vec_named(error).unwrap_or_default();
    tonic::Status::with_details(code, error.to_string(), details.into())
}

/// The text of a status and of its causes: the text alone is often only `transport error`.
fn with_causes(status: &tonic::Status) -> String {
    let mut text = status.message().to_owned();
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        let own = error.to_string();
        if !text.contains(&own) {
            text = format!("{text}: {own}");
        }
        cause = error.source();
    }
    text
}

/// The error in a status, or the nearest one for a status that did not come from us.
pub fn error_of(status: &tonic::Status) -> RpcError {
    if let Ok(error) = rmp_serde::from_slice(status.details()) {
        return error;
    }
    match status.code() {
        tonic::Code::Unavailable | tonic::Code::Cancelled | tonic::Code::Unknown => {
            RpcError::Unreachable(with_causes(status))
        }
        tonic::Code::PermissionDenied => RpcError::Denied(status.message().to_owned()),
        tonic::Code::Unauthenticated => RpcError::TokenNotFound,
        tonic::Code::ResourceExhausted => RpcError::Busy(status.message().to_owned()),
        tonic::Code::Unimplemented => RpcError::NotAvailable(format!("{SERVICE} at this address")),
        tonic::Code::InvalidArgument => RpcError::Invalid(status.message().to_owned()),
        tonic::Code::NotFound => RpcError::NotFound(status.message().to_owned()),
        _ => RpcError::Internal(status.message().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_wire_whole() {
        for error in [
            RpcError::RateLimited,
            RpcError::Denied("Permission denied: no".to_owned()),
            RpcError::CaNotReady("starting".to_owned()),
            RpcError::TokenNotFound,
            RpcError::NotBootstrapped,
            RpcError::Rejected("cannot find policy 1".to_owned()),
        ] {
            assert_eq!(error_of(&status_of(&error)), error);
        }
    }

    #[test]
    fn a_foreign_status_becomes_the_nearest_error() {
        let unreachable = RpcError::Unreachable("gone".to_owned());
        assert_eq!(error_of(&tonic::Status::unavailable("gone")), unreachable);
        assert!(unreachable.is_retryable());
        assert!(error_of(&tonic::Status::permission_denied("no")).is_denial());
    }
}
