//! The log and the state that it produces: access for reading and writing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use concord_model::{Now, Timestamp, Uuid};
use concord_raft::{ProposeError, Raft, ReadError, Stats};
use concord_rpc::{Answer, Consistency, RpcError};
use concord_runtime::World;
use concord_state::reply::EntryRefusal;
use concord_state::{Command, CommandReply, Envelope, Refusal, View};
use tokio::sync::watch;
use tracing::debug;

use crate::machine::Published;

/// The log and the state that it produces.
pub(crate) struct Log {
    raft: Raft<CommandReply>,
    pub(crate) published: Arc<Published>,
    pub(crate) world: World,
}

impl Log {
    pub(crate) fn new(raft: Raft<CommandReply>, published: Arc<Published>, world: World) -> Self {
        Self { raft, published, world }
    }

    /// The term in which this server leads. `None` if it does not lead.
    pub(crate) fn leading_term(&self) -> Option<u64> {
        self.raft.is_leader().then(|| self.raft.term())
    }

    /// The statistics.
    pub(crate) fn stats(&self) -> Stats {
        self.raft.stats()
    }

    /// A receiver that is notified when a statistic changes, and thereby when leadership does.
    pub(crate) fn changes(&self) -> watch::Receiver<Stats> {
        self.raft.watch()
    }

    /// Changes how many entries lead to a snapshot, and how often this is checked.
    pub(crate) fn plan_snapshots(&self, entries: u64, interval: Duration) {
        self.raft.plan_snapshots(entries, interval);
    }

    /// Closes the log.
    pub(crate) async fn close(&self) {
        self.raft.shutdown().await;
    }

    /// The time of both clocks.
    pub(crate) fn both(&self) -> Now {
        let (wall, uptime) = self.world.clock.both();
        Now { wall: Timestamp::from_nanos(wall), uptime }
    }

    /// The time of the wall clock, as commands record it.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.world.clock.wall_nanos())
    }

    /// The newest view.
    pub(crate) fn view(&self) -> Arc<View> {
        self.published.view()
    }

    /// The cluster id, once the cluster has one.
    pub(crate) fn cluster_id(&self) -> Option<Uuid> {
        self.view().read().cluster_id()
    }

    /// A fresh random identifier.
    pub(crate) fn uuid(&self) -> Uuid {
        let mut bits = [0u8; 16];
        self.world.entropy.fill(&mut bits);
        Uuid(bits)
    }

    /// Confirms that this server leads and has applied all that was committed before.
    pub(crate) async fn barrier(&self) -> Result<(), RpcError> {
        self.raft.read_barrier().await.map(|_| ()).map_err(|error| read_error(&error))
    }

    /// Reads the state while this server holds its lease. Without a lease it first asks the other servers whether it
    /// still leads.
    pub(crate) async fn leased<T>(&self, look: impl Fn() -> Result<T, RpcError>) -> Result<T, RpcError> {
        self.raft.leased(look).await.map_err(|error| read_error(&error))?
    }

    /// Writes a command to the log. Returns the result of applying it, and its index.
    pub(crate) async fn propose(&self, command: impl Into<Command>) -> Result<(CommandReply, u64), RpcError> {
        let command = command.into();
        let name = command.name();
        let envelope = Envelope::new(command, self.now(), self.cluster_id());
        let bytes = envelope.encode().map_err(|error| RpcError::Internal(error.to_string()))?;
        let committed = self.raft.propose(Bytes::from(bytes)).await.map_err(|error| propose_error(&error))?;
        debug!(command = name, index = committed.index, "applied");
        Ok((committed.reply, committed.index))
    }

    /// Like [`Log::propose`], but returns refusals as errors.
    pub(crate) async fn write(&self, command: impl Into<Command>) -> Result<(CommandReply, u64), RpcError> {
        let (reply, index) = self.propose(command).await?;
        let reply = reply.accepted().map_err(|refusal| refused(&refusal))?;
        Ok((reply, index))
    }

    /// Builds an answer with the current information about the leader.
    pub(crate) fn answer<T>(
        &self,
        value: T,
        index: u64,
        filtered: bool,
        consistency: Consistency,
    ) -> Answer<T> {
        let (known_leader, contact) = self.raft.leader_contact();
        let contact = contact.map_or(Duration::ZERO, |at| self.world.clock.now() - at);
        // A leader without a lease has had no contact either.
        let last_contact = if self.raft.has_lease() { Duration::ZERO } else { contact };
        Answer { value, index, known_leader, last_contact, filtered, consistency }
    }

    /// The answer to a write.
    pub(crate) fn written<T>(&self, value: T, index: u64) -> Answer<T> {
        self.answer(value, index, false, Consistency::Default)
    }
}

fn read_error(error: &ReadError) -> RpcError {
    match error {
        ReadError::NotLeader { .. } | ReadError::Timeout => RpcError::NoLeader,
        ReadError::Shutdown => RpcError::ShuttingDown,
        ReadError::Fatal(fatal) => RpcError::Internal(fatal.to_string()),
    }
}

fn propose_error(error: &ProposeError) -> RpcError {
    match error {
        ProposeError::NotLeader { .. } => RpcError::NoLeader,
        ProposeError::ReadOnly { reason } => RpcError::ReadOnly((*reason).to_owned()),
        ProposeError::Busy => RpcError::Busy("too many writes are under way, try again later".to_owned()),
        ProposeError::TooLarge { .. } => RpcError::Invalid(error.to_string()),
        ProposeError::Unknown { .. } => RpcError::OutcomeUnknown,
        ProposeError::Shutdown => RpcError::ShuttingDown,
        ProposeError::Fatal(fatal) => RpcError::Internal(fatal.to_string()),
    }
}

/// Translates a refusal of the state into an error of the request.
pub(crate) fn refused(refusal: &Refusal) -> RpcError {
    if let Refusal::Entry(EntryRefusal::Graph(fault)) = refusal {
        return RpcError::Rejected(fault.to_string());
    }
    match refusal.blame() {
        concord_state::Blame::Caller => RpcError::Invalid(refusal.to_string()),
        concord_state::Blame::Conflict => RpcError::Conflict(refusal.to_string()),
    }
}
