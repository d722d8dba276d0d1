//! A bare HTTP server: hyper and tokio, with the same answer to every request. It has no routes, rights, limits,
//! metrics or log. The difference to an endpoint of the agent is the cost of these.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use concord_e2e::{Http, Process, Reply, World, eventually, pick_port};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

use crate::usage::Group;

/// Headers of a connection, and headers that hyper writes itself.
const OWN: [&str; 3] = ["connection", "content-length", "date"];

/// A running bare server. It ends when it is dropped.
pub(crate) struct BareHttp {
    pub(crate) http: Http,
    pub(crate) process: Group,
    _process: Process,
}

/// The answer to every request.
struct Answer {
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl BareHttp {
    /// Starts a server that answers with the bytes of this reply.
    pub(crate) fn start(world: &World, reply: &Reply) -> Result<Self> {
        let program = std::env::current_exe().context("finding this program")?;
        let address = SocketAddr::from(([127, 0, 0, 1], pick_port()));
        let headers = serde_json::to_string(&reply.headers).context("the headers as text")?;
        let files = [world.write("bare-http.json", headers), world.write("bare-http.body", &reply.body)];
        let mut command = Command::new(program);
        command.env_clear().args(["bare-http", &address.to_string()]).args(files);
        let process = Process::start("bare-http", &mut command, &world.path("bare-http.log"));
        let http = Http::new(address);
        eventually("the bare server answers", || http.try_send("GET", "/", None).ok());
        Ok(Self { http, process: Group::new([process.pid()]), _process: process })
    }
}

/// Runs a bare server until the process is ended from outside.
pub(crate) fn run(args: &[&str]) -> Result<()> {
    let [listen, headers, body] = args else { bail!("bare-http <listen> <headers.json> <body>") };
    let listen: SocketAddr = listen.parse().context("where to listen")?;
    let headers: Vec<(String, String)> =
        serde_json::from_slice(&std::fs::read(headers).context("the headers")?).context("the headers")?;
    let headers = headers.into_iter().filter(|(name, _)| !OWN.contains(&name.to_ascii_lowercase().as_str()));
    let headers = headers
        .map(|(name, value)| Ok((HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(&value)?)))
        .collect::<Result<_>>()?;
    let answer = Arc::new(Answer { headers, body: std::fs::read(body).context("the body")?.into() });
    let runtime = Builder::new_multi_thread().enable_all().build().context("starting threads")?;
    runtime.block_on(serve(listen, answer))
}

async fn serve(listen: SocketAddr, answer: Arc<Answer>) -> Result<()> {
    let listener = TcpListener::bind(listen).await.context("listening")?;
    loop {
        let (stream, _) = listener.accept().await.context("accepting")?;
        stream.set_nodelay(true).context("setting up a connection")?;
        // The task ends with its client or with the process.
        tokio::spawn(connection(stream, Arc::clone(&answer)));
    }
}

async fn connection(stream: TcpStream, answer: Arc<Answer>) {
    let service = service_fn(|request: Request<Incoming>| {
        let answer = Arc::clone(&answer);
        async move {
            // If the client disconnects, the connection ends with an error anyway.
            let whole = request.into_body().collect().await.is_ok();
            let mut response = Response::new(Full::new(answer.body.clone()));
            *response.status_mut() = if whole { StatusCode::OK } else { StatusCode::BAD_REQUEST };
            response.headers_mut().extend(answer.headers.iter().cloned());
            Ok::<_, Infallible>(response)
        }
    });
    let served =
        http1::Builder::new().title_case_headers(true).serve_connection(TokioIo::new(stream), service);
    // The measuring client sees the failure on its side.
    let _ = served.await;
}
