//! The only writer of the log. It takes the waiting commands, writes them in one transaction, flushes once, and
//! reports.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use concord_runtime::Clock;
use openraft::storage::IOFlushed;
use parking_lot::Mutex;
use redb::{ReadableDatabase as _, TableDefinition};
use tokio::sync::{mpsc, oneshot};

use crate::engine::{LogId, TypeConfig, Vote};
use crate::fatal::Fatal;
use crate::limits::{WRITER_BATCH_BYTES_MAX, WRITER_BATCH_MAX};
use crate::log::record;
use crate::log::shared::Shared;

pub(crate) const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
pub(crate) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
pub(crate) const VOTE: &str = "vote";
pub(crate) const COMMITTED: &str = "committed";
pub(crate) const PURGED: &str = "purged";
pub(crate) const SERVER: &str = "server";

/// Receives the result once the command is durable, or has failed.
pub(crate) type Ack = oneshot::Sender<io::Result<()>>;

/// The commands of the writer, carried out in order.
pub(crate) enum Command {
    Append { records: Vec<(u64, Vec<u8>)>, batch: u64, callback: IOFlushed<TypeConfig> },
    Vote { vote: Vote, ack: Ack },
    Truncate { first_gone: u64, ack: Ack },
    Purge { upto: LogId, ack: Ack },
    Close { ack: Ack },
}

/// Sends commands to the writer. With inline writes, the caller writes.
#[derive(Clone)]
pub(crate) enum WriterHandle {
    Thread(mpsc::Sender<Command>),
    Inline(Arc<Mutex<Writer>>),
}

pub(crate) struct Writer {
    shared: Arc<Shared>,
    committed: Option<LogId>,
    failed: Option<String>,
}

impl Command {
    fn bytes(&self) -> usize {
        match self {
            Self::Append { records, .. } => records.iter().map(|(_, record)| record.len()).sum(),
            Self::Vote { .. } | Self::Truncate { .. } | Self::Purge { .. } | Self::Close { .. } => 0,
        }
    }
}

impl WriterHandle {
    pub(crate) async fn send(&self, command: Command) -> io::Result<()> {
        match self {
            Self::Thread(queue) => queue.send(command).await.map_err(|_| closed()),
            Self::Inline(writer) => {
                writer.lock().execute(vec![command]);
                Ok(())
            }
        }
    }
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, committed: Option<LogId>) -> Self {
        Self { shared, committed, failed: None }
    }

    /// The main loop of the writer's thread.
    pub(crate) fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        while let Some(first) = queue.blocking_recv() {
            self.execute(batch(first, &mut queue));
            // Do not wait until the last sender is gone: handles of a stopped node may still exist.
            if self.shared.db().is_none() {
                return;
            }
        }
    }

    /// The same with slow flushes, for simulations.
    pub(crate) async fn run_slowly(
        mut self,
        mut queue: mpsc::Receiver<Command>,
        clock: Arc<dyn Clock>,
        flush: Duration,
    ) {
        while let Some(first) = queue.recv().await {
            clock.sleep(flush).await;
            self.execute(batch(first, &mut queue));
            if self.shared.db().is_none() {
                return;
            }
        }
    }

    /// Makes a batch durable and reports. After a failure it refuses everything, because it is unknown what is on
    /// disk.
    pub(crate) fn execute(&mut self, batch: Vec<Command>) {
        if self.failed.is_none()
            && let Err(error) = self.commit(&batch)
        {
            let reason = error.to_string();
            self.shared.fatal.raise(Fatal::Storage { reason: reason.clone() });
            self.failed = Some(reason);
        }
        for command in batch {
            self.report(command);
        }
    }

    fn commit(&mut self, batch: &[Command]) -> Result<(), redb::Error> {
        let Some(db) = self.shared.db() else {
            return Err(redb::Error::DatabaseClosed);
        };
        let committed = self.shared.state.lock().committed;
        let transaction = db.begin_write()?;
        {
            let mut log = transaction.open_table(LOG)?;
            let mut meta = transaction.open_table(META)?;
            for command in batch {
                match command {
                    Command::Append { records, .. } => {
                        for (index, record) in records {
                            log.insert(index, record.as_slice())?;
                        }
                    }
                    Command::Vote { vote, .. } => {
                        meta.insert(VOTE, record::encode(VOTE, vote).as_slice())?;
                    }
                    Command::Truncate { first_gone, .. } => log.retain_in(*first_gone.., |_, _| false)?,
                    Command::Purge { upto, .. } => {
                        log.retain_in(..=upto.index(), |_, _| false)?;
                        meta.insert(PURGED, record::encode(PURGED, upto).as_slice())?;
                    }
                    Command::Close { .. } => {}
                }
            }
            // Write the commit index along with other data: it helps the next start, but is not worth a flush of its
            // own.
            if let Some(id) = committed.filter(|_| committed != self.committed) {
                meta.insert(COMMITTED, record::encode(COMMITTED, &id).as_slice())?;
            }
        }
        transaction.commit()?;
        self.committed = committed;
        Ok(())
    }

    fn report(&mut self, command: Command) {
        let result = match &self.failed {
            None => Ok(()),
            Some(reason) => Err(io::Error::other(reason.clone())),
        };
        // The receiver may be gone; then nobody needs the result.
        match command {
            Command::Append { batch, callback, .. } => {
                if result.is_ok() {
                    self.shared.state.lock().tail.flushed(batch);
                }
                callback.io_completed(result);
            }
            Command::Vote { ack, .. } | Command::Truncate { ack, .. } | Command::Purge { ack, .. } => {
                let _ = ack.send(result);
            }
            Command::Close { ack } => {
                self.shared.close();
                self.failed.get_or_insert_with(|| closed().to_string());
                let _ = ack.send(result);
            }
        }
    }
}

/// `first` and the commands waiting after it, as many as one flush may make durable.
fn batch(first: Command, queue: &mut mpsc::Receiver<Command>) -> Vec<Command> {
    let mut bytes = first.bytes();
    let mut batch = vec![first];
    while batch.len() < WRITER_BATCH_MAX
        && bytes < WRITER_BATCH_BYTES_MAX
        && let Ok(next) = queue.try_recv()
    {
        bytes += next.bytes();
        batch.push(next);
    }
    batch
}

impl Drop for Writer {
    fn drop(&mut self) {
        // A bug in the storage engine. Without this, the waiting appends would never get an answer.
        if std::thread::panicking() {
            self.shared.fatal.raise(Fatal::Storage { reason: "the log's writer panicked".to_owned() });
        }
    }
}

pub(crate) fn closed() -> io::Error {
    io::Error::other("the raft log is closed")
}

/// Reads a value of the metadata.
pub(crate) fn read_meta(db: &redb::Database, key: &str) -> Result<Option<Vec<u8>>, redb::Error> {
    let table = match db.begin_read()?.open_table(META) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(table.get(key)?.map(|value| value.value().to_vec()))
}
