//! Tests of disks that fail and fill up: acknowledged data stays, and everything that can continue does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use concord_raft::testing::Network;
use concord_raft::{Fatal, ProposeError, RaftConfig, Storage, Timings};
use concord_runtime::{Disk as _, Fault, MemoryDisk, World};

use crate::world::{Cluster, Server, config, node};

const SECOND: Duration = Duration::from_secs(1);
const SNAPSHOTS: &str = "raft/snapshots";

/// One server in virtual time.
async fn start(disk: &MemoryDisk, tune: impl FnOnce(&mut RaftConfig)) -> (Server, World) {
    let world = World::seeded(1, 0).with_disk(Arc::new(disk.clone()));
    let network = Network::new(Arc::clone(&world.clock), Arc::clone(&world.entropy));
    let mut config = config(1);
    config.inline_writes = true;
    config.snapshot_threshold = 20;
    config.snapshot_trailing = 4;
    // A sole voter needs no heartbeats; with few of them, minutes of paused time pass quickly.
    config.timings = Timings {
        heartbeat: 20 * SECOND,
        election_min: 60 * SECOND,
        election_max: 90 * SECOND,
        lease: 30 * SECOND,
    };
    tune(&mut config);
    let server = Server::start(config, Storage::Disk, &network, &world).await.expect("starts");
    let _ = server.raft.bootstrap(BTreeMap::from([(1, node(1))])).await;
    server.raft.watch().wait_for(|stats| stats.is_leader()).await.expect("runs");
    server.raft.read_barrier().await.expect("ready");
    (server, world)
}

async fn write(server: &Server, count: usize) {
    for serial in 0..count {
        server.write(&format!("{serial:08}")).await;
    }
}

/// Waits in virtual time.
async fn until(world: &World, what: &str, mut is: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if is() {
            return;
        }
        world.clock.sleep(SECOND / 5).await;
    }
    panic!("waited in vain: {what}");
}

async fn check_snapshots_fail(fault: impl Fn(&MemoryDisk), what: &str) {
    let disk = MemoryDisk::new();
    let (server, world) = start(&disk, |_| {}).await;
    fault(&disk);
    write(&server, 30).await;
    until(&world, "the failure is told", || server.raft.stats().snapshot_failure.is_some()).await;
    let failure = server.raft.stats().snapshot_failure.expect("a failure");
    assert!(failure.reason.contains(SNAPSHOTS) && failure.reason.contains(what), "{failure:?}");
    // It leads, reads and writes as before, and tries again with growing pauses.
    for _ in 0..20 {
        write(&server, 5).await;
        server.raft.read_barrier().await.expect("leads");
        world.clock.sleep(30 * SECOND).await;
    }
    let failure = server.raft.stats().snapshot_failure.expect("it still fails");
    assert!((8..=26).contains(&failure.times), "{} attempts in ten minutes", failure.times);
    assert_eq!((server.raft.fatal(), server.raft.stats().snapshot_index), (None, 0));

    disk.mend();
    disk.set_full(false);
    until(&world, "a snapshot", || server.raft.stats().snapshot_index > 0).await;
    assert_eq!(server.raft.stats().snapshot_failure, None);
    let texts = server.texts();
    server.raft.shutdown().await;
    disk.crash();
    let (server, _) = start(&disk, |_| {}).await;
    assert_eq!(server.texts(), texts);
    server.raft.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn n_150_a_snapshot_that_cannot_be_written_is_tried_again_and_the_node_goes_on() {
    check_snapshots_fail(|disk| disk.fail(Fault::Write, SNAPSHOTS), "bad block").await;
}

#[tokio::test(start_paused = true)]
async fn n_150_a_snapshot_that_cannot_be_flushed_is_tried_again_and_the_node_goes_on() {
    check_snapshots_fail(|disk| disk.fail(Fault::Sync, SNAPSHOTS), "flush").await;
}

#[tokio::test(start_paused = true)]
async fn f_5_a_snapshot_that_cannot_be_read_is_replaced_by_the_older_one_and_the_log() {
    let disk = MemoryDisk::new();
    let (server, world) = start(&disk, |_| {}).await;
    for _ in 0..3 {
        write(&server, 30).await;
        world.clock.sleep(3 * SECOND).await;
    }
    let texts = server.texts();
    server.raft.shutdown().await;
    let names = disk.list(SNAPSHOTS).expect("a list");
    let [_, newest] = names.as_slice() else { panic!("two are kept: {names:?}") };
    disk.fail(Fault::Read, &format!("{SNAPSHOTS}/{newest}"));
    let (server, _) = start(&disk, |_| {}).await;
    assert_eq!(server.texts(), texts);
    server.raft.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn f_5_a_flush_that_always_fails_ends_every_life_and_loses_nothing_acknowledged() {
    let disk = MemoryDisk::new();
    let (server, _) = start(&disk, |_| {}).await;
    server.write("acknowledged").await;
    disk.fail(Fault::Sync, "raft/log");
    let error = server.raft.propose(Bytes::from_static(b"not")).await.expect_err("not durable");
    assert!(matches!(error, ProposeError::Fatal(Fatal::Flush { .. })), "{error}");
    server.raft.shutdown().await;
    disk.crash();
    let network = |world: &World| Network::new(Arc::clone(&world.clock), Arc::clone(&world.entropy));
    let world = World::seeded(2, 0).with_disk(Arc::new(disk.clone()));
    let again = Server::start(config(1), Storage::Disk, &network(&world), &world).await;
    if let Ok(server) = again {
        let stopped = server.raft.watch().wait_for(|stats| !stats.is_running).await.map(|_| ());
        stopped.expect("it cannot even vote");
        assert!(matches!(server.raft.fatal(), Some(Fatal::Flush { .. })));
        server.raft.shutdown().await;
    }
    disk.crash();
    disk.mend();
    let (server, _) = start(&disk, |_| {}).await;
    assert_eq!(server.texts(), ["acknowledged"]);
    server.raft.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_be_read_ends_the_process_and_is_not_served_around() {
    let mut cluster = Cluster::new(11, Storage::Disk, |config| config.snapshot_threshold = 10_000).await;
    let leader = cluster.leader().await;
    let late = (1..=3).find(|id| *id != leader).expect("a follower");
    cluster.kill(late).await;
    // More than fits into memory, so that the late follower needs the disk.
    for serial in 0..40 {
        let large = format!("{serial} {}", "x".repeat(600 * 1024));
        cluster.servers[&leader].write(&large).await;
    }
    cluster.disks[&leader].fail(Fault::Read, "raft/log");
    cluster.start(late).await;
    let told = Arc::clone(&cluster.servers[&leader].told);
    until(&cluster.world, "the process is told to end", || !told.lock().is_empty()).await;
    assert!(matches!(told.lock().as_slice(), [Fatal::Storage { .. }]), "{:?}", told.lock());
}

#[tokio::test(start_paused = true)]
async fn n_151_a_full_disk_means_read_only_until_there_is_space() {
    let disk = MemoryDisk::new();
    let (server, world) = start(&disk, |config| config.snapshot_threshold = 10_000).await;
    server.write("before").await;
    disk.set_full(true);
    let mut acknowledged = vec!["before".to_owned()];
    let refused = loop {
        let text = format!("filling {}", acknowledged.len());
        match server.raft.propose(Bytes::from(text.clone())).await {
            Ok(_) => acknowledged.push(text),
            Err(error) => break error,
        }
        assert!(acknowledged.len() < 10_000, "full at last");
    };
    let ProposeError::ReadOnly { reason } = &refused else { panic!("{refused}") };
    assert!(reason.contains("no space is left"), "{reason}");
    assert_eq!(server.raft.stats().read_only.as_deref(), Some(*reason));
    // Reads continue, and nothing has stopped.
    for _ in 0..10 {
        world.clock.sleep(60 * SECOND).await;
        server.raft.read_barrier().await.expect("leads");
        assert_eq!(server.raft.leased(|| server.texts()).await, Ok(acknowledged.clone()));
        assert!(matches!(
            server.raft.propose(Bytes::from_static(b"no")).await,
            Err(ProposeError::ReadOnly { .. })
        ));
    }
    // After a kill and a restart it has the same state.
    server.raft.shutdown().await;
    disk.crash();
    // Closing the log has made it shorter.
    disk.set_full(true);
    let (server, world) = start(&disk, |config| config.snapshot_threshold = 10_000).await;
    assert_eq!(server.texts(), acknowledged);
    assert!(matches!(
        server.raft.propose(Bytes::from_static(b"no")).await,
        Err(ProposeError::ReadOnly { .. })
    ));

    disk.set_full(false);
    until(&world, "space is noticed", || server.raft.stats().read_only.is_none()).await;
    server.write("after").await;
    acknowledged.push("after".to_owned());
    server.raft.shutdown().await;
    disk.crash();
    let (server, _) = start(&disk, |_| {}).await;
    assert_eq!(server.texts(), acknowledged, "all that was acknowledged, and nothing that was refused");
    server.raft.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn f_4_a_full_follower_is_late_and_catches_up() {
    let cluster = Cluster::new(12, Storage::Disk, |config| config.snapshot_threshold = 10_000).await;
    let leader = cluster.leader().await;
    let full = (1..=3).find(|id| *id != leader).expect("a follower");
    cluster.disks[&full].set_full(true);
    let mut serial = 0;
    while cluster.servers[&full].raft.stats().read_only.is_none() {
        cluster.servers[&leader].write(&serial.to_string()).await;
        serial += 1;
        assert!(serial < 10_000, "full at last");
    }
    for _ in 0..50 {
        cluster.servers[&leader].write(&serial.to_string()).await;
        serial += 1;
        cluster.world.clock.sleep(SECOND).await;
    }
    let term = cluster.servers[&leader].raft.term();
    let behind = cluster.servers[&full].raft.stats();
    assert!(behind.applied_index < cluster.servers[&leader].raft.stats().applied_index);
    assert!(behind.is_running && behind.leader.map(|leader| leader.id) == Some(leader));
    cluster.disks[&full].set_full(false);
    assert_eq!(cluster.settled().await.len(), serial);
    assert_eq!(cluster.servers[&leader].raft.term(), term, "nobody stood for election");
}

#[tokio::test(start_paused = true)]
async fn f_4_when_all_disks_are_full_all_is_refused_and_nothing_lost() {
    let cluster = Cluster::new(13, Storage::Disk, |config| config.snapshot_threshold = 10_000).await;
    let leader = cluster.leader().await;
    for disk in cluster.disks.values() {
        disk.set_full(true);
    }
    let mut acknowledged = 0;
    loop {
        match cluster.servers[&leader].raft.propose(Bytes::from(acknowledged.to_string())).await {
            Ok(_) => acknowledged += 1,
            Err(ProposeError::ReadOnly { .. }) => break,
            // The others may be full before this one.
            Err(ProposeError::Unknown { .. }) => break,
            Err(error) => panic!("{error}"),
        }
    }
    cluster.world.clock.sleep(60 * SECOND).await;
    for disk in cluster.disks.values() {
        disk.set_full(false);
    }
    let history = cluster.settled().await;
    let found: Vec<String> = history.into_iter().map(|(_, text)| text).collect();
    assert!(
        found.len() == acknowledged || found.len() == acknowledged + 1,
        "{} of {acknowledged}",
        found.len()
    );
    assert!(found.iter().enumerate().all(|(at, text)| *text == at.to_string()));
    assert!(cluster.servers.values().all(|server| server.told.lock().is_empty()));
}

#[tokio::test(start_paused = true)]
async fn f_7_one_slow_disk_holds_up_nobody() {
    fn third_is_slow(config: &mut RaftConfig) {
        if config.id == 3 {
            config.flush_delay = SECOND / 5;
        }
    }
    let (mut asked, mut led) = (0, 0);
    for seed in 400..404 {
        let cluster = Cluster::new(seed, Storage::Disk, third_is_slow).await;
        let leader = cluster.leader().await;
        led += 1;
        if leader == 3 {
            continue;
        }
        let term = cluster.servers[&leader].raft.term();
        for serial in 0..100 {
            let begin = cluster.world.clock.now();
            cluster.servers[&leader].write(&serial.to_string()).await;
            assert!(cluster.world.clock.now() - begin < SECOND / 20, "it waits for two, not for three");
            cluster.world.clock.sleep(SECOND / 4).await;
            asked += 1;
        }
        assert_eq!(cluster.settled().await.len(), 100);
        assert_eq!(cluster.servers[&leader].raft.term(), term);
    }
    assert!(asked >= 100, "{led} clusters, all led by the slow one");
}

#[tokio::test(start_paused = true)]
async fn f_7_a_slow_majority_is_slow_and_stable() {
    fn two_are_slow(config: &mut RaftConfig) {
        config.timings = Timings::scaled(5);
        if config.id != 1 {
            config.flush_delay = SECOND / 5;
        }
    }
    let cluster = Cluster::new(410, Storage::Disk, two_are_slow).await;
    let first = cluster.servers[&cluster.leader().await].raft.term();
    for serial in 0..600 {
        let leader = cluster.leader().await;
        cluster.servers[&leader].write(&serial.to_string()).await;
        cluster.world.clock.sleep(SECOND).await;
    }
    assert_eq!(cluster.settled().await.len(), 600);
    let last = cluster.servers[&cluster.leader().await].raft.term();
    assert!(last - first <= 1, "ten minutes took {} elections", last - first);
}

#[tokio::test(start_paused = true)]
async fn few_large_entries_make_a_snapshot_due_at_once() {
    let disk = MemoryDisk::new();
    let large = |config: &mut RaftConfig| {
        config.snapshot_threshold = 1_000_000;
        config.snapshot_interval = 3600 * SECOND;
        config.snapshot_log_bytes = 64 * 1024;
    };
    let (server, world) = start(&disk, large).await;
    let text = "x".repeat(10 * 1024);
    let mut written = 0;
    for round in 0..40 {
        server.write(&format!("{round} {text}")).await;
        written += text.len() as u64;
        world.clock.sleep(SECOND / 100).await;
    }
    let stats = server.raft.stats();
    assert!(stats.snapshot_index > 0);
    let snapshots = disk.list(SNAPSHOTS).expect("a list").len();
    assert_eq!(snapshots, 2, "after {written} bytes more than one was due");
    // Each snapshot is due after a quarter of the bytes of the one before, so what a start applies again stays in
    // proportion.
    let behind = stats.applied_index - stats.snapshot_index;
    assert!(behind * 10 * 1024 <= written / 3, "{behind} entries behind");
    server.raft.shutdown().await;
    let (server, _) = start(&disk, large).await;
    assert_eq!(server.texts().len(), 40);
    server.raft.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn when_snapshots_are_due_may_change_while_a_node_runs() {
    let never = |config: &mut RaftConfig| {
        config.snapshot_threshold = 1_000_000;
        config.snapshot_interval = 3600 * SECOND;
    };
    let (server, world) = start(&MemoryDisk::new(), never).await;
    write(&server, 30).await;
    world.clock.sleep(7300 * SECOND).await;
    assert_eq!(server.raft.stats().snapshot_index, 0);
    server.raft.plan_snapshots(20, 30 * SECOND);
    world.clock.sleep(61 * SECOND).await;
    assert!(server.raft.stats().snapshot_index > 0);
    server.raft.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn entries_make_a_snapshot_due_at_the_next_look() {
    let disk = MemoryDisk::new();
    let (server, world) = start(&disk, |config| config.snapshot_interval = 30 * SECOND).await;
    write(&server, 30).await;
    world.clock.sleep(29 * SECOND).await;
    assert_eq!(server.raft.stats().snapshot_index, 0);
    world.clock.sleep(32 * SECOND).await;
    assert!(server.raft.stats().snapshot_index > 0);
    assert_eq!(disk.list(SNAPSHOTS).expect("a list").len(), 1, "one is enough");
    server.raft.shutdown().await;
}
