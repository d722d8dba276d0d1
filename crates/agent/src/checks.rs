//! Making checks: a task per TCP check and per alias of another node, one for the passing of time.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use concord_model::catalog::{Check, CheckStatus};
use concord_model::registration::Probe;
use concord_model::{CheckId, InstanceId, NodeName};
use concord_rpc::request::NodeChecks;
use concord_rpc::{Head, ServerApiExt};
use concord_runtime::{Backoff, Instant, timeout};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio_util::sync::DropGuard;

use crate::agent::Agent;
use crate::limits::{DEV_JITTER_MAX, REAP_INTERVAL, REFRESH_WAIT};
use crate::local::{Report, alias_of};

/// The tasks that make checks, by check. Dropping one ends it.
#[derive(Debug, Default)]
pub(crate) struct Runners {
    running: Mutex<HashMap<CheckId, Runner>>,
}

#[derive(Debug)]
struct Runner {
    probe: Probe,
    _end: DropGuard,
}

impl Agent {
    /// Lets checks run as they are registered, lets time pass, removes what was critical too long.
    pub(crate) async fn keep_checks(self) {
        let mut changes = self.inner.changed.subscribe();
        let mut reap_at = self.inner.world.clock.now() + REAP_INTERVAL;
        loop {
            changes.mark_unchanged();
            self.reconcile_runners();
            let now = self.inner.world.clock.now();
            let next = {
                let mut local = self.inner.local.lock();
                local.tick(now);
                local.next_tick()
            };
            self.noticed();
            if now >= reap_at {
                reap_at = now + REAP_INTERVAL;
                self.reap_overdue(now).await;
            }
            let wake_at = next.map_or(reap_at, |next| next.min(reap_at));
            tokio::select! {
                biased;
                () = self.inner.scope.cancelled() => {
                    self.inner.runners.running.lock().clear();
                    return;
                }
                _ = changes.changed() => {}
                () = self.inner.world.clock.sleep_until(wake_at) => {}
            }
        }
    }

    async fn reap_overdue(&self, now: Instant) {
        let overdue = self.inner.local.lock().overdue(now);
        if overdue.is_empty() {
            return;
        }
        tracing::info!(services = ?overdue, "removing services that were critical for too long");
        if let Err(error) = self.reap(overdue).await {
            tracing::warn!(%error, "services that were critical for too long cannot be removed, will retry");
        }
    }

    /// Gives checks that were added, changed or removed the task they need.
    fn reconcile_runners(&self) {
        let rerun = self.inner.local.lock().take_rerun();
        let mut running = self.inner.runners.running.lock();
        for (id, probe) in rerun {
            let probe = probe.filter(needs_runner);
            if running.get(&id).map(|runner| &runner.probe) == probe.as_ref() {
                continue;
            }
            running.remove(&id);
            let Some(probe) = probe else { continue };
            let task = self.inner.scope.spawn("make a check", self.clone().make(id.clone(), probe.clone()));
            running.insert(id, Runner { probe, _end: task.abort_on_drop() });
        }
    }

    async fn make(self, id: CheckId, probe: Probe) {
        match probe {
            Probe::Ttl(_) | Probe::Alias { node: None, .. } => {}
            Probe::Tcp { address, interval, timeout } => {
                self.make_tcp(&id, &address, interval, timeout).await
            }
            Probe::Alias { node: Some(node), service } => self.make_alias(&id, node, service).await,
        }
    }

    async fn make_tcp(&self, id: &CheckId, address: &str, interval: Duration, within: Duration) {
        let clock = Arc::clone(&self.inner.world.clock);
        let stagger = if self.inner.config.dev { interval.min(DEV_JITTER_MAX) } else { interval };
        clock.sleep(self.inner.world.entropy.jitter(stagger)).await;
        loop {
            let report = match timeout(&*clock, within, TcpStream::connect(address)).await {
                Ok(Ok(_)) => Report::run(CheckStatus::Passing, format!("TCP connect {address}: Success")),
                Ok(Err(error)) => {
                    Report::run(CheckStatus::Critical, format!("dial tcp {address}: {}", said(&error)))
                }
                Err(_) => Report::run(CheckStatus::Critical, format!("dial tcp {address}: i/o timeout")),
            };
            self.observe(id, report);
            clock.sleep(interval).await;
        }
    }

    /// Follows the checks of another node in the catalog.
    async fn make_alias(&self, id: &CheckId, node: NodeName, service: Option<InstanceId>) {
        let mut backoff = Backoff::default();
        let mut index = 0;
        loop {
            let token = self.inner.own.now().tokens.default.clone();
            let head = Head::with_token(token).after(index, Some(REFRESH_WAIT));
            match self.inner.servers.call(head, NodeChecks { node: node.clone() }).await {
                Ok(answer) => {
                    backoff.reset();
                    index = answer.index.max(1);
                    // A service on a failing node is failing.
                    let follows = |check: &&Check| check.service_id.is_none() || check.service_id == service;
                    let of_it = answer.value.iter().filter(follows);
                    self.observe(id, alias_of(of_it));
                }
                Err(error) => {
                    let text = format!("the catalog does not tell the checks of node {node}: {error}");
                    self.observe(id, Report::taken_over(CheckStatus::Critical, text));
                    self.inner.world.clock.sleep(backoff.next(&*self.inner.world.entropy)).await;
                }
            }
        }
    }

    fn observe(&self, id: &CheckId, report: Report) {
        self.inner.local.lock().report(id, report, self.inner.world.clock.now());
        self.noticed();
    }
}

fn needs_runner(probe: &Probe) -> bool {
    match probe {
        Probe::Tcp { .. } | Probe::Alias { node: Some(_), .. } => true,
        Probe::Ttl(_) | Probe::Alias { node: None, .. } => false,
    }
}

/// Why a connection failed, in the words of Consul's agents where it is one of the common reasons.
fn said(error: &io::Error) -> String {
    let words = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connect: connection refused",
        io::ErrorKind::ConnectionReset => "connect: connection reset by peer",
        io::ErrorKind::HostUnreachable => "connect: no route to host",
        io::ErrorKind::NetworkUnreachable => "connect: network is unreachable",
        io::ErrorKind::TimedOut => "connect: connection timed out",
        _ => return error.to_string(),
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_connection_is_told_in_the_words_of_consul() {
        assert_eq!(said(&io::Error::from_raw_os_error(111)), "connect: connection refused");
        assert_eq!(said(&io::ErrorKind::HostUnreachable.into()), "connect: no route to host");
        assert_eq!(said(&io::Error::other("no such host")), "no such host");
    }
}
