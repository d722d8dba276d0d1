//! The queue of CA configuration changes: they run one after the other, and none waits for long.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::pending;

use concord_ca::rotation::Failure;
use concord_rpc::RpcError;
use concord_runtime::{Clock, Instant};
use tokio::sync::mpsc;

use super::host::Ask;
use crate::limits::{CA_CHANGE_HOLD, CA_CHANGES_WAITING};

/// The waiting changes.
#[derive(Debug)]
pub(super) struct Queue {
    asked: mpsc::Receiver<Ask>,
    /// Changes that arrived while another one was in progress, each with the end of its wait.
    waiting: VecDeque<(Instant, Ask)>,
}

impl Queue {
    pub(super) fn new(asked: mpsc::Receiver<Ask>) -> Self {
        Self { asked, waiting: VecDeque::new() }
    }

    /// The next change.
    pub(super) async fn next(&mut self) -> Ask {
        match self.waiting.pop_front() {
            Some((_, ask)) => ask,
            None => self.receive().await,
        }
    }

    /// Serves the queue while a change is in progress: a change that has waited too long is told to retry.
    pub(super) async fn keep(&mut self, clock: &dyn Clock) -> Infallible {
        loop {
            let late = self.waiting.front().map(|(until, _)| *until);
            let has_room = self.waiting.len() < CA_CHANGES_WAITING;
            tokio::select! {
                biased;
                ask = self.receive(), if has_room => {
                    self.waiting.push_back((clock.now() + CA_CHANGE_HOLD, ask));
                }
                () = until(clock, late) => if let Some((_, ask)) = self.waiting.pop_front() {
                    ask.refuse(RpcError::Busy(Failure::Busy.to_string()));
                }
            }
        }
    }

    /// Refuses all waiting changes.
    pub(super) fn refuse(&mut self, error: &RpcError) {
        let waiting = self.waiting.drain(..).map(|(_, ask)| ask);
        for ask in waiting.chain(std::iter::from_fn(|| self.asked.try_recv().ok())) {
            ask.refuse(error.clone());
        }
    }

    async fn receive(&mut self) -> Ask {
        match self.asked.recv().await {
            Some(ask) => ask,
            // The sender lives as long as the server.
            None => pending().await,
        }
    }
}

async fn until(clock: &dyn Clock, moment: Option<Instant>) {
    match moment {
        Some(moment) => clock.sleep_until(moment).await,
        None => pending().await,
    }
}
