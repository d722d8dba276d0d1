//! Anti-entropy: the catalog is made to match the local registrations, never the other way round.
//!
//! Every change is sent at once. A full comparison follows about every minute. The agent is the authority for its
//! node: records that only the catalog has are removed, except the servers' own service and the gossip pool's own
//! check. [`diff`] decides what to send; this module sends it.

mod diff;

use std::sync::Arc;
use std::time::Duration;

use concord_rpc::request::{Deregister, NodeDump, Register};
use concord_rpc::{Consistency, Head, RpcError, ServerApi, ServerApiExt};
use concord_runtime::Backoff;

pub(crate) use self::diff::service_token;
use self::diff::{Covers, Outcome, Step};
use crate::limits::{DEV_JITTER_MAX, SYNC_RETRY_MAX, SYNC_RETRY_MIN};
use crate::local::{Local, LocalState};
use crate::site::Site;

/// Synchronises the catalog with the local registrations.
pub(crate) struct Synchroniser {
    pub(crate) site: Site,
    pub(crate) local: LocalState,
    pub(crate) servers: Arc<dyn ServerApi>,
}

impl Synchroniser {
    /// Synchronises with the catalog until the agent ends.
    pub(crate) async fn run(self) {
        let mut changes = self.local.changes();
        let mut settings = self.site.clone();
        let mut backoff = if self.site.config.dev {
            Backoff::new(SYNC_RETRY_MIN, DEV_JITTER_MAX)
        } else {
            Backoff::new(SYNC_RETRY_MIN, SYNC_RETRY_MAX)
        };
        let mut full_at = self.site.world.clock.now();
        loop {
            changes.mark_unchanged();
            let now = self.site.world.clock.now();
            let wake_at = match self.exchange(now >= full_at).await {
                Ok(()) => {
                    backoff.reset();
                    if now >= full_at {
                        full_at = now + self.sync_interval();
                    }
                    let deferred = self.local.look(Local::next_deferred);
                    deferred.map_or(full_at, |at| at.min(full_at))
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot update the catalog, will retry");
                    let pause = backoff.next(&*self.site.world.entropy);
                    // While no server answers, a local change is no reason to try earlier. A new token is one.
                    tokio::select! {
                        biased;
                        () = self.site.scope.cancelled() => {}
                        () = self.site.world.clock.sleep(pause) => {}
                        () = settings.changed() => full_at = self.site.world.clock.now(),
                    }
                    continue;
                }
            };
            tokio::select! {
                biased;
                () = self.site.scope.cancelled() => return,
                _ = changes.changed() => {}
                // Send again what was refused with the old token.
                () = settings.changed() => full_at = self.site.world.clock.now(),
                () = self.site.world.clock.sleep_until(wake_at) => {}
            }
            if self.site.scope.is_cancelled() {
                return;
            }
        }
    }

    /// Sends all differences to the catalog. With `full`, first compares everything.
    async fn exchange(&self, full: bool) -> Result<(), RpcError> {
        if self.site.scope.is_cancelled() {
            return Ok(());
        }
        if full {
            self.compare().await?;
        }
        loop {
            let now = self.site.world.clock.now();
            let step = self.local.edit(|local| diff::next_step(local, &self.site.now(), now));
            let Some(step) = step else { return Ok(()) };
            self.carry_out(step).await?;
        }
    }

    async fn compare(&self) -> Result<(), RpcError> {
        let config = self.site.now();
        let head = Head {
            token: config.node_token().cloned(),
            consistency: Consistency::Default,
            ..Head::default()
        };
        let answer = self.servers.call(head, NodeDump::of(config.node.clone())).await?;
        self.local.edit(|local| {
            diff::recall(local, answer.value.as_ref(), self.site.world.clock.now());
            diff::compare(local, &config.node_record(), answer.value.as_ref());
        });
        Ok(())
    }

    async fn carry_out(&self, step: Step) -> Result<(), RpcError> {
        let (covers, answer) = match step {
            Step::Register { request, token, covers } => {
                (covers, self.servers.call(Head::with_token(token), Register(*request)).await.map(drop))
            }
            Step::Deregister { request, token, covers } => {
                (covers, self.servers.call(Head::with_token(token), Deregister(request)).await.map(drop))
            }
        };
        let outcome = match answer {
            Ok(()) => Outcome::Told,
            Err(error) if error.is_retryable() => return Err(error),
            Err(error) => {
                metrics::counter!("concord_agent_sync_blocked_total", "kind" => covers.kind()).increment(1);
                tracing::warn!(what = %covers, %error, "the catalog refused the update; will retry at the next full comparison");
                Outcome::Refused
            }
        };
        self.local.edit(|local| diff::done(local, &covers, outcome));
        Ok(())
    }

    fn sync_interval(&self) -> Duration {
        let interval = self.site.config.sync_interval;
        let spread = if self.site.config.dev { interval.min(DEV_JITTER_MAX) } else { interval };
        interval + self.site.world.entropy.jitter(spread)
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
