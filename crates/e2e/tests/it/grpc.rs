//! A service of gRPC and a caller of it, both by tonic: calls with one answer, streams, and ones that fail.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use concord_e2e::HANG;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc as channel, oneshot};
use tonic::body::Body;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::{BoxFuture, Service};
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, NamedService, StreamingService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

/// Answers with what it is told.
pub(crate) const SAY: &str = "/mesh.Speaker/Say";
/// The same, by another name.
pub(crate) const REPEAT: &str = "/mesh.Speaker/Repeat";
/// Fails for the first times that it is told something ([`FAILURES`]).
pub(crate) const STUMBLE: &str = "/mesh.Speaker/Stumble";
/// Answers each message of a stream, and ends with a failure and the number of messages.
const TALK: &str = "/mesh.Speaker/Talk";
/// How often a service stumbles.
pub(crate) const FAILURES: usize = 2;
/// Messages on their way in one direction of a stream.
const UNDER_WAY: usize = 1;

/// A running service. It ends when it is dropped.
pub(crate) struct Speaker {
    addr: SocketAddr,
    told: Told,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// How often each path was told each text.
type Told = Arc<Mutex<BTreeMap<(String, String), usize>>>;

impl Speaker {
    pub(crate) fn new() -> Self {
        let (tell, listens) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let told = Told::default();
        let spoken = Spoken(Arc::clone(&told));
        let thread = thread::spawn(move || {
            runtime().block_on(async move {
                let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
                tell.send(listener.local_addr().expect("a bound address")).expect("the test waits");
                let serving =
                    Server::builder().add_service(spoken).serve_with_incoming(TcpIncoming::from(listener));
                tokio::select! {
                    ended = serving => ended.expect("it serves"),
                    _ = stopped => (),
                }
            });
        });
        let addr = listens.recv().expect("it listens");
        Self { addr, told, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How often a path was told something.
    pub(crate) fn told(&self, path: &str, text: &str) -> usize {
        let key = (path.to_owned(), text.to_owned());
        self.told.lock().expect("nobody panicked").get(&key).copied().unwrap_or(0)
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn codec() -> ProstCodec<String, String> {
    ProstCodec::default()
}

#[derive(Clone)]
struct Spoken(Told);

impl NamedService for Spoken {
    const NAME: &'static str = "mesh.Speaker";
}

impl Service<http::Request<Body>> for Spoken {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let path = request.uri().path().to_owned();
        let told = Arc::clone(&self.0);
        Box::pin(async move {
            Ok(match path.as_str() {
                TALK => Grpc::new(codec()).streaming(Talk, request).await,
                SAY | REPEAT | STUMBLE => Grpc::new(codec()).unary(One { path, told }, request).await,
                _ => Status::unimplemented("there is no such method").into_http(),
            })
        })
    }
}

struct One {
    path: String,
    told: Told,
}

impl UnaryService<String> for One {
    type Response = String;
    type Future = BoxFuture<Response<String>, Status>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        let text = request.into_inner();
        let mut all = self.told.lock().expect("nobody panicked");
        let times = all.entry((self.path.clone(), text.clone())).or_default();
        *times += 1;
        let stumbles = self.path == STUMBLE && *times <= FAILURES;
        let answer = if stumbles { Err(Status::unavailable("it stumbled")) } else { Ok(Response::new(text)) };
        Box::pin(async { answer })
    }
}

struct Talk;

impl StreamingService<String> for Talk {
    type Response = String;
    type ResponseStream = ReceiverStream<Result<String, Status>>;
    type Future = BoxFuture<Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: Request<Streaming<String>>) -> Self::Future {
        let (answers, stream) = channel::channel(UNDER_WAY);
        let mut messages = request.into_inner();
        // It ends with its stream, or with the runtime.
        tokio::spawn(async move {
            let mut heard: u32 = 0;
            while let Ok(Some(text)) = messages.message().await {
                heard += 1;
                if answers.send(Ok(text)).await.is_err() {
                    return;
                }
            }
            let mut more = MetadataMap::new();
            more.insert("x-heard", heard.into());
            let end = Status::with_metadata(Code::DataLoss, "nothing is kept", more);
            let _ = answers.send(Err(end)).await;
        });
        Box::pin(async { Ok(Response::new(ReceiverStream::new(stream))) })
    }
}

/// A caller with a connection of its own.
async fn caller(addr: SocketAddr) -> Result<tonic::client::Grpc<Channel>, Status> {
    let endpoint = Endpoint::from_shared(format!("http://{addr}")).expect("an address");
    let endpoint = endpoint.connect_timeout(Duration::from_secs(5)).timeout(HANG);
    let channel = endpoint.connect().await.map_err(|error| Status::from_error(error.into()))?;
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
    Ok(grpc)
}

/// Tells a path something, on a connection of its own.
pub(crate) fn tell(addr: SocketAddr, path: &'static str, text: &str) -> Result<String, Code> {
    let answer = runtime().block_on(async {
        let path = http::uri::PathAndQuery::from_static(path);
        caller(addr).await?.unary(Request::new(text.to_owned()), path, codec()).await
    });
    answer.map(Response::into_inner).map_err(|status| status.code())
}

/// Sends messages, each when the one before has been answered. Returns the answers and how the stream ended.
pub(crate) fn talk(addr: SocketAddr, messages: &[&str]) -> Result<(Vec<String>, Status), Status> {
    runtime().block_on(async {
        let (send, stream) = channel::channel(UNDER_WAY);
        let request = Request::new(ReceiverStream::new(stream));
        let path = http::uri::PathAndQuery::from_static(TALK);
        let mut answers = caller(addr).await?.streaming(request, path, codec()).await?.into_inner();
        let mut all = Vec::new();
        for text in messages {
            send.send((*text).to_owned()).await.map_err(|error| Status::internal(error.to_string()))?;
            all.extend(answers.message().await?);
        }
        drop(send);
        match answers.message().await {
            Ok(_) => Ok((all, Status::ok(""))),
            Err(end) => Ok((all, end)),
        }
    })
}
