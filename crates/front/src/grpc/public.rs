//! Consul's public gRPC services: servers, dataplanes, certificates. They ask the servers by the requests that all faces
//! use; each request says its own right.
//!
//! Calls by auth methods are refused with their reason, other methods by their name.

mod call;
mod certificates;
mod dataplane;
mod servers;

use std::sync::Arc;

use bytes::Bytes;
use concord_model::Secret;
use concord_public_proto::{PREFIX, acl, connectca, dataplane as plane, serverdiscovery};
use concord_rpc::grpc::{REQUEST_BYTES_MAX, TOKEN_METADATA};
use concord_rpc::{Head, ServerApi};
use futures::future::BoxFuture;
use http::HeaderMap;
use tonic::body::Body;
use tonic::codegen::StdError;
use tonic::server::{Grpc, ServerStreamingService, UnaryService};
use tonic::{Request, Response, Status};

use self::call::{Answers, Call};
use super::protobuf::Protobuf;

/// The public services.
#[derive(Clone)]
pub(super) struct Public {
    servers: Arc<dyn ServerApi>,
}

impl Public {
    pub(super) fn new(servers: Arc<dyn ServerApi>) -> Self {
        Self { servers }
    }

    /// Whether a path is one of the public services.
    pub(super) fn has(path: &str) -> bool {
        path.starts_with(PREFIX)
    }

    /// Whether the answer is a stream that lasts.
    pub(super) fn lasts(path: &str) -> bool {
        [serverdiscovery::WATCH_SERVERS, connectca::WATCH_ROOTS].contains(&path)
    }

    pub(super) async fn call<B>(&self, request: http::Request<B>) -> http::Response<Body>
    where
        B: tonic::codegen::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<StdError> + Send + 'static,
    {
        let head = Head::with_token(token(request.headers()));
        let call = Call { servers: Arc::clone(&self.servers), head };
        match request.uri().path() {
            serverdiscovery::WATCH_SERVERS => streaming(request, call, servers::watch).await,
            plane::FEATURES => unary(request, call, dataplane::features).await,
            plane::PARAMS => unary(request, call, dataplane::params).await,
            connectca::WATCH_ROOTS => streaming(request, call, certificates::watch_roots).await,
            connectca::SIGN => unary(request, call, certificates::sign).await,
            acl::LOGIN | acl::LOGOUT => Status::unimplemented("ACL auth methods are not built").into_http(),
            path => Status::unimplemented(format!("{path} is not built")).into_http(),
        }
    }
}

fn token(headers: &HeaderMap) -> Option<Secret> {
    let value = headers.get(TOKEN_METADATA)?.to_str().ok()?;
    (!value.is_empty()).then(|| Secret::new(value.to_owned()))
}

/// A method as a function; it is called once.
struct Method<F>(Option<Call>, F);

impl<F> Method<F> {
    fn call(&mut self) -> Result<Call, Status> {
        self.0.take().ok_or_else(|| Status::internal("a method is called once"))
    }
}

impl<A, T, F, O> UnaryService<A> for Method<F>
where
    F: Fn(Call, A) -> O + Clone + Send + 'static,
    O: Future<Output = Result<T, Status>> + Send + 'static,
    A: Send + 'static,
{
    type Response = T;
    type Future = BoxFuture<'static, Result<Response<T>, Status>>;

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let (call, function) = (Self::call(self), self.1.clone());
        Box::pin(async move { function(call?, request.into_inner()).await.map(Response::new) })
    }
}

struct Streaming<F>(Method<F>);

impl<A, T, F, O> ServerStreamingService<A> for Streaming<F>
where
    F: Fn(Call, A) -> O + Clone + Send + 'static,
    O: Future<Output = Result<Answers<T>, Status>> + Send + 'static,
    A: Send + 'static,
    T: 'static,
{
    type Response = T;
    type ResponseStream = Answers<T>;
    type Future = BoxFuture<'static, Result<Response<Answers<T>>, Status>>;

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let (call, function) = (Method::call(&mut self.0), self.0.1.clone());
        Box::pin(async move { function(call?, request.into_inner()).await.map(Response::new) })
    }
}

fn codec<A, T>() -> Grpc<Protobuf<T, A>>
where
    A: prost::Message + Default + Send + 'static,
    T: prost::Message + Send + 'static,
{
    Grpc::new(Protobuf::new()).max_decoding_message_size(REQUEST_BYTES_MAX)
}

async fn unary<A, T, F, O, B>(request: http::Request<B>, call: Call, function: F) -> http::Response<Body>
where
    A: prost::Message + Default + Send + 'static,
    T: prost::Message + Send + 'static,
    F: Fn(Call, A) -> O + Clone + Send + 'static,
    O: Future<Output = Result<T, Status>> + Send + 'static,
    B: tonic::codegen::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    codec::<A, T>().unary(Method(Some(call), function), request).await
}

async fn streaming<A, T, F, O, B>(request: http::Request<B>, call: Call, function: F) -> http::Response<Body>
where
    A: prost::Message + Default + Send + 'static,
    T: prost::Message + Send + 'static,
    F: Fn(Call, A) -> O + Clone + Send + 'static,
    O: Future<Output = Result<Answers<T>, Status>> + Send + 'static,
    B: tonic::codegen::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    codec::<A, T>().server_streaming(Streaming(Method(Some(call), function)), request).await
}
