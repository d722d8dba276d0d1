//! Runs CPU-intensive work of providers on the threads for blocking work.

use concord_ca::provider::Workers;
use concord_runtime::{BoxFuture, Scope};

/// Runs work in blocking tasks of this scope.
#[derive(Debug)]
pub struct Aside(pub Scope);

impl Workers for Aside {
    fn run(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        let task = self.0.spawn_blocking("long work", work);
        Box::pin(async move {
            // The scope logs a panic; the work then counts as not done.
            let _ = task.join().await;
        })
    }
}
