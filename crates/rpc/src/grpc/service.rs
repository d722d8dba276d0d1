//! The server side: a [`SnapshotSource`] as a tonic service.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use concord_model::Secret;
use concord_model::ca::LeafCertificate;
use concord_proxycfg::LeafFrom;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt};
use http::HeaderMap;
use serde::Serialize;
use tonic::body::Body;
use tonic::codegen::{Service, StdError};
use tonic::server::{Grpc, NamedService, ServerStreamingService, UnaryService};
use tonic::{Request, Response, Status};

use super::body::OneMessage;
use super::codec::Named;
use super::{ATTACH, Asked, MESSAGE_BYTES_MAX, SERVICE, SIGN_LEAF, SignLeaf, TOKEN_METADATA, status_of};
use crate::error::RpcError;
use crate::snapshot::{Attach, SnapshotEvent, SnapshotSource};

/// Serves snapshots from a source.
#[derive(Clone)]
pub struct SnapshotService {
    source: Arc<dyn SnapshotSource>,
}

impl std::fmt::Debug for SnapshotService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SnapshotService")
    }
}

impl SnapshotService {
    /// A service over `source`.
    pub fn new(source: Arc<dyn SnapshotSource>) -> Self {
        Self { source }
    }
}

impl NamedService for SnapshotService {
    const NAME: &'static str = SERVICE;
}

fn token(headers: &HeaderMap) -> Option<Secret> {
    let value = headers.get(TOKEN_METADATA)?.to_str().ok()?;
    (!value.is_empty()).then(|| Secret::new(value.to_owned()))
}

/// The source for one call of a method, and the caller's token.
struct Method {
    source: Arc<dyn SnapshotSource>,
    token: Option<Secret>,
}

struct AttachMethod(Method);

impl ServerStreamingService<Attach> for AttachMethod {
    type Response = SnapshotEvent;
    type ResponseStream = BoxStream<'static, Result<SnapshotEvent, Status>>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Attach>) -> Self::Future {
        let Method { source, token } = self.0.taken();
        Box::pin(async move {
            let attach = request.into_inner();
            if attach.leaf == LeafFrom::Agent {
                let what = "keys made by the agent for other processes; a key does not leave its process";
                return Err(status_of(&RpcError::NotAvailable(what.to_owned())));
            }
            let stream = source.attach(attach, token).await.map_err(|error| status_of(&error))?;
            Ok(Response::new(stream.map(|event| event.map_err(|error| status_of(&error))).boxed()))
        })
    }
}

struct SignLeafMethod(Method);

impl UnaryService<SignLeaf> for SignLeafMethod {
    type Response = LeafCertificate;
    type Future = BoxFuture<'static, Result<Response<LeafCertificate>, Status>>;

    fn call(&mut self, request: Request<SignLeaf>) -> Self::Future {
        let Method { source, token } = self.0.taken();
        Box::pin(async move {
            let SignLeaf { proxy, csr_pem } = request.into_inner();
            let leaf = source.sign_leaf(proxy, token, csr_pem).await.map_err(|error| status_of(&error))?;
            Ok(Response::new(leaf))
        })
    }
}

impl Method {
    /// Takes the content for the only call of the method.
    fn taken(&mut self) -> Self {
        Self { source: Arc::clone(&self.source), token: self.token.take() }
    }
}

/// The codec of a method, with the limits of its messages.
fn codec<A: Asked, E: Serialize + Send + 'static>() -> Grpc<Named<E, A>> {
    Grpc::new(Named::<E, A>::new())
        .max_decoding_message_size(A::BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

fn one<A: Asked, B>(request: http::Request<B>) -> http::Request<OneMessage<B>> {
    request.map(|body| OneMessage::new(body, A::BYTES_MAX))
}

impl<B> Service<http::Request<B>> for SnapshotService
where
    B: tonic::codegen::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let source = Arc::clone(&self.source);
        Box::pin(async move {
            let token = token(request.headers());
            // Check the token before the body: nothing that an unknown caller sends is read.
            if let Err(error) = source.admit(token.clone()).await {
                return Ok(status_of(&error).into_http());
            }
            let method = Method { source, token };
            Ok(match request.uri().path() {
                ATTACH => codec().server_streaming(AttachMethod(method), one::<Attach, _>(request)).await,
                SIGN_LEAF => codec().unary(SignLeafMethod(method), one::<SignLeaf, _>(request)).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

#[cfg(test)]
mod tests;
