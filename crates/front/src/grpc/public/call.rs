//! One call of a public service, and how it is refused.

use std::sync::Arc;

use concord_rpc::grpc::status_of;
use concord_rpc::{Head, RpcError, ServerApi};
use futures::stream::BoxStream;
use tonic::Status;

/// A stream of answers.
pub(super) type Answers<T> = BoxStream<'static, Result<T, Status>>;

/// One call: whom it asks, and with which token.
pub(super) struct Call {
    pub(super) servers: Arc<dyn ServerApi>,
    pub(super) head: Head,
}

/// The status for an error. Its details stay here: other clients read another form of them.
pub(super) fn refusal(error: &RpcError) -> Status {
    Status::new(status_of(error).code(), error.to_string())
}
