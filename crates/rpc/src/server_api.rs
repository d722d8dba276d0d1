//! The one trait behind which a server's own handle and a remote client stand.

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::error::RpcError;
use crate::head::{Answer, Head};
use crate::request::{AnyReply, AnyRequest, Request};

/// Carries requests to whoever can answer them. A server implements it by answering.
pub trait ServerApi: Send + Sync + 'static {
    /// Carries one request. A blocking read returns when its index grows or the wait is over.
    fn call_any(&self, head: Head, request: AnyRequest) -> BoxFuture<'_, Result<Answer<AnyReply>, RpcError>>;

    /// Follows one request, from the index of this head on.
    fn watch_any(self: Arc<Self>, head: Head, request: AnyRequest) -> Box<dyn Watching> {
        Box::new(Polled { servers: self, head, request })
    }
}

/// A request that is followed. Dropping it ends that.
pub trait Watching: Send {
    /// The next answer: after an answer, one with another index, or the same once the wait of the head is over.
    /// After an error the same is asked again. Nothing is asked for until this is called. A future that is dropped
    /// loses nothing: the next one goes on with the question that is under way.
    fn next(&mut self) -> BoxFuture<'_, Result<Answer<AnyReply>, RpcError>>;
}

/// Follows by asking again each time: the way of those who have a server at hand.
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

/// The typed view of [`ServerApi`].
pub trait ServerApiExt: ServerApi {
    /// Carries one request and returns its reply.
    fn call<R: Request>(&self, head: Head, request: R) -> BoxFuture<'_, Result<Answer<R::Reply>, RpcError>> {
        let answer = self.call_any(head, request.into_any());
        Box::pin(async move { answer.await?.try_map(R::reply_from_any) })
    }
}

impl<T: ServerApi + ?Sized> ServerApiExt for T {}
