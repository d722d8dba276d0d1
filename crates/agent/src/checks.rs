//! Runs the checks: one task per check that this agent runs, and one task for timers.
//!
//! ```text
//! Checks::run ─► a task per check ─► Maker::run ─► dial, http, http2, udp, program
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
use concord_rpc::request::NodeChecks;
use concord_rpc::{Head, ServerApi};
use concord_runtime::{Entropy, Instant, World};
use tokio::sync::Notify;

pub(crate) use self::maker::{Maker, refused_program};
use self::runners::Runner;
pub(crate) use self::runners::Runners;
use crate::limits::{CHECK_INTERVAL_MIN, CHECK_SOON, CHECK_SOON_RUNS, DEV_JITTER_MAX};
use crate::local::{Local, LocalState, Plan, Report, alias_of};
use crate::registry::Registry;
use crate::site::Site;
use crate::watch::Watch;

/// Runs the checks, and reports what they find.
#[derive(Clone)]
pub(crate) struct Checks {
    pub(crate) site: Site,
    pub(crate) local: LocalState,
    pub(crate) runners: Arc<Runners>,
    pub(crate) maker: Arc<Maker>,
    /// Removes services that were critical for too long.
    pub(crate) registry: Registry,
    pub(crate) servers: Arc<dyn ServerApi>,
}

impl Checks {
    /// Starts a task for each registered check, applies time limits, and removes services that were critical too
    /// long.
    pub(crate) async fn run(self) {
        let mut changes = self.local.changes();
        let reap_interval = self.site.config.check_settings.reap_interval.max(CHECK_INTERVAL_MIN);
        let mut reap_at = self.site.world.clock.now() + reap_interval;
        loop {
            changes.mark_unchanged();
            self.reconcile_runners();
            let now = self.site.world.clock.now();
            let next = self.local.edit(|local| {
                local.tick(now);
                local.next_tick()
            });
            if now >= reap_at {
                reap_at = now + reap_interval;
                self.reap_overdue(now).await;
            }
            let wake_at = next.map_or(reap_at, |next| next.min(reap_at));
            tokio::select! {
                biased;
                () = self.site.scope.cancelled() => {
                    self.runners.running.lock().clear();
                    return;
                }
                _ = changes.changed() => {}
                () = self.site.world.clock.sleep_until(wake_at) => {}
            }
        }
    }

    async fn reap_overdue(&self, now: Instant) {
        let overdue = self.local.look(|local| local.overdue(now));
        if overdue.is_empty() {
            return;
        }
        tracing::info!(services = ?overdue, "removing services that were critical for too long");
        if let Err(error) = self.registry.reap(overdue).await {
            tracing::warn!(%error, "services that were critical for too long cannot be removed, will retry");
        }
    }

    /// Starts or ends the tasks of checks that were added, changed or removed.
    fn reconcile_runners(&self) {
        let rerun = self.local.edit(Local::take_rerun);
        let mut running = self.runners.running.lock();
        for (id, plan) in rerun {
            let plan = plan.filter(needs_runner);
            if running.get(&id).map(|runner| &runner.plan) == plan.as_ref() {
                continue;
            }
            running.remove(&id);
            let Some(plan) = plan else { continue };
            let soon = Arc::new(Notify::new());
            let make = self.clone().make(id.clone(), plan.clone(), Arc::clone(&soon));
            let task = self.site.scope.spawn("make a check", make);
            running.insert(id, Runner { plan, soon, _end: task.abort_on_drop() });
        }
    }

    async fn make(self, id: CheckId, plan: Plan, soon: Arc<Notify>) {
        if let Probe::Alias { node: Some(node), service } = plan.probe {
            return self.make_alias(&id, node, service).await;
        }
        let Some(every) = plan.probe.every() else { return };
        if let Some(why) = self.maker.obstacle(&plan) {
            return self.observe(&id, Report::decided(CheckStatus::Critical, why));
        }
        let pace = Pace::new(every, self.site.config.dev);
        let World { clock, entropy, disk: _ } = &self.site.world;
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
            let Some(report) = self.maker.run(&plan).await else { return };
            if report.status == CheckStatus::Passing {
                sooner = 0;
            }
            self.observe(&id, report);
            next = clock.now() + pace.interval;
        }
    }

    /// Follows the checks of another node in the catalog.
    async fn make_alias(&self, id: &CheckId, node: NodeName, service: Option<InstanceId>) {
        let mut watch =
            Watch::new(&self.servers, &self.site.world, Head::default(), NodeChecks { node: node.clone() });
        loop {
            watch.set_token(self.site.now().acl.tokens.default.clone());
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
        self.local.edit(|local| local.report(id, report, self.site.world.clock.now()));
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
