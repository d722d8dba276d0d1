//! Reads: a query is evaluated on a view, and again when data that it read has changed.

use std::cell::Cell;
use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::Arc;

use concord_model::{Secret, Timestamp};
use concord_raft::Stats;
use concord_rpc::{Answer, Caller, Consistency, Head, Need, Request, RpcError};
use concord_runtime::Instant;
use concord_state::{ReadSet, Reader, View};
use parking_lot::Mutex;

use crate::caller::Resolver;
use crate::config::ServerConfig;
use crate::limits::{STUDY_TIME, WAIT_JITTER_PART};
use crate::log::Log;
use crate::parts::Core;
use crate::studies::Patience;

/// What a query may use: one view, one caller, one moment.
pub(crate) struct Reading<'a> {
    /// Reads the view and records the keys that were read.
    pub(crate) reader: Reader,
    /// The caller.
    pub(crate) caller: &'a Caller,
    /// The time of the evaluation; it does not change during one.
    pub(crate) now: Timestamp,
    /// The server's settings.
    pub(crate) config: &'a ServerConfig,
    /// Resolves tokens to rights.
    pub(crate) resolver: &'a Resolver,
    log: &'a Log,
    hidden: Cell<bool>,
    patience: Option<&'a Patience>,
}

impl Reading<'_> {
    /// Notes that the caller's rights hid something.
    pub(crate) fn hide(&self) {
        self.hidden.set(true);
    }

    /// Whether a study should come to its end, because nobody waits for it or its time is up.
    pub(crate) fn enough(&self) -> bool {
        self.patience.is_some_and(Patience::is_over)
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

    /// The caller's token, if it has one of its own.
    pub(crate) fn secret(&self) -> Option<&Secret> {
        self.caller.token.as_ref().filter(|secret| !secret.is_empty())
    }

    /// The statistics of this server and its log.
    pub(crate) fn stats(&self) -> Stats {
        self.log.stats()
    }
}

/// The result of one evaluation.
pub(crate) struct Evaluated<T> {
    value: T,
    /// Whether the caller's rights hid something and the caller may be told.
    hidden: bool,
    read: ReadSet,
    /// The keys that the caller's rights were read from.
    of_token: ReadSet,
}

/// A query: computes the reply to a request from one view.
pub(crate) type Query<R> = fn(&mut Reading<'_>, &R) -> Result<<R as Request>::Reply, RpcError>;

impl Core {
    /// Answers a read. It evaluates the query. While the answer is not newer than the caller's index, it waits for a
    /// change of the keys that were read, and evaluates again. These keys include the caller's token and policies,
    /// unless the answer is public.
    pub(crate) async fn read<R: Request>(
        &self,
        head: &Head,
        request: &R,
        query: Query<R>,
    ) -> Result<Answer<R::Reply>, RpcError> {
        let deadline = self.deadline(head);
        loop {
            // Many queries wait at the same time: while one waits, nothing is kept of its evaluation but what it read.
            match Box::pin(self.answer_now(head, request, query, deadline)).await? {
                Break(answer) => return Ok(answer),
                Continue(read) => self.wait_for_change(read, deadline).await?,
            }
        }
    }

    /// Evaluates the query. The result is its answer, or what it read if the caller knows the answer and has time.
    async fn answer_now<R: Request>(
        &self,
        head: &Head,
        request: &R,
        query: Query<R>,
        deadline: Instant,
    ) -> Result<ControlFlow<Answer<R::Reply>, Box<ReadSet>>, RpcError> {
        let evaluate = || self.evaluate(&self.log.view(), head, request, query, None);
        let Evaluated { value, hidden, mut read, of_token } = match head.consistency {
            Consistency::Stale => evaluate()?,
            Consistency::Default => {
                self.lead().await?;
                self.log.leased(evaluate).await?
            }
            Consistency::Consistent => {
                self.lead().await?;
                self.log.barrier().await?;
                evaluate()?
            }
        };
        // Other rights can give another answer, so a change of the token or its policies also ends the wait.
        let index = match request.need() {
            Need::Open => read.index(),
            Need::Filtered
            | Need::CheckedAt(_)
            | Need::Right(_)
            | Need::All(_)
            | Need::AnyOf(_)
            | Need::OwnToken => read.index().max(of_token.index()),
        };
        // A smaller index also counts as a new answer: the state was replaced, or the caller's index came from
        // elsewhere.
        let news = head.min_index == 0 || index != head.min_index;
        if news || self.world.clock.now() >= deadline {
            return Ok(Break(self.log.answer(value, index, hidden, head.consistency)));
        }
        read.merge(of_token);
        Ok(Continue(Box::new(read)))
    }

    /// Waits until something that was read changes, or until the deadline.
    async fn wait_for_change(&self, read: Box<ReadSet>, deadline: Instant) -> Result<(), RpcError> {
        let keys = read.keys().cloned().collect();
        let waiter = self.log.published.hub.register(keys);
        let waiter = waiter.map_err(|error| RpcError::Busy(error.to_string()))?;
        // Compare only the keys that were read: other writes must not keep the query from sleeping.
        if !read.holds_in(&self.log.view()) {
            return Ok(());
        }
        let until = self.until(deadline, read.valid_until());
        drop(read);
        tokio::select! {
            biased;
            () = self.scope.cancelled() => return Err(RpcError::ShuttingDown),
            () = waiter.woken() => {}
            () = self.world.clock.sleep_until(until) => {}
        }
        Ok(())
    }

    /// Answers a read that can take long ([`crate::studies`]). It cannot wait for changes.
    pub(crate) async fn study<R: Request>(
        self: &Arc<Self>,
        head: &Head,
        request: R,
        query: Query<R>,
    ) -> Result<Answer<R::Reply>, RpcError> {
        if head.consistency != Consistency::Stale {
            self.lead().await?;
            self.log.barrier().await?;
        }
        let clock = &self.world.clock;
        let turn = self.studies.turn(&**clock).await?;
        let asker = Arc::new(());
        let patience = Patience::new(&asker, &self.scope, clock, STUDY_TIME);
        let (core, head_there) = (Arc::clone(self), head.clone());
        let result = Arc::new(Mutex::new(None));
        let place = Arc::clone(&result);
        let work = move || {
            // The turn ends with the work, not with the request.
            let _turn = turn;
            let view = core.log.view();
            *place.lock() = Some(core.evaluate(&view, &head_there, &request, query, Some(&patience)));
        };
        self.config.workers.run(Box::new(work)).await;
        drop(asker);
        let evaluated = result.lock().take().ok_or(RpcError::ShuttingDown)?;
        let Evaluated { value, hidden, read, of_token } = evaluated?;
        Ok(self.log.answer(value, read.index().max(of_token.index()), hidden, head.consistency))
    }

    /// Evaluates a query once, on one view. A study has patience.
    pub(crate) fn evaluate<R: Request>(
        &self,
        view: &View,
        head: &Head,
        request: &R,
        query: Query<R>,
        patience: Option<&Patience>,
    ) -> Result<Evaluated<R::Reply>, RpcError> {
        let now = self.log.now();
        let mut of_token = view.read();
        let caller = self.resolver.resolve(&mut of_token, head.token.as_ref(), now)?;
        caller.meet(&request.need())?;
        let mut reading = Reading {
            reader: view.read(),
            caller: &caller,
            now,
            config: &self.config,
            resolver: &self.resolver,
            log: &self.log,
            hidden: Cell::new(false),
            patience,
        };
        let value = query(&mut reading, request)?;
        let Reading { reader, hidden, .. } = reading;
        let hidden = hidden.get() && !caller.is_anonymous();
        Ok(Evaluated { value, hidden, read: reader.finish(), of_token: of_token.finish() })
    }

    fn deadline(&self, head: &Head) -> Instant {
        let now = self.world.clock.now();
        if head.min_index == 0 {
            return now;
        }
        let asked = head.wait.filter(|wait| !wait.is_zero()).unwrap_or(self.config.default_query_time);
        let wait = asked.min(self.config.max_query_time);
        now + wait + self.world.entropy.jitter(wait / WAIT_JITTER_PART)
    }

    /// The earlier of two times: the deadline, and the moment when the answer changes because something expires.
    fn until(&self, deadline: Instant, valid_until: Option<Timestamp>) -> Instant {
        match valid_until {
            Some(end) => deadline.min(self.world.clock.now() + end.since(self.log.now())),
            None => deadline,
        }
    }
}
