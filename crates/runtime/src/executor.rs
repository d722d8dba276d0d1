//! A thread pool that runs tasks. Control work and traffic each have their own pool.

use std::future::Future;
use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// An owned tokio runtime. Dropping it ends its tasks; drop it outside of any runtime.
#[derive(Debug)]
pub struct Executor {
    runtime: Runtime,
}

impl Executor {
    /// A pool of `threads` threads (at least one) whose names start with `name`.
    ///
    /// When the operating system refuses threads or the I/O poller.
    pub fn new(name: &str, threads: usize) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name(name)
            .enable_all()
            .build()?;
        Ok(Self { runtime })
    }

    /// A handle for [`crate::Scope::on`].
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.runtime.handle().clone()
    }

    /// Runs `future` to its end on the calling thread.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Ends without waiting for blocking work. For use inside another runtime, or at the end of the process.
    pub fn shutdown_background(self) {
        self.runtime.shutdown_background();
    }
}
