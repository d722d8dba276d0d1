//! The durable log: redb on the node's disk, written by one thread.
//!
//! ```text
//!   append ──► tail (readable at once) ──► writer ─► one transaction, one flush ─► callbacks
//!   read   ──► tail, else redb
//! ```
//!
//! Every record has a checksum, so that a damaged page is detected when it is read, and is not applied. The log is
//! purged only up to the older of the two snapshots, so that the older one can replace a damaged newer one.

use std::fmt::{self, Debug};
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use concord_runtime::{Clock, Disk, DiskError, DiskFile, Scope};
use futures::{Stream, TryStreamExt as _, stream};
use openraft::entry::RaftEntry as _;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use parking_lot::{Mutex, RwLock};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _, StorageBackend};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::config::RaftConfig;
use crate::engine::{Entry, LogId, NodeId, TypeConfig, Vote};
use crate::error::StartError;
use crate::fatal::{Fatal, FatalSlot};
use crate::limits::{LOG_CACHE_BYTES, READ_ENTRIES_MAX, TAIL_BYTES_MAX, WRITER_QUEUE_MAX};
use crate::log::fitting;
use crate::log::record::{self, RecordError};
use crate::log::reserve::Reserve;
use crate::log::shared::{Shared, State};
use crate::log::tail::Tail;
use crate::log::writer::{self, COMMITTED, Command, LOG, META, PURGED, SERVER, VOTE, Writer, WriterHandle};
use crate::snapshot::{PurgeFloor, Snapshots};

const FILE: &str = "raft/log.redb";
/// The file below the data directory that records that a log was created here. It remains if the log is lost: a
/// server that lost its log must not silently begin a new one.
pub const BEGUN: &str = "raft/begun";
const FORMAT: u32 = 1;
/// The first bytes of a redb file.
const REDB_BEGIN: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";

/// The durable log. Clones refer to the same log.
#[derive(Clone)]
pub(crate) struct Durable {
    pub(super) shared: Arc<Shared>,
    pub(super) writer: WriterHandle,
}

/// The server that owns the log, and the format.
#[derive(Debug, Serialize, Deserialize)]
struct Server {
    format: u32,
    id: NodeId,
}

/// Gives redb access to one of our files.
#[derive(Debug)]
struct Backend {
    file: Box<dyn DiskFile>,
    reserve: Arc<Reserve>,
    fatal: Arc<FatalSlot>,
}

// === impl Durable ===

impl Durable {
    pub(crate) async fn open(
        config: &RaftConfig,
        disk: Arc<dyn Disk>,
        snapshots: Arc<Snapshots>,
        fatal: Arc<FatalSlot>,
        clock: Arc<dyn Clock>,
        scope: Scope,
    ) -> Result<Self, StartError> {
        let open = {
            let (id, reserve, fatal) = (config.id, config.reserve_bytes, Arc::clone(&fatal));
            move || open(id, &*disk, reserve, fatal)
        };
        let opened = scope.spawn_blocking("log open", open).join().await;
        let (db, state, reserve) =
            opened.map_err(|end| StartError::Damaged { reason: format!("opening {FILE}: {end}") })??;
        let restored = snapshots.newest_index();
        if let Some(purged) = state.purged.filter(|purged| restored.is_none_or(|restored| restored < *purged))
        {
            let reason = format!("the log begins after {purged}, and no good snapshot reaches that far");
            return Err(StartError::Damaged { reason });
        }
        let committed = state.committed;
        let shared = Arc::new(Shared {
            db: RwLock::new(Some(Arc::new(db))),
            state: Mutex::new(state),
            fatal,
            reserve,
            snapshots,
            scope: scope.clone(),
        });
        let writer = Writer::new(Arc::clone(&shared), committed);
        let writer = if config.inline_writes && !config.flush_delay.is_zero() {
            let (queue, commands) = mpsc::channel(WRITER_QUEUE_MAX);
            scope.spawn("slow raft log", writer.run_slowly(commands, clock, config.flush_delay));
            WriterHandle::Thread(queue)
        } else if config.inline_writes {
            WriterHandle::Inline(Arc::new(Mutex::new(writer)))
        } else {
            let (queue, commands) = mpsc::channel(WRITER_QUEUE_MAX);
            let started = scope.spawn_thread("raft-log", move || writer.run(commands));
            started.map_err(|error| StartError::Damaged {
                reason: format!("starting the log's writer: {error}"),
            })?;
            WriterHandle::Thread(queue)
        };
        Ok(Self { shared, writer })
    }

    /// Whether this server has promised anything to others: it has a vote, or entries.
    pub(crate) fn has_promised(&self) -> bool {
        let state = self.shared.state.lock();
        state.vote.is_some() || state.last.is_some() || state.purged.is_some()
    }

    /// The disk space reserved for the case of a full disk.
    pub(crate) fn reserve(&self) -> &Arc<Reserve> {
        &self.shared.reserve
    }

    /// Writes what is left and closes the file. Later calls fail.
    pub(crate) async fn close(&self) {
        let closed = self.acknowledged(|ack| Command::Close { ack }).await;
        if let Err(error) = closed {
            tracing::warn!(%error, "the raft log was not closed cleanly");
        }
    }

    async fn acknowledged(&self, command: impl FnOnce(writer::Ack) -> Command) -> io::Result<()> {
        let (ack, done) = oneshot::channel();
        self.writer.send(command(ack)).await?;
        // The writer answers every command that it takes, unless it ends first.
        done.await.unwrap_or_else(|_| Err(writer::closed()))
    }

    async fn read_disk(&self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        let db = self.shared.db().ok_or_else(writer::closed)?;
        let read = move || read_entries(&db, start, end);
        let entries =
            self.shared.scope.spawn_blocking("log read", read).join().await.map_err(io::Error::other)?;
        entries.map_err(|error| {
            self.shared.fatal.raise(Fatal::Storage { reason: error.to_string() });
            io::Error::other(error)
        })
    }

    /// How far the log may be purged if the engine wants to purge it up to `upto`.
    fn purge_target(&self, upto: LogId) -> Option<LogId> {
        let state = self.shared.state.lock();
        // The leader sent a snapshot beyond the end of our log. Our entries end before it and are of no use any more.
        let beyond = state.last.is_none_or(|last| upto.index() > last.index());
        let target = match self.shared.snapshots.purge_floor() {
            _ if beyond => Some(upto),
            PurgeFloor::Free => Some(upto),
            PurgeFloor::KeepAll => None,
            PurgeFloor::UpTo(floor) => Some(upto.min(floor)),
        };
        target.filter(|target| state.purged.is_none_or(|purged| purged < *target))
    }
}

impl RaftLogReader<TypeConfig> for Durable {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> io::Result<Vec<Entry>> {
        let (start, end) = half_open(&range);
        let (from_disk, in_memory) = {
            let state = self.shared.state.lock();
            let next = state.last.map_or(0, |last| last.index() + 1);
            let memory_start = state.tail.first_index().unwrap_or(next);
            (start..end.min(memory_start), state.tail.range(start, end))
        };
        if from_disk.is_empty() {
            return Ok(in_memory);
        }
        let mut entries = self.read_disk(from_disk.start, from_disk.end).await?;
        entries.extend(in_memory);
        Ok(entries)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        let end = end.min(start.saturating_add(READ_ENTRIES_MAX));
        Ok(fitting(self.try_get_log_entries(start..end).await?))
    }

    async fn entries_stream<R>(&mut self, range: R) -> impl Stream<Item = io::Result<Entry>> + OptionalSend
    where
        R: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (start, end) = half_open(&range);
        let chunks = stream::try_unfold((self.clone(), start), move |(mut log, start)| async move {
            let chunk =
                log.try_get_log_entries(start..end.min(start.saturating_add(READ_ENTRIES_MAX))).await?;
            let next = chunk.last().map(|entry| entry.index() + 1);
            Ok::<_, io::Error>(next.map(|next| (stream::iter(chunk.into_iter().map(Ok)), (log, next))))
        });
        Box::pin(chunks.try_flatten())
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.shared.state.lock().vote)
    }
}

impl RaftLogStorage<TypeConfig> for Durable {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let state = self.shared.state.lock();
        Ok(LogState { last_purged_log_id: state.purged, last_log_id: state.last.or(state.purged) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let vote = *vote;
        self.acknowledged(|ack| Command::Vote { vote, ack }).await?;
        self.shared.state.lock().vote = Some(vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        self.shared.state.lock().committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.shared.state.lock().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let encoded: Vec<(Entry, Vec<u8>)> = entries
            .into_iter()
            .map(|entry| {
                let record = record::encode_entry(entry.index(), &entry);
                (entry, record)
            })
            .collect();
        let mut records = Vec::with_capacity(encoded.len());
        let batch = {
            let mut state = self.shared.state.lock();
            state.batch += 1;
            let batch = state.batch;
            for (entry, record) in encoded {
                state.last = Some(entry.log_id);
                records.push((entry.index(), record));
                let bytes = records.last().map_or(0, |(_, record)| record.len());
                state.tail.push(entry, bytes, batch);
            }
            batch
        };
        self.writer.send(Command::Append { records, batch, callback }).await
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let first_gone = last.map_or(0, |id| id.index() + 1);
        {
            let mut state = self.shared.state.lock();
            state.tail.truncate(first_gone);
            if state.last.is_some_and(|end| end.index() >= first_gone) {
                state.last = last;
            }
        }
        self.acknowledged(|ack| Command::Truncate { first_gone, ack }).await
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        let Some(upto) = self.purge_target(upto) else {
            return Ok(());
        };
        {
            let mut state = self.shared.state.lock();
            state.tail.purge(upto.index());
            state.purged = Some(upto);
            if state.last.is_some_and(|last| last.index() <= upto.index()) {
                state.last = None;
            }
        }
        self.acknowledged(|ack| Command::Purge { upto, ack }).await
    }
}

// === impl Backend ===

impl Backend {
    fn failed(&self, error: DiskError) -> io::Error {
        if matches!(error, DiskError::Sync { .. } | DiskError::Full { .. }) {
            self.fatal.raise(Fatal::from(&error));
        }
        io::Error::other(error)
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.file.len().map_err(|error| self.failed(error))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, out).map_err(|error| self.failed(error))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len).map_err(|error| self.failed(error))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data().map_err(|error| self.failed(error))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        loop {
            match self.file.write_at(offset, data) {
                Err(DiskError::Full { .. }) if self.reserve.release() => {}
                written => return written.map_err(|error| self.failed(error)),
            }
        }
    }
}

// === opening ===

fn open(
    id: NodeId,
    disk: &dyn Disk,
    reserve: u64,
    fatal: Arc<FatalSlot>,
) -> Result<(Database, State, Arc<Reserve>), StartError> {
    let file = disk.open(FILE)?;
    let begun = disk.exists(BEGUN)?;
    if file.len()? == 0 && begun {
        let reason = format!("{FILE} is missing or empty, though this server has kept its log there");
        return Err(StartError::Damaged { reason });
    }
    if !begun && is_unfinished(&*file)? {
        // The power failed while the file was being created. Nothing was promised yet, so create it again.
        file.set_len(0)?;
    }
    let reserve = Arc::new(Reserve::open(disk, reserve)?);
    let backend = Backend { file, reserve: Arc::clone(&reserve), fatal };
    let db = redb::Builder::new()
        .set_cache_size(LOG_CACHE_BYTES)
        // Check the file when it is opened: a file that something else than redb has changed is refused.
        .set_check_integrity_on_open(true)
        .create_with_backend(backend)
        .map_err(damaged)?;
    claim(&db, id)?;
    if !begun {
        disk.write_atomic(BEGUN, b"A raft log was begun in this directory.\n")?;
    }
    let state = load(&db)?;
    Ok((db, state, reserve))
}

/// Whether redb had not finished creating its file. redb writes the first bytes last, so an unfinished file has none
/// of them, or only a part. Any other beginning means that something changed the file. Its content must not be thrown
/// away.
fn is_unfinished(file: &dyn DiskFile) -> Result<bool, StartError> {
    let mut begin = [0; REDB_BEGIN.len()];
    if file.len()? < begin.len() as u64 {
        return Ok(true);
    }
    file.read_at(0, &mut begin)?;
    Ok(begin != REDB_BEGIN && begin.iter().zip(REDB_BEGIN).all(|(is, whole)| *is == 0 || *is == whole))
}

/// Checks that the log belongs to this server. A new log is assigned to it.
fn claim(db: &Database, id: NodeId) -> Result<(), StartError> {
    if let Some(record) = writer::read_meta(db, SERVER).map_err(damaged)? {
        let found: Server = readable(record::decode(SERVER, &record))?;
        return match found {
            Server { format, .. } if format != FORMAT => {
                Err(StartError::Format { found: format, supported: FORMAT })
            }
            Server { id: found, .. } if found != id => Err(StartError::WrongNode { found, expected: id }),
            Server { .. } => Ok(()),
        };
    }
    let write = || -> Result<(), redb::Error> {
        let transaction = db.begin_write()?;
        let server = record::encode(SERVER, &Server { format: FORMAT, id });
        transaction.open_table(META)?.insert(SERVER, server.as_slice())?;
        transaction.open_table(LOG)?;
        transaction.commit()?;
        Ok(())
    };
    write().map_err(damaged)
}

fn load(db: &Database) -> Result<State, StartError> {
    fn meta<T: for<'de> Deserialize<'de>>(db: &Database, key: &str) -> Result<Option<T>, StartError> {
        let found = writer::read_meta(db, key).map_err(damaged)?;
        found.map(|value| readable(record::decode(key, &value))).transpose()
    }
    let (purged, last) = ends(db).map_err(damaged).and_then(|(first, last, len)| {
        let purged: Option<LogId> = meta(db, PURGED)?;
        let expected = purged.map_or(0, |id| id.index() + 1);
        match (first, &last) {
            (Some(first), Some((last, _))) if first != expected || last - first + 1 != len => {
                let reason =
                    format!("the log has {len} entries in {first}..={last}, purged before {expected}");
                return Err(StartError::Damaged { reason });
            }
            _ => {}
        }
        let last = last.map(|(index, record)| readable(record::decode_entry(index, &record))).transpose()?;
        Ok((purged, last.map(|entry| entry.log_id)))
    })?;
    Ok(State {
        vote: meta(db, VOTE)?,
        committed: meta(db, COMMITTED)?,
        purged,
        last,
        tail: Tail::new(TAIL_BYTES_MAX),
        batch: 0,
    })
}

type Ends = (Option<u64>, Option<(u64, Vec<u8>)>, u64);

fn ends(db: &Database) -> Result<Ends, redb::Error> {
    let log = db.begin_read()?.open_table(LOG)?;
    let first = log.first()?.map(|(index, _)| index.value());
    let last = log.last()?.map(|(index, record)| (index.value(), record.value().to_vec()));
    Ok((first, last, log.len()?))
}

/// Why entries cannot be read.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error(transparent)]
    Database(#[from] redb::Error),
    #[error(transparent)]
    Record(#[from] RecordError),
}

fn read_entries(db: &Database, start: u64, end: u64) -> Result<Vec<Entry>, ReadError> {
    let read = || -> Result<Vec<(u64, Vec<u8>)>, redb::Error> {
        let log = db.begin_read()?.open_table(LOG)?;
        let mut records = Vec::new();
        for found in log.range(start..end)? {
            let (index, record) = found?;
            records.push((index.value(), record.value().to_vec()));
        }
        Ok(records)
    };
    let records = read()?;
    records.iter().map(|(index, record)| Ok(record::decode_entry(*index, record)?)).collect()
}

fn half_open(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    (start, end)
}

fn damaged(error: impl fmt::Display) -> StartError {
    StartError::Damaged { reason: format!("{FILE}: {error}") }
}

fn readable<T>(record: Result<T, RecordError>) -> Result<T, StartError> {
    record.map_err(|error| match error {
        RecordError::Format { found, .. } => StartError::Format { found: found.into(), supported: FORMAT },
        error @ (RecordError::Checksum { .. } | RecordError::Content { .. }) => damaged(error),
    })
}

impl Debug for Durable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Durable").field("state", &*self.shared.state.lock()).finish_non_exhaustive()
    }
}
