//! Runs the engine's own storage test suite on both logs, and tests what it does not cover: flushes, failures,
//! reopening.

use std::sync::Arc;

use bytes::Bytes;
use concord_runtime::{Disk, HostDisk, MemoryDisk, Scope, TokioClock, World};
use openraft::entry::RaftEntry as _;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt as _};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::{EntryPayload, LogId, RaftLogReader as _, StorageError};
use parking_lot::Mutex;

use super::*;
use crate::config::RaftConfig;
use crate::engine::{Entry, Payload, TypeConfig, Vote};
use crate::error::StartError;
use crate::fatal::{Fatal, FatalSlot};
use crate::machine::{ApplyHalt, Machine, RestoreError, SnapshotJob, StateMachine};
use crate::snapshot::Snapshots;
use crate::snapshot::progress::Progress;

/// A state machine that counts.
struct Counter(u64);

impl StateMachine for Counter {
    type Reply = u64;

    fn apply(&mut self, _: u64, _: u64, _: &[u8]) -> Result<u64, ApplyHalt> {
        self.0 += 1;
        Ok(self.0)
    }

    fn begin_snapshot(&self) -> SnapshotJob {
        let count = self.0;
        Box::new(move || Ok(count.to_be_bytes().to_vec()))
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError> {
        let bytes = snapshot.try_into().map_err(|_| RestoreError { reason: "not a count".to_owned() })?;
        self.0 = u64::from_be_bytes(bytes);
        Ok(())
    }
}

struct Fixture {
    disk: Arc<dyn Disk>,
    scope: Scope,
    snapshots: Arc<Snapshots>,
    fatal: Arc<FatalSlot>,
    told: Arc<Mutex<Vec<Fatal>>>,
}

impl Fixture {
    fn new(disk: Arc<dyn Disk>) -> Self {
        let told = Arc::new(Mutex::new(Vec::new()));
        let hook = Arc::clone(&told);
        let fatal = FatalSlot::new(Arc::new(move |fatal: &Fatal| hook.lock().push(fatal.clone())));
        let snapshots = Snapshots::open(Some(Arc::clone(&disk))).expect("snapshots");
        let scope = Scope::new("test", Arc::new(TokioClock::new()));
        Self { disk, scope, snapshots: Arc::new(snapshots), fatal, told }
    }

    async fn open(&self, id: u64) -> Result<Durable, StartError> {
        self.open_with(&RaftConfig { reserve_bytes: 64 * 1024, ..RaftConfig::new(id, "test") }).await
    }

    async fn open_with(&self, config: &RaftConfig) -> Result<Durable, StartError> {
        let (snapshots, fatal) = (Arc::clone(&self.snapshots), Arc::clone(&self.fatal));
        let clock = Arc::new(TokioClock::new());
        Durable::open(config, Arc::clone(&self.disk), snapshots, fatal, clock, self.scope.clone()).await
    }

    fn machine(&self) -> Machine {
        let (progress, world) = (Progress::new(u64::MAX, 0), World::tokio());
        let (snapshots, fatal) = (Arc::clone(&self.snapshots), Arc::clone(&self.fatal));
        Machine::new(Counter(0), snapshots, progress, fatal, world, self.scope.clone())
    }
}

enum Kind {
    Memory,
    Durable { inline_writes: bool },
    Host,
}

impl StoreBuilder<TypeConfig, MemoryLog, Machine> for Kind {
    async fn build(&self) -> Result<((), MemoryLog, Machine), StorageError<TypeConfig>> {
        Ok(((), MemoryLog::default(), Fixture::new(Arc::new(MemoryDisk::new())).machine()))
    }
}

impl StoreBuilder<TypeConfig, Durable, Machine, Option<tempfile::TempDir>> for Kind {
    async fn build(&self) -> Result<(Option<tempfile::TempDir>, Durable, Machine), StorageError<TypeConfig>> {
        let mut config = RaftConfig::new(1, "test");
        let (dir, disk): (_, Arc<dyn Disk>) = match self {
            Self::Memory => unreachable!("another builder's"),
            Self::Durable { inline_writes } => {
                config.inline_writes = *inline_writes;
                (None, Arc::new(MemoryDisk::new()))
            }
            Self::Host => {
                let dir = tempfile::tempdir().expect("a directory");
                let disk = HostDisk::new(dir.path()).expect("a disk");
                (Some(dir), Arc::new(disk))
            }
        };
        let fixture = Fixture::new(disk);
        let log = fixture.open_with(&config).await.expect("opens");
        Ok((dir, log, fixture.machine()))
    }
}

#[tokio::test]
async fn the_engines_suite_passes_in_memory() {
    Suite::<TypeConfig, MemoryLog, _, _, _>::test_all(Kind::Memory).await.expect("the suite passes");
}

#[tokio::test]
async fn the_engines_suite_passes_on_the_durable_log() {
    let kind = Kind::Durable { inline_writes: false };
    Suite::<TypeConfig, Durable, _, _, _>::test_all(kind).await.expect("the suite passes");
}

#[tokio::test]
async fn the_engines_suite_passes_on_the_durable_log_written_inline() {
    let kind = Kind::Durable { inline_writes: true };
    Suite::<TypeConfig, Durable, _, _, _>::test_all(kind).await.expect("the suite passes");
}

#[tokio::test]
async fn the_engines_suite_passes_on_the_machines_disk() {
    Suite::<TypeConfig, Durable, _, _, _>::test_all(Kind::Host).await.expect("the suite passes");
}

fn id(term: u64, index: u64) -> crate::engine::LogId {
    LogId::new_term_index(term, index)
}

fn command(term: u64, index: u64, bytes: usize) -> Entry {
    let payload = Payload(Bytes::from(vec![u8::try_from(index % 251).expect("small"); bytes]));
    Entry::new(id(term, index), EntryPayload::Normal(payload))
}

#[tokio::test]
async fn entries_vote_and_purge_survive_closing_and_a_crash() {
    let disk = MemoryDisk::new();
    let fixture = Fixture::new(Arc::new(disk.clone()));
    let mut log = fixture.open(1).await.expect("opens");
    log.save_vote(&Vote::new_committed(3, 1)).await.expect("saves");
    log.blocking_append((0..20).map(|index| command(3, index, 100))).await.expect("appends");
    log.truncate_after(Some(id(3, 15))).await.expect("truncates");
    log.purge(id(3, 4)).await.expect("purges");
    log.save_committed(Some(id(3, 9))).await.expect("saves");
    log.close().await;
    assert!(log.save_vote(&Vote::new(4, 1)).await.is_err(), "closed is closed");

    let refused = fixture.open(1).await.expect_err("a purged log without its snapshot");
    assert!(matches!(refused, StartError::Damaged { .. }), "{refused}");
    let meta =
        crate::engine::SnapshotMeta { last_log_id: Some(id(3, 4)), last_membership: Default::default() };
    fixture.snapshots.save(&meta, Bytes::from_static(b"state")).expect("saves");
    let mut log = fixture.open(1).await.expect("opens");
    let state = log.get_log_state().await.expect("a state");
    assert_eq!((state.last_purged_log_id, state.last_log_id), (Some(id(3, 4)), Some(id(3, 15))));
    assert_eq!(log.read_vote().await.expect("a vote"), Some(Vote::new_committed(3, 1)));
    assert_eq!(log.read_committed().await.expect("committed"), Some(id(3, 9)));
    let entries = log.try_get_log_entries(..).await.expect("entries");
    assert_eq!(entries, (5..16).map(|index| command(3, index, 100)).collect::<Vec<_>>());

    log.blocking_append([command(3, 16, 10)]).await.expect("appends");
    disk.crash();
    let mut log = fixture.open(1).await.expect("opens after a crash");
    assert_eq!(log.get_log_state().await.expect("a state").last_log_id, Some(id(3, 16)));
    assert_eq!(log.try_get_log_entries(14..).await.expect("entries").len(), 3);
}

#[tokio::test]
async fn n_114_a_log_of_another_server_or_format_is_refused() {
    let fixture = Fixture::new(Arc::new(MemoryDisk::new()));
    fixture.open(1).await.expect("opens").close().await;
    let refused = fixture.open(2).await.expect_err("not ours");
    assert!(matches!(refused, StartError::WrongNode { found: 1, expected: 2 }), "{refused}");

    let log = fixture.open(1).await.expect("still ours");
    let db = log.shared_db();
    let transaction = db.begin_write().expect("a transaction");
    let newer = record::encode(writer::SERVER, &std::collections::BTreeMap::from([("format", 9), ("id", 1)]));
    transaction
        .open_table(writer::META)
        .expect("a table")
        .insert(writer::SERVER, newer.as_slice())
        .expect("ok");
    transaction.commit().expect("commits");
    drop(db);
    log.close().await;
    let refused = fixture.open(1).await.expect_err("a newer format");
    assert!(matches!(refused, StartError::Format { found: 9, .. }), "{refused}");
}

#[tokio::test]
async fn n_114_a_flipped_byte_never_goes_unnoticed() {
    let disk = MemoryDisk::new();
    let fixture = Fixture::new(Arc::new(disk.clone()));
    let log = fixture.open(1).await.expect("opens");
    let written: Vec<Entry> = (0..50).map(|index| command(1, index, 200)).collect();
    log.clone().blocking_append(written.clone()).await.expect("appends");
    log.close().await;
    let good = disk.read("raft/log.redb").expect("the file");
    let (mut refused, mut intact) = (0, 0);
    for offset in (0..good.len()).step_by(good.len() / 37) {
        let disk = MemoryDisk::new();
        disk.write_atomic("raft/log.redb", &good).expect("writes");
        disk.flip_byte("raft/log.redb", offset);
        match Fixture::new(Arc::new(disk)).open(1).await {
            Err(StartError::Damaged { .. } | StartError::Format { .. } | StartError::Disk(_)) => refused += 1,
            Err(other) => panic!("{other}"),
            // The byte was in an unused page, or the damage is detected when the entry is read.
            Ok(mut log) => match log.try_get_log_entries(..).await {
                Ok(read) => {
                    assert_eq!(read, written, "offset {offset}");
                    intact += 1;
                }
                Err(_) => refused += 1,
            },
        }
    }
    assert!(refused > 0 && intact > 0, "{refused} refused, {intact} intact");
}

#[tokio::test]
async fn n_114_a_failed_flush_stops_the_log_and_is_told_once() {
    let disk = MemoryDisk::new();
    let fixture = Fixture::new(Arc::new(disk.clone()));
    let mut log = fixture.open(1).await.expect("opens");
    log.blocking_append([command(1, 0, 10)]).await.expect("appends");
    disk.fail_next_sync();
    assert!(log.blocking_append([command(1, 1, 10)]).await.is_err(), "not acknowledged");
    assert!(log.blocking_append([command(1, 2, 10)]).await.is_err(), "and nothing after it");
    assert!(log.save_vote(&Vote::new(2, 1)).await.is_err());
    let told = fixture.told.lock().clone();
    assert!(matches!(told.as_slice(), [Fatal::Flush { .. }]), "{told:?}");
}

#[tokio::test]
async fn f_4_the_reserve_takes_what_a_full_disk_cannot() {
    let disk = MemoryDisk::new();
    let fixture = Fixture::new(Arc::new(disk.clone()));
    let mut log = fixture.open(1).await.expect("opens");
    let reserve = Arc::clone(log.reserve());
    assert!(!reserve.is_full());
    disk.set_full(true);
    let mut index = 0;
    while !reserve.is_full() {
        log.blocking_append([command(1, index, 10)]).await.expect("written with what was set aside");
        index += 1;
        assert!(index < 1000, "the disk is full at last");
    }
    log.save_vote(&Vote::new(2, 1)).await.expect("there is space for votes");
    assert!(!reserve.refill().expect("can be asked"), "there is still no space");
    assert!(reserve.is_full());
    disk.set_full(false);
    assert!(reserve.refill().expect("can be asked"));
    assert!(!reserve.is_full());
    assert_eq!(fixture.fatal.first(), None);
}

#[tokio::test]
async fn f_4_what_is_larger_than_the_reserve_ends_the_log_and_loses_nothing_acknowledged() {
    let disk = MemoryDisk::new();
    let fixture = Fixture::new(Arc::new(disk.clone()));
    let mut log = fixture.open(1).await.expect("opens");
    log.blocking_append([command(1, 0, 10)]).await.expect("acknowledged");
    disk.set_full(true);
    assert!(log.blocking_append([command(1, 1, 4 << 20)]).await.is_err());
    assert!(matches!(fixture.fatal.first(), Some(Fatal::DiskFull { .. })));
    disk.set_full(false);
    disk.crash();
    let mut log = Fixture::new(Arc::new(disk)).open(1).await.expect("opens again");
    let found = log.try_get_log_entries(0..9).await.expect("readable");
    assert_eq!(found, [command(1, 0, 10)], "what was acknowledged, and not what was told as failed");
    log.blocking_append([command(1, 1, 10)]).await.expect("and goes on");
}

#[tokio::test]
#[allow(clippy::await_holding_lock, reason = "that the writer is held up is the point")]
async fn waiting_appends_share_a_flush() {
    let disk = MemoryDisk::new();
    let fixture = Fixture::new(Arc::new(disk.clone()));
    let log = fixture.open(1).await.expect("opens");
    // The first batch's lock on the state blocks the writer; everything queued meanwhile becomes one batch.
    let before = disk.syncs();
    let mut done = Vec::new();
    {
        let held = log.hold();
        for index in 0..100 {
            let (ack, acked) = tokio::sync::oneshot::channel();
            log.queue(Vote::new(index + 1, 1), ack).await;
            done.push(acked);
        }
        drop(held);
    }
    for acked in done {
        acked.await.expect("answered").expect("durable");
    }
    let flushes = disk.syncs() - before;
    assert!(flushes <= 10, "{flushes} flushes for 100 votes");
}

#[tokio::test]
async fn entries_are_read_from_the_disk_once_they_leave_the_memory() {
    let fixture = Fixture::new(Arc::new(MemoryDisk::new()));
    let mut log = fixture.open(1).await.expect("opens");
    let entry_bytes = crate::limits::TAIL_BYTES_MAX / 8;
    for index in 0..12 {
        log.blocking_append([command(1, index, entry_bytes)]).await.expect("appends");
    }
    assert!(log.first_in_memory() > 0);
    let entries = log.try_get_log_entries(2..12).await.expect("entries");
    let indexes: Vec<u64> = entries.iter().map(|entry| entry.log_id.index()).collect();
    assert_eq!(indexes, (2..12).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_message_is_bounded_and_never_empty() {
    let mut durable = Fixture::new(Arc::new(MemoryDisk::new())).open(1).await.expect("opens");
    let mut memory = MemoryLog::default();
    let mebi = 1024 * 1024;
    let entries: Vec<Entry> = [mebi, mebi / 2, mebi / 4, mebi, 3 * mebi, 1]
        .into_iter()
        .zip(0..)
        .map(|(n, i)| command(1, i, n))
        .collect();
    durable.blocking_append(entries.clone()).await.expect("appends");
    memory.blocking_append(entries).await.expect("appends");
    for (start, expected) in [(0, 3), (1, 3), (3, 1), (4, 1), (5, 1)] {
        assert_eq!(
            durable.limited_get_log_entries(start, 6).await.expect("entries").len(),
            expected,
            "{start}"
        );
        assert_eq!(
            memory.limited_get_log_entries(start, 6).await.expect("entries").len(),
            expected,
            "{start}"
        );
    }
}

#[tokio::test]
async fn a_long_replay_is_read_in_pieces() {
    use futures::TryStreamExt as _;
    let fixture = Fixture::new(Arc::new(MemoryDisk::new()));
    let mut log = fixture.open(1).await.expect("opens");
    log.blocking_append((0..300).map(|index| command(1, index, 9))).await.expect("appends");
    log.close().await;
    let mut log = fixture.open(1).await.expect("opens");
    let read: Vec<Entry> = log.entries_stream(7..290).await.try_collect().await.expect("entries");
    assert_eq!(read, (7..290).map(|index| command(1, index, 9)).collect::<Vec<_>>());
}

impl Durable {
    fn shared_db(&self) -> Arc<redb::Database> {
        self.shared.db().expect("open")
    }

    fn hold(&self) -> parking_lot::MutexGuard<'_, shared::State> {
        self.shared.state.lock()
    }

    fn first_in_memory(&self) -> u64 {
        self.shared.state.lock().tail.first_index().expect("a tail")
    }

    async fn queue(&self, vote: Vote, ack: writer::Ack) {
        self.writer.send(writer::Command::Vote { vote, ack }).await.expect("queued");
    }
}
