//! Requests of the agent to the program around it.

use std::sync::Arc;

use concord_acl::{Labelled, Level, Right};
use concord_api::agent::Reloaded;
use concord_model::NodeName;
use concord_rpc::{Caller, RpcError};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::limits::AGENT_REQUESTS;

/// Requests that only the program around the agent can carry out.
#[derive(Debug)]
pub enum AgentRequest {
    /// Leave the cluster and stop.
    Leave {
        /// Receives the result once leaving has begun, or the reason why it cannot.
        done: oneshot::Sender<Result<(), RpcError>>,
    },
    /// Read the configuration again.
    Reload {
        /// Receives the new settings, or the reason why nothing has changed.
        done: oneshot::Sender<Result<Reloaded, RpcError>>,
    },
    /// The data on disk can no longer be trusted, so the process must stop.
    End {
        /// What happened.
        reason: String,
    },
}

/// Asks the program around the agent to leave or to reload.
#[derive(Clone, Debug)]
pub struct Program {
    node: NodeName,
    requests: mpsc::Sender<AgentRequest>,
    taken: Arc<Mutex<Option<mpsc::Receiver<AgentRequest>>>>,
}

/// Asks the program to stop the process.
#[derive(Clone, Debug)]
pub(crate) struct Halt(mpsc::Sender<AgentRequest>);

impl Program {
    pub(crate) fn new(node: NodeName) -> (Self, Halt) {
        let (requests, taken) = mpsc::channel(AGENT_REQUESTS);
        let halt = Halt(requests.clone());
        (Self { node, requests, taken: Arc::new(Mutex::new(Some(taken))) }, halt)
    }

    /// The requests to the program. `None` if they were taken already.
    pub fn requests(&self) -> Option<mpsc::Receiver<AgentRequest>> {
        self.taken.lock().take()
    }

    /// Leaves the cluster; then the process stops. Needs `agent:write` on the node.
    pub async fn leave(&self, caller: &Caller) -> Result<(), RpcError> {
        self.wish(caller, |done| AgentRequest::Leave { done }).await
    }

    /// Reads the configuration again. Needs `agent:write` on the node.
    pub async fn reload(&self, caller: &Caller) -> Result<Reloaded, RpcError> {
        self.wish(caller, |done| AgentRequest::Reload { done }).await
    }

    async fn wish<T>(
        &self,
        caller: &Caller,
        request: impl FnOnce(oneshot::Sender<Result<T, RpcError>>) -> AgentRequest,
    ) -> Result<T, RpcError> {
        caller.require(&Right::named(Labelled::Agent, self.node.as_str(), Level::Write))?;
        let (done, outcome) = oneshot::channel();
        let busy = || RpcError::Busy("the agent is busy leaving or reloading, try again later".to_owned());
        self.requests.try_send(request(done)).map_err(|_| busy())?;
        outcome.await.map_err(|_| RpcError::ShuttingDown)?
    }
}

impl Halt {
    pub(crate) fn must_end(&self, reason: String) {
        tracing::error!(%reason, "the agent cannot continue");
        let _ = self.0.try_send(AgentRequest::End { reason });
    }
}
