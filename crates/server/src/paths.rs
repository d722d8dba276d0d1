//! The two paths of a server: reads from views, writes through the log.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use concord_model::{Now, Secret, Timestamp, Uuid};
use concord_raft::{ProposeError, Raft, ReadError};
use concord_rpc::{Answer, Caller, Consistency, Head, Need, RpcError};
use concord_runtime::{Instant, Scope, World, timeout};
use concord_state::reply::EntryRefusal;
use concord_state::{Command, CommandReply, Envelope, ReadSet, Reader, Refusal, View};
use tracing::debug;

use crate::ca::CaHost;
use crate::caller::Resolver;
use crate::config::ServerConfig;
use crate::leader::clock_watch::ClockWatch;
use crate::limits;
use crate::live::Live;
use crate::machine::Published;
use crate::router::Location;
use crate::turns::Turns;

/// What all parts of a server share.
pub(crate) struct Core {
    pub(crate) config: ServerConfig,
    pub(crate) world: World,
    pub(crate) scope: Scope,
    pub(crate) raft: Raft<CommandReply>,
    pub(crate) published: Arc<Published>,
    pub(crate) live: Live,
    pub(crate) resolver: Resolver,
    pub(crate) turns: Turns,
    pub(crate) ca: CaHost,
    pub(crate) clock_watch: ClockWatch,
    pub(crate) duties: crate::leader::Duties,
    pub(crate) location: Location,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("node", &self.config.node).finish_non_exhaustive()
    }
}

/// What one evaluation of a query works on.
#[derive(Debug)]
pub(crate) struct Eval<'a> {
    /// Reads the view and records what was read.
    pub(crate) reader: Reader,
    /// Who asks.
    pub(crate) caller: &'a Caller,
    /// The same moment for the whole evaluation.
    pub(crate) now: Timestamp,
    hidden: std::cell::Cell<bool>,
}

impl Eval<'_> {
    /// Notes that the caller's rights hid something.
    pub(crate) fn hide(&self) {
        self.hidden.set(true);
    }

    /// Keeps what the caller may see and notes whether anything was hidden.
    pub(crate) fn keep<T>(&self, all: impl IntoIterator<Item = T>, may: impl Fn(&T) -> bool) -> Vec<T> {
        let keep = |item: &T| {
            let seen = may(item);
            if !seen {
                self.hide();
            }
            seen
        };
        all.into_iter().filter(keep).collect()
    }
}

impl Core {
    /// Both clocks.
    pub(crate) fn both(&self) -> Now {
        let (wall, uptime) = self.world.clock.both();
        Now { wall: Timestamp::from_nanos(wall), uptime }
    }

    /// The wall clock, as it goes into commands.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.world.clock.wall_nanos())
    }

    /// The newest view.
    pub(crate) fn view(&self) -> Arc<View> {
        self.published.view()
    }

    /// Answers a read: evaluates, and while the answer is not newer than what the caller knows,
    /// waits for a change of something it was made from, and evaluates again. The caller's token and
    /// policies are a part of what an answer is made from, unless everybody may know it.
    pub(crate) async fn read<T>(
        &self,
        head: &Head,
        need: &Need,
        evaluate: impl Fn(&mut Eval<'_>) -> Result<T, RpcError> + Send + Sync,
    ) -> Result<Answer<T>, RpcError> {
        let deadline = self.deadline(head);
        loop {
            let read = || self.evaluate(&self.view(), head, need, &evaluate);
            let (value, hidden, set, of_token) = match head.consistency {
                Consistency::Stale => read(),
                Consistency::Default => {
                    self.lead().await?;
                    self.raft.leased(read).await.map_err(|error| read_error(&error))?
                }
                Consistency::Consistent => {
                    self.lead().await?;
                    self.barrier().await?;
                    read()
                }
            }?;
            // Other rights are another answer, so that a change of them ends the wait: with less, or with more.
            let index = match need {
                Need::Open => set.index(),
                Need::Filtered | Need::CheckedAt(_) | Need::Right(_) | Need::All(_) | Need::OwnToken => {
                    set.index().max(of_token.index())
                }
            };
            // A smaller index is news as well: the state was replaced, or the caller's number was never ours.
            let news = head.min_index == 0 || index != head.min_index;
            if news || self.world.clock.now() >= deadline {
                return Ok(self.answer(value, index, hidden, head.consistency));
            }
            let mut read = set;
            read.merge(of_token);
            let keys = read.keys().cloned().collect();
            let waiter =
                self.published.hub.register(keys).map_err(|error| RpcError::Busy(error.to_string()))?;
            // Only what was read counts: other writes must not keep a query from going to sleep.
            if !read.holds_in(&self.view()) {
                continue;
            }
            let until = self.until(deadline, read.valid_until());
            tokio::select! {
                biased;
                () = self.scope.cancelled() => return Err(RpcError::ShuttingDown),
                () = waiter.woken() => {}
                () = self.world.clock.sleep_until(until) => {}
            }
        }
    }

    #[allow(clippy::type_complexity, reason = "the parts of one evaluation, taken apart at once")]
    fn evaluate<T>(
        &self,
        view: &View,
        head: &Head,
        need: &Need,
        evaluate: &(impl Fn(&mut Eval<'_>) -> Result<T, RpcError> + Send + Sync),
    ) -> Result<(T, bool, ReadSet, ReadSet), RpcError> {
        let now = self.now();
        let mut of_token = view.read();
        let caller = self.resolver.resolve(&mut of_token, head.token.as_ref(), now)?;
        caller.meet(need)?;
        let mut eval =
            Eval { reader: view.read(), caller: &caller, now, hidden: std::cell::Cell::new(false) };
        let value = evaluate(&mut eval)?;
        let Eval { reader, hidden, .. } = eval;
        Ok((value, hidden.get() && !caller.is_anonymous(), reader.finish(), of_token.finish()))
    }

    fn answer<T>(&self, value: T, index: u64, filtered: bool, consistency: Consistency) -> Answer<T> {
        let stats = self.raft.stats();
        let contact = stats.last_leader_contact.map_or(Duration::ZERO, |at| self.world.clock.now() - at);
        // A leader that nobody confirms any more has no news either.
        let last_contact = if self.raft.has_lease() { Duration::ZERO } else { contact };
        Answer { value, index, known_leader: stats.leader.is_some(), last_contact, filtered, consistency }
    }

    /// Confirms that this server leads and has applied all that was committed before.
    pub(crate) async fn barrier(&self) -> Result<(), RpcError> {
        self.raft.read_barrier().await.map(|_| ()).map_err(|error| read_error(&error))
    }

    /// Waits a little for this server to lead and to have caught up. That it still leads when a view is read is for the
    /// lease or the barrier to say.
    pub(crate) async fn lead(&self) -> Result<(), RpcError> {
        if self.scope.is_cancelled() {
            return Err(RpcError::ShuttingDown);
        }
        if self.raft.is_leader() && self.duties.has_led() {
            return Ok(());
        }
        let led = timeout(&*self.world.clock, limits::LEADER_HOLD, self.duties.leading());
        tokio::select! {
            biased;
            () = self.scope.cancelled() => Err(RpcError::ShuttingDown),
            led = led => match led {
                Ok(()) if self.raft.is_leader() => Ok(()),
                Ok(()) | Err(_) => Err(RpcError::NoLeader),
            },
        }
    }

    fn deadline(&self, head: &Head) -> Instant {
        let now = self.world.clock.now();
        if head.min_index == 0 {
            return now;
        }
        let asked = head.wait.filter(|wait| !wait.is_zero()).unwrap_or(self.config.default_query_time);
        let wait = asked.min(self.config.max_query_time);
        now + wait + self.world.entropy.jitter(wait / limits::WAIT_JITTER_PART)
    }

    /// The earlier of the deadline and the moment the answer changes by itself.
    fn until(&self, deadline: Instant, valid_until: Option<Timestamp>) -> Instant {
        match valid_until {
            Some(end) => deadline.min(self.world.clock.now() + end.since(self.now())),
            None => deadline,
        }
    }

    /// Resolves the caller of a write on the newest view and checks what the request needs.
    pub(crate) async fn authorise(&self, head: &Head, need: &Need) -> Result<Caller, RpcError> {
        let resolve = || self.caller(head.token.as_ref());
        let caller = self.raft.leased(resolve).await.map_err(|error| read_error(&error))??;
        caller.meet(need)?;
        Ok(caller)
    }

    /// The caller behind a secret, as of now.
    pub(crate) fn caller(&self, secret: Option<&Secret>) -> Result<Caller, RpcError> {
        self.resolver.resolve(&mut self.view().read(), secret, self.now())
    }

    /// Writes a command to the log and returns what applying it came to.
    pub(crate) async fn propose(&self, command: impl Into<Command>) -> Result<(CommandReply, u64), RpcError> {
        let command = command.into();
        let name = command.name();
        let envelope = Envelope::new(command, self.now(), self.cluster_id());
        let bytes = envelope.encode().map_err(|error| RpcError::Internal(error.to_string()))?;
        let committed = self.raft.propose(Bytes::from(bytes)).await.map_err(|error| propose_error(&error))?;
        debug!(command = name, index = committed.index, "applied");
        Ok((committed.reply, committed.index))
    }

    /// As [`Core::propose`], with refusals as errors.
    pub(crate) async fn write(&self, command: impl Into<Command>) -> Result<(CommandReply, u64), RpcError> {
        let (reply, index) = self.propose(command).await?;
        let reply = reply.accepted().map_err(|refusal| refused(&refusal))?;
        Ok((reply, index))
    }

    /// The cluster's identity, once it has one.
    pub(crate) fn cluster_id(&self) -> Option<Uuid> {
        self.view().read().cluster_id()
    }

    /// A write's answer.
    pub(crate) fn written<T>(&self, value: T, index: u64) -> Answer<T> {
        self.answer(value, index, false, Consistency::Default)
    }

    /// A fresh random identifier.
    pub(crate) fn uuid(&self) -> Uuid {
        let mut bits = [0u8; 16];
        self.world.entropy.fill(&mut bits);
        Uuid(bits)
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

/// A refusal of the state in the words of the request.
pub(crate) fn refused(refusal: &Refusal) -> RpcError {
    if let Refusal::Entry(EntryRefusal::Graph(fault)) = refusal {
        return RpcError::Rejected(fault.to_string());
    }
    match refusal.blame() {
        concord_state::Blame::Caller => RpcError::Invalid(refusal.to_string()),
        concord_state::Blame::Conflict => RpcError::Conflict(refusal.to_string()),
    }
}
