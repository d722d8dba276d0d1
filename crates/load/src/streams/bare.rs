//! A bare server of the same method: tonic and tokio, which send given bytes to the streams that asked for a service.
//! It knows no rights, snapshots, versions or limits.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use concord_e2e::{Process, World, pick_port};
use concord_envoy_proto::Any;
use concord_envoy_proto::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, Resource,
};
use futures::future::BoxFuture;
use http::{Request, Response};
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::transport::Server;
use tonic::{Status, Streaming};
use tonic_prost::ProstCodec;
use tower_service::Service;

use super::envoy::open;
use super::mesh::{SERVICES, calls};
use crate::usage::Group;

/// The type that asks the server to push, instead of one that subscribes.
const PUSH: &str = "push";
/// Until the server listens.
const START: Duration = Duration::from_secs(10);

/// A running bare server with its streams. It ends when it is dropped.
pub(super) struct Bare {
    pub(super) process: Group,
    _process: Process,
    streams: usize,
    control: mpsc::Sender<DeltaDiscoveryRequest>,
    _answers: Streaming<DeltaDiscoveryResponse>,
    arrivals: mpsc::UnboundedReceiver<Instant>,
}

impl Bare {
    /// Starts a server that sends responses of this many bytes, and opens the streams.
    pub(super) async fn start(world: &World, streams: usize, bytes: usize) -> Result<Self> {
        let program = std::env::current_exe().context("finding this program")?;
        let address = SocketAddr::from(([127, 0, 0, 1], pick_port()));
        let mut command = Command::new(program);
        command.env_clear().args(["bare-streams", &address.to_string(), &bytes.to_string()]);
        let process = Process::start("bare-streams", &mut command, &world.path("bare-streams.log"));
        let (tell, arrivals) = mpsc::unbounded_channel();
        let began = Instant::now();
        while tokio::net::TcpStream::connect(address).await.is_err() {
            anyhow::ensure!(began.elapsed() < START, "the bare server does not listen");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let (control, receiver) = mpsc::channel(1);
        control.send(DeltaDiscoveryRequest::default()).await?;
        let answers = open(address, IpAddr::V4(Ipv4Addr::LOCALHOST), receiver).await?;
        for at in 0..streams {
            let (requests, receiver) = mpsc::channel(4);
            let names = calls(at).map(|service| service.to_string()).collect();
            let request =
                DeltaDiscoveryRequest { resource_names_subscribe: names, ..DeltaDiscoveryRequest::default() };
            requests.send(request).await?;
            let source = IpAddr::V4(Ipv4Addr::new(127, 0, 1, 1));
            let mut responses = open(address, source, receiver).await?;
            let tell = tell.clone();
            // It ends with its stream, or with the runtime.
            tokio::spawn(async move {
                while let Ok(Some(response)) = responses.message().await {
                    let nonce = response.nonce;
                    let ack =
                        DeltaDiscoveryRequest { response_nonce: nonce, ..DeltaDiscoveryRequest::default() };
                    if requests.send(ack).await.is_err() || tell.send(Instant::now()).is_err() {
                        return;
                    }
                }
            });
        }
        let process_group = Group::new([process.pid()]);
        Ok(Self { process: process_group, _process: process, streams, control, _answers: answers, arrivals })
    }

    /// Has all streams told that call a service. Returns when each had it.
    pub(super) async fn push(&mut self, service: usize) -> Result<Vec<Instant>> {
        let service = service % SERVICES;
        let push = DeltaDiscoveryRequest {
            type_url: PUSH.to_owned(),
            resource_names_subscribe: vec![service.to_string()],
            ..DeltaDiscoveryRequest::default()
        };
        self.control.send(push).await?;
        let callers = (0..self.streams).filter(|at| calls(*at).any(|called| called == service)).count();
        let mut arrivals = Vec::new();
        while arrivals.len() < callers {
            arrivals.push(self.arrivals.recv().await.context("the streams have ended")?);
        }
        Ok(arrivals)
    }
}

/// Runs a bare server until the process is ended from outside.
pub(crate) fn run(args: &[&str]) -> Result<()> {
    let [listen, bytes] = args else { bail!("bare-streams <listen> <bytes>") };
    let listen: SocketAddr = listen.parse().context("where to listen")?;
    let bytes = bytes.parse().context("the size of a response")?;
    let runtime = Builder::new_multi_thread().enable_all().build().context("starting threads")?;
    let subscribed = (0..SERVICES).map(|_| Vec::new()).collect();
    let shared = Shared { subscribed: Arc::new(Mutex::new(subscribed)), bytes };
    runtime.block_on(Server::builder().add_service(shared).serve(listen)).context("serving")
}

type Answer = mpsc::Sender<Result<DeltaDiscoveryResponse, Status>>;

#[derive(Clone)]
struct Shared {
    /// The streams that call each service.
    subscribed: Arc<Mutex<Vec<Vec<Answer>>>>,
    bytes: usize,
}

impl Shared {
    async fn serve(self, mut requests: Streaming<DeltaDiscoveryRequest>, answers: Answer) {
        while let Ok(Some(request)) = requests.message().await {
            let is_push = request.type_url == PUSH;
            for service in request.resource_names_subscribe.iter().filter_map(|name| name.parse().ok()) {
                if is_push {
                    self.push(service).await;
                } else {
                    self.lock()[service % SERVICES].push(answers.clone());
                }
            }
        }
    }

    async fn push(&self, service: usize) {
        let told = self.lock()[service % SERVICES].clone();
        for stream in told {
            let resource = Any { type_url: String::new(), value: vec![0; self.bytes] };
            let response = DeltaDiscoveryResponse {
                resources: vec![Resource { resource: Some(resource), ..Resource::default() }],
                nonce: "1".to_owned(),
                ..DeltaDiscoveryResponse::default()
            };
            // A stream that has ended is missed by the measuring client.
            let _ = stream.send(Ok(response)).await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Vec<Answer>>> {
        self.subscribed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NamedService for Shared {
    const NAME: &'static str = "envoy.service.discovery.v3.AggregatedDiscoveryService";
}

impl Service<Request<Body>> for Shared {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = Method(self.clone());
        let codec = ProstCodec::<DeltaDiscoveryResponse, DeltaDiscoveryRequest>::default();
        Box::pin(async move { Ok(Grpc::new(codec).streaming(method, request).await) })
    }
}

struct Method(Shared);

impl StreamingService<DeltaDiscoveryRequest> for Method {
    type Response = DeltaDiscoveryResponse;
    type ResponseStream = ReceiverStream<Result<DeltaDiscoveryResponse, Status>>;
    type Future = BoxFuture<'static, Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<DeltaDiscoveryRequest>>) -> Self::Future {
        let shared = self.0.clone();
        Box::pin(async move {
            let (answers, stream) = mpsc::channel(4);
            // It ends with its stream, or with the process.
            tokio::spawn(shared.serve(request.into_inner(), answers));
            Ok(tonic::Response::new(ReceiverStream::new(stream)))
        })
    }
}
