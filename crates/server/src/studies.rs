//! Studies: reads that compare whole states, and can take seconds.
//!
//! A study runs on the workers, so that it delays no other request; one at a time, so that studies never take more
//! than one processor. It ends early when nobody waits for it any more or when its time is up: the query asks
//! [`Reading::enough`](crate::reading::Reading::enough) between two steps and tells the caller what it left out.

use std::sync::{Arc, Weak};
use std::time::Duration;

use concord_rpc::RpcError;
use concord_runtime::{Clock, Instant, Scope, timeout};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::{STUDIES_AT_ONCE, STUDY_HOLD};

/// The studies of a server take turns.
#[derive(Debug)]
pub(crate) struct Studies(Arc<Semaphore>);

/// How long a study may go on.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    /// Lives as long as somebody waits for the answer.
    asker: Weak<()>,
    scope: Scope,
    clock: Arc<dyn Clock>,
    until: Instant,
}

impl Studies {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(STUDIES_AT_ONCE)))
    }

    /// Waits for a turn, for a limited time.
    pub(crate) async fn turn(&self, clock: &dyn Clock) -> Result<OwnedSemaphorePermit, RpcError> {
        match timeout(clock, STUDY_HOLD, Arc::clone(&self.0).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => {
                let text = "another plan or status of an entry is being made; try again later";
                Err(RpcError::Busy(text.to_owned()))
            }
        }
    }

    /// How many more could run now.
    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        self.0.available_permits()
    }
}

impl Patience {
    /// As long as the asker and the scope live, and no longer than this time.
    pub(crate) fn new(asker: &Arc<()>, scope: &Scope, clock: &Arc<dyn Clock>, time: Duration) -> Self {
        let (clock, scope) = (Arc::clone(clock), scope.clone());
        Self { asker: Arc::downgrade(asker), scope, until: clock.now() + time, clock }
    }

    /// Whether the study should come to its end.
    pub(crate) fn is_over(&self) -> bool {
        self.asker.strong_count() == 0 || self.scope.is_cancelled() || self.clock.now() >= self.until
    }
}
