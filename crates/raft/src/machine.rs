//! The state machine's interface, and the adapter between it and the engine.
//!
//! The state is only in memory. It is rebuilt from the newest good snapshot and the log after it. So `apply` must
//! depend on the entries alone.

use std::any::Any;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use concord_runtime::{Backoff, Scope, World};
use futures::{Stream, StreamExt as _};
use openraft::storage::{EntryResponder, RaftStateMachine, Snapshot};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use parking_lot::Mutex;

use crate::engine::{Entry, ErasedReply, LogId, SnapshotMeta, StoredMembership, TypeConfig};
use crate::fatal::{Fatal, FatalSlot};
use crate::limits::{SNAPSHOT_RETRY_MAX, SNAPSHOT_RETRY_MIN};
use crate::snapshot::Snapshots;
use crate::snapshot::progress::Progress;

/// The engine with our state machine.
pub(crate) type Engine = openraft::Raft<TypeConfig, Machine>;

/// Writes a snapshot of the state at its creation, or returns an error. Runs while the state changes further, on a
/// thread that may block.
pub type SnapshotJob = Box<dyn FnOnce() -> Result<Vec<u8>, String> + Send>;

/// The state machine that the log drives.
pub trait StateMachine: Send + 'static {
    /// The reply to a command; only its proposer gets it.
    type Reply: Send + Sync + 'static;

    /// Applies a committed command. The result must depend only on the earlier commands: no clock, no randomness.
    ///
    /// If the state machine *refuses* a command (for example a failed compare-and-set), that is a reply. An error
    /// means that it cannot *decode* the command. Then this server stops, because its state would differ from that of
    /// the others.
    ///
    /// # Errors
    /// [`ApplyHalt`] stops the server.
    fn apply(&mut self, index: u64, term: u64, command: &[u8]) -> Result<Self::Reply, ApplyHalt>;

    /// Takes a view of the present state and returns the job that writes it. Must be cheap.
    fn begin_snapshot(&self) -> SnapshotJob;

    /// Replaces the whole state by a snapshot. On an error the state is unchanged.
    ///
    /// # Errors
    /// When the snapshot is damaged or of a format this version does not know.
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError>;
}

/// A committed command that cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}; {remedy}")]
pub struct ApplyHalt {
    /// Why.
    pub reason: String,
    /// The remedy for the operator: usually to start a newer version.
    pub remedy: String,
}

/// A snapshot that cannot be restored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct RestoreError {
    /// Why.
    pub reason: String,
}

/// The state machine with the type of its reply erased.
trait Erased: Send {
    fn apply(&mut self, index: u64, term: u64, command: &[u8]) -> Result<ErasedReply, ApplyHalt>;
    fn begin_snapshot(&self) -> SnapshotJob;
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError>;
}

impl<M: StateMachine> Erased for M {
    fn apply(&mut self, index: u64, term: u64, command: &[u8]) -> Result<ErasedReply, ApplyHalt> {
        let reply = StateMachine::apply(self, index, term, command)?;
        Ok(ErasedReply(Some(Box::new(reply))))
    }

    fn begin_snapshot(&self) -> SnapshotJob {
        StateMachine::begin_snapshot(self)
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError> {
        StateMachine::restore(self, snapshot)
    }
}

/// The engine's interface to the state machine. The engine's apply task owns it.
pub(crate) struct Machine {
    // The mutex is never contended. It exists because the engine's trait requires `Sync`.
    state: Mutex<Box<dyn Erased>>,
    applied: Option<LogId>,
    membership: StoredMembership,
    snapshots: Arc<Snapshots>,
    progress: Arc<Progress>,
    fatal: Arc<FatalSlot>,
    world: World,
    scope: Scope,
}

/// A snapshot being written.
pub(crate) struct Builder {
    meta: SnapshotMeta,
    /// See [`Progress::mark`].
    mark: u64,
    job: Mutex<Option<SnapshotJob>>,
    snapshots: Arc<Snapshots>,
    progress: Arc<Progress>,
    scope: Scope,
}

// === impl Machine ===

impl Machine {
    pub(crate) fn new(
        state: impl StateMachine,
        snapshots: Arc<Snapshots>,
        progress: Arc<Progress>,
        fatal: Arc<FatalSlot>,
        world: World,
        scope: Scope,
    ) -> Self {
        Self {
            state: Mutex::new(Box::new(state)),
            applied: None,
            membership: StoredMembership::default(),
            snapshots,
            progress,
            fatal,
            world,
            scope,
        }
    }

    fn apply_one(&mut self, entry: Entry) -> io::Result<ErasedReply> {
        let Entry { log_id, payload } = entry;
        let reply = match payload {
            EntryPayload::Blank => ErasedReply::default(),
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(log_id), membership);
                ErasedReply::default()
            }
            EntryPayload::Normal(command) => self.apply_command(log_id, &command.0)?,
        };
        self.applied = Some(log_id);
        Ok(reply)
    }

    fn apply_command(&mut self, log_id: LogId, command: &Bytes) -> io::Result<ErasedReply> {
        let state = self.state.get_mut();
        let term = log_id.committed_leader_id().term;
        let applied = catch_unwind(AssertUnwindSafe(|| state.apply(log_id.index(), term, command)));
        let halt = match applied {
            Ok(Ok(reply)) => {
                self.progress.applied(command.len());
                return Ok(reply);
            }
            Ok(Err(halt)) => halt,
            Err(panic) => ApplyHalt {
                reason: format!("the state machine panicked: {}", panic_text(panic.as_ref())),
                remedy: "this is a defect, please report it; a newer version may apply the entry".to_owned(),
            },
        };
        let ApplyHalt { reason, remedy } = halt;
        let fatal = Fatal::Halted { index: log_id.index(), reason, remedy };
        self.fatal.raise(fatal.clone());
        Err(io::Error::other(fatal))
    }
}

impl Machine {
    /// Stores a snapshot from the leader. Until it is durable, the engine must not be told, because it would purge
    /// the log before it. So this server waits for its disk, and is late meanwhile.
    async fn keep_installed(&self, meta: &SnapshotMeta, snapshot: Bytes) -> io::Result<()> {
        let mut backoff = Backoff::new(SNAPSHOT_RETRY_MIN, SNAPSHOT_RETRY_MAX);
        loop {
            match keep(&self.scope, &self.snapshots, meta.clone(), snapshot.clone()).await {
                Ok(()) => {
                    self.progress.written(self.progress.mark(), snapshot.len());
                    return Ok(());
                }
                Err(reason) => self.progress.failed(reason),
            }
            tokio::select! {
                biased;
                () = self.scope.cancelled() => return Err(io::Error::other("shutting down")),
                () = self.world.clock.sleep(backoff.next(&*self.world.entropy)) => {}
            }
        }
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = Bytes;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            let reply = self.apply_one(entry)?;
            if let Some(responder) = responder {
                responder.send(reply);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder {
            meta: SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone() },
            mark: self.progress.mark(),
            job: Mutex::new(Some(self.state.get_mut().begin_snapshot())),
            snapshots: Arc::clone(&self.snapshots),
            progress: Arc::clone(&self.progress),
            scope: self.scope.clone(),
        }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: Bytes) -> io::Result<()> {
        // Restore before storing: the next start must not find a snapshot that this version cannot read.
        if let Err(error) = self.state.get_mut().restore(&snapshot) {
            let reason = format!("the snapshot up to {:?} cannot be restored: {error}", meta.last_log_id);
            self.fatal.raise(Fatal::Storage { reason: reason.clone() });
            return Err(io::Error::other(reason));
        }
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.keep_installed(meta, snapshot).await
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<SnapshotOf>> {
        let snapshots = Arc::clone(&self.snapshots);
        let load = move || snapshots.newest();
        let newest =
            self.scope.spawn_blocking("raft snapshot read", load).join().await.map_err(io::Error::other)?;
        let newest = newest.map_err(io::Error::other)?;
        Ok(newest.map(|(meta, snapshot)| Snapshot { meta, snapshot }))
    }
}

type SnapshotOf = openraft::alias::SnapshotOf<TypeConfig, Bytes>;

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf> {
        match self.write().await {
            Ok(body) => {
                self.progress.written(self.mark, body.len());
                Ok(Snapshot { meta: self.meta.clone(), snapshot: body })
            }
            Err(reason) => {
                if !self.scope.is_cancelled() {
                    self.progress.failed(reason);
                }
                // An error here would stop the engine. The engine reads only the meta, and if it is that of a known
                // snapshot, nothing is purged.
                Ok(Snapshot { meta: self.snapshots.newest_meta(), snapshot: Bytes::new() })
            }
        }
    }
}

impl Builder {
    async fn write(&self) -> Result<Bytes, String> {
        let job = self.job.lock().take().ok_or_else(|| "the snapshot was taken already".to_owned())?;
        let made = self.scope.spawn_blocking("raft snapshot", job).join().await;
        let body = Bytes::from(made.map_err(|end| format!("writing out the state: {end}"))??);
        keep(&self.scope, &self.snapshots, self.meta.clone(), body.clone()).await?;
        Ok(body)
    }
}

async fn keep(
    scope: &Scope,
    snapshots: &Arc<Snapshots>,
    meta: SnapshotMeta,
    body: Bytes,
) -> Result<(), String> {
    let snapshots = Arc::clone(snapshots);
    let save = move || snapshots.save(&meta, body);
    let saved = scope.spawn_blocking("raft snapshot write", save).join().await;
    saved.map_err(|end| end.to_string())?.map_err(|error| error.to_string())
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)")
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").field("applied", &self.applied).finish_non_exhaustive()
    }
}
