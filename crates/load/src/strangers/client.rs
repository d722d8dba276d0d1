//! The client with a token and its own address. Measures how it is served during the flood.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use concord_e2e::{Http, Mesh};
use concord_model::{InstanceId, Secret};
use concord_proxycfg::{Feature, Understood};
use concord_rpc::grpc::SnapshotClient;
use concord_rpc::{Attach, ProxyTarget, SnapshotSource as _};
use futures::StreamExt as _;
use tokio::runtime::{Builder, Runtime};
use tonic::transport::Endpoint;

use crate::spread::Spread;

/// The token of the client.
pub(crate) const TOKEN: &str = "6b1ffb2e-5d2d-4a50-b1f8-95ad2e6c3a01";

/// Time between two requests.
const PAUSE: Duration = Duration::from_millis(20);
/// A request that takes longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a client sends a request. Each request has a new connection.
#[derive(Clone, Debug)]
pub(crate) enum Client {
    /// A request over HTTP.
    Http(Http),
    /// A stream of snapshots, until the first snapshot.
    Grpc(SocketAddr),
    /// A message through the mesh and back.
    Mesh(SocketAddr),
}

/// A running client.
pub(crate) struct Served {
    end: Arc<AtomicBool>,
    thread: JoinHandle<Result<(Spread, usize)>>,
}

impl Client {
    pub(crate) fn begin(&self) -> Served {
        let (end, client) = (Arc::new(AtomicBool::new(false)), self.clone());
        let ended = Arc::clone(&end);
        Served { end, thread: thread::spawn(move || client.work(&ended)) }
    }

    fn work(&self, ended: &AtomicBool) -> Result<(Spread, usize)> {
        let runtime =
            Builder::new_current_thread().enable_all().build().context("a thread for the client")?;
        let (mut times, mut failed) = (Vec::new(), 0);
        while !ended.load(Ordering::Relaxed) {
            let began = Instant::now();
            let asked = self.ask(&runtime);
            let took = began.elapsed();
            match asked {
                Ok(()) if took <= PATIENCE => times.push(took),
                Ok(()) => failed += 1,
                Err(error) => {
                    eprintln!("client: {error:#}");
                    failed += 1;
                }
            }
            thread::sleep(PAUSE);
        }
        Ok((Spread::new(times), failed))
    }

    fn ask(&self, runtime: &Runtime) -> Result<()> {
        match self {
            Self::Http(http) => {
                let reply = http.with_token(TOKEN).try_send("GET", "/v1/acl/token/self", None)?;
                ensure!(reply.status == 200, "{} {}", reply.status, reply.body);
                Ok(())
            }
            Self::Grpc(addr) => runtime.block_on(async {
                let first = tokio::time::timeout(PATIENCE, attach(*addr));
                first.await.map_err(|_| anyhow!("no snapshot in time"))?
            }),
            Self::Mesh(addr) => {
                let mut stream = TcpStream::connect_timeout(addr, PATIENCE)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Ok(Mesh::say(&mut stream)?)
            }
        }
    }
}

async fn attach(addr: SocketAddr) -> Result<()> {
    let channel = Endpoint::from_shared(format!("http://{addr}"))?.connect().await?;
    let proxy = ProxyTarget::registered(InstanceId::parse("web-sidecar-proxy")?);
    let attach = Attach::new(proxy, Understood::of(Feature::ALL));
    let mut stream = SnapshotClient::new(channel).attach(attach, Some(Secret::new(TOKEN.to_owned()))).await?;
    stream.next().await.context("the stream ended")??;
    Ok(())
}

impl Served {
    /// The times of successful requests and the number of failed ones.
    pub(crate) fn end(self) -> Result<(Spread, usize)> {
        self.end.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the client panicked"))?
    }
}
