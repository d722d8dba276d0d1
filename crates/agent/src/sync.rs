//! Anti-entropy: the catalog is made to match the local registrations, never the other way round.
//!
//! Every change is sent at once. A full comparison follows about every minute. The agent is the authority for its
//! node: records that only the catalog has are removed, except the servers' own service and the gossip pool's own
//! check. [`diff`] decides what to send; this module sends it.

mod diff;

use concord_model::catalog::{Deregistration, Registration};
use concord_rpc::request::{Deregister, NodeDump, Register};
use concord_rpc::{Consistency, Head, RpcError, ServerApiExt};
use concord_runtime::Backoff;

use self::diff::{Covers, Outcome, Step};
use crate::agent::Agent;
use crate::limits::{DEV_JITTER_MAX, SYNC_RETRY_MAX, SYNC_RETRY_MIN};

impl Agent {
    /// Synchronises with the catalog until the agent ends.
    pub(crate) async fn keep_synchronised(self) {
        let mut changes = self.inner.changed.subscribe();
        let mut tokens = self.inner.own.changed();
        let mut backoff = if self.inner.config.dev {
            Backoff::new(SYNC_RETRY_MIN, DEV_JITTER_MAX)
        } else {
            Backoff::new(SYNC_RETRY_MIN, SYNC_RETRY_MAX)
        };
        let mut full_at = self.inner.world.clock.now();
        loop {
            changes.mark_unchanged();
            let now = self.inner.world.clock.now();
            let wake_at = match self.exchange(now >= full_at).await {
                Ok(()) => {
                    backoff.reset();
                    if now >= full_at {
                        full_at = now + self.sync_interval();
                    }
                    let deferred = self.inner.local.lock().next_deferred();
                    deferred.map_or(full_at, |at| at.min(full_at))
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot update the catalog, will retry");
                    let pause = backoff.next(&*self.inner.world.entropy);
                    // While no server answers, a local change is no reason to try earlier. A new token is one.
                    tokio::select! {
                        biased;
                        () = self.pause(pause) => {}
                        _ = tokens.changed() => full_at = self.inner.world.clock.now(),
                    }
                    continue;
                }
            };
            tokio::select! {
                biased;
                () = self.inner.scope.cancelled() => return,
                _ = changes.changed() => {}
                // Send again what was refused with the old token.
                _ = tokens.changed() => full_at = self.inner.world.clock.now(),
                () = self.inner.world.clock.sleep_until(wake_at) => {}
            }
            if self.inner.scope.is_cancelled() {
                return;
            }
        }
    }

    /// Sends all differences to the catalog. With `full`, first compares everything.
    async fn exchange(&self, full: bool) -> Result<(), RpcError> {
        if self.inner.scope.is_cancelled() {
            return Ok(());
        }
        if full {
            self.compare().await?;
        }
        loop {
            let now = self.inner.world.clock.now();
            let step = diff::next_step(&mut self.inner.local.lock(), &self.inner.own.now(), now);
            let Some(step) = step else { return Ok(()) };
            self.carry_out(step).await?;
        }
    }

    async fn compare(&self) -> Result<(), RpcError> {
        let config = self.inner.own.now();
        let head = Head {
            token: config.node_token().cloned(),
            consistency: Consistency::Default,
            ..Head::default()
        };
        let answer = self.inner.servers.call(head, NodeDump { node: config.node.clone() }).await?;
        let changed = {
            let mut local = self.inner.local.lock();
            diff::recall(&mut local, answer.value.as_ref(), self.inner.world.clock.now());
            diff::compare(&mut local, &config.node_record(), answer.value.as_ref())
        };
        if changed {
            self.noticed();
        }
        Ok(())
    }

    async fn carry_out(&self, step: Step) -> Result<(), RpcError> {
        let (covers, kind, answer) = match step {
            Step::Register { request, token, covers } => {
                let kind = covers.kind();
                (covers, kind, self.register(token, *request).await)
            }
            Step::Deregister { request, token, covers } => {
                let kind = covers.kind();
                (covers, kind, self.deregister(token, request).await)
            }
        };
        let outcome = match answer {
            Ok(()) => Outcome::Told,
            Err(error) if error.is_retryable() => return Err(error),
            Err(error) => {
                metrics::counter!("concord_agent_sync_blocked_total", "kind" => kind).increment(1);
                tracing::warn!(what = %covers, %error, "the catalog refused the update; will retry at the next full comparison");
                Outcome::Refused
            }
        };
        diff::done(&mut self.inner.local.lock(), &covers, outcome);
        Ok(())
    }

    async fn register(
        &self,
        token: Option<concord_model::Secret>,
        request: Registration,
    ) -> Result<(), RpcError> {
        self.inner.servers.call(Head::with_token(token), Register(request)).await.map(|_| ())
    }

    async fn deregister(
        &self,
        token: Option<concord_model::Secret>,
        request: Deregistration,
    ) -> Result<(), RpcError> {
        self.inner.servers.call(Head::with_token(token), Deregister(request)).await.map(|_| ())
    }

    async fn pause(&self, pause: std::time::Duration) {
        tokio::select! {
            biased;
            () = self.inner.scope.cancelled() => {}
            () = self.inner.world.clock.sleep(pause) => {}
        }
    }

    fn sync_interval(&self) -> std::time::Duration {
        let interval = self.inner.config.sync_interval;
        let spread = if self.inner.config.dev { interval.min(DEV_JITTER_MAX) } else { interval };
        interval + self.inner.world.entropy.jitter(spread)
    }
}

impl std::fmt::Display for Covers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { node, service, checks, gone_service, gone_check } = self;
        let mut parts = Vec::new();
        parts.extend(node.then(|| "the node".to_owned()));
        parts.extend(service.iter().map(|(id, _)| format!("service {id}")));
        parts.extend(checks.iter().map(|(id, _)| format!("check {id}")));
        parts.extend(gone_service.iter().map(|id| format!("removal of service {id}")));
        parts.extend(gone_check.iter().map(|id| format!("removal of check {id}")));
        f.write_str(&parts.join(", "))
    }
}
