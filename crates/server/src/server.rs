//! Starts and stops a server, and gives other crates access to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use concord_raft::{
    BootstrapError, Fatal, Node, NodeId, Parts, Raft, RaftConfig, Rpc, RpcReply, Storage, Transport,
    TransportError,
};
use concord_rpc::RpcError;
use concord_runtime::{BoxFuture, Scope, World};
use tokio::sync::watch;
use tracing::info;

use crate::ca::CaHost;
use crate::caller::Resolver;
use crate::certificate::{self, Names, Presented};
use crate::config::ServerConfig;
use crate::endpoint::LocalApi;
use crate::leader::clock_watch::ClockWatch;
use crate::leader::{self, Duties};
use crate::live::{Live, LiveSettings};
use crate::log::Log;
use crate::machine::Machine;
use crate::parts::Core;
use crate::router::Location;
use crate::studies::Studies;
use crate::turns::Turns;

#[cfg(test)]
mod tests;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log could not be opened or read.
    #[error("cannot start the log: {0}")]
    Raft(#[from] concord_raft::StartError),
    /// The log could not be given its first voter.
    #[error("cannot bootstrap the log: {0}")]
    Bootstrap(#[from] BootstrapError),
    /// An entry of the configuration file can never be written.
    #[error("config_entries.bootstrap: {0}")]
    Entries(RpcError),
}

/// A running server. Clones refer to the same server.
#[derive(Clone, Debug)]
pub struct Server {
    core: Arc<Core>,
}

/// A transport without peers: there is only one voter.
struct Alone;

impl Transport for Alone {
    fn call(
        &self,
        _: NodeId,
        node: &Node,
        _: Rpc,
        _: Duration,
    ) -> BoxFuture<'static, Result<RpcReply, TransportError>> {
        let text = format!("not available yet: servers talking to each other (asked for {})", node.name);
        Box::pin(async move { Err(TransportError::Unreachable(text)) })
    }
}

impl Server {
    /// The id of a node in the Raft log.
    pub fn raft_id(config: &ServerConfig) -> NodeId {
        Node::number(&config.node_id.to_string())
    }

    /// Starts a server: opens the log, replays it, and leads as soon as possible.
    ///
    /// A server without a log becomes the first voter of a new cluster.
    pub async fn start(
        config: ServerConfig,
        raft: RaftConfig,
        storage: Storage,
        world: World,
        scope: Scope,
        on_fatal: Arc<dyn Fn(&Fatal) + Send + Sync>,
    ) -> Result<Self, StartError> {
        leader::entries::check(&config.live.entries).map_err(StartError::Entries)?;
        let (machine, published) = Machine::new();
        let id = raft.id;
        let node = Node {
            id: config.node_id.to_string(),
            name: config.node.to_string(),
            address: host_port(&config.address, config.server_port),
        };
        let parts = Parts {
            storage,
            transport: Arc::new(Alone),
            machine,
            world: world.clone(),
            scope: scope.clone(),
            on_fatal,
        };
        let raft = Raft::start(raft, parts).await?;
        match raft.bootstrap(BTreeMap::from([(id, node)])).await {
            Ok(()) => info!("began a new cluster"),
            Err(BootstrapError::AlreadyBootstrapped) => {}
            Err(error) => {
                raft.shutdown().await;
                return Err(error.into());
            }
        }
        let core = Arc::new(Core {
            resolver: Resolver::new(config.acl, config.datacenter.clone()),
            turns: Turns::new(),
            studies: Studies::new(),
            ca: CaHost::new(),
            clock_watch: ClockWatch::default(),
            duties: Duties::new(),
            // There is only one datacenter so far, so it is the primary one.
            location: Location { own: config.datacenter.clone(), primary: config.datacenter.clone() },
            live: Live::new(config.live.clone()),
            config,
            log: Log::new(raft, published, world.clone()),
            world,
            scope: scope.child("server"),
        });
        core.scope.spawn("leader duties", leader::run(Arc::clone(&core)));
        core.scope.spawn("API gateways", leader::gateways::run(Arc::clone(&core)));
        core.scope.spawn("certificate authority", crate::ca::driver::run(Arc::clone(&core)));
        Ok(Self { core })
    }

    /// The interface that answers requests.
    pub fn api(&self) -> LocalApi {
        LocalApi::new(Arc::clone(&self.core))
    }

    /// Applies new settings. What could not be written is tried again while this server leads.
    pub async fn reload(&self, settings: LiveSettings) -> Result<(), RpcError> {
        leader::entries::check(&settings.entries)?;
        self.core.live.replace(settings);
        if self.core.duties.has_led() {
            leader::entries::ensure(&self.core).await?;
            leader::own_node::ensure(&self.core).await?;
        }
        Ok(())
    }

    /// Keeps a certificate of this server's own with these names. The receiver has the current one; there is none before
    /// the authority has signed the first, and none while the last one has expired. Without an authority there is never
    /// one.
    pub fn certificate(&self, names: Names) -> watch::Receiver<Option<Arc<Presented>>> {
        let (told, receiver) = watch::channel(None);
        if self.core.config.ca.enabled {
            let keeper = certificate::keep(Arc::clone(&self.core), names, told);
            self.core.scope.spawn("certificate of this server", keeper);
        }
        receiver
    }

    /// Changes how many entries lead to a snapshot, and how often this is checked.
    pub fn plan_snapshots(&self, entries: u64, interval: Duration) {
        self.core.log.plan_snapshots(entries, interval);
    }

    /// Completes when the server leads and a consistent read would succeed.
    pub async fn ready(&self) {
        self.core.duties.leading().await;
    }

    /// Stops: first refuses new work, then closes the log.
    pub async fn shutdown(&self, soft: Duration, hard: Duration) {
        self.core.log.published.hub.wake_all();
        self.core.scope.shutdown(soft, hard).await;
        self.core.log.close().await;
    }

    /// Number of waiting blocking queries.
    pub fn waiting(&self) -> u64 {
        self.core.log.published.hub.len()
    }
}

fn host_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
