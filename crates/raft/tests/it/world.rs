//! The test environments: a state machine that remembers everything, nodes, clusters.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use concord_raft::testing::Network;
use concord_raft::{
    ApplyHalt, Fatal, Node, NodeId, Parts, Raft, RaftConfig, RestoreError, SnapshotJob, StartError,
    StateMachine, Storage, Timings,
};
use concord_runtime::{Disk, MemoryDisk, Scope, World};
use parking_lot::Mutex;

/// What a node has applied, as seen from outside.
pub(crate) type History = Arc<Mutex<Vec<(u64, String)>>>;

/// Remembers every command with its index. The reply is the number of commands so far.
pub(crate) struct Recorder {
    pub(crate) history: History,
}

impl StateMachine for Recorder {
    type Reply = usize;

    fn apply(&mut self, index: u64, _: u64, command: &[u8]) -> Result<usize, ApplyHalt> {
        let text = String::from_utf8(command.to_vec()).map_err(|_| ApplyHalt {
            reason: "unknown command".to_owned(),
            remedy: "start a version that knows it".to_owned(),
        })?;
        assert_ne!(text, "panic", "on purpose");
        let mut history = self.history.lock();
        history.push((index, text));
        Ok(history.len())
    }

    fn begin_snapshot(&self) -> SnapshotJob {
        let history = self.history.lock().clone();
        Box::new(move || {
            let lines: Vec<String> =
                history.iter().map(|(index, text)| format!("{index} {text}\n")).collect();
            Ok(lines.concat().into_bytes())
        })
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError> {
        let bad = || RestoreError { reason: "not a history".to_owned() };
        let text = std::str::from_utf8(snapshot).map_err(|_| bad())?;
        let parse = |line: &str| {
            let (index, text) = line.split_once(' ')?;
            Some((index.parse().ok()?, text.to_owned()))
        };
        let history: Option<Vec<_>> = text.lines().map(parse).collect();
        *self.history.lock() = history.ok_or_else(bad)?;
        Ok(())
    }
}

/// A running node.
pub(crate) struct Server {
    pub(crate) raft: Raft<usize>,
    pub(crate) history: History,
    pub(crate) told: Arc<Mutex<Vec<Fatal>>>,
}

impl Server {
    pub(crate) async fn start(
        config: RaftConfig,
        storage: Storage,
        network: &Network,
        world: &World,
    ) -> Result<Self, StartError> {
        let history = History::default();
        let told = Arc::new(Mutex::new(Vec::new()));
        let hook = Arc::clone(&told);
        let id = config.id;
        let parts = Parts {
            storage,
            transport: network.end(id),
            machine: Recorder { history: Arc::clone(&history) },
            world: world.clone(),
            scope: Scope::new("test", Arc::clone(&world.clock)),
            on_fatal: Arc::new(move |fatal: &Fatal| hook.lock().push(fatal.clone())),
        };
        let raft = Raft::start(config, parts).await?;
        network.attach(id, &raft);
        Ok(Self { raft, history, told })
    }

    pub(crate) async fn write(&self, text: &str) -> u64 {
        self.raft.propose(Bytes::copy_from_slice(text.as_bytes())).await.expect("committed").index
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.history.lock().iter().map(|(_, text)| text.clone()).collect()
    }
}

pub(crate) fn node(id: NodeId) -> Node {
    Node { id: format!("uuid-{id}"), name: format!("s{id}"), address: format!("10.0.0.{id}:8300") }
}

pub(crate) fn config(id: NodeId) -> RaftConfig {
    let snapshot_interval = Duration::from_secs(1);
    let reserve_bytes = 256 * 1024;
    RaftConfig { timings: Timings::scaled(1), snapshot_interval, reserve_bytes, ..RaftConfig::new(id, "dc1") }
}

/// Three voters and their network, all on one seed.
pub(crate) struct Cluster {
    pub(crate) world: World,
    pub(crate) network: Network,
    pub(crate) servers: BTreeMap<NodeId, Server>,
    pub(crate) disks: BTreeMap<NodeId, MemoryDisk>,
    pub(crate) storage: Storage,
    pub(crate) tune: fn(&mut RaftConfig),
}

impl Cluster {
    pub(crate) async fn new(seed: u64, storage: Storage, tune: fn(&mut RaftConfig)) -> Self {
        let world = World::seeded(seed, 0);
        let network = Network::new(Arc::clone(&world.clock), Arc::clone(&world.entropy));
        let (servers, disks) = (BTreeMap::new(), BTreeMap::new());
        let mut cluster = Self { world, network, servers, disks, storage, tune };
        for id in 1..=3 {
            cluster.start(id).await;
        }
        let voters = (1..=3).map(|id| (id, node(id))).collect();
        cluster.servers[&1].raft.bootstrap(voters).await.expect("bootstraps");
        cluster
    }

    pub(crate) async fn start(&mut self, id: NodeId) {
        let disk = self.disks.entry(id).or_default().clone();
        let disk: Arc<dyn Disk> = Arc::new(disk);
        let mut config = config(id);
        config.inline_writes = true;
        (self.tune)(&mut config);
        let world = self.world.clone().with_disk(disk);
        let server = Server::start(config, self.storage, &self.network, &world).await.expect("starts");
        self.servers.insert(id, server);
    }

    /// Ends a node abruptly; with a disk, unflushed data is lost.
    pub(crate) async fn kill(&mut self, id: NodeId) {
        self.network.detach(id);
        self.disks[&id].crash();
        let server = self.servers.remove(&id).expect("a running node");
        server.raft.shutdown().await;
    }

    /// Waits until one node leads and a majority agrees.
    pub(crate) async fn leader(&self) -> NodeId {
        let give_up = self.world.clock.now() + Duration::from_secs(60);
        loop {
            let leads = |id: &&NodeId| self.servers[*id].raft.is_leader();
            let candidates: Vec<NodeId> = self.servers.keys().filter(leads).copied().collect();
            for id in candidates {
                if self.servers[&id].raft.read_barrier().await.is_ok() {
                    return id;
                }
            }
            assert!(
                self.world.clock.now() < give_up,
                "no leader: {:?}",
                self.servers.values().map(|s| s.raft.stats()).collect::<Vec<_>>()
            );
            self.world.clock.sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until all running nodes have applied the same.
    pub(crate) async fn settled(&self) -> Vec<(u64, String)> {
        let give_up = self.world.clock.now() + Duration::from_secs(120);
        loop {
            let leader = self.leader().await;
            let applied = self.servers[&leader].raft.stats().applied_index;
            if self.servers.values().all(|server| server.raft.stats().applied_index == applied) {
                let history = self.servers[&leader].history.lock().clone();
                for (id, server) in &self.servers {
                    assert_eq!(*server.history.lock(), history, "node {id} differs from leader {leader}");
                }
                return history;
            }
            assert!(
                self.world.clock.now() < give_up,
                "not settled: {:#?}",
                self.servers.values().map(|server| server.raft.stats()).collect::<Vec<_>>()
            );
            self.world.clock.sleep(Duration::from_millis(100)).await;
        }
    }
}
