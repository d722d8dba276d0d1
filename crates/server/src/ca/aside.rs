//! Work of providers that keeps a processor busy: on the threads for what blocks.

use concord_ca::provider::Workers;
use concord_runtime::{BoxFuture, Scope};

/// Does work aside, in tasks of this scope that block their threads.
#[derive(Debug)]
pub struct Aside(pub Scope);

impl Workers for Aside {
    fn run(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        let task = self.0.spawn_blocking("certificate authority's work", work);
        Box::pin(async move {
            // A panic is logged by the scope, and the work counts as not done.
            let _ = task.join().await;
        })
    }
}
