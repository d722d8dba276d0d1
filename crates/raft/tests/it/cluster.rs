//! Three voters on an unreliable network, in virtual time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use concord_raft::testing::Network;
use concord_raft::{
    CatchUp, ChangeError, HandleError, NodeId, ProposeError, Raft, RaftConfig, ReadError, Role, Rpc, RpcKind,
    Storage,
};
use concord_runtime::{Scope, World};
use parking_lot::Mutex;

use crate::world::{Cluster, Server, config, node};

const SECOND: Duration = Duration::from_secs(1);

fn plain(_: &mut RaftConfig) {}

fn small_snapshots(config: &mut RaftConfig) {
    config.snapshot_threshold = 40;
    config.snapshot_interval = Duration::from_millis(50);
    config.snapshot_trailing = 10;
}

#[tokio::test(start_paused = true)]
async fn three_voters_agree() {
    let cluster = Cluster::new(1, Storage::Memory, plain).await;
    let leader = cluster.leader().await;
    let index = cluster.servers[&leader].write("a").await;
    let history = cluster.settled().await;
    assert_eq!(history, [(index, "a".to_owned())]);
    for (id, server) in &cluster.servers {
        let stats = server.raft.stats();
        assert_eq!(stats.leader.map(|l| l.id), Some(leader));
        assert_eq!(stats.voters.len(), 3);
        assert_eq!(stats.followers.len(), if *id == leader { 2 } else { 0 });
        if *id != leader {
            let redirect = server.raft.propose(Bytes::from_static(b"b")).await.expect_err("not the leader");
            let ProposeError::NotLeader { leader: Some(to) } = redirect else { panic!("{redirect}") };
            assert_eq!((to.id, to.node), (leader, node(leader)));
            assert!(matches!(
                server.raft.read_barrier().await,
                Err(ReadError::NotLeader { leader: Some(_) })
            ));
            let contact = stats.last_leader_contact.expect("heard of the leader");
            assert!(cluster.world.clock.now() - contact < SECOND);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_leader_is_replaced_in_time() {
    let mut cluster = Cluster::new(2, Storage::Disk, plain).await;
    for round in 0..10 {
        let leader = cluster.leader().await;
        cluster.servers[&leader].write(&format!("before {round}")).await;
        let died = cluster.world.clock.now();
        cluster.kill(leader).await;
        let next = cluster.leader().await;
        cluster.servers[&next].write(&format!("after {round}")).await;
        let outage = cluster.world.clock.now() - died;
        assert!(outage <= 4 * SECOND, "round {round}: {outage:?}");
        cluster.start(leader).await;
    }
    assert_eq!(cluster.settled().await.len(), 20);
}

#[tokio::test(start_paused = true)]
async fn leader_kills_lose_duplicate_and_reorder_nothing() {
    for seed in 0..3 {
        let mut cluster = Cluster::new(seed, Storage::Disk, small_snapshots).await;
        cluster.leader().await;
        let clients = Clients::start(&cluster, 4);
        for _ in 0..6 {
            let pause = Duration::from_millis(200) + cluster.world.entropy.jitter(3 * SECOND);
            cluster.world.clock.sleep(pause).await;
            let leader = cluster.leader().await;
            cluster.kill(leader).await;
            clients.forget(leader);
            cluster.world.clock.sleep(cluster.world.entropy.jitter(4 * SECOND)).await;
            cluster.start(leader).await;
            clients.know(leader, &cluster.servers[&leader].raft);
        }
        clients.check(&cluster, seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn partitions_losses_and_delays_lose_duplicate_and_reorder_nothing() {
    for seed in 100..103 {
        let cluster = Cluster::new(seed, Storage::Memory, small_snapshots).await;
        cluster.leader().await;
        let clients = Clients::start(&cluster, 4);
        for _ in 0..8 {
            let entropy = &cluster.world.entropy;
            let odd = entropy.below(3) + 1;
            let others: Vec<NodeId> = (1..=3).filter(|id| *id != odd).collect();
            match entropy.below(4) {
                0 => cluster.network.partition(&[odd], &others),
                1 => cluster.network.cut(odd, others[0]),
                2 => cluster.network.disturb(20, Duration::from_millis(80)),
                _ => cluster.network.disturb(5, Duration::from_millis(300)),
            }
            cluster.world.clock.sleep(entropy.jitter(6 * SECOND)).await;
            if entropy.below(2) == 0 {
                cluster.network.heal();
                cluster.world.clock.sleep(entropy.jitter(2 * SECOND)).await;
            }
        }
        cluster.network.heal();
        clients.check(&cluster, seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_follower_behind_the_purged_log_catches_up_by_snapshot() {
    for storage in [Storage::Memory, Storage::Disk] {
        let cluster = Cluster::new(3, storage, small_snapshots).await;
        let leader = cluster.leader().await;
        let late = (1..=3).find(|id| *id != leader).expect("a follower");
        let others: Vec<NodeId> = (1..=3).filter(|id| *id != late).collect();
        cluster.network.partition(&[late], &others);
        for serial in 0..200 {
            cluster.servers[&leader].write(&serial.to_string()).await;
        }
        assert_eq!(cluster.network.delivered(RpcKind::Snapshot), 0);
        cluster.network.heal();
        assert_eq!(cluster.settled().await.len(), 200);
        assert!(cluster.network.delivered(RpcKind::Snapshot) > 0, "it was the snapshot that helped");
        assert!(cluster.servers[&late].raft.stats().snapshot_index > 150);
    }
}

#[tokio::test(start_paused = true)]
async fn leadership_is_handed_over() {
    let cluster = Cluster::new(4, Storage::Memory, plain).await;
    let first = cluster.leader().await;
    let term = cluster.servers[&first].raft.term();
    cluster.servers[&first].write("a").await;
    let target = (1..=3).find(|id| *id != first).expect("a follower");
    let before = cluster.world.clock.now();
    assert_eq!(cluster.servers[&first].raft.transfer_leader(Some(target)).await, Ok(target));
    assert_eq!(cluster.leader().await, target);
    assert!(cluster.world.clock.now() - before < SECOND, "without waiting for an election");
    assert_eq!(cluster.servers[&target].raft.term(), term + 1);
    cluster.servers[&target].write("b").await;

    let refused = cluster.servers[&first].raft.transfer_leader(None).await;
    assert!(matches!(refused, Err(ChangeError::NotLeader { leader: Some(_) })), "{refused:?}");
    let unknown = cluster.servers[&target].raft.transfer_leader(Some(9)).await;
    assert_eq!(unknown, Err(ChangeError::WrongRole { id: 9, wanted: "voter" }));
    let third = cluster.servers[&target].raft.transfer_leader(None).await.expect("somebody takes over");
    assert_ne!(third, target);
    cluster.servers[&cluster.leader().await].write("c").await;
    assert_eq!(cluster.settled().await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_partitioned_minority_does_not_raise_the_term() {
    let cluster = Cluster::new(5, Storage::Memory, plain).await;
    let leader = cluster.leader().await;
    cluster.servers[&leader].write("a").await;
    cluster.settled().await;
    let term = cluster.servers[&leader].raft.term();
    let lonely = (1..=3).find(|id| *id != leader).expect("a follower");
    let others: Vec<NodeId> = (1..=3).filter(|id| *id != lonely).collect();
    for _ in 0..3 {
        cluster.network.partition(&[lonely], &others);
        cluster.world.clock.sleep(20 * SECOND).await;
        assert_eq!(cluster.servers[&lonely].raft.term(), term, "it asks before it stands");
        cluster.network.heal();
        cluster.world.clock.sleep(10 * SECOND).await;
        assert_eq!(cluster.leader().await, leader);
    }
    // In one direction only: it receives nothing, but its vote requests arrive and are refused.
    cluster.network.cut(leader, lonely);
    cluster.world.clock.sleep(20 * SECOND).await;
    assert!(cluster.network.delivered(RpcKind::PreVote) > 0);
    assert_eq!((cluster.leader().await, cluster.servers[&leader].raft.term()), (leader, term));
}

#[tokio::test(start_paused = true)]
async fn an_isolated_leader_serves_neither_reads_nor_writes() {
    fn two_proposals(config: &mut RaftConfig) {
        config.proposals_max = 2;
    }
    let cluster = Cluster::new(6, Storage::Memory, two_proposals).await;
    let leader = cluster.leader().await;
    let raft = &cluster.servers[&leader].raft;
    let others: Vec<NodeId> = (1..=3).filter(|id| *id != leader).collect();
    cluster.network.partition(&[leader], &others);

    let before = cluster.world.clock.now();
    let read = raft.read_barrier().await.expect_err("no majority");
    assert!(matches!(read, ReadError::Timeout | ReadError::NotLeader { .. }), "{read}");
    assert!(cluster.world.clock.now() - before <= 2 * SECOND);
    cluster.network.heal();
    let leader = cluster.leader().await;
    let raft = &cluster.servers[&leader].raft;
    let others: Vec<NodeId> = (1..=3).filter(|id| *id != leader).collect();
    cluster.network.partition(&[leader], &others);

    let propose = || raft.propose(Bytes::from_static(b"x"));
    let (first, second, third) = futures::join!(propose(), propose(), propose());
    assert!(matches!(first, Err(ProposeError::Unknown { .. })), "{first:?}");
    assert!(matches!(second, Err(ProposeError::Unknown { .. })), "{second:?}");
    assert_eq!(third, Err(ProposeError::Busy));
    // Its lease is over by now, so it does not even write.
    assert!(matches!(propose().await, Err(ProposeError::NotLeader { .. })));
}

#[tokio::test(start_paused = true)]
async fn servers_come_and_go() {
    let mut cluster = Cluster::new(7, Storage::Memory, small_snapshots).await;
    let leader = cluster.leader().await;
    for serial in 0..60 {
        cluster.servers[&leader].write(&serial.to_string()).await;
    }
    cluster.start(4).await;
    let raft = cluster.servers[&leader].raft.clone();
    raft.add_learner(4, node(4), CatchUp::Wait).await.expect("added");
    assert_eq!(raft.stats().learners.len(), 1);
    assert_eq!(cluster.servers[&4].raft.stats().role, Role::Learner);
    raft.promote(4).await.expect("promoted");
    assert_eq!(raft.promote(4).await, Err(ChangeError::WrongRole { id: 4, wanted: "learner" }));
    let mut moved = node(4);
    moved.address = "10.0.0.44:8300".to_owned();
    raft.update_node(4, moved.clone()).await.expect("updated");
    assert_eq!(cluster.settled().await.len(), 60);
    let stats = cluster.servers[&4].raft.stats();
    assert!(stats.voters.iter().any(|voter| voter.id == 4 && voter.node == moved), "{:?}", stats.voters);

    // A leader that is removed transfers the leadership.
    raft.remove(leader).await.expect("removed");
    cluster.world.clock.sleep(10 * SECOND).await;
    let gone = cluster.servers.remove(&leader).expect("a server");
    assert!(!gone.raft.is_leader());
    cluster.network.detach(leader);
    let next = cluster.leader().await;
    let voters: Vec<NodeId> =
        cluster.servers[&next].raft.stats().voters.iter().map(|voter| voter.id).collect();
    assert_eq!(voters, (1..=4).filter(|id| *id != leader).collect::<Vec<_>>());
    cluster.servers[&next].write("after").await;
    assert_eq!(cluster.settled().await.len(), 61);
    gone.raft.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_half_done_change_is_finished_by_the_next_leader() {
    let mut interrupted = 0;
    for millis in (0..200).step_by(20) {
        let mut cluster = Cluster::new(200 + millis, Storage::Disk, plain).await;
        let leader = cluster.leader().await;
        cluster.start(4).await;
        let raft = cluster.servers[&leader].raft.clone();
        raft.add_learner(4, node(4), CatchUp::Wait).await.expect("added");
        cluster.network.disturb(0, Duration::from_millis(60));
        let scope = Scope::new("change", Arc::clone(&cluster.world.clock));
        let change = scope.spawn("promote", async move { raft.promote(4).await });
        cluster.world.clock.sleep(Duration::from_millis(millis)).await;
        cluster.kill(leader).await;
        cluster.network.heal();
        let outcome = change.join().await.expect("no panic");
        let next = cluster.leader().await;
        let mut stats = cluster.servers[&next].raft.watch();
        let settled = stats.wait_for(|stats| !stats.changing);
        let settled = concord_runtime::timeout(&*cluster.world.clock, 30 * SECOND, settled).await;
        let voters = settled.expect("finished in time").expect("runs").voters.len();
        assert!(voters == 3 || voters == 4);
        match outcome {
            Ok(()) => assert_eq!(voters, 4),
            Err(_) => interrupted += 1,
        }
        cluster.servers[&next].write("works").await;
    }
    assert!(interrupted > 0, "no change was interrupted");
}

#[tokio::test(start_paused = true)]
async fn a_message_of_another_cluster_is_refused() {
    let world = World::seeded(1, 0);
    let network = Network::new(Arc::clone(&world.clock), Arc::clone(&world.entropy));
    let ours = Server::start(config(1), Storage::Memory, &network, &world).await.expect("starts");
    let theirs = RaftConfig { cluster: "dc2".to_owned(), ..config(2) };
    let theirs = Server::start(theirs, Storage::Memory, &network, &world).await.expect("starts");
    let voters = BTreeMap::from([(1, node(1)), (2, node(2))]);
    theirs.raft.bootstrap(voters).await.expect("bootstraps");
    world.clock.sleep(30 * SECOND).await;
    assert!(!theirs.raft.is_leader(), "it got no vote from us");
    assert_eq!((ours.raft.term(), ours.raft.stats().voters.len()), (0, 0));
    let rpc = captured(&theirs).await;
    let refused = ours.raft.handle(rpc).await.expect_err("another cluster's");
    assert_eq!(refused, HandleError::WrongCluster { found: "dc2".to_owned(), expected: "dc1".to_owned() });
}

/// A message of that server, as its peers would receive it.
async fn captured(server: &Server) -> Rpc {
    let world = World::seeded(9, 0);
    let network = Network::new(Arc::clone(&world.clock), Arc::clone(&world.entropy));
    let seen: Arc<Mutex<Option<Rpc>>> = Arc::default();
    let keep = Arc::clone(&seen);
    network.attach_handler(1, Arc::new(move |rpc| *keep.lock() = Some(rpc)));
    let config = RaftConfig { cluster: server.raft.config().cluster.clone(), ..config(2) };
    let peer = Server::start(config, Storage::Memory, &network, &world).await.expect("starts");
    peer.raft.bootstrap(BTreeMap::from([(1, node(1)), (2, node(2))])).await.expect("bootstraps");
    world.clock.sleep(30 * SECOND).await;
    let rpc = seen.lock().take();
    rpc.expect("it asked for a vote")
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_is_taken_on_request() {
    let cluster = Cluster::new(8, Storage::Disk, plain).await;
    let leader = cluster.leader().await;
    let raft = &cluster.servers[&leader].raft;
    let index = cluster.servers[&leader].write("a").await;
    assert_eq!(raft.stats().snapshot_index, 0);
    assert_eq!(raft.snapshot(10 * SECOND).await, Ok(index));
}

#[test]
fn a_seed_is_a_history() {
    let run = |seed| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.expect("a runtime").block_on(async move {
            let cluster = Cluster::new(seed, Storage::Memory, plain).await;
            let start = cluster.world.clock.now();
            let mut leaders = Vec::new();
            for _ in 0..5 {
                let leader = cluster.leader().await;
                let others: Vec<NodeId> = (1..=3).filter(|id| *id != leader).collect();
                leaders.push((leader, cluster.world.clock.now() - start));
                cluster.network.partition(&[leader], &others);
                cluster.world.clock.sleep(5 * SECOND).await;
                cluster.network.heal();
            }
            leaders
        })
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

/// Clients that write unique serial numbers one after the other, and an oracle that knows what was acknowledged to
/// them.
struct Clients {
    scope: Scope,
    known: Arc<Mutex<BTreeMap<NodeId, Raft<usize>>>>,
    promises: Arc<Mutex<Promises>>,
}

#[derive(Default)]
struct Promises {
    acknowledged: Vec<(u64, String)>,
    refused: Vec<String>,
    unknown: usize,
}

impl Clients {
    fn start(cluster: &Cluster, count: usize) -> Self {
        let known = cluster.servers.iter().map(|(id, server)| (*id, server.raft.clone())).collect();
        let scope = Scope::new("clients", Arc::clone(&cluster.world.clock));
        let clients = Self { scope, known: Arc::new(Mutex::new(known)), promises: Arc::default() };
        for client in 0..count {
            let (scope, known) = (clients.scope.clone(), Arc::clone(&clients.known));
            let (promises, world) = (Arc::clone(&clients.promises), cluster.world.clone());
            clients.scope.spawn("client", async move {
                let mut serial = 0;
                while !scope.is_cancelled() {
                    let pick = world.entropy.below(3) + 1;
                    let leads = known.lock().values().find(|raft| raft.is_leader()).cloned();
                    let raft = leads.or_else(|| known.lock().get(&pick).cloned());
                    world
                        .clock
                        .sleep(Duration::from_millis(20) + world.entropy.jitter(Duration::from_millis(200)))
                        .await;
                    let Some(raft) = raft else { continue };
                    serial += 1;
                    let text = format!("{client}-{serial:06}");
                    let outcome = raft.propose(Bytes::from(text.clone())).await;
                    let mut promises = promises.lock();
                    match outcome {
                        Ok(committed) => promises.acknowledged.push((committed.index, text)),
                        Err(
                            ProposeError::NotLeader { .. }
                            | ProposeError::Busy
                            | ProposeError::ReadOnly { .. },
                        ) => promises.refused.push(text),
                        Err(
                            ProposeError::Unknown { .. } | ProposeError::Shutdown | ProposeError::Fatal(_),
                        ) => {
                            promises.unknown += 1;
                        }
                        Err(error @ ProposeError::TooLarge { .. }) => panic!("{error}"),
                    }
                }
            });
        }
        clients
    }

    fn forget(&self, id: NodeId) {
        self.known.lock().remove(&id);
    }

    fn know(&self, id: NodeId, raft: &Raft<usize>) {
        self.known.lock().insert(id, raft.clone());
    }

    /// Stops the clients and compares the state of every server with what was acknowledged.
    async fn check(self, cluster: &Cluster, seed: u64) {
        self.scope.shutdown(120 * SECOND, SECOND).await;
        assert_eq!(self.scope.panics(), 0);
        let history = cluster.settled().await;
        let promises = self.promises.lock();
        assert!(promises.acknowledged.len() > 50, "seed {seed}: only {} writes", promises.acknowledged.len());

        let mut at: BTreeMap<&str, u64> = BTreeMap::new();
        let mut last: BTreeMap<&str, &str> = BTreeMap::new();
        for (index, text) in &history {
            assert_eq!(at.insert(text, *index), None, "seed {seed}: {text} is there twice");
            let (client, serial) = text.split_once('-').expect("a serial");
            let before = last.insert(client, serial);
            assert!(before.is_none_or(|before| before < serial), "seed {seed}: {text} after {before:?}");
        }
        for (index, text) in &promises.acknowledged {
            assert_eq!(
                at.get(text.as_str()),
                Some(index),
                "seed {seed}: {text} was acknowledged and is lost"
            );
        }
        for text in &promises.refused {
            assert_eq!(at.get(text.as_str()), None, "seed {seed}: {text} was refused and is there");
        }
        let written = promises.acknowledged.len() + promises.unknown;
        assert!(history.len() <= written, "seed {seed}: something nobody wrote");
    }
}
