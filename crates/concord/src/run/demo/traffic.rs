//! Requests that run while the mesh changes, and the count of their results.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use concord_runtime::{Clock, Scope, Task};

use super::http::{Connection, HttpError, get};
use super::limits::{LOOK, SEEN_WITHIN, TRAFFIC_PAUSE, TRAFFIC_WORKERS};
use super::trouble::Trouble;

/// Running traffic. Some tasks call `web` and open new connections each time. One task calls `api` over a single
/// connection through the mesh that is never reopened.
#[derive(Debug)]
pub(super) struct Traffic {
    count: Arc<Count>,
    scope: Scope,
    tasks: Vec<Task<()>>,
}

#[derive(Debug, Default)]
struct Count {
    stop: AtomicBool,
    fresh: AtomicU64,
    kept: AtomicU64,
    failed: AtomicU64,
    slowest_micros: AtomicU64,
    first_failure: OnceLock<String>,
}

/// The number of requests, none of which failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flowed {
    /// Over a new connection through the mesh for each.
    pub(super) fresh: u64,
    /// Over the single connection.
    pub(super) kept: u64,
    pub(super) slowest: Duration,
}

impl Traffic {
    /// Starts the traffic: `web` is called over new connections, `upstream` over a single one.
    pub(super) async fn start(web: SocketAddr, upstream: SocketAddr, scope: &Scope) -> Result<Self, Trouble> {
        let kept =
            Connection::open(upstream, scope).await.map_err(Trouble::request("the connection to keep"))?;
        let count = Arc::new(Count::default());
        let mut tasks = vec![scope.spawn("kept connection", keep(kept, Arc::clone(&count), scope.clone()))];
        for _ in 0..TRAFFIC_WORKERS {
            tasks.push(scope.spawn("new connections", renew(web, Arc::clone(&count), scope.clone())));
        }
        Ok(Self { count, scope: scope.clone(), tasks })
    }

    /// The number of successful requests so far.
    pub(super) fn passed(&self) -> u64 {
        self.count.fresh.load(Ordering::Relaxed)
    }

    /// Waits until this many more requests succeeded, each over a new connection. Ends early if one fails.
    pub(super) async fn more(&self, requests: u64) -> Result<(), Trouble> {
        let clock = self.scope.clock();
        let (since, wanted) = (clock.now(), self.passed() + requests);
        while self.passed() < wanted {
            if self.count.failed.load(Ordering::Relaxed) > 0 {
                return self.count.verdict().map(|_| ());
            }
            if clock.now() - since > SEEN_WITHIN {
                let what = format!("{requests} more requests through the mesh");
                return Err(Trouble::NotSeen { what, within: SEEN_WITHIN });
            }
            clock.sleep(LOOK).await;
        }
        Ok(())
    }

    /// Stops the traffic. Returns an error if any request failed.
    pub(super) async fn stop(mut self) -> Result<Flowed, Trouble> {
        self.count.stop.store(true, Ordering::Relaxed);
        for task in std::mem::take(&mut self.tasks) {
            if let Err(end) = task.join().await {
                self.count.fail(&format!("a worker: {end}"));
            }
        }
        self.count.verdict()
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.count.stop.store(true, Ordering::Relaxed);
    }
}

impl Count {
    fn note(&self, passed: &AtomicU64, took: Duration, outcome: Result<String, HttpError>) {
        match outcome {
            Ok(_) => {
                passed.fetch_add(1, Ordering::Relaxed);
                let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                self.slowest_micros.fetch_max(micros, Ordering::Relaxed);
            }
            Err(error) => self.fail(&error.to_string()),
        }
    }

    fn fail(&self, why: &str) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        // Only the first failure is reported.
        let _ = self.first_failure.set(why.to_owned());
    }

    fn verdict(&self) -> Result<Flowed, Trouble> {
        let (fresh, kept) = (self.fresh.load(Ordering::Relaxed), self.kept.load(Ordering::Relaxed));
        match self.failed.load(Ordering::Relaxed) {
            0 => {
                let slowest = Duration::from_micros(self.slowest_micros.load(Ordering::Relaxed));
                Ok(Flowed { fresh, kept, slowest })
            }
            failed => {
                let first = self.first_failure.get().cloned().unwrap_or_default();
                Err(Trouble::Lost { failed, sent: fresh + kept + failed, first })
            }
        }
    }
}

async fn renew(web: SocketAddr, count: Arc<Count>, scope: Scope) {
    let clock: Arc<dyn Clock> = Arc::clone(scope.clock());
    while !count.stop.load(Ordering::Relaxed) {
        let began = clock.now();
        let outcome = get(web, "/", &scope).await;
        count.note(&count.fresh, clock.now() - began, outcome);
        clock.sleep(TRAFFIC_PAUSE).await;
    }
}

async fn keep(mut kept: Connection, count: Arc<Count>, scope: Scope) {
    let clock: Arc<dyn Clock> = Arc::clone(scope.clock());
    while !count.stop.load(Ordering::Relaxed) {
        let began = clock.now();
        let outcome = kept.get("/").await;
        let broken = outcome.is_err();
        count.note(&count.kept, clock.now() - began, outcome);
        if broken {
            return;
        }
        clock.sleep(TRAFFIC_PAUSE).await;
    }
}
