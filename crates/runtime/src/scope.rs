//! The owner of tasks: every task belongs to a scope, and a scope can be ended.
//!
//! ```text
//! root ──► child ──► child          cancel flows down (soft, then hard)
//!   ▲        │         │
//!   └────────┴─────────┘            "still running" flows up: a parent waits for all below it
//! ```
//!
//! Shutdown has two phases. The soft token asks tasks to finish; after the soft deadline, the hard token drops their
//! futures. Blocking work and threads cannot be cut: shutdown waits for them and names them in the report. A panic
//! ends only its task; it is logged, counted, and reported to the task that joins it.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::Instrument as _;

use crate::clock::{Clock, timeout};

/// Owns tasks, and ends them. Clones are the same scope.
#[derive(Clone)]
pub struct Scope {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    clock: Arc<dyn Clock>,
    handle: Handle,
    soft: CancellationToken,
    hard: CancellationToken,
    /// First the scope's own tracker, then those of its ancestors.
    trackers: Vec<TaskTracker>,
    roll: Arc<Roll>,
}

/// The names of the running tasks and the number of panics, for a whole tree of scopes.
#[derive(Default)]
struct Roll {
    running: Mutex<BTreeMap<u64, String>>,
    started: AtomicU64,
    panics: AtomicU64,
}

/// A running task. Dropping this handle does not stop the task, because its scope owns it.
#[derive(Debug)]
pub struct Task<T> {
    result: oneshot::Receiver<Result<T, TaskEnd>>,
    cut: CancellationToken,
}

/// Why a task has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskEnd {
    /// It panicked; the log has the message.
    #[error("the task panicked")]
    Panicked,
    /// It was aborted, or its scope or runtime ended.
    #[error("the task was ended before it finished")]
    Cut,
}

/// What [`Scope::shutdown`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Tasks that had not finished at the soft deadline and were cut.
    pub cut: Vec<String>,
    /// Tasks that were still there at the hard deadline: blocking work that cannot be cut.
    pub left: Vec<String>,
}

// === impl Scope ===

impl Scope {
    /// A root scope on the current tokio runtime.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn new(name: &str, clock: Arc<dyn Clock>) -> Self {
        Self::on(name, clock, Handle::current())
    }

    /// A root scope on the given tokio runtime.
    #[must_use]
    pub fn on(name: &str, clock: Arc<dyn Clock>, handle: Handle) -> Self {
        Self {
            inner: Arc::new(Inner {
                name: name.to_owned(),
                clock,
                handle,
                soft: CancellationToken::new(),
                hard: CancellationToken::new(),
                trackers: vec![closed_tracker()],
                roll: Arc::default(),
            }),
        }
    }

    /// A scope below this one: it ends with this one, or earlier by itself.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        self.child_on(name, self.inner.handle.clone())
    }

    /// A scope below this one whose tasks run on another tokio runtime.
    #[must_use]
    pub fn child_on(&self, name: &str, handle: Handle) -> Self {
        let mut trackers = vec![closed_tracker()];
        trackers.extend(self.inner.trackers.iter().cloned());
        Self {
            inner: Arc::new(Inner {
                name: format!("{}/{name}", self.inner.name),
                clock: Arc::clone(&self.inner.clock),
                handle,
                soft: self.inner.soft.child_token(),
                hard: self.inner.hard.child_token(),
                trackers,
                roll: Arc::clone(&self.inner.roll),
            }),
        }
    }

    /// Starts a task. It should watch [`Scope::cancelled`] and finish when that completes.
    pub fn spawn<T, F>(&self, name: &str, future: F) -> Task<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let (report, task) = self.task();
        let run = self.enter(name);
        let (hard, cut) = (self.inner.hard.clone(), task.cut.clone());
        let span = tracing::trace_span!("task", name = %run.name);
        // In a box of its own: an `async` block has room for what it captures and again for what it awaits.
        let work = Box::pin(AssertUnwindSafe(future).catch_unwind());
        let body = async move {
            let end = tokio::select! {
                // Check the hard token first: a task that is always ready must end, too.
                biased;
                () = hard.cancelled() => Err(TaskEnd::Cut),
                () = cut.cancelled() => Err(TaskEnd::Cut),
                end = work => end.map_err(|panic| run.panicked(panic.as_ref())),
            };
            drop(run);
            let _ = report.send(end);
        };
        self.inner.handle.spawn(body.instrument(span));
        task
    }

    /// Starts work that blocks its thread for a short time: file access, signing, decoding of large data.
    pub fn spawn_blocking<T, F>(&self, name: &str, work: F) -> Task<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (report, task) = self.task();
        let run = self.enter(name);
        self.inner.handle.spawn_blocking(move || run.blocking(report, work));
        task
    }

    /// Starts a separate thread, for an owner that blocks for the life of the scope.
    ///
    /// # Errors
    /// When the operating system refuses the thread.
    pub fn spawn_thread<T, F>(&self, name: &str, work: F) -> io::Result<Task<T>>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (report, task) = self.task();
        let run = self.enter(name);
        std::thread::Builder::new().name(name.to_owned()).spawn(move || run.blocking(report, work))?;
        Ok(task)
    }

    /// Completes when the scope, or one above it, is asked to finish.
    pub async fn cancelled(&self) {
        self.inner.soft.cancelled().await;
    }

    /// Whether the scope has been asked to finish.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.inner.soft.is_cancelled()
    }

    /// Asks everything in the scope to finish, without waiting. Idempotent.
    pub fn cancel(&self) {
        self.inner.soft.cancel();
    }

    /// Asks everything in the scope to finish, waits up to `soft`, cuts the rest and waits up to `hard` for that.
    pub async fn shutdown(&self, soft: Duration, hard: Duration) -> ShutdownReport {
        self.cancel();
        let mut report = ShutdownReport::default();
        if timeout(&*self.inner.clock, soft, self.wait()).await.is_ok() {
            return report;
        }
        report.cut = self.tasks();
        self.inner.hard.cancel();
        if timeout(&*self.inner.clock, hard, self.wait()).await.is_err() {
            report.left = self.tasks();
        }
        tracing::warn!(scope = %self.inner.name, cut = ?report.cut, left = ?report.left, "tasks did not finish in time");
        report
    }

    /// Completes when no task runs in the scope or below it.
    pub async fn wait(&self) {
        self.own_tracker().wait().await;
    }

    /// The names of the running tasks in the scope and below it, oldest first.
    #[must_use]
    pub fn tasks(&self) -> Vec<String> {
        let prefix = format!("{}/", self.inner.name);
        self.inner.roll.running.lock().values().filter(|name| name.starts_with(&prefix)).cloned().collect()
    }

    /// Panics contained so far in the whole tree of scopes.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.inner.roll.panics.load(Ordering::Relaxed)
    }

    /// The clock the scope measures its deadlines with.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// The tokio runtime the scope's tasks run on.
    #[must_use]
    pub fn runtime_handle(&self) -> &Handle {
        &self.inner.handle
    }

    fn own_tracker(&self) -> &TaskTracker {
        self.inner.trackers.first().expect("a scope has its own tracker")
    }

    fn task<T>(&self) -> (oneshot::Sender<Result<T, TaskEnd>>, Task<T>) {
        let (report, result) = oneshot::channel();
        (report, Task { result, cut: CancellationToken::new() })
    }

    fn enter(&self, name: &str) -> Run {
        let number = self.inner.roll.started.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}/{name}", self.inner.name);
        self.inner.roll.running.lock().insert(number, name.clone());
        let holds = self.inner.trackers.iter().map(TaskTracker::token).collect();
        Run { number, name, roll: Arc::clone(&self.inner.roll), _holds: holds }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("name", &self.inner.name)
            .field("running", &self.own_tracker().len())
            .field("cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

/// The entry of one running task. Dropping it removes the name and releases the trackers.
struct Run {
    number: u64,
    name: String,
    roll: Arc<Roll>,
    _holds: Vec<TaskTrackerToken>,
}

impl Run {
    fn panicked(&self, panic: &(dyn Any + Send)) -> TaskEnd {
        self.roll.panics.fetch_add(1, Ordering::Relaxed);
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        tracing::error!(task = %self.name, panic = text.unwrap_or("(no message)"), "a task panicked");
        TaskEnd::Panicked
    }

    fn blocking<T>(self, report: oneshot::Sender<Result<T, TaskEnd>>, work: impl FnOnce() -> T) {
        let end = catch_unwind(AssertUnwindSafe(work)).map_err(|panic| self.panicked(panic.as_ref()));
        drop(self);
        let _ = report.send(end);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.roll.running.lock().remove(&self.number);
    }
}

fn closed_tracker() -> TaskTracker {
    // A tracker reports that it is empty only after it is closed. Closing it does not refuse new tasks.
    let tracker = TaskTracker::new();
    tracker.close();
    tracker
}

// === impl Task ===

impl<T> Task<T> {
    /// Waits for the result.
    ///
    /// # Errors
    /// [`TaskEnd`] when the task panicked or was cut.
    pub async fn join(self) -> Result<T, TaskEnd> {
        self.result.await.unwrap_or(Err(TaskEnd::Cut))
    }

    /// Cuts the task at its next await; without effect on blocking work.
    pub fn abort(&self) {
        self.cut.cancel();
    }

    /// A guard that cuts the task when dropped.
    #[must_use]
    pub fn abort_on_drop(self) -> tokio_util::sync::DropGuard {
        self.cut.drop_guard()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TokioClock;

    const SECOND: Duration = Duration::from_secs(1);

    fn scope() -> Scope {
        Scope::new("root", Arc::new(TokioClock::new()))
    }

    #[tokio::test(start_paused = true)]
    async fn shutdown_lets_tasks_finish_and_cuts_the_rest() {
        let root = scope();
        let child = root.child("child");
        let polite = child.spawn("polite", {
            let child = child.clone();
            async move {
                child.cancelled().await;
                child.clock().sleep(SECOND).await;
                "done"
            }
        });
        let deaf = root.spawn("deaf", futures::future::pending::<()>());
        assert_eq!(root.tasks(), ["root/child/polite", "root/deaf"]);
        let report = root.shutdown(2 * SECOND, SECOND).await;
        assert_eq!(report, ShutdownReport { cut: vec!["root/deaf".to_owned()], left: vec![] });
        assert_eq!(polite.join().await, Ok("done"));
        assert_eq!(deaf.join().await, Err(TaskEnd::Cut));
    }

    #[tokio::test(start_paused = true)]
    async fn ending_a_child_leaves_its_parent_running() {
        let root = scope();
        let child = root.child("child");
        let _below = child.spawn("below", futures::future::pending::<()>());
        let above = root.spawn("above", async { 1 });
        assert_eq!(child.shutdown(Duration::ZERO, SECOND).await.cut, ["root/child/below"]);
        assert!(!root.is_cancelled() && child.is_cancelled());
        assert_eq!(above.join().await, Ok(1));
        assert_eq!(root.shutdown(SECOND, SECOND).await, ShutdownReport::default());
    }

    #[tokio::test]
    async fn panics_are_contained_and_counted() {
        let root = scope();
        assert_eq!(
            root.spawn("bad", async { panic!("on purpose") }).join().await,
            Err::<(), _>(TaskEnd::Panicked)
        );
        let bad = root.spawn_blocking("bad", || panic!("on purpose"));
        assert_eq!(bad.join().await, Err::<(), _>(TaskEnd::Panicked));
        let thread = root.spawn_thread("thread", || 5).expect("a thread");
        assert_eq!(thread.join().await, Ok(5));
        root.wait().await;
        assert_eq!((root.panics(), root.tasks().len()), (2, 0));
    }

    #[tokio::test]
    async fn an_aborted_task_ends() {
        let root = scope();
        let task = root.spawn("endless", futures::future::pending::<()>());
        task.abort();
        assert_eq!(task.join().await, Err(TaskEnd::Cut));
        let guard = root.spawn("endless", futures::future::pending::<()>()).abort_on_drop();
        drop(guard);
        root.wait().await;
    }

    #[test]
    fn a_child_runs_on_another_runtime() {
        let control = crate::Executor::new("control", 1).expect("a runtime");
        let traffic = crate::Executor::new("traffic", 1).expect("a runtime");
        let root = Scope::on("root", Arc::new(TokioClock::new()), control.handle());
        let name = root
            .child_on("traffic", traffic.handle())
            .spawn("where", async { std::thread::current().name().map(str::to_owned) });
        assert_eq!(control.block_on(name.join()), Ok(Some("traffic".to_owned())));
    }
}
