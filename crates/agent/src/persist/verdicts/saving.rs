//! Saves verdicts while the agent runs.

use std::sync::Arc;

use concord_model::Timestamp;

use super::Verdicts;
use crate::agent::Agent;
use crate::limits::{CHECK_STATE_PAUSE, CHECK_STATES_AT_ONCE};

impl Agent {
    /// Saves verdicts soon after each report until the agent ends, and then the remaining ones.
    pub(crate) async fn keep_verdicts(self) {
        let mut fails = false;
        loop {
            tokio::select! {
                biased;
                () = self.inner.scope.cancelled() => break,
                () = self.inner.told.notified() => {}
            }
            if !self.save_verdicts(&mut fails).await {
                continue;
            }
            tokio::select! {
                biased;
                () = self.inner.scope.cancelled() => break,
                () = self.inner.world.clock.sleep(CHECK_STATE_PAUSE) => {}
            }
        }
        self.save_verdicts(&mut fails).await;
    }

    /// Whether there was anything to save.
    async fn save_verdicts(&self, fails: &mut bool) -> bool {
        let mut any = false;
        loop {
            let now = self.inner.world.clock.now();
            let batch = self.inner.local.lock().take_unsaved(CHECK_STATES_AT_ONCE, now);
            if batch.is_empty() {
                return any;
            }
            any = true;
            let wall = Timestamp::from_nanos(self.inner.world.clock.wall_nanos());
            let verdicts = Verdicts::new(Arc::clone(&self.inner.world.disk));
            let save = move || verdicts.save_all(&batch, wall);
            match self.inner.scope.spawn_blocking("save verdicts", save).join().await {
                Ok(Ok(())) => *fails = false,
                Ok(Err(error)) if error.is_fatal() => {
                    self.must_end(error.to_string());
                    return any;
                }
                // Log this once: it would happen for every report.
                Ok(Err(error)) if !*fails => {
                    *fails = true;
                    tracing::warn!(%error, "verdicts of checks cannot be saved and would not outlive a restart");
                }
                Ok(Err(_)) => {}
                Err(_) => return any,
            }
        }
    }
}
