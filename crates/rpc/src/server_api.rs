//! The trait that a server's own handle and a remote client implement.

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::error::RpcError;
use crate::head::{Answer, Head};
use crate::request::{AnyReply, AnyRequest, Request};

/// Carries requests to a server. A server implements it by answering them.
pub trait ServerApi: Send + Sync + 'static {
    /// Carries one request. A blocking read returns when its index grows or its wait is over.
    fn call_any(&self, head: Head, request: AnyRequest) -> BoxFuture<'_, Result<Answer<AnyReply>, RpcError>>;

    /// Watches one request, beginning at the index of this head.
    fn watch_any(self: Arc<Self>, head: Head, request: AnyRequest) -> Box<dyn Watching> {
        Box::new(Polled { servers: self, head, request })
    }
}

/// A watch on a request. Dropping it ends the watch.
pub trait Watching: Send {
    /// The next answer. After an answer, this is one with another index, or the same one once the head's wait is
    /// over. After an error, the same request is sent again. Nothing is requested until this is called. Dropping the
    /// future loses nothing: the next call continues the request that is under way.
    fn next(&mut self) -> BoxFuture<'_, Result<Answer<AnyReply>, RpcError>>;
}

/// Watches by sending the request again each time. Used if the server is in the same process.
struct Polled<T: ?Sized> {
    servers: Arc<T>,
    head: Head,
    request: AnyRequest,
}

impl<T: ServerApi + ?Sized> Watching for Polled<T> {
    fn next(&mut self) -> BoxFuture<'_, Result<Answer<AnyReply>, RpcError>> {
        Box::pin(async {
            let answer = self.servers.call_any(self.head.clone(), self.request.clone()).await?;
            self.head.min_index = answer.index.max(1);
            Ok(answer)
        })
    }
}

/// The typed interface to [`ServerApi`].
pub trait ServerApiExt: ServerApi {
    /// Carries one request and returns its reply.
    fn call<R: Request>(&self, head: Head, request: R) -> BoxFuture<'_, Result<Answer<R::Reply>, RpcError>> {
        let answer = self.call_any(head, request.into_any());
        Box::pin(async move { answer.await?.try_map(R::reply_from_any) })
    }
}

impl<T: ServerApi + ?Sized> ServerApiExt for T {}
