//! The handle of a node: start, propose, read, and answer the messages of peers.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use concord_runtime::{DiskLock, Instant, Scope, World, timeout};
use openraft::async_runtime::WatchReceiver as _;
use openraft::errors::{ClientWriteError, Fatal as EngineFatal, ForwardToLeader, InitializeError};
use openraft::errors::{LinearizableReadError, RaftError};
use openraft::storage::Snapshot;
use openraft::{RaftMetrics, ReadPolicy};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

use crate::config::RaftConfig;
use crate::engine::{ErasedReply, Node, NodeId, Payload, TypeConfig, seeded};
use crate::error::{BootstrapError, HandleError, ProposeError, ReadError, StartError};
use crate::fatal::{Fatal, FatalSlot};
use crate::lease::{Lease, VotesHeld};
use crate::limits::{COMMAND_BYTES_MAX, RESERVE_LOOK, SHUTDOWN_TIMEOUT, SNAPSHOT_RETRIGGER};
use crate::link::Links;
use crate::log::reserve::{READ_ONLY, Reserve};
use crate::log::{Durable, MemoryLog, Storage};
use crate::machine::{Engine, Machine, StateMachine};
use crate::snapshot::keeper::{Keeper, Plan};
use crate::snapshot::progress::Progress;
use crate::snapshot::{SnapshotError, Snapshots};
use crate::stats::{Member, Stats};
use crate::transport::{ReplyBody, Rpc, RpcBody, RpcReply, SnapshotRequest, Transport};

mod leased;

/// A node of a cluster whose commands return `R`. Clones refer to the same node.
///
/// Dropping the last handle does not stop the node; [`Raft::shutdown`] does.
pub struct Raft<R> {
    pub(crate) inner: Arc<Inner>,
    reply: PhantomData<fn() -> R>,
}

/// The parts from which a node is built.
pub struct Parts<M> {
    /// Where the log and snapshots are kept.
    pub storage: Storage,
    /// Sends messages to the other servers.
    pub transport: Arc<dyn Transport>,
    /// The state machine. Its state is replaced by the stored one.
    pub machine: M,
    /// Time, randomness and disk.
    pub world: World,
    /// The owner of the node's threads and tasks; it should outlive [`Raft::shutdown`].
    pub scope: Scope,
    /// Called once when the node cannot continue; it should end the process.
    pub on_fatal: Arc<dyn Fn(&Fatal) + Send + Sync>,
}

/// A command that was committed and applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed<R> {
    /// The entry's index.
    pub index: u64,
    /// The term it was written in.
    pub term: u64,
    /// What the state machine returned.
    pub reply: R,
}

pub(crate) struct Inner {
    pub(crate) config: RaftConfig,
    pub(crate) engine: Engine,
    pub(crate) stats: watch::Receiver<Stats>,
    pub(crate) world: World,
    pub(crate) fatal: Arc<FatalSlot>,
    pub(crate) changing: tokio::sync::Mutex<()>,
    cluster: Arc<str>,
    contact: Arc<Contact>,
    progress: Arc<Progress>,
    plan: watch::Sender<Plan>,
    pub(crate) lease: Lease,
    votes_held: VotesHeld,
    proposals: Semaphore,
    scope: Scope,
    durable: Option<Durable>,
    lock: Mutex<Option<Box<dyn DiskLock>>>,
}

/// When the leader was last heard from, in nanoseconds since the clock's epoch; 0 means never.
#[derive(Debug, Default)]
struct Contact(AtomicU64);

impl<R: Send + Sync + 'static> Raft<R> {
    /// Starts a node: restores the newest good snapshot, replays the committed entries after it, and joins the
    /// cluster. A sole voter becomes a candidate at once. A node without a log waits to be bootstrapped or added.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start<M>(config: RaftConfig, parts: Parts<M>) -> Result<Self, StartError>
    where
        M: StateMachine<Reply = R>,
    {
        let Parts { storage, transport, machine, world, scope, on_fatal } = parts;
        let engine_config = config.engine()?;
        let scope = scope.child("raft");
        let fatal = FatalSlot::new(on_fatal);
        let disk = (storage == Storage::Disk).then(|| Arc::clone(&world.disk));
        let lock = disk.as_ref().map(|disk| disk.lock("raft/lock")).transpose()?;

        let open = {
            let disk = disk.clone();
            move || Snapshots::open(disk)
        };
        let snapshots = scope.spawn_blocking("snapshots open", open).join().await;
        let snapshots = snapshots.map_err(|end| StartError::Damaged { reason: end.to_string() })?;
        let snapshots = Arc::new(snapshots.map_err(unreadable)?);
        let durable = match disk {
            None => None,
            Some(disk) => {
                let (snapshots, fatal) = (Arc::clone(&snapshots), Arc::clone(&fatal));
                let clock = Arc::clone(&world.clock);
                Some(Durable::open(&config, disk, snapshots, fatal, clock, scope.clone()).await?)
            }
        };

        let promised = durable.as_ref().is_some_and(Durable::has_promised);
        let votes_held = VotesHeld::new(promised, world.clock.now(), config.timings.election_max);
        let progress = Progress::new(config.snapshot_log_bytes, snapshots.newest_bytes());
        let plan = Plan { interval: config.snapshot_interval, entries: config.snapshot_threshold };
        let (plan, planned) = watch::channel(plan);
        let machine = Machine::new(
            machine,
            Arc::clone(&snapshots),
            Arc::clone(&progress),
            Arc::clone(&fatal),
            world.clone(),
            scope.clone(),
        );
        let cluster: Arc<str> = config.cluster.as_str().into();
        let links = Links { transport, clock: Arc::clone(&world.clock), cluster: Arc::clone(&cluster) };
        let seed = world.entropy.u64();
        let started = match durable.clone() {
            None => {
                let log = MemoryLog::default();
                seeded(seed, Engine::new(config.id, engine_config, links, log, machine)).await
            }
            Some(log) => seeded(seed, Engine::new(config.id, engine_config, links, log, machine)).await,
        };
        let engine = match (started, fatal.first()) {
            (Ok(engine), None) => engine,
            (started, first) => {
                let error = match (started, first) {
                    (Ok(engine), first) => {
                        let _ = engine.shutdown().await;
                        first.map_or_else(
                            || StartError::Damaged { reason: "stopped at once".to_owned() },
                            StartError::Fatal,
                        )
                    }
                    (Err(_), Some(first)) => first.into(),
                    (Err(error), None) => StartError::Damaged { reason: error.to_string() },
                };
                // Close the log before the lock of the directory is released.
                if let Some(durable) = &durable {
                    durable.close().await;
                }
                scope.cancel();
                return Err(error);
            }
        };

        let contact = Arc::new(Contact::default());
        let (publish, stats) = watch::channel(Stats::of(&engine.metrics().borrow_watched(), None));
        scope
            .spawn("stats", publish_stats(engine.clone(), publish, Arc::clone(&contact), Arc::clone(&fatal)));
        let keeper = Keeper {
            engine: engine.clone(),
            stats: stats.clone(),
            progress: Arc::clone(&progress),
            snapshots: Arc::clone(&snapshots),
            plan: planned,
            world: world.clone(),
            seed: seed.wrapping_add(1),
            scope: scope.clone(),
        };
        scope.spawn("snapshots", keeper.run());
        if let Some(durable) = &durable {
            let reserve = Arc::clone(durable.reserve());
            scope.spawn("reserve", set_aside_again(reserve, world.clone(), scope.clone()));
        }
        let raft = Self {
            inner: Arc::new(Inner {
                proposals: Semaphore::new(config.proposals_max),
                config,
                engine,
                stats,
                world,
                fatal,
                changing: tokio::sync::Mutex::new(()),
                cluster,
                contact,
                progress,
                plan,
                lease: Lease::default(),
                votes_held,
                scope,
                durable,
                lock: Mutex::new(lock),
            }),
            reply: PhantomData,
        };
        if let Err(error) = raft.campaign_if_alone().await {
            raft.shutdown().await;
            return Err(error);
        }
        raft.inner.scope.spawn("membership", raft.clone().finish_changes());
        Ok(raft)
    }

    /// Proposes a command and waits until it is committed and applied on this server.
    ///
    /// # Errors
    /// See [`ProposeError`]. After [`ProposeError::Unknown`] or [`ProposeError::Fatal`] the command may or may not be
    /// committed.
    pub async fn propose(&self, command: Bytes) -> Result<Committed<R>, ProposeError> {
        let inner = &*self.inner;
        if command.len() > COMMAND_BYTES_MAX {
            return Err(ProposeError::TooLarge { bytes: command.len(), max: COMMAND_BYTES_MAX });
        }
        inner.writable().map_err(|reason| ProposeError::ReadOnly { reason })?;
        let _permit = inner.proposals.try_acquire().map_err(|_| ProposeError::Busy)?;
        let written = inner.engine.client_write(Payload(command));
        let written = timeout(&*inner.world.clock, inner.config.propose_timeout, written)
            .await
            .map_err(|_| ProposeError::Unknown { reason: "not committed in time" })?;
        let written = written.map_err(|error| inner.propose_error(error))?;
        let ErasedReply(reply) = written.data;
        let reply = reply.and_then(|reply| reply.downcast::<R>().ok());
        let reply = *reply.expect("a command's reply has the type of the state machine");
        let log_id = written.log_id;
        Ok(Committed { index: log_id.index(), term: log_id.committed_leader_id().term, reply })
    }
}

impl<R> Raft<R> {
    /// Confirms with a majority that this server leads. Then waits until everything committed before the call is
    /// applied here. A read of the state after that is linearizable. Returns the awaited index.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn read_barrier(&self) -> Result<u64, ReadError> {
        let inner = &*self.inner;
        let barrier = async {
            let confirmed = inner.engine.get_read_linearizer(ReadPolicy::ReadIndex).await;
            let linearizer = confirmed.map_err(|error| inner.read_error(error))?;
            let applied = linearizer.await_ready(&inner.engine).await;
            let state = applied.map_err(|error| inner.read_error(RaftError::Fatal(error)))?;
            Ok(state.read_log_id().index())
        };
        let confirmed = timeout(&*inner.world.clock, inner.config.read_timeout, barrier).await;
        confirmed.unwrap_or(Err(ReadError::Timeout))
    }

    /// Answers a message of a peer.
    ///
    /// # Errors
    /// See [`HandleError`].
    pub async fn handle(&self, rpc: Rpc) -> Result<RpcReply, HandleError> {
        let inner = &*self.inner;
        if rpc.cluster != inner.cluster {
            let (found, expected) = (rpc.cluster.to_string(), inner.cluster.to_string());
            return Err(HandleError::WrongCluster { found, expected });
        }
        let engine = &inner.engine;
        let early = inner.votes_held.holds(inner.world.clock.now());
        let reply = match rpc.body {
            RpcBody::Vote(request) | RpcBody::PreVote(request) if early && !request.leadership_transfer => {
                return Err(HandleError::TooEarly);
            }
            RpcBody::Append(request) => {
                // Allow heartbeats: this server can still be part of the majority that the leader needs.
                if !request.entries.is_empty() {
                    inner.writable().map_err(|reason| HandleError::ReadOnly { reason })?;
                }
                let reply =
                    engine.append_entries(request).await.map_err(|error| inner.handle_error(error))?;
                if !matches!(reply, openraft::raft::AppendEntriesResponse::HigherVote(_)) {
                    inner.contact.heard(inner.world.clock.now());
                }
                ReplyBody::Append(reply)
            }
            RpcBody::Vote(request) => {
                ReplyBody::Vote(engine.vote(request).await.map_err(|error| inner.handle_error(error))?)
            }
            RpcBody::PreVote(request) => {
                ReplyBody::Vote(engine.pre_vote(request).await.map_err(|error| inner.handle_error(error))?)
            }
            RpcBody::Snapshot(SnapshotRequest { vote, meta, body }) => {
                let snapshot = Snapshot { meta, snapshot: body.0 };
                let reply = engine.install_full_snapshot(vote, snapshot).await;
                ReplyBody::Snapshot(reply.map_err(|error| inner.handle_error(RaftError::Fatal(error)))?)
            }
            RpcBody::TransferLeader(request) => {
                let reply = engine.handle_transfer_leader(request).await;
                ReplyBody::TransferLeader(reply.map_err(|error| inner.handle_error(RaftError::Fatal(error)))?)
            }
        };
        Ok(RpcReply(reply))
    }

    /// Makes these servers the first voters of a new cluster. Call it on one of them, or on all with the same set.
    ///
    /// # Errors
    /// [`BootstrapError::AlreadyBootstrapped`] when this server has a log; it is safe to ignore.
    pub async fn bootstrap(&self, voters: BTreeMap<NodeId, Node>) -> Result<(), BootstrapError> {
        self.inner.engine.initialize(voters).await.map_err(|error| match error {
            RaftError::APIError(InitializeError::NotAllowed(_)) => BootstrapError::AlreadyBootstrapped,
            RaftError::APIError(InitializeError::NotInMembers(_)) => BootstrapError::NotInVoters,
            RaftError::Fatal(error) => match self.inner.stopped(&error) {
                None => BootstrapError::Shutdown,
                Some(fatal) => BootstrapError::Fatal(fatal),
            },
        })
    }

    /// Takes a snapshot of everything applied so far and waits until it is durable. Returns its last index.
    ///
    /// # Errors
    /// [`ReadError::Timeout`] when it takes longer than the given time; the snapshot still continues.
    pub async fn snapshot(&self, at_most: Duration) -> Result<u64, ReadError> {
        let inner = &*self.inner;
        let applied = self.stats().applied_index;
        let mut stats = self.watch();
        let taken = async {
            loop {
                let triggered = inner.engine.trigger().snapshot().await;
                triggered.map_err(|error| inner.read_error(RaftError::Fatal(error)))?;
                let done = stats.wait_for(|stats| stats.snapshot_index >= applied || !stats.is_running);
                // If a snapshot had just begun, the trigger is ignored, and that snapshot may end before the wanted
                // index.
                match timeout(&*inner.world.clock, SNAPSHOT_RETRIGGER, done).await {
                    Ok(Ok(stats)) if stats.is_running => return Ok(stats.snapshot_index),
                    Ok(_) => return Err(inner.fatal.first().map_or(ReadError::Shutdown, ReadError::Fatal)),
                    Err(_) => {}
                }
            }
        };
        timeout(&*inner.world.clock, at_most, taken).await.unwrap_or(Err(ReadError::Timeout))
    }

    /// Whether this server believes that it leads. To be sure, use [`Raft::read_barrier`].
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.inner.stats.borrow().is_leader()
    }

    /// The leader this server knows.
    #[must_use]
    pub fn leader(&self) -> Option<Member> {
        self.inner.stats.borrow().leader.clone()
    }

    /// The term this server knows.
    #[must_use]
    pub fn term(&self) -> u64 {
        self.inner.stats.borrow().term
    }

    /// The current state of the node.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = self.inner.stats.borrow().clone();
        stats.last_leader_contact = self.last_contact(&stats);
        stats.snapshot_failure = self.inner.progress.failure();
        stats.read_only = self.inner.writable().err().map(str::to_owned);
        stats
    }

    /// A receiver of the node's state. The time of the last contact with the leader is not kept current in it.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Stats> {
        self.inner.stats.clone()
    }

    /// The fatal error that stopped the node, if there was one.
    #[must_use]
    pub fn fatal(&self) -> Option<Fatal> {
        self.inner.fatal.first()
    }

    /// Changes how many entries lead to a snapshot, and how often this is checked.
    pub fn plan_snapshots(&self, entries: u64, interval: Duration) {
        let plan = Plan { interval, entries };
        self.inner.plan.send_if_modified(|own| std::mem::replace(own, plan) != plan);
    }

    /// The settings with which the node was started.
    #[must_use]
    pub fn config(&self) -> &RaftConfig {
        &self.inner.config
    }

    /// Stops the node: it refuses messages and proposals, then flushes and closes the log. It does not transfer the
    /// leadership; see [`Raft::transfer_leader`]. Idempotent.
    pub async fn shutdown(&self) {
        let inner = &*self.inner;
        if let Err(error) = inner.engine.shutdown().await {
            tracing::error!(%error, "the consensus engine did not stop cleanly");
        }
        if let Some(durable) = &inner.durable {
            durable.close().await;
        }
        inner.scope.shutdown(SHUTDOWN_TIMEOUT, SHUTDOWN_TIMEOUT).await;
        inner.lock.lock().take();
    }

    async fn campaign_if_alone(&self) -> Result<(), StartError> {
        let inner = &*self.inner;
        let stats = self.stats();
        if let [only] = stats.voters.as_slice()
            && only.id == inner.config.id
        {
            let elected = inner.engine.trigger().elect(false).await;
            elected.map_err(|error| inner.fatal.first_or(|| error.to_string()))?;
        }
        Ok(())
    }
}

impl Inner {
    fn writable(&self) -> Result<(), &'static str> {
        match &self.durable {
            Some(durable) if durable.reserve().is_full() => Err(READ_ONLY),
            Some(_) | None => Ok(()),
        }
    }

    /// The error that stopped the engine; `None` if it was asked to stop.
    pub(crate) fn stopped(&self, error: &EngineFatal<TypeConfig>) -> Option<Fatal> {
        match (self.fatal.first(), error) {
            (Some(first), _) => Some(first),
            (None, EngineFatal::Stopped) => None,
            (None, EngineFatal::Panicked | EngineFatal::StorageError(_)) => {
                self.fatal.raise(Fatal::Engine { reason: error.to_string() });
                self.fatal.first()
            }
        }
    }

    fn propose_error(&self, error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> ProposeError {
        match error {
            RaftError::APIError(ClientWriteError::ForwardToLeader(to)) => {
                ProposeError::NotLeader { leader: leader_of(to) }
            }
            RaftError::APIError(ClientWriteError::LogEntryDiscarded(_)) => {
                ProposeError::Unknown { reason: "another leader took over" }
            }
            RaftError::APIError(
                error
                @ (ClientWriteError::ChangeMembershipError(_) | ClientWriteError::PreconditionFailed(_)),
            ) => ProposeError::Fatal(Fatal::Engine { reason: error.to_string() }),
            RaftError::Fatal(error) => {
                self.stopped(&error).map_or(ProposeError::Shutdown, ProposeError::Fatal)
            }
        }
    }

    fn read_error(&self, error: RaftError<TypeConfig, LinearizableReadError<TypeConfig>>) -> ReadError {
        match error {
            RaftError::APIError(LinearizableReadError::ForwardToLeader(to)) => {
                ReadError::NotLeader { leader: leader_of(to) }
            }
            RaftError::APIError(LinearizableReadError::QuorumNotEnough(_)) => ReadError::Timeout,
            RaftError::Fatal(error) => self.stopped(&error).map_or(ReadError::Shutdown, ReadError::Fatal),
        }
    }

    fn handle_error(&self, error: RaftError<TypeConfig>) -> HandleError {
        match error {
            RaftError::APIError(never) => match never {},
            RaftError::Fatal(error) => self.stopped(&error).map_or(HandleError::Shutdown, HandleError::Fatal),
        }
    }
}

impl Contact {
    fn heard(&self, at: Instant) {
        let nanos = u64::try_from(at.since_epoch().as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_max(nanos, Ordering::Relaxed);
    }

    fn last(&self) -> Option<Instant> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(Instant::from_epoch(Duration::from_nanos(nanos))),
        }
    }
}

/// The leader that a redirect names. `None` if its address is not known, because then the redirect helps nobody.
pub(crate) fn leader_of(forward: ForwardToLeader<TypeConfig>) -> Option<Member> {
    forward.leader_id.zip(forward.leader_node).map(|(id, node)| Member { id, node })
}

async fn publish_stats(
    engine: Engine,
    publish: watch::Sender<Stats>,
    contact: Arc<Contact>,
    fatal: Arc<FatalSlot>,
) {
    let mut metrics = engine.metrics();
    loop {
        let changed = metrics.changed().await;
        let (stats, ended) = {
            let metrics: &RaftMetrics<TypeConfig> = &metrics.borrow_watched();
            let ended = match &metrics.running_state {
                Err(EngineFatal::Stopped) => None,
                Err(error) => Some(error.to_string()),
                Ok(()) => changed.is_err().then(|| "it ended without a reason".to_owned()),
            };
            (Stats::of(metrics, contact.last()), ended)
        };
        if let Some(reason) = ended {
            // Whatever stopped the engine: the process must not continue without consensus.
            fatal.raise(Fatal::Engine { reason });
        }
        let over = changed.is_err() || !stats.is_running;
        publish.send_replace(stats);
        if over {
            publish.send_modify(|stats| {
                stats.is_running = false;
                stats.role = crate::stats::Role::Stopped;
            });
            return;
        }
    }
}

/// While the disk is full, checks periodically whether there is space again.
async fn set_aside_again(reserve: Arc<Reserve>, world: World, scope: Scope) {
    let mut full = reserve.watch();
    loop {
        tokio::select! {
            biased;
            () = scope.cancelled() => return,
            changed = full.wait_for(|full| *full) => if changed.is_err() { return },
        }
        tokio::select! {
            biased;
            () = scope.cancelled() => return,
            () = world.clock.sleep(RESERVE_LOOK) => {}
        }
        let reserve = Arc::clone(&reserve);
        let looked = scope.spawn_blocking("reserve", move || reserve.refill()).join().await;
        match looked {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "cannot reserve disk space for the log"),
            Err(end) => tracing::warn!(%end, "cannot reserve disk space for the log"),
        }
    }
}

fn unreadable(error: SnapshotError) -> StartError {
    match error {
        SnapshotError::Disk(error) => StartError::Disk(error),
        error @ (SnapshotError::Damaged { .. } | SnapshotError::Format { .. }) => {
            StartError::Damaged { reason: error.to_string() }
        }
    }
}

impl<R> Clone for Raft<R> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), reply: PhantomData }
    }
}

impl<R> fmt::Debug for Raft<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = self.inner.stats.borrow();
        f.debug_struct("Raft")
            .field("id", &stats.id)
            .field("role", &stats.role)
            .field("term", &stats.term)
            .finish_non_exhaustive()
    }
}

impl<M> fmt::Debug for Parts<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("storage", &self.storage).finish_non_exhaustive()
    }
}
