//! Runs reconcilers: idempotent duties that run periodically and when woken.
//!
//! A reconciler is not told what changed; it compares the actual state with the wanted one. So there is one code
//! path, and a lost wake-up does no harm. Failed runs are repeated sooner than the period, with back-off.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::backoff::Backoff;
use crate::clock::Instant;
use crate::limits::STATUS_ERROR_BYTES_MAX;
use crate::scope::{Scope, Task};
use crate::world::World;

/// How a duty is run.
#[derive(Clone, Debug)]
pub struct ReconcilerSpec {
    /// The name of the task and of the status line.
    pub name: String,
    /// Time between the end of a successful run and the next one. Up to a tenth is added at random, so that many
    /// nodes do not act in step.
    pub period: Duration,
    /// Delays after failures.
    pub backoff: Backoff,
}

/// A running duty. Dropping this handle does not stop the duty, because its scope owns it.
#[derive(Debug)]
pub struct Reconciler {
    wake: Arc<Notify>,
    status: watch::Receiver<Status>,
    task: Task<()>,
}

/// What a duty has done and will do, for the debug endpoint and the CLI.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Completed runs.
    pub runs: u64,
    /// Failed runs since the last success.
    pub failures: u32,
    /// When the last run ended.
    pub last: Option<Instant>,
    /// How the last run ended.
    pub outcome: Option<Outcome>,
    /// When the next run is due, unless woken earlier; `None` while one is in progress.
    pub next: Option<Instant>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The actual state is the wanted one.
    Reconciled,
    /// The error's text, shortened.
    Failed(String),
}

impl ReconcilerSpec {
    /// A duty with the default delays after failures.
    #[must_use]
    pub fn new(name: &str, period: Duration) -> Self {
        Self { name: name.to_owned(), period, backoff: Backoff::default() }
    }
}

impl Reconciler {
    /// Starts a duty in `scope`; its first run is at once. `wake` may be shared by several duties' triggers.
    pub fn start<F, Fut, E>(
        scope: &Scope,
        world: &World,
        spec: ReconcilerSpec,
        wake: Arc<Notify>,
        duty: F,
    ) -> Self
    where
        F: FnMut() -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display + Send + 'static,
    {
        let (publish, status) = watch::channel(Status::default());
        let name = spec.name.clone();
        let run = run(scope.clone(), world.clone(), spec, Arc::clone(&wake), publish, duty);
        Self { task: scope.spawn(&name, run), wake, status }
    }

    /// Requests a run now. All requests during a run lead to exactly one more run.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// The current status.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// The status as it changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Ends the duty at its next await.
    pub fn stop(&self) {
        self.task.abort();
    }
}

async fn run<F, Fut, E>(
    scope: Scope,
    world: World,
    mut spec: ReconcilerSpec,
    wake: Arc<Notify>,
    publish: watch::Sender<Status>,
    mut duty: F,
) where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<(), E>>,
    E: fmt::Display,
{
    while !scope.is_cancelled() {
        publish.send_modify(|status| status.next = None);
        let result = duty().await;
        let now = world.clock.now();
        let (outcome, delay) = match result {
            Ok(()) => {
                spec.backoff.reset();
                (Outcome::Reconciled, spec.period + world.entropy.jitter(spec.period / 10))
            }
            Err(error) => {
                let text = shortened(error.to_string());
                tracing::warn!(duty = %spec.name, error = %text, "duty failed, will retry");
                (Outcome::Failed(text), spec.backoff.next(&*world.entropy))
            }
        };
        publish.send_modify(|status| {
            status.runs += 1;
            status.failures = spec.backoff.failures();
            status.last = Some(now);
            status.outcome = Some(outcome);
            status.next = Some(now + delay);
        });
        tokio::select! {
            // The order of the branches: end of the scope, requested run, period.
            biased;
            () = scope.cancelled() => return,
            () = wake.notified() => {}
            () = world.clock.sleep_until(now + delay) => {}
        }
    }
}

fn shortened(mut text: String) -> String {
    if text.len() > STATUS_ERROR_BYTES_MAX {
        let end = (0..=STATUS_ERROR_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    async fn settled(status: &mut watch::Receiver<Status>, runs: u64) -> Status {
        status.wait_for(|status| status.runs == runs).await.expect("the duty lives").clone()
    }

    #[tokio::test(start_paused = true)]
    async fn a_duty_runs_at_once_by_period_and_by_wake() {
        let world = World::seeded(1, 0);
        let scope = Scope::new("test", Arc::clone(&world.clock));
        let duty = || async { Ok::<(), String>(()) };
        let spec = ReconcilerSpec::new("duty", MINUTE);
        let duty = Reconciler::start(&scope, &world, spec, Arc::default(), duty);
        let mut status = duty.watch();
        let first = settled(&mut status, 1).await.last.expect("ran");
        let second = settled(&mut status, 2).await.last.expect("ran");
        assert!(second - first >= MINUTE && second - first <= MINUTE + MINUTE / 10);
        duty.wake();
        let third = settled(&mut status, 3).await;
        assert_eq!((third.last, third.outcome), (Some(second), Some(Outcome::Reconciled)));
        scope.shutdown(Duration::ZERO, MINUTE).await;
        assert!(status.changed().await.is_err(), "the publisher is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_duty_is_retried_sooner_and_its_error_is_visible() {
        let world = World::seeded(1, 0);
        let scope = Scope::new("test", Arc::clone(&world.clock));
        let duty = || async { Err(format!("no leader {}", "x".repeat(1000))) };
        let spec = ReconcilerSpec::new("duty", MINUTE);
        let duty = Reconciler::start(&scope, &world, spec, Arc::default(), duty);
        let status = settled(&mut duty.watch(), 3).await;
        assert_eq!(status.failures, 3);
        let Some(Outcome::Failed(text)) = status.outcome else { panic!("it failed") };
        assert!(text.starts_with("no leader") && text.len() == STATUS_ERROR_BYTES_MAX);
        assert!(status.next.expect("planned") - status.last.expect("ran") < MINUTE);
    }
}
