//! `connect proxy`: attaches to the agent and carries connections until it is told to end.

mod registered;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use concord_ca::OsKeys;
use concord_client::{Address, Client, QueryOptions};
use concord_config::section::{Level, LogSection};
use concord_proxy::{Options, Proxy, ProxyStatus};
use concord_rpc::ProxyTarget;
use concord_rpc::grpc::SnapshotClient;
use concord_runtime::{Executor, Scope, World};
use tonic::transport::Endpoint;
use tracing::{info, warn};

use self::registered::Registered;
use super::signals::Signals;
use super::telemetry;
use crate::cli::http;
use crate::cli::{Exit, Failure, Invocation, Io, Outcome};

/// Spread of re-issues after a change of the root; in development mode nobody waits long (D26).
const ROTATION_JITTER: (Duration, Duration) = (Duration::from_secs(30), Duration::from_millis(500));

/// Runs until a signal ends it.
pub(crate) fn run(call: &Invocation<'_>, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let values = &call.values;
    let level = Level::parse(values.text("log-level"));
    let level = level.ok_or_else(|| call.usage("-log-level: use trace, debug, info, warn or error"))?;
    telemetry::start_logs(LogSection { level, json: values.switch("log-json") });
    let control = executor("concord-control", 1)?;
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let traffic = executor("concord-traffic", threads)?;
    let handle = traffic.handle();
    let outcome = control.block_on(serve(call, io, handle));
    traffic.shutdown_background();
    control.shutdown_background();
    outcome
}

fn executor(name: &str, threads: usize) -> Result<Executor, Failure> {
    Executor::new(name, threads).map_err(|error| Failure::system("start threads", error))
}

async fn serve(call: &Invocation<'_>, io: &mut Io, traffic: tokio::runtime::Handle) -> Outcome {
    let mut signals = Signals::listen().map_err(|error| Failure::system("listen to signals", error))?;
    let world = World::tokio();
    let control = Scope::new("proxy control", Arc::clone(&world.clock));
    let traffic = Scope::on("proxy traffic", Arc::clone(&world.clock), traffic);
    let client = http::client(&call.values, call.env, &control)?;
    let metrics = metrics_address(call)?;
    if let Some(address) = metrics
        && let Some(handle) = telemetry::start_metrics()
    {
        telemetry::serve_metrics(address, handle, &control)
            .await
            .map_err(|error| Failure::system(format!("listen at {address}"), error))?;
    }
    let registered = tokio::select! {
        biased;
        _ = signals.end() => return Ok(Exit::SUCCESS),
        registered = Registered::find(call, &client, &world) => registered?,
    };
    let (grpc, dev) = agent(call, &client).await?;
    info!(proxy = %registered.id, agent = %grpc, "attaching");
    let source = Arc::new(SnapshotClient::new(endpoint(&grpc)?.connect_lazy()));
    let options = Options {
        target: ProxyTarget { node: None, proxy: registered.id.clone() },
        token: http::config(&call.values, call.env)?.token,
        cut_denied: !call.values.switch("keep-denied"),
        rotation_jitter: call.values.duration("rotation-jitter").unwrap_or(if dev {
            ROTATION_JITTER.1
        } else {
            ROTATION_JITTER.0
        }),
    };
    let proxy = Proxy::start(options, source, Arc::new(OsKeys), world.clone(), control.clone(), traffic)
        .map_err(|error| Failure::input(format!("TLS: {error}")))?;
    registered.keep_alive(&client, &world, &control);
    announce(&proxy, call.values.text("ready-file").to_owned(), &control);
    signals.end().await;
    info!("stopping: listeners close, open connections may finish; a second signal ends at once");
    registered.deregister(&client).await;
    tokio::select! {
        biased;
        report = proxy.drain() => info!(cut = report.cut.len(), "stopped"),
        _ = signals.end() => warn!("ended at once"),
    }
    io.flush().map_err(Failure::Output)?;
    Ok(Exit::SUCCESS)
}

fn metrics_address(call: &Invocation<'_>) -> Result<Option<SocketAddr>, Failure> {
    match call.values.text("metrics-addr") {
        "" => Ok(None),
        text => text
            .parse()
            .map(Some)
            .map_err(|_| call.usage("-metrics-addr: expected address:port, such as 127.0.0.1:20200")),
    }
}

/// Where the agent takes proxies, and whether it runs for development.
async fn agent(call: &Invocation<'_>, client: &Client) -> Result<(String, bool), Failure> {
    let answer = client.agent_self(&QueryOptions::default()).await;
    let about = answer.map_err(Failure::api("ask the agent about itself"))?.value;
    let dev = about.debug_config.get("DevMode").and_then(serde_json::Value::as_bool).unwrap_or(false);
    if let Some(found) = call.env.product("GRPC_ADDR") {
        return Ok((found.value.to_owned(), dev));
    }
    let port = about.xds.as_ref().map_or(0, |xds| xds.ports.plaintext);
    let port = u16::try_from(port).ok().filter(|port| *port > 0).ok_or_else(|| {
        Failure::input("the agent does not take proxies: its gRPC port is off; set ports.grpc (8502 is usual) and restart it")
    })?;
    let host = match client.address() {
        Address::Http { host, .. } | Address::Https { host, .. } => host.clone(),
        Address::Unix(_) => "127.0.0.1".to_owned(),
    };
    Ok((if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }, dev))
}

fn endpoint(address: &str) -> Result<Endpoint, Failure> {
    let uri = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let endpoint = Endpoint::from_shared(uri);
    let endpoint = endpoint.map_err(|error| Failure::input(format!("gRPC address {address:?}: {error}")))?;
    Ok(endpoint
        .connect_timeout(Duration::from_secs(5))
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20))
        .keep_alive_while_idle(true))
}

/// Says once that the proxy serves, and writes where to the ready file.
fn announce(proxy: &Proxy, ready_file: String, control: &Scope) {
    let mut status = proxy.status();
    control.spawn("ready", async move {
        if status.wait_for(ProxyStatus::is_ready).await.is_err() {
            return;
        }
        let status = status.borrow().clone();
        info!(public = status.public, "serving");
        if !ready_file.is_empty() {
            let bound = serde_json::json!({ "public": status.public, "upstreams": status.upstreams });
            super::ready::write(std::path::Path::new(&ready_file), &bound);
        }
    });
}
