//! Tests of reads without asking the others: a leader answers them only while no other server can lead.

use std::time::Duration;

use concord_raft::{NodeId, ReadError, Role, Storage};
use futures::FutureExt as _;

use crate::world::{Cluster, Server};

const SECOND: Duration = Duration::from_secs(1);

/// What a reader of this server gets, or the error.
async fn read(server: &Server) -> Result<Vec<String>, ReadError> {
    server.raft.leased(|| server.texts()).await
}

fn others(leader: NodeId) -> Vec<NodeId> {
    (1..=3).filter(|id| *id != leader).collect()
}

/// A cluster whose leader has a lease.
async fn led(seed: u64) -> (Cluster, NodeId) {
    let cluster = Cluster::new(seed, Storage::Disk, |_| {}).await;
    let leader = cluster.leader().await;
    cluster.servers[&leader].write("old").await;
    cluster.settled().await;
    assert!(cluster.servers[&leader].raft.has_lease());
    (cluster, leader)
}

#[tokio::test(start_paused = true)]
async fn n_152_a_leader_cut_off_serves_nothing_once_another_may_lead() {
    for seed in 300..310 {
        let (cluster, leader) = led(seed).await;
        let cut_off = &cluster.servers[&leader];
        cluster.network.partition(&[leader], &others(leader));
        let mut believed = 0;
        for _ in 0..2000 {
            let next = others(leader).into_iter().find(|id| cluster.servers[id].raft.is_leader());
            if let Some(next) = next
                && cluster.servers[&next].raft.read_barrier().await.is_ok()
            {
                cluster.servers[&next].write("new").await;
                believed += u32::from(cut_off.raft.is_leader());
                assert!(!cut_off.raft.has_lease(), "seed {seed}");
                let stale = read(cut_off).await;
                assert!(stale.is_err(), "seed {seed}: {stale:?}");
                break;
            }
            // As long as no other server leads, its state is the truth.
            if cut_off.raft.has_lease() {
                assert_eq!(read(cut_off).await, Ok(vec!["old".to_owned()]), "seed {seed}");
            }
            cluster.world.clock.sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(believed, 1, "seed {seed}: it must have believed to lead, or this shows nothing");
        cluster.network.heal();
        let leader = cluster.leader().await;
        assert_eq!(read(&cluster.servers[&leader]).await, Ok(vec!["old".to_owned(), "new".to_owned()]));
    }
}

#[tokio::test(start_paused = true)]
async fn n_152_who_was_stopped_while_reading_does_not_answer_with_what_was() {
    let (cluster, leader) = led(320).await;
    let stopped = &cluster.servers[&leader];
    cluster.network.partition(&[leader], &others(leader));
    assert!(stopped.raft.has_lease(), "at the beginning");
    let answer = stopped
        .raft
        .leased(|| {
            let found = stopped.texts();
            // Time passes while the state is read: nothing else of this process runs meanwhile.
            let _ = tokio::time::advance(10 * SECOND).now_or_never();
            found
        })
        .await;
    assert!(answer.is_err(), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn f_9_who_was_stopped_between_reading_and_answering_looks_again() {
    let (cluster, leader) = led(321).await;
    let stopped = &cluster.servers[&leader];
    cluster.network.partition(&[leader], &others(leader));
    // The state is read, and then the process is paused for as long as the others need to elect another leader.
    let found = stopped.texts();
    cluster.world.clock.sleep(10 * SECOND).await;
    let next = others(leader).into_iter().find(|id| cluster.servers[id].raft.is_leader()).expect("a leader");
    cluster.servers[&next].write("new").await;
    assert_eq!((found, stopped.raft.stats().role), (vec!["old".to_owned()], Role::Leader));
    assert!(!stopped.raft.has_lease(), "so what was read is not given out");
    let answer = stopped.raft.leased(|| ()).await;
    assert!(answer.is_err(), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn f_8_a_jump_of_the_clock_ends_a_lease() {
    let (cluster, leader) = led(330).await;
    let raft = &cluster.servers[&leader].raft;
    // Without sleeping, so no heartbeat is sent meanwhile.
    tokio::time::advance(SECOND).await;
    assert!(!raft.has_lease());
    // The others still follow, so asking them helps.
    assert!(read(&cluster.servers[&leader]).await.is_ok());
    assert!(raft.has_lease());
}

#[tokio::test(start_paused = true)]
async fn while_the_lease_holds_nobody_is_asked() {
    use concord_raft::RpcKind;
    let (cluster, leader) = led(340).await;
    let before = cluster.network.delivered(RpcKind::Append);
    for _ in 0..1000 {
        read(&cluster.servers[&leader]).await.expect("leads");
    }
    assert_eq!(cluster.network.delivered(RpcKind::Append), before);
}

#[tokio::test(start_paused = true)]
async fn who_hands_over_has_no_lease_left() {
    let (cluster, leader) = led(350).await;
    let raft = &cluster.servers[&leader].raft;
    assert!(raft.has_lease());
    let next = raft.transfer_leader(None).await.expect("handed over");
    assert!(!raft.has_lease() && next != leader);
    assert!(read(&cluster.servers[&leader]).await.is_err());
    // Also if nobody has taken over: the server that was asked may still become a candidate.
    let (cluster, leader) = led(351).await;
    cluster.network.partition(&[leader], &others(leader));
    let raft = &cluster.servers[&leader].raft;
    let (handed, lease) = futures::join!(raft.transfer_leader(None), async { raft.has_lease() });
    assert!(handed.is_err() && !lease);
}

#[tokio::test(start_paused = true)]
async fn n_153_a_voter_that_starts_again_keeps_its_promise_to_the_leader() {
    use concord_raft::RpcKind;
    // Two voters that have just answered the leader restart and cannot reach it. Without their promise, one of them
    // could be elected before the leader's lease is over.
    for seed in 360..370 {
        let (mut cluster, leader) = led(seed).await;
        for id in others(leader) {
            cluster.kill(id).await;
        }
        cluster.network.partition(&[leader], &others(leader));
        for id in others(leader) {
            cluster.start(id).await;
        }
        let begin = cluster.world.clock.now();
        let next = loop {
            let leads = |id: &NodeId| cluster.servers[id].raft.is_leader();
            if let Some(next) = others(leader).into_iter().find(leads) {
                break next;
            }
            cluster.world.clock.sleep(Duration::from_millis(5)).await;
        };
        let took = cluster.world.clock.now() - begin;
        let promised = cluster.servers[&next].raft.config().timings.election_max;
        assert!(took >= promised, "seed {seed}: {took:?}");
        assert!(took <= 4 * promised, "seed {seed}: {took:?}");
        assert!(!cluster.servers[&leader].raft.has_lease());
        assert!(cluster.network.delivered(RpcKind::Vote) > 0);
    }
}
