//! `connect proxy`: attaches to the agent and carries connections until it is told to end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use concord_ca::OsKeys;
use concord_client::Client;
use concord_config::section::{Level, LogSection};
use concord_model::{InstanceId, Secret};
use concord_proxy::{Options, Proxy};
use concord_rpc::ProxyTarget;
use concord_rpc::grpc::SnapshotClient;
use concord_runtime::{Executor, Scope, World};
use tonic::transport::Endpoint;
use tracing::{info, warn};

use super::signals::Signals;
use super::telemetry;
use crate::cli::{Exit, Failure, Io, Outcome};

/// What the command line says.
#[derive(Debug)]
pub(crate) struct ProxyCommand {
    /// Which proxy: found by this way.
    pub(crate) which: Which,
    /// Token to attach with.
    pub(crate) token: Option<Secret>,
    /// Log settings.
    pub(crate) log: LogSection,
    /// Where the agent's gRPC listens; `None`: asked of the agent.
    pub(crate) grpc: Option<String>,
    /// Where to write, as JSON, what is bound once it serves.
    pub(crate) ready_file: Option<String>,
    /// Where to serve metrics; `None`: nowhere.
    pub(crate) metrics: Option<std::net::SocketAddr>,
}

/// How the proxy is named.
#[derive(Debug)]
pub(crate) enum Which {
    /// The registered sidecar of an instance.
    SidecarFor(String),
    /// A registered proxy.
    Registered(String),
    /// Registered by this command for as long as it runs.
    Described(Box<serde_json::Value>, String),
}

/// Runs until a signal ends it.
pub(crate) fn run(command: ProxyCommand, client: &Client, io: &mut Io) -> Outcome {
    telemetry::start_logs(command.log);
    let control = executor("concord-control", 1)?;
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let traffic = executor("concord-traffic", threads)?;
    let handle = traffic.handle();
    let outcome = control.block_on(serve(command, client, io, handle));
    traffic.shutdown_background();
    outcome
}

fn executor(name: &str, threads: usize) -> Result<Executor, Failure> {
    Executor::new(name, threads).map_err(|error| Failure::system("start threads", error))
}

async fn serve(command: ProxyCommand, client: &Client, io: &mut Io, traffic: tokio::runtime::Handle) -> Outcome {
    let mut signals = Signals::listen().map_err(|error| Failure::system("listen to signals", error))?;
    let metrics = command.metrics.and_then(|_| telemetry::start_metrics());
    let world = World::tokio();
    let control = Scope::new("proxy control", Arc::clone(&world.clock));
    let traffic = Scope::on("proxy traffic", Arc::clone(&world.clock), traffic);
    let registered = super::proxy::resolve(&command.which, client).await?;
    let grpc = match command.grpc {
        Some(address) => address,
        None => grpc_address(client).await?,
    };
    info!(proxy = %registered.id, agent = %grpc, "attaching");
    let endpoint = Endpoint::from_shared(grpc.clone())
        .map_err(|error| Failure::input(format!("the agent's gRPC address {grpc:?} cannot be used: {error}")))?
        .connect_timeout(Duration::from_secs(5))
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20))
        .keep_alive_while_idle(true);
    let source = Arc::new(SnapshotClient::new(endpoint.connect_lazy()));
    let options = Options {
        target: ProxyTarget { node: None, proxy: registered.id.clone() },
        token: command.token,
        cut_denied: true,
        rotation_jitter: registered.rotation_jitter,
    };
    let proxy = Proxy::start(options, source, Arc::new(OsKeys), world.clone(), control.clone(), traffic)
        .map_err(|error| Failure::input(format!("TLS: {error}")))?;
    if let (Some(address), Some(handle)) = (command.metrics, metrics) {
        serve_metrics(address, handle, &control).await?;
    }
    if registered.temporary {
        keep_alive(client.clone(), registered.id.clone(), &world, &control);
    }
    let mut status = proxy.status();
    let ready_file = command.ready_file.clone();
    control.spawn("ready", async move {
        if status.wait_for(concord_proxy::ProxyStatus::is_ready).await.is_ok() {
            let status = status.borrow().clone();
            info!(public = status.public, "serving");
            if let Some(path) = ready_file {
                let bound = serde_json::json!({ "public": status.public, "upstreams": status.upstreams });
                super::agent::write_ready(&path, &bound);
            }
        }
    });
    signals.end().await;
    info!("stopping: listeners close, connections may finish; a second signal ends at once");
    let drained = tokio::select! {
        biased;
        report = proxy.drain() => Some(report),
        _ = signals.end() => None,
    };
    if registered.temporary
        && let Err(error) = client.agent_service_deregister(registered.id.as_str()).await
    {
        warn!(%error, "cannot deregister");
    }
    match drained {
        Some(report) if report.cut.is_empty() => {}
        Some(report) => info!(connections = report.cut.len(), "cut after the grace period"),
        None => warn!("ended at once"),
    }
    io.flush().map_err(Failure::Output)?;
    Ok(Exit::SUCCESS)
}
