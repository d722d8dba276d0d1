//! The one trait behind which a server's own handle and a remote client stand.

use futures::future::BoxFuture;

use crate::error::RpcError;
use crate::head::{Answer, Head};
use crate::request::{AnyReply, AnyRequest, Request};

/// Carries requests to whoever can answer them. A server implements it by answering.
pub trait ServerApi: Send + Sync + 'static {
    /// Carries one request. A blocking read returns when its index grows or the wait is over.
    fn call_any(&self, head: Head, request: AnyRequest) -> BoxFuture<'_, Result<Answer<AnyReply>, RpcError>>;
}

/// The typed view of [`ServerApi`].
pub trait ServerApiExt: ServerApi {
    /// Carries one request and returns its reply.
    fn call<R: Request>(&self, head: Head, request: R) -> BoxFuture<'_, Result<Answer<R::Reply>, RpcError>> {
        let answer = self.call_any(head, request.into_any());
        Box::pin(async move { answer.await?.try_map(R::reply_from_any) })
    }
}

impl<T: ServerApi + ?Sized> ServerApiExt for T {}

impl<T: ServerApi + ?Sized> ServerApi for std::sync::Arc<T> {
    fn call_any(&self, head: Head, request: AnyRequest) -> BoxFuture<'_, Result<Answer<AnyReply>, RpcError>> {
        (**self).call_any(head, request)
    }
}
