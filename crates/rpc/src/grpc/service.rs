//! The serving side: a [`SnapshotSource`] as a tonic service.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use concord_model::Secret;
use concord_model::ca::LeafCertificate;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt};
use tonic::body::Body;
use tonic::codegen::{Service, StdError};
use tonic::server::{Grpc, NamedService, ServerStreamingService, UnaryService};
use tonic::{Request, Response, Status};

use super::codec::Named;
use super::{ATTACH, Attach, MESSAGE_BYTES_MAX, SERVICE, SIGN_LEAF, SignLeaf, TOKEN_METADATA, status_of};
use crate::snapshot::{SnapshotEvent, SnapshotSource};

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

fn token<T>(request: &Request<T>) -> Option<Secret> {
    let value = request.metadata().get(TOKEN_METADATA)?.to_str().ok()?;
    (!value.is_empty()).then(|| Secret::new(value.to_owned()))
}

struct AttachMethod(Arc<dyn SnapshotSource>);

impl ServerStreamingService<Attach> for AttachMethod {
    type Response = SnapshotEvent;
    type ResponseStream = BoxStream<'static, Result<SnapshotEvent, Status>>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Attach>) -> Self::Future {
        let source = Arc::clone(&self.0);
        Box::pin(async move {
            let token = token(&request);
            let stream =
                source.attach(request.into_inner().proxy, token).await.map_err(|error| status_of(&error))?;
            Ok(Response::new(stream.map(|event| event.map_err(|error| status_of(&error))).boxed()))
        })
    }
}

struct SignLeafMethod(Arc<dyn SnapshotSource>);

impl UnaryService<SignLeaf> for SignLeafMethod {
    type Response = LeafCertificate;
    type Future = BoxFuture<'static, Result<Response<LeafCertificate>, Status>>;

    fn call(&mut self, request: Request<SignLeaf>) -> Self::Future {
        let source = Arc::clone(&self.0);
        Box::pin(async move {
            let token = token(&request);
            let SignLeaf { proxy, csr_pem } = request.into_inner();
            let leaf = source.sign_leaf(proxy, token, csr_pem).await.map_err(|error| status_of(&error))?;
            Ok(Response::new(leaf))
        })
    }
}

impl<B> Service<http::Request<B>> for SnapshotService
where
    B: tonic::codegen::Body + Send + 'static,
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
            Ok(match request.uri().path() {
                ATTACH => {
                    let mut grpc = Grpc::new(Named::<SnapshotEvent, Attach>::new())
                        .max_decoding_message_size(MESSAGE_BYTES_MAX)
                        .max_encoding_message_size(MESSAGE_BYTES_MAX);
                    grpc.server_streaming(AttachMethod(source), request).await
                }
                SIGN_LEAF => {
                    let mut grpc = Grpc::new(Named::<LeafCertificate, SignLeaf>::new())
                        .max_decoding_message_size(MESSAGE_BYTES_MAX)
                        .max_encoding_message_size(MESSAGE_BYTES_MAX);
                    grpc.unary(SignLeafMethod(source), request).await
                }
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}
