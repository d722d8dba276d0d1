//! Tests of power cuts and damaged disks: acknowledged data stays, and damaged data is never trusted.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use concord_raft::testing::Network;
use concord_raft::{Fatal, ProposeError, RaftConfig, StartError, Storage};
use concord_runtime::{Disk as _, Entropy as _, MemoryDisk, SeededEntropy, World};

use crate::world::{Server, config, node};

async fn start(disk: &MemoryDisk, tune: impl FnOnce(&mut RaftConfig)) -> Result<Server, StartError> {
    let world = World::tokio().with_disk(Arc::new(disk.clone()));
    let network = Network::new(Arc::clone(&world.clock), Arc::clone(&world.entropy));
    let mut config = config(1);
    config.snapshot_threshold = 20;
    config.snapshot_interval = std::time::Duration::from_millis(5);
    config.snapshot_trailing = 4;
    tune(&mut config);
    let server = Server::start(config, Storage::Disk, &network, &world).await?;
    let _ = server.raft.bootstrap(BTreeMap::from([(1, node(1))])).await;
    Ok(server)
}

async fn ready(server: &Server) {
    server.raft.watch().wait_for(|stats| stats.is_leader() || !stats.is_running).await.expect("published");
    server.raft.read_barrier().await.expect("ready");
}

/// Cuts the power at random points over several lives. In each life, what earlier ones acknowledged must exist.
async fn check_power_cuts(seed: u64) {
    let entropy = SeededEntropy::new(seed);
    let disk = MemoryDisk::new();
    let mut acknowledged: Vec<(u64, String)> = Vec::new();
    let mut serial = 0;
    for life in 0..5 {
        let server = start(&disk, |config| config.inline_writes = seed.is_multiple_of(2)).await;
        let server = server.unwrap_or_else(|error| panic!("seed {seed}, life {life}: {error}"));
        ready(&server).await;
        let history = server.history.lock().clone();
        for promised in &acknowledged {
            let found = history.iter().filter(|entry| entry.1 == promised.1).collect::<Vec<_>>();
            assert_eq!(found, [promised], "seed {seed}, life {life}");
        }
        assert!(history.is_sorted_by(|a, b| a < b), "seed {seed}, life {life}: reordered");
        assert!(history.len() <= serial, "seed {seed}, life {life}: something nobody wrote");

        disk.cut_power_after(1 + entropy.below(400));
        loop {
            serial += 1;
            let text = format!("{serial:06}");
            match server.raft.propose(Bytes::from(text.clone())).await {
                Ok(committed) => acknowledged.push((committed.index, text)),
                Err(ProposeError::Fatal(_)) => break,
                Err(error) => panic!("seed {seed}: {error}"),
            }
        }
        assert_eq!(server.told.lock().len(), 1, "the hook is told once");
        if entropy.below(3) == 0 {
            disk.crash()
        } else {
            disk.crash_torn(&entropy)
        }
        server.raft.shutdown().await;
    }
    assert!(!acknowledged.is_empty());
}

#[tokio::test]
async fn acknowledged_writes_survive_power_cuts_at_any_point() {
    for seed in 0..30 {
        check_power_cuts(seed).await;
    }
}

#[tokio::test]
async fn a_clean_restart_keeps_everything_and_is_ready_at_once() {
    let disk = MemoryDisk::new();
    let server = start(&disk, |_| {}).await.expect("starts");
    ready(&server).await;
    let mut last = 0;
    for serial in 0..70 {
        last = server.write(&serial.to_string()).await;
    }
    let (texts, term) = (server.texts(), server.raft.term());
    server.raft.shutdown().await;

    let server = start(&disk, |_| {}).await.expect("starts again");
    ready(&server).await;
    assert_eq!(server.texts(), texts);
    assert!(server.raft.term() > term, "a new leader, even if it is the same server");
    assert!(server.write("next").await > last);
    server.raft.shutdown().await;
}

fn snapshots(disk: &MemoryDisk) -> Vec<String> {
    let names = disk.list("raft/snapshots").expect("list");
    names.into_iter().map(|name| format!("raft/snapshots/{name}")).collect()
}

/// A node that has written enough for two snapshots and purged the log before them.
async fn grown(disk: &MemoryDisk) -> Vec<String> {
    let server = start(disk, |_| {}).await.expect("starts");
    ready(&server).await;
    for serial in 0..100 {
        server.write(&serial.to_string()).await;
        if serial % 25 == 24 {
            server.raft.snapshot(std::time::Duration::from_secs(10)).await.expect("a snapshot");
        }
    }
    let texts = server.texts();
    server.raft.shutdown().await;
    assert_eq!(snapshots(disk).len(), 2);
    texts
}

#[tokio::test]
async fn n_114_a_damaged_snapshot_is_replaced_by_the_older_one_and_the_log() {
    let disk = MemoryDisk::new();
    let texts = grown(&disk).await;
    let newest = snapshots(&disk).pop().expect("two");
    disk.flip_byte(&newest, 100);
    let server = start(&disk, |_| {}).await.expect("starts from the older one");
    ready(&server).await;
    assert_eq!(server.texts(), texts);
    server.raft.shutdown().await;
}

#[tokio::test]
async fn n_114_without_any_good_snapshot_a_purged_log_is_refused() {
    let disk = MemoryDisk::new();
    grown(&disk).await;
    for snapshot in snapshots(&disk) {
        disk.flip_byte(&snapshot, 100);
    }
    let error = start(&disk, |_| {}).await.err().expect("must not start with an empty state");
    assert!(matches!(error, StartError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("restore a snapshot"), "{error}");
}

#[tokio::test]
async fn n_114_a_failed_flush_ends_the_node_and_loses_nothing_acknowledged() {
    let disk = MemoryDisk::new();
    let server = start(&disk, |_| {}).await.expect("starts");
    ready(&server).await;
    server.write("acknowledged").await;
    disk.fail_next_sync();
    let error = server.raft.propose(Bytes::from_static(b"not")).await.expect_err("not durable");
    assert!(matches!(error, ProposeError::Fatal(Fatal::Flush { .. })), "{error}");
    assert!(matches!(server.told.lock().as_slice(), [Fatal::Flush { .. }]));
    assert!(matches!(server.raft.propose(Bytes::from_static(b"no")).await, Err(ProposeError::Fatal(_))));
    disk.crash();
    server.raft.shutdown().await;
    let server = start(&disk, |_| {}).await.expect("starts again");
    ready(&server).await;
    assert_eq!(server.texts(), ["acknowledged"]);
    server.raft.shutdown().await;
}

/// Writes until the power fails; `None` if everything was written before.
async fn lives_until(cut: u64) -> Option<(MemoryDisk, Vec<String>)> {
    let disk = MemoryDisk::new();
    disk.cut_power_after(cut);
    let small = |config: &mut RaftConfig| {
        (config.snapshot_threshold, config.snapshot_trailing, config.inline_writes) = (4, 1, true);
    };
    let mut acknowledged = Vec::new();
    let Ok(server) = start(&disk, small).await else { return Some((disk, acknowledged)) };
    let mut whole = true;
    for serial in 0..16 {
        let text = format!("{serial:06}");
        match server.raft.propose(Bytes::from(text.clone())).await {
            Ok(_) => acknowledged.push(text),
            Err(_) => whole = false,
        }
        if serial % 4 == 3 && whole {
            let _ = server.raft.snapshot(std::time::Duration::from_secs(2)).await;
        }
    }
    server.raft.shutdown().await;
    (!whole || server.raft.fatal().is_some()).then_some((disk, acknowledged))
}

#[tokio::test]
async fn f_2_a_power_cut_at_each_single_write_loses_nothing_acknowledged() {
    let (mut cut, mut promised) = (0, 0);
    while let Some((disk, acknowledged)) = lives_until(cut).await {
        let entropy = SeededEntropy::new(cut);
        if cut.is_multiple_of(2) {
            disk.crash()
        } else {
            disk.crash_torn(&entropy)
        }
        let server = start(&disk, |_| {}).await.unwrap_or_else(|error| panic!("cut {cut}: {error}"));
        ready(&server).await;
        let found = server.texts();
        assert!(found.starts_with(&acknowledged), "cut {cut}: {acknowledged:?} became {found:?}");
        // At most the entry that was in progress exists as well.
        assert!(found.len() <= acknowledged.len() + 1, "cut {cut}: {found:?}");
        promised = promised.max(acknowledged.len());
        server.raft.shutdown().await;
        // Every point while the files are created, then every third one.
        cut += if cut < 40 { 1 } else { 3 };
        assert!(cut < 2_000, "the power goes at some point");
    }
    assert!(cut > 50 && promised >= 15, "{cut} points, {promised} promises at most");
}

/// Damages the files of a stopped server in some way, and returns a description.
fn decay(disk: &MemoryDisk, entropy: &SeededEntropy) -> String {
    let names = snapshots(disk);
    let path = match entropy.below(3) {
        0 => names[usize::try_from(entropy.below(2)).expect("small")].clone(),
        _ => "raft/log.redb".to_owned(),
    };
    let len = disk.read(&path).expect("a file").len();
    let pick = |below: usize| usize::try_from(entropy.below(below.max(1) as u64)).expect("small");
    let (at, page) = (pick(len), 4096.min(len));
    let kind = entropy.below(5);
    match kind {
        0 => disk.alter(&path, |bytes| bytes[at] ^= 1 << (at % 8)),
        1 => disk.alter(&path, |bytes| bytes.truncate(at)),
        2 => disk.alter(&path, |bytes| {
            let start = at.min(len - page);
            bytes[start..start + page].fill(0);
        }),
        3 => disk.alter(&path, |bytes| {
            let (one, other) = (pick(len / page) * page, pick(len / page) * page);
            for byte in 0..page {
                bytes.swap(one + byte, other + byte);
            }
        }),
        _ => {
            let old = disk.read(&names[0]).expect("the older one");
            disk.alter(&names[1], |bytes| *bytes = old);
        }
    }
    format!("{path}, kind {kind} at {at} of {len}")
}

#[tokio::test]
async fn f_6_whatever_has_decayed_is_refused_or_made_good_and_never_served() {
    let good = MemoryDisk::new();
    let texts = grown(&good).await;
    let files: Vec<(String, Vec<u8>)> = ["raft/log.redb", concord_raft::BEGUN]
        .map(ToOwned::to_owned)
        .into_iter()
        .chain(snapshots(&good))
        .map(|path| (path.clone(), good.read(&path).expect("a file")))
        .collect();
    let (mut refused, mut whole) = (0, 0);
    for seed in 0..200 {
        let disk = MemoryDisk::new();
        for (path, content) in &files {
            disk.write_atomic(path, content).expect("written");
        }
        let how = decay(&disk, &SeededEntropy::new(seed));
        let Ok(server) = start(&disk, |_| {}).await else {
            refused += 1;
            continue;
        };
        let mut stats = server.raft.watch();
        let settled = stats.wait_for(|stats| stats.is_leader() || !stats.is_running).await;
        let led = settled.expect("published").is_running;
        if led && server.raft.read_barrier().await.is_ok() {
            assert_eq!(server.texts(), texts, "seed {seed}: {how}");
            whole += 1;
        } else {
            assert!(server.raft.fatal().is_some(), "seed {seed}: {how}");
            refused += 1;
        }
        server.raft.shutdown().await;
    }
    assert!(refused > 10 && whole > 10, "{refused} refused, {whole} whole");
}

#[tokio::test]
async fn another_servers_data_directory_is_refused() {
    let disk = MemoryDisk::new();
    grown(&disk).await;
    let error = start(&disk, |config| config.id = 2).await.err().expect("not ours");
    assert!(matches!(error, StartError::WrongNode { found: 1, expected: 2 }), "{error}");
    let server = start(&disk, |_| {}).await.expect("and the refusal has let go of the directory");
    server.raft.shutdown().await;
}

#[tokio::test]
async fn a_log_whose_beginning_is_gone_is_not_begun_anew() {
    let disk = MemoryDisk::new();
    grown(&disk).await;
    disk.alter("raft/log.redb", |bytes| bytes[..512].fill(0));
    let error = start(&disk, |_| {}).await.map(drop).unwrap_err();
    assert!(matches!(error, StartError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn a_log_that_vanished_is_not_begun_anew() {
    let disk = MemoryDisk::new();
    let server = start(&disk, |_| {}).await.unwrap();
    ready(&server).await;
    server.raft.propose(Bytes::from_static(b"kept")).await.unwrap();
    server.raft.shutdown().await;
    drop(server);
    disk.remove("raft/log.redb").unwrap();
    let error = start(&disk, |_| {}).await.map(drop).unwrap_err();
    let said = error.to_string();
    assert!(said.contains("raft/log.redb is missing or empty") && said.contains("remove the data"), "{said}");
    // An operator who removes all of it does so on purpose.
    disk.remove(concord_raft::BEGUN).unwrap();
    ready(&start(&disk, |_| {}).await.unwrap()).await;
}
