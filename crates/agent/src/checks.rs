//! Runs the checks: one task per check that this agent runs, and one task for timers.
//!
//! ```text
//! keep_checks ─► a task per check ─► Maker::run ─► dial, http, http2, udp, program
//!                      │                 └ waits for its turn
//!                      ▼
//!               Local::report
//! ```

mod alongside;
mod dial;
mod http;
mod http2;
mod maker;
mod program;
mod runners;
mod tail;
mod tls;
mod tools;
mod udp;
mod url;

use std::sync::Arc;
use std::time::Duration;

use concord_model::catalog::{Check, CheckStatus};
use concord_model::registration::{Every, Probe};
use concord_model::{CheckId, InstanceId, NodeName};
use concord_rpc::Head;
use concord_rpc::request::NodeChecks;
use concord_runtime::{Entropy, Instant, World};
use tokio::sync::Notify;

pub(crate) use self::maker::{Maker, refused_program};
use self::runners::Runner;
pub(crate) use self::runners::Runners;
use crate::agent::Agent;
use crate::limits::{CHECK_INTERVAL_MIN, CHECK_SOON, CHECK_SOON_RUNS, DEV_JITTER_MAX};
use crate::local::{Plan, Report, alias_of};
use crate::watch::Watch;

impl Agent {
    /// Starts a task for each registered check, applies time limits, and removes services that were critical too
    /// long.
    pub(crate) async fn keep_checks(self) {
        let mut changes = self.inner.changed.subscribe();
        let reap_interval = self.inner.config.check_settings.reap_interval.max(CHECK_INTERVAL_MIN);
        let mut reap_at = self.inner.world.clock.now() + reap_interval;
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
                reap_at = now + reap_interval;
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

    /// Starts or ends the tasks of checks that were added, changed or removed.
    fn reconcile_runners(&self) {
        let rerun = self.inner.local.lock().take_rerun();
        let mut running = self.inner.runners.running.lock();
        for (id, plan) in rerun {
            let plan = plan.filter(needs_runner);
            if running.get(&id).map(|runner| &runner.plan) == plan.as_ref() {
                continue;
            }
            running.remove(&id);
            let Some(plan) = plan else { continue };
            let soon = Arc::new(Notify::new());
            let make = self.clone().make(id.clone(), plan.clone(), Arc::clone(&soon));
            let task = self.inner.scope.spawn("make a check", make);
            running.insert(id, Runner { plan, soon, _end: task.abort_on_drop() });
        }
    }

    /// Runs the failing checks that test whether an instance listens, now and a few times more: the instance is about
    /// to come up. Otherwise a proxy that already listens would be used only after the interval of its check.
    pub(crate) fn expect_up(&self, instance: &InstanceId) {
        let failing: Vec<CheckId> = {
            let local = self.inner.local.lock();
            let of_it =
                local.checks.values().filter(|record| record.spec.service_id.as_ref() == Some(instance));
            let listens = |probe: &Probe| matches!(probe, Probe::Tcp { .. });
            let failing = of_it
                .filter(|record| listens(&record.spec.probe) && record.check.status != CheckStatus::Passing);
            failing.map(|record| record.spec.id.clone()).collect()
        };
        let running = self.inner.runners.running.lock();
        failing.iter().filter_map(|id| running.get(id)).for_each(|runner| runner.soon.notify_one());
    }

    async fn make(self, id: CheckId, plan: Plan, soon: Arc<Notify>) {
        if let Probe::Alias { node: Some(node), service } = plan.probe {
            return self.make_alias(&id, node, service).await;
        }
        let Some(every) = plan.probe.every() else { return };
        if let Some(why) = self.inner.maker.obstacle(&plan) {
            return self.observe(&id, Report::decided(CheckStatus::Critical, why));
        }
        let pace = Pace::new(every, self.inner.config.dev);
        let World { clock, entropy, disk: _ } = &self.inner.world;
        let mut next = clock.now() + pace.first(&**entropy);
        // How many more early runs there are, while the check fails.
        let mut sooner = 0;
        loop {
            let wake = if sooner > 0 { next.min(clock.now() + CHECK_SOON) } else { next };
            tokio::select! {
                biased;
                () = soon.notified() => sooner = CHECK_SOON_RUNS,
                () = clock.sleep_until(wake) => sooner = sooner.saturating_sub(1),
            }
            let Some(report) = self.inner.maker.run(&plan).await else { return };
            if report.status == CheckStatus::Passing {
                sooner = 0;
            }
            self.observe(&id, report);
            next = clock.now() + pace.interval;
        }
    }

    /// Follows the checks of another node in the catalog.
    async fn make_alias(&self, id: &CheckId, node: NodeName, service: Option<InstanceId>) {
        let mut watch = Watch::new(
            &self.inner.servers,
            &self.inner.world,
            Head::default(),
            NodeChecks { node: node.clone() },
        );
        loop {
            watch.set_token(self.inner.own.now().tokens.default.clone());
            match watch.next().await {
                Ok(told) => {
                    // A check of the node also decides about the service, because a service on a failing node is
                    // failing.
                    let follows = |check: &&Check| check.service_id.is_none() || check.service_id == service;
                    let of_it = told.answer.value.iter().filter(follows);
                    self.observe(id, alias_of(of_it));
                }
                Err(error) => {
                    let text = format!("the catalog does not tell the checks of node {node}: {error}");
                    self.observe(id, Report::decided(CheckStatus::Critical, text));
                }
            }
        }
    }

    fn observe(&self, id: &CheckId, report: Report) {
        self.inner.local.lock().report(id, report, self.inner.world.clock.now());
        self.noticed();
    }
}

/// When a check runs. The first run is at a random time within the interval, so that checks registered together do
/// not run together. Each later run follows one interval after the end of the last.
#[derive(Clone, Copy, Debug)]
struct Pace {
    interval: Duration,
    stagger: Duration,
}

impl Pace {
    fn new(every: Every, dev: bool) -> Self {
        let interval = every.interval.max(CHECK_INTERVAL_MIN);
        Self { interval, stagger: if dev { interval.min(DEV_JITTER_MAX) } else { interval } }
    }

    fn first(&self, entropy: &dyn Entropy) -> Duration {
        entropy.jitter(self.stagger)
    }
}

fn needs_runner(plan: &Plan) -> bool {
    matches!(plan.probe, Probe::Alias { node: Some(_), .. }) || plan.probe.every().is_some()
}

#[cfg(test)]
mod tests;
